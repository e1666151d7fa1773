//! Loads: shared, failing, slow, stale, early, leased, bounded.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use shelflife::{
    Cache, Codec, Compression, Invalidation, LoadError, ManualClock, Outcome, Policy, Reason, Tier,
    current_load, observe,
};

use crate::gate::{Gate, soon, until};
use crate::on_both_stores;

const LONG: Duration = Duration::from_secs(3600);

type Failing = Result<u32, String>;

/// A loader that fails and counts.
fn failing(calls: &Arc<AtomicUsize>) -> impl FnOnce() -> std::future::Ready<Failing> + use<> {
    let calls = calls.clone();
    move || {
        calls.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Err("the source is gone".to_owned()))
    }
}

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
    async fn sixty_four_cold_callers_share_one_load(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let callers: Vec<_> = (0..64).map(|_| {
            let (cache, loader) = (cache.clone(), gate.loader(7_u32));
            tokio::spawn(async move { cache.entry("k").lookup_or_load(loader).await.unwrap() })
        }).collect();
        gate.entered().await;
        gate.release();
        let loaded = soon(join_all(callers)).await;
        assert!(loaded.iter().all(|l| l.as_ref().unwrap().value == 7));
        assert_eq!((gate.loads(), cache.stats().loads), (1, 1));
    }

    async fn callers_that_wait_are_told_that_they_shared(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let entry = cache.entry("k");
        let mut leader = Box::pin(entry.lookup_or_load(gate.loader(1_u32)));
        assert!(poll!(&mut leader).is_pending());
        let mut follower = Box::pin(entry.lookup_or_load(gate.loader(2_u32)));
        assert!(poll!(&mut follower).is_pending());
        gate.release();
        let (led, followed) = soon(futures_util::future::join(leader, follower)).await;
        let (led, followed) = (led.unwrap(), followed.unwrap());
        assert_eq!((led.value, led.status.collapsed()), (1, false));
        assert_eq!((followed.value, followed.status.collapsed()), (1, true));
    }

    async fn a_cancelled_leader_takes_nobody_along(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let entry = cache.entry("k");
        let (leading, loader) = (cache.clone(), gate.loader(1_u32));
        let leader = tokio::spawn(async move { leading.get_or_load("k", loader).await });
        gate.entered().await;
        let mut follower = Box::pin(entry.get_or_load(gate.loader(2_u32)));
        assert!(poll!(&mut follower).is_pending());
        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
        gate.release();
        assert_eq!(soon(follower).await.unwrap(), 1);
        assert_eq!(gate.loads(), 1);
        assert_eq!(cache.get::<u32>("k").await, Some(1));
    }

    async fn a_leader_cancelled_before_its_load_hands_over(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let entry = cache.entry("k");
        let mut leader = Box::pin(entry.get_or_load(gate.loader(1_u32)));
        assert!(poll!(&mut leader).is_pending());
        let mut follower = Box::pin(entry.get_or_load(gate.loader(2_u32)));
        assert!(poll!(&mut follower).is_pending());
        drop(leader);
        gate.release();
        soon(follower).await.unwrap();
        assert_eq!(gate.loads(), 1);
        let mut again = Box::pin(entry.get_or_load(gate.loader(3_u32)));
        soon(&mut again).await.unwrap();
        assert_eq!(gate.loads(), 1);
    }

    async fn a_cancelled_follower_takes_nobody_along(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let entry = cache.entry("k");
        let mut leader = Box::pin(entry.get_or_load(gate.loader(1_u32)));
        assert!(poll!(&mut leader).is_pending());
        let mut gone = Box::pin(entry.get_or_load(gate.loader(2_u32)));
        let mut stays = Box::pin(entry.get_or_load(gate.loader(3_u32)));
        assert!(poll!(&mut gone).is_pending() && poll!(&mut stays).is_pending());
        drop(gone);
        gate.release();
        assert_eq!(soon(leader).await.unwrap(), 1);
        assert_eq!(soon(stays).await.unwrap(), 1);
        assert_eq!(gate.loads(), 1);
    }

    async fn a_panic_in_a_loader_is_an_error_for_all_who_wait(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let waiting: Vec<_> = (0..8).map(|_| {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move {
                cache.get_or_load("k", move || async move {
                    gate.pass().await;
                    if gate.loads() == 1 { panic!("a fault in the loader"); }
                    Ok::<u32, Infallible>(2)
                }).await
            })
        }).collect();
        gate.entered().await;
        gate.release();
        let mut panicked = 0;
        for outcome in soon(join_all(waiting)).await {
            match outcome.unwrap() {
                Err(LoadError::Panicked(message)) => {
                    assert!(message.contains("a fault in the loader"), "{message}");
                    panicked += 1;
                }
                // Who came after the panic loads anew.
                other => assert_eq!(other.unwrap(), 2),
            }
        }
        assert!(panicked > 0);
        assert_eq!(cache.get_or_load("k", || async { Ok::<u32, Infallible>(2) }).await.unwrap(), 2);
    }

    async fn a_panic_before_the_first_await_is_an_error_too(bench) {
        let cache = bench.cache().await;
        let broken = |fail: bool| {
            assert!(!fail, "broken at once");
            std::future::ready(Ok::<u32, Infallible>(1))
        };
        let error = soon(cache.get_or_load("k", move || broken(true))).await.unwrap_err();
        assert!(matches!(error, LoadError::Panicked(_)), "{error}");
        let many = cache.get_or_load_many([1_u32], |c, id| c.entry(format!("k:{id}")), |_| async {
            panic!("broken in a batch");
            #[allow(unreachable_code)]
            Ok::<HashMap<u32, u32>, Infallible>(HashMap::new())
        });
        let error = soon(many).await.unwrap_err();
        assert!(matches!(error, LoadError::Panicked(_)), "{error}");
        assert_eq!(soon(cache.get_or_load("k:1", move || broken(false))).await.unwrap(), 1);
    }

    async fn an_error_is_shared_unchanged_and_not_cached(bench) {
        let cache = bench.cache().await;
        #[derive(Debug, PartialEq)]
        struct NotFound(u32);
        impl std::fmt::Display for NotFound {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "no user {}", self.0) }
        }
        let gate = Gate::closed();
        let load = || {
            let gate = gate.clone();
            move || async move {
                gate.pass().await;
                Err::<u32, _>(NotFound(7))
            }
        };
        let entry = cache.entry("k");
        let mut leader = Box::pin(entry.get_or_load(load()));
        let mut follower = Box::pin(entry.get_or_load(load()));
        assert!(poll!(&mut leader).is_pending() && poll!(&mut follower).is_pending());
        gate.release();
        let (one, two) = soon(futures_util::future::join(leader, follower)).await;
        let (LoadError::Source(one), LoadError::Source(two)) = (one.unwrap_err(), two.unwrap_err()) else {
            panic!("the loader's own error was expected");
        };
        assert_eq!(*one, NotFound(7));
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!(gate.loads(), 1);
        assert_eq!(cache.get_or_load("k", || async { Ok::<u32, NotFound>(1) }).await.unwrap(), 1);
    }

    async fn nothing_empty_and_failed_are_told_apart(bench) {
        let cache = bench.cache().await;
        let gate = Gate::open();
        for _ in 0..2 {
            let none: Option<u32> = cache.get_or_load("none", gate.loader(None)).await.unwrap();
            assert_eq!(none, None);
        }
        assert_eq!(cache.get::<Option<u32>>("none").await, Some(None));
        assert!(cache.exists("none").await);
        for _ in 0..2 {
            let empty: Vec<u32> = cache.get_or_load("empty", gate.loader(vec![])).await.unwrap();
            assert!(empty.is_empty());
            cache.get_or_load("unit", gate.loader(())).await.unwrap();
            cache.get_or_load("text", gate.loader(String::new())).await.unwrap();
        }
        assert_eq!(gate.loads(), 4);
        let calls = Arc::default();
        cache.get_or_load("failed", failing(&calls)).await.unwrap_err();
        assert!(!cache.exists("failed").await);
        cache.get_or_load("failed", failing(&calls)).await.unwrap_err();
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

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
        let entry = cache.entry("k").hard_timeout(after);
        let gate = Gate::closed();
        let leader = entry.get_or_load(gate.loader(1_u32));
        let follower = entry.get_or_load(gate.loader(2_u32));
        let (one, two) = soon(futures_util::future::join(leader, follower)).await;
        for error in [one.unwrap_err(), two.unwrap_err()] {
            assert!(matches!(error, LoadError::TimedOut(d) if d == after), "{error}");
        }
        assert_eq!(entry.get_or_load(Gate::open().loader(3_u32)).await.unwrap(), 3);
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

    async fn asking_whether_it_exists_leaves_the_value_as_it_is(bench) {
        let (cache, other) = (bench.cache().await, bench.cache().await);
        let there = if bench.is_redis() { &other } else { &cache };
        cache.entry("k").set(Some(5_u32)).await.unwrap();
        assert!(there.exists("k").await);
        assert_eq!(there.get::<Option<u32>>("k").await, Some(Some(5)));
        assert!(there.ttl("k").await.is_some());
        assert_eq!(there.get::<serde_json::Value>("k").await, Some(5.into()));
        assert_eq!(there.get::<Option<u32>>("k").await, Some(Some(5)));
    }

    async fn a_batch_inside_the_load_of_one_of_its_keys_does_not_wait_for_itself(bench) {
        let cache = bench.cache().await;
        let inner = cache.clone();
        let value = soon(cache.get_or_load("k:1", move || async move {
            let many = inner.get_or_load_many([1_u32], |c, id| c.entry(format!("k:{id}")), |ids| async {
                Ok::<_, Infallible>(ids.into_iter().map(|id| (id, id)).collect())
            }).await;
            many.map(|m| m[&1])
        })).await.unwrap();
        assert_eq!(value, 1);
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

    async fn a_loader_changes_its_policy_from_inside(bench) {
        let cache = bench.cache().await;
        cache.get_or_load("k", || async {
            current_load().ttl(Duration::from_secs(7)).stale(LONG).tag("a").tags(["b", "c"]);
            Ok::<u32, Infallible>(1)
        }).await.unwrap();
        let left = cache.ttl("k").await.unwrap();
        assert!(left <= Duration::from_secs(7) && left > Duration::from_secs(1), "{left:?}");
        cache.invalidate(Invalidation::new().tag("c")).await.unwrap();
        assert_eq!(cache.get::<u32>("k").await, None);
        let gate = Gate::open();
        for _ in 0..2 {
            let at = gate.clone();
            let loaded = cache.entry("private").lookup_or_load(move || async move {
                at.pass().await;
                current_load().no_store();
                Ok::<u32, Infallible>(1)
            }).await.unwrap();
            assert_eq!((loaded.status.stored(), loaded.status.reason()), (false, Reason::NoStore));
        }
        assert_eq!(gate.loads(), 2);
        current_load().ttl(LONG).no_store();
    }

    async fn waiters_of_an_uncacheable_load_do_not_all_load(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let entry = cache.entry("k");
        let load = || {
            let gate = gate.clone();
            move || async move {
                gate.pass().await;
                current_load().no_store();
                Ok::<u32, Infallible>(1)
            }
        };
        let mut waiting: Vec<_> = (0..16).map(|_| Box::pin(entry.get_or_load(load()))).collect();
        for waiter in &mut waiting {
            assert!(poll!(waiter).is_pending());
        }
        gate.release();
        for value in soon(join_all(waiting)).await {
            assert_eq!(value.unwrap(), 1);
        }
        assert_eq!(gate.loads(), 1);
    }

    async fn a_lease_holds_for_as_long_as_its_load_lives(bench) {
        if !bench.is_redis() { return; }
        let (cache, other) = (bench.cache().await, bench.cache().await);
        let short = Policy::new().lease(Duration::from_millis(200));
        let gate = Gate::closed();
        let (owner, loader, policy) = (cache.clone(), gate.loader(1_u32), short.clone());
        let owner = tokio::spawn(async move { owner.entry("k").policy(policy).get_or_load(loader).await.unwrap() });
        gate.entered().await;
        let entry = other.entry("k").policy(short);
        let waiting = entry.lookup_or_load(Gate::open().loader(2_u32));
        let many_leases = Duration::from_secs(1);
        let early = tokio::time::timeout(many_leases, Box::pin(waiting)).await;
        assert!(early.is_err(), "it did not wait for the owner: {early:?}");
        let waiting = tokio::spawn({
            let other = other.clone();
            async move { other.entry("k").lookup_or_load(Gate::open().loader(2_u32)).await.unwrap() }
        });
        gate.release();
        assert_eq!(owner.await.unwrap(), 1);
        let got = soon(waiting).await.unwrap();
        assert_eq!((got.value, got.status.tier()), (1, Some(Tier::L2)));
    }

    async fn leases_of_a_batch_hold_for_as_long_as_its_load_lives(bench) {
        if !bench.is_redis() { return; }
        let (cache, other) = (bench.cache().await, bench.cache().await);
        let short = Policy::new().lease(Duration::from_millis(200));
        let gate = Gate::closed();
        let (owner, at, policy) = (cache.clone(), gate.clone(), short.clone());
        let owner = tokio::spawn(async move {
            owner.get_or_load_many([1_u32, 2], |c, id| c.entry(format!("k:{id}")).policy(policy.clone()), move |ids| {
                let at = at.clone();
                async move {
                    at.pass().await;
                    Ok::<HashMap<u32, u32>, Infallible>(ids.into_iter().map(|id| (id, id * 10)).collect())
                }
            }).await.unwrap()
        });
        gate.entered().await;
        let entry = other.entry("k:2").policy(short);
        let waiting = entry.get_or_load(Gate::open().loader(0_u32));
        assert!(tokio::time::timeout(Duration::from_secs(1), Box::pin(waiting)).await.is_err());
        gate.release();
        assert_eq!(owner.await.unwrap(), HashMap::from([(1, 10), (2, 20)]));
        assert_eq!(other.get::<u32>("k:2").await, Some(20));
    }

    async fn refresh_loads_whatever_is_stored(bench) {
        let cache = bench.cache().await;
        let entry = cache.entry("k");
        entry.set(1_u32).await.unwrap();
        assert_eq!(entry.refresh(Gate::open().loader(2_u32)).await.unwrap(), 2);
        assert_eq!(entry.get::<u32>().await, Some(2));
        let calls = Arc::default();
        entry.refresh(failing(&calls)).await.unwrap_err();
        assert_eq!(entry.get::<u32>().await, Some(2), "a failed refresh leaves what was there");
    }

    async fn a_refresh_asked_for_during_a_load_loads_again(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let entry = cache.entry("k");
        let mut load = Box::pin(entry.get_or_load(gate.loader(1_u32)));
        assert!(poll!(&mut load).is_pending());
        let mut refresh = Box::pin(entry.refresh(gate.loader(2_u32)));
        assert!(poll!(&mut refresh).is_pending());
        gate.release();
        let (loaded, refreshed) = soon(futures_util::future::join(load, refresh)).await;
        assert_eq!((loaded.unwrap(), refreshed.unwrap()), (1, 2));
        assert_eq!(entry.get::<u32>().await, Some(2));
    }

    async fn several_keys_are_loaded_in_one_load(bench) {
        let cache = bench.cache().await;
        cache.set("k:1", 10_u32).await.unwrap();
        let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
        let read = |ids: Vec<u32>| {
            let asked = asked.clone();
            cache.get_or_load_many(ids, |c, id| c.entry(format!("k:{id}")).tag(format!("t:{id}")), move |missing| {
                asked.lock().unwrap().push(missing.clone());
                let found = missing.into_iter().filter(|id| *id != 4).map(|id| (id, id * 10));
                std::future::ready(Ok::<HashMap<u32, u32>, Infallible>(found.collect()))
            })
        };
        let got: BTreeMap<_, _> = read(vec![1, 2, 3, 4, 2]).await.unwrap().into_iter().collect();
        assert_eq!(got, BTreeMap::from([(1, 10), (2, 20), (3, 30)]));
        assert_eq!(*asked.lock().unwrap(), [vec![2, 3, 4]]);
        assert_eq!(read(vec![1, 2, 3]).await.unwrap().len(), 3);
        assert_eq!(asked.lock().unwrap().len(), 1);
        cache.invalidate(Invalidation::new().tag("t:3")).await.unwrap();
        read(vec![1, 2, 3]).await.unwrap();
        assert_eq!(asked.lock().unwrap()[1..], [vec![3]]);
        assert_eq!(read(vec![]).await.unwrap().len(), 0);
    }

    async fn batches_that_overlap_end_and_share(bench) {
        let cache = bench.cache().await;
        let loaded = Arc::new(AtomicUsize::new(0));
        let batches: Vec<_> = (0..16_u32).map(|at| {
            let (cache, loaded) = (cache.clone(), loaded.clone());
            tokio::spawn(async move {
                let mut ids: Vec<u32> = (0..10).collect();
                ids.rotate_left(at as usize % 10);
                cache.get_or_load_many(ids, |c, id| c.entry(format!("k:{id}")), move |ids| {
                    loaded.fetch_add(ids.len(), Ordering::SeqCst);
                    async move {
                        tokio::task::yield_now().await;
                        Ok::<HashMap<u32, u32>, Infallible>(ids.into_iter().map(|id| (id, id)).collect())
                    }
                }).await.unwrap()
            })
        }).collect();
        for batch in soon(join_all(batches)).await {
            assert_eq!(batch.unwrap(), (0..10).map(|id| (id, id)).collect());
        }
        assert_eq!(loaded.load(Ordering::SeqCst), 10);
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
                let reader = if bench.is_redis() { bench.cache().await } else { writer.clone() };
                assert_eq!(reader.get(&key).await, Some(value.clone()), "{key}");
            }
        }
        let raw = Policy::new().codec(Codec::Raw).compression(Compression::Zstd, 1);
        writer.entry("raw").policy(raw).set("text ".repeat(1000)).await.unwrap();
        let reader = if bench.is_redis() { bench.cache().await } else { writer.clone() };
        assert_eq!(reader.get("raw").await, Some("text ".repeat(1000)));
    }

    async fn a_value_under_another_schema_is_a_miss(bench) {
        let cache = bench.cache().await;
        cache.entry("k").schema(1).set(1_u32).await.unwrap();
        for reader in [cache.clone(), if bench.is_redis() { bench.cache().await } else { cache.clone() }] {
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
        for reader in [cache.clone(), if bench.is_redis() { bench.cache().await } else { cache.clone() }] {
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
        if !bench.is_redis() {
            assert_eq!(cache.overview().await.unwrap().entries, 0);
        }
    }

    async fn memory_is_bounded_by_bytes(bench) {
        let limit = 1 << 20;
        let cache = bench.builder().memory_limit(limit).build().await.unwrap();
        for i in 0..600_u32 {
            soon(cache.set(format!("k:{i}"), "x".repeat(10_000))).await.unwrap();
            let held = cache.stats().l1_bytes + if bench.is_redis() { 0 } else { cache.overview().await.unwrap().used_memory.unwrap() };
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
        if !bench.is_redis() { return; }
        let cache = bench.cache().await;
        let value: BTreeMap<(u32, u32), u32> = BTreeMap::from([((1, 2), 3)]);
        let entry = cache.entry("k").codec(Codec::Json);
        let loaded = entry.lookup_or_load(Gate::open().loader(value.clone())).await.unwrap();
        assert_eq!((loaded.value, loaded.status.reason()), (value, Reason::Unencodable));
        assert_eq!(cache.get::<BTreeMap<(u32, u32), u32>>("k").await, None);
    }

    async fn a_load_may_read_other_keys_through_the_same_cache(bench) {
        let cache = bench.cache().await;
        let inner = cache.clone();
        let total = cache.get_or_load("sum", move || async move {
            let mut sum = 0;
            for i in 0..3_u32 {
                sum += inner.get_or_load(format!("part:{i}"), Gate::open().loader(i)).await.unwrap();
            }
            Ok::<u32, Infallible>(sum)
        });
        assert_eq!(soon(total).await.unwrap(), 3);
    }

    async fn a_load_that_reads_its_own_key_does_not_wait_for_itself(bench) {
        let cache = bench.cache().await;
        let inner = cache.clone();
        let policy = Policy::new().no_hard_timeout();
        let outer = cache.entry("k").policy(policy.clone());
        let load = outer.get_or_load(move || async move {
            let again = inner.entry("k").policy(policy);
            let again = again.get_or_load(Gate::open().loader(1_u32)).await.unwrap();
            Ok::<u32, Infallible>(again + 1)
        });
        assert_eq!(soon(load).await.unwrap(), 2);
        assert_eq!(cache.get::<u32>("k").await, Some(2));
    }

    async fn loads_that_read_each_others_keys_end(bench) {
        let cache = bench.cache().await;
        let policy = Policy::new().hard_timeout(Duration::from_millis(300));
        let read = |own: &'static str, others: &'static str, at: Gate| {
            let (cache, policy) = (cache.clone(), policy.clone());
            tokio::spawn(async move {
                let (inner, inside) = (cache.clone(), policy.clone());
                cache.entry(own).policy(policy).get_or_load(move || async move {
                    at.pass().await;
                    let other = inner.entry(others).policy(inside);
                    let other = other.get_or_load(Gate::open().loader(1_u32)).await;
                    other.map_err(|e| e.to_string())
                }).await
            })
        };
        let gate = Gate::closed();
        let both = [read("a", "b", gate.clone()), read("b", "a", gate.clone())];
        gate.entered().await;
        gate.entered().await;
        gate.release();
        for ended in both {
            let _ = soon(ended).await.unwrap();
        }
        assert!(cache.get_or_load("a", Gate::open().loader(2_u32)).await.is_ok());
    }

    async fn closing_waits_for_loads_under_way(bench) {
        let cache: Cache = bench.cache().await;
        let gate = Gate::closed();
        let (reader, loader) = (cache.clone(), gate.loader(1_u32));
        let load = tokio::spawn(async move { reader.get_or_load("k", loader).await.unwrap() });
        gate.entered().await;
        load.abort();
        let mut closing = Box::pin(cache.close());
        assert!(poll!(&mut closing).is_pending());
        gate.release();
        soon(closing).await;
        if bench.is_redis() {
            assert_eq!(bench.cache().await.get::<u32>("k").await, Some(1));
        }
        assert_eq!(soon(cache.get_or_load("other", Gate::open().loader(2_u32))).await.unwrap(), 2);
    }
}
