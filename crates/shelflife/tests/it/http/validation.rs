//! Validation, by the cache with the origin and by clients with the cache (RFC 9111 §4.3, RFC 9110 §13).

use axum::http::{Method, StatusCode};
use shelflife::{Cache, Invalidation};

use super::origin::{
    Got, Origin, filled, get, get_with, layer, reply, reply_with, request, send, strict_layer,
};
use crate::gate::until;
use crate::on_both_stores;

const ETAG: &str = "\"v1\"";
const MODIFIED: &str = "Tue, 01 Oct 2019 08:00:00 GMT";

/// Stale on arrival, but it can be validated.
fn stale() -> [(&'static str, &'static str); 4] {
    [
        ("cache-control", "max-age=1"),
        ("age", "5"),
        ("etag", ETAG),
        ("x-version", "1"),
    ]
}

fn not_modified(fields: &[(&str, &str)]) -> axum::http::Response<axum::body::Body> {
    reply_with(StatusCode::NOT_MODIFIED, fields, "")
}

on_both_stores! {
    async fn what_still_holds_is_not_sent_again(bench) {
        let cache = bench.long_windowed().await;
        let origin = Origin::new(|parts, before| match before {
            0 => reply(&stale(), "body"),
            _ => {
                assert_eq!(parts.headers["if-none-match"], ETAG);
                not_modified(&[
                    ("cache-control", "max-age=3600"),
                    ("etag", ETAG),
                    ("x-version", "2"),
                ])
            }
        });
        let app = origin.behind(&layer(&cache));
        get(&app, "/").await;
        filled(&cache, 1).await;
        let got = get(&app, "/").await;
        assert_eq!(
            (got.status, got.text()),
            (StatusCode::OK, "body"),
            "{}",
            got.said()
        );
        // RFC 9111 §3.2: the 304's fields take the place of the stored ones.
        assert_eq!(
            (got.field("x-version"), got.field("cache-control")),
            ("2", "max-age=3600")
        );
        assert!(
            got.said().contains("fwd=stale") && got.said().contains("fwd-status=304"),
            "{}",
            got.said()
        );
        until(|| async { get(&app, "/").await.is_hit() }).await;
        let hit = get(&app, "/").await;
        assert_eq!(
            (hit.text(), hit.field("x-version"), origin.calls()),
            ("body", "2", 2)
        );
    }

    async fn what_has_changed_replaces_what_was_stored(bench) {
        let cache = bench.long_windowed().await;
        let origin = Origin::new(|parts, before| match before {
            0 => reply(&stale(), "old"),
            _ => {
                assert!(parts.headers.contains_key("if-none-match"));
                reply(
                    &[("cache-control", "max-age=3600"), ("etag", "\"v2\"")],
                    "new",
                )
            }
        });
        let app = origin.behind(&layer(&cache));
        get(&app, "/").await;
        filled(&cache, 1).await;
        assert_eq!(get(&app, "/").await.text(), "new");
        until(|| async { get(&app, "/").await.is_hit() }).await;
        assert_eq!((get(&app, "/").await.text(), origin.calls()), ("new", 2));
    }

    async fn what_may_no_longer_be_stored_is_not_served_again(bench) {
        let cache = bench.cache().await;
        let origin = Origin::new(|_, before| match before {
            0 => reply(
                &[
                    ("cache-control", "max-age=1, stale-if-error=3600"),
                    ("age", "5"),
                    ("etag", ETAG),
                ],
                "old",
            ),
            1 => reply(&[("cache-control", "no-store")], "secret"),
            _ => reply_with(StatusCode::SERVICE_UNAVAILABLE, &[], "failed"),
        });
        let app = origin.behind(&layer(&cache));
        get(&app, "/").await;
        filled(&cache, 1).await;
        assert_eq!(get(&app, "/").await.text(), "secret");
        assert_eq!(
            get(&app, "/").await.text(),
            "failed",
            "not what it was before"
        );
    }

    async fn a_client_that_has_it_is_told_so(bench) {
        let cache = bench.long_windowed().await;
        let origin = Origin::new(|_, _| {
            reply(
                &[
                    ("cache-control", "max-age=3600"),
                    ("etag", ETAG),
                    ("last-modified", MODIFIED),
                ],
                "body",
            )
        });
        let app = origin.behind(&layer(&cache));
        get(&app, "/").await;
        until(|| async { get(&app, "/").await.is_hit() }).await;
        // RFC 9110 §13.1.2, §13.1.3, §13.2.2
        for (fields, is_same) in [
            (&[("if-none-match", ETAG)][..], true),
            (&[("if-none-match", "W/\"v1\"")], true),
            (&[("if-none-match", "\"v0\", \"v1\"")], true),
            (
                &[("if-none-match", "\"v0\""), ("if-none-match", "\"v1\"")],
                true,
            ),
            (&[("if-none-match", "*")], true),
            (&[("if-none-match", "v1")], false),
            (&[("if-none-match", "\"v2\"")], false),
            (&[("if-modified-since", MODIFIED)], true),
            (
                &[("if-modified-since", "Tue, 01 Oct 2019 07:59:59 GMT")],
                false,
            ),
            (
                &[("if-none-match", "\"v2\""), ("if-modified-since", MODIFIED)],
                false,
            ),
        ] {
            let got = get_with(&app, "/", fields).await;
            let expected = if is_same {
                (StatusCode::NOT_MODIFIED, "")
            } else {
                (StatusCode::OK, "body")
            };
            assert_eq!((got.status, got.text()), expected, "{fields:?}");
            assert_eq!(got.field("etag"), ETAG);
            assert!(got.is_hit());
        }
        assert_eq!(origin.calls(), 1);
    }

    async fn a_clients_condition_does_not_keep_the_whole_from_being_stored(bench) {
        let cache = bench.long_windowed().await;
        let origin = Origin::new(|parts, _| {
            let asked = parts.headers.contains_key("if-none-match");
            match asked {
                true => not_modified(&[("etag", ETAG)]),
                false => reply(&[("cache-control", "max-age=3600"), ("etag", ETAG)], "body"),
            }
        });
        let app = origin.behind(&layer(&cache));
        let got = get_with(&app, "/", &[("if-none-match", ETAG)]).await;
        assert_eq!(
            (got.status, got.text()),
            (StatusCode::NOT_MODIFIED, ""),
            "{}",
            got.said()
        );
        until(|| async { get(&app, "/").await.is_hit() }).await;
        assert_eq!((get(&app, "/").await.text(), origin.calls()), ("body", 1));
    }

    async fn a_clients_no_cache_validates_what_is_fresh(bench) {
        let cache = bench.long_windowed().await;
        let origin = Origin::new(
            |parts, _| match parts.headers.contains_key("if-none-match") {
                true => not_modified(&[("etag", ETAG)]),
                false => reply(&[("cache-control", "max-age=3600"), ("etag", ETAG)], "body"),
            },
        );
        let app = origin.behind(&strict_layer(&cache));
        get(&app, "/").await;
        until(|| async { get(&app, "/").await.is_hit() }).await;
        for control in ["no-cache", "max-age=0"] {
            let before = origin.calls();
            let got = get_with(&app, "/", &[("cache-control", control)]).await;
            assert_eq!((got.status, got.text()), (StatusCode::OK, "body"));
            assert_eq!(origin.calls(), before + 1, "{control}");
            assert!(got.said().contains("fwd=request"), "{}", got.said());
        }
    }

    async fn a_response_with_no_cache_is_validated_each_time(bench) {
        let cache = bench.cache().await;
        let origin =
            Origin::new(
                |parts, before| match parts.headers.contains_key("if-none-match") {
                    true => not_modified(&[("etag", ETAG), ("cache-control", "no-cache")]),
                    false => reply(
                        &[("cache-control", "no-cache"), ("etag", ETAG)],
                        before.to_string(),
                    ),
                },
            );
        let app = origin.behind(&layer(&cache));
        for calls in 1..5 {
            // RFC 9111 §5.2.2.4
            let got = get(&app, "/").await;
            assert_eq!((got.text(), origin.calls()), ("0", calls), "{}", got.said());
        }
    }

    async fn a_head_that_tells_of_a_change_makes_what_is_stored_stale(bench) {
        let cache = bench.cache().await;
        for (at, (fields, calls)) in [
            // RFC 9111 §4.3.5: the same representation: updated. Another: outdated.
            ([("etag", "\"v1\""), ("cache-control", "max-age=3600")], 2),
            ([("etag", "\"v2\""), ("cache-control", "max-age=3600")], 3),
        ]
        .into_iter()
        .enumerate()
        {
            cache.invalidate(Invalidation::new().all()).await.unwrap();
            let origin = Origin::new(move |parts, before| match (&parts.method, before) {
                (&Method::HEAD, _) => reply(&fields, ""),
                (_, 0) => reply(&stale(), "body"),
                _ => reply(
                    &[("cache-control", "max-age=3600"), ("etag", "\"v2\"")],
                    "changed",
                ),
            });
            let app = origin.behind(&layer(&cache));
            get(&app, "/").await;
            filled(&cache, 2 * at as u64 + 1).await;
            let head = send(&app, request(&Method::HEAD, "/", &[])).await;
            assert_eq!((head.field("etag"), head.text()), (fields[0].1, ""));
            until(|| async { get(&app, "/").await.is_hit() }).await;
            assert_eq!(origin.calls(), calls, "{fields:?}");
        }
    }
}

#[tokio::test]
async fn a_304_for_something_else_is_not_taken_for_what_is_stored() {
    let cache = Cache::memory();
    let origin = Origin::new(|parts, before| match before {
        0 => reply(&stale(), "old"),
        // RFC 9111 §4.3.4: it names another representation.
        _ if parts.headers.contains_key("if-none-match") => not_modified(&[("etag", "\"v9\"")]),
        _ => reply(
            &[("cache-control", "max-age=3600"), ("etag", "\"v9\"")],
            "new",
        ),
    });
    let app = origin.behind(&layer(&cache));
    get(&app, "/").await;
    let got = get(&app, "/").await;
    assert_eq!(
        (got.status, got.text()),
        (StatusCode::OK, "new"),
        "{}",
        got.said()
    );
}

#[tokio::test]
async fn a_cookie_in_a_304_reaches_its_client_and_nobody_else() {
    let cache = Cache::memory();
    let origin = Origin::new(|_, before| match before {
        0 => reply(&stale(), "body"),
        _ => not_modified(&[
            ("etag", ETAG),
            ("cache-control", "public, max-age=3600"),
            ("set-cookie", "sid=1"),
        ]),
    });
    let app = origin.behind(&layer(&cache));
    get(&app, "/").await;
    filled(&cache, 1).await;
    assert_eq!(get(&app, "/").await.field("set-cookie"), "sid=1");
    until(|| async { get(&app, "/").await.is_hit() }).await;
    assert_eq!(get(&app, "/").await.field("set-cookie"), "");
}

#[tokio::test]
async fn conditions_for_the_origin_go_to_the_origin() {
    let cache = Cache::memory();
    let origin = Origin::numbered(&[("cache-control", "max-age=3600"), ("etag", ETAG)]);
    let app = origin.behind(&layer(&cache));
    get(&app, "/").await;
    until(|| async { get(&app, "/").await.is_hit() }).await;
    // RFC 9111 §4.3.2
    for fields in [[("if-match", ETAG)], [("if-unmodified-since", MODIFIED)]] {
        let before = origin.calls();
        let got: Got = get_with(&app, "/", &fields).await;
        assert!(!got.is_hit() && origin.calls() == before + 1, "{fields:?}");
        assert!(origin.last().contains_key(fields[0].0));
    }
}
