//! Updating what is stored by a response without content: a 304 (RFC 9111 §4.3.4), or one to HEAD (§4.3.5).

use http::{HeaderMap, HeaderName, StatusCode, header};

use crate::freshness::Times;
use crate::hop;
use crate::store::judge;
use crate::{Policy, Reason, Request, Stored, etag};

/// What is stored, updated by a 304 to its validation. The content stays.
///
/// `request` is the one that was validated for: it selects what is stored. `sent` and `now` as for
/// [`store`](fn@crate::store).
///
/// # Errors
///
/// Why it may no longer be stored. It still answers this request.
pub fn freshen(
    stored: &Stored,
    request: Request<'_>,
    headers: &HeaderMap,
    policy: &Policy,
    sent: u64,
    now: u64,
) -> Result<Stored, Reason> {
    let merged = merge(stored, headers)?;
    judge(
        request,
        stored.status,
        &merged,
        policy,
        Times::read(&merged, sent, now),
    )
}

/// The head of a response that just came.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The status.
    pub status: StatusCode,
    /// The fields.
    pub headers: &'a HeaderMap,
    /// When its request was sent, milliseconds since the Unix epoch.
    pub sent: u64,
    /// When the head arrived.
    pub now: u64,
}

/// What a HEAD response says of a stored GET response (RFC 9111 §4.3.5).
#[derive(Clone, Debug, PartialEq)]
pub enum HeadUpdate {
    /// It describes the same representation: this head takes the place of the stored one.
    Updated(Box<Stored>),
    /// It describes another, or one that may no longer be stored: what is stored is stale from now on.
    Outdated(Reason),
    /// It says nothing of what is stored.
    Nothing,
}

/// What a response to a HEAD request says of the stored response that the request selects. `body_len`: of the
/// stored content.
pub fn head_update(
    request: Request<'_>,
    stored: &Stored,
    body_len: u64,
    head: Received<'_>,
    policy: &Policy,
) -> HeadUpdate {
    // RFC 9111 §4.3.5: a 200, which is about a representation as the stored one is.
    if head.status != StatusCode::OK || stored.status != StatusCode::OK {
        return HeadUpdate::Nothing;
    }
    if !same_representation(stored, body_len, head.headers) {
        return HeadUpdate::Outdated(Reason::HeadDiffers);
    }
    match freshen(stored, request, head.headers, policy, head.sent, head.now) {
        Ok(updated) => HeadUpdate::Updated(Box::new(updated)),
        Err(reason) => HeadUpdate::Outdated(reason),
    }
}

/// Adds to the answer the cookies that the origin sent with its 304: they are for this client, and aren't stored.
pub fn pass_cookies(origin: &HeaderMap, answer: &mut HeaderMap) {
    if origin.contains_key(header::SET_COOKIE) {
        answer.remove(header::SET_COOKIE);
        for cookie in origin.get_all(header::SET_COOKIE) {
            let _ = answer.try_append(header::SET_COOKIE, cookie.clone());
        }
    }
}

/// RFC 9111 §4.3.5: the validators that came, and the length, if it came.
fn same_representation(stored: &Stored, body_len: u64, headers: &HeaderMap) -> bool {
    let same = |name: &HeaderName| {
        headers
            .get(name)
            .is_none_or(|theirs| stored.headers.get(name).is_some_and(|ours| ours == theirs))
    };
    let length = headers
        .get(header::CONTENT_LENGTH)
        .map(http::HeaderValue::as_bytes);
    let stored_length = stored
        .headers
        .get(header::CONTENT_LENGTH)
        .map(http::HeaderValue::as_bytes);
    let same_length = length.is_none_or(|length| {
        stored_length == Some(length)
            || std::str::from_utf8(length)
                .ok()
                .and_then(|text| text.parse().ok())
                == Some(body_len)
    });
    same(&header::ETAG) && same(&header::LAST_MODIFIED) && same_length
}

/// RFC 9111 §3.2: each field of the update replaces all of that name, with few exceptions.
fn merge(stored: &Stored, update: &HeaderMap) -> Result<HeaderMap, Reason> {
    let mut merged = stored.headers.clone();
    // RFC 9110 §6.6.1: the moment of the update; without one in it, the time of receipt.
    merged.remove(header::DATE);
    let mut update = update.clone();
    hop::remove_hop_by_hop(&mut update);
    for name in update.keys() {
        if may_update(name, stored, &update) {
            merged.remove(name);
            for value in update.get_all(name) {
                merged
                    .try_append(name, value.clone())
                    .map_err(|_| Reason::TooManyFields)?;
            }
        }
    }
    Ok(merged)
}

fn may_update(name: &HeaderName, stored: &Stored, update: &HeaderMap) -> bool {
    // RFC 9111 §3.2: never the length. And not how the content that is stored is coded and cut: a stored
    // response depends on that for its integrity.
    if [
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
    ]
    .contains(name)
    {
        return false;
    }
    // The same tag, weaker or stronger than it was: what was known of the stored bytes stays known.
    let same_tag = || {
        update
            .get(header::ETAG)
            .is_some_and(|tag| etag::same_weakly(tag.as_bytes(), stored.etag()))
    };
    *name != header::ETAG || !same_tag()
}
