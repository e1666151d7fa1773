//! A response's head as bytes, and how its body will be framed (RFC 9112 §4, §6). Pure.

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method, StatusCode, Version};

/// How the body of a response is framed towards this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// There is none, whatever the head says of a length.
    None,
    Length(u64),
    Chunked,
    /// HTTP/1.0 and no length: the end of the connection ends it.
    UntilClose,
}

/// Decides on the framing. `exact`: the body's own length, where it knows it.
pub(crate) fn plan(
    method: &Method,
    version: Version,
    status: StatusCode,
    headers: &HeaderMap,
    exact: Option<u64>,
) -> Plan {
    // RFC 9112 §6.3, first rule.
    let bodiless = status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    if method == Method::HEAD || bodiless {
        return Plan::None;
    }
    match exact.or_else(|| told_length(headers)) {
        Some(length) => Plan::Length(length),
        None if version == Version::HTTP_11 => Plan::Chunked,
        None => Plan::UntilClose,
    }
}

fn told_length(headers: &HeaderMap) -> Option<u64> {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return None;
    };
    line.to_str().ok()?.parse().ok()
}

/// What is said of the connection's future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    Close,
    KeepAlive,
    /// What the version implies.
    Unsaid,
}

/// Appends a head with its empty line.
pub(crate) fn head(
    out: &mut BytesMut,
    status: StatusCode,
    headers: &HeaderMap,
    plan: Plan,
    connection: Connection,
) {
    out.reserve(256 + headers.len() * 48);
    status_line(out, status);
    // RFC 9110 §8.6: no Content-Length in 204. Beside a body the plan's own is written.
    let keeps_length = plan == Plan::None && status != StatusCode::NO_CONTENT;
    for (name, value) in headers {
        let is_framing = name == CONTENT_LENGTH && !keeps_length;
        if is_framing || name == TRANSFER_ENCODING || name == CONNECTION || name == UPGRADE {
            continue;
        }
        field(out, name, value.as_bytes());
    }
    match plan {
        Plan::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Plan::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Plan::None | Plan::UntilClose => {}
    }
    match connection {
        Connection::Close => out.extend_from_slice(b"connection: close\r\n"),
        Connection::KeepAlive => out.extend_from_slice(b"connection: keep-alive\r\n"),
        Connection::Unsaid => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the head of an interim response (RFC 9110 §15.2), or that of 101, which names the new protocol.
pub(crate) fn interim(out: &mut BytesMut, status: StatusCode, headers: &HeaderMap) {
    status_line(out, status);
    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in headers {
        if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
            continue;
        }
        if switches || (name != CONNECTION && name != UPGRADE) {
            field(out, name, value.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the end of a chunked body, with its trailers.
pub(crate) fn last_chunk(out: &mut BytesMut, trailers: &HeaderMap) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        field(out, name, value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn status_line(out: &mut BytesMut, status: StatusCode) {
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn field(out: &mut BytesMut, name: &HeaderName, value: &[u8]) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_framing_follows_method_status_and_version() {
        let mut told = HeaderMap::new();
        told.insert(CONTENT_LENGTH, HeaderValue::from_static("7"));
        let none = HeaderMap::new();
        let (new, old) = (Version::HTTP_11, Version::HTTP_10);
        for (method, version, status, headers, exact, expected) in [
            (Method::GET, new, 200, &told, Some(7), Plan::Length(7)),
            (Method::GET, new, 200, &told, None, Plan::Length(7)),
            (Method::GET, new, 206, &told, Some(2), Plan::Length(2)),
            (Method::GET, new, 200, &none, None, Plan::Chunked),
            (Method::GET, old, 200, &none, None, Plan::UntilClose),
            (Method::HEAD, new, 200, &told, Some(0), Plan::None),
            (Method::GET, new, 304, &told, Some(0), Plan::None),
            (Method::POST, new, 204, &none, None, Plan::None),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let plan = plan(&method, version, status, headers, exact);
            assert_eq!(plan, expected, "{method} {version:?} {status}");
        }
    }

    #[test]
    fn a_head_says_its_framing_once() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("7"));
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert("x-a", HeaderValue::from_static("b"));
        let written = |status, plan, connection| {
            let mut out = BytesMut::new();
            head(&mut out, status, &headers, plan, connection);
            String::from_utf8(out.to_vec()).unwrap()
        };
        assert_eq!(
            written(StatusCode::OK, Plan::Length(9), Connection::Close),
            "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 9\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(
            written(StatusCode::OK, Plan::Chunked, Connection::Unsaid),
            "HTTP/1.1 200 OK\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        assert_eq!(
            written(StatusCode::NOT_MODIFIED, Plan::None, Connection::Unsaid),
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\nx-a: b\r\n\r\n"
        );
        assert_eq!(
            written(StatusCode::NO_CONTENT, Plan::None, Connection::Unsaid),
            "HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n"
        );
    }
}
