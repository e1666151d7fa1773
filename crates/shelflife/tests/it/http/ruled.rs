//! What a rule or a handler says of a route, and that it comes to pass.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use shelflife::tower::{CacheLayer, Rule, Store, VaryBy};
use shelflife::{Cache, Invalidation};
use tower::{Layer as _, ServiceExt as _};

use super::origin::{App, Got, Origin, get, get_with, reply, reply_with, request, send, whole};
use crate::gate::{soon, until};
use crate::on_both_stores;

fn ruled(cache: &Cache, rules: Vec<Rule>) -> CacheLayer {
    CacheLayer::builder(cache).rules(rules).build().unwrap()
}

/// Answers with its number, and says nothing of caching.
fn plain() -> Origin {
    Origin::numbered(&[])
}

async fn stored_with(app: &App, target: &str, fields: &[(&str, &str)]) -> Got {
    until(|| async { get_with(app, target, fields).await.is_hit() }).await;
    get_with(app, target, fields).await
}

async fn stored(app: &App, target: &str) -> Got {
    stored_with(app, target, &[]).await
}

on_both_stores! {
    async fn a_rule_stores_what_says_nothing_and_its_tags_invalidate_it(bench) {
        let cache = bench.cache().await;
        let rule = Rule::path("/users/{id}")
            .ttl("1h")
            .tags(["user:{id}", "users"]);
        let origin = plain();
        let app = origin.behind(&ruled(&cache, vec![rule]));
        for (tag, holds) in [
            ("user:42", false),
            ("users", false),
            ("user:4", true),
            ("user:{id}", true),
        ] {
            let before = stored(&app, "/users/42").await;
            cache
                .invalidate(Invalidation::new().tag(tag))
                .await
                .unwrap();
            let after = get(&app, "/users/42").await;
            assert_eq!(after.text() == before.text(), holds, "{tag}");
        }
        assert!(!get(&app, "/others/42").await.said().contains("stored"));
    }

    async fn a_principal_has_answers_of_its_own(bench) {
        let cache = bench.long_windowed().await;
        let by = VaryBy::principal(|parts| {
            let token = parts.headers.get("authorization")?.to_str().ok()?;
            token.strip_prefix("Bearer ").map(str::to_owned)
        });
        let origin = Origin::new(|parts, before| {
            let who = parts
                .headers
                .get("authorization")
                .map_or("nobody", |who| who.to_str().unwrap());
            reply(&[], format!("{who} {before}"))
        });
        let app = origin.behind(&ruled(
            &cache,
            vec![Rule::path("/me").ttl("1h").vary_by(by)],
        ));
        let (ada, bob) = (
            [("authorization", "Bearer ada")],
            [("authorization", "Bearer bob")],
        );
        for who in [ada, bob, ada, bob] {
            let got = get_with(&app, "/me", &who).await;
            assert!(got.text().starts_with(who[0].1), "{}", got.text());
        }
        assert!(
            stored_with(&app, "/me", &ada)
                .await
                .text()
                .starts_with("Bearer ada")
        );
        assert!(
            stored_with(&app, "/me", &bob)
                .await
                .text()
                .starts_with("Bearer bob")
        );
        let before = origin.calls();
        for _ in 0..2 {
            assert!(
                !get(&app, "/me").await.is_hit(),
                "without a principal nothing is shared"
            );
        }
        assert_eq!(origin.calls(), before + 2);
        // One purge of the URL is for all of them.
        let tag = shelflife::tower::url_tag(&"http://api.test/me".parse().unwrap());
        cache
            .invalidate(Invalidation::new().tag(tag))
            .await
            .unwrap();
        for who in [ada, bob] {
            assert!(!get_with(&app, "/me", &who).await.is_hit());
        }
    }

    async fn a_handler_says_it_in_an_extension(bench) {
        let cache = bench.cache().await;
        let origin = Origin::new(|parts, before| {
            let store = match parts.uri.path() {
                "/kept" => Store::ttl("1h").tag("kept"),
                "/not-found" => Store::ttl("1h"),
                _ => Store::no_store(),
            };
            let mut response = reply(&[], before.to_string());
            if parts.uri.path() == "/not-found" {
                *response.status_mut() = StatusCode::NOT_FOUND;
            }
            if parts.uri.path() == "/forbidden" {
                response
                    .headers_mut()
                    .insert("cache-control", "max-age=60".parse().unwrap());
            }
            response.extensions_mut().insert(store);
            response
        });
        let app = origin.behind(&CacheLayer::new(&cache));
        assert_eq!(stored(&app, "/kept").await.status, StatusCode::OK);
        assert_eq!(
            stored(&app, "/not-found").await.status,
            StatusCode::NOT_FOUND
        );
        for _ in 0..2 {
            let got = get(&app, "/forbidden").await;
            assert!(
                !got.is_hit() && !got.said().contains("stored"),
                "{}",
                got.said()
            );
        }
        cache
            .invalidate(Invalidation::new().tag("kept"))
            .await
            .unwrap();
        assert!(!get(&app, "/kept").await.is_hit());
    }

    async fn content_of_a_request_is_in_the_key_where_a_rule_asks_for_it(bench) {
        let cache = bench.long_windowed().await;
        let rule = Rule::path("/search")
            .methods(["QUERY", "POST"])
            .ttl("1h")
            .by_body(100);
        let service = tower::service_fn(|request: Request<Body>| async move {
            let method = request.method().clone();
            let body = axum::body::to_bytes(request.into_body(), 10_000)
                .await
                .unwrap();
            let text = format!("{method} {}", String::from_utf8_lossy(&body));
            Ok::<_, std::convert::Infallible>(reply(&[], text))
        });
        let app = ruled(&cache, vec![rule]).layer(service);
        let ask = |method: &'static str, body: String| {
            let app = app.clone();
            async move {
                let asked = Request::builder()
                    .method(method)
                    .uri("/search")
                    .header("host", "api.test")
                    .header("content-length", body.len())
                    .body(Body::from(body))
                    .unwrap();
                let Ok(response) = soon(app.oneshot(asked)).await;
                whole(response).await.unwrap()
            }
        };
        for (method, body) in [("QUERY", "a"), ("QUERY", "b"), ("POST", "a"), ("QUERY", "")] {
            assert_eq!(
                ask(method, body.to_owned()).await.text(),
                format!("{method} {body}")
            );
            until(|| async { ask(method, body.to_owned()).await.is_hit() }).await;
            assert_eq!(
                ask(method, body.to_owned()).await.text(),
                format!("{method} {body}")
            );
        }
        let long = "x".repeat(1000);
        for _ in 0..2 {
            let got = ask("QUERY", long.clone()).await;
            assert!(
                !got.is_hit() && got.text() == format!("QUERY {long}"),
                "{}",
                got.said()
            );
        }
    }
}

#[tokio::test]
async fn a_query_is_brought_under_its_rule() {
    let cache = Cache::memory();
    let rule = Rule::path("/list")
        .ttl("1h")
        .sort_query()
        .drop_query(["utm_*"]);
    let origin = plain();
    let app = origin.behind(&ruled(&cache, vec![rule]));
    let one = stored(&app, "/list?a=1&b=2").await;
    for same in ["/list?b=2&a=1", "/list?a=1&b=2&utm_source=x"] {
        let got = get(&app, same).await;
        assert_eq!((got.text(), got.is_hit()), (one.text(), true), "{same}");
    }
    for other in [
        "/list?a=2&b=1",
        "/list?a=1&a=2&b=2",
        "/list",
        "/List?a=1&b=2",
    ] {
        assert!(!get(&app, other).await.is_hit(), "{other}");
    }
    // What an unsafe method names comes under the rule as well.
    send(
        &app,
        request(&Method::POST, "/list?b=2&utm_campaign=y&a=1", &[]),
    )
    .await;
    assert!(!get(&app, "/list?a=1&b=2").await.is_hit());
}

#[tokio::test]
async fn a_rule_stores_only_the_statuses_it_names() {
    let cache = Cache::memory();
    let origin = Origin::new(|parts, before| {
        let status: StatusCode = parts.uri.path()[1..].parse().unwrap();
        reply_with(status, &[], before.to_string())
    });
    let rules = vec![Rule::any().ttl("1h").statuses([200, 404])];
    let app = origin.behind(&ruled(&cache, rules));
    stored(&app, "/200").await;
    stored(&app, "/404").await;
    for target in ["/500", "/301", "/410"] {
        for _ in 0..2 {
            let got = get(&app, target).await;
            assert!(
                !got.is_hit() && !got.said().contains("stored"),
                "{target}: {}",
                got.said()
            );
        }
    }
}

#[tokio::test]
async fn a_rule_can_keep_a_route_out() {
    let cache = Cache::memory();
    let origin = Origin::numbered(&[("cache-control", "public, max-age=60")]);
    let rules = vec![
        Rule::path("/admin/{*rest}").no_store(),
        Rule::path("/me").private(),
    ];
    let app = origin.behind(&ruled(&cache, rules));
    for target in ["/admin/x", "/me"] {
        for _ in 0..2 {
            let got = get(&app, target).await;
            assert!(
                !got.is_hit() && !got.said().contains("stored"),
                "{target}: {}",
                got.said()
            );
        }
    }
    stored(&app, "/other").await;
}

#[tokio::test]
async fn a_rule_has_limits_of_its_own() {
    let cache = Cache::memory();
    let origin = Origin::new(|_, _| reply(&[], vec![7; 100]));
    let rules = vec![
        Rule::path("/small").ttl("1h").max_body(10),
        Rule::any().ttl("1h"),
    ];
    let app = origin.behind(&ruled(&cache, rules));
    stored(&app, "/large").await;
    for _ in 0..2 {
        let got = get(&app, "/small").await;
        assert!(!got.is_hit() && got.body.len() == 100, "{}", got.said());
    }
}

#[tokio::test]
async fn a_rule_that_can_not_be_used_is_told_when_the_layer_is_built() {
    let cache = Cache::memory();
    for (rule, names) in [
        (Rule::path("/users/{id").ttl("1h"), "/users/{id"),
        (
            Rule::path("/users/{id}").ttl("1h").tags(["user:{name}"]),
            "name",
        ),
        (Rule::path("/users").ttl("soon"), "soon"),
    ] {
        let error = CacheLayer::builder(&cache)
            .rules(vec![rule])
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), shelflife::ErrorKind::Config);
        assert!(error.to_string().contains(names), "{error}");
    }
}
