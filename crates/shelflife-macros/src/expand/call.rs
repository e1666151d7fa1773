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
pub(super) fn answer(model: &Model, verb: &str) -> TokenStream {
    let shape = shape(model);
    let call = call(model, verb);
    let load = load(model);
    let asked = asked(model, "answer", quote!(#call, #load));
    with_shapes(quote!(#shape #asked))
}

/// The body of `peek`.
pub(super) fn peek(model: &Model) -> TokenStream {
    let shape = shape(model);
    let call = opened(
        model,
        "read",
        model.policy.iter().filter(|s| s.is_about_bytes()),
    );
    let asked = asked(model, "peek", call);
    with_shapes(quote!(#shape #asked))
}

/// The shape's verb, at the return type: where the compiler says what that type lacks.
fn asked(model: &Model, verb: &str, arguments: TokenStream) -> TokenStream {
    let at = model.function.returns.span();
    let verb = Ident::new(verb, at);
    quote_spanned!(at=> .#verb(#arguments).await)
}

/// The trait by which a type that is no `Result` finds its shape.
fn with_shapes(body: TokenStream) -> TokenStream {
    quote! {
        #[allow(unused_imports)]
        use ::shelflife::__private::Plain as _;
        #body
    }
}

/// How the return type is cached: the support room tells by trait, through any alias.
fn shape(model: &Model) -> TokenStream {
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

fn call(model: &Model, verb: &str) -> TokenStream {
    let mut call = opened(model, verb, model.policy.iter());
    if !model.tags.is_empty() {
        let tags = model.tags.iter().map(template);
        call.extend(quote!(.tags([#(#tags.finish_tag()),*])));
    }
    if let Some(ttl) = &model.cache_err {
        call.extend(quote!(.error_ttl(#ttl)));
    }
    match &model.condition {
        // A closure, because a key may rest on what the condition ensures.
        Some(condition) => quote_spanned! {condition.span()=>
            ::shelflife::__private::when(#condition, || #call)
        },
        None => quote!(::core::option::Option::Some(#call)),
    }
}

/// A `Call` on the entry, under the cache's policy changed by some settings.
fn opened<'a>(
    model: &Model,
    verb: &str,
    settings: impl Iterator<Item = &'a Setting>,
) -> TokenStream {
    let verb = Ident::new(verb, Span::call_site());
    let cache = cache(model);
    let key = template(&model.key);
    let settings: Vec<_> = settings.map(|setting| applied(setting, model)).collect();
    let tuned = (!settings.is_empty()).then(|| {
        let policy = Ident::new("policy", Span::mixed_site());
        quote!(.tune(|#policy| #policy #(#settings)*))
    });
    quote!(::shelflife::__private::Call::#verb(#cache, #key.finish()) #tuned)
}

fn applied(Setting { name, value }: &Setting, model: &Model) -> TokenStream {
    let at = name.span();
    if name == "hard_timeout" {
        // A hard timeout is an error, so the return type must have room for one.
        let returns = &model.function.returns;
        return quote_spanned!(at=> .#name(::shelflife::__private::limit::<#returns>(#value)));
    }
    quote_spanned!(at=> .#name(#value))
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
                    quote_spanned!(at=> let #this = ::shelflife::__private::copied_self(#receiver);),
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
