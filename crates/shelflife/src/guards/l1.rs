//! L1: entries come in under the eyes of memory, and answer only inside the window.

use super::*;
use crate::clock::ManualClock;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recheck_after_insertion() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    store(&b, 1).await;
    let inserting = stop(&a, Point::BeforeInsert);
    let first = read_through(&a, 2);
    inserting.reached().await;
    // The log, which brings it once more, would clear up.
    let tail = stop(&a, Point::Applying);
    // By key: what is not there can't be dropped; a cell would remember.
    a.delete(KEY).await.unwrap();
    tail.reached().await;
    inserting.go();
    first.await.unwrap();
    assert_ne!(a.get::<u32>(KEY).await, Some(1));
    tail.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn not_ready_before_the_recheck() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    store(&b, 1).await;
    let inserting = stop(&a, Point::BeforeInsert);
    let inserted = stop(&a, Point::Inserted);
    let first = read_through(&a, 2);
    inserting.reached().await;
    let tail = stop(&a, Point::Applying);
    a.delete(KEY).await.unwrap();
    tail.reached().await;
    inserting.go();
    inserted.reached().await;
    assert_ne!(a.get::<u32>(KEY).await, Some(1));
    inserted.go();
    tail.go();
    first.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cells_by_max() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    applied(&a, bench.clock()).await;
    let (elder, own) = (stop(&a, Point::Applying), stop(&a, Point::Applying));
    invalidate(&b, tag(TAG)).await;
    elder.reached().await;
    // Younger than the invalidation that the tail is still to apply, older than the next one.
    read_through(&a, 1).await.unwrap();
    assert_eq!(a.get::<u32>(KEY).await, Some(1));
    invalidate(&a, tag(TAG)).await;
    elder.go();
    own.reached().await;
    assert_eq!(a.get::<u32>(KEY).await, None);
    own.go();
}

/// A process with 1 in L1 whose window has closed, and the tail's stop: another has invalidated it.
async fn behind(bench: &Bench) -> (Cache, Stop) {
    let clock = ManualClock::new();
    let a = soon(bench.builder().clock(&clock).build()).await.unwrap();
    let b = bench.process().await;
    warm(&a, &b).await;
    let tail = stop(&a, Point::Applying);
    invalidate(&b, tag(TAG)).await;
    tail.reached().await;
    clock.advance(Duration::from_secs(60));
    (a, tail)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn window_on_l1() {
    let bench = Bench::start();
    let (a, tail) = behind(&bench).await;
    assert_eq!(a.get::<u32>(KEY).await, None);
    tail.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn window_on_l1_with_a_status() {
    let bench = Bench::start();
    let (a, tail) = behind(&bench).await;
    let seen = a.entry(KEY).tag(TAG).lookup::<u32>().await;
    assert_eq!(seen.value, None);
    tail.go();
}
