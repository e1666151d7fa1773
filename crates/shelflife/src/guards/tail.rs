//! The tail: in order, without gaps, and trust only as far as it has come.

use super::*;
use crate::clock::ManualClock;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_before_l1() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    store(&b, 1).await;
    applied(&a, bench.clock()).await;
    let inserting = stop(&a, Point::BeforeInsert);
    let first = read_through(&a, 2);
    inserting.reached().await;
    let half = stop(&a, Point::HalfApplied);
    // By key: what is not there can't be dropped; a cell would remember.
    let epoch = b.delete(KEY).await.unwrap().epoch();
    half.reached().await;
    inserting.go();
    first.await.unwrap();
    half.go();
    applied(&a, epoch).await;
    assert_ne!(a.get::<u32>(KEY).await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l1_before_applied() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    warm(&a, &b).await;
    let tail = stop(&a, Point::Applying);
    let receipt = soon(b.invalidate(tag(TAG))).await.unwrap();
    tail.reached().await;
    let session = a.entry(KEY).tag(TAG).session(receipt);
    assert_eq!(session.get::<u32>().await, None);
    tail.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn prev_and_gap() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    warm(&a, &b).await;
    let beyond = lose_from_log(&bench, &a, &b).await;
    applied(&a, beyond).await;
    until(async || trusted(&a)).await;
    assert_eq!(a.get::<u32>(KEY).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn log_end_check() {
    let bench = Bench::start();
    let a = bench.builder().window(Duration::from_millis(400));
    let a = soon(a.build()).await.unwrap();
    let b = bench.process().await;
    let tail = stop(&a, Point::Applying);
    invalidate(&b, tag("before")).await;
    tail.reached().await;
    let epoch = invalidate(&b, tag(TAG)).await;
    bench.raw(&["DEL", LOG]);
    tail.go();
    // Nothing follows in the log: only a beat can tell that something is missing.
    applied(&a, epoch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn window_only_if_clock_is_applied() {
    let bench = Bench::start();
    let (clock, delta) = (ManualClock::new(), Duration::from_millis(200));
    let a = bench.builder().clock(&clock).window(delta);
    let a = soon(a.build()).await.unwrap();
    let b = bench.process().await;
    warm(&a, &b).await;
    let log = stop(&a, Point::Logged);
    log.reached().await;
    invalidate(&b, tag(TAG)).await;
    clock.advance(delta);
    // Two beats more: the second was sent after the window had closed.
    let judged = || a.engine.settings.probes.count(Point::Judged);
    let before = judged();
    until(async || judged() >= before + 2).await;
    assert_eq!(a.get::<u32>(KEY).await, None);
    log.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn resync_closes_the_window_first() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    warm(&a, &b).await;
    let positioned = stop(&a, Point::Positioned);
    lose_from_log(&bench, &a, &b).await;
    positioned.reached().await;
    assert_eq!(a.get::<u32>(KEY).await, None);
    positioned.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn resync_order() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    store(&b, 1).await;
    applied(&a, bench.clock()).await;
    let inserting = stop(&a, Point::BeforeInsert);
    let first = read_through(&a, 2);
    inserting.reached().await;
    let restarted = stop(&a, Point::Restarted);
    let beyond = lose_from_log(&bench, &a, &b).await;
    restarted.reached().await;
    inserting.go();
    first.await.unwrap();
    restarted.go();
    applied(&a, beyond).await;
    until(async || trusted(&a)).await;
    assert_ne!(a.get::<u32>(KEY).await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_takeover_while_the_last_one_is_made_up_for_is_made_up_for() {
    let bench = Bench::with(&["--enable-debug-command", "local"]);
    let a = bench.builder().window(Duration::from_millis(400));
    let a = soon(a.build()).await.unwrap();
    store(&a, 1).await;
    let saved = saved(&bench.server, ENTRY);
    invalidate(&a, Invalidation::new().key(KEY)).await;
    let again = stop(&a, Point::Scanned);
    bench.raw(&["DEBUG", "CHANGE-REPL-ID"]);
    again.reached().await;
    let beating = stop(&a, Point::Beating);
    again.go();
    beating.reached().await;
    // It has been carried out again, of which the next primary has not heard.
    bring_back(&bench.server, ENTRY, &saved);
    bench.raw(&["DEBUG", "CHANGE-REPL-ID"]);
    assert_eq!(bench.raw(&["EXISTS", ENTRY]), "1");
    beating.go();
    until(async || bench.raw(&["EXISTS", ENTRY]) == "0").await;
}
