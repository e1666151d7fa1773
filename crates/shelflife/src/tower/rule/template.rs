//! Tags as a rule writes them: literal text, and `{name}` for what a placeholder of the path took.
//!
//! What was taken is decoded, then escaped as the part of a key is: `/users/4%3A2` has the tag `user:4%3A2`, never
//! `user:4:2`. In code that is `KeyTemplate::new().literal("user:").part("4:2").finish_tag()`.

use crate::error::{Error, ErrorKind};
use crate::key::{KeyTemplate, Tag};

use super::path::{PathPattern, decode};

/// A compiled template.
#[derive(Clone, Debug)]
pub(crate) struct TagTemplate(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Fixed(Tag),
    Made(Box<[Piece]>),
}

#[derive(Clone, Debug)]
enum Piece {
    Literal(Box<str>),
    Taken(Box<str>),
}

impl TagTemplate {
    /// Reads a template for paths of this pattern; `None`: the rule is for every path, so nothing is taken.
    pub(crate) fn parse(text: &str, pattern: Option<&PathPattern>) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(bad(text, "a name"));
        }
        let pieces = pieces(text)?;
        let names: Vec<&str> = pattern.into_iter().flat_map(PathPattern::names).collect();
        for piece in &pieces {
            if let Piece::Taken(name) = piece
                && !names.contains(&&**name)
            {
                return Err(bad(text, &known(name, &names)));
            }
        }
        if let [Piece::Literal(whole)] = &*pieces {
            return Ok(Self(Kind::Fixed(Tag::from(&**whole))));
        }
        Ok(Self(Kind::Made(pieces.into())))
    }

    /// The tag for a path that the pattern matches.
    pub(crate) fn tag(&self, pattern: Option<&PathPattern>, path: &str) -> Tag {
        match &self.0 {
            Kind::Fixed(tag) => tag.clone(),
            Kind::Made(pieces) => pieces
                .iter()
                .fold(KeyTemplate::new(), |made, piece| match piece {
                    Piece::Literal(text) => made.literal(text),
                    Piece::Taken(name) => {
                        let taken = pattern.and_then(|pattern| pattern.taken(path, name));
                        made.part(&*decode(taken.unwrap_or_default()))
                    }
                })
                .finish_tag(),
        }
    }
}

/// `{{` and `}}` stand for braces, as in patterns.
fn pieces(text: &str) -> Result<Vec<Piece>, Error> {
    let valid = "\"{name}\" for a placeholder of the path; {{ and }} stand for braces";
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let doubled = chars.as_str().starts_with(c);
        match c {
            '{' | '}' if doubled => {
                chars.next();
                literal.push(c);
            }
            '{' => {
                let rest = chars.as_str();
                let (name, after) = rest.split_once('}').ok_or_else(|| bad(text, valid))?;
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
                }
                pieces.push(Piece::Taken(name.into()));
                chars = after.chars();
            }
            '}' => return Err(bad(text, valid)),
            c => literal.push(c),
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal.into()));
    }
    Ok(pieces)
}

fn known(name: &str, names: &[&str]) -> String {
    if names.is_empty() {
        return format!("no {{{name}}}: the rule's path has no placeholders");
    }
    let names: Vec<String> = names.iter().map(|name| format!("{{{name}}}")).collect();
    format!("{} instead of {{{name}}}", names.join(" or "))
}

fn bad(text: &str, valid: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("not a tag: {text:?}; expected {valid}"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tag(template: &str, pattern: &str, path: &str) -> String {
        let pattern = PathPattern::parse(pattern).unwrap();
        TagTemplate::parse(template, Some(&pattern))
            .unwrap()
            .tag(Some(&pattern), path)
            .to_string()
    }

    #[test]
    fn tags_take_decoded_and_escaped_parts_of_the_path() {
        for (template, pattern, path, expected) in [
            ("users", "/users", "/users", "users"),
            ("user:{id}", "/users/{id}", "/users/42", "user:42"),
            ("user:{id}", "/users/{id}", "/users/a%20b", "user:a%20b"),
            // A colon in what was taken is no level.
            ("user:{id}", "/users/{id}", "/users/4:2", "user:4%3A2"),
            ("user:{id}", "/users/{id}", "/users/4%3A2", "user:4%3A2"),
            ("user:{id}", "/users/{id}", "/users/%2A", "user:%2A"),
            ("{a}:{b}", "/{a}/{b}", "/1/2", "1:2"),
            ("{a}{a}", "/{a}", "/x", "xx"),
            ("file:{rest}", "/f/{*rest}", "/f/a/b%2Fc", "file:a/b/c"),
            ("{{x}}", "/{x}", "/1", "%7Bx%7D"),
            ("{{{x}}}", "/{x}", "/1", "%7B1%7D"),
        ] {
            assert_eq!(tag(template, pattern, path), expected, "{template} {path}");
        }
    }

    #[test]
    fn a_tag_of_the_path_is_the_tag_that_code_makes_of_the_same_value() {
        let made = KeyTemplate::new().literal("user:").part("4:2").finish_tag();
        assert_eq!(tag("user:{id}", "/users/{id}", "/users/4:2"), made.as_str());
    }

    #[test]
    fn bad_templates_are_told_with_what_would_be_valid() {
        let pattern = PathPattern::parse("/users/{id}/{order}").unwrap();
        for (template, hint) in [
            ("user:{uid}", "{id} or {order} instead of {uid}"),
            ("user:{}", "{id} or {order} instead of {}"),
            ("user:{id", "\"{name}\" for a placeholder"),
            ("user:id}", "\"{name}\" for a placeholder"),
            ("", "a name"),
        ] {
            let told = TagTemplate::parse(template, Some(&pattern))
                .unwrap_err()
                .to_string();
            assert!(told.contains(&format!("{template:?}")), "{told}");
            assert!(told.contains(hint), "{told} should say {hint}");
        }
        let told = TagTemplate::parse("user:{id}", None)
            .unwrap_err()
            .to_string();
        assert!(told.contains("no placeholders"), "{told}");
    }

    proptest! {
        #[test]
        fn two_values_never_share_a_tag(a in "[^/%]{1,8}", b in "[^/%]{1,8}") {
            let tag = |id: &str| tag("user:{id}", "/u/{id}", &format!("/u/{id}"));
            prop_assert_eq!(a == b, tag(&a) == tag(&b));
        }

        #[test]
        fn no_template_panics(template in ".{0,20}", path in ".{0,20}") {
            let pattern = PathPattern::parse("/{a}/{*b}").unwrap();
            if let Ok(template) = TagTemplate::parse(&template, Some(&pattern)) {
                let _ = template.tag(Some(&pattern), &path);
            }
        }
    }
}
