//! The chaos kit: each fault does what it says, on both stores, and ends when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::poll;
use shelflife::chaos::{Faults, Target};
use shelflife::{Builder, Cache, ErrorKind, Invalidation, LoadError, Outcome, Reason};

use crate::gate::{Gate, soon, until};
use crate::on_both_stores;
use crate::stores::Bench;

mod history;

const KEY: &str = "users:42";
/// What is said to come late comes after this.
const LATE: Duration = Duration::from_millis(30);
/// Longer than a test waits for anything that does come.
const PATIENT: Duration = Duration::from_secs(60);

fn patient(bench: &Bench) -> Builder {
    bench.builder().window(PATIENT).timeout(PATIENT)
}

async fn with(bench: &Bench) -> (Cache, Faults) {
    let faults = Faults::new();
    let cache = patient(bench).chaos(&faults).build().await.unwrap();
    (cache, faults)
}

async fn load(cache: &Cache, value: u32) -> Result<u32, LoadError<std::convert::Infallible>> {
    soon(cache.get_or_load(KEY, Gate::open().loader(value))).await
}

/// What the store itself has.
async fn stored(cache: &Cache) -> Option<u32> {
    cache.entry(KEY).strict().get().await
}

on_both_stores! {
    async fn while_the_store_is_down_reads_load_and_writes_tell_the_truth(bench) {
        let (cache, faults) = with(&bench).await;
        let outage = faults.down();
        assert_eq!(load(&cache, 1).await.unwrap(), 1);
        assert_eq!(load(&cache, 2).await.unwrap(), 2, "nothing was stored");
        for refused in [cache.set(KEY, 3_u32).await, cache.delete(KEY).await] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
        }
        assert_eq!(cache.ping().await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(cache.entry(KEY).begin_write().await.is_err());
        assert!(outage.struck() > 4);
        drop(outage);
        cache.ping().await.unwrap();
        // What could not be confirmed is made up for.
        until(async || cache.stats().unconfirmed == 0).await;
        assert_eq!(load(&cache, 4).await.unwrap(), 4);
        assert_eq!(stored(&cache).await, Some(4));
    }

    async fn an_error_strikes_the_next_few_and_no_others(bench) {
        let (cache, faults) = with(&bench).await;
        let lost = faults.on(Target::Writes).next(2).error();
        // Both at once: the first would be tried again before long, and be struck in the second's place.
        let both = tokio::join!(cache.delete("other"), cache.delete("another"));
        both.0.unwrap_err();
        both.1.unwrap_err();
        assert_eq!(lost.struck(), 2);
        cache.delete("other").await.unwrap();
        assert_eq!(lost.struck(), 2);
        assert!(cache.get::<u32>(KEY).await.is_none());
    }

    async fn a_delay_makes_a_step_late_and_from_the_timeout_on_none(bench) {
        let (cache, faults) = with(&bench).await;
        let slow = faults.on(Target::Writes).delay(LATE);
        let began = std::time::Instant::now();
        soon(cache.set(KEY, 1_u32)).await.unwrap();
        assert!(began.elapsed() >= LATE);
        drop(slow);
        assert_eq!(stored(&cache).await, Some(1));
        let faults = Faults::new();
        let hasty = bench.builder().timeout(LATE).chaos(&faults).build().await.unwrap();
        let _slow = faults.on(Target::Writes).delay(PATIENT);
        let refused = soon(hasty.set(KEY, 2_u32)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(refused.to_string().contains("no answer within"), "{refused}");
    }

    async fn what_is_frozen_goes_on_when_the_fault_ends(bench) {
        let (cache, faults) = with(&bench).await;
        cache.set(KEY, 1_u32).await.unwrap();
        let frozen = faults.on(Target::Writes).freeze();
        let deleting = {
            let cache = cache.clone();
            tokio::spawn(async move { cache.delete(KEY).await })
        };
        soon(frozen.has_struck(1)).await;
        assert_eq!(stored(&cache).await, Some(1), "it has not happened");
        drop(frozen);
        soon(deleting).await.unwrap().unwrap();
        assert_eq!(stored(&cache).await, None);
    }

    async fn what_stays_frozen_counts_as_not_answered(bench) {
        let faults = Faults::new();
        let cache = bench.builder().timeout(LATE).chaos(&faults).build().await.unwrap();
        let frozen = faults.on(Target::Writes).freeze();
        let refused = soon(cache.delete(KEY)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(frozen.struck() >= 1);
    }

    async fn what_is_lost_has_happened(bench) {
        let (cache, faults) = with(&bench).await;
        let other = Faults::new();
        cache.set(KEY, 1_u32).await.unwrap();
        drop(other);
        let lost = faults.on(Target::Writes).next(1).lose();
        let told = soon(cache.delete(KEY)).await.unwrap_err();
        assert_eq!((told.kind(), lost.struck()), (ErrorKind::Unavailable, 1));
        assert_eq!(stored(&cache).await, None, "it is gone all the same");
    }

    async fn a_fill_whose_answer_is_lost_is_no_failure_of_the_read(bench) {
        let (cache, faults) = with(&bench).await;
        let gate = Gate::closed();
        let reading = {
            let (cache, loader) = (cache.clone(), gate.loader(7_u32));
            tokio::spawn(async move { cache.get_or_load(KEY, loader).await })
        };
        gate.entered().await;
        let lost = faults.on(Target::Writes).next(1).lose();
        gate.release();
        assert_eq!(soon(reading).await.unwrap().unwrap(), 7);
        assert_eq!(lost.struck(), 1);
    }

    async fn loads_fail_freeze_and_are_lost(bench) {
        let (cache, faults) = with(&bench).await;
        let calls = Arc::new(AtomicUsize::new(0));
        let read = async |key: &'static str| {
            let calls = calls.clone();
            let load = move || async move {
                calls.fetch_add(1, Ordering::SeqCst);
                Ok::<_, std::io::Error>(1_u32)
            };
            soon(cache.get_or_load(key, load)).await
        };
        let failing = faults.failing_loads();
        let failed = read("a").await.unwrap_err();
        assert!(matches!(failed, LoadError::Foreign(_)), "{failed}");
        assert_eq!((calls.load(Ordering::SeqCst), failing.struck()), (0, 1));
        drop(failing);
        let lost = faults.on(Target::Loads).next(1).lose();
        read("b").await.unwrap_err();
        assert_eq!((calls.load(Ordering::SeqCst), lost.struck()), (1, 1));
        let frozen = faults.on(Target::Loads).freeze();
        let mut reading = Box::pin(read("c"));
        assert!(poll!(&mut reading).is_pending());
        let mut struck = Box::pin(frozen.has_struck(1));
        // The read is driven while it is waited for.
        tokio::select! {
            _ = &mut reading => panic!("it is frozen"),
            () = &mut struck => {}
        }
        drop(struck);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        drop(frozen);
        assert_eq!(reading.await.unwrap(), 1);
        assert_eq!(cache.stats().load_failures, 2);
    }

    async fn a_stale_value_stands_in_for_a_load_that_fails(bench) {
        let (cache, faults) = with(&bench).await;
        let entry = cache.entry(KEY).ttl(Duration::from_millis(1)).stale(PATIENT);
        entry.set(1_u32).await.unwrap();
        until(async || cache.get::<u32>(KEY).await.is_none()).await;
        let _failing = faults.failing_loads();
        let entry = cache.entry(KEY).stale(PATIENT).soft_timeout(PATIENT);
        let got = soon(entry.lookup_or_load(Gate::open().loader(2_u32))).await.unwrap();
        assert_eq!((got.value, got.status.outcome()), (1, Outcome::Stale));
        assert_eq!(got.status.reason(), Reason::LoadFailed);
    }

    async fn healing_ends_all_and_what_is_kept_lasts_until_then(bench) {
        let (cache, faults) = with(&bench).await;
        faults.on(Target::Reads).error().keep();
        let _also = faults.on(Target::Writes).error();
        cache.delete(KEY).await.unwrap_err();
        cache.ping().await.unwrap_err();
        faults.heal();
        cache.ping().await.unwrap();
        cache.delete(KEY).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_log_is_frozen_stops_trusting_its_memory() {
    let bench = Bench::redis();
    let faults = Faults::new();
    let window = Duration::from_millis(400);
    let cache = bench
        .builder()
        .window(window)
        .chaos(&faults)
        .build()
        .await
        .unwrap();
    let other = bench.builder().window(window).build().await.unwrap();
    load(&cache, 1).await.unwrap();
    let frozen = faults.on(Target::Log).freeze();
    soon(frozen.has_struck(1)).await;
    // Returns when the silent one's window has closed.
    soon(other.invalidate(Invalidation::new().key(KEY)).everywhere())
        .await
        .unwrap();
    assert_eq!(cache.get::<u32>(KEY).await, None);
    assert_eq!(load(&cache, 2).await.unwrap(), 2);
    drop(frozen);
    until(async || {
        let seen = cache.entry(KEY).lookup::<u32>().await;
        seen.status.tier() == Some(shelflife::Tier::L1)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_the_store_while_it_waits_for_a_lease_waits_for_a_place_alone() {
    let bench = Bench::redis();
    let faults = Faults::new();
    let builder = patient(&bench).chaos(&faults).loads(1);
    let (full, other) = (builder.build().await.unwrap(), bench.cache().await);
    let (busy, elsewhere) = (Gate::closed(), Gate::closed());
    let spawn = |cache: &Cache, key: &'static str, gate: &Gate| {
        let (cache, loader) = (cache.clone(), gate.loader(7_u32));
        tokio::spawn(async move { soon(cache.get_or_load(key, loader)).await.unwrap() })
    };
    let filling = spawn(&full, "busy", &busy);
    busy.entered().await;
    let holding = spawn(&other, KEY, &elsewhere);
    elsewhere.entered().await;
    let waiting = spawn(&full, KEY, &Gate::open());
    until(async || full.stats().leases_awaited == 1).await;
    let outage = faults.on(Target::Reads).error();
    until(async || full.stats().loads_waiting == 1).await;
    assert_eq!(full.stats().leases_awaited, 0);
    for gate in [busy, elsewhere] {
        gate.release();
    }
    for read in [filling, holding, waiting] {
        assert_eq!(soon(read).await.unwrap(), 7);
    }
    drop(outage);
}
