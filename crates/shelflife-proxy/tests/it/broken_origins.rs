//! Origins that answer oddly or not at all: 502 or 504 with a clear body, or a response that visibly breaks off.

use std::time::{Duration, Instant};

use crate::origin::Origin;
use crate::proxy;
use crate::raw::{self, Raw};

/// A configuration with more keys for the upstream.
async fn before(origin: &Origin, upstream: &str) -> proxy::Running {
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[upstream]\nurl = \"http://{}\"\n{upstream}\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{}\"",
        origin.address,
        proxy::TOKEN
    );
    proxy::start(shelflife_proxy::Config::from_toml("t", &text).unwrap()).await
}

#[tokio::test]
async fn what_is_no_response_is_answered_with_502() {
    let huge = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(500));
    for answer in [
        "",
        "\0\0\0\0",
        "hello\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: 1\0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: 1\rY: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: bravo\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: \r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: bravo, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, bravo\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: bravo\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: bravo\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked,\r\n bravo\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: bravo\r\n\r\nxx",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: bravo, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: bravo\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: 1",
        &huge,
        &many,
    ] {
        let origin = Origin::saying_once(answer).await;
        let proxy = proxy::before(&origin).await;
        let response = raw::get(proxy.address, "/").await;
        let shown = &answer[..answer.len().min(80)];
        assert_eq!(response.status(), 502, "{shown:?}");
        assert_eq!(
            response.field("content-type").as_deref(),
            Some("application/problem+json")
        );
        assert_eq!(response.field("cache-control").as_deref(), Some("no-store"));
        assert!(response.has("proxy-status"), "{shown:?}");
        assert!(response.text().contains("upstream"), "{}", response.text());
    }
}

#[tokio::test]
async fn a_header_section_without_end_is_given_up() {
    let origin = Origin::start(async |mut talk| {
        talk.request().await;
        talk.say("HTTP/1.1 200 OK\r\n").await;
        while talk.say("X: 1\r\n".repeat(1000)).await {}
    })
    .await;
    let proxy = proxy::before(&origin).await;
    assert_eq!(raw::get(proxy.address, "/").await.status(), 502);
}

#[tokio::test]
async fn lines_that_a_proxy_has_to_mend_are_mended() {
    // RFC 9112 §5.1: white space before the colon goes. §5.2: a folded line becomes one.
    let origin =
        Origin::saying("HTTP/1.1 200 OK\r\nContent-Length : 2\r\nX-Fold: a\r\n b\r\n\r\nok").await;
    let proxy = proxy::before(&origin).await;
    let response = raw::get(proxy.address, "/").await;
    assert_eq!((response.status(), response.text().as_str()), (200, "ok"));
    let fold = response.field("x-fold").unwrap();
    assert_eq!(fold.split_whitespace().collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_seen_to_break_off() {
    // RFC 9112 §8
    for (answer, body) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
            "short",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
            "short",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nzz\r\n",
            "short",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n0\r\n",
            "short",
        ),
    ] {
        let origin = Origin::saying_once(answer).await;
        let proxy = proxy::before(&origin).await;
        let mut client = Raw::connect(proxy.address).await;
        let response = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(response.status(), 200);
        assert!(!response.complete, "{answer:?}: {response:?}");
        assert_eq!(response.text(), body);
        assert!(client.is_over().await);
    }
}

#[tokio::test]
async fn to_http_1_0_a_broken_body_ends_with_a_reset() {
    // Without a length nothing but the end of the connection tells the end of the body.
    let origin = Origin::start(async |mut talk| {
        talk.request().await;
        let body = "x".repeat(100_000);
        talk.say(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\nzz",
            body.len()
        ))
        .await;
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    let response = client.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
    assert!(
        !response.complete,
        "an orderly end would say that this is all: {} bytes",
        response.body.len()
    );
}

#[tokio::test]
async fn a_response_without_a_length_is_passed_on() {
    let origin = Origin::saying_once("HTTP/1.0 200 OK\r\n\r\nuntil the end").await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    let response = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(
        response.field("transfer-encoding").as_deref(),
        Some("chunked")
    );
    assert_eq!(
        (response.text().as_str(), response.complete),
        ("until the end", true)
    );
    let again = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(
        again.text(),
        "until the end",
        "the client's connection is kept"
    );
}

#[tokio::test]
async fn a_coding_that_nobody_knows_lasts_until_the_origin_ends_the_connection() {
    // RFC 9112 §6.3, rule 4. What looks like chunks, and like a response of somebody else, is content.
    let body = "0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for coding in ["bravo", "identity", "xchunked"] {
        let origin = Origin::saying_once(format!(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: {coding}\r\n\r\n{body}"
        ))
        .await;
        let proxy = proxy::before(&origin).await;
        let mut client = Raw::connect(proxy.address).await;
        let first = client.ask("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(
            (first.status(), first.text().as_str(), first.complete),
            (200, body, true),
            "{coding}"
        );
        assert_eq!(
            first.field("transfer-encoding").as_deref(),
            Some("chunked"),
            "the proxy's own framing, and nothing of the origin's"
        );
        let again = client.ask("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!((again.text().as_str(), origin.seen().len()), (body, 1));
        assert!(
            !again.has("transfer-encoding"),
            "it is stored by its length"
        );
        let other = client.ask("GET /b HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!((other.text().as_str(), origin.connections()), (body, 2));
    }
}

#[tokio::test]
async fn a_connection_on_which_a_coding_was_unknown_is_not_used_again() {
    // A response to HEAD has no body, so that hyper would keep the connection; what the origin takes for one would
    // be the answer to whoever comes next.
    let origin = Origin::start(async |mut talk| {
        while let Some(request) = talk.request().await {
            let coding = match request.line.split(' ').next().unwrap() {
                "HEAD" => "Transfer-Encoding: bravo\r\n\r\n",
                _ => "Content-Length: 2\r\n\r\nok",
            };
            talk.say(format!("HTTP/1.1 200 OK\r\n{coding}")).await;
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let head = client.response_to("HEAD").await;
    assert_eq!((head.status(), head.has("transfer-encoding")), (200, false));
    for _ in 0..2 {
        let next = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(next.text(), "ok");
        assert_eq!(
            origin.connections(),
            2,
            "the second is kept, the first is not"
        );
    }
}

#[tokio::test]
async fn responses_without_a_body_are_told_apart_from_their_lengths() {
    let origin = Origin::start(async |mut talk| {
        while let Some(request) = talk.request().await {
            let answer = match request.line.split(' ').nth(1).unwrap() {
                "/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n",
                "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            };
            talk.say(answer).await;
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let head = client.response_to("HEAD").await;
    assert_eq!(head.field("content-length").as_deref(), Some("5"));
    let unchanged = client
        .ask("GET /304 HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a\"\r\n\r\n")
        .await;
    assert_eq!(unchanged.status(), 304);
    let none = client.ask("GET /204 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(
        (
            none.status(),
            none.field("content-length"),
            none.field("transfer-encoding")
        ),
        (204, None, None)
    );
}

#[tokio::test]
async fn nobody_there_is_a_502_that_says_so() {
    let origin = Origin::ok().await;
    let address = origin.address;
    drop(origin);
    let proxy = proxy::start(proxy::config(&format!("http://{address}"), "")).await;
    // The listener goes when its task has been dropped.
    let began = Instant::now();
    let response = loop {
        let response = raw::get(proxy.address, "/").await;
        if response.status() != 200 && response.text().contains("cannot be reached") {
            break response;
        }
        assert!(began.elapsed() < raw::PATIENCE, "{response:?}");
        tokio::task::yield_now().await;
    };
    assert_eq!(response.status(), 502);
    assert_eq!(
        response.field("proxy-status").as_deref(),
        Some("shelflife; error=destination_unavailable")
    );
}

#[tokio::test]
async fn an_origin_that_says_nothing_is_a_504() {
    let origin = Origin::start(async |mut talk| {
        talk.request().await;
        talk.head().await;
    })
    .await;
    let proxy = before(&origin, "first_byte = \"200ms\"").await;
    let began = Instant::now();
    let response = raw::get(proxy.address, "/").await;
    assert_eq!(response.status(), 504);
    assert!(
        response.text().contains("did not answer in time"),
        "{}",
        response.text()
    );
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn an_origin_that_falls_silent_is_broken_off() {
    let origin = Origin::start(async |mut talk| {
        talk.request().await;
        talk.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")
            .await;
        talk.head().await;
    })
    .await;
    let proxy = before(&origin, "between_bytes = \"200ms\"").await;
    let response = raw::get(proxy.address, "/").await;
    assert_eq!((response.status(), response.complete), (200, false));
}

#[tokio::test]
async fn a_slow_upload_is_not_the_origins_fault() {
    // The time to the first byte counts from the last piece of the request.
    let origin = Origin::ok().await;
    let proxy = before(&origin, "first_byte = \"300ms\"").await;
    // A machine that stands still makes any origin late: once is enough.
    for _ in 0..5 {
        let mut client = Raw::connect(proxy.address).await;
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
            .await;
        for piece in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if !client.try_send(piece).await {
                break;
            }
        }
        let response = client.response_if_any("POST").await;
        // What is still sent to who has answered 504 may take the answer along.
        let status = response.map_or(504, |response| response.status());
        if status != 504 {
            assert_eq!(status, 200);
            return;
        }
    }
    panic!("each upload was taken for a late answer");
}

#[tokio::test]
async fn requests_beyond_the_limit_are_told_to_come_back() {
    let origin = Origin::start(async |mut talk| {
        talk.request().await;
        talk.head().await;
    })
    .await;
    let proxy = before(&origin, "requests = 1\nconnect = \"100ms\"").await;
    let mut first = Raw::connect(proxy.address).await;
    first.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.until_asked().await;
    let response = raw::get(proxy.address, "/2").await;
    assert_eq!(response.status(), 503);
    assert_eq!(
        response.field("proxy-status").as_deref(),
        Some("shelflife; error=connection_limit_reached")
    );
}
