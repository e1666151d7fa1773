//! Responses that the layer makes: from what is stored, and from what came.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use shelflife_http::{Answer, CacheStatus, Request, answer, answer_headers};

use super::body::CacheBody;
use super::encode::{Form, varies};
use super::kept::Whole;
use super::layer::Config;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What a complete stored response says to a request: the whole, a part, 304, or only the head.
pub(crate) fn from_stored<B>(
    config: &Config,
    whole: &Whole,
    request: Request<'_>,
    now: u64,
    status: Option<CacheStatus>,
) -> Response<CacheBody<B>> {
    from_validated(config, whole, request, now, status, |_| ())
}

/// The same, with what the origin's 304 has for this client alone.
pub(crate) fn from_validated<B>(
    config: &Config,
    whole: &Whole,
    request: Request<'_>,
    now: u64,
    status: Option<CacheStatus>,
    amend: impl FnOnce(&mut HeaderMap),
) -> Response<CacheBody<B>> {
    let form = match config.encoder {
        Some(encoder) => encoder.form(request, &whole.head, &whole.body, &whole.encodings, now),
        None => Form {
            head: &whole.head,
            body: &whole.body,
            varies: false,
        },
    };
    let (head, len) = (form.head, form.body.len() as u64);
    let answer = answer(request, head, len, now);
    let mut headers = answer_headers(head, &answer, len, now);
    let body = match answer {
        Answer::Full if request.method == Method::HEAD => {
            // The length that a GET would have; the framing can't tell it from an empty body.
            if len > 0 && !headers.contains_key(CONTENT_LENGTH) {
                let _ = headers.try_insert(CONTENT_LENGTH, HeaderValue::from(len));
            }
            CacheBody::empty()
        }
        Answer::Full => CacheBody::whole(form.body.clone(), whole.trailers.clone()),
        Answer::Range {
            start,
            end_inclusive,
        } => CacheBody::whole(part(form.body, start, end_inclusive), None),
        Answer::NotModified | Answer::RangeNotSatisfiable => CacheBody::empty(),
    };
    if form.varies {
        varies(&mut headers);
    }
    amend(&mut headers);
    say(&mut headers, said(status));
    let mut response = Response::new(body);
    *response.status_mut() = answer.status(head);
    *response.headers_mut() = headers;
    response
}

/// A response of the layer's own, without content.
pub(crate) fn own<B>(status: StatusCode, said: Option<HeaderValue>) -> Response<CacheBody<B>> {
    let mut response = Response::new(CacheBody::empty());
    *response.status_mut() = status;
    let _ = response
        .headers_mut()
        .try_insert(CONTENT_LENGTH, HeaderValue::from(0));
    say(response.headers_mut(), said);
    response
}

/// A response as it came.
pub(crate) fn through<B>(
    response: Response<B>,
    said: Option<HeaderValue>,
) -> Response<CacheBody<B>> {
    let mut response = response.map(CacheBody::through);
    say(response.headers_mut(), said);
    response
}

/// RFC 9211 §2: what caches nearer to the origin said stays before it.
pub(crate) fn say(headers: &mut HeaderMap, said: Option<HeaderValue>) {
    if let Some(said) = said {
        let _ = headers.try_append(CACHE_STATUS, said);
    }
}

/// The field's value, if the layer speaks at all.
pub(crate) fn said(status: Option<CacheStatus>) -> Option<HeaderValue> {
    status.map(|status| status.value())
}

fn part(body: &Bytes, start: u64, end_inclusive: u64) -> Bytes {
    let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(body.len());
    let (start, end) = (within(start), within(end_inclusive.saturating_add(1)));
    body.slice(start.min(end)..end)
}
