//! The tail: what one process invalidates, the others' L1 drops; trust ends when the tail does.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use shelflife::{Cache, Invalidation, Outcome, Tier};

use crate::fused::Fused;
use crate::gate::until;
use crate::stores::Bench;

/// Long enough that nothing here ends by time: only the tail can do it.
const LONG: Duration = Duration::from_secs(60);

async fn two(bench: &Bench, window: Duration) -> (Cache, Cache) {
    let one = bench.builder().window(window).build().await.unwrap();
    let other = bench.builder().window(window).build().await.unwrap();
    (one, other)
}

async fn from_l1(cache: &Cache, key: &str) -> bool {
    cache.entry(key).lookup::<u32>().await.status.tier() == Some(Tier::L1)
}

/// Waits until L1 does not answer with the value; gives how long that took.
async fn dropped(cache: &Cache, key: &str, old: u32) -> Duration {
    let began = Instant::now();
    while cache.get::<u32>(key).await == Some(old) {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{key} is still served"
        );
        tokio::task::yield_now().await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_invalidates_the_others_drop() {
    let bench = Bench::redis();
    let (one, other) = two(&bench, LONG).await;
    let cases = [
        Invalidation::new().key("users:42"),
        Invalidation::new().tag("user:42"),
        Invalidation::new().pattern("users:*"),
        Invalidation::new().pattern("us*:4?"),
        Invalidation::new().all(),
        Invalidation::new().tag("user:42").soft(),
        Invalidation::new().key("users:42").soft(),
    ];
    for (round, what) in (0_u32..).zip(cases) {
        one.entry("users:42")
            .stale(LONG)
            .tag("user:42")
            .set(round)
            .await
            .unwrap();
        dropped(&other, "users:42", round.wrapping_sub(1)).await;
        assert_eq!(other.get::<u32>("users:42").await, Some(round));
        assert!(from_l1(&other, "users:42").await);
        one.invalidate(what.clone()).await.unwrap();
        dropped(&other, "users:42", round).await;
        let seen = other.entry("users:42").lookup::<u32>().await;
        let soft = what == what.clone().soft();
        let expected = if soft { Outcome::Stale } else { Outcome::Miss };
        assert_eq!(seen.status.outcome(), expected, "{what:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_sets_the_others_drop_and_itself_keeps() {
    let bench = Bench::redis();
    let (one, other) = two(&bench, Duration::from_secs(1)).await;
    one.set("k", 1_u32).await.unwrap();
    assert_eq!(other.get::<u32>("k").await, Some(1));
    one.set("k", 2_u32).await.unwrap();
    dropped(&other, "k", 1).await;
    assert_eq!(other.get::<u32>("k").await, Some(2));
    // The echo of its own set is no reason to drop what it set.
    one.invalidate(Invalidation::new().key("unrelated"))
        .everywhere()
        .await
        .unwrap();
    // On a busy machine its window may be closed for a moment.
    until(async || one.stats().following.open).await;
    assert!(from_l1(&one, "k").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l1_is_trusted_for_as_long_as_the_tail_beats() {
    let bench = Bench::redis();
    let delta = Duration::from_millis(200);
    let (one, _other) = two(&bench, delta).await;
    one.set("k", 1_u32).await.unwrap();
    let (mut l1, mut all) = (0, 0);
    while all < 120 {
        l1 += u32::from(from_l1(&one, "k").await);
        all += 1;
        tokio::time::sleep(delta / 20).await;
    }
    // On a loaded machine a beat may come late; then the store is asked, which is right, and rare.
    assert!(l1 * 10 > all * 7, "{l1} of {all} reads were answered by L1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trust_ends_when_the_store_is_silent_and_comes_back_with_it() {
    let mut bench = Bench::redis();
    let delta = Duration::from_millis(300);
    // The frozen server is asked, too.
    let builder = bench.builder().timeout(Duration::from_millis(500));
    let one = builder.window(delta).build().await.unwrap();
    bench.cache().await.set("k", 1_u32).await.unwrap();
    until(async || from_l1(&one, "k").await).await;
    bench.server().stop();
    let frozen = Instant::now();
    loop {
        let asked = frozen.elapsed();
        if !from_l1(&one, "k").await {
            break;
        }
        assert!(asked < delta * 4, "L1 answers without a beat");
        tokio::task::yield_now().await;
    }
    bench.server().resume();
    let back = Instant::now();
    while !from_l1(&one, "k").await {
        assert!(back.elapsed() < Duration::from_secs(20), "L1 answers again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_everywhere_no_process_serves_anything_older() {
    let bench = Bench::redis();
    let (one, other) = two(&bench, Duration::from_secs(1)).await;
    // Until the list of members is a Δ old, everywhere takes that long.
    one.invalidate(Invalidation::new().all())
        .everywhere()
        .await
        .unwrap();
    for round in 0..50_u32 {
        one.entry("k").tag("t").set(round).await.unwrap();
        dropped(&other, "k", round.wrapping_sub(1)).await;
        assert_eq!(other.entry("k").tag("t").get::<u32>().await, Some(round));
        one.invalidate(Invalidation::new().tag("t"))
            .everywhere()
            .await
            .unwrap();
        assert_eq!(other.get::<u32>("k").await, None, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everywhere_does_not_wait_for_the_dead_longer_than_their_window() {
    let bench = Bench::redis();
    let delta = Duration::from_millis(500);
    let (one, other) = two(&bench, delta).await;
    assert_eq!(one.members().await.unwrap().len(), 2);
    drop(other);
    let began = Instant::now();
    one.invalidate(Invalidation::new().all())
        .everywhere()
        .await
        .unwrap();
    assert!(began.elapsed() < delta * 4, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_log_a_flush_and_a_restart_cost_misses_only() {
    let mut bench = Bench::redis();
    let (one, other) = two(&bench, Duration::from_millis(400)).await;
    for loss in ["del", "trim", "flush", "restart"] {
        let load = || async { Ok::<_, Infallible>(1_u32) };
        while one.entry("k").tag("t").get_or_load(load).await.unwrap() != 1
            || other.entry("k").tag("t").get_or_load(load).await.unwrap() != 1
        {}
        match loss {
            "del" => drop(bench.server().cli(&["DEL", "sl1:{test}:log"])),
            "trim" => drop(
                bench
                    .server()
                    .cli(&["XTRIM", "sl1:{test}:log", "MAXLEN", "0"]),
            ),
            "flush" => drop(bench.server().cli(&["FLUSHALL"])),
            _ => {
                bench.server().kill();
                bench.server().restart();
            }
        }
        // What is confirmed holds, whatever was lost before.
        let began = Instant::now();
        let what = || Invalidation::new().tag("t");
        while one.invalidate(what()).everywhere().await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "{loss}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(one.get::<u32>("k").await, None, "{loss}");
        assert_eq!(other.get::<u32>("k").await, None, "{loss}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_sees_its_own_invalidation_in_another_process() {
    let bench = Bench::redis();
    let (one, other) = two(&bench, LONG).await;
    for round in 0..50_u32 {
        one.entry("k").tag("t").set(round).await.unwrap();
        dropped(&other, "k", round.wrapping_sub(1)).await;
        assert_eq!(other.get::<u32>("k").await, Some(round));
        let receipt = one.invalidate(Invalidation::new().tag("t")).await.unwrap();
        let travelled = receipt.to_string().parse().unwrap();
        let seen = other.entry("k").session(travelled).get::<u32>().await;
        assert_eq!(seen, None, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_process_is_not_waited_for_and_answers_from_no_memory() {
    let bench = Bench::redis();
    let (one, other) = two(&bench, Duration::from_secs(1)).await;
    other.set("k", 1_u32).await.unwrap();
    let began = Instant::now();
    while !from_l1(&other, "k").await {
        assert!(began.elapsed() < Duration::from_secs(5), "L1 answers");
    }
    other.close().await;
    assert!(!from_l1(&other, "k").await);
    assert_eq!(one.members().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_tail_l1_never_answers() {
    let bench = Bench::redis();
    let cache = bench.builder().without_tail().build().await.unwrap();
    cache.set("k", 1_u32).await.unwrap();
    assert_eq!(cache.get::<u32>("k").await, Some(1));
    assert!(!from_l1(&cache, "k").await);
    assert!(cache.members().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_outlives_the_panic_of_a_value_that_it_drops() {
    let bench = Bench::redis();
    let one = bench.builder().window(LONG).build().await.unwrap();
    let other = bench.builder().without_tail().build().await.unwrap();
    other.set("k", Fused::on("shelflife-tail")).await.unwrap();
    let held = || async { one.entry("k").lookup::<Fused>().await.status.tier() == Some(Tier::L1) };
    until(held).await;
    let resyncs = one.stats().following.resyncs;
    other.delete("k").await.unwrap();
    until(|| async { one.stats().following.resyncs > resyncs }).await;
    assert!(Fused::is_blown("shelflife-tail"));
    other.set("l", 2_u32).await.unwrap();
    until(|| async { from_l1(&one, "l").await }).await;
}
