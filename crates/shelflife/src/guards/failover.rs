//! A failover: what the primary that is gone goes on doing counts for nothing.

use shelflife_testkit::Proxy;

use super::*;

/// A process behind a wire, with an entry that a replica of its server has too; then the replica is none any
/// more.
async fn promoted(primary: &Bench, replica: &Bench) -> (Proxy, Cache) {
    let port = primary.server.port().to_string();
    replica.raw(&["REPLICAOF", "127.0.0.1", &port]);
    let linked = || replica.raw(&["INFO", "replication"]);
    until(async || linked().contains("master_link_status:up")).await;
    let proxy = Proxy::start(primary.server.address()).await;
    let a = primary.builder().url(proxy.url());
    let a = soon(a.setting("failover", "bump").build()).await.unwrap();
    store(&a, 1).await;
    until(async || replica.raw(&["EXISTS", ENTRY]) == "1").await;
    replica.raw(&["REPLICAOF", "NO", "ONE"]);
    (proxy, a)
}

/// Whether an incarnation is over there. The next one may not have begun.
fn has_ended(inc: u64, bench: &Bench) -> bool {
    !bench
        .raw(&["GET", CLOCK])
        .starts_with(&format!("{inc:016x}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_life_begins_on_the_successor() {
    let (mut primary, replica) = (Bench::start(), Bench::start());
    let (proxy, a) = promoted(&primary, &replica).await;
    let (old, clock) = (primary.clock().inc, replica.raw(&["GET", CLOCK]));
    primary.server.kill();
    // One beat finds the successor, the next one comes when the incarnation has been ended.
    let (mut beating, mut next) = (stop(&a, Point::Beating), stop(&a, Point::Beating));
    proxy.retarget(replica.server.address());
    proxy.cut();
    beating.reached().await;
    while !has_ended(old, &replica) {
        beating.go();
        (beating, next) = (next, stop(&a, Point::Beating));
        beating.reached().await;
    }
    // As if that had been done on the one that is gone.
    replica.raw(&["SET", CLOCK, &clock]);
    drop(next);
    beating.go();
    until(async || has_ended(old, &replica)).await;
    assert_eq!(replica.l2().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_confirmed_late_is_asked_for_again_in_the_new_life() {
    let (mut primary, replica) = (Bench::start(), Bench::start());
    let (proxy, a) = promoted(&primary, &replica).await;
    let old = primary.clock().inc;
    let confirmed = stop(&a, Point::Confirmed);
    let late = tokio::spawn({
        let a = a.clone();
        async move { invalidate(&a, tag(TAG)).await }
    });
    confirmed.reached().await;
    primary.server.kill();
    proxy.retarget(replica.server.address());
    proxy.cut();
    until(async || has_ended(old, &replica) && trusted(&a)).await;
    confirmed.go();
    assert_eq!(late.await.unwrap().inc, old);
    until(async || a.stats().invalidations_retried == 1 && a.stats().unconfirmed == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_is_full_is_asked_whether_it_may_have_been_replaced() {
    let bench = Bench::with(&["--maxmemory-policy", "noeviction"]);
    let c = soon(bench.builder().without_tail().build()).await.unwrap();
    store(&c, 1).await;
    let value = async || read_through(&c, 2).await.unwrap().value;
    until(async || value().await == 1).await;
    bench.raw(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(value().await, 1, "full, and the primary");
    bench.raw(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert_eq!(value().await, 2);
}
