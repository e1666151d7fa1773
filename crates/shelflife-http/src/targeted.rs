//! Targeted fields (RFC 9213): `CDN-Cache-Control` and the like, parsed as structured fields.

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use crate::control::{Argument, ResponseControl, lines};

/// What rules the caching of a response: the first field of the list that is present, valid and not empty, else
/// `Cache-Control`.
///
/// The flag is true for a targeted field: `Expires` is then ignored too (RFC 9213 §2.2).
pub(crate) fn control(headers: &HeaderMap, targets: &[HeaderName]) -> (ResponseControl, bool) {
    let targeted = targets
        .iter()
        .filter(|name| headers.contains_key(*name))
        .find_map(|name| read(headers, name));
    match targeted {
        Some(mut control) => {
            // RFC 9111 §5.2.2.6: about the content, not about caching: it stands whatever rules that.
            control.no_transform |= ResponseControl::read(headers).no_transform;
            (control, true)
        }
        None => (ResponseControl::read(headers), false),
    }
}

/// RFC 9213 §2.1: a field that is empty or doesn't parse is ignored as a whole.
fn read(headers: &HeaderMap, name: &HeaderName) -> Option<ResponseControl> {
    let text = joined(headers, name);
    let members: Dictionary = Parser::new(&text).parse().ok()?;
    if members.is_empty() {
        return None;
    }
    let mut control = ResponseControl::default();
    for (name, member) in &members {
        // RFC 9213 §2.1: parameters are ignored, and so are values of the wrong type: a string is no lifetime.
        let ListEntry::Item(item) = member else {
            continue;
        };
        let argument = match &item.bare_item {
            BareItem::Boolean(true) => Argument::Absent,
            BareItem::Boolean(false) => continue,
            BareItem::Integer(number) => match u64::try_from(i64::from(*number)) {
                Ok(seconds) => Argument::Seconds(seconds.min(1 << 31)),
                Err(_) => Argument::Nonsense,
            },
            BareItem::String(names) => Argument::Names(names.as_str().as_bytes()),
            BareItem::Token(names) => Argument::Names(names.as_str().as_bytes()),
            _ => Argument::Nonsense,
        };
        if is_duration(name.as_str())
            && !matches!(argument, Argument::Seconds(_) | Argument::Nonsense)
        {
            continue;
        }
        control.apply(name.as_str().as_bytes(), argument);
    }
    Some(control)
}

/// RFC 9651 §4.2: the lines of one field are one value.
pub(crate) fn joined(headers: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let lines: Vec<&[u8]> = lines(headers, name).collect();
    lines.join(&b", "[..])
}

fn is_duration(name: &str) -> bool {
    matches!(
        name,
        "max-age" | "s-maxage" | "stale-while-revalidate" | "stale-if-error"
    )
}
