//! Values: what comes back, what is not kept, how much and for how long.

use std::collections::BTreeMap;
use std::time::Duration;

use shelflife::{Cache, Codec, Compression, ManualClock, Outcome, Policy, Reason, Tier, observe};

use crate::fused::Fused;
use crate::gate::{Gate, soon, until};
use crate::on_both_stores;

const LONG: Duration = Duration::from_secs(3600);

on_both_stores! {
    async fn asking_whether_it_exists_leaves_the_value_as_it_is(bench) {
        let (cache, other) = (bench.cache().await, bench.cache().await);
        let there = if bench.is_shared() { &other } else { &cache };
        cache.entry("k").set(Some(5_u32)).await.unwrap();
        assert!(there.exists("k").await);
        assert_eq!(there.get::<Option<u32>>("k").await, Some(Some(5)));
        assert!(there.ttl("k").await.is_some());
        assert_eq!(there.get::<serde_json::Value>("k").await, Some(5.into()));
        assert_eq!(there.get::<Option<u32>>("k").await, Some(Some(5)));
    }

    async fn a_refused_write_removes_what_was_there(bench) {
        let cache = bench.builder().setting("max_entry", "100").build().await.unwrap();
        cache.set("k", "old".to_owned()).await.unwrap();
        let write = cache.entry("k").begin_write().await.unwrap();
        write.finish("x".repeat(1000)).await.unwrap_err();
        assert_eq!(cache.get::<String>("k").await, None);
    }

    async fn no_duration_is_too_long(bench) {
        let cache = bench.cache().await;
        let policy = Policy::new().ttl(Duration::MAX).stale(Duration::MAX).hard_timeout(Duration::MAX).jitter(0.0);
        let entry = cache.entry("k").policy(policy);
        assert_eq!(entry.get_or_load(Gate::open().loader(1_u32)).await.unwrap(), 1);
        entry.set(2_u32).await.unwrap();
        assert_eq!(entry.get::<u32>().await, Some(2));
    }

    async fn nothing_is_kept_for_its_own_time(bench) {
        let cache = bench.cache().await;
        let entry = cache.entry("none").ttl(LONG).negative_ttl(Duration::from_secs(5));
        entry.get_or_load(Gate::open().loader(None::<u32>)).await.unwrap();
        assert!(cache.ttl("none").await.unwrap() <= Duration::from_secs(5));
        let entry = cache.entry("some").ttl(LONG).negative_ttl(Duration::from_secs(5));
        entry.get_or_load(Gate::open().loader(Some(1_u32))).await.unwrap();
        assert!(cache.ttl("some").await.unwrap() > Duration::from_secs(3000));
    }

    async fn values_come_back_through_every_codec_and_compression(bench) {
        let writer = bench.cache().await;
        let value: BTreeMap<String, Option<Vec<f64>>> = (0..200)
            .map(|i| (format!("key {i}"), (i % 3 > 0).then(|| vec![f64::from(i) / 7.0; 5])))
            .collect();
        for codec in [Codec::MessagePack, Codec::Json] {
            for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
                let policy = Policy::new().codec(codec).compression(compression, 1);
                let key = format!("{codec:?}:{compression:?}");
                writer.entry(&key).policy(policy).set(value.clone()).await.unwrap();
                let reader = if bench.is_shared() { bench.cache().await } else { writer.clone() };
                assert_eq!(reader.get(&key).await, Some(value.clone()), "{key}");
            }
        }
        let raw = Policy::new().codec(Codec::Raw).compression(Compression::Zstd, 1);
        writer.entry("raw").policy(raw).set("text ".repeat(1000)).await.unwrap();
        let reader = if bench.is_shared() { bench.cache().await } else { writer.clone() };
        assert_eq!(reader.get("raw").await, Some("text ".repeat(1000)));
    }

    async fn a_value_under_another_schema_is_a_miss(bench) {
        let cache = bench.cache().await;
        cache.entry("k").schema(1).set(1_u32).await.unwrap();
        for reader in [cache.clone(), if bench.is_shared() { bench.cache().await } else { cache.clone() }] {
            let found = reader.entry("k").schema(2).lookup::<u32>().await;
            assert_eq!(found.value, None);
            assert_eq!(found.status.reason(), Reason::WrongSchema);
            assert_eq!(reader.entry("k").schema(1).get::<u32>().await, Some(1));
        }
        let entry = cache.entry("k").schema(2);
        assert_eq!(entry.get_or_load(Gate::open().loader(2_u32)).await.unwrap(), 2);
        assert_eq!(cache.entry("k").schema(1).get::<u32>().await, None);
    }

    async fn a_value_of_another_type_is_a_miss(bench) {
        let cache = bench.cache().await;
        cache.set("k", vec!["text".to_owned()]).await.unwrap();
        for reader in [cache.clone(), if bench.is_shared() { bench.cache().await } else { cache.clone() }] {
            let found = reader.entry("k").lookup::<u32>().await;
            assert_eq!((found.value, found.status.reason()), (None, Reason::Undecodable));
            assert_eq!(reader.get_many::<u32, _>(["k"]).await, [None]);
        }
        assert_eq!(cache.get_or_load("k", Gate::open().loader(5_u32)).await.unwrap(), 5);
        assert_eq!(cache.get::<u32>("k").await, Some(5));
    }

    async fn observers_see_how_the_last_read_was_answered(bench) {
        let cache = bench.long_windowed().await;
        let read = || cache.get_or_load("k", Gate::open().loader(1_u32));
        let (_, status) = observe(read()).await;
        assert_eq!(status.unwrap().outcome(), Outcome::Miss);
        let (_, status) = observe(read()).await;
        assert_eq!((status.unwrap().outcome(), status.unwrap().tier()), (Outcome::Hit, Some(Tier::L1)));
        let (_, status) = observe(cache.get::<u32>("nobody")).await;
        assert_eq!(status.unwrap().reason(), Reason::Absent);
        let (_, status) = observe(async {}).await;
        assert!(status.is_none());
    }

    async fn what_has_expired_is_freed_without_being_read(bench) {
        let clock = ManualClock::new();
        let cache = bench.builder().clock(&clock).build().await.unwrap();
        for i in 0..100_u32 {
            cache.entry(format!("k:{i}")).ttl(Duration::from_secs(60)).stale(Duration::from_secs(60)).set(i).await.unwrap();
        }
        assert_eq!(cache.stats().l1_entries, 100);
        clock.advance(Duration::from_secs(61));
        cache.sweep();
        assert_eq!(cache.stats().l1_entries, 100, "the stale window is not over");
        clock.advance(Duration::from_secs(60));
        cache.sweep();
        let stats = cache.stats();
        assert_eq!((stats.l1_entries, stats.l1_bytes), (0, 0));
        if !bench.is_shared() {
            assert_eq!(cache.overview().await.unwrap().entries, 0);
        }
    }

    async fn memory_is_bounded_by_bytes(bench) {
        let limit = 1 << 20;
        let cache = bench.builder().memory_limit(limit).build().await.unwrap();
        for i in 0..200_u32 {
            soon(cache.set(format!("k:{i}"), "x".repeat(10_000))).await.unwrap();
            let held = cache.stats().l1_bytes + if bench.is_shared() { 0 } else { cache.overview().await.unwrap().used_memory.unwrap() };
            assert!(held <= limit, "{held} bytes after {i} entries");
        }
        assert!(cache.stats().l1_entries > 20);
    }

    async fn a_value_over_the_limit_is_given_but_not_stored(bench) {
        let cache = bench.builder().setting("max_entry", "1000").build().await.unwrap();
        let loaded = cache.entry("k").lookup_or_load(Gate::open().loader("x".repeat(2000))).await.unwrap();
        assert_eq!((loaded.value.len(), loaded.status.reason()), (2000, Reason::TooLarge));
        assert_eq!(cache.get::<String>("k").await, None);
        let error = cache.set("k", "x".repeat(2000)).await.unwrap_err();
        assert_eq!(error.kind(), shelflife::ErrorKind::Value);
    }

    async fn a_value_that_can_not_be_encoded_is_given_but_not_stored(bench) {
        if !bench.is_shared() { return; }
        let cache = bench.cache().await;
        let value: BTreeMap<(u32, u32), u32> = BTreeMap::from([((1, 2), 3)]);
        let entry = cache.entry("k").codec(Codec::Json);
        let loaded = entry.lookup_or_load(Gate::open().loader(value.clone())).await.unwrap();
        assert_eq!((loaded.value, loaded.status.reason()), (value, Reason::Unencodable));
        assert_eq!(cache.get::<BTreeMap<(u32, u32), u32>>("k").await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_expired_is_freed_though_the_drop_of_another_value_panicked() {
    let clock = ManualClock::new();
    let cache = Cache::builder()
        .clock(&clock)
        .ttl(LONG)
        .build()
        .await
        .unwrap();
    cache.set("k", Fused::on("shelflife-sweep")).await.unwrap();
    clock.advance(LONG * 3);
    until(|| async { Fused::is_blown("shelflife-sweep") }).await;
    cache.set("l", 2_u32).await.unwrap();
    assert_eq!(cache.get::<u32>("l").await, Some(2));
    until(|| async { cache.stats().l1_entries == 1 }).await;
    clock.advance(LONG * 3);
    until(|| async { cache.stats().l1_entries == 0 }).await;
}
