//! What was written between the parentheses of `#[cached(...)]`.
//!
//! Checks what one setting can be checked for by itself. Must not: look at the function.

use crate::period;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use std::collections::BTreeSet;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Expr, ExprArray, ExprLit, Ident, Lit, LitStr, Token, parenthesized};

/// The settings, as written.
#[derive(Default)]
pub(crate) struct Attr {
    pub(crate) key: Option<LitStr>,
    pub(crate) namespace: Option<LitStr>,
    pub(crate) tags: Vec<LitStr>,
    pub(crate) cache: Option<Expr>,
    pub(crate) condition: Option<Expr>,
    pub(crate) skip: Vec<Ident>,
    /// An expression of type `Duration`.
    pub(crate) cache_err: Option<TokenStream>,
    pub(crate) associated: Option<Span>,
    /// What goes into the policy, in the order written.
    pub(crate) policy: Vec<Setting>,
}

/// One setting of the policy: the builder's method and its argument.
pub(crate) struct Setting {
    pub(crate) name: Ident,
    pub(crate) value: TokenStream,
}

impl Setting {
    /// Whether it says how a stored value is read, so that reading without loading needs it too.
    pub(crate) fn is_about_bytes(&self) -> bool {
        self.name == "codec" || self.name == "schema"
    }
}

const VALID: &str = "key, namespace, skip(...), tags, cache, condition, ttl, stale, negative_ttl, \
                     soft_timeout, hard_timeout, lease, early, jitter, codec, schema, \
                     stale_on_error, cache_err, associated";

impl Parse for Attr {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut attr = Attr::default();
        let mut seen = BTreeSet::new();
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            if !seen.insert(name.to_string()) {
                return Err(error(&name, format!("`{name}` is set twice")));
            }
            attr.setting(name, input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        attr.agree(&seen)?;
        Ok(attr)
    }
}

impl Attr {
    fn setting(&mut self, name: Ident, input: ParseStream<'_>) -> syn::Result<()> {
        match name.to_string().as_str() {
            "key" => self.key = Some(text(&name, input)?),
            "namespace" => self.namespace = Some(plain(&text(&name, input)?)?),
            "tags" => self.tags = texts(&value(&name, input)?)?,
            "cache" => self.cache = Some(value(&name, input)?),
            "condition" => self.condition = Some(value(&name, input)?),
            "skip" => self.skip = list(&name, input)?,
            "cache_err" => self.cache_err = Some(period::tokens(&value(&name, input)?)?),
            "associated" => self.associated = Some(name.span()),
            "ttl" | "stale" | "negative_ttl" | "soft_timeout" | "hard_timeout" | "lease" => {
                let value = period::tokens(&value(&name, input)?)?;
                self.policy.push(Setting { name, value });
            }
            "early" | "jitter" => {
                let value = number(&name, &value(&name, input)?)?;
                self.policy.push(Setting { name, value });
            }
            "codec" | "schema" | "stale_on_error" => {
                let value = value(&name, input)?.into_token_stream();
                self.policy.push(Setting { name, value });
            }
            _ => {
                let message = format!("`{name}` is not a setting of #[cached] (valid: {VALID})");
                return Err(error(&name, message));
            }
        }
        Ok(())
    }

    /// Settings that contradict each other.
    fn agree(&self, seen: &BTreeSet<String>) -> syn::Result<()> {
        if let (Some(key), Some(skipped)) = (&self.key, self.skip.first()) {
            let message = format!(
                "`skip` has no meaning beside `key = {:?}`, which names its arguments itself",
                key.value()
            );
            return Err(error(skipped, message));
        }
        for (name, why) in [
            (
                "stale_on_error",
                "keeps the value when a load fails, `cache_err` replaces it",
            ),
            (
                "negative_ttl",
                "is for a stored `None`, and `cache_err` stores the whole `Result`",
            ),
        ] {
            if let Some(setting) = self.policy.iter().find(|s| s.name == name)
                && seen.contains("cache_err")
            {
                return Err(error(&setting.name, format!("`{name}` {why}: choose one")));
            }
        }
        Ok(())
    }
}

fn error(name: &Ident, message: impl std::fmt::Display) -> syn::Error {
    syn::Error::new(name.span(), message)
}

fn value(name: &Ident, input: ParseStream<'_>) -> syn::Result<Expr> {
    if !input.peek(Token![=]) {
        return Err(error(
            name,
            format!("`{name}` needs a value: `{name} = ...`"),
        ));
    }
    input.parse::<Token![=]>()?;
    input.parse()
}

fn text(name: &Ident, input: ParseStream<'_>) -> syn::Result<LitStr> {
    let value = value(name, input)?;
    literal(&value).ok_or_else(|| {
        syn::Error::new(
            value.span(),
            format!("`{name}` is text in quotes, known while compiling"),
        )
    })
}

fn literal(value: &Expr) -> Option<LitStr> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.clone()),
        _ => None,
    }
}

fn texts(value: &Expr) -> syn::Result<Vec<LitStr>> {
    let wrong = |at: &Expr| {
        let message = "expected a list of texts: `tags = [\"user:{id}\", \"users\"]`; a tag that \
                       only the load knows is added inside it by `shelflife::current_load()`";
        syn::Error::new(at.span(), message)
    };
    let Expr::Array(ExprArray { elems, .. }) = value else {
        return Err(wrong(value));
    };
    elems
        .iter()
        .map(|element| literal(element).ok_or_else(|| wrong(element)))
        .collect()
}

fn plain(text: &LitStr) -> syn::Result<LitStr> {
    let value = text.value();
    if value.is_empty() || value.contains(['{', '}']) {
        let message = "`namespace` is plain text, such as \"users\": not empty, no placeholders";
        return Err(syn::Error::new(text.span(), message));
    }
    Ok(text.clone())
}

fn list(name: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    if !input.peek(syn::token::Paren) {
        return Err(error(name, "`skip` names arguments: `skip(db, token)`"));
    }
    let inside;
    parenthesized!(inside in input);
    let names = Punctuated::<Ident, Token![,]>::parse_terminated(&inside)?;
    Ok(names.into_iter().collect())
}

/// An `f64`: a literal of either kind, or an expression.
fn number(name: &Ident, value: &Expr) -> syn::Result<TokenStream> {
    let literal: f64 = match value {
        Expr::Lit(ExprLit {
            lit: Lit::Int(n), ..
        }) => n.base10_parse()?,
        Expr::Lit(ExprLit {
            lit: Lit::Float(n), ..
        }) => n.base10_parse()?,
        Expr::Lit(_) => {
            return Err(syn::Error::new(
                value.span(),
                format!("`{name}` is a number"),
            ));
        }
        _ => return Ok(quote!(#value)),
    };
    if name == "jitter" && literal > 1.0 {
        let message = "`jitter` is a share of the ttl, from 0 to 1";
        return Err(syn::Error::new(value.span(), message));
    }
    Ok(quote_spanned!(value.span()=> #literal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn parsed(tokens: TokenStream) -> Result<Attr, String> {
        syn::parse2(tokens).map_err(|e| e.to_string())
    }

    fn refusal(tokens: TokenStream) -> String {
        match parsed(tokens.clone()) {
            Err(why) => why,
            Ok(_) => panic!("accepted: {tokens}"),
        }
    }

    #[test]
    fn settings_are_taken_as_written() {
        let attr = parsed(quote!(
            ttl = "5m",
            early = 1,
            tags = ["a", "b:{id}"],
            namespace = "n",
            skip(db, token),
            cache = self.cache,
            cache_err = "10s",
        ))
        .expect("valid");
        let names: Vec<_> = attr.policy.iter().map(|s| s.name.to_string()).collect();
        assert_eq!(names, ["ttl", "early"]);
        assert_eq!(attr.policy[1].value.to_string(), "1f64");
        assert_eq!(attr.tags.len(), 2);
        assert_eq!(attr.skip, ["db", "token"]);
        assert!(attr.cache.is_some() && attr.cache_err.is_some());
        assert!(attr.key.is_none() && attr.condition.is_none());
    }

    #[test]
    fn nothing_at_all_is_valid() {
        assert!(parsed(quote!()).is_ok());
    }

    #[test]
    fn a_wrong_setting_is_named_with_what_would_be_valid() {
        for (tokens, part) in [
            (
                quote!(tll = "5m"),
                "`tll` is not a setting of #[cached] (valid: key,",
            ),
            (quote!(ttl = "5m", ttl = "6m"), "`ttl` is set twice"),
            (quote!(ttl), "`ttl` needs a value"),
            (quote!(ttl = "5 parsecs"), "` parsecs` is not a unit"),
            (quote!(key = id), "`key` is text in quotes"),
            (quote!(tags = "users"), "expected a list of texts"),
            (quote!(tags = [users]), "expected a list of texts"),
            (quote!(namespace = "a{b}"), "plain text"),
            (quote!(skip = db), "`skip` names arguments"),
            (
                quote!(key = "a", skip(db)),
                "no meaning beside `key = \"a\"`",
            ),
            (quote!(jitter = 2.5), "from 0 to 1"),
            (quote!(early = "much"), "`early` is a number"),
            (quote!(stale_on_error = true, cache_err = 1), "choose one"),
        ] {
            let why = refusal(tokens);
            assert!(why.contains(part), "{why}");
        }
    }
}
