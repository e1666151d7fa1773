//! Wherever it is mounted, the page finds its files; and no cache keeps anything of it.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use shelflife::Cache;
use shelflife::tower::{CacheLayer, Rule};
use shelflife_admin::{Access, router};

use crate::asking::{get, local, send};

fn at_root() -> Router {
    let access = Access::listener("127.0.0.1:8081".parse().unwrap());
    router(&Cache::memory(), access).unwrap()
}

async fn ask(app: &Router, path: &str) -> crate::asking::Answer {
    let request = Request::get(path).header("host", "localhost");
    send(app, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_page_is_where_it_was_mounted() {
    let nested = Router::new().nest("/a/b", at_root());
    let as_service = Router::new().nest_service("/a/b", at_root());
    for app in [&nested, &as_service] {
        let moved = ask(app, "/a/b").await;
        assert_eq!(
            (moved.status, moved.field("location")),
            (StatusCode::TEMPORARY_REDIRECT, "b/page")
        );
        assert_eq!(ask(app, "/a/b/page").await.status, StatusCode::OK);
        assert_eq!(ask(app, "/a/b/style.css").await.status, StatusCode::OK);
        assert_eq!(ask(app, "/a/b/api/now").await.status, StatusCode::OK);
        assert_eq!(ask(app, "/a/b/what").await.status, StatusCode::NOT_FOUND);
    }
    for (app, path) in [(&as_service, "/a/b/"), (&at_root(), "/")] {
        let moved = ask(app, path).await;
        assert_eq!(
            (moved.status, moved.field("location")),
            (StatusCode::TEMPORARY_REDIRECT, "page"),
            "{path}"
        );
    }
    assert_eq!(ask(&at_root(), "/page").await.status, StatusCode::OK);
    assert_eq!(ask(&at_root(), "/api/now").await.status, StatusCode::OK);
    let post = Request::post("/page")
        .header("host", "localhost")
        .header("shelflife-admin", "1");
    assert_eq!(
        send(&at_root(), post.body(Body::empty()).unwrap())
            .await
            .status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

/// What a file names: relative references of HTML, imports of scripts.
fn named(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for before in ["href=\"", "src=\"", "from \"./"] {
        for rest in text.split(before).skip(1) {
            let name = rest.split('"').next().unwrap().to_owned();
            if !name.starts_with('#') && name != "page" {
                found.insert(name);
            }
        }
    }
    found
}

#[tokio::test]
async fn every_file_that_is_named_is_there_and_nothing_is_from_elsewhere() {
    let app = at_root();
    let mut seen = BTreeSet::new();
    let mut left: Vec<String> = named(&ask(&app, "/page").await.text).into_iter().collect();
    while let Some(name) = left.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        assert!(
            !name.contains("//") && !name.starts_with('/'),
            "{name} is not relative"
        );
        let file = ask(&app, &format!("/{name}")).await;
        assert_eq!(file.status, StatusCode::OK, "{name}");
        let kind = file.field("content-type");
        let expected = match name.rsplit('.').next().unwrap() {
            "js" => "text/javascript",
            "css" => "text/css",
            "svg" => "image/svg+xml",
            other => panic!("{other}"),
        };
        assert!(kind.starts_with(expected), "{name}: {kind}");
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "style=",
            "://",
        ] {
            let lines = file.text.lines().filter(|line| line.contains(forbidden));
            // The name of SVG's elements is an address, and nobody goes there.
            let found: Vec<_> = lines
                .filter(|line| !line.contains("http://www.w3.org/2000/svg"))
                .collect();
            assert!(found.is_empty(), "{name}: {found:?}");
        }
        left.extend(named(&file.text));
    }
    assert!(seen.len() > 10, "{seen:?}");
}

#[tokio::test]
async fn no_rule_of_a_cache_layer_keeps_anything_of_it() {
    let cache = Cache::memory();
    let everything = Rule::path("/{*rest}")
        .ttl(Duration::from_secs(60))
        .stale(Duration::from_secs(60));
    let layer = CacheLayer::builder(&cache)
        .rule(everything)
        .build()
        .unwrap();
    let app = local(&cache)
        .route("/control", axum::routing::get(async || "kept"))
        .layer(layer);
    for path in ["page", "style.css", "api/now", "api/keys"] {
        for _ in 0..2 {
            let answer = get(&app, path).await;
            assert_eq!(answer.status, StatusCode::OK);
            let status = answer.field("cache-status");
            assert!(
                !status.contains("hit") && !status.contains("; stored"),
                "{path}: {status}"
            );
        }
    }
    // The rule is one that keeps.
    ask(&app, "/control").await;
    let kept = ask(&app, "/control").await;
    assert!(kept.field("cache-status").contains("hit"), "{kept:?}");
}
