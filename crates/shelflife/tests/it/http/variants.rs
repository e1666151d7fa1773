//! Vary: one URL, several responses (RFC 9111 §4.1).

use axum::http::Method;
use shelflife::tower::url_tag;
use shelflife::{Cache, Invalidation};

use super::origin::{App, Origin, get, get_with, layer, reply, request, send};
use crate::gate::until;
use crate::on_both_stores;

/// What each client sends as its language, and is answered in.
const LANGUAGES: &[&str] = &["de", "en", "fr", "de;q=0.5, fr", "e=1&n", "e", "1&n"];

fn by_language() -> Origin {
    Origin::new(|parts, before| {
        let language = parts
            .headers
            .get("accept-language")
            .map_or("none", |l| l.to_str().unwrap());
        let fields = [("cache-control", "max-age=60"), ("vary", "Accept-Language")];
        reply(&fields, format!("{language} {before}"))
    })
}

async fn speak(app: &App, language: &str) -> super::origin::Got {
    get_with(app, "/", &[("accept-language", language)]).await
}

on_both_stores! {
    async fn each_variant_is_fetched_once_and_answers_its_own(bench) {
        let cache = bench.long_windowed().await;
        let origin = by_language();
        let app = origin.behind(&layer(&cache));
        for language in LANGUAGES {
            let first = speak(&app, language).await;
            until(|| async { speak(&app, language).await.is_hit() }).await;
            assert_eq!(speak(&app, language).await.text(), first.text());
            assert!(
                first.text().starts_with(&format!("{language} ")),
                "{}",
                first.text()
            );
        }
        assert!(get(&app, "/").await.text().starts_with("none "));
        for language in LANGUAGES {
            let got = speak(&app, language).await;
            assert!(
                got.is_hit() && got.text().starts_with(&format!("{language} ")),
                "{got:?}"
            );
        }
        assert_eq!(origin.calls(), LANGUAGES.len() + 1);
    }

    async fn purging_a_url_reaches_all_its_variants(bench) {
        let cache = bench.cache().await;
        let origin = by_language();
        let app = origin.behind(&layer(&cache));
        for language in LANGUAGES {
            speak(&app, language).await;
        }
        let before = origin.calls();
        let tag = url_tag(&"http://api.test/".parse().unwrap());
        cache
            .invalidate(Invalidation::new().tag(tag))
            .await
            .unwrap();
        for language in LANGUAGES {
            assert!(!speak(&app, language).await.is_hit(), "{language}");
        }
        assert_eq!(origin.calls(), before + LANGUAGES.len());
    }

    async fn an_invalidation_of_a_url_reaches_all_its_variants(bench) {
        let cache = bench.cache().await;
        let origin = by_language();
        let app = origin.behind(&layer(&cache));
        for language in ["de", "en"] {
            speak(&app, language).await;
            until(|| async { speak(&app, language).await.is_hit() }).await;
        }
        send(&app, request(&Method::PUT, "/", &[])).await;
        for language in ["de", "en"] {
            assert!(!speak(&app, language).await.is_hit(), "{language}");
        }
    }
}

#[tokio::test]
async fn variants_may_vary_by_more_than_the_response_beside_them() {
    let cache = Cache::memory();
    let origin = Origin::new(|parts, _| {
        let said = |name| {
            parts
                .headers
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
        };
        let (language, device) = (said("accept-language"), said("device"));
        let vary = if language == "de" {
            "accept-language, device"
        } else {
            "accept-language"
        };
        let fields = [("cache-control", "max-age=60"), ("vary", vary)];
        reply(
            &fields,
            format!(
                "{language} {}",
                if language == "de" { device } else { "any" }
            ),
        )
    });
    let app = origin.behind(&layer(&cache));
    let cases = [
        ("en", "phone", "en any"),
        ("de", "phone", "de phone"),
        ("de", "desk", "de desk"),
        ("fr", "desk", "fr any"),
        ("en", "desk", "en any"),
    ];
    for round in 0..3 {
        for (language, device, expected) in cases {
            let fields = [("accept-language", language), ("device", device)];
            let got = get_with(&app, "/", &fields).await;
            assert_eq!(got.text(), expected, "round {round}: {}", got.said());
        }
    }
    for (language, device, expected) in cases {
        let fields = [("accept-language", language), ("device", device)];
        until(|| async { get_with(&app, "/", &fields).await.is_hit() }).await;
        assert_eq!(get_with(&app, "/", &fields).await.text(), expected);
    }
}

#[tokio::test]
async fn a_credential_that_selects_is_not_written_into_a_key() {
    let cache = Cache::memory();
    let origin = Origin::new(|parts, _| {
        let who = parts.headers["authorization"].to_str().unwrap().to_owned();
        reply(
            &[
                ("cache-control", "public, max-age=60"),
                ("vary", "authorization"),
            ],
            who,
        )
    });
    let app = origin.behind(&layer(&cache));
    for who in [
        "Bearer adas-secret",
        "Bearer bobs-secret",
        "Bearer adas-secret",
    ] {
        assert_eq!(
            get_with(&app, "/", &[("authorization", who)]).await.text(),
            who
        );
    }
    let mut scan = cache.scan("http:*");
    let mut keys = 0;
    while let Some(page) = scan.next().await.unwrap() {
        for key in page {
            keys += 1;
            assert!(!key.to_string().contains("secret"), "{key}");
        }
    }
    assert_eq!(keys, 2);
}
