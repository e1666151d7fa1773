//! Whether a request is passed on, and in which form. Pure.

use bytes::Bytes;
use http::header::{ALLOW, HOST, HeaderValue, MAX_FORWARDS, TRANSFER_ENCODING, VIA};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;

use crate::answer;
use crate::body::RequestBody;
use crate::forward::{self, Name};

/// What the proxy passes on; for Allow.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// The response to a request that is not passed on.
pub(super) type Refused = Box<Response<Bytes>>;

/// Brings the request into the form that the cache and the upstream take.
///
/// # Errors
///
/// The response to a request that is not passed on.
pub(super) fn admit(request: &mut Request<RequestBody>, name: &Name) -> Result<(), Refused> {
    refuse_method(request.method())?;
    to_origin_form(request)
        .map_err(|detail| Box::new(answer::problem(StatusCode::BAD_REQUEST, detail)))?;
    let headers = request.headers();
    if headers.contains_key(VIA) && forward::goes_in_circles(headers, name) {
        let detail =
            "the request has been through this proxy before, and before: it goes in circles";
        return Err(Box::new(answer::problem(StatusCode::LOOP_DETECTED, detail)));
    }
    if headers.contains_key(MAX_FORWARDS) {
        count_forwards(request)?;
    }
    let version = request.version();
    let hop = forward::strip(request.headers_mut());
    // RFC 9110 §7.8: upgrades are HTTP/1.1's.
    if request.body().size_hint().exact().is_none() {
        // A length that is not known yet is said the way the cache looks for it, and the upstream gets it said.
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().insert(TRANSFER_ENCODING, chunked);
    }
    let upgrade = hop.upgrade.filter(|_| version == Version::HTTP_11);
    let body = request.body_mut();
    body.takes_trailers = hop.takes_trailers;
    body.upgrade = upgrade;
    Ok(())
}

/// CONNECT asks for a tunnel to anywhere, TRACE sends back what a client's scripts must not read, and PURGE is the
/// operator's: the first two are never for a reverse proxy's origin, the last is answered elsewhere.
fn refuse_method(method: &Method) -> Result<(), Refused> {
    let detail = match method.as_str() {
        "CONNECT" => "this proxy opens no tunnels",
        "TRACE" => "TRACE is not passed on",
        "PURGE" => "PURGE is taken on the admin listener alone",
        _ => return Ok(()),
    };
    Err(Box::new(answer::method_not_allowed(METHODS, detail)))
}

/// RFC 9112 §3.2: a target in absolute form names the host in the place of the Host field.
fn to_origin_form(request: &mut Request<RequestBody>) -> Result<(), &'static str> {
    let uri = request.uri();
    if let Some(authority) = uri.authority() {
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        if !known || !forward::is_host(authority.as_str().as_bytes()) {
            return Err("the request target is malformed");
        }
        let host = HeaderValue::from_str(authority.as_str());
        let host = host.map_err(|_| "the request target is malformed")?;
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let target: Uri = path
            .parse()
            .map_err(|_| "the request target is malformed")?;
        request.headers_mut().insert(HOST, host);
        *request.uri_mut() = target;
    }
    let path = request.uri().path();
    let asterisk = path == "*" && request.method() == Method::OPTIONS;
    if !path.starts_with('/') && !asterisk {
        return Err("the request target is malformed");
    }
    Ok(())
}

/// RFC 9110 §7.6.2: counted for OPTIONS; at zero, this is whom it is for.
fn count_forwards(request: &mut Request<RequestBody>) -> Result<(), Refused> {
    if request.method() != Method::OPTIONS {
        return Ok(());
    }
    let left = request
        .headers()
        .get(MAX_FORWARDS)
        .and_then(|left| left.to_str().ok());
    let Some(left) = left.and_then(|left| left.parse::<u64>().ok()) else {
        return Ok(());
    };
    let Some(less) = left.checked_sub(1) else {
        let mut response = Response::new(Bytes::new());
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(METHODS));
        return Err(Box::new(response));
    };
    request
        .headers_mut()
        .insert(MAX_FORWARDS, HeaderValue::from(less));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Name {
        Name {
            via: "shelf".into(),
            instance: "i7".into(),
        }
    }

    fn request(
        method: &str,
        target: &str,
        lines: &[(&'static str, &'static str)],
    ) -> Request<RequestBody> {
        let mut builder = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, "a");
        for (name, value) in lines {
            builder = builder.header(*name, *value);
        }
        builder.body(RequestBody::default()).unwrap()
    }

    fn refused(method: &str, target: &str, lines: &[(&'static str, &'static str)]) -> Option<u16> {
        let mut request = request(method, target, lines);
        admit(&mut request, &name())
            .err()
            .map(|response| response.status().as_u16())
    }

    #[test]
    fn methods_that_are_not_for_an_origin_are_refused() {
        for (method, status) in [("CONNECT", 405), ("TRACE", 405), ("PURGE", 405)] {
            assert_eq!(refused(method, "/", &[]), Some(status), "{method}");
        }
        for method in ["GET", "POST", "DELETE", "QUERY", "PROPFIND"] {
            assert_eq!(refused(method, "/", &[]), None, "{method}");
        }
    }

    #[test]
    fn a_target_in_absolute_form_replaces_host() {
        // RFC 9112 §3.2.2
        let mut absolute = request("GET", "http://b:81/c?d", &[]);
        admit(&mut absolute, &name()).unwrap();
        assert_eq!(absolute.headers()[HOST], "b:81");
        assert_eq!(absolute.uri(), "/c?d");
        assert_eq!(refused("GET", "ftp://b/", &[]), Some(400));
        assert_eq!(refused("GET", "http://u@b/", &[]), Some(400));
        assert_eq!(refused("GET", "*", &[]), Some(400));
        assert_eq!(refused("OPTIONS", "*", &[]), None);
        assert_eq!(refused("GET", "b:80", &[]), Some(400));
    }

    #[test]
    fn a_loop_ends() {
        let via = "1.1 shelf, 1.1 shelf, 1.1 shelf, 1.1 shelf, 1.1 shelf, 1.1 shelf, 1.1 shelf, 1.1 shelf";
        assert_eq!(refused("GET", "/", &[("via", via)]), Some(508));
        assert_eq!(refused("GET", "/", &[("via", "1.1 shelf")]), None);
    }

    #[test]
    fn options_is_answered_where_its_forwards_end() {
        // RFC 9110 §7.6.2
        assert_eq!(refused("OPTIONS", "/", &[("max-forwards", "0")]), Some(200));
        let mut counted = request("OPTIONS", "/", &[("max-forwards", "2")]);
        admit(&mut counted, &name()).unwrap();
        assert_eq!(counted.headers()[MAX_FORWARDS], "1");
        assert_eq!(refused("GET", "/", &[("max-forwards", "0")]), None);
    }

    #[test]
    fn an_upgrade_is_kept_aside() {
        let lines = [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
        ];
        let mut request = request("GET", "/", &lines);
        admit(&mut request, &name()).unwrap();
        assert_eq!(
            request.body().upgrade,
            Some(HeaderValue::from_static("websocket"))
        );
        assert!(request.body().takes_trailers);
        assert_eq!(request.headers().len(), 1);
    }
}
