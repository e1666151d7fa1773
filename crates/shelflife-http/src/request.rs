//! The facts of a request, and whether a cache has any part in it.

use http::{HeaderMap, Method, Uri, header};

use crate::control::{RequestControl, lines};
use crate::directive;
use crate::key::host_of;
use crate::{Policy, Reason};

/// The facts of a request that rules ask for. Borrowed; cheap.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// The target: origin form with a `Host` field beside it, or absolute.
    pub uri: &'a Uri,
    /// The fields.
    pub headers: &'a HeaderMap,
}

/// May this request be answered from what is stored, and may its response be stored? Asked before anything is
/// looked up.
///
/// # Errors
///
/// The reason for a bypass: the request goes to the origin as it is, and its response is passed on.
pub fn may_look_up(request: Request<'_>, policy: &Policy) -> Result<(), Reason> {
    let usual = request.method == Method::GET || request.method == Method::HEAD;
    // RFC 9111 §3: only methods whose semantics the cache knows.
    if !usual && !policy.methods.contains(request.method) {
        return Err(Reason::MethodNotCacheable);
    }
    // RFC 9110 §9.3.1: content of a GET has no defined meaning. An origin that reads it answers to something that
    // the key doesn't know. For the policy's methods the caller puts the content into the key.
    if usual && has_content(request.headers) {
        return Err(Reason::RequestBody);
    }
    if wants_upgrade(request.headers) {
        return Err(Reason::Upgrade);
    }
    // RFC 9111 §4.3.2: a cache must not evaluate what applies to an origin only.
    if request.headers.contains_key(header::IF_MATCH)
        || request.headers.contains_key(header::IF_UNMODIFIED_SINCE)
    {
        return Err(Reason::Precondition);
    }
    host_of(request).map(|_| ())
}

/// May this request fetch for others, and wait for what another fetches? What it wants from the origin must be
/// the whole representation, to be stored. Such a request may still be answered from what is stored.
///
/// # Errors
///
/// Why it goes to the origin by itself.
pub fn may_collapse(request: Request<'_>, _policy: &Policy) -> Result<(), Reason> {
    // RFC 9110 §9.3.2: the answer has no content.
    if request.method == Method::HEAD {
        return Err(Reason::Head);
    }
    if request.headers.contains_key(header::RANGE) {
        return Err(Reason::RangeRequest);
    }
    // RFC 9111 §5.2.1.5
    if RequestControl::read(request.headers).no_store {
        return Err(Reason::NoStoreRequest);
    }
    Ok(())
}

/// Whether the request wants a stored answer or none (RFC 9111 §5.2.1.7). With nothing stored at all, the answer
/// is 504. Honoured under every policy: it never makes the origin work.
pub fn only_if_cached(request: Request<'_>, _policy: &Policy) -> bool {
    RequestControl::read(request.headers).only_if_cached
}

/// RFC 9110 §7.8. `h2c` is offered by clients that do as well without, and nobody takes it up any more (RFC 9113
/// §3.1).
fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
        && lines(headers, &header::UPGRADE)
            .flat_map(directive::members)
            .any(|protocol| !protocol.eq_ignore_ascii_case(b"h2c"))
}

/// RFC 9112 §6: a length other than zero, or a transfer coding.
fn has_content(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers
            .get_all(header::CONTENT_LENGTH)
            .iter()
            .any(|length| length.as_bytes() != b"0")
}
