//! Writes that are held up, or given up: a set on a slow wire, an announced write whose owner goes away.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use shelflife::{Builder, Cache, Invalidation, Outcome};
use shelflife_testkit::Proxy;

use crate::gate::{Gate, soon, until};
use crate::on_both_stores;
use crate::stores::Bench;

const KEY: &str = "users:42";
const TAG: &str = "user:42";
const LONG: Duration = Duration::from_secs(60);

async fn holds(cache: &Cache) -> Option<u32> {
    cache.entry(KEY).strict().get().await
}

/// A process behind a wire that may be held up for long, and one with a wire of its own.
async fn two(bench: &mut Bench) -> (Proxy, Cache, Cache) {
    let wire = Proxy::start(bench.server().address()).await;
    let patient = |builder: Builder| builder.timeout(LONG).connect_timeout(LONG).window(LONG);
    let behind = patient(bench.builder()).url(wire.url());
    let behind = behind.build().await.unwrap();
    let other = patient(bench.builder()).build().await.unwrap();
    (wire, behind, other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_was_held_up_does_not_outlive_what_was_invalidated_meanwhile() {
    let mut bench = Bench::redis();
    let (wire, behind, other) = two(&mut bench).await;
    let new = Invalidation::new;
    let all = [
        (new().key(KEY), false),
        (new().tag(TAG), false),
        (new().tag(TAG).soft(), false),
        (new().pattern("users:*"), false),
        (new().pattern("us*:4?"), false),
        (new().all(), false),
        (new().key(KEY), true),
        (new().all(), true),
    ];
    for (what, many) in all {
        soon(other.delete(KEY)).await.unwrap();
        wire.freeze(true);
        let mut set = Box::pin(async {
            match many {
                false => behind.entry(KEY).tag(TAG).set(1_u32).await,
                true => behind.set_many([("k", 1_u32), (KEY, 1)]).await,
            }
        });
        assert!(poll!(&mut set).is_pending());
        soon(other.invalidate(what.clone())).await.unwrap();
        wire.freeze(false);
        soon(set).await.unwrap();
        assert_eq!(holds(&other).await, None, "{what:?}");
        assert_eq!(behind.get::<u32>(KEY).await, None, "{what:?}");
    }
    soon(behind.entry(KEY).tag(TAG).set(2_u32)).await.unwrap();
    assert_eq!(holds(&other).await, Some(2));
}

on_both_stores! {
    async fn a_write_whose_owner_goes_away_counts_as_done(bench) {
        let cache = bench.long_windowed().await;
        cache.set(KEY, 1_u32).await.unwrap();
        let saved = Gate::closed();
        let writing = tokio::spawn({
            let (cache, saved) = (cache.clone(), saved.clone());
            async move {
                let write = cache.entry(KEY).begin_write().await.unwrap();
                // The source has the new value by now; then the client hangs up.
                saved.pass().await;
                write.finish(2_u32).await
            }
        });
        saved.entered().await;
        writing.abort();
        assert!(writing.await.unwrap_err().is_cancelled());
        if bench.is_shared() {
            until(async || cache.get::<u32>(KEY).await.is_none()).await;
        }
        assert_eq!(cache.get::<u32>(KEY).await, None);
        assert_eq!(holds(&cache).await, None);
        until(async || cache.stats().invalidations == 1).await;
        assert_eq!(soon(cache.get_or_load(KEY, Gate::open().loader(2_u32))).await.unwrap(), 2);
    }

    async fn a_write_that_is_abandoned_leaves_everything_as_it_was(bench) {
        let cache = bench.cache().await;
        cache.set(KEY, 1_u32).await.unwrap();
        cache.entry(KEY).begin_write().await.unwrap().abandon();
        assert_eq!(holds(&cache).await, Some(1));
        // Its token is gone, too: a load need not wait for its end.
        let refreshed = async || {
            let entry = cache.entry("absent");
            entry.begin_write().await.unwrap().abandon();
            soon(entry.lookup_or_load(Gate::open().loader(2_u32))).await.unwrap()
        };
        assert_eq!(refreshed().await.status.outcome(), Outcome::Miss);
        assert_eq!(cache.stats().invalidations, 0);
    }

    async fn a_finished_write_is_not_invalidated_when_it_is_dropped(bench) {
        let cache = bench.cache().await;
        let write = cache.entry(KEY).begin_write().await.unwrap();
        assert!(write.finish(2_u32).await.unwrap().1);
        assert_eq!(holds(&cache).await, Some(2));
        assert_eq!(cache.stats().invalidations, 0);
    }

    async fn a_write_may_be_dropped_outside_of_the_runtime(bench) {
        let cache = bench.cache().await;
        cache.set(KEY, 1_u32).await.unwrap();
        let write = cache.entry(KEY).begin_write().await.unwrap();
        std::thread::spawn(move || drop(write)).join().unwrap();
        until(async || holds(&cache).await.is_none()).await;
    }

    async fn sets_of_one_key_at_once_leave_one_of_their_values(bench) {
        let cache = bench.cache().await;
        for _ in 0..10 {
            let sets = (0..32_u32).map(|value| cache.set(KEY, value));
            assert!(soon(join_all(sets)).await.iter().all(Result::is_ok));
            assert!(holds(&cache).await.is_some());
            cache.delete(KEY).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_dropped_while_the_store_is_away_is_owed() {
    let mut bench = Bench::redis();
    let wire = Proxy::start(bench.server().address()).await;
    let behind = bench.builder().url(wire.url()).build().await.unwrap();
    let other = bench.builder().without_tail().build().await.unwrap();
    other.set(KEY, 1_u32).await.unwrap();
    let write = behind.entry(KEY).begin_write().await.unwrap();
    wire.refuse(true).await;
    wire.cut();
    drop(write);
    until(async || behind.stats().unconfirmed == 1).await;
    assert_eq!(holds(&other).await, Some(1), "nobody has been told yet");
    wire.refuse(false).await;
    until(async || holds(&other).await.is_none()).await;
    until(async || behind.stats().unconfirmed == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announcement_whose_caller_goes_away_is_withdrawn() {
    let mut bench = Bench::redis();
    let (wire, behind, other) = two(&mut bench).await;
    soon(other.set(KEY, 1_u32)).await.unwrap();
    wire.freeze(true);
    {
        let entry = behind.entry(KEY);
        let mut announcing = Box::pin(entry.begin_write());
        assert!(poll!(&mut announcing).is_pending());
    }
    wire.freeze(false);
    // Nobody had it, so nobody has written the source: the value stays, and its token goes.
    let fill = async || {
        let entry = other.entry(KEY).stale(LONG);
        soon(entry.refresh(Gate::open().loader(2_u32)))
            .await
            .unwrap();
        holds(&other).await == Some(2)
    };
    until(fill).await;
    assert_eq!(behind.stats().invalidations, 0);
}
