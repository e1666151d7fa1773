//! Entity tags (RFC 9110 §8.8.3): comparing them, alone and in lists.
//!
//! An origin that forgets the quotes gets what it sent compared as it is: such a tag equals only itself.

/// Whether two tags name the same representation, weakly (RFC 9110 §8.8.3.2).
pub(crate) fn same_weakly(one: &[u8], other: &[u8]) -> bool {
    !one.is_empty() && opaque(one) == opaque(other)
}

/// The same, byte for byte: neither tag is weak.
pub(crate) fn same_strongly(one: &[u8], other: &[u8]) -> bool {
    one == other && !one.is_empty() && !is_weak(one)
}

/// Whether a tag is weak.
pub(crate) fn is_weak(tag: &[u8]) -> bool {
    tag.starts_with(b"W/")
}

/// The tags in one line of `If-None-Match`: a comma may be within the quotes, and a backslash is only a
/// backslash (RFC 9110 §8.8.3).
pub(crate) fn tags(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', after @ ..] = rest {
            rest = after;
        }
        if rest.is_empty() {
            return None;
        }
        let end = tag_end(rest);
        let (tag, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(tag.trim_ascii_end())
    })
}

fn tag_end(text: &[u8]) -> usize {
    let open = if is_weak(text) { 2 } else { 0 };
    if text.get(open) == Some(&b'"') {
        let close = text.iter().skip(open + 1).position(|byte| *byte == b'"');
        if let Some(close) = close {
            return open + close + 2;
        }
    }
    text.iter()
        .position(|byte| *byte == b',')
        .unwrap_or(text.len())
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comparison_is_as_the_table_of_the_rfc_says() {
        // RFC 9110 §8.8.3.2
        for (one, other, strong, weak) in [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
            ("", "", false, false),
            ("w/\"1\"", "\"1\"", false, false),
            ("1", "\"1\"", false, false),
        ] {
            assert_eq!(
                same_strongly(one.as_bytes(), other.as_bytes()),
                strong,
                "{one} {other}"
            );
            assert_eq!(
                same_weakly(one.as_bytes(), other.as_bytes()),
                weak,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn lists_are_split_outside_quotes() {
        let read = |line: &'static str| tags(line.as_bytes()).collect::<Vec<_>>();
        assert_eq!(
            read("\"a\", W/\"b\" ,\"c,d\""),
            [&b"\"a\""[..], b"W/\"b\"", b"\"c,d\""]
        );
        assert_eq!(read("\"a\\\",\"b\""), [&b"\"a\\\""[..], b"\"b\""]);
        assert_eq!(read("a, b"), [&b"a"[..], b"b"]);
        assert_eq!(read(",, "), Vec::<&[u8]>::new());
        assert_eq!(read("\"a, \"b\""), [&b"\"a, \""[..], b"b\""]);
    }

    proptest! {
        #[test]
        fn any_line_ends(line in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(tags(&line).count() <= line.len());
        }

        #[test]
        fn a_listed_tag_is_found(before in "[a-z]{0,5}", tag in "[!#-~]{1,8}", after in "[a-z]{0,5}") {
            let tag = format!("\"{tag}\"");
            let line = format!("\"{before}\" , {tag},W/\"{after}\"");
            prop_assert!(tags(line.as_bytes()).any(|listed| same_strongly(listed, tag.as_bytes())));
        }
    }
}
