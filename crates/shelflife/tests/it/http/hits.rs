//! What is stored is answered again: from L1, from L2, by GET and by HEAD; and says so.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Path;
use axum::http::{Method, Request, Response, StatusCode};
use axum::routing::get as route;
use axum::{Extension, Router};
use shelflife::tower::CacheLayer;
use shelflife::{Cache, ManualClock};
use tower::{Service, ServiceExt as _};

use super::origin::{
    Got, Origin, get, layer, open, reply, reply_with, request, send, strict_layer, whole,
};
use crate::gate::{soon, until};
use crate::on_both_stores;

const MINUTE: &[(&str, &str)] = &[("cache-control", "max-age=60")];

on_both_stores! {
    async fn a_fresh_response_is_fetched_once_and_answers_again(bench) {
        let cache = bench.long_windowed().await;
        let origin = Origin::numbered(&[("cache-control", "max-age=60"), ("x-own", "kept")]);
        let app = origin.behind(&layer(&cache));
        let first = get(&app, "/users/42").await;
        assert_eq!((first.status, first.text()), (StatusCode::OK, "0"));
        assert!(
            !first.is_hit() && first.said().contains("fwd=uri-miss"),
            "{}",
            first.said()
        );
        assert!(first.said().contains("; stored"), "{}", first.said());
        until(|| async { get(&app, "/users/42").await.is_hit() }).await;
        let again = get(&app, "/users/42").await;
        assert_eq!(
            (again.status, again.text(), again.field("x-own")),
            (StatusCode::OK, "0", "kept")
        );
        // RFC 9111 §5.1: an answer from the store says how old it is.
        assert!(!again.field("age").is_empty());
        assert!(
            again.said().starts_with("shelflife; hit; ttl="),
            "{}",
            again.said()
        );
        assert_eq!(origin.calls(), 1);
    }

    async fn another_process_answers_what_one_has_fetched(bench) {
        if !bench.is_shared() {
            return;
        }
        let (one, other) = (bench.cache().await, bench.cache().await);
        let origin = Origin::numbered(MINUTE);
        let (one, other) = (origin.behind(&layer(&one)), origin.behind(&layer(&other)));
        get(&one, "/users/42?x=1").await;
        until(|| async { get(&one, "/users/42?x=1").await.is_hit() }).await;
        let got = get(&other, "/users/42?x=1").await;
        assert!(got.is_hit(), "{}", got.said());
        assert_eq!((got.text(), origin.calls()), ("0", 1));
    }

    async fn what_says_nothing_of_its_freshness_is_not_stored(bench) {
        let cache = bench.cache().await;
        for fields in [
            &[][..],
            &[("cache-control", "no-store")],
            &[("cache-control", "private, max-age=60")],
            &[("cache-control", "max-age=0")],
            &[("last-modified", "Tue, 01 Oct 2019 00:00:00 GMT")],
            &[("cache-control", "max-age=60"), ("vary", "*")],
        ] {
            let origin = Origin::new(move |_, before| reply(fields, before.to_string()));
            let app = origin.behind(&layer(&cache));
            for expected in ["0", "1", "2"] {
                let got = get(&app, "/users/42").await;
                assert_eq!(got.text(), expected, "{fields:?}");
                assert!(
                    !got.is_hit() && !got.said().contains("stored"),
                    "{}",
                    got.said()
                );
            }
        }
        assert_eq!(cache.stats().fills, 0);
    }

    async fn head_is_answered_from_what_get_has_stored(bench) {
        let cache = bench.long_windowed().await;
        let origin = Origin::new(|_, _| reply(MINUTE, "four"));
        let app = origin.behind(&layer(&cache));
        get(&app, "/").await;
        until(|| async { get(&app, "/").await.is_hit() }).await;
        let head = send(&app, request(&Method::HEAD, "/", &[])).await;
        assert!(head.is_hit() && head.body.is_empty(), "{head:?}");
        // RFC 9110 §9.3.2: the fields that GET would have got.
        assert_eq!(head.field("content-length"), "4");
        assert_eq!(origin.calls(), 1);
    }

    async fn status_and_body_come_back_as_they_were(bench) {
        let cache = bench.long_windowed().await;
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let answer = bytes.clone();
        let origin = Origin::new(move |parts, _| {
            let status = parts.uri.path()[1..].parse().unwrap();
            let body = if status == StatusCode::NO_CONTENT {
                Vec::new()
            } else {
                answer.clone()
            };
            let fields = [
                ("cache-control", "max-age=60"),
                ("x-odd", "\u{e9}"),
                ("x-two", "a"),
                ("x-two", "b"),
            ];
            reply_with(status, &fields, body)
        });
        let app = origin.behind(&layer(&cache));
        for status in [
            "200", "203", "204", "301", "404", "410", "418", "500", "503",
        ] {
            let target = format!("/{status}");
            let first = get(&app, &target).await;
            until(|| async { get(&app, &target).await.is_hit() }).await;
            let again = get(&app, &target).await;
            assert_eq!(again.status.as_str(), status);
            assert_eq!(again.body, first.body, "{status}");
            assert_eq!(again.body.is_empty(), status == "204");
            assert_eq!(again.headers["x-odd"].as_bytes(), "\u{e9}".as_bytes());
            assert_eq!(again.headers.get_all("x-two").iter().count(), 2);
        }
    }
}

#[tokio::test]
async fn an_answer_ages_and_ends_with_its_lifetime() {
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock).build().await.unwrap();
    let origin = Origin::numbered(MINUTE);
    let app = origin.behind(&layer(&cache));
    get(&app, "/").await;
    until(|| async { get(&app, "/").await.is_hit() }).await;
    clock.advance(std::time::Duration::from_secs(59));
    let old = get(&app, "/").await;
    // RFC 9111 §4.2.3
    assert_eq!((old.text(), old.field("age")), ("0", "59"));
    assert!(old.said().contains("ttl=1"), "{}", old.said());
    clock.advance(std::time::Duration::from_secs(1));
    let new = get(&app, "/").await;
    assert_eq!((new.text(), origin.calls()), ("1", 2));
}

#[tokio::test]
async fn the_age_that_it_came_with_counts() {
    let cache = Cache::memory();
    let origin = Origin::numbered(&[("cache-control", "max-age=60"), ("age", "40")]);
    let app = origin.behind(&layer(&cache));
    get(&app, "/").await;
    until(|| async { get(&app, "/").await.is_hit() }).await;
    let got = get(&app, "/").await;
    assert!(got.field("age").parse::<u64>().unwrap() >= 40, "{got:?}");
    assert_eq!(got.headers.get_all("age").iter().count(), 1);
}

#[tokio::test]
async fn only_if_cached_gets_what_is_stored_or_504() {
    // RFC 9111 §5.2.1.7, under either policy: it never makes the origin work.
    let only = [("cache-control", "only-if-cached")];
    let cache = Cache::memory();
    for layer in [layer(&cache), strict_layer(&cache)] {
        cache
            .invalidate(shelflife::Invalidation::new().all())
            .await
            .unwrap();
        let origin = Origin::numbered(MINUTE);
        let app = origin.behind(&layer);
        let none = send(&app, request(&Method::GET, "/", &only)).await;
        assert_eq!(
            (none.status, origin.calls()),
            (StatusCode::GATEWAY_TIMEOUT, 0)
        );
        assert!(none.said().contains("only_if_cached"), "{}", none.said());
        get(&app, "/").await;
        until(|| async { send(&app, request(&Method::GET, "/", &only)).await.is_hit() }).await;
        assert_eq!(origin.calls(), 1);
    }
}

#[tokio::test]
async fn other_methods_go_to_the_handler_each_time() {
    let cache = Cache::memory();
    let origin = Origin::numbered(MINUTE);
    let app = origin.behind(&layer(&cache));
    let methods = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "BREW"];
    for method in methods.iter().chain(&methods) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let got = send(&app, request(&method, "/", &[])).await;
        assert!(
            got.said().contains("fwd=method"),
            "{method}: {}",
            got.said()
        );
    }
    assert_eq!(origin.calls(), 2 * methods.len());
    assert_eq!(cache.stats().fills, 0);
}

#[tokio::test]
async fn what_a_cache_nearer_to_the_origin_said_comes_before_what_this_one_says() {
    let cache = Cache::memory();
    let origin = Origin::numbered(&[
        ("cache-control", "max-age=60"),
        ("cache-status", "inner; hit"),
    ]);
    let app = origin.behind(&layer(&cache));
    let got = get(&app, "/").await;
    // RFC 9211 §2: appended; the last is the one nearest to the user.
    let said: Vec<_> = got.headers.get_all("cache-status").iter().collect();
    assert_eq!(said[0], "inner; hit");
    assert!(said[1].to_str().unwrap().starts_with("shelflife; fwd="));
    until(|| async { get(&app, "/").await.is_hit() }).await;
    assert_eq!(
        get(&app, "/")
            .await
            .headers
            .get_all("cache-status")
            .iter()
            .count(),
        1
    );
}

async fn user(Path(id): Path<u64>) -> ([(&'static str, &'static str); 1], String) {
    ([("cache-control", "max-age=60")], format!("user {id}"))
}

async fn text<S, B>(service: &S, target: &str) -> String
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: axum::body::HttpBody<Data = axum::body::Bytes>,
    B::Error: std::fmt::Debug,
{
    got(service, target).await.text().to_owned()
}

async fn got<S, B>(service: &S, target: &str) -> Got
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: axum::body::HttpBody<Data = axum::body::Bytes>,
    B::Error: std::fmt::Debug,
{
    let Ok(response) = soon(service.clone().oneshot(request(&Method::GET, target, &[]))).await;
    whole(response).await.unwrap()
}

#[tokio::test]
async fn a_router_and_a_route_take_the_layer_and_keep_their_paths() {
    let cache = Cache::memory();
    let whole_router = Router::new()
        .route("/users/{id}", route(user))
        .layer(CacheLayer::new(&cache));
    let one_route = Router::new().route("/users/{id}", route(user).layer(CacheLayer::new(&cache)));
    for app in [whole_router, one_route] {
        for id in [1, 2, 1, 3, 2, 1] {
            assert_eq!(
                text(&app, &format!("/users/{id}")).await,
                format!("user {id}")
            );
        }
        until(|| async { got(&app, "/users/1").await.is_hit() }).await;
    }
}

#[tokio::test]
async fn routers_that_are_nested_do_not_share_what_only_looks_the_same_inside() {
    type Named = ([(&'static str, &'static str); 1], &'static str);
    async fn name_of(Extension(name): Extension<&'static str>) -> Named {
        ([("cache-control", "max-age=60")], name)
    }
    let cache = Cache::memory();
    let inner = |name: &'static str| {
        Router::new()
            .route("/name", route(name_of))
            .layer(CacheLayer::new(&cache))
            .layer(Extension(name))
    };
    let app = Router::new().nest("/a", inner("a")).nest("/b", inner("b"));
    for name in ["a", "b", "a", "b"] {
        assert_eq!(text(&app, &format!("/{name}/name")).await, name);
    }
}

#[tokio::test]
async fn without_the_store_every_request_is_answered_by_the_handler() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let cache = Cache::builder()
        .url(format!("redis://{address}"))
        .build()
        .await
        .unwrap();
    let origin = Origin::numbered(MINUTE);
    let app = origin.behind(&layer(&cache));
    for expected in ["0", "1", "2"] {
        assert_eq!(get(&app, "/").await.text(), expected);
    }
    let head = open(&app, request(&Method::HEAD, "/", &[])).await;
    assert_eq!(head.status(), StatusCode::OK);
    let post = open(&app, request(&Method::POST, "/", &[])).await;
    assert_eq!(post.status(), StatusCode::OK);
}
