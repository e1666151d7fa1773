//! Start, reload, end.

use shelflife::Cache;
use shelflife_proxy::{BindError, Config, Proxy};
use tokio::sync::oneshot;

use crate::origin::Origin;
use crate::proxy;
use crate::raw::{self, Raw};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn the_end_lets_requests_finish_and_takes_nothing_new() {
    let (go, wait) = oneshot::channel::<()>();
    let wait = std::sync::Mutex::new(Some(wait));
    let origin = Origin::start(move |mut talk| {
        let wait = wait.lock().unwrap().take();
        async move {
            talk.request().await;
            if let Some(wait) = wait {
                let _ = wait.await;
            }
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await;
            talk.request().await;
        }
    })
    .await;
    let mut proxy = proxy::before(&origin).await;
    let mut running = Raw::connect(proxy.address).await;
    running.send(REQUEST).await;
    origin.until_asked().await;
    let mut idle = Raw::connect(proxy.address).await;
    // Another URL: one that is being asked for is waited for.
    let other = "GET /idle HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(idle.ask(other).await.status(), 200);
    proxy.control.shutdown();
    assert!(idle.is_over().await, "idle connections are closed");
    assert!(!proxy.task.is_finished());
    // Nobody listens any more.
    let mut late = tokio::net::TcpStream::connect(proxy.address).await;
    if let Ok(stream) = &mut late {
        let mut nothing = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(stream, &mut nothing).await;
        assert!(nothing.is_empty());
    }
    go.send(()).unwrap();
    let response = running.response().await;
    assert_eq!(
        (
            response.text().as_str(),
            response.field("connection").as_deref()
        ),
        ("ok", Some("close"))
    );
    drop((running, idle));
    proxy.ended("the proxy did not end").await;
}

#[tokio::test]
async fn the_end_does_not_wait_longer_than_it_may() {
    let origin = Origin::start(async |mut talk| {
        talk.request().await;
        talk.head().await;
    })
    .await;
    let mut proxy = proxy::before_with(&origin, "[shutdown]\ngrace = \"200ms\"").await;
    let mut client = Raw::connect(proxy.address).await;
    client.send(REQUEST).await;
    origin.until_asked().await;
    proxy.control.shutdown();
    proxy.ended("the proxy did not end").await;
    assert!(client.is_over().await);
}

#[tokio::test]
async fn a_new_configuration_is_used_on_connections_that_are_open() {
    let (first, second) = (
        Origin::ok().await,
        Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew").await,
    );
    let proxy = proxy::before(&first).await;
    let mut client = Raw::connect(proxy.address).await;
    assert_eq!(
        client
            .ask("POST / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .text(),
        "ok"
    );
    proxy
        .control
        .reload(&proxy::config(&format!("http://{}", second.address), ""))
        .unwrap();
    assert_eq!(
        client
            .ask("POST / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .text(),
        "new"
    );
}

#[tokio::test]
async fn a_bad_configuration_leaves_the_old_one() {
    let origin = Origin::ok().await;
    let url = format!("http://{}", origin.address);
    let proxy = proxy::before(&origin).await;
    for (more, key) in [
        (
            "[tls]\ncertificate = \"/nonexistent\"\nkey = \"/nonexistent\"",
            "tls.certificate",
        ),
        ("[clients]\nconnections = 7", "clients.connections"),
        ("[shutdown]\ngrace = \"7s\"", "shutdown"),
    ] {
        let error = proxy
            .control
            .reload(&proxy::config(&url, more))
            .unwrap_err();
        assert!(error.to_string().contains(key), "{error}");
    }
    let moved = proxy::config(&url, "").with_listen(["127.0.0.1:1".parse().unwrap()]);
    assert!(
        proxy
            .control
            .reload(&moved)
            .unwrap_err()
            .to_string()
            .starts_with("listen cannot be changed")
    );
    assert_eq!(raw::get(proxy.address, "/").await.status(), 200);
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = Config::default()
        .with_listen([address])
        .with_upstream("http://127.0.0.1:1")
        .unwrap();
    let error = Proxy::bind(config, Cache::memory()).await.unwrap_err();
    assert!(matches!(error, BindError::Listen { .. }));
    assert_eq!(error.to_string(), format!("cannot listen on {address}"));
}
