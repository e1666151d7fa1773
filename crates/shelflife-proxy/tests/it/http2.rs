//! HTTP/2 in clear text with prior knowledge (RFC 9113), by the h2 crate's client.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::origin::Origin;
use crate::proxy;
use crate::raw;

type Sender = SendRequest<Bytes>;

async fn connect(address: std::net::SocketAddr) -> (Sender, JoinHandle<Result<(), h2::Error>>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    (sender.ready().await.unwrap(), tokio::spawn(connection))
}

async fn whole(
    response: Response<h2::RecvStream>,
) -> (http::response::Parts, Vec<u8>, Option<http::HeaderMap>) {
    let (parts, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend_from_slice(&data);
    }
    (parts, bytes, body.trailers().await.unwrap())
}

#[tokio::test]
async fn requests_share_a_connection_and_look_like_http_1_1_to_the_origin() {
    let origin = Origin::start(async |mut talk| {
        while talk.request().await.is_some() {
            let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n";
            talk.say(answer).await;
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let (mut sender, _connection) = connect(proxy.address).await;
    let request = Request::post("http://a.example:81/p?q=1")
        .header("te", "trailers")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("host", "ignored")
        .body(())
        .unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"abc"), true).unwrap();
    let (parts, bytes, trailers) = whole(response.await.unwrap()).await;
    assert_eq!((parts.status.as_u16(), bytes.as_slice()), (200, &b"ok"[..]));
    assert_eq!(trailers.unwrap()["x-sum"], "7");
    assert!(
        !parts.headers.contains_key("x-hop") && !parts.headers.contains_key("transfer-encoding")
    );
    let seen = &origin.seen()[0];
    assert_eq!(seen.line, "POST /p?q=1 HTTP/1.1");
    assert_eq!(seen.field("host").as_deref(), Some("a.example:81"));
    // RFC 9113 §8.2.3
    assert_eq!(seen.field("cookie").as_deref(), Some("a=1; b=2"));
    assert_eq!(seen.field("te").as_deref(), Some("trailers"));
    assert!(seen.field("via").unwrap().starts_with("2 shelflife ("));
    assert_eq!(seen.body, b"abc");
    let answers = (0..50).map(|n| {
        let request = Request::get(format!("http://a/{n}")).body(()).unwrap();
        sender.send_request(request, true).unwrap().0
    });
    for answer in answers.collect::<Vec<_>>() {
        assert_eq!(whole(answer.await.unwrap()).await.1, b"ok");
    }
}

#[tokio::test]
async fn methods_and_authorities_are_checked_as_in_http_1_1() {
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    let (mut sender, _connection) = connect(proxy.address).await;
    for (method, uri, status) in [
        ("TRACE", "http://a/", 405),
        ("PURGE", "http://a/", 405),
        ("GET", "http://u@a/", 400),
    ] {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let response = sender.send_request(request, true).unwrap().0.await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {uri}");
    }
    let connect = Request::connect("a:443").body(()).unwrap();
    let refused = sender.send_request(connect, false).unwrap().0.await;
    assert!(refused.map_or(true, |response| response.status().as_u16() == 405));
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn a_response_that_breaks_off_resets_its_stream_alone() {
    let origin = Origin::start(async |mut talk| {
        while let Some(request) = talk.request().await {
            if request.line.contains("/broken") {
                talk.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")
                    .await;
                return;
            }
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await;
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let (mut sender, _connection) = connect(proxy.address).await;
    let get = |target: &str| Request::get(format!("http://a{target}")).body(()).unwrap();
    let broken = sender
        .send_request(get("/broken"), true)
        .unwrap()
        .0
        .await
        .unwrap();
    let mut body = broken.into_body();
    let mut failed = false;
    while let Some(data) = body.data().await {
        failed = data.is_err();
        if failed {
            break;
        }
    }
    assert!(failed, "an end that looks like one");
    let fine = sender
        .send_request(get("/"), true)
        .unwrap()
        .0
        .await
        .unwrap();
    assert_eq!(whole(fine).await.1, b"ok");
}

#[tokio::test]
async fn the_end_is_told_with_goaway_and_what_runs_is_finished() {
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = std::sync::Mutex::new(Some(wait));
    let origin = Origin::start(move |mut talk| {
        let wait = wait.lock().unwrap().take();
        async move {
            talk.request().await;
            let _ = wait.unwrap().await;
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await;
            talk.request().await;
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let (mut sender, connection) = connect(proxy.address).await;
    let request = Request::get("http://a/").body(()).unwrap();
    let answer = sender.send_request(request, true).unwrap().0;
    origin.until_asked().await;
    proxy.control.shutdown();
    go.send(()).unwrap();
    assert_eq!(whole(answer.await.unwrap()).await.1, b"ok");
    timeout(raw::PATIENCE, connection)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let origin = Origin::ok().await;
    let proxy = proxy::before_with(&origin, "[clients]\nidle = \"200ms\"").await;
    let (mut sender, connection) = connect(proxy.address).await;
    let request = Request::get("http://a/").body(()).unwrap();
    let answer = sender.send_request(request, true).unwrap().0.await.unwrap();
    assert_eq!(whole(answer).await.1, b"ok");
    timeout(raw::PATIENCE, connection)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_refused() {
    let origin = Origin::ok().await;
    let proxy = proxy::before_with(&origin, "[clients]\nbody = \"200ms\"").await;
    let (mut sender, _connection) = connect(proxy.address).await;
    let request = Request::post("http://a/").body(()).unwrap();
    let (answer, mut body) = sender.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"x"), false).unwrap();
    assert_eq!(answer.await.unwrap().status().as_u16(), 408);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let origin = Origin::flooding().await;
    let proxy = proxy::before_with(&origin, "[clients]\nwrite = \"300ms\"").await;
    let (mut sender, connection) = connect(proxy.address).await;
    let request = Request::get("http://a/").body(()).unwrap();
    let response = sender.send_request(request, true).unwrap().0.await.unwrap();
    // The window is never opened again; pings are answered all the same.
    let ended = timeout(raw::PATIENCE, connection).await;
    assert!(ended.is_ok(), "the connection is still there");
    drop(response);
}

#[tokio::test]
async fn a_client_that_takes_its_time_is_not_given_up() {
    // A machine that stands still for a second makes it one that takes nothing: once is enough.
    for _ in 0..5 {
        if taken_slowly().await == Some(400_000) {
            return;
        }
    }
    panic!("it was given up");
}

/// How much a slow client has taken; none when it was given up.
async fn taken_slowly() -> Option<usize> {
    let origin = Origin::start(async |mut talk| {
        talk.request().await;
        talk.say(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            400_000
        ))
        .await;
        talk.say(vec![b'x'; 400_000]).await;
        talk.request().await;
    })
    .await;
    let proxy = proxy::before_with(&origin, "[clients]\nwrite = \"1s\"").await;
    let (mut sender, _connection) = connect(proxy.address).await;
    let request = Request::get("http://a/").body(()).unwrap();
    let answer = sender.send_request(request, true).unwrap().0.await;
    let mut body = answer.ok()?.into_body();
    let mut taken = 0;
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        taken += data.len();
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        body.flow_control().release_capacity(data.len()).ok()?;
    }
    Some(taken)
}
