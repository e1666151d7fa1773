//! Bodies both ways: streamed, with trailers, no faster than the slower side.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::origin::Origin;
use crate::proxy;
use crate::raw::{self, Raw};

#[tokio::test]
async fn trailers_pass_both_ways_without_those_that_may_not() {
    // RFC 9110 §6.5
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nSet-Cookie: evil=1\r\n\r\n",
    )
    .await;
    let proxy = proxy::before(&origin).await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Host\r\n\r\n\
                   3\r\nabc\r\n0\r\nX-Sum: 9\r\nHost: evil\r\n\r\n";
    let response = raw::ask(proxy.address, request).await;
    assert_eq!(response.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    let seen = &origin.seen()[0];
    assert_eq!(seen.trailers, [("x-sum".to_owned(), "9".to_owned())]);
    // RFC 9110 §10.1.4: TE belongs to a hop, and is this proxy's to say.
    assert_eq!(seen.field("te").as_deref(), Some("trailers"));
    assert_eq!(seen.field("connection").as_deref(), Some("te"));
}

#[tokio::test]
async fn the_first_bytes_pass_before_the_last_are_made() {
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = std::sync::Mutex::new(Some(wait));
    let origin = Origin::start(move |mut talk| {
        let wait = wait.lock().unwrap().take();
        async move {
            talk.request().await;
            talk.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
                .await;
            let _ = wait.unwrap().await;
            talk.say("data: 2\n\n").await;
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"data: 1\n\n\r\n") {
        assert!(client.stream.read_buf(&mut seen).await.unwrap() > 0);
    }
    go.send(()).unwrap();
    while !seen.ends_with(b"0\r\n\r\n") {
        assert!(client.stream.read_buf(&mut seen).await.unwrap() > 0);
    }
    assert!(String::from_utf8_lossy(&seen).contains("data: 2"));
}

#[tokio::test]
async fn both_directions_flow_at_the_same_time() {
    // An origin that echoes, piece by piece, before the request has ended.
    let origin = Origin::start(async |mut talk| {
        talk.head().await;
        talk.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        for _ in 0..5 {
            while talk.buffer.len() < 6 {
                talk.stream.read_buf(&mut talk.buffer).await.unwrap();
            }
            assert_eq!(talk.buffer.drain(..6).collect::<Vec<_>>(), b"1\r\nx\r\n");
            talk.say("1\r\ny\r\n").await;
        }
        talk.say("0\r\n\r\n").await;
        talk.head().await;
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let mut seen = Vec::new();
    for n in 1..=5 {
        client.send("1\r\nx\r\n").await;
        while seen
            .windows(6)
            .filter(|window| window == b"1\r\ny\r\n")
            .count()
            < n
        {
            assert!(client.stream.read_buf(&mut seen).await.unwrap() > 0);
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_origin_back() {
    let (tell, told) = tokio::sync::oneshot::channel::<usize>();
    let tell = std::sync::Mutex::new(Some(tell));
    let origin = Origin::start(move |mut talk| {
        let tell = tell.lock().unwrap().take();
        async move {
            talk.request().await;
            talk.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                1_u64 << 30
            ))
            .await;
            let piece = vec![b'x'; 64 << 10];
            let mut sent = 0;
            // Stalls when every buffer on the way is full.
            let full = std::time::Duration::from_millis(500);
            while let Ok(Ok(())) = tokio::time::timeout(full, talk.stream.write_all(&piece)).await {
                sent += piece.len();
            }
            let _ = tell.unwrap().send(sent);
            talk.head().await;
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let sent = told.await.unwrap();
    // The kernel's socket buffers and a few of ours, of a gigabyte.
    assert!(
        sent < 64 << 20,
        "{sent} bytes were taken for a client that reads nothing"
    );
}

#[tokio::test]
async fn many_small_pieces_arrive_whole() {
    let origin = Origin::start(async |mut talk| {
        while talk.request().await.is_some() {
            let pieces: String = (0..2000)
                .map(|n| format!("{:x}\r\n{n:05}\r\n", 5))
                .collect();
            talk.say(format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{pieces}0\r\n\r\n"
            ))
            .await;
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    for _ in 0..3 {
        let response = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let expected: String = (0..2000).map(|n| format!("{n:05}")).collect();
        assert_eq!(response.text(), expected);
    }
}

#[tokio::test]
async fn large_bodies_arrive_unchanged_both_ways() {
    let origin = Origin::start(async |mut talk| {
        while let Some(request) = talk.request().await {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                request.body.len()
            );
            talk.say(head).await;
            talk.say(&request.body).await;
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n ^ (n >> 8)) as u8).collect();
    for chunked in [false, true] {
        let mut client = Raw::connect(proxy.address).await;
        let mut request = b"POST / HTTP/1.1\r\nHost: a\r\n".to_vec();
        if chunked {
            request.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for piece in body.chunks(70_001) {
                request.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                request.extend_from_slice(piece);
                request.extend_from_slice(b"\r\n");
            }
            request.extend_from_slice(b"0\r\n\r\n");
        } else {
            request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            request.extend_from_slice(&body);
        }
        let response = client.ask(&request).await;
        assert!(
            response.complete && response.body == body,
            "chunked: {chunked}"
        );
    }
}

#[tokio::test]
async fn a_request_that_breaks_off_is_not_whole_at_the_origin() {
    let (tell, told) = tokio::sync::oneshot::channel::<Vec<u8>>();
    let tell = std::sync::Mutex::new(Some(tell));
    let origin = Origin::start(move |mut talk| {
        let tell = tell.lock().unwrap().take();
        async move {
            talk.head().await;
            let mut rest = std::mem::take(&mut talk.buffer);
            let _ = talk.stream.read_to_end(&mut rest).await;
            let _ = tell.unwrap().send(rest);
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n")
        .await;
    origin.until_asked().await;
    drop(client);
    let rest = tokio::time::timeout(raw::PATIENCE, told)
        .await
        .unwrap()
        .unwrap();
    assert!(
        !rest.ends_with(b"0\r\n\r\n"),
        "the body looks whole: {rest:?}"
    );
}

#[tokio::test]
async fn an_origin_that_has_heard_enough_is_heard() {
    let origin = Origin::start(async |mut talk| {
        talk.head().await;
        talk.say(
            "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
        )
        .await;
        talk.stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = talk.stream.read_to_end(&mut rest).await;
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        .await;
    let piece = vec![b'x'; 64 << 10];
    // Until the proxy has had enough, too: it answers while the client still sends.
    for _ in 0..100 {
        if !client.try_send(&piece).await {
            break;
        }
    }
    let response = client.response().await;
    assert_eq!((response.status(), response.text().as_str()), (413, "no"));
}
