//! Loads: shared, cancelled, failing, leased, inside each other.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use shelflife::{Cache, Invalidation, LoadError, Policy, Reason, Tier, current_load};

use crate::gate::{Gate, failing, soon};
use crate::on_both_stores;

const LONG: Duration = Duration::from_secs(3600);

/// Others may take a short lease over when the machine stands still; they do not do so each time.
pub const ROUNDS: u32 = 5;
pub const MANY_LEASES: Duration = Duration::from_secs(1);

pub fn short() -> Policy {
    Policy::new().lease(Duration::from_millis(200))
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
        if !bench.is_shared() { return; }
        let (cache, other) = (bench.cache().await, bench.cache().await);
        // Without its keeper every round is taken over.
        for round in 0..ROUNDS {
            let key = format!("k:{round}");
            let gate = Gate::closed();
            let (owner, loader, at) = (cache.clone(), gate.loader(1_u32), key.clone());
            let owner = tokio::spawn(async move { owner.entry(at).policy(short()).get_or_load(loader).await.unwrap() });
            gate.entered().await;
            let entry = other.entry(&*key).policy(short());
            let waiting = entry.lookup_or_load(Gate::open().loader(2_u32));
            if tokio::time::timeout(MANY_LEASES, Box::pin(waiting)).await.is_ok() {
                gate.release();
                owner.await.unwrap();
                continue;
            }
            let waiting = tokio::spawn({
                let other = other.clone();
                async move { other.entry(key).lookup_or_load(Gate::open().loader(2_u32)).await.unwrap() }
            });
            gate.release();
            assert_eq!(owner.await.unwrap(), 1);
            let got = soon(waiting).await.unwrap();
            if (got.value, got.status.tier()) == (1, Some(Tier::L2)) {
                return;
            }
        }
        panic!("others did not wait for the owner");
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
        if bench.is_shared() {
            assert_eq!(bench.cache().await.get::<u32>("k").await, Some(1));
        }
        assert_eq!(soon(cache.get_or_load("other", Gate::open().loader(2_u32))).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_loader_may_read_its_key_from_another_cache_which_keeps_it() {
    let (near, far) = (Cache::memory(), Cache::memory());
    let outer = {
        let far = far.clone();
        move || async move {
            let read = far.get_or_load("k", || async { Ok::<_, String>(7_u32) });
            read.await.map_err(|error| error.to_string())
        }
    };
    assert_eq!(soon(near.get_or_load("k", outer)).await.unwrap(), 7);
    assert_eq!(far.get::<u32>("k").await, Some(7));
}

#[tokio::test]
async fn loads_of_one_caller_alone_are_counted_when_they_fail() {
    let cache = Cache::memory();
    let own_key = {
        let inner = cache.clone();
        move || async move {
            let read = inner.get_or_load("k", || async { Err::<u32, _>("the source is gone") });
            read.await.map_err(|error| error.to_string())
        }
    };
    soon(cache.get_or_load("k", own_key)).await.unwrap_err();
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_failures), (2, 2));
    let in_a_batch = {
        let inner = cache.clone();
        move || async move {
            let load = |_| async { Err::<HashMap<u32, u32>, _>("the source is gone") };
            let many = inner.get_or_load_many([1_u32], |c, id| c.entry(format!("k:{id}")), load);
            let found = many.await.map_err(|error| error.to_string())?;
            Ok::<_, String>(found[&1])
        }
    };
    soon(cache.get_or_load("k:1", in_a_batch))
        .await
        .unwrap_err();
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_failures), (4, 4));
}
