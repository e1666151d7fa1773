//! Requests that could be read in two ways (RFC 9112 §2.2, §5, §6, §7, §11.2): none reaches the origin, and
//! nothing that follows on the connection is taken for a request.

use crate::origin::Origin;
use crate::proxy;
use crate::raw::{self, Raw};

/// Behind each shape: if it reached the origin, somebody read it as a request.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

async fn refused(shapes: &[(&str, u16)]) {
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    for (shape, status) in shapes {
        let mut client = Raw::connect(proxy.address).await;
        client.send(format!("{shape}{HIDDEN}")).await;
        let response = client.response().await;
        assert_eq!(response.status(), *status, "{shape:?}");
        assert_eq!(
            response.field("content-type").as_deref(),
            Some("application/problem+json")
        );
        assert_eq!(
            response.field("connection").as_deref(),
            Some("close"),
            "{shape:?}"
        );
        assert!(client.is_over().await, "{shape:?}: more was answered");
        assert!(
            origin.seen().is_empty(),
            "{shape:?} reached the origin: {:?}",
            origin.seen()
        );
    }
    // The proxy is in order all the same.
    assert_eq!(raw::get(proxy.address, "/").await.status(), 200);
}

#[tokio::test]
async fn two_lengths_are_refused() {
    refused(&[
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 44\r\n\r\n", 400),
    ])
    .await;
}

#[tokio::test]
async fn odd_lengths_are_refused() {
    for length in [
        "+0",
        "-0",
        "0x0",
        "0 0",
        "",
        "0.0",
        "18446744073709551616",
        "０",
    ] {
        let shape = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        refused(&[(&shape, 400)]).await;
    }
}

#[tokio::test]
async fn odd_transfer_codings_are_refused() {
    refused(&[
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ])
    .await;
}

#[tokio::test]
async fn odd_lines_are_refused() {
    refused(&[
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nX: 1\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\tContent-Length: 5\r\n\r\n",
            400,
        ),
        ("GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: 1\rContent-Length: 5\r\n\r\n",
            400,
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 505),
    ])
    .await;
}

#[tokio::test]
async fn a_body_whose_chunks_are_odd_is_refused_and_breaks_off_at_the_origin() {
    for chunks in [
        "1\nx\r\n0\r\n\r\n",
        "1\r\nxy\r\n0\r\n\r\n",
        "0x1\r\nx\r\n0\r\n\r\n",
        "+1\r\nx\r\n0\r\n\r\n",
        "1 1\r\nx\r\n0\r\n\r\n",
        "1\r\nx\n0\r\n\r\n",
        "g\r\n",
        "1;\n\r\nx\r\n0\r\n\r\n",
        "10000000000000001\r\nx\r\n0\r\n\r\n",
        "0\r\nX : 1\r\n\r\n",
        "0\n\r\n",
    ] {
        let origin = Origin::start(async |mut talk| {
            if talk.request().await.is_some_and(|request| request.complete) {
                talk.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    .await;
            }
        })
        .await;
        let proxy = proxy::before(&origin).await;
        let mut client = Raw::connect(proxy.address).await;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(format!("{head}{chunks}{HIDDEN}")).await;
        let response = client.response().await;
        assert_eq!(response.status(), 400, "{chunks:?}");
        assert!(client.is_over().await, "{chunks:?}: more was answered");
        for seen in origin.seen() {
            assert!(
                !seen.complete && !seen.line.contains("hidden"),
                "{chunks:?}: {seen:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_goes_to_the_origin_is_framed_anew() {
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:  CHUNKED \r\n\r\n\
                   1;a=b\r\nx\r\n2\r\nyz\r\n0\r\n\r\n";
    assert_eq!(client.ask(request).await.status(), 200);
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 003\r\n\r\nxyz";
    assert_eq!(client.ask(request).await.status(), 200);
    let seen = origin.seen();
    assert_eq!(
        seen[0].field("transfer-encoding").as_deref(),
        Some("chunked")
    );
    assert_eq!(seen[0].body, b"xyz");
    assert_eq!(seen[1].body, b"xyz");
    assert!(!seen[1].has("transfer-encoding"));
}

#[tokio::test]
async fn a_body_is_never_taken_for_the_next_request() {
    // The origin answers without having read the body; what is left of it is got rid of, or the connection ends.
    let origin = Origin::start(async |mut talk| {
        if talk.head().await.is_some() {
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                .await;
            let mut rest = Vec::new();
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut talk.stream, &mut rest).await;
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    for framing in ["Content-Length: 33", "Transfer-Encoding: chunked"] {
        let mut client = Raw::connect(proxy.address).await;
        let body = match framing.contains("chunked") {
            true => format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len()),
            false => HIDDEN.to_owned(),
        };
        assert_eq!(HIDDEN.len(), 33);
        client
            .send(format!(
                "POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}"
            ))
            .await;
        assert_eq!(client.response().await.status(), 200);
        if client
            .try_send("GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
        {
            client.rest().await;
        }
    }
    assert!(
        origin
            .seen()
            .iter()
            .all(|seen| !seen.line.contains("hidden")),
        "{:?}",
        origin.seen()
    );
}
