//! Fields of one hop, Via, Forwarded, Host, targets (RFC 9110 §7.6, §7.2, RFC 7239).

use crate::origin::Origin;
use crate::proxy;
use crate::raw::{self, Raw};

#[tokio::test]
async fn fields_of_one_hop_are_removed_both_ways() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nX-End: 2\r\n\r\nok",
    )
    .await;
    let proxy = proxy::before(&origin).await;
    let response = raw::ask(
        proxy.address,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop, TE, close\r\nX-Hop: 1\r\nTE: gzip\r\nKeep-Alive: 5\r\n\
         Proxy-Connection: x\r\nUpgrade: h2c\r\nX-End: 2\r\n\r\n",
    )
    .await;
    let seen = &origin.seen()[0];
    for name in [
        "connection",
        "x-hop",
        "te",
        "keep-alive",
        "proxy-connection",
        "upgrade",
    ] {
        assert!(!seen.has(name), "{name} in {seen:?}");
    }
    for name in ["x-hop", "keep-alive", "proxy-connection", "upgrade"] {
        assert!(!response.has(name), "{name} in {response:?}");
    }
    assert_eq!(
        response.field("connection").as_deref(),
        Some("close"),
        "the client asked for it"
    );
    assert_eq!(seen.field("x-end").as_deref(), Some("2"));
    assert_eq!(response.field("x-end").as_deref(), Some("2"));
}

#[tokio::test]
async fn via_is_added_both_ways() {
    // RFC 9110 §7.6.3
    let origin = Origin::saying("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nVia: 1.1 inner\r\nConnection: keep-alive\r\n\r\nok").await;
    let proxy = proxy::before_with(&origin, "[forward]\nvia = \"edge\"").await;
    let response = raw::ask(
        proxy.address,
        "GET / HTTP/1.0\r\nHost: a\r\nVia: 1.1 outer\r\n\r\n",
    )
    .await;
    assert_eq!(
        response.field("via").as_deref(),
        Some("1.1 inner, 1.0 edge")
    );
    let via = origin.seen()[0].field("via").unwrap();
    assert!(via.starts_with("1.1 outer, 1.0 edge ("), "{via}");
    assert!(response.has("date"), "RFC 9110 §6.6.1: {response:?}");
}

#[tokio::test]
async fn what_a_client_claims_to_be_is_replaced() {
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    let lie = "GET / HTTP/1.1\r\nHost: a:81\r\nForwarded: for=evil\r\nX-Forwarded-For: evil\r\nX-Forwarded-Host: evil\r\n\
               X-Forwarded-Proto: https\r\nX-Original-URL: /evil\r\nX-Forwarded-Prefix: /evil\r\nProxy: evil\r\n\r\n";
    raw::ask(proxy.address, lie).await;
    let seen = &origin.seen()[0];
    let field = |name: &str| seen.field(name).unwrap_or_default();
    assert_eq!(field("forwarded"), "for=127.0.0.1;host=\"a:81\";proto=http");
    assert_eq!(field("x-forwarded-for"), "127.0.0.1");
    assert_eq!(field("x-forwarded-host"), "a:81");
    assert_eq!(field("x-forwarded-proto"), "http");
    assert!(!format!("{seen:?}").contains("evil"), "{seen:?}");
}

#[tokio::test]
async fn a_trusted_proxy_before_us_is_believed() {
    let origin = Origin::ok().await;
    let proxy = proxy::before_with(
        &origin,
        "[forward]\ntrust = [\"127.0.0.0/8\"]\nforwarded = false",
    )
    .await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n\r\n";
    raw::ask(proxy.address, request).await;
    let seen = &origin.seen()[0];
    assert_eq!(
        seen.field("x-forwarded-for").as_deref(),
        Some("203.0.113.7, 127.0.0.1")
    );
    assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("https"));
    assert!(!seen.has("forwarded"));
}

#[tokio::test]
async fn host_is_preserved_or_replaced_as_configured() {
    for (setting, host) in [
        ("preserve", "client.example"),
        ("upstream", ""),
        ("api.internal", "api.internal"),
    ] {
        let origin = Origin::ok().await;
        let more = format!(
            "[upstream]\nurl = \"http://{}\"\nhost = \"{setting}\"",
            origin.address
        );
        let config = format!(
            "listen = \"127.0.0.1:0\"\nadmin = {{ listen = \"127.0.0.1:0\", token = \"{}\" }}\n{more}",
            proxy::TOKEN
        );
        let proxy = proxy::start(shelflife_proxy::Config::from_toml("t", &config).unwrap()).await;
        raw::ask(
            proxy.address,
            "GET / HTTP/1.1\r\nHost: client.example\r\n\r\n",
        )
        .await;
        let expected = if host.is_empty() {
            origin.address.to_string()
        } else {
            host.to_owned()
        };
        assert_eq!(origin.seen()[0].field("host"), Some(expected), "{setting}");
        // HTTP/1.0 has no Host: the origin gets one all the same.
        raw::ask(proxy.address, "GET / HTTP/1.0\r\n\r\n").await;
        assert!(origin.seen()[1].has("host"), "{setting}");
    }
}

#[tokio::test]
async fn targets_reach_the_origin_byte_for_byte() {
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    let targets = [
        "/a/b",
        "/a%2Fb",
        "/a%2fb",
        "//a/b",
        "/a/./b/../c",
        "/?id=1&id=2",
        "/?id=2",
        "/?",
        "/%00%0d%0a",
        "/a;b=c?x=%26",
    ];
    for target in targets {
        assert_eq!(
            raw::get(proxy.address, target).await.status(),
            200,
            "{target}"
        );
    }
    let seen: Vec<String> = origin.seen().iter().map(|seen| seen.line.clone()).collect();
    assert_eq!(seen, targets.map(|target| format!("GET {target} HTTP/1.1")));
}

#[tokio::test]
async fn a_target_in_absolute_form_is_turned_into_the_origins() {
    // RFC 9112 §3.2.2
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    let request = "GET http://b:81/c?d HTTP/1.1\r\nHost: ignored\r\n\r\n";
    assert_eq!(raw::ask(proxy.address, request).await.status(), 200);
    let seen = &origin.seen()[0];
    assert_eq!(
        (seen.line.as_str(), seen.field("host").as_deref()),
        ("GET /c?d HTTP/1.1", Some("b:81"))
    );
    for target in [
        "ftp://b/",
        "http://u@b/",
        "http://b:81@c/",
        "b:80",
        "/a#b",
        "/a\\b",
    ] {
        assert_eq!(
            raw::get(proxy.address, target).await.status(),
            400,
            "{target}"
        );
    }
}

#[tokio::test]
async fn the_upstreams_own_path_is_put_before_the_target() {
    let origin = Origin::ok().await;
    let proxy = proxy::start(proxy::config(
        &format!("http://{}/api/", origin.address),
        "",
    ))
    .await;
    raw::get(proxy.address, "/users?x=1").await;
    assert_eq!(origin.seen()[0].line, "GET /api/users?x=1 HTTP/1.1");
}

#[tokio::test]
async fn methods_that_are_not_for_an_origin_are_refused() {
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    for request in [
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n",
        "PURGE / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let response = raw::ask(proxy.address, request).await;
        assert_eq!(response.status(), 405, "{request}");
        assert!(response.has("allow") && !response.text().contains("secret"));
    }
    let token = format!(
        "PURGE / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n",
        proxy::TOKEN
    );
    assert_eq!(
        raw::ask(proxy.address, token).await.status(),
        405,
        "not even with the token"
    );
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn a_loop_is_found_out() {
    let origin = Origin::ok().await;
    let proxy = proxy::before(&origin).await;
    // The proxy is its own upstream.
    let own = proxy::config(&format!("http://{}", proxy.address), "");
    proxy.control.reload(&own).unwrap();
    let response = raw::get(proxy.address, "/").await;
    assert_eq!(response.status(), 508);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::start(async |mut talk| {
        while let Some(request) = talk.request().await {
            let body = request.line.clone();
            talk.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
        }
    })
    .await;
    let proxy = proxy::before(&origin).await;
    let mut client = Raw::connect(proxy.address).await;
    let request = |n: usize| format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    client.send((0..50).map(request).collect::<String>()).await;
    for n in 0..50 {
        assert_eq!(
            client.response().await.text(),
            format!("POST /{n} HTTP/1.1")
        );
    }
}
