//! Control scripts: what each of them does first, and in which order an invalidation is carried out.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn missing_clock_is_a_new_incarnation() {
    let bench = Bench::start();
    bench.run_ahead(HOUR).await;
    let b = bench.process().await;
    store(&b, 1).await;
    invalidate(&b, tag(TAG)).await;
    // All bookkeeping is lost, the entry stays. By the server's own time ticks now begin before it.
    bench.raw(&["DEL", CLOCK, LOG, ROOT, PREFIX, TAG_RECORD]);
    // A load makes the records of its tags again: without them the entry would be dead whatever the clock says.
    let c = bench.process().await;
    let other = c.entry("users:7").tag(TAG);
    let loaded = soon(other.lookup_or_load(Gate::open().loader(7))).await;
    assert!(loaded.unwrap().status.stored());
    assert_eq!(bench.raw(&["EXISTS", ENTRY]), "1");
    assert_eq!(bench.l2().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn entries_before_the_bump() {
    let bench = Bench::start();
    let b = bench.process().await;
    store(&b, 1).await;
    // On one server it is one script, and nobody sees its middle, unless it ends there: no entry can be
    // added to this log.
    bench.raw(&["XSETID", LOG, "9007199254740990-0"]);
    let failed = soon(b.delete(KEY)).await;
    assert!(failed.is_err());
    assert_eq!(bench.l2().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn jump_in_the_first_script() {
    let bench = Bench::with(&["--enable-debug-command", "local"]);
    bench.run_ahead(9_000_000).await;
    let (a, b) = bench.two().await;
    let replicated = bench.clock().tick - 9_000_000;
    let gate = Gate::closed();
    let old = read(&a, &gate, 1);
    gate.entered().await;
    // A replica takes over whose time is 9 s behind, and which had not heard of the last ticks.
    bench.set_tick(replicated);
    bench.raw(&["DEBUG", "CHANGE-REPL-ID"]);
    invalidate(&b, tag(TAG)).await;
    gate.release();
    old.await.unwrap();
    assert_eq!(bench.l2().await, None);
}
