//! Invalidating: what it would hit, and that it does.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use shelflife::Cache;
use shelflife_testkit::RedisServer;

use crate::asking::{local, on_both_stores, post, shared};

async fn fill(cache: &Cache) {
    for i in 0..30 {
        let entry = cache
            .entry(format!("user:{i}"))
            .ttl(Duration::from_secs(60))
            .stale(Duration::from_secs(60));
        entry.tag(format!("team:{}", i % 3)).set(i).await.unwrap();
    }
    cache.set("order:1", 1).await.unwrap();
}

async fn left(cache: &Cache) -> usize {
    let mut left = usize::from(cache.exists("order:1").await);
    for i in 0..30 {
        left += usize::from(cache.exists(format!("user:{i}")).await);
    }
    left
}

/// What is named, and how many entries that is.
fn cases() -> [(Value, u64); 8] {
    [
        (json!({ "keys": ["user:7"] }), 1),
        (json!({ "keys": ["user:7", "nobody"] }), 1),
        (json!({ "tags": ["team:1"] }), 10),
        (json!({ "tags": ["team:1", "team:2"] }), 20),
        (json!({ "patterns": ["user:*"] }), 30),
        (json!({ "patterns": ["user:1?"] }), 10),
        (
            json!({ "keys": ["order:1"], "tags": ["team:0"], "patterns": ["user:2?"] }),
            18,
        ),
        (json!({ "all": true }), 31),
    ]
}

fn with(what: &Value, name: &str) -> Value {
    let mut what = what.clone();
    what[name] = json!(true);
    what
}

on_both_stores! {
    async fn a_dry_run_counts_and_hits_nothing_and_the_real_one_hits_just_that(cache: &Cache) {
        let app = local(cache);
        for (what, entries) in cases() {
            fill(cache).await;
            let would = post(&app, "api/invalidate", with(&what, "dry_run")).await.json();
            assert_eq!((&would["entries"], &would["complete"]), (&entries.into(), &true.into()), "{what}: {would}");
            assert_eq!(would["examples"].as_array().unwrap().len() as u64, entries.min(10), "{would}");
            assert_eq!(left(cache).await, 31, "{what}: nothing was hit");

            let done = post(&app, "api/invalidate", with(&what, "everywhere")).await;
            assert_eq!(done.status, StatusCode::OK, "{done:?}");
            let done = done.json();
            assert!(done["receipt"].as_str().unwrap().contains(':') && done["took_us"].is_u64(), "{done}");
            assert_eq!(left(cache).await as u64, 31 - entries, "{what}");
        }
    }

    async fn a_soft_one_leaves_the_entries_to_be_served_once_more(cache: &Cache) {
        let app = local(cache);
        fill(cache).await;
        let done = post(&app, "api/invalidate", json!({ "tags": ["team:1"], "soft": true })).await;
        assert_eq!(done.status, StatusCode::OK, "{done:?}");
        assert_eq!(cache.inspect("user:1").await.unwrap().state, "stale");
        assert_eq!(cache.inspect("user:2").await.unwrap().state, "fresh");
    }

    async fn what_names_nothing_or_too_much_is_refused(cache: &Cache) {
        let app = local(cache);
        fill(cache).await;
        let many: Vec<_> = (0..201).map(|i| i.to_string()).collect();
        for (document, part) in [
            (json!({}), "nothing is named"),
            (json!({ "dry_run": true }), "nothing is named"),
            (json!({ "tag": ["a"] }), "unknown field `tag`"),
            (json!({ "tags": "a" }), "invalid type"),
            (json!({ "tags": [""] }), "empty"),
            (json!({ "keys": many }), "200 names at most"),
            (json!({ "patterns": ["a".repeat(5000)] }), "over"),
            (json!([]), "nothing is named"),
        ] {
            let answer = post(&app, "api/invalidate", document.clone()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{document}");
            assert!(answer.json()["detail"].as_str().unwrap().contains(part), "{document}: {answer:?}");
        }
        let long = post(&app, "api/invalidate", json!({ "keys": ["a".repeat(70_000)] })).await;
        assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(left(cache).await, 31);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_confirmed_is_said() {
    let mut server = RedisServer::start();
    let cache = shared(&server).await;
    let app = local(&cache);
    server.kill();
    let answer = post(&app, "api/invalidate", json!({ "all": true })).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("not confirmed"),
        "{answer:?}"
    );
}
