//! What a request's head says, and how long its body is (RFC 9112 §3, §5, §6). Pure.
//!
//! Strict: what can be read in two ways is refused.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use super::refusal::Refusal;

/// The most field lines that a head may be allowed to have.
pub(crate) const MOST_FIELDS: usize = 256;

/// A request's head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) target: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// `Expect: 100-continue`, from a client that understands the answer.
    pub(crate) expects: bool,
    /// Whether the client wants to go on with this connection.
    pub(crate) keep_alive: bool,
}

/// How long a request's body is (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// Bounds for what a head may say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    pub(crate) fields: usize,
    pub(crate) target: usize,
}

/// Reads a whole head: the bytes up to and with the empty line.
///
/// # Errors
///
/// Whatever is not plainly one HTTP/1.x request.
pub(crate) fn parse(bytes: Bytes, limits: HeadLimits) -> Result<Head, Refusal> {
    let mut lines = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MOST_FIELDS];
    let lines = &mut lines[..limits.fields.min(MOST_FIELDS)];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(&bytes, lines) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        // The section ends where its empty line is, so it is complete, or it is none.
        Ok(_) => return Err(Refusal::RequestLine),
        Err(error) => return Err(refusal(error)),
    }
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return Err(Refusal::RequestLine);
    };
    let version = match request.version {
        Some(0) => Version::HTTP_10,
        Some(1) => Version::HTTP_11,
        _ => return Err(Refusal::Version),
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Refusal::RequestLine)?;
    let target = read_target(&bytes, target, limits)?;
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 2);
    for line in request.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Refusal::FieldLine)?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(line.value))
            .map_err(|_| Refusal::FieldLine)?;
        headers
            .try_append(name, value)
            .map_err(|_| Refusal::TooManyFields)?;
    }
    let framing = framing(version, &headers)?;
    check_host(version, &headers)?;
    Ok(Head {
        expects: expects(version, &headers)?,
        keep_alive: keep_alive(version, &headers),
        method,
        target,
        version,
        headers,
        framing,
    })
}

fn refusal(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Refusal::FieldLine,
        httparse::Error::TooManyHeaders => Refusal::TooManyFields,
        httparse::Error::Version => Refusal::Version,
        httparse::Error::NewLine => Refusal::BareLineEnd,
        httparse::Error::Token | httparse::Error::Status => Refusal::RequestLine,
    }
}

fn read_target(bytes: &Bytes, target: &str, limits: HeadLimits) -> Result<Uri, Refusal> {
    if target.len() > limits.target {
        return Err(Refusal::TargetTooLong);
    }
    // RFC 9112 §3.2: a target has no fragment. The parser would cut it off, and the origin might not.
    // Outside of ASCII nothing is a URI (RFC 3986 §2), and not everybody reads it as the same one.
    let odd = |byte: &u8| *byte == b'#' || *byte == b'\\' || !byte.is_ascii_graphic();
    if target.as_bytes().iter().any(odd) {
        return Err(Refusal::Target);
    }
    Uri::from_maybe_shared(bytes.slice_ref(target.as_bytes())).map_err(|_| Refusal::Target)
}

/// RFC 9112 §6.3, without its leniency: one way to tell the length, or none.
fn framing(version: Version, headers: &HeaderMap) -> Result<Framing, Refusal> {
    let coded = headers.contains_key(TRANSFER_ENCODING);
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else {
        return if coded {
            transfer_coding(version, headers)
        } else {
            Ok(Framing::None)
        };
    };
    // RFC 9112 §6.1: a request with both may be an attempt to smuggle one; it may be rejected, and is.
    if coded {
        return Err(Refusal::BothLengths);
    }
    // RFC 9112 §6.3: the same number twice may be accepted; here nobody needs it.
    if lengths.next().is_some() {
        return Err(Refusal::ContentLength);
    }
    read_length(length.as_bytes())
        .map(Framing::Length)
        .ok_or(Refusal::ContentLength)
}

/// 1*DIGIT that fits. No sign, no list, no white space inside.
fn read_length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

fn transfer_coding(version: Version, headers: &HeaderMap) -> Result<Framing, Refusal> {
    // RFC 9112 §6.1: HTTP/1.0 has no Transfer-Encoding; its framing there is faulty.
    if version != Version::HTTP_11 {
        return Err(Refusal::TransferEncoding);
    }
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(Refusal::TransferEncoding);
    };
    if line.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Ok(Framing::Chunked);
    }
    // RFC 9112 §6.1: a coding that is not understood is answered with 501. §6.3: chunked has to be the last, and once.
    let codings: Vec<&[u8]> = line.as_bytes().split(|byte| *byte == b',').collect();
    let is_chunked = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    match codings.split_last() {
        Some((last, others)) if is_chunked(last) && !others.iter().any(|c| is_chunked(c)) => {
            Err(Refusal::Coding)
        }
        _ => Err(Refusal::TransferEncoding),
    }
}

/// RFC 9112 §3.2: exactly one Host in HTTP/1.1, and at most one before it.
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_10 => Ok(()),
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        _ => Err(Refusal::Host),
    }
}

/// RFC 9110 §7.2: `uri-host [":" port]`, narrowly: what a name or an address is made of. Empty is allowed
/// by the grammar for targets without an authority; no API has such a one.
pub(crate) fn is_host(host: &[u8]) -> bool {
    let allowed = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'[' | b']' | b'%')
    };
    !host.is_empty() && host.iter().all(allowed)
}

/// RFC 9110 §10.1.1: an expectation of a HTTP/1.0 client is ignored, one that is not understood is refused.
fn expects(version: Version, headers: &HeaderMap) -> Result<bool, Refusal> {
    let mut lines = headers.get_all(EXPECT).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(false),
        (Some(line), None) if line.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Ok(version == Version::HTTP_11)
        }
        _ => Err(Refusal::Expectation),
    }
}

/// RFC 9112 §9.3.
fn keep_alive(version: Version, headers: &HeaderMap) -> bool {
    if !headers.contains_key(CONNECTION) {
        return version == Version::HTTP_11;
    }
    let has = |option: &str| {
        let mut options = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        options.any(|named| named.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
    };
    !has("close") && (version == Version::HTTP_11 || has("keep-alive"))
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
