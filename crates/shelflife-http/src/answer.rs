//! What to send for a request from a complete stored response: conditions (RFC 9110 §13), then ranges (§14).

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::freshness::single;
use crate::range::{self, Asked};
use crate::{Request, Stored, date, directive, etag};

/// What to send. HEAD gets the same without content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The stored status and the whole content.
    Full,
    /// 304, no content.
    NotModified,
    /// 206 with these bytes, both ends included.
    Range {
        /// The first byte's offset.
        start: u64,
        /// The last byte's offset.
        end_inclusive: u64,
    },
    /// 416, no content.
    RangeNotSatisfiable,
}

impl Answer {
    /// The status to send.
    pub fn status(&self, stored: &Stored) -> StatusCode {
        match self {
            Self::Full => stored.status,
            Self::NotModified => StatusCode::NOT_MODIFIED,
            Self::Range { .. } => StatusCode::PARTIAL_CONTENT,
            Self::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }
}

/// What to send for this request from a complete stored response with so many bytes of content.
///
/// Several ranges get the whole (RFC 9110 §14.2 allows it). Allocates nothing.
pub fn answer(request: Request<'_>, stored: &Stored, body_len: u64, now: u64) -> Answer {
    let get = request.method == Method::GET;
    // RFC 9111 §4.3.2, RFC 9110 §13.2.1: conditions are about a representation, which a 200 carries.
    if stored.status != StatusCode::OK || !(get || request.method == Method::HEAD) {
        return Answer::Full;
    }
    if is_not_modified(request.headers, stored, now) {
        return Answer::NotModified;
    }
    // RFC 9110 §14.2: Range is defined for GET only.
    let Some(range) = request.headers.get(header::RANGE).filter(|_| get) else {
        return Answer::Full;
    };
    // RFC 9110 §14.2: two Range fields are no Range.
    if single(request.headers, &header::RANGE).is_none()
        || !if_range_holds(request.headers, stored, now)
    {
        return Answer::Full;
    }
    match range::read(range.as_bytes(), body_len) {
        Asked::Whole => Answer::Full,
        Asked::Part {
            start,
            end_inclusive,
        } => Answer::Range {
            start,
            end_inclusive,
        },
        Asked::Unsatisfiable => Answer::RangeNotSatisfiable,
    }
}

/// The header map to send with it: one copy of the stored fields, `Age`, and what the status needs.
pub fn answer_headers(stored: &Stored, answer: &Answer, body_len: u64, now: u64) -> HeaderMap {
    let mut headers = stored.headers.clone();
    // RFC 9111 §5.1, §1.2.2
    set(
        &mut headers,
        header::AGE,
        HeaderValue::from((stored.age(now) / 1000).min(1 << 31)),
    );
    match answer {
        Answer::Full => {}
        Answer::NotModified => {
            // RFC 9110 §15.4.5: what guides caches stays (ETag, Vary, Date, Content-Location, Cache-Control, Expires,
            // Last-Modified); what describes content that isn't sent goes.
            for name in DESCRIBES_CONTENT {
                headers.remove(name);
            }
        }
        Answer::Range {
            start,
            end_inclusive,
        } => {
            // RFC 9110 §14.4, §15.3.7
            let range = format!("bytes {start}-{end_inclusive}/{body_len}");
            set(
                &mut headers,
                header::CONTENT_LENGTH,
                HeaderValue::from(end_inclusive.saturating_sub(*start).saturating_add(1)),
            );
            if let Ok(range) = HeaderValue::try_from(range) {
                set(&mut headers, header::CONTENT_RANGE, range);
            }
        }
        Answer::RangeNotSatisfiable => {
            for name in DESCRIBES_CONTENT {
                headers.remove(name);
            }
            // RFC 9110 §15.5.17
            if let Ok(range) = HeaderValue::try_from(format!("bytes */{body_len}")) {
                set(&mut headers, header::CONTENT_RANGE, range);
            }
            set(&mut headers, header::CONTENT_LENGTH, HeaderValue::from(0));
        }
    }
    headers
}

const DESCRIBES_CONTENT: [HeaderName; 5] = [
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_RANGE,
];

/// A map that is full keeps what it has: better without a field than without an answer.
fn set(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    let _ = headers.try_insert(name, value);
}

/// RFC 9110 §13.2.2, steps 3 and 4; the first two are the origin's (RFC 9111 §4.3.2).
fn is_not_modified(headers: &HeaderMap, stored: &Stored, now: u64) -> bool {
    if headers.contains_key(header::IF_NONE_MATCH) {
        // RFC 9110 §13.1.3: If-Modified-Since isn't asked then.
        return headers
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .any(|line| none_match_lists(line.as_bytes(), stored.etag()));
    }
    // RFC 9110 §13.1.3: what isn't one date is ignored.
    let since = single(headers, &header::IF_MODIFIED_SINCE).and_then(|text| date::parse(text, now));
    // RFC 9111 §4.3.2: without Last-Modified, by Date; which was the time of receipt where there was none.
    since.is_some_and(|since| stored.last_modified.unwrap_or(stored.date) / 1000 * 1000 <= since)
}

/// RFC 9110 §13.1.2: `*`, or a list with a tag that is weakly the same.
fn none_match_lists(line: &[u8], tag: &[u8]) -> bool {
    directive::trim(line) == b"*" || etag::tags(line).any(|listed| etag::same_weakly(listed, tag))
}

/// RFC 9110 §13.1.5: true without If-Range; else the validator must be the same, strongly.
fn if_range_holds(headers: &HeaderMap, stored: &Stored, now: u64) -> bool {
    if !headers.contains_key(header::IF_RANGE) {
        return true;
    }
    let Some(validator) = single(headers, &header::IF_RANGE) else {
        return false;
    };
    match date::parse(validator, now) {
        // RFC 9110 §8.8.2.2: a date is strong if the content can't have changed again in the same second.
        Some(date) => {
            let strong = stored
                .last_modified
                .is_some_and(|modified| stored.date >= modified.saturating_add(1000));
            strong && stored.last_modified == Some(date)
        }
        None => etag::same_strongly(validator, stored.etag()),
    }
}
