//! Patterns: globs over canonical key text.
//!
//! `*` matches any run of characters, `?` one, `[abc]`, `[a-z]` and `[^a]` one of a set; `\` takes the
//! next character as it is. One matcher decides everywhere (in L1, in memory, in a scan), so a store's
//! own idea of globs never matters. A pattern that is one level followed by `*` (`users:*`), and `*`
//! alone, are tags: they cost O(1) instead of a scan.

use std::fmt;
use std::sync::Arc;

use crate::key::{Key, ROOT_TAG, Tag};

/// A glob over keys. Cheap to clone.
///
/// To put text of a user into a pattern, escape it with [`Pattern::escape`], or it may widen it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern(Arc<str>);

impl Pattern {
    /// A pattern from glob text.
    ///
    /// What canonical text never holds bare (spaces, braces, control characters) is escaped as in keys.
    pub fn new(glob: impl AsRef<str>) -> Self {
        let mut text = String::with_capacity(glob.as_ref().len());
        for c in glob.as_ref().chars() {
            match c {
                '\0'..=' ' | '\x7f' | '{' | '}' => text.push_str(&format!("%{:02X}", c as u32)),
                c => text.push(c),
            }
        }
        Self(text.into())
    }

    /// `text` as a pattern that matches just the key of that text.
    pub fn escape(text: &str) -> String {
        // Canonical text holds no glob character, so it matches itself.
        Key::from(text).as_str().to_owned()
    }

    /// The glob text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag that stands for this pattern, if it is one level and `*`, or `*` alone.
    pub(crate) fn as_tag(&self) -> Option<Tag> {
        let glob = &*self.0;
        if glob == ROOT_TAG {
            return Some(Tag::root());
        }
        let head = glob.strip_suffix(":*")?;
        let plain = !head.contains([':', '*', '?', '[', ']', '\\']);
        plain.then(|| Tag::from_canonical(glob))
    }

    /// The text that every match begins with.
    pub(crate) fn literal_prefix(&self) -> &str {
        let end = self.0.find(['*', '?', '[', '\\']).unwrap_or(self.0.len());
        &self.0[..end]
    }

    /// Whether the canonical text `key` matches.
    pub fn matches(&self, key: &str) -> bool {
        glob_matches(self.0.as_bytes(), key.as_bytes())
    }
}

impl From<&str> for Pattern {
    fn from(glob: &str) -> Self {
        Self::new(glob)
    }
}

impl From<String> for Pattern {
    fn from(glob: String) -> Self {
        Self::new(glob)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", &*self.0)
    }
}

/// Linear in the text for each `*`: on a mismatch only the last `*` is tried again, one character on.
fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if glob.get(g) == Some(&b'*') {
            retry = Some((g + 1, t));
            g += 1;
            continue;
        }
        if let Some((next_g, next_t)) = one(glob, g, text, t) {
            (g, t) = (next_g, next_t);
            continue;
        }
        let Some((after_star, from)) = retry else {
            return false;
        };
        let on = from + char_len(text, from);
        retry = Some((after_star, on));
        (g, t) = (after_star, on);
    }
    glob[g..].iter().all(|&c| c == b'*')
}

/// Matches one character of the text; gives the positions after it.
fn one(glob: &[u8], g: usize, text: &[u8], t: usize) -> Option<(usize, usize)> {
    match *glob.get(g)? {
        b'?' => Some((g + 1, t + char_len(text, t))),
        b'[' => {
            let Class {
                end,
                negated,
                ranges,
            } = class(glob, g)?;
            let len = char_len(text, t);
            let c = decode(&text[t..t + len])?;
            let inside = ranges.iter().any(|&(low, high)| (low..=high).contains(&c));
            (inside != negated).then_some((end, t + len))
        }
        b'\\' if g + 1 < glob.len() => (glob[g + 1] == text[t]).then_some((g + 2, t + 1)),
        c => (c == text[t]).then_some((g + 1, t + 1)),
    }
}

/// A set of characters in a glob.
struct Class {
    /// The position after it.
    end: usize,
    negated: bool,
    ranges: Vec<(char, char)>,
}

/// Reads `[...]` at `g`. A class that is not closed matches nothing.
fn class(glob: &[u8], g: usize) -> Option<Class> {
    let body = std::str::from_utf8(&glob[g + 1..]).ok()?;
    let mut chars = body.char_indices().peekable();
    let negated = chars.next_if(|&(_, c)| c == '^').is_some();
    let mut ranges = Vec::new();
    while let Some((at, c)) = chars.next() {
        let low = match c {
            ']' => {
                return Some(Class {
                    end: g + 1 + at + 1,
                    negated,
                    ranges,
                });
            }
            '\\' => chars.next()?.1,
            c => c,
        };
        let mut rest = chars.clone();
        let is_range = matches!(rest.next(), Some((_, '-')))
            && matches!(rest.next(), Some((_, c)) if c != ']');
        if is_range {
            chars.next();
            let (_, high) = chars.next()?;
            ranges.push((low.min(high), low.max(high)));
        } else {
            ranges.push((low, low));
        }
    }
    None
}

fn char_len(text: &[u8], at: usize) -> usize {
    let len = match text[at] {
        0..=0xbf => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    len.min(text.len() - at)
}

fn decode(bytes: &[u8]) -> Option<char> {
    std::str::from_utf8(bytes).ok()?.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn globs_match_as_documented() {
        let yes = [
            ("*", ""),
            ("*", "a:b"),
            ("users:*", "users:"),
            ("users:*:orders", "users:4:2:orders"),
            ("a?c", "abc"),
            ("a?c", "aéc"),
            ("[a-c]x", "bx"),
            ("[^a-c]x", "dx"),
            ("[a-]", "-"),
            ("\\*", "*"),
            ("**a**", "za"),
            ("[é]x", "éx"),
            ("a*b*c", "aXbXbc"),
            ("[\\]]", "]"),
        ];
        let no = [
            ("", "a"),
            ("users:*", "user:1"),
            ("a?c", "ac"),
            ("[a-c]", "d"),
            ("[^a]", "a"),
            ("[abc", "a"),
            ("a*b", "abc"),
            ("\\*", "a"),
            ("?", "ab"),
        ];
        for (glob, text) in yes {
            assert!(
                Pattern::new(glob).matches(text),
                "{glob} should match {text}"
            );
        }
        for (glob, text) in no {
            assert!(
                !Pattern::new(glob).matches(text),
                "{glob} should not match {text}"
            );
        }
    }

    #[test]
    fn a_level_and_everything_are_tags() {
        let tag = |glob| Pattern::new(glob).as_tag().map(|t| t.to_string());
        assert_eq!(tag("*").as_deref(), Some("*"));
        assert_eq!(tag("users:*").as_deref(), Some("users:*"));
        for glob in [
            "users:4*",
            "users:42:*",
            "u*:*",
            "users*",
            "",
            "[u]:*",
            "a\\:*",
        ] {
            assert_eq!(tag(glob), None, "{glob}");
        }
    }

    #[test]
    fn a_pattern_finds_keys_that_were_escaped() {
        for (glob, key) in [
            ("a b:*", "a b:1"),
            ("{q}:*", "{q}:1"),
            ("x:a b*", "x:a bc"),
            ("\n*", "\n"),
        ] {
            assert!(
                Pattern::new(glob).matches(Key::from(key).as_str()),
                "{glob}"
            );
        }
    }

    #[test]
    fn user_text_does_not_widen_a_pattern() {
        let pattern = Pattern::new(format!("users:{}:*", Pattern::escape("*")));
        assert!(!pattern.matches("users:42:orders"));
        assert!(pattern.matches(Key::from("users:*:orders").as_str()));
    }

    proptest! {
        #[test]
        fn never_panics_and_a_key_matches_its_own_escape(glob in ".{0,20}", text in ".{0,20}") {
            let _ = Pattern::new(&glob).matches(&text);
            let key = Key::from(text.as_str());
            prop_assert!(Pattern::new(Pattern::escape(&text)).matches(key.as_str()));
        }

        #[test]
        fn a_match_begins_with_the_literal_prefix(glob in "[ab*?\\[\\]^\\\\-]{0,8}", text in "[ab]{0,8}") {
            let pattern = Pattern::new(&glob);
            if pattern.matches(&text) {
                prop_assert!(text.starts_with(pattern.literal_prefix()));
            }
        }
    }
}
