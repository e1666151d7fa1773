//! Upgrades: after 101 the bytes are carried both ways (RFC 9110 §7.8).

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::origin::{Origin, Talk};
use crate::proxy;
use crate::raw::{self, Raw};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";

async fn echo(mut talk: Talk) {
    let Some(request) = talk.head().await else {
        return;
    };
    assert_eq!(request.field("connection").as_deref(), Some("upgrade"));
    assert_eq!(request.field("upgrade").as_deref(), Some("websocket"));
    assert!(request.has("sec-websocket-key"));
    talk.say(SWITCH).await;
    let mut piece = std::mem::take(&mut talk.buffer);
    loop {
        if !piece.is_empty() && talk.stream.write_all(&piece).await.is_err() {
            return;
        }
        piece.clear();
        if !matches!(talk.stream.read_buf(&mut piece).await, Ok(read) if read > 0) {
            return;
        }
    }
}

#[tokio::test]
async fn a_websocket_is_tunnelled() {
    let origin = Origin::start(echo).await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    // Bytes that come right behind the request belong to the new protocol.
    client.send(format!("{UPGRADE}first")).await;
    let response = client.response().await;
    assert_eq!(response.status(), 101);
    assert_eq!(response.field("connection").as_deref(), Some("upgrade"));
    assert_eq!(response.field("upgrade").as_deref(), Some("websocket"));
    assert_eq!(response.field("sec-websocket-accept").as_deref(), Some("x"));
    let mut said = [0; 5];
    client.stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"first");
    for n in 0..100 {
        let line = format!("{n:09}\n");
        client.send(&line).await;
        let mut said = [0; 10];
        client.stream.read_exact(&mut said).await.unwrap();
        assert_eq!(said, line.as_bytes());
    }
    client.stream.shutdown().await.unwrap();
    assert!(client.is_over().await, "the end is passed on");
}

#[tokio::test]
async fn an_origin_that_does_not_switch_answers_as_usual() {
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    for _ in 0..2 {
        assert_eq!(client.ask(UPGRADE).await.text(), "ok");
    }
}

#[tokio::test]
async fn an_upgrade_to_clear_text_http_2_is_not_for_the_origin() {
    // RFC 9113 §3.1
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
    assert_eq!(raw::ask(proxy.address, request).await.text(), "ok");
    let seen = &origin.seen()[0];
    assert!(
        !seen.has("upgrade") && !seen.has("http2-settings") && !seen.has("connection"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_is_closed() {
    let origin = Origin::start(echo).await;
    let proxy = proxy::before_with(&origin, "[clients]\ntunnel = \"200ms\"").await;
    let mut client = Raw::connect(proxy.address).await;
    assert_eq!(client.ask(UPGRADE).await.status(), 101);
    assert!(client.is_over().await);
}

#[tokio::test]
async fn a_tunnel_does_not_hold_up_the_end() {
    let origin = Origin::start(echo).await;
    let mut proxy = proxy::before_with(&origin, "[shutdown]\ngrace = \"300ms\"").await;
    let mut client = Raw::connect(proxy.address).await;
    assert_eq!(client.ask(UPGRADE).await.status(), 101);
    proxy.control.shutdown();
    proxy.ended("the tunnel holds the proxy up").await;
}
