//! The cache in the proxy: what is stored and served, what never is, and for whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use shelflife::{Cache, Policy};
use tokio::task::JoinSet;

use crate::origin::Origin;
use crate::proxy::{self, TOKEN};
use crate::raw::{self, Message, Raw};

/// Answers each request with its own number, and these fields.
async fn counting(fields: &'static str) -> Origin {
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(move |mut talk| {
        let count = count.clone();
        async move {
            while talk.request().await.is_some() {
                let body = count.fetch_add(1, Ordering::SeqCst).to_string();
                talk.say(format!(
                    "HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}",
                    body.len()
                ))
                .await;
            }
        }
    })
    .await
}

/// Answers with what of the request could have made a difference.
async fn mirror(fields: &'static str) -> Origin {
    Origin::start(move |mut talk| async move {
        while let Some(request) = talk.request().await {
            let body = format!("{}\n{:?}", request.line, request.fields);
            talk.say(format!(
                "HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
        }
    })
    .await
}

async fn ask_with(proxy: &proxy::Running, target: &str, fields: &str) -> Message {
    raw::ask(
        proxy.address,
        format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"),
    )
    .await
}

#[tokio::test]
async fn what_is_fresh_is_served_from_memory() {
    let origin = counting("Cache-Control: max-age=60\r\nETag: \"v\"\r\nX-Fold: kept\r\nConnection: x-hop\r\nX-Hop: 1\r\n").await;
    let proxy = proxy::before(&origin).await;
    let first = raw::get(proxy.address, "/").await;
    assert_eq!(first.text(), "0");
    let second = raw::get(proxy.address, "/").await;
    assert_eq!(
        (second.text().as_str(), second.field("age").is_some()),
        ("0", true)
    );
    assert!(
        second
            .field("cache-status")
            .unwrap()
            .contains("shelflife; hit"),
        "{second:?}"
    );
    assert_eq!(second.field("via").as_deref(), Some("1.1 shelflife"));
    assert_eq!(second.field("x-fold").as_deref(), Some("kept"));
    assert!(!second.has("x-hop") && second.has("date"));
    let unchanged = ask_with(&proxy, "/", "If-None-Match: \"v\"\r\n").await;
    assert_eq!(unchanged.status(), 304);
    let mut head = Raw::connect(proxy.address).await;
    head.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(
        head.response_to("HEAD")
            .await
            .field("content-length")
            .as_deref(),
        Some("1")
    );
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn nothing_is_stored_that_does_not_say_how_long() {
    let origin = counting("").await;
    let proxy = proxy::before(&origin).await;
    for n in 0..3 {
        assert_eq!(raw::get(proxy.address, "/").await.text(), n.to_string());
    }
}

#[tokio::test]
async fn a_client_may_want_it_fresh() {
    // RFC 9111 §5.2.1.4, §5.2.1.7
    let origin = counting("Cache-Control: max-age=60\r\n").await;
    let proxy = proxy::before(&origin).await;
    assert_eq!(raw::get(proxy.address, "/").await.text(), "0");
    assert_eq!(
        ask_with(&proxy, "/", "Cache-Control: no-cache\r\n")
            .await
            .text(),
        "1"
    );
    assert_eq!(raw::get(proxy.address, "/").await.text(), "1");
    let only = ask_with(&proxy, "/elsewhere", "Cache-Control: only-if-cached\r\n").await;
    assert_eq!(only.status(), 504);
}

#[tokio::test]
async fn targets_that_look_alike_are_kept_apart() {
    let origin = mirror("Cache-Control: max-age=60\r\n").await;
    let proxy = proxy::before(&origin).await;
    let targets = [
        "/a/b",
        "/a%2Fb",
        "/a%2fb",
        "//a/b",
        "/a//b",
        "/a/b/",
        "/a/./b",
        "/a/c/../b",
        "/?id=1&id=2",
        "/?id=2&id=1",
        "/?id=2",
        "/?id=1",
        "/?",
        "/",
        "/A/b",
    ];
    for _ in 0..2 {
        for target in targets {
            let response = raw::get(proxy.address, target).await;
            assert!(
                response
                    .text()
                    .starts_with(&format!("GET {target} HTTP/1.1\n")),
                "{target}: {response:?}"
            );
        }
    }
    assert_eq!(origin.seen().len(), targets.len(), "each was stored");
    // And by host.
    let other = raw::ask(proxy.address, "GET /a/b HTTP/1.1\r\nHost: b\r\n\r\n").await;
    assert!(other.text().contains("(\"host\", \"b\")"));
}

#[tokio::test]
async fn two_users_never_get_each_others_answer() {
    let origin = mirror("Cache-Control: max-age=60\r\n").await;
    let rule = "[[rule]]\npath = \"/me\"\nttl = \"60s\"\nvary_by = [\"header:authorization\"]";
    let proxy = proxy::before_with(&origin, rule).await;
    for target in ["/", "/me"] {
        for _ in 0..2 {
            for user in ["ada", "bob"] {
                for field in ["Authorization: Bearer", "Cookie: session="] {
                    let response = ask_with(&proxy, target, &format!("{field} {user}\r\n")).await;
                    let other = if user == "ada" { "bob" } else { "ada" };
                    assert!(
                        response.text().contains(user) && !response.text().contains(other),
                        "{target} {field}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_cookie_that_is_set_is_for_one() {
    let origin = counting("Cache-Control: max-age=60\r\nSet-Cookie: session=1\r\n").await;
    let proxy = proxy::before(&origin).await;
    assert!(raw::get(proxy.address, "/").await.has("set-cookie"));
    assert!(!raw::get(proxy.address, "/").await.has("set-cookie"));
}

#[tokio::test]
async fn a_field_that_is_no_part_of_the_key_cannot_poison_it() {
    let origin = mirror("Cache-Control: max-age=60\r\n").await;
    let proxy = proxy::before(&origin).await;
    let lies = "X-Forwarded-Host: evil\r\nX-Forwarded-For: evil\r\nX-Forwarded-Proto: evil\r\nX-Original-URL: /evil\r\nX-Rewrite-URL: /evil\r\n\
                Forwarded: host=evil\r\nX-Forwarded-Prefix: /evil\r\nX-Real-IP: evil\r\nConnection: x-evil, host\r\nX-Evil: evil\r\n";
    ask_with(&proxy, "/", lies).await;
    let innocent = raw::get(proxy.address, "/").await;
    assert!(!innocent.text().contains("evil"), "{}", innocent.text());
    // A body of a GET is no part of the key either.
    let body =
        "GET /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n";
    raw::ask(proxy.address, body).await;
    let before = origin.seen().len();
    raw::get(proxy.address, "/body").await;
    assert_eq!(
        origin.seen().len(),
        before + 1,
        "the answer to a GET with content was stored"
    );
}

#[tokio::test]
async fn what_is_broken_is_never_stored() {
    for answer in [
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nxx\r\n",
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nX: 1\0\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: gzip\r\n\r\nok",
    ] {
        let origin = Origin::saying_once(answer).await;
        let proxy = proxy::before(&origin).await;
        for asked in 1..=3 {
            let response = raw::get(proxy.address, "/").await;
            assert!(
                response.status() == 502 || !response.complete,
                "{answer:?}: {response:?}"
            );
            assert_eq!(origin.seen().len(), asked, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_stood_in_for_within_the_window() {
    let up = Arc::new(AtomicBool::new(true));
    let alive = up.clone();
    let origin = Origin::start(move |mut talk| {
        let alive = alive.clone();
        async move {
            while talk.request().await.is_some() {
                if !alive.load(Ordering::SeqCst) {
                    return;
                }
                talk.say("HTTP/1.1 200 OK\r\nCache-Control: max-age=1, stale-if-error=60\r\nContent-Length: 2\r\n\r\nok").await;
            }
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    assert_eq!(raw::get(proxy.address, "/").await.text(), "ok");
    up.store(false, Ordering::SeqCst);
    assert_eq!(raw::get(proxy.address, "/").await.text(), "ok", "fresh");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let seen = origin.seen().len();
    let stale = raw::get(proxy.address, "/").await;
    assert_eq!(
        (stale.status(), stale.text().as_str()),
        (200, "ok"),
        "{stale:?}"
    );
    assert_eq!(origin.seen().len(), seen + 1, "it was asked, and failed");
    assert_eq!(raw::get(proxy.address, "/never").await.status(), 502);
}

#[tokio::test]
async fn a_write_that_succeeds_invalidates() {
    // RFC 9111 §4.4
    let origin = counting("Cache-Control: max-age=60\r\n").await;
    let proxy = proxy::before(&origin).await;
    assert_eq!(raw::get(proxy.address, "/x").await.text(), "0");
    raw::ask(
        proxy.address,
        "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    )
    .await;
    assert_eq!(raw::get(proxy.address, "/x").await.text(), "2");
}

#[tokio::test]
async fn operators_purge_by_url_tag_and_altogether() {
    let origin =
        counting("Cache-Control: max-age=60\r\nVary: Accept-Language\r\nCache-Tag: t\r\n").await;
    let proxy = proxy::before(&origin).await;
    let languages = ["Accept-Language: de\r\n", "Accept-Language: en\r\n"];
    let mut expected = 0;
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let post = |document: &str| {
        format!(
            "POST /_shelflife/invalidate HTTP/1.1\r\nHost: x\r\n{bearer}Content-Length: {}\r\n\r\n{document}",
            document.len()
        )
    };
    for purge in [
        String::new(),
        format!("PURGE /x?y=1 HTTP/1.1\r\nHost: a\r\n{bearer}\r\n"),
        format!("PURGE http://a/x?y=1 HTTP/1.1\r\nHost: admin\r\n{bearer}\r\n"),
        post(r#"{"urls":["http://a/x?y=1"]}"#),
        post(r#"{"tags":["t"]}"#),
        post(r#"{"patterns":["http:*"]}"#),
        post(r#"{"all":true,"everywhere":true}"#),
    ] {
        if !purge.is_empty() {
            assert_eq!(raw::ask(proxy.admin, &purge).await.status(), 200, "{purge}");
        }
        for language in languages {
            let first = ask_with(&proxy, "/x?y=1", language).await.text();
            assert_eq!(first, expected.to_string(), "{purge}");
            assert_eq!(ask_with(&proxy, "/x?y=1", language).await.text(), first);
            expected += 1;
        }
    }
    // Another URL is not touched by one's purge.
    raw::ask(
        proxy.admin,
        format!("PURGE /x HTTP/1.1\r\nHost: a\r\n{bearer}\r\n"),
    )
    .await;
    assert_eq!(
        ask_with(&proxy, "/x?y=1", languages[0]).await.text(),
        (expected - 2).to_string()
    );
}

#[tokio::test]
async fn rules_of_the_configuration_are_the_layers() {
    let origin = counting("").await;
    let rules = "[[rule]]\npath = \"/never/{*rest}\"\nkeep = \"nothing\"\n\
                 [[rule]]\npath = \"/users/{id}\"\nttl = \"60s\"\ntags = [\"user:{id}\"]\n\
                 [[rule]]\npath = \"/search\"\nttl = \"60s\"\nonly_query = [\"q\"]\n\
                 [[rule]]\npath = \"/query\"\nmethods = [\"POST\"]\nby_body = 1024\nttl = \"60s\"";
    let proxy = proxy::before_with(&origin, rules).await;
    assert_eq!(raw::get(proxy.address, "/users/1").await.text(), "0");
    assert_eq!(raw::get(proxy.address, "/users/1").await.text(), "0");
    assert_eq!(raw::get(proxy.address, "/never/1").await.text(), "1");
    assert_eq!(raw::get(proxy.address, "/never/1").await.text(), "2");
    assert_eq!(
        raw::get(proxy.address, "/search?q=1&utm=2").await.text(),
        "3"
    );
    assert_eq!(
        raw::get(proxy.address, "/search?utm=3&q=1").await.text(),
        "3"
    );
    let post = |body: &str| {
        format!(
            "POST /query HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    assert_eq!(raw::ask(proxy.address, post("a")).await.text(), "4");
    assert_eq!(raw::ask(proxy.address, post("a")).await.text(), "4");
    assert_eq!(raw::ask(proxy.address, post("b")).await.text(), "5");
    assert_eq!(
        origin.seen().last().unwrap().body,
        b"b",
        "what was read for the key is sent"
    );
    let document = r#"{"tags":["user:1"]}"#;
    let purge = format!(
        "POST /_shelflife/invalidate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n{document}",
        document.len()
    );
    raw::ask(proxy.admin, purge).await;
    assert_eq!(raw::get(proxy.address, "/users/1").await.text(), "6");
    // Rules are replaced with the configuration.
    let url = format!("http://{}", origin.address);
    proxy
        .control
        .reload(&proxy::config(&url, "[[rule]]\nkeep = \"nothing\""))
        .unwrap();
    assert_eq!(raw::get(proxy.address, "/users/1").await.text(), "7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_for_one_cold_url_are_one_to_the_origin() {
    let (go, wait) = tokio::sync::watch::channel(false);
    let origin = Origin::start(move |mut talk| {
        let mut wait = wait.clone();
        async move {
            while talk.request().await.is_some() {
                let _ = wait.wait_for(|go| *go).await;
                talk.say(
                    "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok",
                )
                .await;
            }
        }
    })
    .await;
    // So many requests hold up every timer: neither lease nor patience may end meanwhile.
    let policy = Policy::new().lease(Duration::from_secs(300));
    let cache = Cache::builder().policy(policy);
    let url = format!("http://{}", origin.address);
    let config = proxy::config(&url, "[cache]\ncollapse_wait = \"600s\"");
    let proxy = proxy::start_with(config, cache.build().await.unwrap()).await;
    let request = http::Request::get("http://a/").body(()).unwrap();
    // As many requests as connections: HTTP/2 has many on each.
    let mut clients = JoinSet::new();
    let arrived = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let (address, arrived, request) = (proxy.address, arrived.clone(), request.clone());
        clients.spawn(async move {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            let mut answers = Vec::new();
            for _ in 0..100 {
                sender = sender.ready().await.unwrap();
                answers.push(sender.send_request(request.clone(), true).unwrap().0);
                arrived.fetch_add(1, Ordering::SeqCst);
            }
            for answer in answers {
                assert_eq!(answer.await.unwrap().status().as_u16(), 200);
            }
        });
    }
    let all = async {
        while arrived.load(Ordering::SeqCst) < 10_000 {
            tokio::task::yield_now().await;
        }
    };
    let all = tokio::time::timeout(Duration::from_secs(300), all).await;
    all.expect("not every request was sent");
    go.send(true).unwrap();
    clients.join_all().await;
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn a_response_that_is_being_stored_streams() {
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = std::sync::Mutex::new(Some(wait));
    let origin = Origin::start(move |mut talk| {
        let wait = wait.lock().unwrap().take();
        async move {
            talk.request().await;
            talk.say("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
            let _ = wait.unwrap().await;
            talk.say("4\r\nlast\r\n0\r\n\r\n").await;
            talk.request().await;
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"first\r\n") {
        assert!(
            tokio::io::AsyncReadExt::read_buf(&mut client.stream, &mut seen)
                .await
                .unwrap()
                > 0
        );
    }
    go.send(()).unwrap();
    while !seen.ends_with(b"last\r\n0\r\n\r\n") {
        assert!(
            tokio::io::AsyncReadExt::read_buf(&mut client.stream, &mut seen)
                .await
                .unwrap()
                > 0
        );
    }
    assert_eq!(raw::get(proxy.address, "/").await.text(), "firstlast");
    assert_eq!(origin.seen().len(), 1);
}
