//! Two users never get each other's answer.

use axum::http::{HeaderValue, Method};
use shelflife::Cache;
use shelflife::tower::CacheLayer;

use super::origin::{
    App, Origin, filled, get, get_with, layer, reply, request, send, strict_layer,
};
use crate::gate::until;
use crate::on_both_stores;

type Fields = &'static [(&'static str, &'static str)];

const NOBODY: Fields = &[];
const ADA: Fields = &[("authorization", "Bearer ada")];
const BOB: Fields = &[("authorization", "Bearer bob")];
const ADAS_COOKIE: Fields = &[("cookie", "sid=ada")];
const BOBS_COOKIE: Fields = &[("cookie", "sid=bob")];

/// A handler that answers to each what is theirs.
fn personal(fields: Fields) -> Origin {
    Origin::new(move |parts, _| {
        let said = |name| parts.headers.get(name).map(HeaderValue::to_str);
        let who = said("authorization")
            .or(said("cookie"))
            .map_or("nobody", |who| who.unwrap());
        reply(fields, format!("for {who}"))
    })
}

fn own(fields: Fields) -> String {
    format!(
        "for {}",
        fields.first().map_or("nobody", |(_, value)| value)
    )
}

async fn assert_own(app: &App, order: &[Fields]) {
    for fields in order {
        let got = get_with(app, "/me", fields).await;
        assert_eq!(got.text(), own(fields), "{}", got.said());
    }
}

on_both_stores! {
    async fn what_is_answered_to_one_with_credentials_is_not_anothers(bench) {
        let cache = bench.cache().await;
        for (at, layer) in [layer(&cache), strict_layer(&cache)]
            .into_iter()
            .enumerate()
        {
            cache
                .invalidate(shelflife::Invalidation::new().all())
                .await
                .unwrap();
            let app = personal(&[("cache-control", "max-age=60")]).behind(&layer);
            // RFC 9111 §3.5
            assert_own(&app, &[ADA, BOB, ADA, NOBODY, ADA, BOB, NOBODY]).await;
            if at == 0 {
                assert_own(
                    &app,
                    &[ADAS_COOKIE, BOBS_COOKIE, NOBODY, ADAS_COOKIE, BOBS_COOKIE],
                )
                .await;
            }
        }
    }

    async fn what_one_with_a_cookie_was_answered_is_not_stored(bench) {
        // Under the rules of a proxy too: who fills must not be recognisable by anyone else.
        let cache = bench.cache().await;
        let app = personal(&[("cache-control", "max-age=60")]).behind(&strict_layer(&cache));
        assert_own(&app, &[ADAS_COOKIE, BOBS_COOKIE, NOBODY]).await;
        filled(&cache, 1).await;
        for who in [ADAS_COOKIE, BOBS_COOKIE, NOBODY] {
            let got = get_with(&app, "/me", who).await;
            assert_eq!(
                (got.text(), got.is_hit()),
                ("for nobody", true),
                "{}",
                got.said()
            );
        }
    }

    async fn what_says_that_it_is_for_all_is_for_all(bench) {
        let cache = bench.long_windowed().await;
        for fields in [
            &[("cache-control", "public, max-age=60")],
            &[("cache-control", "s-maxage=60")],
        ] {
            cache
                .invalidate(shelflife::Invalidation::new().all())
                .await
                .unwrap();
            let origin = Origin::new(move |_, before| reply(fields, before.to_string()));
            let app = origin.behind(&layer(&cache));
            get_with(&app, "/", ADA).await;
            until(|| async { get(&app, "/").await.is_hit() }).await;
            for who in [ADA, BOB, ADAS_COOKIE, NOBODY] {
                assert_eq!(
                    get_with(&app, "/", who).await.text(),
                    "0",
                    "{fields:?} {who:?}"
                );
            }
        }
    }

    async fn a_cookie_that_is_set_is_never_set_again(bench) {
        let cache = bench.long_windowed().await;
        for fields in [
            &[
                ("cache-control", "public, max-age=60"),
                ("set-cookie", "sid=1"),
            ],
            &[("cache-control", "s-maxage=60"), ("set-cookie", "sid=1")],
            &[("cache-control", "max-age=60"), ("set-cookie", "sid=1")],
        ] {
            for layer in [layer(&cache), strict_layer(&cache)] {
                cache
                    .invalidate(shelflife::Invalidation::new().all())
                    .await
                    .unwrap();
                let origin = Origin::new(move |_, _| reply(fields, "x"));
                let app = origin.behind(&layer);
                let first = get(&app, "/").await;
                assert_eq!(first.field("set-cookie"), "sid=1", "who was meant gets it");
                for _ in 0..3 {
                    let got = get(&app, "/").await;
                    assert!(
                        !got.is_hit() || got.field("set-cookie").is_empty(),
                        "{got:?}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn fields_that_are_not_in_the_key_can_not_poison_it() {
    let cache = Cache::memory();
    let origin = Origin::new(|parts, _| {
        let host = parts
            .headers
            .get("x-forwarded-host")
            .map_or("api.test", |h| h.to_str().unwrap());
        reply(
            &[
                ("cache-control", "max-age=60"),
                ("vary", "x-forwarded-host"),
            ],
            host.to_owned(),
        )
    });
    let app = origin.behind(&layer(&cache));
    let evil = [("x-forwarded-host", "evil.test")];
    assert_eq!(get_with(&app, "/", &evil).await.text(), "evil.test");
    assert_eq!(get(&app, "/").await.text(), "api.test");
    assert_eq!(get_with(&app, "/", &evil).await.text(), "evil.test");
    assert_eq!(get(&app, "/").await.text(), "api.test");
}

#[tokio::test]
async fn a_request_with_content_is_not_answered_from_what_one_without_got() {
    // A GET with content: the origin may answer to what the key knows nothing of.
    let cache = Cache::memory();
    let origin = Origin::numbered(&[("cache-control", "max-age=60")]);
    let app = origin.behind(&layer(&cache));
    get(&app, "/").await;
    for fields in [
        [("content-length", "3")],
        [("transfer-encoding", "chunked")],
    ] {
        let before = origin.calls();
        let got = send(&app, request(&Method::GET, "/", &fields)).await;
        assert!(!got.is_hit() && origin.calls() == before + 1, "{fields:?}");
    }
}

#[tokio::test]
async fn a_client_can_not_drive_the_handler_unless_the_policy_lets_it() {
    let no_cache = [("cache-control", "no-cache"), ("pragma", "no-cache")];
    let cache = Cache::memory();
    let origin = Origin::numbered(&[("cache-control", "max-age=60")]);
    let app = origin.behind(&layer(&cache));
    get(&app, "/").await;
    until(|| async { get(&app, "/").await.is_hit() }).await;
    for _ in 0..3 {
        assert_eq!(get_with(&app, "/", &no_cache).await.text(), "0");
    }
    assert_eq!(origin.calls(), 1);
    let strict = origin.behind(&strict_layer(&cache));
    // RFC 9111 §5.2.1.4
    assert_eq!(get_with(&strict, "/", &no_cache).await.text(), "1");
    assert_eq!(origin.calls(), 2);
    let honouring = CacheLayer::builder(&cache)
        .policy(shelflife_http::Policy {
            honour_client: true,
            ..shelflife_http::Policy::application()
        })
        .build()
        .unwrap();
    let app = origin.behind(&honouring);
    assert_eq!(get_with(&app, "/", &no_cache).await.text(), "2");
}
