//! Set: a write counts from its announcement, and only while its token stands; a plain one from its call.

use futures_util::poll;
use shelflife_testkit::Proxy;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn token_of_the_write() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    let write = a.entry(KEY).tag(TAG).begin_write().await.unwrap();
    // By key: no record of a tag tells of it, only the token that is gone.
    b.delete(KEY).await.unwrap();
    write.finish(1_u32).await.unwrap();
    assert_eq!(bench.raw(&["EXISTS", ENTRY]), "0");
    assert_eq!(bench.l2().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn write_counts_from_its_announcement() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    let write = a.entry(KEY).tag(TAG).begin_write().await.unwrap();
    invalidate(&b, tag(TAG)).await;
    write.finish(1_u32).await.unwrap();
    assert_eq!(bench.l2().await, None);
}

/// Longer than anything takes on a loaded machine.
const LONG: Duration = Duration::from_secs(60);

/// A process behind a wire that may be held up for long.
async fn behind(bench: &Bench) -> (Proxy, Cache) {
    let wire = Proxy::start(bench.server.address()).await;
    let patient = bench.builder().url(wire.url()).timeout(LONG);
    let cache = soon(patient.build()).await.unwrap();
    until(async || trusted(&cache)).await;
    (wire, cache)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn set_counts_from_its_call() {
    let bench = Bench::start();
    let (wire, a) = behind(&bench).await;
    let b = bench.process().await;
    wire.freeze(true);
    let entry = a.entry(KEY).tag(TAG);
    let mut set = Box::pin(entry.set(1_u32));
    assert!(poll!(&mut set).is_pending());
    b.delete(KEY).await.unwrap();
    wire.freeze(false);
    soon(set).await.unwrap();
    assert_eq!(bench.l2().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn scan_is_announced_to_sets() {
    let bench = Bench::start();
    let (wire, a) = behind(&bench).await;
    let b = bench.process().await;
    wire.freeze(true);
    let mut set = Box::pin(a.set(KEY, 1_u32));
    assert!(poll!(&mut set).is_pending());
    let scanned = stop(&b, Point::Scanned);
    let invalidating = {
        let b = b.clone();
        tokio::spawn(async move { invalidate(&b, Invalidation::new().pattern(GLOB)).await })
    };
    // The scan has been there, and the log does not tell yet that it was.
    scanned.reached().await;
    wire.freeze(false);
    soon(set).await.unwrap();
    scanned.go();
    invalidating.await.unwrap();
    assert_eq!(bench.l2().await, None);
}
