//! What was written, joined with what it was written on, and checked as a whole.
//!
//! After this nothing can fail: `expand` only writes down. Must not: emit code.

use crate::attr::{Attr, Setting};
use crate::function::Function;
use crate::mention;
use crate::template::{Piece, Scope, Template};
use proc_macro2::TokenStream;
use quote::ToTokens as _;
use std::collections::BTreeSet;
use syn::ext::IdentExt as _;
use syn::{Expr, Ident};

/// A function to be cached and how.
pub(crate) struct Model {
    pub(crate) function: Function,
    pub(crate) key: Template,
    pub(crate) tags: Vec<Template>,
    pub(crate) cache: Option<Expr>,
    pub(crate) condition: Option<Expr>,
    pub(crate) policy: Vec<Setting>,
    pub(crate) cache_err: Option<TokenStream>,
    /// Whether the function is called through `Self::`.
    pub(crate) in_impl: bool,
}

impl Model {
    pub(crate) fn new(attr: Attr, function: Function) -> syn::Result<Self> {
        let in_impl = in_impl(&attr, &function)?;
        let scope = scope(&function);
        let tags = attr.tags.iter().map(|tag| Template::parse(tag, &scope));
        Ok(Model {
            key: key(&attr, &function, &scope, in_impl)?,
            tags: tags.collect::<syn::Result<_>>()?,
            cache: attr.cache,
            condition: attr.condition,
            policy: attr.policy,
            cache_err: attr.cache_err,
            in_impl,
            function,
        })
    }

    /// The names that finding the entry takes: the key's and the cache's.
    pub(crate) fn entry_mentions(&self) -> BTreeSet<String> {
        let mut names = self.key.mentions();
        names.extend(mention::names(self.cache.to_token_stream()));
        names
    }

    /// The names that the attribute mentions anywhere.
    pub(crate) fn mentions(&self) -> BTreeSet<String> {
        let mut names = self.entry_mentions();
        names.extend(self.tags.iter().flat_map(Template::mentions));
        let values = self.policy.iter().map(|setting| &setting.value);
        let values = values.chain(&self.cache_err).cloned();
        let code = values.chain([self.condition.to_token_stream()]);
        names.extend(mention::names(code.collect()));
        names
    }
}

fn scope(function: &Function) -> Scope {
    let args = function.args.iter().map(|arg| arg.ident.to_string());
    let constants = function.constants().map(Ident::to_string);
    Scope {
        names: args.chain(constants).collect(),
        has_self: function.receiver.is_some(),
    }
}

/// Functions of an `impl` block are called through `Self::`; without `self`, only their author knows.
fn in_impl(attr: &Attr, function: &Function) -> syn::Result<bool> {
    match (attr.associated, function.receiver) {
        (Some(at), Some(_)) => {
            let message = "`associated` is for functions without `self`; this one has it";
            Err(syn::Error::new(at, message))
        }
        (None, None) if function.says_self() => {
            let message = "a function of an `impl` block that takes no `self` is not told from a \
                           free one: say `#[cached(associated, ...)]`";
            Err(syn::Error::new(function.sig.ident.span(), message))
        }
        (associated, receiver) => Ok(associated.is_some() || receiver.is_some()),
    }
}

fn key(attr: &Attr, function: &Function, scope: &Scope, in_impl: bool) -> syn::Result<Template> {
    let prefix = attr
        .namespace
        .as_ref()
        .map(|text| format!("{}:", text.value()));
    if let Some(literal) = &attr.key {
        let mut key = Template::parse(literal, scope)?;
        if key.pieces.is_empty() {
            return Err(syn::Error::new(literal.span(), "`key` is empty"));
        }
        key.tells_parts_apart(literal.span())?;
        key.pieces.splice(..0, prefix.map(Piece::Literal));
        return Ok(key);
    }
    let name = function.sig.ident.unraw();
    let home = match prefix {
        Some(prefix) => Piece::Literal(format!("{prefix}{name}")),
        None if in_impl => {
            let message = "a method's type is unknown to the attribute, so it can't name the \
                           entries of this one: say `key = \"...\"` or `namespace = \"...\"`";
            return Err(syn::Error::new(function.sig.ident.span(), message));
        }
        None => Piece::Home(name.to_string()),
    };
    Ok(every_argument(home, &unkeyed(attr, function)?, function))
}

/// `home(id:name)`: the parenthesis keeps a function apart from a module of its name.
fn every_argument(home: Piece, unkeyed: &BTreeSet<String>, function: &Function) -> Template {
    let args = function.args.iter().map(|arg| &arg.ident);
    let mut pieces = vec![home];
    let mut separator = "(";
    for part in args.chain(function.constants()) {
        if !unkeyed.contains(&part.to_string()) {
            pieces.push(Piece::Literal(separator.to_owned()));
            pieces.push(Piece::Part(syn::parse_quote!(#part)));
            separator = ":";
        }
    }
    let end = if separator == "(" { "()" } else { ")" };
    pieces.push(Piece::Literal(end.to_owned()));
    Template { pieces }
}

/// Arguments that are no part of a key made of arguments: those skipped, and the cache itself.
fn unkeyed(attr: &Attr, function: &Function) -> syn::Result<BTreeSet<String>> {
    let mut unkeyed = BTreeSet::new();
    for name in &attr.skip {
        if !function.args.iter().any(|arg| arg.ident == *name) {
            let message = format!("`{name}` is not an argument of this function");
            return Err(syn::Error::new(name.span(), message));
        }
        unkeyed.insert(name.to_string());
    }
    unkeyed.extend(attr.cache.as_ref().and_then(holder));
    Ok(unkeyed)
}

/// The argument that a cache comes from: `state` in `&state.cache`.
fn holder(cache: &Expr) -> Option<String> {
    match cache {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        Expr::Field(field) => holder(&field.base),
        Expr::Reference(reference) => holder(&reference.expr),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn model(attr: TokenStream, item: TokenStream) -> Result<Model, String> {
        let attr = syn::parse2(attr).expect("a valid attribute");
        let function = syn::parse2(item).expect("a valid function");
        Model::new(attr, function).map_err(|e| e.to_string())
    }

    fn key_of(attr: TokenStream, item: TokenStream) -> String {
        let pieces = model(attr, item).expect("valid").key.pieces;
        let shown = pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Home(name) => format!("<home>{name}"),
            Piece::Part(expr) => format!("{{{}}}", expr.to_token_stream()),
        });
        shown.collect()
    }

    fn find() -> TokenStream {
        quote!(
            async fn find(db: &Db, id: u64, lang: &str) -> u8 {
                0
            }
        )
    }

    #[test]
    fn a_key_is_what_was_named_or_all_that_was_not_skipped() {
        assert_eq!(key_of(quote!(key = "user:{id}"), find()), "user:{id}");
        assert_eq!(
            key_of(quote!(key = "user:{id}", namespace = "app"), find()),
            "app:user:{id}"
        );
        assert_eq!(key_of(quote!(skip(db)), find()), "<home>find({id}:{lang})");
        assert_eq!(
            key_of(quote!(skip(db), namespace = "users"), find()),
            "users:find({id}:{lang})"
        );
        assert_eq!(
            key_of(
                quote!(),
                quote!(
                    async fn all<const N: usize>() -> u8 {
                        0
                    }
                )
            ),
            "<home>all({N})"
        );
        assert_eq!(
            key_of(
                quote!(),
                quote!(
                    async fn all() -> u8 {
                        0
                    }
                )
            ),
            "<home>all()"
        );
    }

    #[test]
    fn the_cache_is_no_part_of_the_key() {
        assert_eq!(
            key_of(quote!(cache = db), find()),
            "<home>find({id}:{lang})"
        );
        assert_eq!(
            key_of(quote!(cache = &db.cache), find()),
            "<home>find({id}:{lang})"
        );
    }

    #[test]
    fn an_entry_takes_what_key_and_cache_mention() {
        let model = model(quote!(key = "{id}", cache = db.cache), find()).expect("valid");
        assert_eq!(Vec::from_iter(model.entry_mentions()), ["db", "id"]);
    }

    #[test]
    fn what_does_not_fit_the_function_is_refused() {
        let method = || {
            quote!(
                async fn find(&self, id: u64) -> u8 {
                    0
                }
            )
        };
        let own = || {
            quote!(
                async fn find(id: u64) -> Self {
                    Self(id)
                }
            )
        };
        for (attr, item, part) in [
            (quote!(), method(), "say `key = \"...\"` or `namespace"),
            (
                quote!(associated),
                own(),
                "say `key = \"...\"` or `namespace",
            ),
            (
                quote!(key = "{id}"),
                own(),
                "say `#[cached(associated, ...)]`",
            ),
            (
                quote!(associated, key = "{id}"),
                method(),
                "for functions without `self`",
            ),
            (quote!(skip(dbx)), find(), "`dbx` is not an argument"),
            (quote!(key = ""), find(), "`key` is empty"),
            (quote!(key = "{id}{lang}"), find(), "put a `:` between them"),
            (
                quote!(key = "{self.id}"),
                find(),
                "this function has no `self`",
            ),
            (
                quote!(key = "a", tags = ["{x}"]),
                find(),
                "it has `db`, `id`, `lang`",
            ),
        ] {
            let why = model(attr.clone(), item).err().unwrap_or_default();
            assert!(why.contains(part), "{attr}: {why}");
        }
        assert!(model(quote!(associated, namespace = "n"), own()).is_ok());
    }
}
