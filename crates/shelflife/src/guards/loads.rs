//! Loads and fills: what came between may not be filled, nor counted as known good.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::engine::load::current_load;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fill_only_with_the_token() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    let gate = Gate::closed();
    let old = read(&a, &gate, 1);
    gate.entered().await;
    // By key: no record of a tag tells of it, only the token that is gone.
    b.delete(KEY).await.unwrap();
    gate.release();
    assert!(!old.await.unwrap().status.stored());
    assert_eq!(bench.raw(&["EXISTS", ENTRY]), "0");
    assert_eq!(bench.l2().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s_before_the_load() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    let gate = Gate::closed();
    let old = read(&a, &gate, 1);
    gate.entered().await;
    // By tag: the token stands; only the epoch of the load is too old.
    invalidate(&b, tag(TAG)).await;
    gate.release();
    assert!(!old.await.unwrap().status.stored());
    assert_eq!(bench.l2().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn load_only_after_granted() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    let source = Arc::new(AtomicU32::new(1));
    let departing = stop(&a, Point::Departing);
    let reading = {
        let (a, source) = (a.clone(), source.clone());
        tokio::spawn(async move {
            // The source is read as soon as the loader is called.
            let loader = move || {
                let value = source.load(Ordering::SeqCst);
                async move { Ok::<_, Infallible>(value) }
            };
            soon(a.entry(KEY).tag(TAG).get_or_load(loader)).await
        })
    };
    departing.reached().await;
    source.store(2, Ordering::SeqCst);
    b.delete(KEY).await.unwrap();
    departing.go();
    reading.await.unwrap().unwrap();
    assert_ne!(bench.l2().await, Some(1));
    assert_ne!(a.get::<u32>(KEY).await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ensure_tags_at_the_current_tick() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    let gate = Gate::closed();
    let old = read(&a, &gate, 1);
    gate.entered().await;
    invalidate(&b, tag(TAG)).await;
    // Evicted, and with it the knowledge of the invalidation.
    bench.raw(&["DEL", TAG_RECORD]);
    gate.release();
    assert!(!old.await.unwrap().status.stored());
    assert_eq!(bench.l2().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn skip_the_fill_if_newer() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    let gate = Gate::closed();
    let old = read(&a, &gate, 1);
    gate.entered().await;
    let epoch = invalidate(&b, tag(TAG)).await;
    // The tail brings no more news of it after this.
    applied(&a, epoch).await;
    gate.release();
    old.await.unwrap();
    assert_eq!(a.get::<u32>(KEY).await, None);
}

/// A load of 1 that adds a tag from inside, of which nobody can know beforehand.
fn read_with_late_tag(cache: &Cache, gate: &Gate) -> JoinHandle<u32> {
    let (cache, gate) = (cache.clone(), gate.clone());
    tokio::spawn(async move {
        let loader = move || async move {
            current_load().tag("late");
            gate.pass().await;
            Ok::<_, Infallible>(1)
        };
        soon(cache.entry(KEY).get_or_load(loader)).await.unwrap()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn good_is_the_clock_of_the_fill_only_after_ensure_tags() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    let gate = Gate::closed();
    let old = read_with_late_tag(&a, &gate);
    gate.entered().await;
    let epoch = invalidate(&b, tag("late")).await;
    applied(&a, epoch).await;
    gate.release();
    old.await.unwrap();
    // Whatever became of L2: L1 may hold it only as known good up to its S.
    assert_eq!(a.get::<u32>(KEY).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rejected_is_good_up_to_s() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    let gate = Gate::closed();
    let old = read_with_late_tag(&a, &gate);
    gate.entered().await;
    let epoch = invalidate(&b, tag("late")).await;
    applied(&a, epoch).await;
    let joined = stop(&a, Point::Joined);
    let later = read_through(&a, 2);
    joined.reached().await;
    gate.release();
    old.await.unwrap();
    joined.go();
    assert_eq!(later.await.unwrap().value, 2, "it began after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lost_is_good_up_to_s() {
    let mut bench = Bench::start();
    let a = soon(bench.builder().timeout(TIMEOUT).build())
        .await
        .unwrap();
    until(async || trusted(&a)).await;
    let b = bench.process().await;
    let gate = Gate::closed();
    let old = read_with_late_tag(&a, &gate);
    gate.entered().await;
    let epoch = invalidate(&b, tag("late")).await;
    applied(&a, epoch).await;
    let joined = stop(&a, Point::Joined);
    let later = read_through(&a, 2);
    joined.reached().await;
    // The fill is sent, and nobody answers.
    bench.server.stop();
    gate.release();
    old.await.unwrap();
    bench.server.resume();
    joined.go();
    assert_eq!(later.await.unwrap().value, 2, "it began after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn settle_knows_what_the_log_has_not_brought() {
    let bench = Bench::start();
    let b = bench.process().await;
    // The clock is old: memory reaches back further than `settle`.
    bench.set_tick(bench.clock().tick - 2 * HOUR);
    bench.raw(&["DEL", LOG]);
    let a = bench.process().await;
    let lag = Duration::from_secs(3600);
    let load = async |key: &'static str, value: u32| {
        let entry = a.entry(key).policy(a.policy().clone().settle(lag)).tag(key);
        let load = move || async move { Ok::<_, Infallible>(value) };
        soon(entry.lookup_or_load(load)).await.unwrap()
    };
    assert!(
        load("other", 1).await.status.stored(),
        "memory reaches back"
    );
    let tail = stop(&a, Point::Applying);
    let epoch = invalidate(&b, tag("user:42")).await;
    tail.reached().await;
    let lagging = load("user:42", 1).await;
    assert!(!lagging.status.stored(), "{:?}", lagging.status);
    tail.go();
    applied(&a, epoch).await;
    let known = load("user:42", 2).await;
    assert_eq!(known.status.reason(), crate::Reason::Settling);
}
