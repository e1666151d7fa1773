//! A request that the origin may have seen is never sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt;

use crate::origin::Origin;
use crate::proxy;
use crate::raw::{self, Raw};

#[tokio::test]
async fn an_origin_that_closes_after_the_request_gets_it_once() {
    for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
        let origin = Origin::start(async |mut talk| {
            talk.request().await;
        })
        .await;
        let proxy = proxy::before(&origin).await;
        let mut client = Raw::connect(proxy.address).await;
        client
            .send(format!(
                "{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
            ))
            .await;
        assert_eq!(client.response_to(method).await.status(), 502, "{method}");
        assert_eq!(
            (origin.seen().len(), origin.connections()),
            (1, 1),
            "{method}"
        );
    }
}

#[tokio::test]
async fn a_kept_connection_that_closes_on_a_request_gets_it_once() {
    // The first request is answered, so that the connection is kept; the second is read, and then the
    // connection ends. hyper's own client would try again here.
    for method in ["GET", "POST"] {
        let served = Arc::new(AtomicUsize::new(0));
        let origin = Origin::start(move |mut talk| {
            let served = served.clone();
            async move {
                while talk.request().await.is_some() {
                    if served.fetch_add(1, Ordering::SeqCst) > 0 {
                        return;
                    }
                    talk.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                        .await;
                }
            }
        })
        .await;
        let proxy = proxy::before(&origin).await;
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let mut client = Raw::connect(proxy.address).await;
        assert_eq!(client.ask(&request).await.status(), 200);
        let failed = client.ask(&request).await;
        assert_eq!(failed.status(), 502, "{method}");
        assert_eq!(
            failed.field("proxy-status").as_deref(),
            Some("shelflife; error=connection_terminated")
        );
        assert_eq!(
            (origin.seen().len(), origin.connections()),
            (2, 1),
            "{method}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_closed_while_idle_costs_no_error() {
    // Not a byte was sent on it: that request is the origin's for the first time.
    let origin = Origin::start(async |mut talk| {
        if talk.request().await.is_some() {
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await;
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    for n in 1..20 {
        let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
        let response = raw::ask(proxy.address, request).await;
        // Between the origin's end and the word of it there may be a request: it is then answered with 502, and
        // not sent again.
        assert!(matches!(response.status(), 200 | 502), "{response:?}");
        assert!(origin.seen().len() <= n);
    }
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    for _ in 0..20 {
        assert_eq!(
            client
                .ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .status(),
            200
        );
    }
    // A request that comes before hyper has said that the last connection is ready again takes another.
    assert!(
        origin.connections() <= 3,
        "{} connections",
        origin.connections()
    );
}

#[tokio::test]
async fn what_comes_behind_a_response_is_never_the_answer_to_another() {
    // RFC 9112 §9.2, §11.1: the origin, or somebody through it, sends two responses to one request.
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let origin = Origin::saying(answer).await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    for _ in 0..20 {
        let response = client
            .ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            .await;
        assert!(!response.text().contains("evil"), "{response:?}");
    }
}

#[tokio::test]
async fn a_client_that_goes_takes_its_request_along() {
    let origin = Origin::start(async |mut talk| {
        talk.request().await;
        // Ends when the proxy has given the request up.
        let mut rest = Vec::new();
        let _ = talk.stream.read_to_end(&mut rest).await;
        talk.say("gone").await;
        talk.head().await;
    })
    .await;
    let mut proxy = proxy::before_with(&origin, "[clients]\nhead = \"30s\"").await;
    let mut client = Raw::connect(proxy.address).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        .await;
    origin.until_asked().await;
    drop(client);
    // The place of the request is free again at once, so the proxy ends without waiting for the origin.
    proxy.control.shutdown();
    let kept = "the request was kept up for a client that has gone";
    proxy.ended(kept).await;
}
