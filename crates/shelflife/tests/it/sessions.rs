//! Session reads whose receipt is of a life that is over, or nobody's: cookies outlive servers, and anybody
//! can write one.

use std::pin::pin;

use futures_util::future::join_all;
use futures_util::poll;
use shelflife::{Cache, Invalidation, Receipt, Tier};

use crate::gate::{Gate, soon, until};
use crate::stores::Bench;

/// Waits until L1 answers in the life of the server that is now.
async fn trusted(cache: &Cache) {
    until(async || {
        let own = cache.set("own", 1_u32).await.is_ok();
        own && cache.entry("own").lookup::<u32>().await.status.tier() == Some(Tier::L1)
    })
    .await;
}

/// Reads of this session load once, share that, and are answered by L1 from then on.
async fn is_served(cache: &Cache, key: &str, receipt: Receipt) {
    let gate = Gate::closed();
    let leader = tokio::spawn({
        let (cache, key, load) = (cache.clone(), key.to_owned(), gate.loader(1_u32));
        async move { cache.entry(&*key).session(receipt).get_or_load(load).await }
    });
    gate.entered().await;
    let entry = cache.entry(key).session(receipt);
    let mut joiners = pin!(join_all(
        (0..16).map(|_| entry.get_or_load(gate.loader(2_u32)))
    ));
    for _ in 0..1000 {
        assert!(poll!(&mut joiners).is_pending());
        tokio::task::yield_now().await;
    }
    gate.release();
    assert_eq!(soon(leader).await.unwrap().unwrap(), 1);
    for joined in soon(joiners).await {
        assert_eq!(joined.unwrap(), 1);
    }
    assert_eq!(gate.loads(), 1, "{key}");
    let again = soon(entry.lookup_or_load(gate.loader(3_u32)))
        .await
        .unwrap();
    assert_eq!(again.status.tier(), Some(Tier::L1), "{key}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_of_a_life_that_is_over_costs_no_loads() {
    let mut bench = Bench::redis();
    let cache = bench.long_windowed().await;
    let dead = cache.invalidate(Invalidation::new().all()).await.unwrap();
    bench.server().cli(&["FLUSHALL"]);
    trusted(&cache).await;
    is_served(&cache, "dead", dead).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_that_nobody_gave_costs_no_loads() {
    let bench = Bench::redis();
    let cache = bench.long_windowed().await;
    let real = cache.invalidate(Invalidation::new().all()).await.unwrap();
    trusted(&cache).await;
    let hour = 3600 * 1_000_000;
    let later = real.epoch().tick + hour;
    let inc = format!("{:016x}", real.epoch().inc);
    for (key, forged) in [
        ("future", format!("{inc}:{later}")),
        ("for ever", format!("{inc}:{}", u64::MAX)),
        ("elsewhere", format!("{:016x}:{later}", 1)),
    ] {
        is_served(&cache, key, forged.parse().unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_of_a_life_of_which_a_process_has_not_heard_is_honoured() {
    let mut bench = Bench::redis();
    let (cache, other) = (bench.long_windowed().await, bench.cache().await);
    cache.entry("k").tag("t").set(1_u32).await.unwrap();
    until(async || cache.entry("k").lookup::<u32>().await.status.tier() == Some(Tier::L1)).await;
    // The log is another one now; a process behind a slow tail would still trust the old.
    bench.server().cli(&["FLUSHALL"]);
    let receipt = other.invalidate(Invalidation::new().tag("t")).await;
    let found = cache
        .entry("k")
        .session(receipt.unwrap())
        .get::<u32>()
        .await;
    assert_eq!(found, None);
    let load = Gate::open().loader(2_u32);
    let entry = cache.entry("k").session(receipt_of(&other).await);
    assert_eq!(soon(entry.get_or_load(load)).await.unwrap(), 2);
}

async fn receipt_of(cache: &Cache) -> Receipt {
    cache
        .invalidate(Invalidation::new().tag("t"))
        .await
        .unwrap()
}
