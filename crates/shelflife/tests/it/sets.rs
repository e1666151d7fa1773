//! Plain sets of one process at once: they go together, and each counts for itself.

use std::pin::Pin;
use std::time::Duration;

use futures_util::future::{MaybeDone, join_all, maybe_done};
use futures_util::poll;
use shelflife::{Cache, ErrorKind, Invalidation};
use shelflife_testkit::Proxy;

use crate::gate::{soon, until};
use crate::stores::Bench;

const KEY: &str = "users:42";
const LONG: Duration = Duration::from_secs(60);

/// A process behind a wire that may be held up for long.
async fn behind(bench: &mut Bench) -> (Proxy, Cache) {
    let wire = Proxy::start(bench.server().address()).await;
    let builder = bench.builder().url(wire.url()).timeout(LONG).window(LONG);
    let cache = builder.connect_timeout(LONG).build().await.unwrap();
    (wire, cache)
}

async fn set_all(cache: &Cache, first: u32, count: u32) {
    let sets = (first..first + count).map(|n| {
        let cache = cache.clone();
        tokio::spawn(async move { cache.set(format!("k:{n}"), n).await })
    });
    for set in soon(join_all(sets)).await {
        set.unwrap().unwrap();
    }
}

/// How many of them are there, as a process tells that holds nothing of its own.
async fn kept(bench: &Bench, first: u32, count: u32) -> usize {
    let reader = bench.builder().without_tail().build().await.unwrap();
    let keys: Vec<String> = (first..first + count).map(|n| format!("k:{n}")).collect();
    let found = reader.get_many::<u32, _>(&keys).await;
    let expected = (first..).map(Some);
    found
        .into_iter()
        .zip(expected)
        .filter(|(a, b)| a == b)
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_are_set_at_once_all_are_kept() {
    let bench = Bench::redis();
    let cache = bench.cache().await;
    for count in [200, 2000, 5000] {
        set_all(&cache, 0, count).await;
        assert_eq!(kept(&bench, 0, count).await, count as usize);
        cache.invalidate(Invalidation::new().all()).await.unwrap();
    }
    let reasons = cache.stats().reasons;
    assert!(
        !reasons.contains_key(&shelflife::Reason::Overtaken),
        "{reasons:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_set_many_at_once_and_all_are_kept() {
    let bench = Bench::redis();
    let processes = [
        bench.cache().await,
        bench.cache().await,
        bench.cache().await,
    ];
    let sets = processes
        .iter()
        .zip(0..)
        .map(|(cache, n)| set_all(cache, n * 10_000, 2000));
    join_all(sets).await;
    for n in 0..3 {
        assert_eq!(kept(&bench, n * 10_000, 2000).await, 2000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_values_than_a_step_takes_are_all_kept() {
    let bench = Bench::redis();
    let cache = bench.cache().await;
    let values = (0..5_000_u32).map(|n| (format!("k:{n}"), n));
    soon(cache.set_many(values)).await.unwrap();
    assert_eq!(kept(&bench, 0, 5_000).await, 5_000);
}

/// A call that has been made: what has been polled once is in the line.
async fn call<F: Future>(set: F) -> Pin<Box<MaybeDone<F>>> {
    let mut set = Box::pin(maybe_done(set));
    let _ = poll!(tokio::task::unconstrained(&mut set));
    set
}

async fn ended<F: Future>(mut set: Pin<Box<MaybeDone<F>>>) -> F::Output {
    soon(&mut set).await;
    set.as_mut().take_output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sets_of_one_key_at_once_the_last_call_stays_in_both_tiers() {
    let bench = Bench::redis();
    let cache = bench.long_windowed().await;
    for round in 0..10_u32 {
        let mut sets = Vec::new();
        for n in 0..100_u32 {
            sets.push(call(cache.set(KEY, round * 1000 + n)).await);
        }
        for set in sets {
            ended(set).await.unwrap();
        }
        let last = Some(round * 1000 + 99);
        assert_eq!(cache.entry(KEY).strict().get().await, last);
        assert_eq!(cache.get::<u32>(KEY).await, last);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_takes_no_other_set_along() {
    let bench = Bench::redis();
    let cache = bench.long_windowed().await;
    let mut sets = Vec::new();
    for n in 0..300_u32 {
        sets.push(call(cache.set(format!("k:{n}"), n)).await);
    }
    for (n, set) in sets.into_iter().enumerate() {
        if n % 3 > 0 {
            ended(set).await.unwrap();
        }
    }
    // What was in the line is carried out, whether anybody wants to know or not.
    until(async || kept(&bench, 0, 300).await == 300).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_before_there_was_room_leaves_nothing_that_may_be_outdated() {
    let mut bench = Bench::redis();
    let (wire, cache) = behind(&mut bench).await;
    cache.set("late", 1_u32).await.unwrap();
    wire.freeze(true);
    let full = call(cache.set_many((0..4096_u32).map(|n| (format!("k:{n}"), n)))).await;
    assert_eq!(cache.stats().sets_waiting, 4096, "the line is full");
    let late = call(cache.set("late", 2_u32)).await;
    drop(late);
    wire.freeze(false);
    ended(full).await.unwrap();
    until(async || kept(&bench, 0, 4096).await == 4096).await;
    until(async || cache.entry("late").strict().get::<u32>().await.is_none()).await;
    assert_eq!(cache.stats().sets_waiting, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_counts_from_its_own_call_whatever_goes_with_it() {
    let mut bench = Bench::redis();
    let (wire, behind) = behind(&mut bench).await;
    let other = bench.cache().await;
    let mut kept = 0;
    for _ in 0..5 {
        wire.freeze(true);
        let before = [
            call(behind.set("first", 1_u32)).await,
            call(behind.set(KEY, 1)).await,
        ];
        soon(other.delete(KEY)).await.unwrap();
        soon(other.delete("later")).await.unwrap();
        // Longer than the slack with which the server's time is reckoned.
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_millis(20) {
            tokio::task::yield_now().await;
        }
        let after = call(behind.set("later", 1_u32)).await;
        wire.freeze(false);
        for set in before {
            ended(set).await.unwrap();
        }
        ended(after).await.unwrap();
        let strict = async |key| other.entry(key).strict().get::<u32>().await;
        assert_eq!(strict("first").await, Some(1), "nothing named it");
        assert_eq!(strict(KEY).await, None, "it was deleted after the call");
        // On a machine that stands still the server's time is reckoned to be earlier than it is.
        kept += u32::from(strict("later").await == Some(1));
    }
    assert!(kept > 0, "it was deleted before the call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_told_to_each_and_nobody_waits_for_another_answer() {
    let mut bench = Bench::redis();
    let wire = Proxy::start(bench.server().address()).await;
    let builder = bench.builder().url(wire.url()).window(LONG);
    let cache = builder
        .timeout(Duration::from_millis(300))
        .build()
        .await
        .unwrap();
    until(|| async { cache.set("k:1", 0_u32).await.is_ok() }).await;
    wire.freeze(true);
    let began = std::time::Instant::now();
    let sets = (0..4000_u32).map(|n| cache.set(format!("k:{n}"), n));
    for set in soon(join_all(sets)).await {
        assert_eq!(set.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    // Sixteen steps one after another would have taken 4.8 s.
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(cache.get::<u32>("k:1").await, None, "it may be outdated");
    assert!(cache.stats().unconfirmed > 0);
    wire.freeze(false);
    until(async || cache.set("k:1", 2_u32).await.is_ok()).await;
    until(async || cache.stats().unconfirmed == 0).await;
}
