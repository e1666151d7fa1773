//! Field values that are made for each answer: written on the stack, and copied once, in the size that they have.

use std::fmt::Display;
use std::io::Write as _;

use http::HeaderValue;

/// Longer ones are written on the heap.
const SHORT: usize = 96;

/// The text as a field's value; none if it can't be one.
pub(crate) fn written(text: impl Display) -> Option<HeaderValue> {
    let mut room = [0; SHORT];
    let mut left = room.as_mut_slice();
    let fits = write!(left, "{text}").is_ok();
    let len = SHORT - left.len();
    if fits {
        HeaderValue::from_bytes(&room[..len]).ok()
    } else {
        HeaderValue::try_from(text.to_string()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_whole_whatever_its_length() {
        for len in [0, 1, SHORT - 1, SHORT, SHORT + 1, 4 * SHORT] {
            let text = "x".repeat(len);
            assert_eq!(written(&text).unwrap(), text.as_str(), "{len}");
        }
        assert_eq!(written(u64::MAX).unwrap(), "18446744073709551615");
        assert_eq!(written("a\r\nb"), None);
        assert_eq!(written("\n".repeat(2 * SHORT)), None);
    }

    #[test]
    fn a_short_value_is_one_allocation() {
        let counted = allocation_counter::measure(|| drop(written(1_234_567_u64)));
        assert_eq!(counted.count_total, 1);
    }
}
