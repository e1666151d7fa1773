//! Leases of the embedded store that run out under a load: they count for as long as nobody else has taken them.

use std::time::Duration;

use shelflife::{Cache, Invalidation, Loaded, ManualClock, Policy};

use crate::gate::{Gate, soon};

/// The longest lease there is.
const LONG: Duration = Duration::from_secs(300);

/// A load of the embedded store, whose lease runs out while it is under way and nobody extends it.
async fn late(clock: &ManualClock) -> (Cache, Gate, tokio::task::JoinHandle<Loaded<u32>>) {
    let builder = Cache::builder().clock(clock).jitter(0.0);
    let cache = builder.policy(Policy::new().lease(LONG).ttl(LONG * 4));
    let (cache, gate) = (cache.build().await.unwrap(), Gate::closed());
    let (owner, loader) = (cache.clone(), gate.loader(1_u32));
    let load = tokio::spawn(async move {
        owner
            .entry("k")
            .tag("t")
            .lookup_or_load(loader)
            .await
            .unwrap()
    });
    gate.entered().await;
    clock.advance(LONG + Duration::from_secs(30));
    cache.sweep();
    (cache, gate, load)
}

#[tokio::test]
async fn a_lease_that_has_run_out_still_stores_if_nobody_has_taken_it() {
    let clock = ManualClock::new();
    let (cache, gate, load) = late(&clock).await;
    gate.release();
    let loaded = soon(load).await.unwrap();
    assert!(loaded.status.stored(), "{}", loaded.status);
    assert_eq!(cache.get::<u32>("k").await, Some(1));
}

#[tokio::test]
async fn a_lease_that_has_run_out_stores_nothing_that_is_outdated() {
    for what in [
        Invalidation::new().key("k"),
        Invalidation::new().key("k").soft(),
        Invalidation::new().tag("t"),
        Invalidation::new().tag("t").soft(),
        Invalidation::new().pattern("k*"),
        Invalidation::new().pattern("*?"),
        Invalidation::new().all(),
    ] {
        let clock = ManualClock::new();
        let (cache, gate, load) = late(&clock).await;
        cache.invalidate(what.clone()).await.unwrap();
        gate.release();
        assert!(!soon(load).await.unwrap().status.stored(), "{what:?}");
        assert_eq!(cache.get::<u32>("k").await, None, "{what:?}");
    }
    let clock = ManualClock::new();
    let (cache, gate, load) = late(&clock).await;
    cache.set("k", 2_u32).await.unwrap();
    gate.release();
    assert!(!soon(load).await.unwrap().status.stored());
    assert_eq!(cache.get::<u32>("k").await, Some(2));
    let clock = ManualClock::new();
    let (cache, gate, load) = late(&clock).await;
    let write = cache.entry("k").begin_write().await.unwrap();
    gate.release();
    assert!(!soon(load).await.unwrap().status.stored());
    write.finish(2_u32).await.unwrap();
    assert_eq!(cache.get::<u32>("k").await, Some(2));
}
