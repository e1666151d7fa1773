//! Several keys at once: what is missing is loaded in one load.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use futures_util::poll;
use shelflife::{Cache, Invalidation};

use crate::gate::{Gate, soon};
use crate::loads::{MANY_LEASES, ROUNDS, short};
use crate::on_both_stores;

on_both_stores! {
    async fn a_batch_inside_the_load_of_one_of_its_keys_does_not_wait_for_itself(bench) {
        let cache = bench.cache().await;
        let inner = cache.clone();
        let value = soon(cache.get_or_load("k:1", move || async move {
            let many = inner.get_or_load_many([1_u32], |c, id| c.entry(format!("k:{id}")), |ids| async {
                Ok::<_, Infallible>(ids.into_iter().map(|id| (id, id)).collect())
            }).await;
            many.map(|m| m[&1])
        })).await.unwrap();
        assert_eq!(value, 1);
    }

    async fn leases_of_a_batch_hold_for_as_long_as_its_load_lives(bench) {
        if !bench.is_shared() { return; }
        let (cache, other) = (bench.cache().await, bench.cache().await);
        for round in (0..ROUNDS).map(|round| round * 10) {
            let gate = Gate::closed();
            let (owner, at) = (cache.clone(), gate.clone());
            let owner = tokio::spawn(async move {
                owner.get_or_load_many([round, round + 1], |c, id| c.entry(format!("k:{id}")).policy(short()), move |ids| {
                    let at = at.clone();
                    async move {
                        at.pass().await;
                        Ok::<HashMap<u32, u32>, Infallible>(ids.into_iter().map(|id| (id, id + 100)).collect())
                    }
                }).await.unwrap()
            });
            gate.entered().await;
            let last = format!("k:{}", round + 1);
            let entry = other.entry(&*last).policy(short());
            let waiting = entry.get_or_load(Gate::open().loader(0_u32));
            let waited = tokio::time::timeout(MANY_LEASES, Box::pin(waiting)).await.is_err();
            gate.release();
            assert_eq!(owner.await.unwrap(), HashMap::from([(round, round + 100), (round + 1, round + 101)]));
            if waited && other.get::<u32>(&*last).await == Some(round + 101) {
                return;
            }
        }
        panic!("others did not wait for the owner");
    }

    async fn several_keys_are_loaded_in_one_load(bench) {
        let cache = bench.cache().await;
        cache.set("k:1", 10_u32).await.unwrap();
        let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
        let read = |ids: Vec<u32>| {
            let asked = asked.clone();
            cache.get_or_load_many(ids, |c, id| c.entry(format!("k:{id}")).tag(format!("t:{id}")), move |missing| {
                asked.lock().unwrap().push(missing.clone());
                let found = missing.into_iter().filter(|id| *id != 4).map(|id| (id, id * 10));
                std::future::ready(Ok::<HashMap<u32, u32>, Infallible>(found.collect()))
            })
        };
        let got: BTreeMap<_, _> = read(vec![1, 2, 3, 4, 2]).await.unwrap().into_iter().collect();
        assert_eq!(got, BTreeMap::from([(1, 10), (2, 20), (3, 30)]));
        assert_eq!(*asked.lock().unwrap(), [vec![2, 3, 4]]);
        assert_eq!(read(vec![1, 2, 3]).await.unwrap().len(), 3);
        assert_eq!(asked.lock().unwrap().len(), 1);
        cache.invalidate(Invalidation::new().tag("t:3")).await.unwrap();
        read(vec![1, 2, 3]).await.unwrap();
        assert_eq!(asked.lock().unwrap()[1..], [vec![3]]);
        assert_eq!(read(vec![]).await.unwrap().len(), 0);
    }

    async fn batches_that_overlap_end_and_share(bench) {
        let cache = bench.cache().await;
        let loaded = Arc::new(AtomicUsize::new(0));
        let batches: Vec<_> = (0..16_u32).map(|at| {
            let (cache, loaded) = (cache.clone(), loaded.clone());
            tokio::spawn(async move {
                let mut ids: Vec<u32> = (0..10).collect();
                ids.rotate_left(at as usize % 10);
                cache.get_or_load_many(ids, |c, id| c.entry(format!("k:{id}")), move |ids| {
                    loaded.fetch_add(ids.len(), Ordering::SeqCst);
                    async move {
                        tokio::task::yield_now().await;
                        Ok::<HashMap<u32, u32>, Infallible>(ids.into_iter().map(|id| (id, id)).collect())
                    }
                }).await.unwrap()
            })
        }).collect();
        for batch in soon(join_all(batches)).await {
            assert_eq!(batch.unwrap(), (0..10).map(|id| (id, id)).collect());
        }
        assert_eq!(loaded.load(Ordering::SeqCst), 10);
    }
}

#[tokio::test]
async fn batches_that_wait_for_each_other_in_vain_end_without_the_value() {
    let cache = Cache::memory();
    let gates = [Gate::closed(), Gate::closed(), Gate::open()];
    let [mut first, mut second, mut third] = gates.each_ref().map(|gate| {
        let gate = gate.clone();
        let load = move |_: Vec<&'static str>| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok::<_, Infallible>(HashMap::<&str, u32>::new())
            }
        };
        Box::pin(cache.get_or_load_many(["ghost"], |c, id| c.entry(*id), load))
    });
    // The embedded store answers at once: the first leads, and the others have joined it.
    for batch in [&mut first, &mut second, &mut third] {
        assert!(poll!(batch).is_pending());
    }
    gates[0].entered().await;
    gates[0].release();
    assert_eq!(soon(first).await.unwrap(), HashMap::new());
    for batch in [&mut second, &mut third] {
        assert!(poll!(batch).is_pending());
    }
    gates[1].entered().await;
    gates[1].release();
    assert_eq!(soon(second).await.unwrap(), HashMap::new());
    assert_eq!(soon(third).await.unwrap(), HashMap::new());
    assert_eq!(cache.stats().loads, 3);
}
