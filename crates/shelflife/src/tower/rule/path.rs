//! Path patterns as axum writes them: `/users/{id}`, `/files/{*rest}`, `{{` and `}}` for braces.
//!
//! A pattern is matched on the raw segments of the path, byte for byte: `/a%2Fb` has one segment, and `/%61` is not
//! `/a`. Only what a placeholder took is decoded, by whoever puts it into a tag. Matching allocates nothing.
//!
//! Must not: know what a rule does with a match.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::error::{Error, ErrorKind};

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct PathPattern {
    text: Box<str>,
    segments: Box<[Segment]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    /// One segment that is not empty.
    One(Box<str>),
    /// All that is left of the path, at least a byte: only at the end.
    Rest(Box<str>),
}

impl PathPattern {
    /// Reads a pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let Some(path) = text.strip_prefix('/') else {
            return Err(bad(text, "a path that begins with \"/\""));
        };
        let raw: Vec<&str> = path.split('/').collect();
        let mut segments: Vec<Segment> = Vec::with_capacity(raw.len());
        for (at, part) in raw.iter().enumerate() {
            let segment = segment(text, part)?;
            if matches!(segment, Segment::Rest(_)) && at + 1 < raw.len() {
                return Err(bad(
                    text,
                    &format!("nothing after \"{part}\", which takes the rest of the path"),
                ));
            }
            if let Some(name) = segment.name()
                && segments.iter().any(|known| known.name() == Some(name))
            {
                return Err(bad(
                    text,
                    &format!("each placeholder once; {{{name}}} comes twice"),
                ));
            }
            segments.push(segment);
        }
        Ok(Self {
            text: text.into(),
            segments: segments.into(),
        })
    }

    /// As it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the path is one of the pattern's.
    pub(crate) fn matches(&self, path: &str) -> bool {
        self.walk(path, |_, _| {})
    }

    /// What the placeholder of this name took from a path that matches, as it stands there.
    pub(crate) fn taken<'p>(&self, path: &'p str, name: &str) -> Option<&'p str> {
        let mut taken = None;
        let matches = self.walk(path, |placeholder, text| {
            if placeholder == name {
                taken = Some(text);
            }
        });
        taken.filter(|_| matches)
    }

    /// The placeholders' names, from left to right.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name)
    }

    /// Whether every path that `other` matches is matched by this one too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let mut theirs = other.segments.iter();
        for ours in &self.segments {
            let covered = match (ours, theirs.next()) {
                // An empty rest isn't one: "/" is not "/{*rest}", though "/a/" is.
                (Segment::Rest(_), Some(Segment::Literal(text))) => {
                    return !text.is_empty() || theirs.next().is_some();
                }
                (Segment::Rest(_), Some(_)) => return true,
                (Segment::One(_), Some(Segment::One(_))) => true,
                (Segment::One(_), Some(Segment::Literal(text))) => !text.is_empty(),
                (Segment::Literal(one), Some(Segment::Literal(other))) => one == other,
                _ => false,
            };
            if !covered {
                return false;
            }
        }
        theirs.next().is_none()
    }

    /// Goes along the path, and tells what each placeholder takes. False: it doesn't match.
    fn walk<'p>(&self, path: &'p str, mut took: impl FnMut(&str, &'p str)) -> bool {
        let Some(mut left) = path.strip_prefix('/') else {
            return false;
        };
        let last = self.segments.len().saturating_sub(1);
        for (at, segment) in self.segments.iter().enumerate() {
            if let Segment::Rest(name) = segment {
                took(name, left);
                return !left.is_empty();
            }
            let (here, after) = match left.split_once('/') {
                Some((here, after)) => (here, Some(after)),
                None => (left, None),
            };
            match segment {
                Segment::Literal(text) if **text != *here => return false,
                Segment::One(_) if here.is_empty() => return false,
                Segment::One(name) => took(name, here),
                Segment::Literal(_) | Segment::Rest(_) => {}
            }
            match after {
                None => return at == last,
                Some(after) => left = after,
            }
        }
        false
    }
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::One(name) | Self::Rest(name) => Some(name),
        }
    }
}

/// Whether a segment of the path, once decoded, is `.` or `..`: `/static/..%2Faccount` too.
///
/// An origin may resolve such a path to another resource than the one that a rule has in mind. What is kept under the
/// rule of `/static/{*rest}` would then be the account page of whoever was lured there: web cache deception.
pub(crate) fn has_dot_segment(path: &str) -> bool {
    let escapes = path.contains('%');
    if !escapes && !path.contains("/.") && !path.contains('\\') {
        return false;
    }
    let decoded = if escapes {
        Cow::Owned(decode_bytes(path))
    } else {
        Cow::Borrowed(path.as_bytes())
    };
    decoded
        .split(|byte| matches!(byte, b'/' | b'\\'))
        .any(|segment| {
            // "..;x" is ".." to those who know of path parameters (RFC 3986 §3.3); an escape that was
            // escaped once more is resolved by those who decode twice.
            let name = segment.split(|byte| *byte == b';').next();
            let name = name.unwrap_or_default().to_ascii_lowercase();
            matches!(
                name.as_slice(),
                b"." | b".." | b"%2e" | b"%2e%2e" | b".%2e" | b"%2e."
            )
        })
}

/// A segment of a path as text: percent-decoded where that is UTF-8, else as it stands.
pub(crate) fn decode(raw: &str) -> Cow<'_, str> {
    if !raw.contains('%') {
        return Cow::Borrowed(raw);
    }
    String::from_utf8(decode_bytes(raw)).map_or(Cow::Borrowed(raw), Cow::Owned)
}

/// RFC 3986 §2.1; a `%` without two digits stands for itself.
fn decode_bytes(raw: &str) -> Vec<u8> {
    let mut rest = raw.as_bytes();
    let mut out = Vec::with_capacity(rest.len());
    while let [first, after @ ..] = rest {
        if let ([b'%', high, low, ..], Some(behind)) = (rest, after.get(2..))
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            out.push(high << 4 | low);
            rest = behind;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn segment(pattern: &str, part: &str) -> Result<Segment, Error> {
    if let Some(inner) = part.strip_prefix('{').filter(|rest| !rest.starts_with('{')) {
        let inner = inner.strip_suffix('}').ok_or_else(|| {
            bad(
                pattern,
                &format!("a whole segment \"{{name}}\", not \"{part}\""),
            )
        })?;
        return match inner.strip_prefix('*') {
            Some(name) => Ok(Segment::Rest(name_of(pattern, part, name)?)),
            None => Ok(Segment::One(name_of(pattern, part, inner)?)),
        };
    }
    if let Some(name) = part.strip_prefix(':').filter(|name| !name.is_empty()) {
        return Err(bad(pattern, &format!("{{{name}}} instead of \"{part}\"")));
    }
    if let Some(name) = part.strip_prefix('*') {
        let name = if name.is_empty() { "rest" } else { name };
        return Err(bad(
            pattern,
            &format!("{{*{name}}} at the end instead of \"{part}\""),
        ));
    }
    let literal = unbraced(part).ok_or_else(|| {
        bad(
            pattern,
            &format!(
                "a whole segment \"{{name}}\", not \"{part}\"; {{{{ and }}}} stand for braces"
            ),
        )
    })?;
    if let Some(odd) = literal.chars().find(|c| !stands_in_a_path(*c)) {
        return Err(bad(
            pattern,
            &format!(
                "\"{}\" instead of {odd:?}, as it stands in a URL",
                encoded(odd)
            ),
        ));
    }
    Ok(Segment::Literal(literal.into()))
}

/// A segment's literal text; `None` if it has single braces.
fn unbraced(part: &str) -> Option<String> {
    let mut literal = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        if matches!(c, '{' | '}') && chars.next() != Some(c) {
            return None;
        }
        literal.push(c);
    }
    Some(literal)
}

fn name_of(pattern: &str, part: &str, name: &str) -> Result<Box<str>, Error> {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_');
    if first && chars.all(|c| c.is_alphanumeric() || c == '_') {
        return Ok(name.into());
    }
    Err(bad(
        pattern,
        &format!("a name of letters, digits and \"_\" in \"{part}\""),
    ))
}

/// What a request's path may hold, roughly RFC 3986 §3.3; braces too, since clients send them.
fn stands_in_a_path(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '?' | '#' | '"' | '<' | '>' | '\\' | '^' | '`')
}

fn encoded(c: char) -> String {
    let mut text = String::new();
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        let _ = write!(text, "%{byte:02X}");
    }
    text
}

fn bad(pattern: &str, valid: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("not a path pattern: {pattern:?}; expected {valid}"),
    )
}

#[cfg(test)]
mod tests;
