//! Reading `Cache-Control` (RFC 9111 §5.2): a list of directives, each with or without a value.
//!
//! Liberal: any bytes give some directives, never an error. Commas inside quotes don't separate; a quote that
//! is never closed is no quote. Names are compared without case by the caller.

/// A directive's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Absent,
    Token(&'a [u8]),
    /// What is between the quotes, escapes and all.
    Quoted(&'a [u8]),
    /// Something stands there that is neither: `max-age =1`, `max-age="1"x`.
    Malformed,
}

/// The directives of all lines, in order.
pub(crate) fn directives<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = (&'a [u8], Value<'a>)> {
    lines.flat_map(members).filter_map(directive)
}

/// The members of one line of a list: split at commas outside quotes, trimmed. Empty ones are left out
/// (RFC 9110 §5.6.1.2).
pub(crate) fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    raw_members(line).filter(|member| !member.is_empty())
}

/// As [`members`], with the empty ones.
pub(crate) fn raw_members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let all = rest?;
        let end = member_end(all);
        rest = all.get(end + 1..);
        Some(trim(all.get(..end).unwrap_or(all)))
    })
}

/// A value as seconds (RFC 9111 §1.2.2), token or quoted. `None`: not a non-negative integer.
pub(crate) fn seconds(value: Value<'_>) -> Option<u64> {
    match value {
        Value::Token(text) | Value::Quoted(text) => delta_seconds(text),
        Value::Absent | Value::Malformed => None,
    }
}

/// RFC 9111 §1.2.2: what is too large to be counted with counts as 2^31 seconds.
pub(crate) fn delta_seconds(text: &[u8]) -> Option<u64> {
    const MOST: u64 = 1 << 31;
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, digit| {
        digit.is_ascii_digit().then(|| {
            number
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
                .min(MOST)
        })
    })
}

/// Where the first member ends: at the first comma that isn't quoted.
fn member_end(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b',' => return at,
            b'"' => at = closing_quote(text, at).unwrap_or(at) + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The quote that closes the one at `open`.
fn closing_quote(text: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn directive(member: &[u8]) -> Option<(&[u8], Value<'_>)> {
    let end = member
        .iter()
        .position(|byte| !is_token(*byte))
        .unwrap_or(member.len());
    let (name, rest) = member.split_at_checked(end)?;
    if name.is_empty() {
        return None;
    }
    let value = match rest.split_first() {
        None => Value::Absent,
        Some((b'=', value)) => value_of(value),
        Some(_) => Value::Malformed,
    };
    Some((name, value))
}

fn value_of(text: &[u8]) -> Value<'_> {
    if text.first() == Some(&b'"') {
        return match closing_quote(text, 0) {
            Some(end) if end + 1 == text.len() => {
                text.get(1..end).map_or(Value::Malformed, Value::Quoted)
            }
            _ => Value::Malformed,
        };
    }
    if !text.is_empty() && text.iter().all(|byte| is_token(*byte)) {
        Value::Token(text)
    } else {
        Value::Malformed
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Without the optional whitespace around (RFC 9110 §5.6.3).
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> Vec<(&str, Value<'_>)> {
        directives(std::iter::once(line.as_bytes()))
            .map(|(name, value)| (std::str::from_utf8(name).unwrap(), value))
            .collect()
    }

    #[test]
    fn directives_are_read_as_they_come() {
        // RFC 9111 §5.2
        let rows: &[(&str, &[(&str, Value<'_>)])] = &[
            ("", &[]),
            (" , ,, ", &[]),
            ("no-store", &[("no-store", Value::Absent)]),
            (
                "Max-Age=1 ,\tpublic",
                &[("Max-Age", Value::Token(b"1")), ("public", Value::Absent)],
            ),
            ("max-age=\"1\"", &[("max-age", Value::Quoted(b"1"))]),
            (
                "no-cache=\"a, b\", x",
                &[("no-cache", Value::Quoted(b"a, b")), ("x", Value::Absent)],
            ),
            (
                "x=\"a\\\"b, max-age=1\", y",
                &[
                    ("x", Value::Quoted(b"a\\\"b, max-age=1")),
                    ("y", Value::Absent),
                ],
            ),
            ("max-age =1", &[("max-age", Value::Malformed)]),
            ("max-age= 1", &[("max-age", Value::Malformed)]),
            ("max-age=", &[("max-age", Value::Malformed)]),
            ("max-age=\"1\"x", &[("max-age", Value::Malformed)]),
            ("no-store;foo", &[("no-store", Value::Malformed)]),
            ("max-age='1'", &[("max-age", Value::Token(b"'1'"))]),
            ("=1, public", &[("public", Value::Absent)]),
            // A quote that is never closed hides nothing that comes after it.
            (
                "x=\"a, no-store",
                &[("x", Value::Malformed), ("no-store", Value::Absent)],
            ),
            ("x=\"a\\", &[("x", Value::Malformed)]),
        ];
        for (line, expected) in rows {
            assert_eq!(read(line), *expected, "{line}");
        }
    }

    #[test]
    fn seconds_are_whole_and_not_negative() {
        // RFC 9111 §1.2.2
        for (text, expected) in [
            ("0", Some(0)),
            ("003600", Some(3600)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", Some(2_147_483_648)),
            ("2147483649", Some(2_147_483_648)),
            ("99999999999999999999999999", Some(2_147_483_648)),
            ("", None),
            ("-1", None),
            ("1.0", None),
            ("1a", None),
            ("a1", None),
            ("'1'", None),
        ] {
            assert_eq!(delta_seconds(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_members_lie_within_the_line(line in prop::collection::vec(any::<u8>(), 0..80)) {
            for (name, _) in directives(std::iter::once(&line[..])) {
                prop_assert!(!name.is_empty() && name.len() <= line.len());
            }
            let commas = line.iter().filter(|byte| **byte == b',').count();
            prop_assert!(raw_members(&line).count() <= commas + 1);
        }
    }
}
