//! Who may pass. Each rule has a request that nothing but this rule keeps out.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::request::Builder;
use axum::http::{Request, StatusCode};
use shelflife::Cache;
use shelflife_admin::{Access, router};

use crate::asking::{TOKEN, get, guarded, local, request, send};

async fn status(app: &Router, request: Builder) -> u16 {
    let request = request.body(Body::empty()).unwrap();
    send(app, request).await.status.as_u16()
}

fn with_host(host: &str) -> Builder {
    Request::get("/_shelflife/api/now").header("host", host)
}

#[tokio::test]
async fn without_a_token_only_hosts_that_nobody_else_can_name_are_answered() {
    let app = local(&Cache::memory());
    for host in [
        "localhost",
        "LocalHost:8081",
        "127.0.0.1:8081",
        "127.8.8.8",
        "[::1]:1",
    ] {
        assert_eq!(status(&app, with_host(host)).await, 200, "{host}");
    }
    // A name that somebody has resolve to this machine; an address that is not this machine's; no name at all.
    for host in [
        "rebound.example:8081",
        "localhost.example",
        "192.0.2.1",
        "",
        "a b",
        "localhost:x",
    ] {
        assert_eq!(status(&app, with_host(host)).await, 421, "{host}");
    }
    assert_eq!(status(&app, Request::get("/_shelflife/api/now")).await, 421);
    let two = with_host("localhost").header("host", "localhost");
    assert_eq!(status(&app, two).await, 421);
    // The page and its files, too.
    for path in ["", "page", "style.css", "api/invalidate"] {
        let request = Request::get(format!("/_shelflife/{path}")).header("host", "rebound.example");
        assert_eq!(status(&app, request).await, 421, "{path}");
    }
}

#[tokio::test]
async fn without_a_token_who_is_far_or_was_forwarded_is_refused() {
    let app = local(&Cache::memory());
    let from = |peer: &str| {
        let peer: SocketAddr = peer.parse().unwrap();
        request("GET", "api/now").extension(ConnectInfo(peer))
    };
    for near in ["127.0.0.1:50000", "[::1]:50000", "[::ffff:127.0.0.1]:50000"] {
        assert_eq!(status(&app, from(near)).await, 200, "{near}");
    }
    for far in [
        "192.0.2.1:50000",
        "[2001:db8::1]:50000",
        "[::ffff:192.0.2.1]:50000",
    ] {
        assert_eq!(status(&app, from(far)).await, 403, "{far}");
    }
    for field in ["forwarded", "via", "x-forwarded-for"] {
        let request = request("GET", "api/now").header(field, "127.0.0.1");
        assert_eq!(status(&app, request).await, 403, "{field}");
    }
    // Who has the token may be anywhere.
    let app = guarded(&Cache::memory());
    let request = from("192.0.2.1:50000")
        .header("via", "1.1 proxy")
        .header("authorization", format!("Bearer {TOKEN}"));
    assert_eq!(status(&app, request).await, 200);
}

#[tokio::test]
async fn what_another_site_asks_for_is_refused() {
    for (app, bearer) in [
        (local(&Cache::memory()), "Bearer "),
        (guarded(&Cache::memory()), "Bearer 0123456789-token"),
    ] {
        let asked = |name: &str, value: &str| {
            let it = request("GET", "api/now").header(name, value);
            match bearer.len() > 7 {
                true => it.header("authorization", bearer),
                false => it,
            }
        };
        for site in ["same-origin", "none"] {
            assert_eq!(
                status(&app, asked("sec-fetch-site", site)).await,
                200,
                "{site}"
            );
        }
        for site in ["cross-site", "same-site", "what"] {
            assert_eq!(
                status(&app, asked("sec-fetch-site", site)).await,
                403,
                "{site}"
            );
        }
        assert_eq!(
            status(&app, asked("origin", "http://localhost:8081")).await,
            200
        );
        for origin in [
            "null",
            "http://localhost:9000",
            "http://evil.example",
            "https://localhost",
            "",
        ] {
            assert_eq!(status(&app, asked("origin", origin)).await, 403, "{origin}");
        }
        let two =
            asked("origin", "http://localhost:8081").header("origin", "http://localhost:8081");
        assert_eq!(status(&app, two).await, 403);
    }
}

#[tokio::test]
async fn a_link_from_anywhere_leads_to_the_page_which_says_nothing_of_the_cache() {
    let cache = Cache::memory();
    cache.set("secret:key", 1).await.unwrap();
    let app = local(&cache);
    let linked = request("GET", "page").header("sec-fetch-site", "cross-site");
    let page = send(&app, linked.body(Body::empty()).unwrap()).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("<title>shelflife") && !page.text.contains("secret:key"));
}

#[tokio::test]
async fn what_changes_something_needs_a_field_that_no_other_site_can_send() {
    let cache = Cache::memory();
    let app = local(&cache);
    let body = r#"{"all":true}"#;
    for (intent, expected) in [(None, 403), (Some("0"), 403), (Some("1"), 200)] {
        cache.set("k", 1).await.unwrap();
        let mut request = request("POST", "api/invalidate").header("content-type", "text/plain");
        if let Some(intent) = intent {
            request = request.header("shelflife-admin", intent);
        }
        let answer = send(&app, request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status.as_u16(), expected, "{intent:?}");
        assert_eq!(cache.exists("k").await, expected == 403, "{intent:?}");
    }
}

#[tokio::test]
async fn the_token_is_needed_and_nothing_like_it_will_do() {
    let app = guarded(&Cache::memory());
    let half = &TOKEN[..8];
    for given in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {half}"),
        format!("Bearer {TOKEN}x"),
        format!("Basic {TOKEN}"),
        TOKEN.to_owned(),
    ] {
        let request = request("GET", "api/now").header("authorization", &given);
        let answer = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{given:?}");
        assert!(answer.field("www-authenticate").starts_with("Bearer"));
    }
    assert_eq!(get(&app, "api/now").await.status, StatusCode::UNAUTHORIZED);
    let bearer = format!("Bearer {TOKEN}");
    let two = request("GET", "api/now")
        .header("authorization", &bearer)
        .header("authorization", &bearer);
    assert_eq!(status(&app, two).await, 401);
    let right = request("GET", "api/now").header("authorization", &bearer);
    assert_eq!(status(&app, right).await, 200);
    // A URL stands in logs and histories. RFC 6750 §2.3 says how a token would stand there, and not to do it.
    for name in ["access_token", "token"] {
        let in_the_url = request("GET", &format!("api/hot?n=1&{name}={TOKEN}"));
        assert_eq!(status(&app, in_the_url).await, 401, "{name}");
    }
    // Who sends the token itself has shown the intent: no browser sends it unasked.
    let change = request("POST", "api/invalidate").header("authorization", &bearer);
    let change = change.body(Body::from(r#"{"all":true}"#)).unwrap();
    assert_eq!(send(&app, change).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_path_inside_needs_the_token() {
    let app = guarded(&Cache::memory());
    for path in [
        "now",
        "hot",
        "largest",
        "log",
        "entry?key=a",
        "keys",
        "invalidate",
        "what",
        "",
    ] {
        let answer = get(&app, &format!("api/{path}")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["logout", "index.html", "../api/now"] {
        assert_eq!(
            get(&app, path).await.status,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
}

#[tokio::test]
async fn once_names_are_told_no_others_are_answered() {
    let access = Access::token(TOKEN).host("admin.example");
    let app = Router::new().nest_service("/_shelflife", router(&Cache::memory(), access).unwrap());
    let asked = |host: &str| with_host(host).header("authorization", format!("Bearer {TOKEN}"));
    for host in [
        "admin.example",
        "Admin.Example:8443",
        "localhost",
        "192.0.2.1",
    ] {
        assert_eq!(status(&app, asked(host)).await, 200, "{host}");
    }
    for host in ["other.example", "admin.example.evil.example"] {
        assert_eq!(status(&app, asked(host)).await, 421, "{host}");
    }
    // Before a proxy that rewrites Host, the name is in Origin.
    let behind = asked("127.0.0.1:8081").header("origin", "https://admin.example");
    assert_eq!(status(&app, behind).await, 200);
}

#[tokio::test]
async fn every_answer_forbids_what_the_page_does_not_need() {
    let open = local(&Cache::memory());
    let closed = guarded(&Cache::memory());
    for path in [
        "",
        "page",
        "style.css",
        "main.js",
        "api/now",
        "api/entry",
        "api/what",
        "what",
        "login",
    ] {
        for app in [&open, &closed] {
            let answer = get(app, path).await;
            let policy = answer.field("content-security-policy");
            for part in [
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "connect-src 'self'",
                "frame-ancestors 'none'",
            ] {
                assert!(policy.contains(part), "{path}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{path}: {policy}");
            assert_eq!(answer.field("cache-control"), "no-store", "{path}");
            for (name, expected) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "same-origin"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(answer.field(name), expected, "{path}: {name}");
            }
            assert!(
                !answer.headers.contains_key("access-control-allow-origin"),
                "{path}"
            );
        }
    }
}
