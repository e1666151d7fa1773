//! Invalidations and writes against what is in flight. Loads stop at a barrier; no test waits for luck.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use shelflife::{Cache, Invalidation, ManualClock, Outcome, Reason};
use shelflife_testkit::Proxy;

use crate::gate::{Gate, soon, until};
use crate::on_both_stores;

const KEY: &str = "users:42";
const TAG: &str = "user:42";

/// Everything that can name the entry under test, hard.
fn hard() -> Vec<Invalidation> {
    let new = Invalidation::new;
    vec![
        new().key(KEY),
        new().tag(TAG),
        new().pattern("users:*"),
        new().pattern("us*:4?"),
        new().pattern("*"),
        new().all(),
        new().key("users:7").tag(TAG),
    ]
}

fn soft() -> Vec<Invalidation> {
    let new = Invalidation::new;
    vec![
        new().key(KEY).soft(),
        new().tag(TAG).soft(),
        new().pattern("users:*").soft(),
        new().all().soft(),
    ]
}

fn every() -> Vec<Invalidation> {
    hard().into_iter().chain(soft()).collect()
}

fn read(
    cache: &Cache,
    gate: &Gate,
    value: &str,
) -> tokio::task::JoinHandle<shelflife::Loaded<String>> {
    let (cache, loader) = (cache.clone(), gate.loader(value.to_owned()));
    tokio::spawn(async move {
        let entry = cache.entry(KEY).tag(TAG).stale(Duration::from_secs(60));
        soon(entry.lookup_or_load(loader)).await.unwrap()
    })
}

async fn assert_gone(caches: &[&Cache], what: &Invalidation) {
    for (at, cache) in caches.iter().enumerate() {
        let found = cache.get::<String>(KEY).await;
        assert_eq!(found, None, "cache {at} after {what:?}");
        let many = cache.get_many::<String, _>([KEY]).await;
        assert_eq!(many, [None], "cache {at} after {what:?}");
        let strict = cache.entry(KEY).strict().get::<String>().await;
        assert_eq!(strict, None, "cache {at} after {what:?}");
    }
}

async fn assert_works(cache: &Cache, value: &str) {
    let loaded = read(cache, &Gate::open(), value).await.unwrap().value;
    if loaded != value {
        // A soft invalidation gives what it marked once more; the refresh goes on.
        until(|| async { cache.get::<String>(KEY).await.as_deref() == Some(value) }).await;
    }
    assert_eq!(cache.get::<String>(KEY).await.as_deref(), Some(value));
}

async fn late_fill(by: &Cache, loader: &Cache, others: &[&Cache], what: &Invalidation) {
    let gate = Gate::closed();
    let old = read(loader, &gate, "old");
    gate.entered().await;
    soon(by.invalidate(what.clone())).await.unwrap();
    gate.release();
    let old = old.await.unwrap();
    assert_eq!(old.value, "old", "a read that began before may have it");
    assert!(!old.status.stored(), "{what:?}");
    let mut all = vec![loader];
    all.extend(others);
    assert_gone(&all, what).await;
    assert_works(loader, "new").await;
}

on_both_stores! {
    async fn an_invalidation_during_the_first_load_ever_leaves_nothing(bench) {
        for (at, what) in every().into_iter().enumerate() {
            let builder = bench.builder().namespace(&format!("n{at}"));
            let cache = builder.clone().build().await.unwrap();
            if bench.is_shared() {
                let other = builder.build().await.unwrap();
                late_fill(&cache, &cache, &[&other], &what).await;
            } else {
                late_fill(&cache, &cache, &[], &what).await;
            }
        }
    }

    async fn an_invalidation_during_a_later_load_leaves_nothing(bench) {
        let cache = bench.cache().await;
        for what in every() {
            assert_works(&cache, "before").await;
            cache.delete(KEY).await.unwrap();
            late_fill(&cache, &cache, &[], &what).await;
            cache.delete(KEY).await.unwrap();
        }
    }

    async fn an_invalidation_by_another_process_during_a_load_leaves_nothing(bench) {
        if !bench.is_shared() { return; }
        let (cache, other) = (bench.cache().await, bench.cache().await);
        for what in every() {
            late_fill(&other, &cache, &[&other], &what).await;
            cache.delete(KEY).await.unwrap();
        }
    }

    async fn an_event_during_a_load_leaves_nothing(bench) {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Updated { id: u32 }
        impl shelflife::Event for Updated {
            const NAME: &'static str = "updated";
        }
        let cache = bench.cache().await;
        cache.on(|e: &Updated| Invalidation::new().tag(format!("user:{}", e.id)));
        let gate = Gate::closed();
        let old = read(&cache, &gate, "old");
        gate.entered().await;
        cache.emit(&Updated { id: 42 }).await.unwrap();
        gate.release();
        assert!(!old.await.unwrap().status.stored());
        assert_gone(&[&cache], &Invalidation::new()).await;
    }

    async fn a_tag_that_the_loader_adds_counts_from_the_start_of_the_load(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let (reader, at) = (cache.clone(), gate.clone());
        let old = tokio::spawn(async move {
            reader.entry(KEY).get_or_load(move || async move {
                shelflife::current_load().tag("late");
                at.pass().await;
                Ok::<_, std::convert::Infallible>("old".to_owned())
            }).await.unwrap()
        });
        gate.entered().await;
        cache.invalidate(Invalidation::new().tag("late")).await.unwrap();
        gate.release();
        old.await.unwrap();
        assert_gone(&[&cache], &Invalidation::new().tag("late")).await;
    }

    async fn a_set_during_a_load_stays(bench) {
        let cache = bench.cache().await;
        for many in [false, true] {
            let gate = Gate::closed();
            let old = read(&cache, &gate, "old");
            gate.entered().await;
            if many {
                cache.set_many([(KEY, "set".to_owned())]).await.unwrap();
            } else {
                cache.entry(KEY).tag(TAG).set("set".to_owned()).await.unwrap();
            }
            assert_eq!(cache.get::<String>(KEY).await.as_deref(), Some("set"));
            gate.release();
            assert!(!old.await.unwrap().status.stored());
            assert_eq!(cache.get::<String>(KEY).await.as_deref(), Some("set"));
            let strict = cache.entry(KEY).strict().get::<String>().await;
            assert_eq!(strict.as_deref(), Some("set"));
            cache.delete(KEY).await.unwrap();
        }
    }

    async fn an_announced_write_keeps_the_load_before_it_out(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let old = read(&cache, &gate, "old");
        gate.entered().await;
        let write = cache.entry(KEY).tag(TAG).begin_write().await.unwrap();
        gate.release();
        assert!(!old.await.unwrap().status.stored());
        assert_gone(&[&cache], &Invalidation::new()).await;
        let (_, stored) = write.finish("written".to_owned()).await.unwrap();
        assert!(stored);
        assert_eq!(cache.get::<String>(KEY).await.as_deref(), Some("written"));
    }

    async fn an_announced_write_keeps_the_refresh_before_it_out(bench) {
        let cache = bench.cache().await;
        let entry = cache.entry(KEY).tag(TAG).stale(Duration::from_secs(60));
        entry.set("first".to_owned()).await.unwrap();
        cache.invalidate(Invalidation::new().key(KEY).soft()).await.unwrap();
        let gate = Gate::closed();
        assert_eq!(read(&cache, &gate, "refreshed").await.unwrap().value, "first");
        gate.entered().await;
        let write = entry.begin_write().await.unwrap();
        gate.release();
        until(|| async { cache.stats().flights == 0 }).await;
        assert_gone(&[&cache], &Invalidation::new()).await;
        assert!(write.finish("written".to_owned()).await.unwrap().1);
        assert_eq!(cache.get::<String>(KEY).await.as_deref(), Some("written"));
    }

    async fn a_dropped_write_leaves_the_key_free(bench) {
        let cache = bench.cache().await;
        drop(cache.entry(KEY).begin_write().await.unwrap());
        assert_works(&cache, "new").await;
    }

    async fn an_invalidation_between_announcement_and_write_wins(bench) {
        let cache = bench.cache().await;
        for what in every() {
            let write = cache.entry(KEY).tag(TAG).begin_write().await.unwrap();
            cache.invalidate(what.clone()).await.unwrap();
            write.finish("written".to_owned()).await.unwrap();
            assert_gone(&[&cache], &what).await;
            cache.delete(KEY).await.unwrap();
        }
    }

    async fn of_two_announced_writes_the_first_can_not_overwrite_the_second(bench) {
        let cache = bench.cache().await;
        let first = cache.entry(KEY).begin_write().await.unwrap();
        let second = cache.entry(KEY).begin_write().await.unwrap();
        assert!(second.finish("second".to_owned()).await.unwrap().1);
        assert!(!first.finish("first".to_owned()).await.unwrap().1);
        assert_gone(&[&cache], &Invalidation::new()).await;
    }

    async fn who_comes_after_the_invalidation_does_not_get_the_load_before_it(bench) {
        let cache = bench.cache().await;
        for what in hard() {
            let gate = Gate::closed();
            let old = read(&cache, &gate, "old");
            gate.entered().await;
            cache.invalidate(what.clone()).await.unwrap();
            let entry = cache.entry(KEY).tag(TAG);
            let mut late = Box::pin(entry.get_or_load(Gate::open().loader("new".to_owned())));
            let first = poll!(&mut late);
            gate.release();
            let got = match first {
                std::task::Poll::Ready(got) => got,
                std::task::Poll::Pending => soon(late).await,
            };
            assert_eq!(got.unwrap(), "new", "{what:?}");
            assert_eq!(old.await.unwrap().value, "old");
            assert_eq!(cache.get::<String>(KEY).await.as_deref(), Some("new"), "{what:?}");
            cache.delete(KEY).await.unwrap();
        }
    }

    async fn an_invalidation_during_a_background_refresh_wins(bench) {
        let cache = bench.cache().await;
        for what in every() {
            let entry = cache.entry(KEY).tag(TAG).stale(Duration::from_secs(60));
            entry.set("first".to_owned()).await.unwrap();
            cache.invalidate(Invalidation::new().key(KEY).soft()).await.unwrap();
            let gate = Gate::closed();
            let stale = read(&cache, &gate, "refreshed").await.unwrap();
            assert_eq!((stale.value.as_str(), stale.status.outcome()), ("first", Outcome::Stale));
            gate.entered().await;
            cache.invalidate(what.clone()).await.unwrap();
            gate.release();
            until(|| async { cache.stats().flights == 0 }).await;
            assert_gone(&[&cache], &what).await;
            cache.delete(KEY).await.unwrap();
        }
    }

    async fn what_another_process_softened_is_not_fresh_in_l1(bench) {
        if !bench.is_shared() { return; }
        let (cache, other) = (bench.cache().await, bench.cache().await);
        for what in soft() {
            let entry = cache.entry(KEY).tag(TAG).stale(Duration::from_secs(60));
            other.entry(KEY).tag(TAG).stale(Duration::from_secs(60)).set("old".to_owned()).await.unwrap();
            other.invalidate(what.clone()).everywhere().await.unwrap();
            for _ in 0..3 {
                let seen = entry.lookup::<String>().await;
                assert_eq!(seen.status.outcome(), Outcome::Stale, "{what:?}");
                assert_eq!(seen.status.reason(), Reason::SoftInvalidated, "{what:?}");
            }
            // Of which the other has to have heard, or its next set may be taken for older.
            cache.invalidate(Invalidation::new().key(KEY)).everywhere().await.unwrap();
        }
    }

    async fn an_invalidation_during_a_forced_refresh_wins(bench) {
        let cache = bench.cache().await;
        for what in every() {
            let entry = cache.entry(KEY).tag(TAG).stale(Duration::from_secs(60));
            entry.set("first".to_owned()).await.unwrap();
            let gate = Gate::closed();
            let (other, loader) = (cache.clone(), gate.loader("forced".to_owned()));
            let forced = tokio::spawn(async move {
                other.entry(KEY).tag(TAG).refresh(loader).await.unwrap()
            });
            gate.entered().await;
            cache.invalidate(what.clone()).await.unwrap();
            gate.release();
            assert_eq!(forced.await.unwrap(), "forced");
            assert_gone(&[&cache], &what).await;
            cache.delete(KEY).await.unwrap();
        }
    }

    async fn an_invalidation_during_a_load_of_several_keys_wins(bench) {
        let cache = bench.cache().await;
        for what in every() {
            let gate = Gate::closed();
            let (reader, at) = (cache.clone(), gate.clone());
            let many = tokio::spawn(async move {
                let load = move |ids: Vec<u32>| {
                    let at = at.clone();
                    async move {
                        at.pass().await;
                        let value = |id| (id, "old".to_owned());
                        Ok::<_, std::convert::Infallible>(ids.into_iter().map(value).collect())
                    }
                };
                reader.get_or_load_many([41_u32, 42], |c, id| c.entry(format!("users:{id}")).tag(format!("user:{id}")), load).await.unwrap()
            });
            gate.entered().await;
            cache.invalidate(what.clone()).await.unwrap();
            gate.release();
            assert_eq!(soon(many).await.unwrap().len(), 2);
            assert_gone(&[&cache], &what).await;
            cache.invalidate(Invalidation::new().all()).await.unwrap();
        }
    }

    async fn no_read_after_an_invalidation_is_older_than_it(bench) {
        let source = Arc::new(AtomicU64::new(0));
        let caches = if bench.is_shared() {
            vec![bench.cache().await, bench.cache().await]
        } else {
            vec![bench.cache().await]
        };
        let apart = bench.is_shared() && !bench.has_server();
        let rounds = if apart { 75 } else { 150 };
        let worker = |seed: u64| {
            let (caches, source) = (caches.clone(), source.clone());
            async move {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..rounds {
                    let by = &caches[random.usize(..caches.len())];
                    let at_least = source.fetch_add(1, Ordering::SeqCst) + 1;
                    let ways = hard();
                    let what = ways[random.usize(..ways.len())].clone();
                    if random.u8(..8) == 0 {
                        let write = by.entry(KEY).tag(TAG).begin_write().await.unwrap();
                        let now = source.load(Ordering::SeqCst);
                        write.finish(now).await.unwrap();
                    } else {
                        by.invalidate(what.clone()).await.unwrap();
                    }
                    for cache in &caches {
                        let from = source.clone();
                        let load = move || async move {
                            let now = from.load(Ordering::SeqCst);
                            tokio::task::yield_now().await;
                            Ok::<_, std::convert::Infallible>(now)
                        };
                        let entry = cache.entry(KEY).tag(TAG);
                        let own = std::ptr::eq(cache, by);
                        let entry = if own { entry } else { entry.strict() };
                        let found = entry.get::<u64>().await;
                        assert!(found.is_none_or(|v| v >= at_least), "{found:?} < {at_least}, {what:?}");
                        let got = soon(entry.get_or_load(load)).await.unwrap();
                        assert!(got >= at_least, "{got} < {at_least}, own: {own}, {what:?}");
                    }
                }
            }
        };
        let all: Vec<_> = (0..4).map(|seed| tokio::spawn(worker(seed))).collect();
        for done in join_all(all).await {
            done.unwrap();
        }
    }

    async fn a_read_that_an_own_invalidation_overtakes_gives_nothing_older(bench) {
        if !bench.has_server() { return; }
        let writer = bench.cache().await;
        let proxy = Proxy::start(bench.server().address()).await;
        for what in hard() {
            let cache = bench.builder().url(proxy.url()).timeout(Duration::from_secs(10)).build().await.unwrap();
            writer.entry(KEY).tag(TAG).set("old".to_owned()).await.unwrap();
            assert_eq!(cache.get::<String>("another").await, None);
            let entry = cache.entry(KEY).tag(TAG);
            let mut get = Box::pin(entry.get::<String>());
            let mut many = Box::pin(cache.get_many::<String, _>([KEY]));
            let mut load = Box::pin(entry.get_or_load(Gate::open().loader("new".to_owned())));
            // Sent, and not looked at again until the invalidation, which is sent after, has returned.
            proxy.freeze(true);
            assert!(poll!(&mut get).is_pending());
            assert!(poll!(&mut many).is_pending());
            assert!(poll!(&mut load).is_pending());
            let mut invalidating = Box::pin(cache.invalidate(what.clone()));
            assert!(poll!(&mut invalidating).is_pending());
            proxy.freeze(false);
            soon(invalidating).await.unwrap();
            assert_eq!(soon(get).await, None, "{what:?}");
            assert_eq!(soon(many).await, [None], "{what:?}");
            assert_eq!(soon(load).await.unwrap(), "new", "{what:?}");
            assert_eq!(cache.get::<String>(KEY).await.as_deref(), Some("new"), "{what:?}");
        }
    }

    async fn a_strict_read_does_not_get_a_load_from_before_anothers_invalidation(bench) {
        if !bench.is_shared() { return; }
        let (cache, other) = (bench.cache().await, bench.cache().await);
        for what in hard() {
            let gate = Gate::closed();
            let old = read(&cache, &gate, "old");
            gate.entered().await;
            let receipt = other.invalidate(what.clone()).await.unwrap();
            let late: Vec<_> = [cache.entry(KEY).strict(), cache.entry(KEY).session(receipt)]
                .into_iter()
                .map(|entry| entry.tag(TAG))
                .collect();
            let reads = join_all(late.iter().map(|entry| entry.get_or_load(Gate::open().loader("new".to_owned()))));
            let mut reads = Box::pin(reads);
            // Begun before the old load ends; what it knows to be outdated it need not wait for.
            let begun = poll!(&mut reads);
            gate.release();
            let ended = match begun {
                std::task::Poll::Ready(ended) => ended,
                std::task::Poll::Pending => soon(reads).await,
            };
            for got in ended {
                assert_eq!(got.unwrap(), "new", "{what:?}");
            }
            old.await.unwrap();
            cache.delete(KEY).await.unwrap();
        }
    }

    async fn after_delta_a_read_does_not_get_a_load_from_before_anothers_invalidation(bench) {
        if !bench.is_shared() { return; }
        let clock = ManualClock::new();
        let cache = bench.builder().clock(&clock).build().await.unwrap();
        let other = bench.cache().await;
        let gate = Gate::closed();
        let old = read(&cache, &gate, "old");
        gate.entered().await;
        other.invalidate(Invalidation::new().tag(TAG)).await.unwrap();
        clock.advance(Duration::from_secs(2));
        let entry = cache.entry(KEY).tag(TAG);
        let mut late = Box::pin(entry.get_or_load(Gate::open().loader("new".to_owned())));
        let begun = poll!(&mut late);
        gate.release();
        let ended = match begun {
            std::task::Poll::Ready(ended) => ended,
            std::task::Poll::Pending => soon(late).await,
        };
        assert_eq!(ended.unwrap(), "new");
        old.await.unwrap();
    }
}
