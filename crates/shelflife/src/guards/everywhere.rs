//! Everywhere: nobody whose L1 may answer is left out.

use super::*;
use crate::store::Store;

/// Whether `everywhere` returns although somebody has not applied `epoch`: it has looked twice by then.
async fn returns(cache: &Cache, epoch: Epoch) -> bool {
    let probes = &cache.engine.settings.probes;
    let looked = probes.count(Point::Looked);
    tokio::select! {
        () = cache.engine.everywhere(epoch) => true,
        () = until(async || probes.count(Point::Looked) >= looked + 2) => false,
    }
}

fn name(cache: &Cache) -> &str {
    match &cache.engine.store {
        Store::Redis(store) => store.member(),
        Store::Embedded(_) => unreachable!("these tests have a server"),
    }
}

/// Waits until a process has told that it has applied `epoch`: then it is not the one to wait for.
async fn told(cache: &Cache, epoch: Epoch) {
    until(async || {
        let members = cache.engine.store.members().await.unwrap();
        let own = members.all.iter().find(|m| m.name == name(cache));
        let applied = own.and_then(|m| m.applied);
        members.clock.inc == epoch.inc && applied.is_some_and(|tick| tick >= epoch.tick)
    })
    .await;
}

/// As if the list had been kept for long.
fn complete(bench: &Bench) {
    let since = bench.raw(&["GET", MEMBERS_SINCE]);
    let rest = since.split_once(' ').map(|(_, rest)| format!(" {rest}"));
    let long_ago = format!("1{}", rest.unwrap_or_default());
    bench.raw(&["SET", MEMBERS_SINCE, &long_ago]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn joiner_as_none() {
    let bench = Bench::start();
    let b = bench.process().await;
    complete(&bench);
    let joiner = bench.builder();
    let positioned = joiner.probes().stop_at(Point::Positioned);
    let joining = tokio::spawn(joiner.build());
    positioned.reached().await;
    // It will begin before this, and may have trusted its L1 by then.
    let epoch = invalidate(&b, tag(TAG)).await;
    told(&b, epoch).await;
    assert!(
        !returns(&b, epoch).await,
        "one that joins has not applied it"
    );
    positioned.go();
    let joined = soon(joining).await.unwrap().unwrap();
    soon(b.engine.everywhere(epoch)).await;
    applied(&joined, epoch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everywhere_compares_incarnations() {
    let bench = Bench::start();
    bench.run_ahead(HOUR).await;
    let (a, b) = bench.two().await;
    warm(&a, &b).await;
    let old = bench.clock();
    told(&a, old).await;
    told(&b, old).await;
    complete(&bench);
    // A new life by a clock that is behind: what `a` had applied in the old one is a later tick. It will
    // hear of that with its next beat.
    bench.raw(&["DEL", CLOCK, LOG, ROOT, PREFIX, TAG_RECORD]);
    let other = bench.process().await;
    let epoch = invalidate(&other, tag(TAG)).await;
    told(&other, epoch).await;
    assert_eq!(a.get::<u32>(KEY).await, Some(1), "not yet everywhere");
    assert!(!returns(&other, epoch).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn applied_in_another_incarnation_is_none() {
    let bench = Bench::start();
    bench.run_ahead(HOUR).await;
    let (a, b) = bench.two().await;
    warm(&a, &b).await;
    // What it applies makes it tell so; by the time this arrives, it was in another life.
    let beating = stop(&a, Point::Beating);
    invalidate(&b, tag("before")).await;
    beating.reached().await;
    bench.raw(&["DEL", CLOCK, LOG, ROOT, PREFIX, TAG_RECORD]);
    let other = bench.process().await;
    complete(&bench);
    let epoch = invalidate(&other, tag(TAG)).await;
    told(&other, epoch).await;
    let beaten = stop(&a, Point::Beaten);
    beating.go();
    beaten.reached().await;
    assert_eq!(a.get::<u32>(KEY).await, Some(1), "not yet everywhere");
    assert!(!returns(&other, epoch).await);
    beaten.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn completeness_mark() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    warm(&a, &b).await;
    let tail = stop(&a, Point::Applying);
    for list in ["since", "applied", "beats"] {
        bench.raw(&["DEL", &format!("sl1:{{test}}:members:{list}")]);
    }
    let epoch = invalidate(&b, tag(TAG)).await;
    tail.reached().await;
    told(&b, epoch).await;
    assert_eq!(a.get::<u32>(KEY).await, Some(1), "not yet everywhere");
    assert!(!returns(&b, epoch).await);
    tail.go();
}
