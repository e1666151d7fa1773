//! Range requests (RFC 9110 §14): reading `Range`.

/// What a Range field asks for, of a representation with so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing that can be had: another unit, several ranges, or not a Range at all. It is ignored (§14.2).
    Whole,
    /// These bytes, both ends included.
    Part { start: u64, end_inclusive: u64 },
    /// Bytes that the representation doesn't have.
    Unsatisfiable,
}

/// Reads the value of a Range field.
pub(crate) fn read(value: &[u8], length: u64) -> Asked {
    let Some(specs) = bytes_unit(value) else {
        return Asked::Whole;
    };
    let mut specs = specs
        .split(|byte| *byte == b',')
        .map(crate::directive::trim)
        .filter(|spec| !spec.is_empty());
    let (Some(spec), None) = (specs.next(), specs.next()) else {
        // RFC 9110 §14.2: several ranges may be answered with the whole.
        return Asked::Whole;
    };
    one(spec, length).unwrap_or(Asked::Whole)
}

/// RFC 9110 §14.1: units are compared without case.
fn bytes_unit(value: &[u8]) -> Option<&[u8]> {
    let (unit, specs) = value.split_at_checked(6)?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(specs)
}

/// RFC 9110 §14.1.2. `None`: the syntax is wrong.
fn one(spec: &[u8], length: u64) -> Option<Asked> {
    let dash = spec.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (spec.get(..dash)?, spec.get(dash + 1..)?);
    if first.is_empty() {
        let suffix = number(last)?.min(length);
        return Some(if suffix == 0 {
            Asked::Unsatisfiable
        } else {
            Asked::Part {
                start: length - suffix,
                end_inclusive: length - 1,
            }
        });
    }
    let start = number(first)?;
    let end = if last.is_empty() {
        u64::MAX
    } else {
        number(last)?
    };
    if end < start {
        return None;
    }
    Some(if start >= length {
        Asked::Unsatisfiable
    } else {
        Asked::Part {
            start,
            end_inclusive: end.min(length - 1),
        }
    })
}

/// Digits; too large a number is the largest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        digit.is_ascii_digit().then(|| {
            number
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn part(start: u64, end_inclusive: u64) -> Asked {
        Asked::Part {
            start,
            end_inclusive,
        }
    }

    #[test]
    fn single_ranges_are_read() {
        // RFC 9110 §14.1.2, §14.2
        for (value, length, expected) in [
            ("bytes=0-1", 10, part(0, 1)),
            ("bytes=0-0", 10, part(0, 0)),
            ("bytes=0-", 10, part(0, 9)),
            ("bytes=9-99", 10, part(9, 9)),
            ("BYTES=1-", 10, part(1, 9)),
            ("bytes= 1-2 ,", 10, part(1, 2)),
            ("bytes=-1", 10, part(9, 9)),
            ("bytes=-99", 10, part(0, 9)),
            ("bytes=0-99999999999999999999999", 10, part(0, 9)),
            ("bytes=10-", 10, Asked::Unsatisfiable),
            ("bytes=99999999999999999999999-", 10, Asked::Unsatisfiable),
            ("bytes=-0", 10, Asked::Unsatisfiable),
            ("bytes=0-", 0, Asked::Unsatisfiable),
            ("bytes=-5", 0, Asked::Unsatisfiable),
            ("bytes=2-1", 10, Asked::Whole),
            ("bytes=-", 10, Asked::Whole),
            ("bytes=", 10, Asked::Whole),
            ("bytes=a-b", 10, Asked::Whole),
            ("bytes=1-2x", 10, Asked::Whole),
            ("bytes=1--2", 10, Asked::Whole),
            ("bytes 1-2", 10, Asked::Whole),
            ("lines=1-2", 10, Asked::Whole),
            ("bytes=0-1,4-5", 10, Asked::Whole),
            ("", 10, Asked::Whole),
        ] {
            assert_eq!(
                read(value.as_bytes(), length),
                expected,
                "{value} of {length}"
            );
        }
    }

    proptest! {
        #[test]
        fn parts_lie_within(value in "(bytes=)?[-0-9, ]{0,30}", length: u64) {
            if let Asked::Part { start, end_inclusive } = read(value.as_bytes(), length) {
                prop_assert!(start <= end_inclusive && end_inclusive < length);
            }
        }

        #[test]
        fn no_bytes_panic(value in prop::collection::vec(any::<u8>(), 0..40), length: u64) {
            let _ = read(&value, length);
        }
    }
}
