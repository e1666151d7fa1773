//! Stale values: while a load runs, while it is slow, when it fails; and loads before the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shelflife::{LoadError, ManualClock, Outcome, Policy, Reason};

use crate::gate::{Gate, failing, soon, until};
use crate::on_both_stores;

const LONG: Duration = Duration::from_secs(3600);

/// An entry that is stale from now on.
async fn make_stale(entry: &shelflife::Entry<'_>, value: u32) {
    entry
        .clone()
        .ttl(Duration::from_millis(1))
        .set(value)
        .await
        .unwrap();
    until(|| async { entry.lookup::<u32>().await.status.outcome() == Outcome::Stale }).await;
}

on_both_stores! {
    async fn a_stale_value_is_served_while_one_refresh_runs(bench) {
        let cache = bench.cache().await;
        let entry = cache.entry("k").stale(LONG);
        make_stale(&entry, 1).await;
        let gate = Gate::closed();
        for _ in 0..5 {
            let served = entry.lookup_or_load(gate.loader(2_u32)).await.unwrap();
            assert_eq!((served.value, served.status.outcome()), (1, Outcome::Stale));
            assert_eq!(served.status.reason(), Reason::PastFresh);
        }
        gate.entered().await;
        gate.release();
        until(|| async { entry.get::<u32>().await == Some(2) }).await;
        assert_eq!(gate.loads(), 1);
    }

    async fn a_failing_source_is_hidden_by_a_stale_value_and_not_hammered(bench) {
        let cache = bench.cache().await;
        let calls = Arc::default();
        let policy = Policy::new().jitter(0.0).stale(LONG).soft_timeout(LONG).throttle(LONG);
        let entry = cache.entry("k").policy(policy.clone());
        make_stale(&entry, 1).await;
        let first = entry.lookup_or_load(failing(&calls)).await.unwrap();
        assert_eq!((first.value, first.status.reason()), (1, Reason::LoadFailed));
        for _ in 0..5 {
            let next = entry.lookup_or_load(failing(&calls)).await.unwrap();
            assert_eq!((next.value, next.status.reason()), (1, Reason::LoadThrottled));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        let eager = cache.entry("eager").policy(policy.throttle(Duration::ZERO));
        make_stale(&eager, 1).await;
        // A read that meets the lease of the load before it does not try; the next one does.
        until(|| async {
            assert_eq!(eager.get_or_load(failing(&calls)).await.unwrap(), 1);
            calls.load(Ordering::SeqCst) >= 4
        }).await;
    }

    async fn a_source_that_failed_a_batch_is_not_hammered_either(bench) {
        let cache = bench.cache().await;
        let calls = Arc::new(AtomicUsize::new(0));
        let policy = Policy::new().jitter(0.0).stale(LONG).throttle(LONG);
        let many = || cache.get_or_load_many([1_u32, 2], |c, id| c.entry(format!("k:{id}")).policy(policy.clone()), {
            let calls = calls.clone();
            move |_| {
                calls.fetch_add(1, Ordering::SeqCst);
                std::future::ready(Err::<HashMap<u32, u32>, _>("the source is gone".to_owned()))
            }
        });
        for id in [1, 2] {
            make_stale(&cache.entry(format!("k:{id}")).policy(policy.clone()), id).await;
        }
        for _ in 0..5 {
            assert_eq!(many().await.unwrap(), HashMap::from([(1, 1), (2, 2)]));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        let one = cache.entry("k:1").policy(policy.clone()).lookup_or_load(failing(&calls)).await.unwrap();
        assert_eq!((one.value, one.status.reason()), (1, Reason::LoadThrottled));
        // A load that succeeds lifts it.
        let entry = cache.entry("k:1").policy(policy.clone());
        assert_eq!(entry.refresh(Gate::open().loader(3_u32)).await.unwrap(), 3);
        make_stale(&cache.entry("k:1").policy(policy.clone()), 4).await;
        assert_eq!(many().await.unwrap(), HashMap::from([(1, 4), (2, 2)]));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    async fn without_stale_on_error_the_error_comes_through(bench) {
        let cache = bench.cache().await;
        let policy = Policy::new().stale(LONG).soft_timeout(LONG).stale_on_error(false);
        let entry = cache.entry("k").policy(policy);
        make_stale(&entry, 1).await;
        let error = entry.get_or_load(failing(&Arc::default())).await.unwrap_err();
        assert_eq!(error.source_error().map(String::as_str), Some("the source is gone"));
    }

    async fn a_slow_load_gives_the_stale_value_and_goes_on(bench) {
        let cache = bench.cache().await;
        let entry = cache.entry("k").stale(LONG).soft_timeout(Duration::from_millis(20));
        make_stale(&entry, 1).await;
        let gate = Gate::closed();
        let slow = soon(entry.lookup_or_load(gate.loader(2_u32))).await.unwrap();
        assert_eq!((slow.value, slow.status.reason()), (1, Reason::LoadSlow));
        gate.release();
        until(|| async { entry.get::<u32>().await == Some(2) }).await;
        assert_eq!(gate.loads(), 1);
    }

    async fn a_quick_load_is_waited_for_within_the_soft_timeout(bench) {
        let cache = bench.cache().await;
        let entry = cache.entry("k").stale(LONG).soft_timeout(LONG);
        make_stale(&entry, 1).await;
        assert_eq!(entry.get_or_load(Gate::open().loader(2_u32)).await.unwrap(), 2);
    }

    async fn a_load_past_its_hard_timeout_is_an_error_for_all(bench) {
        let cache = bench.cache().await;
        let after = Duration::from_millis(50);
        // Its lease is given back; were it not, the last read would wait for as long.
        let policy = Policy::new().lease(LONG).hard_timeout(after);
        let entry = cache.entry("k").policy(policy);
        let gate = Gate::closed();
        let leader = entry.get_or_load(gate.loader(1_u32));
        let follower = entry.get_or_load(gate.loader(2_u32));
        let (one, two) = soon(futures_util::future::join(leader, follower)).await;
        for error in [one.unwrap_err(), two.unwrap_err()] {
            assert!(matches!(error, LoadError::TimedOut(d) if d == after), "{error}");
        }
        // Who waits has a limit of its own, and may be told before the flight has ended.
        until(async || cache.stats().flights == 0).await;
        assert_eq!(soon(cache.get_or_load("k", Gate::open().loader(3_u32))).await.unwrap(), 3);
    }

    async fn a_load_past_its_hard_timeout_is_hidden_by_a_stale_value(bench) {
        let cache = bench.cache().await;
        let policy = Policy::new().stale(LONG).soft_timeout(LONG).hard_timeout(Duration::from_millis(50));
        let entry = cache.entry("k").policy(policy);
        make_stale(&entry, 1).await;
        let served = soon(entry.lookup_or_load(Gate::closed().loader(2_u32))).await.unwrap();
        assert_eq!((served.value, served.status.reason()), (1, Reason::LoadFailed));
    }

    async fn a_value_near_its_end_is_refreshed_early(bench) {
        let clock = ManualClock::new();
        let cache = bench.builder().clock(&clock).build().await.unwrap();
        let eager = Policy::new().jitter(0.0).early(1e12).ttl(Duration::from_secs(60));
        let entry = cache.entry("k").policy(eager);
        let first = Gate::closed();
        let (other, loader) = (cache.clone(), first.loader(1_u32));
        let policy = Policy::new().jitter(0.0).early(1e12).ttl(Duration::from_secs(60));
        let load = tokio::spawn(async move { other.entry("k").policy(policy).get_or_load(loader).await.unwrap() });
        first.entered().await;
        clock.advance(Duration::from_secs(1));
        first.release();
        load.await.unwrap();
        let gate = Gate::closed();
        let hit = entry.lookup_or_load(gate.loader(2_u32)).await.unwrap();
        assert_eq!((hit.value, hit.status.outcome()), (1, Outcome::Hit));
        gate.entered().await;
        assert_eq!(entry.get_or_load(gate.loader(3_u32)).await.unwrap(), 1);
        gate.release();
        until(|| async { entry.get::<u32>().await == Some(2) }).await;
        assert_eq!(gate.loads(), 1);
    }
}
