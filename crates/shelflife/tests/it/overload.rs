//! More loads than a process may have under way: what is served, what waits, and what is refused.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use shelflife::{Cache, ErrorKind, LoadError, Loaded, Outcome, Reason};
use tokio::task::JoinHandle;

use crate::gate::{Gate, soon, until};
use crate::on_both_stores;
use crate::stores::Bench;

const LONG: Duration = Duration::from_secs(600);

type Answer = Result<Loaded<u32>, LoadError<Infallible>>;

async fn bounded(bench: &Bench, loads: usize, waiting: usize) -> Cache {
    let builder = bench.builder().window(Duration::from_secs(60)).stale(LONG);
    builder
        .loads(loads)
        .loads_waiting(waiting)
        .build()
        .await
        .unwrap()
}

fn read(cache: &Cache, key: &str, gate: &Gate, value: u32) -> JoinHandle<Answer> {
    let (cache, key, loader) = (cache.clone(), key.to_owned(), gate.loader(value));
    tokio::spawn(async move { soon(cache.entry(key).lookup_or_load(loader)).await })
}

/// Takes all places; gives the gate that holds them.
async fn filled(cache: &Cache, loads: usize) -> (Gate, Vec<JoinHandle<Answer>>) {
    let gate = Gate::closed();
    let mut reads = Vec::new();
    for n in 0..loads {
        reads.push(read(cache, &format!("busy:{n}"), &gate, 1));
        gate.entered().await;
    }
    assert_eq!(cache.stats().loads_running, loads as u64);
    (gate, reads)
}

/// A load that has entered, and reads `key` once its gate is open.
async fn reads_inside(
    cache: &Cache,
    key: &'static str,
) -> (Gate, JoinHandle<Result<u32, LoadError<String>>>) {
    let (gate, cache, inner) = (Gate::closed(), cache.clone(), cache.clone());
    let at = gate.clone();
    let load = move || async move {
        at.pass().await;
        let read = inner.get_or_load(key, || async { Ok::<_, String>(1_u32) });
        read.await.map_err(|error| error.to_string())
    };
    let outer = tokio::spawn(async move { cache.get_or_load("outer", load).await });
    gate.entered().await;
    (gate, outer)
}

type Batch = Result<HashMap<u32, u32>, LoadError<Infallible>>;

async fn batch_of(cache: &Cache, ids: std::ops::Range<u32>, hard_timeout: Duration) -> Batch {
    let load = |ids: Vec<u32>| async move { Ok(ids.into_iter().map(|id| (id, id)).collect()) };
    let many = cache.get_or_load_many(
        ids,
        |c, id| c.entry(format!("k:{id}")).hard_timeout(hard_timeout),
        load,
    );
    many.await
}

fn batch(cache: &Cache, ids: std::ops::Range<u32>, hard_timeout: Duration) -> JoinHandle<Batch> {
    let cache = cache.clone();
    tokio::spawn(async move { batch_of(&cache, ids, hard_timeout).await })
}

async fn is_idle(cache: &Cache) {
    until(async || {
        let stats = cache.stats();
        (stats.loads_running, stats.loads_waiting, stats.flights) == (0, 0, 0)
    })
    .await;
}

on_both_stores! {
    async fn no_more_loads_run_than_may_and_the_others_have_their_turn(bench) {
        let cache = bounded(&bench, 3, 100).await;
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let reads = (0..50_u32).map(|n| {
            let (cache, now, most) = (cache.clone(), now.clone(), most.clone());
            tokio::spawn(async move {
                let load = move || async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, String>(n)
                };
                cache.get_or_load(format!("k:{n}"), load).await
            })
        });
        for (n, read) in (0..).zip(soon(join_all(reads)).await) {
            assert_eq!(read.unwrap().unwrap(), n);
        }
        assert!(most.load(Ordering::SeqCst) <= 3);
        is_idle(&cache).await;
        assert_eq!(cache.stats().loads_shed, 0);
    }

    async fn who_finds_no_room_in_the_line_is_refused_at_once(bench) {
        let cache = bounded(&bench, 1, 2).await;
        let (gate, busy) = filled(&cache, 1).await;
        let open = Gate::open();
        let waiting = [read(&cache, "a", &open, 2), read(&cache, "b", &open, 2)];
        until(async || cache.stats().loads_waiting == 2).await;
        let refused = soon(cache.entry("c").lookup_or_load(open.loader(3_u32))).await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, LoadError::Overloaded), "{refused}");
        assert_eq!(shelflife::Error::from(refused).kind(), ErrorKind::Overloaded);
        let stats = cache.stats();
        assert_eq!((stats.loads_shed, stats.reasons[&Reason::Overloaded]), (1, 1));
        gate.release();
        for read in busy.into_iter().chain(waiting) {
            soon(read).await.unwrap().unwrap();
        }
        assert_eq!(soon(cache.get_or_load("c", open.loader(3_u32))).await.unwrap(), 3);
        is_idle(&cache).await;
    }

    async fn who_waits_and_goes_away_leaves_the_line(bench) {
        let cache = bounded(&bench, 1, 1).await;
        let (gate, busy) = filled(&cache, 1).await;
        let open = Gate::open();
        let waiting = read(&cache, "a", &open, 2);
        until(async || cache.stats().loads_waiting == 1).await;
        waiting.abort();
        until(async || cache.stats().loads_waiting == 0).await;
        let next = read(&cache, "b", &open, 2);
        until(async || cache.stats().loads_waiting == 1).await;
        gate.release();
        soon(next).await.unwrap().unwrap();
        for read in busy {
            soon(read).await.unwrap().unwrap();
        }
        is_idle(&cache).await;
        assert_eq!(open.loads(), 1);
    }

    async fn a_stale_value_is_served_while_there_is_no_place(bench) {
        let cache = bounded(&bench, 1, 100).await;
        let entry = cache.entry("users:42").ttl(Duration::from_millis(1));
        entry.set(1_u32).await.unwrap();
        until(async || cache.get::<u32>("users:42").await.is_none()).await;
        let (gate, busy) = filled(&cache, 1).await;
        let open = Gate::open();
        let got = soon(cache.entry("users:42").lookup_or_load(open.loader(2_u32))).await.unwrap();
        assert_eq!((got.value, got.status.outcome()), (1, Outcome::Stale));
        assert_eq!(got.status.reason(), Reason::Overloaded);
        until(async || cache.stats().flights == 1).await;
        assert!(cache.stats().loads_shed >= 1);
        assert_eq!(open.loads(), 0, "what nobody waits for goes first");
        gate.release();
        for read in busy {
            soon(read).await.unwrap().unwrap();
        }
        is_idle(&cache).await;
        until(async || {
            let loader = open.loader(2_u32);
            cache.entry("users:42").lookup_or_load(loader).await.unwrap().value == 2
        })
        .await;
    }

    async fn a_load_inside_another_needs_no_place(bench) {
        let cache = bounded(&bench, 1, 0).await;
        let outer = {
            let cache = cache.clone();
            move || async move { cache.get_or_load("inner", || async { Ok::<_, String>(1_u32) }).await.map_err(|e| e.to_string()) }
        };
        assert_eq!(soon(cache.get_or_load("outer", outer)).await.unwrap(), 1);
        is_idle(&cache).await;
    }

    async fn a_load_that_another_one_waits_for_needs_no_place_whoever_leads_it(bench) {
        let cache = bounded(&bench, 1, 10).await;
        let (gate, outer) = reads_inside(&cache, "inner").await;
        let waiting = read(&cache, "inner", &Gate::open(), 7);
        until(async || cache.stats().loads_waiting == 1).await;
        gate.release();
        assert_eq!(soon(outer).await.unwrap().unwrap(), 7);
        assert_eq!(soon(waiting).await.unwrap().unwrap().value, 7);
        is_idle(&cache).await;
    }

    async fn the_same_when_a_batch_leads_it(bench) {
        let cache = bounded(&bench, 1, 10).await;
        let (gate, outer) = reads_inside(&cache, "k:3").await;
        let waiting = batch(&cache, 0..5, LONG);
        until(async || cache.stats().loads_waiting == 1).await;
        gate.release();
        assert_eq!(soon(outer).await.unwrap().unwrap(), 3);
        assert_eq!(soon(waiting).await.unwrap().unwrap().len(), 5);
        is_idle(&cache).await;
    }

    async fn the_same_when_a_batch_joins_it(bench) {
        let cache = bounded(&bench, 1, 10).await;
        let (gate, entered) = (Gate::closed(), Gate::open());
        let outer = {
            let (cache, gate, entered) = (cache.clone(), gate.clone(), entered.clone());
            let inner = cache.clone();
            let load = move || async move {
                entered.pass().await;
                gate.pass().await;
                batch_of(&inner, 0..5, LONG).await.map(|found| found.len()).map_err(|e| e.to_string())
            };
            tokio::spawn(async move { cache.get_or_load("outer", load).await })
        };
        entered.entered().await;
        let waiting = read(&cache, "k:3", &Gate::open(), 3);
        until(async || cache.stats().loads_waiting == 1).await;
        gate.release();
        assert_eq!(soon(outer).await.unwrap().unwrap(), 5);
        assert_eq!(soon(waiting).await.unwrap().unwrap().value, 3);
        is_idle(&cache).await;
    }

    async fn a_batch_waits_for_a_place_no_longer_than_for_its_load(bench) {
        let cache = bounded(&bench, 1, 10).await;
        let (gate, busy) = filled(&cache, 1).await;
        let waiting = batch(&cache, 0..5, Duration::from_millis(200));
        until(async || cache.stats().loads_waiting == 1 || waiting.is_finished()).await;
        let joined = read(&cache, "k:3", &Gate::open(), 7);
        let refused = soon(waiting).await.unwrap().unwrap_err();
        assert!(matches!(refused, LoadError::TimedOut(_)), "{refused}");
        // Who joined it waits for himself.
        until(async || cache.stats().loads_waiting == 1).await;
        assert_eq!(cache.stats().loads, 1);
        gate.release();
        assert_eq!(soon(joined).await.unwrap().unwrap().value, 7);
        for read in busy {
            soon(read).await.unwrap().unwrap();
        }
        is_idle(&cache).await;
    }

    async fn stale_values_stand_in_for_a_batch_that_has_no_place(bench) {
        let cache = bounded(&bench, 1, 10).await;
        for n in 0..5_u32 {
            cache.entry(format!("k:{n}")).ttl(Duration::from_millis(1)).set(n + 100).await.unwrap();
        }
        until(async || cache.get_many::<u32, _>((0..5).map(|n| format!("k:{n}"))).await.iter().all(Option::is_none)).await;
        let (gate, busy) = filled(&cache, 1).await;
        let found = soon(batch(&cache, 0..5, LONG)).await.unwrap().unwrap();
        assert_eq!(found, (0..5).map(|n| (n, n + 100)).collect());
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.loads_waiting, stats.loads_shed), (1, 0, 1));
        gate.release();
        for read in busy {
            soon(read).await.unwrap().unwrap();
        }
        is_idle(&cache).await;
    }

    async fn a_batch_is_one_load(bench) {
        let cache = bounded(&bench, 1, 0).await;
        let many = async || {
            let load = |ids: Vec<u32>| async move { Ok::<_, String>(ids.into_iter().map(|id| (id, id)).collect()) };
            let ids = 0..20_u32;
            soon(cache.get_or_load_many(ids, |c, id| c.entry(format!("k:{id}")), load)).await
        };
        let (gate, busy) = filled(&cache, 1).await;
        let refused = many().await.unwrap_err();
        assert!(matches!(refused, LoadError::Overloaded), "{refused}");
        gate.release();
        for read in busy {
            soon(read).await.unwrap().unwrap();
        }
        is_idle(&cache).await;
        assert_eq!(many().await.unwrap().len(), 20);
        is_idle(&cache).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_place_keeps_no_other_process_from_loading() {
    let bench = Bench::redis();
    let (full, other) = (bounded(&bench, 1, 100).await, bench.cache().await);
    let (gate, busy) = filled(&full, 1).await;
    let open = Gate::open();
    let waiting = read(&full, "users:42", &open, 1);
    until(async || full.stats().loads_waiting == 1).await;
    let elsewhere = soon(other.get_or_load("users:42", Gate::open().loader(2_u32))).await;
    assert_eq!(elsewhere.unwrap(), 2);
    gate.release();
    let got = soon(waiting).await.unwrap().unwrap();
    assert_eq!(got.value, 2, "it looks again when it has a place");
    assert_eq!(open.loads(), 0);
    for read in busy {
        soon(read).await.unwrap().unwrap();
    }
    is_idle(&full).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_has_nothing_to_load_keeps_no_place_while_it_waits_for_others() {
    let bench = Bench::redis();
    let (cache, other) = (bounded(&bench, 2, 100).await, bench.cache().await);
    let (gate, busy) = filled(&cache, 1).await;
    let slow = Gate::closed();
    let joined = read(&cache, "k:1", &slow, 1);
    slow.entered().await;
    let waiting = batch(&cache, 0..2, LONG);
    until(async || cache.stats().loads_waiting == 1).await;
    soon(other.get_or_load("k:0", Gate::open().loader(7_u32)))
        .await
        .unwrap();
    gate.release();
    for read in busy {
        soon(read).await.unwrap().unwrap();
    }
    // The place goes from the busy load to the batch at once; what is left is that of the load it has joined.
    until(async || cache.stats().loads_running == 1).await;
    assert!(!joined.is_finished());
    slow.release();
    let found = soon(waiting).await.unwrap().unwrap();
    assert_eq!(found, HashMap::from([(0, 7), (1, 1)]));
    soon(joined).await.unwrap().unwrap();
    is_idle(&cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_finds_all_of_it_there_waits_for_nobody() {
    let bench = Bench::redis();
    let (cache, other) = (bounded(&bench, 1, 100).await, bench.cache().await);
    let (gate, busy) = filled(&cache, 1).await;
    let waiting = batch(&cache, 0..2, LONG);
    until(async || cache.stats().loads_waiting == 1).await;
    batch_of(&other, 0..2, LONG).await.unwrap();
    gate.release();
    assert_eq!(soon(waiting).await.unwrap().unwrap().len(), 2);
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.timings.lease_waits.count()), (1, 0));
    for read in busy {
        soon(read).await.unwrap().unwrap();
    }
    is_idle(&cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_place_waits_for_no_lease_any_more() {
    let bench = Bench::redis();
    let (full, other) = (bounded(&bench, 1, 100).await, bench.cache().await);
    let (gate, busy) = filled(&full, 1).await;
    let elsewhere = Gate::closed();
    let failing = {
        let (other, elsewhere) = (other.clone(), elsewhere.clone());
        let load = move || async move {
            elsewhere.pass().await;
            Err::<u32, _>("the source is gone")
        };
        tokio::spawn(async move { other.get_or_load("users:42", load).await })
    };
    elsewhere.entered().await;
    let waiting = read(&full, "users:42", &Gate::open(), 1);
    until(async || full.stats().leases_awaited == 1).await;
    elsewhere.release();
    soon(failing).await.unwrap().unwrap_err();
    until(async || full.stats().loads_waiting == 1).await;
    let stats = full.stats();
    assert_eq!(stats.leases_awaited, 0);
    assert_eq!(stats.timings.lease_waits.count(), 1);
    gate.release();
    soon(waiting).await.unwrap().unwrap();
    for read in busy {
        soon(read).await.unwrap().unwrap();
    }
    is_idle(&full).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_store_the_bound_holds_too() {
    let mut bench = Bench::redis();
    let cache = bounded(&bench, 1, 1).await;
    bench.server().kill();
    let (gate, busy) = filled(&cache, 1).await;
    let open = Gate::open();
    let waiting = read(&cache, "a", &open, 2);
    until(async || cache.stats().loads_waiting == 1).await;
    let refused = soon(cache.get_or_load("b", open.loader(3_u32)))
        .await
        .unwrap_err();
    assert!(matches!(refused, LoadError::Overloaded), "{refused}");
    gate.release();
    assert_eq!(soon(waiting).await.unwrap().unwrap().value, 2);
    for read in busy {
        soon(read).await.unwrap().unwrap();
    }
    is_idle(&cache).await;
}
