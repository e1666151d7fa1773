//! Which generic parameters a companion needs.
//!
//! A companion takes some of the function's arguments; a parameter that none of them mentions could
//! not be inferred by its caller, so it is left out. Must not: know what a companion does.

use crate::mention;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use std::collections::BTreeSet;
use syn::{GenericParam, Generics};

/// The parameters that `used` mentions, with those that their bounds mention in turn.
pub(crate) fn narrowed(generics: &Generics, used: TokenStream) -> Generics {
    let mut wanted = mention::names(used);
    loop {
        let more = bounds_of(generics, &wanted);
        let before = wanted.len();
        wanted.extend(more);
        if wanted.len() == before {
            break;
        }
    }
    let mut kept = generics.clone();
    kept.params = generics
        .params
        .iter()
        .filter(|param| wanted.contains(&name(param)))
        .cloned()
        .collect();
    if let Some(clause) = &mut kept.where_clause {
        let all: BTreeSet<_> = generics.params.iter().map(name).collect();
        clause.predicates = std::mem::take(&mut clause.predicates)
            .into_iter()
            .filter(|predicate| {
                let mentioned = mention::names(predicate.to_token_stream());
                mentioned.intersection(&all).all(|n| wanted.contains(n))
            })
            .collect();
    }
    kept
}

/// `::<T, N>` for a call of the function itself; nothing when only lifetimes are generic.
///
/// Written out because a const parameter need not be in any argument.
pub(crate) fn turbofish(generics: &Generics) -> TokenStream {
    let named: Vec<_> = generics
        .params
        .iter()
        .filter_map(|param| match param {
            GenericParam::Lifetime(_) => None,
            GenericParam::Type(ty) => Some(&ty.ident),
            GenericParam::Const(constant) => Some(&constant.ident),
        })
        .collect();
    if named.is_empty() {
        TokenStream::new()
    } else {
        quote!(::<#(#named),*>)
    }
}

/// A parameter's name; a lifetime's with its quote.
pub(crate) fn name(param: &GenericParam) -> String {
    match param {
        GenericParam::Lifetime(param) => param.lifetime.to_string(),
        GenericParam::Type(param) => param.ident.to_string(),
        GenericParam::Const(param) => param.ident.to_string(),
    }
}

fn bounds_of(generics: &Generics, wanted: &BTreeSet<String>) -> BTreeSet<String> {
    generics
        .params
        .iter()
        .filter(|param| wanted.contains(&name(param)))
        .flat_map(|param| mention::names(param.to_token_stream()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::{ItemFn, parse_quote};

    #[test]
    fn parameters_follow_the_arguments_and_their_bounds() {
        let item: ItemFn = parse_quote! {
            fn f<'a, T: Into<U>, U, V, const N: usize>(t: T, v: &'a V) where U: Copy, V: Send {}
        };
        let kept = |used| narrowed(&item.sig.generics, used);
        assert_eq!(
            kept(quote!(T)).to_token_stream().to_string(),
            "< T : Into < U > , U >"
        );
        assert_eq!(
            kept(quote!(T)).where_clause.to_token_stream().to_string(),
            "where U : Copy"
        );
        assert_eq!(
            kept(quote!(&'a V)).to_token_stream().to_string(),
            "< 'a , V >"
        );
        assert!(kept(quote!(u64)).params.is_empty());
        assert_eq!(
            turbofish(&item.sig.generics).to_string(),
            ":: < T , U , V , N >"
        );
    }
}
