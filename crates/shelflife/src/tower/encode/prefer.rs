//! What a client would like its content coded in (RFC 9110 §12.5.3).

use http::{HeaderMap, HeaderValue, header};

use super::Coding;

/// A quality, in thousandths (RFC 9110 §12.4.2).
type Quality = u16;

/// The coding that the client prefers among those offered, and the first of those that it likes as well. `None`: none; it
/// gets the content as it is, even if it says that it won't have that, which RFC 9110 §12.5.3 allows.
pub(super) fn preferred(headers: &HeaderMap, offered: &[Coding]) -> Option<Coding> {
    // Who says nothing takes anything; but most such clients are programs that decode nothing.
    if offered.is_empty() || !headers.contains_key(header::ACCEPT_ENCODING) {
        return None;
    }
    // RFC 9110 §14.2: a range is of the coded bytes; all ranges are served from the identity.
    if headers.contains_key(header::RANGE) || forbids_transforming(headers) {
        return None;
    }
    let mut best: Option<(Coding, Quality)> = None;
    for coding in offered {
        let quality = quality(headers, coding.as_str()).or_else(|| quality(headers, "*"));
        let quality = quality.unwrap_or(0);
        if quality > best.map_or(0, |(_, quality)| quality) {
            best = Some((*coding, quality));
        }
    }
    let (coding, liked) = best?;
    // Only where it is named: of what isn't, RFC 9110 says no more than that it is acceptable.
    let identity = quality(headers, "identity").unwrap_or(0);
    (liked >= identity).then_some(coding)
}

/// RFC 9111 §5.2.1.6, §5.2.2.6: `no-transform`, of a request or a response.
pub(super) fn forbids_transforming(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .flat_map(|line| members(line.as_bytes()))
        .any(|member| member.eq_ignore_ascii_case(b"no-transform"))
}

/// The members of a list (RFC 9110 §5.6.1), none of them empty. Quotes aren't looked at: no member that is asked for here
/// has any.
pub(super) fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

/// How much a coding is liked by its name; the least of several. `None`: it isn't named.
fn quality(headers: &HeaderMap, name: &str) -> Option<Quality> {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .map(HeaderValue::as_bytes)
        .flat_map(members)
        .filter_map(|member| {
            let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let coding = parts.next().unwrap_or_default();
            is_named(coding, name).then(|| parts.next().map_or(1000, weight))
        })
        .min()
}

/// RFC 9110 §8.4.1: names have no case, and `x-gzip` is `gzip`.
fn is_named(coding: &[u8], name: &str) -> bool {
    let plain = match coding.get(..2) {
        Some(b"x-" | b"X-") => coding.get(2..).filter(|_| name == "gzip"),
        _ => None,
    };
    plain
        .unwrap_or(coding)
        .eq_ignore_ascii_case(name.as_bytes())
}

/// RFC 9110 §12.4.2: `q=` and 0 to 1 with up to three digits. Anything else is no wish that could be met: 0.
fn weight(text: &[u8]) -> Quality {
    let (Some(b"q=" | b"Q="), Some(value)) = (text.get(..2), text.get(2..)) else {
        return 0;
    };
    let (whole, fraction) = match value {
        [whole] => (*whole, &[][..]),
        [whole, b'.', fraction @ ..] => (*whole, fraction),
        _ => return 0,
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let thousandths = fraction
        .iter()
        .chain(b"000")
        .take(3)
        .fold(0, |sum, digit| sum * 10 + Quality::from(digit - b'0'));
    match whole {
        b'0' => thousandths,
        b'1' if thousandths == 0 => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: &[Coding] = &[Coding::Brotli, Coding::Zstd, Coding::Gzip];

    fn request(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_best_liked_coding_is_taken() {
        // RFC 9110 §12.5.3
        for (accepted, expected) in [
            ("gzip", Some("gzip")),
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip;q=1.0, br;q=0.9", Some("gzip")),
            ("gzip ; q=0.5,zstd;q=0.501", Some("zstd")),
            ("GZIP", Some("gzip")),
            ("x-gzip", Some("gzip")),
            ("*", Some("br")),
            ("*;q=0.1, br;q=0", Some("zstd")),
            ("gzip, *;q=0", Some("gzip")),
            ("identity", None),
            ("", None),
            ("deflate", None),
            ("*;q=0", None),
            ("gzip;q=0", None),
            ("gzip;q=0.000", None),
            ("gzip;q=0.001", Some("gzip")),
            ("identity;q=1, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=1", Some("gzip")),
            ("identity;q=0, deflate", None),
            // What makes no sense is no wish.
            ("gzip;q=x", None),
            ("gzip;q=1.5", None),
            ("gzip;q=0.1234", None),
            ("gzip;level=9", None),
            ("gzip;q=", None),
            ("gzip, gzip;q=0", None),
            (",, gzip ,", Some("gzip")),
            ("gzipx, x-br", None),
        ] {
            let headers = request(&[("accept-encoding", accepted)]);
            let coding = preferred(&headers, ALL).map(Coding::as_str);
            assert_eq!(coding, expected, "{accepted:?}");
        }
        let lines = request(&[("accept-encoding", "deflate"), ("accept-encoding", "zstd")]);
        assert_eq!(preferred(&lines, ALL), Some(Coding::Zstd));
        assert_eq!(preferred(&HeaderMap::new(), ALL), None);
    }

    #[test]
    fn only_what_is_offered_is_taken() {
        let headers = request(&[("accept-encoding", "br, gzip;q=0.5")]);
        assert_eq!(preferred(&headers, &[Coding::Gzip]), Some(Coding::Gzip));
        assert_eq!(preferred(&headers, &[]), None);
    }

    #[test]
    fn ranges_and_no_transform_get_the_identity() {
        for (name, value) in [
            ("range", "bytes=0-9"),
            ("cache-control", "max-age=0, No-Transform"),
        ] {
            let headers = request(&[("accept-encoding", "gzip"), (name, value)]);
            assert_eq!(preferred(&headers, ALL), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_field_panics(line in prop::collection::vec(any::<u8>(), 0..60)) {
            let Ok(value) = HeaderValue::from_bytes(&line) else { return Ok(()) };
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value);
            let _ = preferred(&headers, ALL);
        }

        #[test]
        fn what_has_no_quality_is_never_taken(
            members in prop::collection::vec("(br|gzip|zstd|\\*|identity)(;q=[01](\\.[0-9]{0,3})?)?", 0..5),
        ) {
            let line = members.join(", ");
            let headers = request(&[("accept-encoding", &line)]);
            if let Some(coding) = preferred(&headers, ALL) {
                let named = quality(&headers, coding.as_str()).or(quality(&headers, "*"));
                prop_assert!(named.is_some_and(|quality| quality > 0), "{}", line);
            }
        }
    }
}
