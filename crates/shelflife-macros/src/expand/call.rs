//! The one call that an expansion makes, and its parts.
//!
//! Must not: know companions.

use crate::attr::Setting;
use crate::function::Held;
use crate::generics;
use crate::model::Model;
use crate::template::{Piece, Template};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned as _;

/// The body of the function (`read`) and of its `refresh`.
///
/// Key, tags, policy and condition are computed from the arguments before the load takes them.
pub(super) fn answer(model: &Model, verb: &Ident) -> TokenStream {
    let shape = shape(model);
    let call = call(model);
    let load = load(model);
    let verb = Ident::new(&verb.to_string(), model.function.returns.span());
    quote! {
        #[allow(unused_imports)]
        use ::shelflife::__private::Plain as _;
        #shape.#verb(#call, #load).await
    }
}

/// How the return type is cached: the support room tells by trait, through any alias.
pub(super) fn shape(model: &Model) -> TokenStream {
    let returns = &model.function.returns;
    let at = returns.span();
    if model.cache_err.is_some() {
        quote_spanned!(at=> ::shelflife::__private::Whole::<#returns>::new())
    } else {
        quote_spanned!(at=> ::shelflife::__private::Returned::<#returns>::new().shape())
    }
}

/// An expression of type `Option<Cache>`.
pub(super) fn cache(model: &Model) -> TokenStream {
    match &model.cache {
        Some(cache) => quote_spanned! {cache.span()=>
            ::shelflife::__private::given(&(#cache))
        },
        None => quote!(::shelflife::__private::installed()),
    }
}

/// A builder's chain that ends in a `KeyTemplate`.
pub(super) fn template(template: &Template) -> TokenStream {
    let pieces = template.pieces.iter().map(|piece| match piece {
        Piece::Literal(text) => quote!(.literal(#text)),
        Piece::Home(name) => {
            let name = format!("::{name}");
            quote!(.literal(::core::concat!(::core::module_path!(), #name)))
        }
        Piece::Part(part) => quote_spanned!(part.span()=> .part(&#part)),
    });
    quote!(::shelflife::KeyTemplate::new() #(#pieces)*)
}

/// The policy made of some settings.
pub(super) fn policy<'a>(
    model: &Model,
    settings: impl Iterator<Item = &'a Setting>,
) -> TokenStream {
    let returns = &model.function.returns;
    let settings = settings.map(|Setting { name, value }| {
        let at = name.span();
        if name == "hard_timeout" {
            // A hard timeout is an error, so the return type must have room for one.
            quote_spanned!(at=> .#name(::shelflife::__private::limit::<#returns>(#value)))
        } else {
            quote_spanned!(at=> .#name(#value))
        }
    });
    quote!(::shelflife::Policy::new() #(#settings)*)
}

fn call(model: &Model) -> TokenStream {
    let cache = cache(model);
    let key = template(&model.key);
    let policy = policy(model, model.policy.iter());
    let tags = model.tags.iter().map(template);
    let error_ttl = match &model.cache_err {
        Some(ttl) => quote!(::core::option::Option::Some(#ttl)),
        None => quote!(::core::option::Option::None),
    };
    let call = quote! {
        ::shelflife::__private::Call {
            cache: #cache,
            key: #key.finish(),
            policy: #policy,
            tags: ::std::vec![#(#tags.finish_tag()),*],
            error_ttl: #error_ttl,
        }
    };
    match &model.condition {
        // A closure, because a key may rest on what the condition ensures.
        Some(condition) => quote!(::shelflife::__private::when(#condition, || #call)),
        None => quote!(::core::option::Option::Some(#call)),
    }
}

/// The closure that loads: it owns its arguments and lends them to the uncached function.
fn load(model: &Model) -> TokenStream {
    let function = &model.function;
    let this = Ident::new("this", Span::mixed_site());
    let mut owned = Vec::new();
    let mut passed = Vec::new();
    if let Some(held) = function.receiver {
        let at = function
            .sig
            .receiver()
            .map_or_else(Span::call_site, |r| r.self_token.span);
        let receiver = Ident::new("self", at);
        match held {
            Held::Moved | Held::Kept => passed.push(quote!(#receiver)),
            Held::Copied => {
                owned.push(
                    quote_spanned!(at=> let #this = ::shelflife::__private::copied(#receiver);),
                );
                passed.push(quote!(&#this));
            }
        }
    }
    for argument in &function.args {
        let (name, at) = (&argument.ident, argument.ty.span());
        match argument.held {
            Held::Moved => passed.push(quote!(#name)),
            Held::Copied => {
                owned.push(quote_spanned!(at=> let #name = ::shelflife::__private::copied(#name);));
                passed.push(quote!(&#name));
            }
            Held::Kept => {
                owned.push(quote_spanned! {at=>
                    let #name = ::shelflife::__private::Borrowing::keep(#name);
                });
                passed.push(quote!(#name.lend()));
            }
        }
    }
    let through = model.in_impl.then(|| quote!(Self::));
    let name = function.companion("uncached");
    let turbofish = generics::turbofish(&function.sig.generics);
    let load = quote!(move || async move { #through #name #turbofish(#(#passed),*).await });
    if owned.is_empty() {
        load
    } else {
        quote!({ #(#owned)* #load })
    }
}
