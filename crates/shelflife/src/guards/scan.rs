//! Scans: values and leases alike, before the log tells of it, on one and the same primary. That goes for
//! whatever takes several scripts.

use super::*;

fn glob() -> Invalidation {
    Invalidation::new().pattern(GLOB)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn scan_meets_leases() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    let gate = Gate::closed();
    let old = read(&a, &gate, 1);
    gate.entered().await;
    invalidate(&b, glob()).await;
    gate.release();
    assert!(!old.await.unwrap().status.stored());
    assert_eq!(bench.l2().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn scan_precedes_the_log() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    store(&b, 1).await;
    let scanned = stop(&b, Point::Scanned);
    let invalidating = {
        let b = b.clone();
        tokio::spawn(async move { invalidate(&b, glob()).await })
    };
    scanned.reached().await;
    // Whatever is logged by now is applied: no news of it will come.
    applied(&a, bench.clock()).await;
    a.get::<u32>(KEY).await;
    scanned.go();
    let epoch = invalidating.await.unwrap();
    applied(&a, epoch).await;
    assert_eq!(a.get::<u32>(KEY).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replid_refusal() {
    let bench = Bench::with(&["--enable-debug-command", "local"]);
    let b = bench.process().await;
    store(&b, 1).await;
    let saved = saved(&bench.server, ENTRY);
    let scanned = stop(&b, Point::Scanned);
    let invalidating = {
        let b = b.clone();
        tokio::spawn(async move { invalidate(&b, glob()).await })
    };
    scanned.reached().await;
    without_the_removal(&bench, &saved);
    scanned.go();
    invalidating.await.unwrap();
    assert_eq!(bench.l2().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replid_refusal_between_two_scripts() {
    let bench = Bench::with(&["--enable-debug-command", "local"]);
    let b = bench.process().await;
    store(&b, 1).await;
    let saved = saved(&bench.server, ENTRY);
    // More names than one script takes.
    let many = (0..1500).fold(Invalidation::new().key(KEY), |all, n| {
        all.key(format!("k{n}"))
    });
    let (first, second) = (stop(&b, Point::Scanned), stop(&b, Point::Scanned));
    let invalidating = {
        let b = b.clone();
        tokio::spawn(async move { invalidate(&b, many).await })
    };
    first.reached().await;
    first.go();
    second.reached().await;
    assert_eq!(bench.raw(&["EXISTS", ENTRY]), "0", "it was in the first");
    without_the_removal(&bench, &saved);
    second.go();
    invalidating.await.unwrap();
    assert_eq!(bench.l2().await, None);
}

/// A replica takes over that had not heard of the entry's removal.
fn without_the_removal(bench: &Bench, saved: &[u8]) {
    bring_back(&bench.server, ENTRY, saved);
    bench.raw(&["DEBUG", "CHANGE-REPL-ID"]);
    assert_eq!(bench.raw(&["EXISTS", ENTRY]), "1");
}
