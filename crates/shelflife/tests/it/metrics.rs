//! Metrics: what they say after known traffic, and that there are as many of them whatever is cached.

#[cfg(feature = "metrics")]
mod facade;
#[cfg(feature = "opentelemetry")]
mod otel;

use std::sync::Arc;

use shelflife::{Cache, Invalidation};
use shelflife_testkit::Exposition;

use crate::gate::{Gate, failing, until};
use crate::on_both_stores;
use crate::stores::Bench;

/// A miss with a load, three hits, a failed load, two invalidations.
async fn traffic(cache: &Cache) {
    for _ in 0..4 {
        let entry = cache.entry("users:1").tag("user:1");
        entry.get_or_load(Gate::open().loader(1_u32)).await.unwrap();
    }
    let failed = cache.get_or_load("users:2", failing(&Arc::default())).await;
    failed.unwrap_err();
    cache
        .invalidate(Invalidation::new().tag("user:1"))
        .await
        .unwrap();
    cache.delete("users:3").await.unwrap();
}

on_both_stores! {
    async fn figures_are_those_of_the_traffic(bench) {
        let cache = bench.long_windowed().await;
        traffic(&cache).await;
        let it = Exposition::read(&cache.scrape().await);
        let figures = [
            ("shelflife_reads_total", [("tier", "l1"), ("outcome", "hit")], 3.0),
            ("shelflife_reads_total", [("tier", "l2"), ("outcome", "hit")], 0.0),
            ("shelflife_reads_total", [("tier", "l1"), ("outcome", "stale")], 0.0),
            ("shelflife_reads_total", [("tier", "none"), ("outcome", "miss")], 2.0),
        ];
        for (name, labels, expected) in figures {
            assert_eq!(it.get(name, &labels), Some(expected), "{name} {labels:?}");
        }
        for (name, expected) in [
            ("shelflife_loads_total", 2.0),
            ("shelflife_load_failures_total", 1.0),
            ("shelflife_load_duration_seconds_count", 2.0),
            ("shelflife_fill_duration_seconds_count", 1.0),
            ("shelflife_invalidation_duration_seconds_count", 2.0),
            ("shelflife_window_open", 1.0),
            ("shelflife_loads_under_way", 0.0),
            ("shelflife_unconfirmed", 0.0),
            ("shelflife_server_up", 1.0),
        ] {
            assert_eq!(it.get(name, &[]), Some(expected), "{name}");
        }
        assert_eq!(it.get("shelflife_fills_total", &[("outcome", "stored")]), Some(1.0));
        assert_eq!(it.get("shelflife_invalidations_total", &[("outcome", "confirmed")]), Some(2.0));
        assert_eq!(it.get("shelflife_reasons_total", &[("reason", "load_failed")]), Some(1.0));
        assert_eq!(it.values_of("namespace").into_iter().collect::<Vec<_>>(), [bench.namespace()]);
    }

    async fn there_are_as_many_series_whatever_is_cached(bench) {
        let cache = bench.cache().await;
        traffic(&cache).await;
        let before = Exposition::read(&cache.scrape().await);
        for n in 0..50_u32 {
            let entry = cache.entry(format!("secret-key:{n}")).tag(format!("secret-tag:{n}"));
            entry.get_or_load(Gate::open().loader(n)).await.unwrap();
        }
        cache.invalidate(Invalidation::new().tag("secret-tag:1").pattern("*secret*")).await.unwrap();
        let text = cache.scrape().await;
        let after = Exposition::read(&text);
        assert_eq!(after.series(), before.series());
        assert!(after.series() < 700, "{}", after.series());
        assert!(!text.contains("secret"));
    }
}

#[tokio::test]
async fn several_caches_share_one_text() {
    let cache = |namespace: &str| Cache::builder().namespace(namespace).build();
    let (one, two) = (cache("one").await.unwrap(), cache("two").await.unwrap());
    one.get::<u32>("k").await;
    let it = Exposition::read(&shelflife::metrics::prometheus([&one, &two, &one.clone()]));
    let misses = |namespace| {
        let labels = [("namespace", namespace), ("outcome", "miss")];
        it.get("shelflife_reads_total", &labels)
    };
    assert_eq!((misses("one"), misses("two")), (Some(1.0), Some(0.0)));
    assert_eq!(it.get("shelflife_server_up", &[]), None, "never asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_is_down_and_the_rest_is_told() {
    let mut bench = Bench::redis();
    let cache = bench.cache().await;
    let up = Exposition::read(&cache.scrape().await);
    assert!(
        up.get("shelflife_server_memory_used_bytes", &[])
            .is_some_and(|bytes| bytes > 100_000.0)
    );
    assert_eq!(
        up.get(
            "shelflife_server_info",
            &[("product", "redis"), ("role", "master")]
        ),
        Some(1.0)
    );
    assert!(up.get("shelflife_log_lag_seconds", &[]).is_some());
    bench.server().kill();
    until(|| async { !cache.stats().following.open }).await;
    let down = Exposition::read(&cache.scrape().await);
    assert_eq!(down.get("shelflife_server_up", &[]), Some(0.0));
    assert_eq!(down.get("shelflife_server_memory_used_bytes", &[]), None);
    assert_eq!(down.get("shelflife_window_open", &[]), Some(0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_tells_how_it_is_and_how_far_behind_its_log_we_are() {
    let mut bench = Bench::redis();
    let cache = bench.long_windowed().await;
    let before = cache.server_info().await.unwrap().log;
    for n in 0..3_u32 {
        cache.delete(n.to_string()).await.unwrap();
    }
    let info = cache.server_info().await.unwrap();
    assert_eq!(
        (info.product, info.role.as_deref()),
        ("redis", Some("master"))
    );
    assert!(
        info.version.is_some() && info.clients > Some(0) && info.commands > Some(0),
        "{info:?}"
    );
    assert_eq!(
        (info.replicas, info.log),
        (Some(0), before.map(|log| log + 3))
    );
    assert_eq!(info.persistence.loading, Some(false));
    until(async || cache.server_info().await.unwrap().log_behind == Some(0)).await;
    bench.server().kill();
    cache.server_info().await.unwrap_err();
}
