//! Over real connections: what a server and its clients make of it.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use futures_util::{StreamExt as _, stream};
use shelflife::Cache;
use shelflife::tower::CacheLayer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::gate::{Gate, soon};

const MINUTE: [(&str, &str); 1] = [("cache-control", "max-age=60")];

/// A server that ends with the test.
struct Server {
    address: SocketAddr,
    task: AbortHandle,
}

impl Server {
    async fn start(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            address,
            task: task.abort_handle(),
        }
    }

    async fn send(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// One exchange on a connection of its own, to the connection's end.
    async fn exchange(&self, line: &str, fields: &str) -> String {
        let head =
            format!("{line} HTTP/1.1\r\nhost: api.test\r\nconnection: close\r\n{fields}\r\n");
        let mut answer = String::new();
        soon(self.send(&head).await.read_to_string(&mut answer))
            .await
            .unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads until what has come ends with this.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut buffer = [0; 1024];
        let read = soon(stream.read(&mut buffer)).await.unwrap();
        assert!(read > 0, "the connection ended after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_answers_again_what_it_has_answered() {
    let cache = Cache::memory();
    let user = |Path(id): Path<u64>| async move { (MINUTE, format!("user {id}")) };
    let app = Router::new()
        .route("/users/{id}", get(user))
        .layer(CacheLayer::new(&cache));
    let server = Server::start(app).await;
    let mut hits = 0;
    for round in 0..100 {
        for id in [1, 2] {
            let answer = server.exchange(&format!("GET /users/{id}"), "").await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(
                answer.ends_with(&format!("\r\n\r\nuser {id}")),
                "round {round}: {answer}"
            );
            assert_eq!(
                answer.matches("content-length: 6\r\n").count(),
                1,
                "{answer}"
            );
            assert_eq!(answer.matches("\r\ndate: ").count(), 1, "{answer}");
            hits += usize::from(answer.contains("shelflife; hit"));
        }
        if hits > 1 {
            break;
        }
    }
    assert!(hits > 1);
    let head = server.exchange("HEAD /users/1", "").await;
    assert!(
        head.contains("content-length: 6\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let part = server
        .exchange("GET /users/1", "range: bytes=0-3\r\n")
        .await;
    assert!(
        part.starts_with("HTTP/1.1 206 ") && part.ends_with("\r\n\r\nuser"),
        "{part}"
    );
    let not_found = server.exchange("GET /nothing", "").await;
    assert!(not_found.starts_with("HTTP/1.1 404 "), "{not_found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_cuts_the_connection() {
    let cache = Cache::memory();
    let broken = || async {
        let pieces = [
            Ok(Bytes::from_static(b"one")),
            Err(std::io::Error::other("reset")),
        ];
        (MINUTE, Body::from_stream(stream::iter(pieces)))
    };
    let app = Router::new()
        .route("/", get(broken))
        .layer(CacheLayer::new(&cache));
    let server = Server::start(app).await;
    for _ in 0..2 {
        let answer = server.exchange("GET /", "").await;
        // RFC 9112 §8: no last chunk, so no client takes it for whole.
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    }
    assert_eq!(cache.stats().fills, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_their_client_one_by_one() {
    let cache = Cache::memory();
    let gate = Gate::closed();
    let events = {
        let gate = gate.clone();
        move || {
            let gate = gate.clone();
            async move {
                let first =
                    stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"data: 1\n\n"))]);
                let second = stream::once(async move {
                    gate.pass().await;
                    Ok(Bytes::from_static(b"data: 2\n\n"))
                });
                (
                    [("content-type", "text/event-stream")],
                    Body::from_stream(first.chain(second)),
                )
            }
        }
    };
    let app = Router::new()
        .route("/", get(events))
        .layer(CacheLayer::new(&cache));
    let server = Server::start(app).await;
    let mut client = server
        .send("GET / HTTP/1.1\r\nhost: api.test\r\n\r\n")
        .await;
    let first = read_until(&mut client, "data: 1\n\n\r\n").await;
    assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{first}");
    gate.release();
    read_until(&mut client, "0\r\n\r\n").await;
}

/// Takes the connection over and sends back what comes.
async fn echo(request: Request) -> Response {
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let upgraded = upgrade.await.unwrap();
        let (mut from, mut to) = tokio::io::split(hyper_util::rt::TokioIo::new(upgraded));
        tokio::io::copy(&mut from, &mut to).await.unwrap();
    });
    let fields = [("upgrade", "echo"), ("connection", "upgrade"), MINUTE[0]];
    (StatusCode::SWITCHING_PROTOCOLS, fields).into_response()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_upgraded_through_the_layer() {
    let cache = Cache::memory();
    let app = Router::new()
        .route("/", any(echo))
        .layer(CacheLayer::new(&cache));
    let server = Server::start(app).await;
    for word in ["ping", "pong"] {
        let head =
            "GET / HTTP/1.1\r\nhost: api.test\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        let mut client = server.send(head).await;
        let answer = read_until(&mut client, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        client.write_all(word.as_bytes()).await.unwrap();
        assert_eq!(read_until(&mut client, word).await, word);
    }
    assert_eq!(cache.stats().fills, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_used_again_after_every_kind_of_answer() {
    let cache = Cache::memory();
    let handler = || async { ([MINUTE[0], ("etag", "\"1\"")], "body") };
    let app = Router::new()
        .route("/", get(handler).post(handler))
        .layer(CacheLayer::new(&cache));
    let server = Server::start(app).await;
    let mut client = server.send("").await;
    for (line, fields, status, end) in [
        ("GET /", "", "200", "body"),
        ("GET /", "", "200", "body"),
        ("HEAD /", "", "200", "\r\n\r\n"),
        ("GET /", "if-none-match: \"1\"\r\n", "304", "\r\n\r\n"),
        ("GET /", "range: bytes=1-2\r\n", "206", "od"),
        ("GET /", "range: bytes=9-\r\n", "416", "\r\n\r\n"),
        ("POST /", "content-length: 4\r\n", "200", "body"),
        ("GET /", "", "200", "body"),
        (
            "GET /other",
            "cache-control: only-if-cached\r\n",
            "504",
            "\r\n\r\n",
        ),
        ("GET /", "", "200", "body"),
    ] {
        let content = if line.starts_with("POST") { "send" } else { "" };
        let head = format!("{line} HTTP/1.1\r\nhost: api.test\r\n{fields}\r\n{content}");
        client.write_all(head.as_bytes()).await.unwrap();
        let answer = read_until(&mut client, end).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{line} {fields}: {answer}"
        );
    }
}
