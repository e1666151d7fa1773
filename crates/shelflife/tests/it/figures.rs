//! What a cache knows of itself: counts, times, what is under way, how it follows the log.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use shelflife::{Cache, Reason, Step};

use crate::gate::{Gate, failing, soon, until};
use crate::on_both_stores;
use crate::stores::Bench;

const MINUTE: Duration = Duration::from_secs(60);

on_both_stores! {
    async fn what_is_under_way_is_seen_until_its_end(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let (reading, loader) = (cache.clone(), gate.loader(7_u32));
        let reading = tokio::spawn(async move { reading.get_or_load("k", loader).await.unwrap() });
        gate.entered().await;
        let stats = cache.stats();
        assert_eq!((stats.flights, stats.loading, stats.leases_held), (1, 1, 1));
        assert_eq!(stats.timings.loads.count(), 0);
        gate.release();
        assert_eq!(soon(reading).await.unwrap(), 7);
        until(|| async { cache.stats().leases_held == 0 }).await;
        let stats = cache.stats();
        assert_eq!((stats.flights, stats.loading), (0, 0));
        assert_eq!((stats.timings.loads.count(), stats.timings.fills.count()), (1, 1));
    }

    async fn failures_have_a_time_too(bench) {
        let cache = bench.cache().await;
        cache.get_or_load("k", failing(&Arc::default())).await.unwrap_err();
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.load_failures, stats.timings.loads.count()), (1, 1, 1));
        assert_eq!((stats.timings.fills.count(), stats.loading), (0, 0));
    }

    async fn invalidations_have_a_time(bench) {
        let cache = bench.cache().await;
        for n in 0..3_u32 {
            cache.delete(n.to_string()).await.unwrap();
        }
        assert_eq!(cache.stats().timings.invalidations.count(), 3);
    }

    async fn a_batch_counts_as_one_load_under_as_many_leases(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let (reading, source) = (cache.clone(), gate.clone());
        let reading = tokio::spawn(async move {
            let load = move |keys: Vec<&'static str>| {
                let source = source.clone();
                async move {
                    source.pass().await;
                    Ok::<_, Infallible>(keys.into_iter().map(|key| (key, 1_u32)).collect())
                }
            };
            reading.get_or_load_many(["a", "b", "c"], |cache, key| cache.entry(*key), load).await.unwrap().len()
        });
        gate.entered().await;
        let stats = cache.stats();
        assert_eq!((stats.flights, stats.loading, stats.leases_held), (3, 1, 3));
        gate.release();
        assert_eq!(soon(reading).await.unwrap(), 3);
        assert_eq!((cache.stats().loading, cache.stats().leases_held), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_of_a_shared_store_is_timed() {
    let bench = Bench::redis();
    let cache = bench.long_windowed().await;
    cache
        .get_or_load("k", Gate::open().loader(1_u32))
        .await
        .unwrap();
    cache.set("l", 2_u32).await.unwrap();
    cache.delete("l").await.unwrap();
    let steps = cache.stats().timings.store;
    for step in [Step::Read, Step::Fill, Step::Write, Step::Invalidate] {
        let stats = &steps[&step];
        assert!(stats.time.count() > 0, "{step}");
        assert!(stats.time.sum() > Duration::ZERO, "{step}");
        assert_eq!((stats.unavailable, stats.refused), (0, 0), "{step}");
    }
    assert_eq!(
        steps.len(),
        Step::ALL.len(),
        "those that were not asked, too"
    );
    assert!(Cache::memory().stats().timings.store.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_store_fails_at_is_counted_by_step() {
    let mut bench = Bench::redis();
    let cache = bench.cache().await;
    bench.server().kill();
    assert_eq!(
        cache
            .get_or_load("k", Gate::open().loader(1_u32))
            .await
            .unwrap(),
        1
    );
    cache.delete("k").await.unwrap_err();
    let stats = cache.stats();
    assert!(
        stats.timings.store[&Step::Read].unavailable > 0,
        "{stats:?}"
    );
    assert!(
        stats.timings.store[&Step::Invalidate].unavailable > 0,
        "{stats:?}"
    );
    assert_eq!((stats.invalidations_failed, stats.unconfirmed), (1, 1));
    assert!(stats.reasons[&Reason::StoreUnavailable] > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn following_tells_what_was_applied_and_how_late() {
    let bench = Bench::redis();
    let (reader, writer) = (bench.long_windowed().await, bench.cache().await);
    let before = reader.stats().following;
    assert!(before.open && before.resyncs == 1, "{before:?}");
    assert_eq!((before.closings, before.closed_for), (0, Duration::ZERO));
    for n in 0..5_u32 {
        writer.delete(n.to_string()).await.unwrap();
    }
    until(|| async { reader.stats().following.applied == before.applied + 5 }).await;
    let stats = reader.stats();
    assert_eq!(stats.timings.log_delay.count(), stats.following.applied);
    assert!(
        stats.following.lag.is_some_and(|lag| lag < MINUTE),
        "{stats:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_closes_by_itself_is_told_with_how_far_behind_it_may_be() {
    let mut bench = Bench::redis();
    let window = Duration::from_millis(200);
    let cache = bench.builder().window(window).build().await.unwrap();
    bench.server().stop();
    until(|| async { !cache.stats().following.open }).await;
    let closed = cache.stats().following;
    assert!(closed.closings > 0, "{closed:?}");
    assert!(closed.lag.is_some_and(|lag| lag >= window), "{closed:?}");
    bench.server().resume();
    let mut open = cache.stats().following;
    until(|| {
        open = cache.stats().following;
        std::future::ready(open.open)
    })
    .await;
    assert_eq!(open.closed_for, Duration::ZERO);
    assert!(open.closed_total >= closed.closed_total, "{open:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_for_another_process_s_lease_is_seen_and_timed() {
    let bench = Bench::redis();
    let (loading, waiting) = (bench.cache().await, bench.cache().await);
    let gate = Gate::closed();
    let (cache, loader) = (loading.clone(), gate.loader(1_u32));
    let first = tokio::spawn(async move { cache.get_or_load("k", loader).await.unwrap() });
    gate.entered().await;
    let (cache, loader) = (waiting.clone(), gate.loader(2_u32));
    let second = tokio::spawn(async move { cache.get_or_load("k", loader).await.unwrap() });
    until(|| async { waiting.stats().leases_awaited == 1 }).await;
    assert_eq!(
        (loading.stats().leases_held, waiting.stats().leases_held),
        (1, 0)
    );
    gate.release();
    assert_eq!(
        (soon(first).await.unwrap(), soon(second).await.unwrap()),
        (1, 1)
    );
    let stats = waiting.stats();
    assert_eq!(
        (stats.leases_awaited, stats.timings.lease_waits.count()),
        (0, 1)
    );
}

#[tokio::test]
async fn what_l1_drops_is_told_apart() {
    let cache = Cache::builder()
        .memory_limit(1 << 20)
        .build()
        .await
        .unwrap();
    let short = Duration::from_millis(1);
    cache
        .entry("short")
        .ttl(short)
        .stale(Duration::ZERO)
        .set(1_u32)
        .await
        .unwrap();
    until(|| async {
        cache.sweep();
        cache.stats().l1_expiries == 1
    })
    .await;
    assert_eq!(cache.stats().l1_evictions, 0);
    for n in 0..1000_u32 {
        cache.set(n.to_string(), "x".repeat(4000)).await.unwrap();
    }
    let stats = cache.stats();
    assert!(stats.l1_evictions > 500, "{stats:?}");
    assert!(
        stats.l1_bytes <= stats.l1_limit && stats.l1_limit <= 1 << 20,
        "{stats:?}"
    );
}
