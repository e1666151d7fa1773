//! From the model to code.
//!
//! The function keeps its name, signature and documentation; its body moves to `{name}_uncached`.
//! Must not: decide or check anything, nor emit behaviour beyond one call into the support room.

mod call;
mod companion;

use crate::function::{Argument, Function};
use crate::mention;
use crate::model::Model;
use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::{Attribute, FnArg, Ident, Meta, Pat, Signature, parse_quote};

/// Everything that stands in place of the function.
pub(crate) fn expand(model: &Model) -> TokenStream {
    let parts = [
        cached(model),
        uncached(model),
        companion::refresh(model),
        companion::peek(model),
        companion::invalidate(model),
        companion::key(model),
    ];
    parts.into_iter().collect()
}

fn cached(model: &Model) -> TokenStream {
    let function = &model.function;
    let docs = function.attrs.iter().filter(|a| a.path().is_ident("doc"));
    let shared = shared_attrs(function);
    let vis = &function.vis;
    let sig = named(&function.sig, function.sig.ident.clone());
    let body = call::answer(model, "read");
    quote! {
        #(#docs)*
        #(#shared)*
        #vis #sig { #body }
    }
}

fn uncached(model: &Model) -> TokenStream {
    let function = &model.function;
    let attrs = function.attrs.iter().filter(|a| !a.path().is_ident("doc"));
    let doc = format!(
        "`{}` itself, past the cache: nothing is read or stored.",
        function.sig.ident
    );
    let vis = &function.vis;
    let mut sig = Signature {
        ident: function.companion("uncached"),
        ..function.sig.clone()
    };
    let mentioned = model.mentions();
    for input in &mut sig.inputs {
        if let FnArg::Typed(typed) = input
            && !mentioned.is_disjoint(&mention::names(typed.pat.to_token_stream()))
        {
            // The attribute uses it, though the body may not.
            typed.attrs.push(parse_quote!(#[allow(unused_variables)]));
        }
    }
    let body = &function.body;
    quote! {
        #[doc = #doc]
        #(#attrs)*
        #vis #sig #body
    }
}

/// Attributes that hold for every function made, not only for the one with the body.
///
/// An `expect` is met by that one; for the others it becomes an `allow`.
fn shared_attrs(function: &Function) -> Vec<Attribute> {
    const SHARED: [&str; 5] = ["cfg", "cfg_attr", "allow", "must_use", "deprecated"];
    let shared = |attr: &Attribute| {
        if let Meta::List(list) = &attr.meta
            && list.path.is_ident("expect")
        {
            let lints = &list.tokens;
            return Some(parse_quote!(#[allow(#lints)]));
        }
        let shared = SHARED.iter().any(|name| attr.path().is_ident(name));
        shared.then(|| attr.clone())
    };
    function.attrs.iter().filter_map(shared).collect()
}

/// The signature under another name; `mut` and the arguments' attributes are the body's business.
fn named(sig: &Signature, ident: Ident) -> Signature {
    let mut sig = Signature {
        ident,
        ..sig.clone()
    };
    for input in &mut sig.inputs {
        match input {
            FnArg::Receiver(receiver) => {
                receiver.attrs.clear();
                // In `&mut self` this is empty: the reference has its own, and is refused.
                receiver.mutability = None;
            }
            FnArg::Typed(typed) => {
                typed.attrs.clear();
                if let Pat::Ident(pat) = &mut *typed.pat {
                    pat.mutability = None;
                }
            }
        }
    }
    sig
}

/// `name: Type` for the arguments that are taken, after the receiver.
fn inputs<'a>(function: &Function, taken: impl Iterator<Item = &'a Argument>) -> TokenStream {
    let sig = named(&function.sig, function.sig.ident.clone());
    let receiver = sig.receiver().map(|receiver| receiver.to_token_stream());
    let taken = taken.map(|Argument { ident, ty, .. }| quote!(#ident: #ty));
    let all = receiver.into_iter().chain(taken);
    quote!(#(#all),*)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(attr: TokenStream, item: TokenStream) -> syn::File {
        let attr = syn::parse2(attr).expect("a valid attribute");
        let function = syn::parse2(item).expect("a valid function");
        let model = Model::new(attr, function).expect("a valid model");
        syn::parse2(expand(&model)).expect("code")
    }

    fn signatures(file: &syn::File) -> Vec<String> {
        let items = file.items.iter().map(|item| match item {
            syn::Item::Fn(item) => item.sig.to_token_stream().to_string(),
            other => panic!("{}", other.to_token_stream()),
        });
        items.collect()
    }

    #[test]
    fn companions_take_what_they_need_in_the_order_of_the_signature() {
        let file = expanded(
            quote!(key = "{lang}:{id}", cache = state.cache),
            quote! {
                pub async fn user<D: Db>(db: D, mut id: u64, state: &State, lang: &str) -> Api<User> { 0 }
            },
        );
        assert_eq!(
            signatures(&file),
            [
                "async fn user < D : Db > (db : D , id : u64 , state : & State , lang : & str) -> Api < User >",
                "async fn user_uncached < D : Db > (db : D , # [allow (unused_variables)] mut id : u64 , # [allow (unused_variables)] state : & State , # [allow (unused_variables)] lang : & str) -> Api < User >",
                "async fn user_refresh < D : Db > (db : D , id : u64 , state : & State , lang : & str) -> Api < User >",
                "async fn user_peek (id : u64 , state : & State , lang : & str) -> :: core :: option :: Option < Api < User > >",
                "async fn user_invalidate (id : u64 , state : & State , lang : & str) -> :: core :: result :: Result < :: shelflife :: Receipt , :: shelflife :: Error >",
                "fn user_key (id : u64 , lang : & str) -> :: shelflife :: Key < 'static >",
            ]
        );
    }

    #[test]
    fn the_body_and_its_attributes_stay_with_the_uncached_function() {
        let file = expanded(
            quote!(key = "a"),
            quote! {
                /// Says what.
                #[cfg(feature = "x")]
                #[instrument]
                #[expect(lint)]
                async fn a() -> u8 { 42 }
            },
        );
        let attrs = |i: usize| match &file.items[i] {
            syn::Item::Fn(item) => item
                .attrs
                .iter()
                .map(|a| a.path().to_token_stream().to_string()),
            other => panic!("{}", other.to_token_stream()),
        };
        assert_eq!(Vec::from_iter(attrs(0)), ["doc", "cfg", "allow"]);
        assert_eq!(
            Vec::from_iter(attrs(1)),
            ["doc", "cfg", "instrument", "expect"]
        );
        assert_eq!(Vec::from_iter(attrs(2)), ["doc", "cfg", "allow", "allow"]);
        let bodies = file.to_token_stream().to_string().matches("42").count();
        assert_eq!(bodies, 1);
    }

    #[test]
    fn a_method_keeps_its_receiver_and_calls_through_its_type() {
        let file = expanded(
            quote!(key = "{self.tenant}:{id}"),
            quote!(
                async fn user(&self, id: u64, name: Option<&str>) -> u8 {
                    0
                }
            ),
        );
        let signatures = signatures(&file);
        assert!(
            signatures[5].starts_with("fn user_key (& self , id : u64)"),
            "{}",
            signatures[5]
        );
        let code = file.to_token_stream().to_string();
        assert!(
            code.contains("Self :: user_uncached (& this , id , name . lend ())"),
            "{code}"
        );
    }
}
