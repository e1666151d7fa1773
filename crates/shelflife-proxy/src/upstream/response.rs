//! What an origin answered, checked and cleaned. Pure.

use std::time::Duration;

use http::header::{CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{StatusCode, Version};

use crate::answer;
use crate::forward;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// What the fields of this hop said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// `Keep-Alive: timeout=5`: how long the origin keeps the connection. Zero: it ends with the response.
    pub(super) idle: Option<Duration>,
}

/// Checks the framing, removes what belongs to this hop, and adds what an intermediary has to.
///
/// # Errors
///
/// What is wrong with the response, in words.
pub(super) fn clean(
    status: StatusCode,
    version: Version,
    headers: &mut HeaderMap,
    via: &str,
) -> Result<Told, &'static str> {
    let idle = match check_framing(status, version, headers)? {
        Framing::Plain => told_idle(headers),
        Framing::UntilClose => Some(Duration::ZERO),
    };
    let told = Told { idle };
    forward::strip(headers);
    if status == StatusCode::NO_CONTENT {
        // RFC 9110 §8.6.
        headers.remove(CONTENT_LENGTH);
    }
    // RFC 9110 §6.6.1: whoever receives a response without a Date and passes it on gives it one.
    if !headers.contains_key(DATE) {
        headers.insert(DATE, answer::date());
    }
    forward::add_via(headers, version, via);
    Ok(told)
}

/// What tells the end of a response's body.
enum Framing {
    /// A length, chunks, or nothing.
    Plain,
    /// A coding that nobody knows.
    UntilClose,
}

/// hyper reads a response leniently. A response with two lengths may be the end of one and the beginning of
/// another that somebody has made up (RFC 9112 §6.1, §6.3, §11.1).
fn check_framing(
    status: StatusCode,
    version: Version,
    headers: &mut HeaderMap,
) -> Result<Framing, &'static str> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let coded = match (codings.next(), codings.next()) {
        (None, _) => None,
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Some(Framing::Plain)
        }
        // RFC 9112 §6.3, rule 4: without chunks, the body ends with the connection; so does hyper read it. §6.1: HTTP/1.0
        // has no such field, 1xx and 204 must not have it.
        (Some(coding), None)
            if is_unknown(coding)
                && version != Version::HTTP_10
                && !status.is_informational()
                && status != StatusCode::NO_CONTENT =>
        {
            Some(Framing::UntilClose)
        }
        _ => return Err("its Transfer-Encoding is not chunked"),
    };
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next().cloned() else {
        return Ok(coded.unwrap_or(Framing::Plain));
    };
    if coded.is_some() {
        return Err("it has both Content-Length and Transfer-Encoding");
    }
    // RFC 9112 §6.3: the same length several times may be made one; different ones are an error.
    if lengths.any(|other| other != length) {
        return Err("it has several lengths");
    }
    let digits = length.as_bytes();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err("its Content-Length is not a number");
    }
    headers.insert(CONTENT_LENGTH, length);
    Ok(Framing::Plain)
}

/// Whether the field names one coding, and none that says how the content was changed: without its field, what is
/// compressed would be taken for the content.
fn is_unknown(coding: &HeaderValue) -> bool {
    // RFC 9112 §7.2.
    const COMPRESSED: [&str; 5] = ["gzip", "x-gzip", "deflate", "compress", "x-compress"];
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let coding = coding.as_bytes();
    !coding.is_empty()
        && coding.iter().all(is_token)
        && !COMPRESSED
            .iter()
            .any(|known| coding.eq_ignore_ascii_case(known.as_bytes()))
}

fn told_idle(headers: &HeaderMap) -> Option<Duration> {
    let value: &HeaderValue = headers.get(KEEP_ALIVE)?;
    let seconds = value.to_str().ok()?.split(',').find_map(|parameter| {
        let (name, seconds) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("timeout")
            .then(|| seconds.trim().parse::<u32>().ok())?
    })?;
    // A second less: the origin counts from when it sent its response.
    Some(Duration::from_secs(u64::from(seconds.saturating_sub(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        lines.iter().map(line).collect()
    }

    fn cleaned(lines: &[(&'static str, &'static str)]) -> Result<HeaderMap, &'static str> {
        let mut headers = map(lines);
        clean(StatusCode::OK, Version::HTTP_11, &mut headers, "shelf").map(|_| headers)
    }

    #[test]
    fn a_response_that_tells_its_length_twice_is_refused() {
        for lines in [
            &[("content-length", "1"), ("transfer-encoding", "chunked")][..],
            &[("content-length", "1"), ("content-length", "2")],
            &[("content-length", "1, 1")],
            &[("content-length", "+1")],
            &[("content-length", "")],
            &[
                ("transfer-encoding", "chunked"),
                ("transfer-encoding", "chunked"),
            ],
            &[("transfer-encoding", "gzip, chunked")],
            &[("content-length", "1"), ("transfer-encoding", "bravo")],
        ] {
            assert!(cleaned(lines).is_err(), "{lines:?}");
        }
        let same = cleaned(&[("content-length", "7"), ("content-length", "7")]).unwrap();
        assert_eq!(same.get_all(CONTENT_LENGTH).iter().count(), 1);
    }

    #[test]
    fn an_unknown_coding_lasts_until_the_connection_ends() {
        // RFC 9112 §6.3, rule 4
        let idle = |status, version, coding: &'static str| {
            let mut headers = map(&[("transfer-encoding", coding), ("keep-alive", "timeout=5")]);
            let told = clean(status, version, &mut headers, "s")?;
            assert!(!headers.contains_key(TRANSFER_ENCODING), "{coding}");
            Ok::<_, &str>(told.idle)
        };
        for coding in ["bravo", "Identity", "xchunked", "chunkedx"] {
            for status in [StatusCode::OK, StatusCode::NOT_MODIFIED] {
                let idle = idle(status, Version::HTTP_11, coding);
                assert_eq!(idle, Ok(Some(Duration::ZERO)), "{coding}");
            }
            assert!(idle(StatusCode::OK, Version::HTTP_10, coding).is_err());
            assert!(idle(StatusCode::NO_CONTENT, Version::HTTP_11, coding).is_err());
            assert!(idle(StatusCode::SWITCHING_PROTOCOLS, Version::HTTP_11, coding).is_err());
        }
        let chunked = idle(StatusCode::OK, Version::HTTP_11, "CHUNKED");
        assert_eq!(chunked, Ok(Some(Duration::from_secs(4))));
        for coding in [
            "",
            "bravo, chunked",
            "chunked, bravo",
            "chunked,",
            ",bravo",
            "bravo, charlie",
            "chunked;a=b",
            "\"chunked\"",
            "chunked bravo",
            " chunked",
            "gzip",
            "X-GZIP",
            "deflate",
            "compress",
        ] {
            let idle = idle(StatusCode::OK, Version::HTTP_11, coding);
            assert!(idle.is_err(), "{coding:?}");
        }
        for other in ["bravo", "charlie", "chunked"] {
            let lines = [("transfer-encoding", "bravo"), ("transfer-encoding", other)];
            assert!(cleaned(&lines).is_err(), "{other}");
        }
    }

    #[test]
    fn what_an_intermediary_owes_is_added() {
        let headers =
            cleaned(&[("connection", "x-hop"), ("x-hop", "1"), ("via", "1.0 a")]).unwrap();
        assert_eq!(headers["via"], "1.0 a, 1.1 shelf");
        assert!(headers.contains_key(DATE) && !headers.contains_key("x-hop"));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(cleaned(&[("date", date)]).unwrap()[DATE], date);
    }

    #[test]
    fn an_origin_that_says_how_long_it_keeps_a_connection_is_believed() {
        for (value, idle) in [
            ("timeout=5", Some(4)),
            ("max=100, Timeout = 10", Some(9)),
            ("timeout=0", Some(0)),
            ("timeout=x", None),
            ("max=5", None),
        ] {
            let mut headers = map(&[("keep-alive", value)]);
            let told = clean(StatusCode::OK, Version::HTTP_11, &mut headers, "s").unwrap();
            assert_eq!(told.idle, idle.map(Duration::from_secs), "{value}");
        }
    }
}
