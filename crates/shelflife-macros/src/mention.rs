//! Which names a piece of code mentions.
//!
//! Works on tokens, so it reads types, expressions and bounds alike. It may name too much (a local
//! that shadows an argument), never too little outside of format strings. Must not: resolve anything.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use std::collections::BTreeSet;

/// The identifiers and lifetimes (`'a`) in some code, without fields and methods after a dot.
pub(crate) fn names(tokens: TokenStream) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(tokens, &mut found);
    found
}

fn collect(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let mut before = Before::Other;
    for token in tokens {
        before = match token {
            TokenTree::Group(group) => {
                collect(group.stream(), found);
                Before::Other
            }
            TokenTree::Ident(ident) => {
                match before {
                    Before::Dot => {}
                    Before::Quote => _ = found.insert(format!("'{ident}")),
                    Before::Other => _ = found.insert(ident.to_string()),
                }
                Before::Other
            }
            // A range's second dot is followed by an operand, not by a member.
            TokenTree::Punct(p) if p.as_char() == '.' && p.spacing() == Spacing::Alone => {
                match before {
                    Before::Dot => Before::Other,
                    _ => Before::Dot,
                }
            }
            TokenTree::Punct(p) if p.as_char() == '.' => Before::Dot,
            TokenTree::Punct(p) if p.as_char() == '\'' => Before::Quote,
            TokenTree::Punct(_) | TokenTree::Literal(_) => Before::Other,
        };
    }
}

enum Before {
    Dot,
    Quote,
    Other,
}

/// Whether a type holds a reference or a lifetime that may be shorter than the program.
///
/// What a callable takes (`Fn(&str)`) is not held.
pub(crate) fn borrows(tokens: TokenStream) -> bool {
    let mut quote = false;
    let mut callable = false;
    for token in tokens {
        let (was_quote, was_callable) = (quote, callable);
        (quote, callable) = (false, false);
        match token {
            TokenTree::Punct(p) if p.as_char() == '&' => return true,
            TokenTree::Punct(p) => quote = p.as_char() == '\'',
            TokenTree::Ident(ident) if was_quote => {
                if ident != "static" {
                    return true;
                }
            }
            TokenTree::Ident(_) => callable = true,
            TokenTree::Group(g) if was_callable && g.delimiter() == Delimiter::Parenthesis => {}
            TokenTree::Group(group) => {
                if borrows(group.stream()) {
                    return true;
                }
            }
            TokenTree::Literal(_) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn named(tokens: TokenStream) -> Vec<String> {
        names(tokens).into_iter().collect()
    }

    #[test]
    fn members_are_not_mentions() {
        assert_eq!(named(quote!(self.cache.of(tenant))), ["self", "tenant"]);
        assert_eq!(named(quote!(a..b)), ["a", "b"]);
        assert_eq!(named(quote!(pick!(x.y, z))), ["pick", "x", "z"]);
    }

    #[test]
    fn lifetimes_are_mentions_of_their_own() {
        assert_eq!(named(quote!(&'a Page<T>)), ["'a", "Page", "T"]);
    }

    #[test]
    fn a_type_borrows_by_reference_or_lifetime() {
        for borrowing in [
            quote!(Option<&str>),
            quote!(Cow<'_, str>),
            quote!((u8, &[u8])),
            quote!(Ctx<'a>),
        ] {
            assert!(borrows(borrowing.clone()), "{borrowing}");
        }
        for owned in [
            quote!(u64),
            quote!(Cow<'static, str>),
            quote!(impl Fn(&str) -> String),
            quote!((u8, Vec<u8>)),
        ] {
            assert!(!borrows(owned.clone()), "{owned}");
        }
    }
}
