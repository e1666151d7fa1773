//! The tags of a response: what its own fields say, and the groups of RFC 9875.
//!
//! Tags that were dropped would be invalidations that don't reach a response. So they are bounded by not storing
//! what has too many.

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, List, ListEntry, Parser};

use crate::Reason;
use crate::control::lines;
use crate::directive;
use crate::targeted::joined;

/// A response may have so many tags, and as many groups (RFC 9875 §2 wants at least 32).
const MOST: usize = 256;
/// A tag may have so many bytes.
const LONGEST: usize = 512;

/// The tags in `Cache-Tag` (separated by commas), `Surrogate-Key` and `xkey` (by spaces; commas are taken too).
pub(crate) fn tags(headers: &HeaderMap) -> Result<Vec<String>, Reason> {
    let mut tags = Vec::new();
    for member in lines(headers, &HeaderName::from_static("cache-tag")).flat_map(directive::members)
    {
        keep(&mut tags, &String::from_utf8_lossy(member))?;
    }
    for name in ["surrogate-key", "xkey"] {
        let lines = lines(headers, &HeaderName::from_static(name));
        for word in lines.flat_map(|line| line.split(|byte| matches!(byte, b' ' | b'\t' | b','))) {
            keep(&mut tags, &String::from_utf8_lossy(word))?;
        }
    }
    Ok(tags)
}

/// The groups that a response belongs to (RFC 9875 §2), each with its host.
pub(crate) fn groups(headers: &HeaderMap, host: &str) -> Result<Vec<String>, Reason> {
    let mut groups = Vec::new();
    for group in listed(headers, "cache-groups", host) {
        keep(&mut groups, &group)?;
    }
    Ok(groups)
}

/// The groups that a field lists, each with the host that it belongs to: `host name` (RFC 9875 §2.1: groups are
/// of one origin).
pub(crate) fn listed(headers: &HeaderMap, name: &'static str, host: &str) -> Vec<String> {
    let name = HeaderName::from_static(name);
    if !headers.contains_key(&name) {
        return Vec::new();
    }
    let Ok(list) = Parser::new(&joined(headers, &name)).parse::<List>() else {
        return Vec::new();
    };
    // RFC 9875 §2: a list of strings. RFC 9651 §4.2: what isn't one is ignored as a whole.
    let groups = list.iter().map(|member| match member {
        ListEntry::Item(item) => match &item.bare_item {
            BareItem::String(group) => Some(format!("{host} {}", group.as_str())),
            _ => None,
        },
        ListEntry::InnerList(_) => None,
    });
    groups.collect::<Option<Vec<_>>>().unwrap_or_default()
}

fn keep(into: &mut Vec<String>, text: &str) -> Result<(), Reason> {
    if text.is_empty() || into.iter().any(|known| known == text) {
        return Ok(());
    }
    if into.len() == MOST || text.len() > LONGEST {
        return Err(Reason::TooManyTags);
    }
    into.push(text.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn tags_come_from_every_field_once() {
        let headers = headers(&[
            ("cache-tag", "a, b c,"),
            ("cache-tag", "d"),
            ("surrogate-key", "a e  f"),
            ("xkey", "g, h"),
        ]);
        assert_eq!(
            tags(&headers).unwrap(),
            ["a", "b c", "d", "e", "f", "g", "h"]
        );
    }

    #[test]
    fn too_many_tags_are_refused_rather_than_dropped() {
        let many: Vec<String> = (0..300).map(|number| number.to_string()).collect();
        assert_eq!(
            tags(&headers(&[("cache-tag", &many.join(","))])),
            Err(Reason::TooManyTags)
        );
        assert_eq!(
            tags(&headers(&[("cache-tag", &"x".repeat(513))])),
            Err(Reason::TooManyTags)
        );
    }

    #[test]
    fn groups_are_strings_of_one_host() {
        // RFC 9875 §2
        let of = |value: &str| groups(&headers(&[("cache-groups", value)]), "h").unwrap();
        assert_eq!(of("\"a\", \"B c\";x=1, \"a\""), ["h a", "h B c"]);
        for other in ["a", "\"a\", 1", "(\"a\")", "\"a", ""] {
            assert!(of(other).is_empty(), "{other}");
        }
    }
}
