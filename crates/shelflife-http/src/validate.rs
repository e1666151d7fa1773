//! Asking the origin whether what is stored still holds (RFC 9111 §4.3), and what its answer means.

use http::{HeaderMap, StatusCode, header};

use crate::{Stored, etag};

/// Makes the headers of a request to the origin that fills the cache: the client's own conditions and its range
/// are removed, so that the whole representation comes. [`answer`](fn@crate::answer) evaluates them afterwards.
pub fn fill_request(headers: &mut HeaderMap) {
    for name in [
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_RANGE,
        header::RANGE,
    ] {
        headers.remove(name);
    }
}

/// Makes the headers of a request that validates what is stored (RFC 9111 §4.3.1), from those of a request that
/// it selects: the fields that Vary names are in it already.
///
/// Both validators are sent where there are both: an origin that knows only dates answers by the second.
pub fn validation_request(headers: &mut HeaderMap, stored: &Stored) {
    fill_request(headers);
    if let Some(tag) = stored
        .headers
        .get(header::ETAG)
        .filter(|tag| !tag.is_empty())
    {
        let _ = headers.try_insert(header::IF_NONE_MATCH, tag.clone());
    }
    if let Some(modified) = stored
        .headers
        .get(header::LAST_MODIFIED)
        .filter(|_| stored.last_modified.is_some())
    {
        let _ = headers.try_insert(header::IF_MODIFIED_SINCE, modified.clone());
    }
}

/// What the origin's answer to a validation means (RFC 9111 §4.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validated {
    /// What is stored still holds: [`freshen`](crate::freshen) it.
    NotModified,
    /// A full response: it answers the request, and replaces what is stored if it may be stored.
    Replaced,
    /// 500, 502, 503 or 504: it is passed on, or what is stored is served where `if_error` allows it.
    ServerError,
    /// A 304 that names another representation than the stored one ([`Reason::OtherRepresentation`]): ask again with
    /// [`fill_request`].
    ///
    /// [`Reason::OtherRepresentation`]: crate::Reason::OtherRepresentation
    Unusable,
}

/// What the origin's answer to a request made by [`validation_request`] means.
pub fn validated(stored: &Stored, status: StatusCode, headers: &HeaderMap) -> Validated {
    match status.as_u16() {
        304 if names_same(stored, headers) => Validated::NotModified,
        304 => Validated::Unusable,
        500 | 502 | 503 | 504 => Validated::ServerError,
        _ => Validated::Replaced,
    }
}

/// RFC 9111 §4.3.4: whether the validators of a 304 are those of what is stored.
///
/// Tags are compared weakly: an origin that codes content on the way marks a tag as weak in the 200 and not in
/// the 304, and means the same. One tag was asked about, and a 304 with that tag answers for it.
fn names_same(stored: &Stored, headers: &HeaderMap) -> bool {
    if let Some(tag) = headers.get(header::ETAG) {
        return stored.etag().is_empty() || etag::same_weakly(tag.as_bytes(), stored.etag());
    }
    // Without a tag in it, a 304 was given by date only where only a date was asked about.
    match (
        headers.get(header::LAST_MODIFIED),
        stored.headers.get(header::LAST_MODIFIED),
    ) {
        (Some(theirs), Some(ours)) if stored.etag().is_empty() => theirs == ours,
        _ => true,
    }
}
