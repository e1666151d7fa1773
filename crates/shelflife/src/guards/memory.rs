//! Memory: what this process knows of late, and how far back.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn own_memory_after_redis() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    store(&b, 1).await;
    applied(&a, bench.clock()).await;
    let answered = stop(&a, Point::Answered);
    let first = read_through(&a, 2);
    answered.reached().await;
    // The echo of its own invalidation has to wait: what it knows, it knows by itself.
    let tail = stop(&a, Point::Applying);
    invalidate(&a, tag(TAG)).await;
    tail.reached().await;
    answered.go();
    first.await.unwrap();
    assert_ne!(a.get::<u32>(KEY).await, Some(1));
    tail.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn own_does_not_move_applied() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    warm(&a, &b).await;
    let tail = stop(&a, Point::Applying);
    let receipt = soon(b.invalidate(tag(TAG))).await.unwrap();
    tail.reached().await;
    invalidate(&a, tag("own")).await;
    let session = a.entry(KEY).tag(TAG).session(receipt);
    assert_eq!(session.get::<u32>().await, None);
    tail.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn other_incarnation_counts_as_touched() {
    let bench = Bench::start();
    bench.run_ahead(HOUR).await;
    // Its log begins anew behind where the tail is: only a beat tells of the new life.
    let a = bench.builder().window(Duration::from_secs(4));
    let a = soon(a.build()).await.unwrap();
    let b = bench.process().await;
    store(&b, 1).await;
    let answered = stop(&a, Point::Answered);
    let first = read_through(&a, 2);
    answered.reached().await;
    // A new life, by a clock that is behind the old one's.
    bench.raw(&["FLUSHALL"]);
    let epoch = invalidate(&b, tag(TAG)).await;
    applied(&a, epoch).await;
    until(async || trusted(&a)).await;
    answered.go();
    first.await.unwrap();
    assert_ne!(a.get::<u32>(KEY).await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_start() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    store(&b, 1).await;
    applied(&a, bench.clock()).await;
    let answered = stop(&a, Point::Answered);
    let first = read_through(&a, 2);
    answered.reached().await;
    let beyond = lose_from_log(&bench, &a, &b).await;
    applied(&a, beyond).await;
    until(async || trusted(&a)).await;
    answered.go();
    first.await.unwrap();
    assert_ne!(a.get::<u32>(KEY).await, Some(1));
}
