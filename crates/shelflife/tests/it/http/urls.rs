//! What an origin may tell apart, the key does.

use axum::http::Method;
use shelflife::Cache;

use super::origin::{Origin, get, get_with, layer, reply, request, send, strict_layer};
use crate::gate::until;

const MINUTE: &[(&str, &str)] = &[("cache-control", "max-age=60")];

/// Each is a resource of its own.
const DISTINCT: &[&str] = &[
    "/",
    "/?",
    "//",
    "/a",
    "/A",
    "/a/",
    "/a/b",
    "/a%2Fb",
    "/a%2fb",
    "//a/b",
    "/a//b",
    "/a/./b",
    "/a/../b",
    "/a;b",
    "/a%3Bb",
    "/a%20b",
    "/a+b",
    "/a?id=1",
    "/a?id=2",
    "/a?id=1&id=2",
    "/a?id=2&id=1",
    "/a?id=1&id=2&",
    "/a?ID=1",
    "/a?id=1;id=2",
    "/a?id%3D1",
    "/a?id[]=1",
    "/a?id=",
    "/a?id",
    "/a?*",
    "/*",
    "/a:b",
    "/a%3Ab",
    "/a?x=http:%2F%2Fb",
    "/\u{e9}",
];

#[tokio::test]
async fn urls_that_differ_never_share_an_answer() {
    let cache = Cache::memory();
    for layer in [layer(&cache), strict_layer(&cache)] {
        cache
            .invalidate(shelflife::Invalidation::new().all())
            .await
            .unwrap();
        let origin = Origin::new(|parts, _| reply(MINUTE, parts.uri.to_string()));
        let app = origin.behind(&layer);
        for _ in 0..2 {
            for target in DISTINCT {
                assert_eq!(get(&app, target).await.text(), *target);
            }
        }
        for target in DISTINCT {
            until(|| async { get(&app, target).await.is_hit() }).await;
            assert_eq!(get(&app, target).await.text(), *target);
        }
        assert_eq!(origin.calls(), DISTINCT.len());
    }
}

#[tokio::test]
async fn hosts_that_differ_never_share_an_answer() {
    let cache = Cache::memory();
    let origin =
        Origin::new(|parts, _| reply(MINUTE, parts.headers["host"].to_str().unwrap().to_owned()));
    let app = origin.behind(&layer(&cache));
    for _ in 0..2 {
        for host in [
            "a.test",
            "b.test",
            "a.test:8080",
            "a.test.",
            "[::1]",
            "[::1]:80",
        ] {
            assert_eq!(get_with(&app, "/", &[("host", host)]).await.text(), host);
        }
    }
    // RFC 9110 §4.2.3: the host has no case.
    let before = origin.calls();
    let got = get_with(&app, "/", &[("host", "A.Test")]).await;
    assert_eq!((got.text(), origin.calls()), ("a.test", before));
}

#[tokio::test]
async fn a_request_that_names_no_host_or_several_is_not_shared() {
    let cache = Cache::memory();
    let origin = Origin::numbered(MINUTE);
    let app = origin.behind(&layer(&cache));
    // RFC 9112 §3.2
    for fields in [
        &[("host", "a.test"), ("host", "b.test")][..],
        &[("host", "a.test/b")],
        &[("host", "a.test?b")],
    ] {
        let before = origin.calls();
        for _ in 0..2 {
            let got = get_with(&app, "/", fields).await;
            assert!(
                !got.is_hit() && !got.said().contains("stored"),
                "{fields:?}: {}",
                got.said()
            );
        }
        assert_eq!(origin.calls(), before + 2, "{fields:?}");
    }
    // RFC 9112 §3.2.2: a target that names another host than the field does.
    let got = send(
        &app,
        request(&Method::GET, "http://b.test/", &[("host", "a.test")]),
    )
    .await;
    assert!(!got.said().contains("stored"), "{}", got.said());
}

#[tokio::test]
async fn a_target_in_absolute_form_is_the_same_resource() {
    let cache = Cache::memory();
    let origin = Origin::numbered(MINUTE);
    let app = origin.behind(&layer(&cache));
    get_with(&app, "/users/42", &[("host", "api.test")]).await;
    until(|| async { get(&app, "/users/42").await.is_hit() }).await;
    let absolute = request(
        &Method::GET,
        "http://api.test/users/42",
        &[("host", "api.test")],
    );
    assert!(send(&app, absolute).await.is_hit());
}

#[tokio::test]
async fn a_very_long_url_has_its_own_entry() {
    let cache = Cache::memory();
    let origin = Origin::new(|parts, _| reply(MINUTE, parts.uri.to_string()));
    let app = origin.behind(&layer(&cache));
    let long = |last| format!("/{}?{last}", "x".repeat(6000));
    for _ in 0..2 {
        for last in ["a", "b"] {
            assert_eq!(get(&app, &long(last)).await.text(), long(last));
        }
    }
}

#[tokio::test]
async fn keys_are_readable_and_begin_with_their_kind() {
    let cache = Cache::memory();
    let origin = Origin::numbered(MINUTE);
    let app = origin.behind(&layer(&cache));
    get(&app, "/users/42").await;
    until(|| async { get(&app, "/users/42").await.is_hit() }).await;
    let it = cache.inspect("http:api.test/users/42").await.unwrap();
    assert_eq!(it.state, "fresh");
    let tags: Vec<_> = it.tags.iter().map(|tag| tag.tag.as_str()).collect();
    assert_eq!(tags, ["*", "http:*", "url:api.test/users/42"]);
}
