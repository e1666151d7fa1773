//! Clients that take their time, or too much of everything.

use std::time::{Duration, Instant};

use crate::origin::Origin;
use crate::proxy;
use crate::raw::{self, Raw};

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_refused() {
    let origin = Origin::ok().await;
    let proxy = proxy::before_with(&origin, "[clients]\nhead = \"300ms\"").await;
    // Byte by byte: each one is progress, and does not count.
    let began = Instant::now();
    let mut client = Raw::connect(proxy.address).await;
    for byte in "GET / HTTP/1.1\r\nHost: a\r\nX-Very-Slow: and going on"
        .bytes()
        .cycle()
    {
        if began.elapsed() > Duration::from_millis(320) || !client.try_send([byte]).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.response().await.status(), 408);
    // Nothing at all: an end without a word.
    let mut silent = Raw::connect(proxy.address).await;
    assert!(silent.is_over().await);
    // The beginning of HTTP/2's preface, and no more.
    let mut preface = Raw::connect(proxy.address).await;
    preface.send("PRI * HTT").await;
    assert!(preface.is_over().await);
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let origin = Origin::ok().await;
    let proxy = proxy::before_with(&origin, "[clients]\nidle = \"1s\"").await;
    let mut client = Raw::connect(proxy.address).await;
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(
            client
                .ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .status(),
            200
        );
    }
    assert!(client.is_over().await);
    assert!(began.elapsed() >= Duration::from_millis(700));
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_refused() {
    let origin = Origin::ok().await;
    let proxy = proxy::before_with(&origin, "[clients]\nbody = \"200ms\"").await;
    let mut client = Raw::connect(proxy.address).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx")
        .await;
    assert_eq!(client.response().await.status(), 408);
    assert!(client.is_over().await);
    // What the origin saw was no whole request.
    assert!(origin.seen().iter().all(|seen| !seen.complete));
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let origin = Origin::flooding().await;
    let mut proxy = proxy::before_with(
        &origin,
        "[clients]\nwrite = \"300ms\"\n[shutdown]\ngrace = \"1h\"",
    )
    .await;
    let mut client = Raw::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.until_asked().await;
    // The proxy ends when it has got rid of the connection.
    proxy.control.shutdown();
    proxy.ended("the client still holds its connection").await;
}

#[tokio::test]
async fn heads_are_bounded_in_size_and_number() {
    let origin = Origin::ok().await;
    let limits = "[clients]\nhead_size = \"4KiB\"\nfields = 10\ntarget = \"1KiB\"";
    let proxy = proxy::before_with(&origin, limits).await;
    let long = "x".repeat(5000);
    for (request, status) in [
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(10)),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(9)),
            200,
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(2000)),
            414,
        ),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
    ] {
        let response = raw::ask(proxy.address, &request).await;
        assert_eq!(response.status(), status, "{}", &request[..60]);
    }
    // Without an end: no more is read than may be.
    let mut client = Raw::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
    let more = "X-More: and more\r\n".repeat(100);
    let mut sent = 0;
    while client.try_send(&more).await {
        sent += more.len();
        // What the kernel takes for both sides, and no more.
        assert!(sent < 64 << 20, "{sent} bytes were taken");
        let ready = client.stream.readable();
        if tokio::time::timeout(Duration::from_millis(1), ready)
            .await
            .is_ok()
        {
            break;
        }
    }
    assert_eq!(client.response().await.status(), 431);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let origin = Origin::ok().await;
    let proxy = proxy::before_with(&origin, "[clients]\nconnections = 2\nidle = \"1h\"").await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut first = Raw::connect(proxy.address).await;
    let mut second = Raw::connect(proxy.address).await;
    assert_eq!(first.ask(request).await.status(), 200);
    assert_eq!(second.ask(request).await.status(), 200);
    let mut third = Raw::connect(proxy.address).await;
    third.send(request).await;
    let early = tokio::time::timeout(Duration::from_millis(200), third.response()).await;
    assert!(early.is_err(), "a third connection was served");
    drop(first);
    assert_eq!(third.response().await.status(), 200);
}

#[tokio::test]
async fn empty_lines_before_a_request_are_ignored() {
    // RFC 9112 §2.2
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    client.send("\r").await;
    client.send("\n\r\n").await;
    assert_eq!(
        client
            .ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .status(),
        200
    );
    assert_eq!(
        client
            .ask("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn http_1_0_keeps_its_connection_only_when_asked() {
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    let kept = client
        .ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await;
    assert_eq!(kept.field("connection").as_deref(), Some("keep-alive"));
    let closed = client.ask("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(closed.field("connection").as_deref(), Some("close"));
    assert!(client.is_over().await);
}
