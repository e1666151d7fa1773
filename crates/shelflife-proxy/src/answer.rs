//! Responses that the proxy itself gives: problem details (RFC 9457), never to be stored.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, DATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

/// RFC 9209: which proxy failed, and how.
pub(crate) const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

#[derive(Serialize)]
struct Problem<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
}

/// A problem, for a person and for a program. The detail says nothing of the inside.
pub(crate) fn problem(status: StatusCode, detail: &str) -> Response<Bytes> {
    let title = status.canonical_reason().unwrap_or("Error");
    let problem = Problem {
        title,
        status: status.as_u16(),
        detail,
    };
    let mut response = json(status, &problem);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    response
}

/// A document.
pub(crate) fn json(status: StatusCode, document: &impl Serialize) -> Response<Bytes> {
    // Only maps with keys other than text, and failing impls, can't be written: there are none here.
    let body = serde_json::to_vec(document).unwrap_or_default();
    let mut response = text(HeaderValue::from_static("application/json"), body);
    *response.status_mut() = status;
    response
}

/// A text of some kind.
pub(crate) fn text(kind: HeaderValue, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(DATE, date());
    response
}

/// A method that is not answered here.
pub(crate) fn method_not_allowed(allowed: &'static str, detail: &str) -> Response<Bytes> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, detail);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Now, as a Date field (RFC 9110 §6.6.1).
pub(crate) fn date() -> HeaderValue {
    let text = httpdate::fmt_http_date(SystemTime::now());
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_json_that_no_cache_keeps() {
        let response = problem(StatusCode::BAD_GATEWAY, "the \"upstream\" is down");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["status"], 502);
        assert_eq!(body["title"], "Bad Gateway");
        assert_eq!(body["detail"], "the \"upstream\" is down");
    }
}
