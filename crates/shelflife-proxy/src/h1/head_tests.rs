//! Tables of heads: what is read, and what is refused.

use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits {
    fields: 8,
    target: 64,
};

fn read(head: &str) -> Result<Head, Refusal> {
    parse(Bytes::copy_from_slice(head.as_bytes()), LIMITS)
}

/// A request with these field lines beside Host.
fn with(lines: &str) -> Result<Head, Refusal> {
    read(&format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

#[test]
fn the_length_of_a_body_is_told_in_one_way() {
    // RFC 9112 §6.3
    for (lines, framing) in [
        ("", Framing::None),
        ("Content-Length: 0\r\n", Framing::Length(0)),
        ("Content-Length:42\r\n", Framing::Length(42)),
        ("content-length: \t7 \r\n", Framing::Length(7)),
        ("Transfer-Encoding: chunked\r\n", Framing::Chunked),
        ("transfer-encoding:CHUNKED\r\n", Framing::Chunked),
    ] {
        assert_eq!(
            with(lines).map(|head| head.framing),
            Ok(framing),
            "{lines:?}"
        );
    }
}

#[test]
fn lengths_that_could_be_read_in_two_ways_are_refused() {
    use Refusal::{BothLengths, Coding, ContentLength, TransferEncoding};
    for (lines, refusal) in [
        (
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            BothLengths,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            BothLengths,
        ),
        ("Content-Length: 4\r\nContent-Length: 5\r\n", ContentLength),
        ("Content-Length: 4\r\nContent-Length: 4\r\n", ContentLength),
        ("Content-Length: 4, 4\r\n", ContentLength),
        ("Content-Length: +4\r\n", ContentLength),
        ("Content-Length: -1\r\n", ContentLength),
        ("Content-Length: 0x4\r\n", ContentLength),
        ("Content-Length: 4 4\r\n", ContentLength),
        ("Content-Length: 4.0\r\n", ContentLength),
        ("Content-Length:\r\n", ContentLength),
        ("Content-Length: 18446744073709551616\r\n", ContentLength),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            TransferEncoding,
        ),
        ("Transfer-Encoding: chunked, chunked\r\n", TransferEncoding),
        ("Transfer-Encoding: chunked, identity\r\n", TransferEncoding),
        ("Transfer-Encoding: identity\r\n", TransferEncoding),
        ("Transfer-Encoding: xchunked\r\n", TransferEncoding),
        ("Transfer-Encoding: \"chunked\"\r\n", TransferEncoding),
        ("Transfer-Encoding: chunked;q=1\r\n", TransferEncoding),
        ("Transfer-Encoding: \x0bchunked\r\n", Refusal::FieldLine),
        ("Transfer-Encoding:\r\n", TransferEncoding),
        ("Transfer-Encoding: gzip, chunked\r\n", Coding),
    ] {
        assert_eq!(
            with(lines).map(|head| head.framing),
            Err(refusal),
            "{lines:?}"
        );
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(read(old).map(|head| head.framing), Err(TransferEncoding));
}

#[test]
fn malformed_lines_are_refused() {
    use Refusal::{FieldLine, Host, RequestLine, Target, Version};
    for (head, refusal) in [
        // RFC 9112 §5.1: no white space between name and colon.
        ("GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", FieldLine),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
            FieldLine,
        ),
        // RFC 9112 §5.2: folded lines.
        ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", FieldLine),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", FieldLine),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", FieldLine),
        ("GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n", FieldLine),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\0\r\n\r\n", FieldLine),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n", FieldLine),
        ("GET / HTTP/1.1\r\nHost: a\r\nX(1): 2\r\n\r\n", FieldLine),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Version),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Refusal::BareLineEnd),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", Version),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Version),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", Version),
        ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        ("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        ("GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        ("GET /ä HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        ("GET / HTTP/1.1\r\n\r\n", Host),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Host),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Host),
        ("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", Host),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Host),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Host),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Host),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n",
            Refusal::Expectation,
        ),
    ] {
        assert_eq!(
            read(head).map(|head| head.framing),
            Err(refusal),
            "{head:?}"
        );
    }
}

#[test]
fn size_and_count_are_bounded() {
    let many = "X: 1\r\n".repeat(8);
    assert_eq!(
        with(&many).map(|head| head.framing),
        Err(Refusal::TooManyFields)
    );
    assert!(with(&"X: 1\r\n".repeat(7)).is_ok());
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(64));
    assert_eq!(
        read(&long).map(|head| head.framing),
        Err(Refusal::TargetTooLong)
    );
}

#[test]
fn targets_are_kept_byte_for_byte() {
    for target in [
        "/a/b",
        "/a%2Fb",
        "/a%2fb",
        "//a/b",
        "/a/./b/../c",
        "/?id=1&id=2",
        "/?",
        "*",
        "http://b/c",
    ] {
        let head = read(&format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(
            head.map(|head| head.target.to_string()),
            Ok(target.to_owned())
        );
    }
}

#[test]
fn the_connection_is_kept_as_the_client_wants() {
    // RFC 9112 §9.3
    for (version, lines, keep) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        (
            "1.1",
            "Connection: keep-alive\r\nConnection: x, Close\r\n",
            false,
        ),
        ("1.1", "Connection: upgrade\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let head = read(&format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n"));
        assert_eq!(
            head.map(|head| head.keep_alive),
            Ok(keep),
            "{version} {lines:?}"
        );
    }
}

#[test]
fn a_client_of_http_1_0_gets_no_100() {
    // RFC 9110 §10.1.1
    let head = |version| {
        read(&format!(
            "PUT / HTTP/{version}\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n"
        ))
    };
    assert_eq!(head("1.1").map(|head| head.expects), Ok(true));
    assert_eq!(head("1.0").map(|head| head.expects), Ok(false));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(Bytes::from(bytes), LIMITS);
    }

    #[test]
    fn what_is_read_has_one_length(lines in "(Content-Length: ?[0-9+, ]{0,4}\r\n|Transfer-Encoding: ?[a-z, ]{0,9}\r\n|Transfer-Encoding: chunked\r\n){0,3}") {
        if let Ok(head) = with(&lines) {
            let named = head.headers.get_all(CONTENT_LENGTH).iter().count()
                + head.headers.get_all(TRANSFER_ENCODING).iter().count();
            prop_assert!(named <= 1);
            prop_assert_eq!(named == 0, head.framing == Framing::None);
        }
    }
}
