//! Stale answers: while a refresh runs, when the origin fails, and when nothing allows them (RFC 5861, RFC 9111 §4.2.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use shelflife::{Cache, Invalidation, ManualClock};
use tower::{Layer as _, ServiceExt as _};

use super::origin::{
    Origin, filled, get, get_with, layer, reply, reply_with, request, strict_layer, whole,
};
use crate::gate::{Gate, soon, until};
use crate::on_both_stores;

/// Stale on arrival, within its windows.
const WHILE_REVALIDATE: &[(&str, &str)] = &[
    ("cache-control", "max-age=1, stale-while-revalidate=3600"),
    ("age", "5"),
];

fn is_stale(said: &str) -> bool {
    said.contains("; hit") && said.contains("ttl=-")
}

on_both_stores! {
    async fn a_stale_response_is_served_while_one_refresh_runs(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let origin = {
            let gate = gate.clone();
            Origin::waiting(move |_, before| {
                let gate = gate.clone();
                async move {
                    match before {
                        0 => reply(WHILE_REVALIDATE, "old"),
                        _ => {
                            gate.pass().await;
                            reply(&[("cache-control", "max-age=3600")], "new")
                        }
                    }
                }
            })
        };
        let app = origin.behind(&layer(&cache));
        get(&app, "/").await;
        filled(&cache, 1).await;
        for _ in 0..5 {
            let got = get(&app, "/").await;
            assert_eq!(got.text(), "old");
            assert!(is_stale(got.said()), "{}", got.said());
        }
        gate.entered().await;
        gate.release();
        until(|| async { get(&app, "/").await.text() == "new" }).await;
        assert_eq!(origin.calls(), 2);
    }

    async fn a_response_that_may_not_be_served_stale_waits_for_the_origin(bench) {
        let cache = bench.cache().await;
        for control in [
            "max-age=1",
            "max-age=1, must-revalidate, stale-while-revalidate=60",
            "s-maxage=1, stale-while-revalidate=60",
            "max-age=1, proxy-revalidate, stale-if-error=60",
        ] {
            cache.invalidate(Invalidation::new().all()).await.unwrap();
            let origin = Origin::new(move |_, before| {
                let fields = [("cache-control", control), ("age", "5"), ("etag", "\"1\"")];
                match before {
                    0 => reply(&fields, "old"),
                    _ => reply(&[("cache-control", "max-age=3600")], "new"),
                }
            });
            let app = origin.behind(&layer(&cache));
            assert_eq!(get(&app, "/").await.text(), "old");
            assert_eq!(get(&app, "/").await.text(), "new", "{control}");
        }
    }

    async fn when_the_origin_fails_a_stale_response_stands_in_where_it_is_allowed(bench) {
        let cache = bench.cache().await;
        for (control, stands_in) in [
            ("max-age=1, stale-if-error=3600", true),
            ("max-age=1", false),
            ("max-age=1, stale-if-error=1", false),
            ("max-age=1, must-revalidate, stale-if-error=3600", false),
        ] {
            for status in [500, 502, 503, 504] {
                cache.invalidate(Invalidation::new().all()).await.unwrap();
                let origin = Origin::new(move |_, before| match before {
                    0 => {
                        let fields = [("cache-control", control), ("age", "5"), ("etag", "\"1\"")];
                        reply(&fields, "old")
                    }
                    _ => reply_with(StatusCode::from_u16(status).unwrap(), &[], "failed"),
                });
                let app = origin.behind(&layer(&cache));
                get(&app, "/").await;
                for _ in 0..3 {
                    let got = get(&app, "/").await;
                    let expected = if stands_in {
                        (200, "old")
                    } else {
                        (status, "failed")
                    };
                    assert_eq!(
                        (got.status.as_u16(), got.text()),
                        expected,
                        "{control} {}",
                        got.said()
                    );
                }
            }
        }
    }

    async fn an_error_of_the_service_is_a_failure_of_the_origin(bench) {
        let cache = bench.cache().await;
        let fails = Arc::new(AtomicBool::new(false));
        let service = {
            let fails = fails.clone();
            tower::service_fn(move |request: axum::http::Request<axum::body::Body>| {
                let failed = fails.load(Ordering::SeqCst);
                async move {
                    let control = match request.uri().path() {
                        "/if-error" => "max-age=1, stale-if-error=3600",
                        _ => "max-age=1",
                    };
                    let fields = [("cache-control", control), ("age", "5"), ("etag", "\"1\"")];
                    if failed {
                        Err("gone")
                    } else {
                        Ok(reply(&fields, "old"))
                    }
                }
            })
        };
        let app = layer(&cache).layer(service);
        let ask = |target: &'static str| {
            let app = app.clone();
            async move {
                let response = soon(app.oneshot(request(&Method::GET, target, &[]))).await?;
                Ok::<_, &str>(whole(response).await.unwrap().text().to_owned())
            }
        };
        ask("/if-error").await.unwrap();
        ask("/plain").await.unwrap();
        fails.store(true, Ordering::SeqCst);
        assert_eq!(ask("/if-error").await, Ok("old".to_owned()));
        assert_eq!(ask("/plain").await, Err("gone"));
    }
}

#[tokio::test]
async fn the_window_of_a_stale_response_ends() {
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock).build().await.unwrap();
    let origin = Origin::new(|_, before| {
        let control = "max-age=10, stale-while-revalidate=10, stale-if-error=100";
        match before {
            0 => reply(&[("cache-control", control)], "old"),
            _ => reply_with(StatusCode::SERVICE_UNAVAILABLE, &[], "failed"),
        }
    });
    let app = origin.behind(&layer(&cache));
    get(&app, "/").await;
    until(|| async { get(&app, "/").await.is_hit() }).await;
    clock.advance(Duration::from_secs(15));
    assert_eq!(
        get(&app, "/").await.text(),
        "old",
        "while it is revalidated"
    );
    clock.advance(Duration::from_secs(50));
    assert_eq!(
        get(&app, "/").await.text(),
        "old",
        "because the origin fails"
    );
    clock.advance(Duration::from_secs(50));
    assert_eq!(get(&app, "/").await.text(), "failed");
}

#[tokio::test]
async fn a_client_that_accepts_stale_answers_gets_them_from_a_proxy() {
    let cache = Cache::memory();
    let fields = &[
        ("cache-control", "max-age=1"),
        ("age", "100"),
        ("etag", "\"1\""),
    ];
    let origin = Origin::new(|_, before| reply(fields, before.to_string()));
    let app = origin.behind(&strict_layer(&cache));
    get(&app, "/").await;
    filled(&cache, 1).await;
    // RFC 9111 §5.2.1.2
    let got = get_with(&app, "/", &[("cache-control", "max-stale")]).await;
    assert_eq!(got.text(), "0", "{}", got.said());
    let got = get_with(&app, "/", &[("cache-control", "max-stale=10")]).await;
    assert_eq!(got.text(), "1", "{}", got.said());
}
