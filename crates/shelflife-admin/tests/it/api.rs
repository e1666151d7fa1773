//! What the API says of a cache.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::StatusCode;
use shelflife::{Cache, Invalidation};
use shelflife_testkit::RedisServer;

use crate::asking::{get, in_query, local, on_both_stores, shared};

on_both_stores! {
    async fn now_has_the_figures(cache: &Cache) {
        cache.set("k", 1).await.unwrap();
        assert_eq!(cache.get::<i32>("k").await, Some(1));
        assert_eq!(cache.get::<i32>("nobody").await, None);
        let now = get(&local(cache), "api/now").await.json();
        assert_eq!(now["namespace"], "default");
        assert_eq!(now["process"]["pid"], std::process::id());
        assert_eq!(now["stats"]["misses"], 1);
        assert_eq!(now["stats"]["reasons"]["absent"], 1);
        assert_eq!(now["stats"]["l1_hits"].as_u64().unwrap() + now["stats"]["l2_hits"].as_u64().unwrap(), 1);
        assert_eq!(now["store"]["answers"], true);
        let kind = if cache.redis().is_some() { "redis" } else { "embedded" };
        assert_eq!(now["store"]["kind"], kind);
        assert_eq!(now["members"]["all"].as_array().unwrap().len(), usize::from(kind == "redis"));
        assert_eq!(now["store"]["server"]["product"], kind);
        assert_eq!(now["token"], false);
    }

    async fn times_are_told_by_buckets(cache: &Cache) {
        let _: Result<i32, _> = cache.get_or_load("k", || async { Ok::<_, std::io::Error>(1) }).await;
        let timings = get(&local(cache), "api/now").await.json()["stats"]["timings"].take();
        let bounds = timings["bounds"].as_array().unwrap();
        let counts = timings["loads"]["counts"].as_array().unwrap();
        assert_eq!(counts.len(), bounds.len() + 1);
        assert_eq!(counts.iter().map(|n| n.as_u64().unwrap()).sum::<u64>(), 1);
        assert_eq!(timings["loads"]["count"], 1);
        if cache.redis().is_some() {
            assert!(timings["store"]["read"]["time"]["counts"].is_array(), "{timings}");
        }
    }

    async fn what_is_read_most_and_what_is_largest_is_named(cache: &Cache) {
        let app = local(cache);
        for key in ["small", "large", "hot"] {
            let value = if key == "large" { "x".repeat(10_000) } else { String::new() };
            cache.entry(key).tag("t").set(value).await.unwrap();
        }
        for _ in 0..50 {
            let _ = cache.get::<String>("hot").await;
        }
        let _ = (cache.get::<String>("small").await, cache.get::<String>("large").await);
        let hot = get(&app, "api/hot?n=2").await.json();
        assert_eq!(hot["keys"][0]["name"], "hot");
        assert!(hot["keys"].as_array().unwrap().len() <= 2 && hot["tags"][0]["name"] == "t", "{hot}");
        let largest = get(&app, "api/largest?n=1").await.json();
        let entries = largest["entries"].as_array().unwrap();
        assert_eq!((entries.len(), &entries[0]["key"]), (1, &"large".into()), "{largest}");
        assert!(entries[0]["bytes"].as_u64().unwrap() > 10_000);
    }

    async fn an_entry_says_why_it_is_as_it_is(cache: &Cache) {
        let app = local(cache);
        let look = async |key: &str| get(&app, &format!("api/entry?key={}", in_query(key))).await.json();
        let absent = look("user:1").await;
        assert_eq!((&absent["state"], &absent["reason"]), (&"absent".into(), &"absent".into()));
        assert!(absent["why"].as_str().unwrap().starts_with("Nothing is stored"));

        let entry = cache.entry("user:1").ttl(Duration::from_secs(60)).stale(Duration::from_secs(60)).tag("team:7");
        entry.set(vec!["Ada".to_owned()]).await.unwrap();
        let fresh = look("user:1").await;
        assert_eq!((&fresh["state"], &fresh["cut"]), (&"fresh".into(), &false.into()));
        assert!(fresh["why"].as_str().unwrap().starts_with("Fresh: stored "), "{fresh}");
        assert!(fresh["excerpt"].as_str().unwrap().contains("\"Ada\""));
        let tags: Vec<_> = fresh["tags"].as_array().unwrap().iter().map(|tag| tag["tag"].as_str().unwrap()).collect();
        assert_eq!(tags, ["*", "user:*", "team:7"]);
        assert!(fresh["tags"].as_array().unwrap().iter().all(|tag| tag["since"].is_null()), "{fresh}");

        cache.invalidate(Invalidation::new().tag("team:7").soft()).await.unwrap();
        let stale = look("user:1").await;
        assert_eq!((&stale["state"], &stale["reason"]), (&"stale".into(), &"soft_invalidated".into()));
        assert!(stale["why"].as_str().unwrap().contains("its tag team:7 was invalidated softly"), "{stale}");
        assert_eq!(stale["tags"][2]["since"], "soft");

        cache.invalidate(Invalidation::new().tag("team:7")).await.unwrap();
        let dead = look("user:1").await;
        assert_eq!((&dead["state"], &dead["reason"]), (&"dead".into(), &"tag_newer".into()));
        assert!(dead["why"].as_str().unwrap().starts_with("Dead: its tag team:7 was invalidated after"), "{dead}");
        assert_eq!(dead["tags"][2]["since"], "hard");
    }

    async fn a_long_value_is_shown_in_part(cache: &Cache) {
        cache.set("long", "é".repeat(100_000)).await.unwrap();
        let entry = get(&local(cache), "api/entry?key=long").await.json();
        assert_eq!(entry["cut"], true);
        assert_eq!(entry["excerpt"].as_str().unwrap().len(), 4096);
    }

    async fn keys_come_page_by_page(cache: &Cache) {
        let mut expected = BTreeSet::new();
        for i in 0..1200 {
            let key = format!("user:{i}");
            cache.set(&key, i).await.unwrap();
            expected.insert(key);
        }
        cache.set("other", 1).await.unwrap();
        let app = local(cache);
        let (mut seen, mut pages, mut cursor) = (BTreeSet::new(), 0, String::new());
        loop {
            let page = get(&app, &format!("api/keys?pattern=user:*&limit=50{cursor}")).await.json();
            seen.extend(page["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()));
            pages += 1;
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, expected);
        assert!(pages > 1, "{pages}");
    }

    async fn what_is_asked_wrongly_is_said(cache: &Cache) {
        let app = local(cache);
        for (path, part) in [
            ("api/entry", "missing field `key`"),
            ("api/entry?key=", "empty"),
            ("api/entry?key=a&what=1", "unknown field `what`"),
            ("api/keys?limit=0", "limit"),
            ("api/keys?limit=5000", "limit"),
            ("api/keys?limit=x", "invalid digit"),
            ("api/keys?cursor=x", "cursor"),
            ("api/log?since=999999", "since"),
            ("api/hot?n=0", "n: from 1 to 100"),
            ("api/largest?n=101", "n: from 1 to 100"),
        ] {
            let answer = get(&app, path).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {answer:?}");
            assert_eq!(answer.field("content-type"), "application/problem+json", "{path}");
            assert!(answer.json()["detail"].as_str().unwrap().contains(part), "{path}: {answer:?}");
        }
        let long = get(&app, &format!("api/entry?key={}", "a".repeat(5000))).await;
        assert_eq!(long.status, StatusCode::BAD_REQUEST);
        assert_eq!(get(&app, "api/what").await.status, StatusCode::NOT_FOUND);
        assert_eq!(get(&app, "api/invalidate").await.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_told_and_the_figures_go_on() {
    let mut server = RedisServer::start();
    let cache = shared(&server).await;
    let app = local(&cache);
    server.kill();
    let now = get(&app, "api/now").await;
    assert_eq!(now.status, StatusCode::OK);
    let now = now.json();
    assert_eq!(
        (&now["store"]["kind"], &now["store"]["answers"]),
        (&"redis".into(), &false.into())
    );
    assert!(
        now["store"]["detail"].is_string()
            && now["members"].is_null()
            && now["stats"]["misses"].is_number()
    );
    for path in ["api/entry?key=a", "api/keys", "api/log"] {
        let answer = get(&app, path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(answer.json()["detail"].is_string());
    }
}
