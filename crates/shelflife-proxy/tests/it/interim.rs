//! 1xx: forwarded in order, before the final head, to clients that understand them (RFC 9110 §15.2, §10.1.1).

use tokio::sync::mpsc;

use crate::origin::Origin;
use crate::proxy;
use crate::raw::Raw;

#[tokio::test]
async fn early_hints_are_forwarded_as_they_come() {
    let (go, wait) = mpsc::channel::<()>(1);
    let wait = std::sync::Arc::new(tokio::sync::Mutex::new(wait));
    let origin = Origin::start(move |mut talk| {
        let wait = wait.clone();
        async move {
            while talk.request().await.is_some() {
                talk.say("HTTP/1.1 102 Processing\r\n\r\n").await;
                talk.say(
                    "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x\r\nX: 1\r\n\r\n",
                )
                .await;
                wait.lock().await.recv().await;
                talk.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await;
            }
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.response().await.status(), 102);
        let hints = client.response().await;
        assert_eq!(
            (hints.status(), hints.field("link").as_deref()),
            (103, Some("</a.css>"))
        );
        assert!(
            !hints.has("x") && !hints.has("connection"),
            "fields of one hop: {hints:?}"
        );
        // They came while the final response was still being made.
        go.send(()).await.unwrap();
        assert_eq!(client.response().await.text(), "ok");
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_none() {
    // RFC 9110 §15.2
    let origin = Origin::saying(
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    assert_eq!(
        client
            .ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn a_body_is_asked_for_when_the_origin_asks_for_it() {
    // RFC 9110 §10.1.1
    let origin = Origin::start(async |mut talk| {
        let Some(head) = talk.head().await else {
            return;
        };
        assert_eq!(head.field("expect").as_deref(), Some("100-continue"));
        assert!(talk.buffer.is_empty(), "the body was not held back");
        talk.say("HTTP/1.1 100 Continue\r\n\r\n").await;
        let mut body = [0; 3];
        tokio::io::AsyncReadExt::read_exact(&mut talk.stream, &mut body)
            .await
            .unwrap();
        assert_eq!(&body, b"abc");
        talk.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await;
        talk.head().await;
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    client
        .send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status(), 100);
    client.send("abc").await;
    assert_eq!(client.response().await.text(), "ok");
    // The connection is in order.
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
}

#[tokio::test]
async fn an_origin_that_refuses_a_body_never_gets_it() {
    let origin = Origin::start(async |mut talk| {
        if talk.head().await.is_some() {
            talk.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
                .await;
            talk.head().await;
        }
    })
    .await;
    let proxy = proxy::before_with(&origin, "").await;
    let mut client = Raw::connect(proxy.address).await;
    client
        .send(
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n",
        )
        .await;
    let response = client.response().await;
    assert_eq!(response.status(), 413);
    // Whether the client sends the body now is open: nothing that follows can be read.
    assert_eq!(response.field("connection").as_deref(), Some("close"));
    assert!(client.is_over().await);
}

#[tokio::test]
async fn an_origin_that_knows_no_100_gets_the_body_after_a_while() {
    let origin = Origin::ok().await;
    let config = format!("http://{}", origin.address);
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[upstream]\nurl = \"{config}\"\ngo_on = \"50ms\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{}\"",
        proxy::TOKEN
    );
    let proxy = proxy::start(shelflife_proxy::Config::from_toml("t", &text).unwrap()).await;
    let mut client = Raw::connect(proxy.address).await;
    client
        .send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status(), 100);
    client.send("abc").await;
    assert_eq!(client.response().await.text(), "ok");
    assert_eq!(origin.seen()[0].body, b"abc");
    // A client that does not wait is not told to go on.
    client
        .send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc")
        .await;
    assert_eq!(client.response().await.status(), 200);
}

#[tokio::test]
async fn an_endless_flood_of_interim_responses_ends() {
    let origin = Origin::start(async |mut talk| {
        talk.request().await;
        while talk
            .say("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n".repeat(100))
            .await
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[upstream]\nurl = \"http://{}\"\nfirst_byte = \"300ms\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{}\"",
        origin.address,
        proxy::TOKEN
    );
    let proxy = proxy::start(shelflife_proxy::Config::from_toml("t", &text).unwrap()).await;
    let mut client = Raw::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    loop {
        let response = client.response().await;
        if response.status() != 103 {
            assert_eq!(response.status(), 504);
            break;
        }
    }
}
