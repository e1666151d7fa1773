//! The functions made beside the cached one.
//!
//! Must not: build keys or policies themselves; those are the call's.

use super::{call, inputs, named, shared_attrs};
use crate::function::Argument;
use crate::generics;
use crate::model::Model;
use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use std::collections::BTreeSet;

/// `user_refresh`: loads now and stores, whatever is stored.
pub(super) fn refresh(model: &Model) -> TokenStream {
    let function = &model.function;
    let doc = format!(
        "Loads what `{}` returns now and stores it, whatever is stored.",
        function.sig.ident
    );
    let shared = shared_attrs(function);
    let vis = &function.vis;
    let sig = named(&function.sig, function.companion("refresh"));
    let body = call::answer(model, "refresh");
    quote! {
        #[doc = #doc]
        #(#shared)*
        #[allow(dead_code)]
        #vis #sig { #body }
    }
}

/// `user_peek`: what is stored.
pub(super) fn peek(model: &Model) -> TokenStream {
    let returns = &model.function.returns;
    Companion {
        suffix: "peek",
        asyncness: quote!(async),
        takes: model.entry_mentions(),
        returns: quote!(::core::option::Option<#returns>),
        doc: "What is stored for `{}`, as it would return it. Never loads.",
        body: call::peek(model),
    }
    .written(model)
}

/// `user_invalidate`: drops the entry.
pub(super) fn invalidate(model: &Model) -> TokenStream {
    let cache = call::cache(model);
    let key = call::template(&model.key);
    Companion {
        suffix: "invalidate",
        asyncness: quote!(async),
        takes: model.entry_mentions(),
        returns: quote!(::core::result::Result<::shelflife::Receipt, ::shelflife::Error>),
        doc: "Invalidates the entry of `{}`: its next call loads, and a load in flight is not stored.\
              \n\n# Errors\n\nThe store did not confirm it, or there is no cache.",
        body: quote!(::shelflife::__private::invalidate(#cache, #key.finish()).await),
    }
    .written(model)
}

/// `user_key`: the entry's key.
pub(super) fn key(model: &Model) -> TokenStream {
    let key = call::template(&model.key);
    Companion {
        suffix: "key",
        asyncness: TokenStream::new(),
        takes: model.key.mentions(),
        returns: quote!(::shelflife::Key<'static>),
        doc: "The key of the entry of `{}`.",
        body: quote!(#key.finish()),
    }
    .written(model)
}

/// A companion that takes only some of the arguments.
struct Companion {
    suffix: &'static str,
    asyncness: TokenStream,
    takes: BTreeSet<String>,
    returns: TokenStream,
    /// `{}` is the function's name.
    doc: &'static str,
    body: TokenStream,
}

impl Companion {
    fn written(self, model: &Model) -> TokenStream {
        let function = &model.function;
        let Companion {
            asyncness,
            takes,
            returns,
            body,
            ..
        } = self;
        let taken = |arg: &&Argument| takes.contains(&arg.ident.to_string());
        let inputs = inputs(function, function.args.iter().filter(taken));
        let constants = function
            .constants()
            .filter(|c| takes.contains(&c.to_string()));
        let used = [inputs.clone(), returns.clone(), quote!(#(#constants)*)];
        let generics = generics::narrowed(&function.sig.generics, used.into_iter().collect());
        let clause = generics.where_clause.to_token_stream();
        let name = function.companion(self.suffix);
        let doc = self.doc.replace("{}", &function.sig.ident.to_string());
        let shared = shared_attrs(function);
        let vis = &function.vis;
        quote! {
            #[doc = #doc]
            #(#shared)*
            #[allow(dead_code)]
            #vis #asyncness fn #name #generics(#inputs) -> #returns #clause { #body }
        }
    }
}
