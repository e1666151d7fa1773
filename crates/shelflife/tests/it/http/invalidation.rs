//! Invalidations of responses: by tag, key, pattern, URL and everything; by unsafe methods; and against what is in
//! flight.

use axum::http::{Method, StatusCode};
use shelflife::tower::url_tag;
use shelflife::{Cache, Invalidation};

use super::origin::{App, Got, Origin, get, layer, reply, reply_with, request, send};
use crate::gate::{Gate, soon, until};
use crate::on_both_stores;

const TAGGED: &[(&str, &str)] = &[
    ("cache-control", "max-age=60"),
    ("cache-tag", "user:42, team"),
    ("cache-groups", "\"users\""),
];

/// Everything that can name `http://api.test/users/42`.
fn every() -> Vec<Invalidation> {
    let new = Invalidation::new;
    let url = "https://api.test/users/42".parse().unwrap();
    vec![
        new().tag("user:42"),
        new().tag("team"),
        new().tag(url_tag(&url)),
        new().key("http:api.test/users/42"),
        new().pattern("http:*"),
        new().pattern("http:api.test/users/*"),
        new().all(),
    ]
}

async fn stored(app: &App, target: &str) -> Got {
    until(|| async { get(app, target).await.is_hit() }).await;
    get(app, target).await
}

/// An origin at which everything but a GET waits at a gate.
fn holding_what_is_unsafe(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::waiting(move |parts, before| {
        let gate = gate.clone();
        async move {
            if parts.method != Method::GET {
                gate.pass().await;
            }
            reply(TAGGED, before.to_string())
        }
    })
}

on_both_stores! {
    async fn whatever_names_a_response_invalidates_it(bench) {
        let cache = bench.cache().await;
        let origin = Origin::numbered(TAGGED);
        let app = origin.behind(&layer(&cache));
        for what in every() {
            stored(&app, "/users/42").await;
            let before = origin.calls();
            cache.invalidate(what.clone()).await.unwrap();
            let got = get(&app, "/users/42").await;
            assert!(!got.is_hit(), "{what:?}: {}", got.said());
            assert_eq!(origin.calls(), before + 1, "{what:?}");
        }
    }

    async fn an_invalidation_everywhere_holds_in_other_processes(bench) {
        let (one, other) = (bench.cache().await, bench.cache().await);
        let origin = Origin::numbered(TAGGED);
        let apps = match bench.is_shared() {
            true => [origin.behind(&layer(&one)), origin.behind(&layer(&other))],
            false => [origin.behind(&layer(&one)), origin.behind(&layer(&one))],
        };
        for what in every() {
            for app in &apps {
                stored(app, "/users/42").await;
            }
            let newest = origin.calls();
            one.invalidate(what.clone()).everywhere().await.unwrap();
            for app in &apps {
                let number: usize = get(app, "/users/42").await.text().parse().unwrap();
                assert!(number >= newest, "{what:?}");
            }
        }
    }

    async fn an_invalidation_during_a_load_is_not_lost(bench) {
        let cache = bench.cache().await;
        for what in every() {
            cache.invalidate(Invalidation::new().all()).await.unwrap();
            let gate = Gate::closed();
            let origin = Origin::gated(&gate, TAGGED);
            let app = origin.behind(&layer(&cache));
            let old = {
                let app = app.clone();
                tokio::spawn(async move { get(&app, "/users/42").await })
            };
            gate.entered().await;
            cache.invalidate(what.clone()).await.unwrap();
            gate.release();
            assert_eq!(
                soon(old).await.unwrap().text(),
                "0",
                "who asked before may have it"
            );
            let new = get(&app, "/users/42").await;
            assert_eq!(new.text(), "1", "{what:?}: {}", new.said());
        }
    }

    async fn a_request_that_comes_after_an_invalidation_does_not_join_the_load_before_it(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let origin = {
            let gate = gate.clone();
            Origin::waiting(move |_, before| {
                let gate = gate.clone();
                async move {
                    if before == 0 {
                        gate.pass().await;
                    }
                    reply(TAGGED, before.to_string())
                }
            })
        };
        let app = origin.behind(&layer(&cache));
        let old = {
            let app = app.clone();
            tokio::spawn(async move { get(&app, "/users/42").await })
        };
        gate.entered().await;
        cache
            .invalidate(
                Invalidation::new().tag(url_tag(&"http://api.test/users/42".parse().unwrap())),
            )
            .await
            .unwrap();
        // While the old one is still under way.
        assert_eq!(get(&app, "/users/42").await.text(), "1");
        gate.release();
        assert_eq!(soon(old).await.unwrap().text(), "0");
        assert_eq!(get(&app, "/users/42").await.text(), "1");
    }

    async fn an_unsafe_request_that_succeeds_invalidates_before_it_is_answered(bench) {
        let cache = bench.cache().await;
        let origin = Origin::new(|parts, before| match parts.method {
            Method::GET => reply(TAGGED, before.to_string()),
            _ => reply(&[], "done"),
        });
        let app = origin.behind(&layer(&cache));
        // RFC 9111 §4.4, RFC 9110 §9.2.1: a method of which nothing is known counts as unsafe.
        for method in ["PUT", "POST", "PATCH", "DELETE", "BREW"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let old = stored(&app, "/users/42").await;
            send(&app, request(&method, "/users/42", &[])).await;
            let new = get(&app, "/users/42").await;
            assert!(
                !new.is_hit() && new.text() != old.text(),
                "{method}: {}",
                new.said()
            );
        }
        stored(&app, "/users/42").await;
        // RFC 9110 §9.2.1: these change nothing.
        for method in ["OPTIONS", "HEAD", "TRACE", "QUERY"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            send(&app, request(&method, "/users/42", &[])).await;
            assert!(get(&app, "/users/42").await.is_hit(), "{method}");
        }
    }

    async fn an_unsafe_request_whose_client_goes_away_may_have_been_carried_out(bench) {
        let cache = bench.long_windowed().await;
        let gate = Gate::closed();
        let origin = holding_what_is_unsafe(&gate);
        let app = origin.behind(&layer(&cache));
        let old = stored(&app, "/users/42").await;
        let writing = {
            let app = app.clone();
            tokio::spawn(async move { send(&app, request(&Method::PUT, "/users/42", &[])).await })
        };
        gate.entered().await;
        writing.abort();
        assert!(soon(writing).await.is_err());
        until(|| async { get(&app, "/users/42").await.text() != old.text() }).await;
    }

    async fn an_unsafe_request_may_be_given_up_where_no_runtime_is(bench) {
        let cache = bench.long_windowed().await;
        let gate = Gate::closed();
        let origin = holding_what_is_unsafe(&gate);
        let app = origin.behind(&layer(&cache));
        let old = stored(&app, "/users/42").await;
        let mut writing = {
            let app = app.clone();
            Box::pin(async move { send(&app, request(&Method::PUT, "/users/42", &[])).await })
        };
        tokio::select! {
            _ = &mut writing => panic!("the gate is closed"),
            () = gate.entered() => {}
        }
        std::thread::spawn(move || drop(writing)).join().unwrap();
        until(|| async { get(&app, "/users/42").await.text() != old.text() }).await;
    }

    async fn an_unsafe_request_that_fails_invalidates_nothing(bench) {
        let cache = bench.long_windowed().await;
        let origin = Origin::new(|parts, before| match parts.method {
            Method::GET => reply(TAGGED, before.to_string()),
            _ => {
                let status = parts.headers["status"].to_str().unwrap().parse().unwrap();
                reply_with(status, &[], "no")
            }
        });
        let app = origin.behind(&layer(&cache));
        stored(&app, "/users/42").await;
        for (status, holds) in [
            ("400", true),
            ("404", true),
            ("500", true),
            ("200", false),
            ("303", false),
        ] {
            stored(&app, "/users/42").await;
            send(
                &app,
                request(&Method::POST, "/users/42", &[("status", status)]),
            )
            .await;
            assert_eq!(get(&app, "/users/42").await.is_hit(), holds, "{status}");
        }
    }

    async fn location_and_groups_are_invalidated_too_of_the_same_host(bench) {
        let cache = bench.long_windowed().await;
        let origin = Origin::new(|parts, before| match parts.method {
            Method::GET => reply(TAGGED, before.to_string()),
            _ => {
                let name = parts.headers["name"].to_str().unwrap();
                let value = parts.headers["value"].to_str().unwrap();
                reply_with(StatusCode::CREATED, &[(name, value)], "done")
            }
        });
        let app = origin.behind(&layer(&cache));
        for (name, value, holds) in [
            ("location", "/users/42", false),
            ("location", "users/42", false),
            ("content-location", "http://api.test/users/42", false),
            // RFC 9875 §3
            ("cache-group-invalidation", "\"others\", \"users\"", false),
            ("cache-group-invalidation", "\"others\"", true),
            ("location", "/users/7", true),
            // RFC 9111 §4.4: never of another origin.
            ("location", "http://other.test/users/42", true),
        ] {
            stored(&app, "/users/42").await;
            send(
                &app,
                request(&Method::POST, "/users", &[("name", name), ("value", value)]),
            )
            .await;
            assert_eq!(
                get(&app, "/users/42").await.is_hit(),
                holds,
                "{name}: {value}"
            );
        }
    }

    async fn a_load_that_an_unsafe_request_overtakes_is_not_stored(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let origin = {
            let gate = gate.clone();
            Origin::waiting(move |parts, before| {
                let gate = gate.clone();
                async move {
                    if parts.method == Method::GET && before == 0 {
                        gate.pass().await;
                    }
                    reply(TAGGED, before.to_string())
                }
            })
        };
        let app = origin.behind(&layer(&cache));
        let old = {
            let app = app.clone();
            tokio::spawn(async move { get(&app, "/users/42").await })
        };
        gate.entered().await;
        send(&app, request(&Method::PUT, "/users/42", &[])).await;
        gate.release();
        soon(old).await.unwrap();
        assert_eq!(get(&app, "/users/42").await.text(), "2");
    }
}

#[tokio::test]
async fn a_soft_invalidation_lets_a_response_be_served_once_more_only_within_its_window() {
    let cache = Cache::memory();
    let origin = Origin::new(|parts, before| {
        let control = match parts.uri.path() {
            "/window" => "max-age=60, stale-while-revalidate=60",
            _ => "max-age=60",
        };
        reply(
            &[("cache-control", control), ("cache-tag", "t")],
            before.to_string(),
        )
    });
    let app = origin.behind(&layer(&cache));
    let (with, without) = (stored(&app, "/window").await, stored(&app, "/none").await);
    cache
        .invalidate(Invalidation::new().tag("t").soft())
        .await
        .unwrap();
    let served = get(&app, "/window").await;
    assert_eq!(served.text(), with.text(), "{}", served.said());
    until(|| async { get(&app, "/window").await.text() != with.text() }).await;
    assert_ne!(get(&app, "/none").await.text(), without.text());
}
