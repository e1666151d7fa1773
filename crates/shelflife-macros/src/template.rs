//! `"user:{id}"`: literal text and placeholders.
//!
//! A placeholder is an expression whose base is an argument, `self` or a const parameter. Must not:
//! escape anything; that is `KeyTemplate`'s, at run time.

use crate::mention;
use proc_macro2::{Span, TokenStream};
use quote::ToTokens as _;
use std::collections::BTreeSet;
use syn::{Expr, LitStr};

/// A key's or a tag's text, taken apart.
pub(crate) struct Template {
    pub(crate) pieces: Vec<Piece>,
}

pub(crate) enum Piece {
    /// Text of the program.
    Literal(String),
    /// The function's module path, `::` and this text: where a key begins that nobody named.
    Home(String),
    /// A value at run time.
    Part(Expr),
}

/// What a placeholder may begin with.
pub(crate) struct Scope {
    /// Arguments and const parameters, in the order of the signature.
    pub(crate) names: Vec<String>,
    pub(crate) has_self: bool,
}

impl Template {
    /// Takes a literal apart.
    ///
    /// # Errors
    ///
    /// Unbalanced braces, and placeholders that are no such expression or begin with a name that is
    /// not in scope. All point at the literal and quote the placeholder.
    pub(crate) fn parse(literal: &LitStr, scope: &Scope) -> syn::Result<Self> {
        let pieces = split(&literal.value())
            .map_err(|why| syn::Error::new(literal.span(), why))?
            .into_iter()
            .map(|raw| match raw {
                Raw::Text(text) => Ok(Piece::Literal(text)),
                Raw::Placeholder(text) => scope.part(&text, literal.span()).map(Piece::Part),
            })
            .collect::<syn::Result<_>>()?;
        Ok(Template { pieces })
    }

    /// Refuses what would let two argument lists share a key.
    ///
    /// A part never writes a bare colon, so a colon between two of them tells them apart; nothing
    /// else does (`{a}{b}` and `{a}-{b}` are ambiguous for texts).
    pub(crate) fn tells_parts_apart(&self, at: Span) -> syn::Result<()> {
        let mut before: Option<&Expr> = None;
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) if text.contains(':') => before = None,
                Piece::Literal(_) | Piece::Home(_) => {}
                Piece::Part(part) => {
                    if let Some(before) = before {
                        let message = format!(
                            "`{{{}}}` and `{{{}}}` would run together: two lists of arguments \
                             could share a key; put a `:` between them",
                            before.to_token_stream(),
                            part.to_token_stream()
                        );
                        return Err(syn::Error::new(at, message));
                    }
                    before = Some(part);
                }
            }
        }
        Ok(())
    }

    /// The names that its placeholders mention.
    pub(crate) fn mentions(&self) -> BTreeSet<String> {
        let parts = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Part(part) => Some(part.to_token_stream()),
            Piece::Literal(_) | Piece::Home(_) => None,
        });
        mention::names(parts.collect::<TokenStream>())
    }
}

impl Scope {
    fn part(&self, text: &str, span: Span) -> syn::Result<Expr> {
        let wrong = |why: &str| syn::Error::new(span, format!("`{{{text}}}` {why}"));
        if text.trim().is_empty() {
            return Err(wrong(&format!("is empty: name {}", self.listed())));
        }
        let part: Expr = LitStr::new(text, span)
            .parse()
            .map_err(|why| wrong(&format!("is not an expression: {why}")))?;
        let Some(base) = base(&part) else {
            return Err(wrong("is not an argument with fields and method calls"));
        };
        if base == "self" && !self.has_self {
            return Err(wrong("needs a method: this function has no `self`"));
        }
        if base != "self" && !self.names.contains(&base) {
            return Err(wrong(&format!(
                "names no argument of this function: it has {}",
                self.listed()
            )));
        }
        Ok(part)
    }

    fn listed(&self) -> String {
        let own = self.has_self.then_some("self");
        let names: Vec<_> = own
            .into_iter()
            .chain(self.names.iter().map(String::as_str))
            .map(|name| format!("`{name}`"))
            .collect();
        if names.is_empty() {
            return "none".to_owned();
        }
        names.join(", ")
    }
}

/// The name that an expression's fields and calls hang on.
fn base(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        Expr::Field(field) => base(&field.base),
        Expr::MethodCall(call) => base(&call.receiver),
        Expr::Index(index) => base(&index.expr),
        _ => None,
    }
}

enum Raw {
    Text(String),
    Placeholder(String),
}

fn split(text: &str) -> Result<Vec<Raw>, String> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix(brace) {
            literal.push_str(brace);
            rest = tail;
            continue;
        }
        if brace == "}" {
            return Err(format!(
                "a `}}` without its `{{` in {text:?}; a literal one is `}}}}`"
            ));
        }
        let Some(end) = after.find('}') else {
            return Err(format!(
                "a `{{` without its `}}` in {text:?}; a literal one is `{{{{`"
            ));
        };
        if !literal.is_empty() {
            pieces.push(Raw::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Raw::Placeholder(after[..end].to_owned()));
        rest = &after[end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Raw::Text(literal));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope {
            names: vec!["id".to_owned(), "name".to_owned()],
            has_self: true,
        }
    }

    fn parsed(text: &str) -> Result<Template, String> {
        let literal = LitStr::new(text, Span::call_site());
        Template::parse(&literal, &scope()).map_err(|e| e.to_string())
    }

    fn shown(text: &str) -> Vec<String> {
        let template = parsed(text).expect("valid");
        let shown = template.pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => format!("{text:?}"),
            Piece::Home(name) => format!("home {name}"),
            Piece::Part(expr) => expr.to_token_stream().to_string(),
        });
        shown.collect()
    }

    #[test]
    fn text_and_placeholders_alternate() {
        assert_eq!(shown("users"), ["\"users\""]);
        assert_eq!(shown("user:{id}"), ["\"user:\"", "id"]);
        assert_eq!(
            shown("{self.tenant}:{name.to_lowercase()}!"),
            ["self . tenant", "\":\"", "name . to_lowercase ()", "\"!\""]
        );
        assert_eq!(shown("{{{id}}}"), ["\"{\"", "id", "\"}\""]);
        assert!(shown("").is_empty());
    }

    #[test]
    fn a_wrong_placeholder_is_quoted_with_what_exists() {
        for (text, part) in [
            (
                "user:{idd}",
                "`{idd}` names no argument of this function: it has `self`, `id`, `name`",
            ),
            ("{}", "`{}` is empty: name `self`, `id`, `name`"),
            ("{id:x}", "`{id:x}` is not an expression"),
            ("{1}", "is not an argument with fields"),
            ("{id + 1}", "is not an argument with fields"),
            ("{user::ID}", "is not an argument with fields"),
            ("a{id", "a `{` without its `}`"),
            ("a}b", "a `}` without its `{`"),
        ] {
            let why = parsed(text).err().unwrap_or_default();
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn parts_need_a_colon_between_them() {
        let apart = |text: &str| {
            parsed(text)
                .expect("valid")
                .tells_parts_apart(Span::call_site())
                .is_ok()
        };
        assert!(apart("{id}:{name}") && apart("a{id}x:y{name}") && apart("{id}-"));
        assert!(!apart("{id}{name}") && !apart("{id}-{name}"));
    }

    #[test]
    fn mentions_include_what_method_calls_take() {
        let mentioned = parsed("{id.with(name)}").expect("valid").mentions();
        assert_eq!(Vec::from_iter(mentioned), ["id", "name"]);
    }
}
