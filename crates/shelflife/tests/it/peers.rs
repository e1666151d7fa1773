//! Bugs that other caches had, as tests of this one. Those about loads and races that `loads` and
//! `races` cover are not repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use shelflife::{Cache, Invalidation, ManualClock, Pattern, Policy, Reason, Tier};
use shelflife_testkit::RedisServer;

use crate::gate::{Gate, soon, until};
use crate::on_both_stores;
use crate::stores::PATIENT;

const LONG: Duration = Duration::from_secs(3600);

fn on(server: &RedisServer) -> shelflife::Builder {
    Cache::builder()
        .url(server.url())
        .namespace("test")
        .jitter(0.0)
        .timeout(PATIENT)
}

on_both_stores! {
    async fn keys_that_look_alike_do_not_share_an_entry(bench) {
        let cache = bench.cache().await;
        let long = "k".repeat(700);
        let keys = [
            "a:b", "a%3Ab", "a b", "a%20b", "a*", "a?", "a", "A", "a:", ":a", "a\n", "a{b}", "ä", "a\u{308}", "",
            "a%", "a%%", "[a]", "\\a", &long, &format!("{long}x"), &format!("{}y", &long[..699]),
        ];
        for (at, key) in keys.iter().enumerate() {
            soon(cache.set(*key, at)).await.unwrap();
        }
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(cache.get::<usize>(*key).await, Some(at), "{key:?}");
            assert_eq!(cache.entry(*key).strict().get::<usize>().await, Some(at), "{key:?}");
        }
        assert_eq!(cache.get_many::<usize, _>(keys).await, (0..keys.len()).map(Some).collect::<Vec<_>>());
        for key in keys {
            cache.delete(key).await.unwrap();
            assert!(!cache.exists(key).await, "{key:?}");
        }
    }

    async fn user_text_does_not_widen_an_invalidation(bench) {
        let cache = bench.cache().await;
        for hostile in ["*", "a*", "?", "[a-z]*", "\\*"] {
            cache.entry("a:1").tag("owner:1").set(1_u32).await.unwrap();
            cache.entry(hostile).tag(hostile).set(2_u32).await.unwrap();
            cache.invalidate(Invalidation::new().tag(hostile)).await.unwrap();
            assert_eq!(cache.get::<u32>(hostile).await, None, "{hostile}");
            cache.entry(hostile).set(2_u32).await.unwrap();
            cache.invalidate(Invalidation::new().key(hostile)).await.unwrap();
            assert_eq!(cache.get::<u32>(hostile).await, None, "{hostile}");
            let escaped = Pattern::escape(hostile);
            cache.entry(format!("x:{hostile}:y")).set(3_u32).await.unwrap();
            cache.invalidate(Invalidation::new().pattern(format!("x:{escaped}:*"))).await.unwrap();
            assert_eq!(cache.entry("a:1").strict().get::<u32>().await, Some(1), "{hostile}");
        }
    }

    async fn values_come_back_as_what_they_were(bench) {
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        enum Shape { Unit, Pair(u8, String), Named { side: Option<f64> } }
        type Rich = (Vec<Shape>, BTreeMap<String, BTreeSet<i128>>, [u8; 4], char, Duration, Option<Vec<()>>);
        let value: Rich = (
            vec![Shape::Unit, Shape::Pair(255, "ä\0".into()), Shape::Named { side: None }, Shape::Named { side: Some(-0.5) }],
            BTreeMap::from([("k".to_owned(), BTreeSet::from([i128::from(i64::MIN), i128::from(u64::MAX)]))]),
            [0, 255, 1, 2], '\u{10ffff}', Duration::new(5, 999_999_999), Some(vec![(), ()]),
        );
        let cache = bench.cache().await;
        soon(cache.set("rich", value.clone())).await.unwrap();
        let reader = if bench.is_shared() { bench.cache().await } else { cache };
        assert_eq!(reader.get::<Rich>("rich").await, Some(value));
    }

    async fn a_value_that_its_caller_changes_stays_as_it_was(bench) {
        let cache = bench.cache().await;
        let mut mine = vec![1_u32];
        soon(cache.set("k", mine.clone())).await.unwrap();
        mine.push(2);
        let mut got = cache.get::<Vec<u32>>("k").await.unwrap();
        got.push(3);
        let mut loaded: Vec<u32> = cache.get_or_load("k", Gate::open().loader(vec![])).await.unwrap();
        loaded.clear();
        assert_eq!(cache.get::<Vec<u32>>("k").await, Some(vec![1]));
    }

    async fn a_short_lived_entry_does_not_shorten_the_life_of_its_tag(bench) {
        let cache = bench.cache().await;
        cache.entry("long").tag("t").ttl(LONG).set(1_u32).await.unwrap();
        cache.entry("short").tag("t").ttl(Duration::from_millis(1)).set(2_u32).await.unwrap();
        let load = cache.entry("shorter").tag("t").ttl(Duration::from_millis(1));
        load.get_or_load(Gate::open().loader(3_u32)).await.unwrap();
        if bench.has_server() {
            let left: i64 = bench.server().cli(&["PTTL", "sl1:{test}:t:t"]).parse().unwrap();
            assert!(left > 3_000_000, "{left}");
        }
        cache.invalidate(Invalidation::new().tag("t")).await.unwrap();
        assert_eq!(cache.entry("long").strict().get::<u32>().await, None);
    }

    async fn a_tag_is_forgotten_no_sooner_than_what_carries_it(bench) {
        let clock = ManualClock::new();
        let cache = bench.builder().clock(&clock).build().await.unwrap();
        cache.entry("k").tag("t").ttl(LONG).stale(LONG).set(1_u32).await.unwrap();
        if bench.is_shared() { return; }
        clock.advance(LONG + LONG - Duration::from_secs(1));
        cache.sweep();
        let found = cache.entry("k").lookup::<u32>().await;
        assert_eq!((found.value, found.status.reason()), (Some(1), Reason::PastFresh));
        clock.advance(Duration::from_secs(62));
        cache.sweep();
        let overview = cache.overview().await.unwrap();
        assert_eq!((overview.entries, overview.tags), (0, 0));
    }

    async fn a_soft_invalidation_does_not_undo_a_hard_one(bench) {
        let cache = bench.cache().await;
        let (hard, soft) = (Invalidation::new().tag("t"), Invalidation::new().tag("t").soft());
        for order in [[&hard, &soft], [&soft, &hard]] {
            cache.entry("k").tag("t").stale(LONG).set(1_u32).await.unwrap();
            for what in order {
                cache.invalidate(what.clone()).await.unwrap();
            }
            let found = cache.entry("k").lookup::<u32>().await;
            assert_eq!(found.value, None, "{order:?}");
        }
    }

    async fn tags_keep_no_list_of_what_carries_them(bench) {
        let cache = bench.cache().await;
        for i in 0..200_u32 {
            cache.entry(format!("k:{i}")).tag("t").ttl(LONG).set(i).await.unwrap();
        }
        let overview = cache.overview().await.unwrap();
        assert_eq!((overview.entries, overview.tags), (200, 3));
        if bench.has_server() {
            let bytes: u64 = bench.server().cli(&["MEMORY", "USAGE", "sl1:{test}:t:t"]).parse().unwrap();
            assert!(bytes < 256, "{bytes}");
        }
    }

    async fn invalidating_what_nobody_has_does_no_harm(bench) {
        let cache = bench.cache().await;
        cache.set("k", 1_u32).await.unwrap();
        let nobody = Invalidation::new().key("nobody").tag("nothing").pattern("no*ne").pattern("none:*");
        cache.invalidate(nobody.clone()).await.unwrap();
        cache.invalidate(nobody.soft()).await.unwrap();
        cache.invalidate(Invalidation::new()).await.unwrap();
        assert_eq!(cache.get::<u32>("k").await, Some(1));
    }

    async fn many_keys_and_tags_are_invalidated_at_once(bench) {
        let cache = bench.cache().await;
        let names: Vec<String> = (0..2500).map(|i| format!("k:{i}")).collect();
        cache.set_many(names.iter().map(|name| (name, 1_u32))).await.unwrap();
        cache.entry("tagged").tag("t:2400").set(1_u32).await.unwrap();
        let tags: Vec<String> = (0..2500).map(|i| format!("t:{i}")).collect();
        cache.invalidate(Invalidation::new().keys(&names).tags(&tags)).await.unwrap();
        assert!(cache.get_many::<u32, _>(&names).await.iter().all(Option::is_none));
        assert_eq!(cache.get::<u32>("tagged").await, None);
    }

    async fn waiters_of_a_failed_load_do_not_load_one_after_another(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let entry = cache.entry("k");
        let load = || {
            let gate = gate.clone();
            move || async move {
                gate.pass().await;
                Err::<u32, _>("no")
            }
        };
        let mut waiting: Vec<_> = (0..32).map(|_| Box::pin(entry.get_or_load(load()))).collect();
        for waiter in &mut waiting {
            assert!(futures_util::poll!(waiter).is_pending());
        }
        gate.release();
        assert!(soon(join_all(waiting)).await.iter().all(Result::is_err));
        assert_eq!(gate.loads(), 1);
    }

    async fn waiting_has_an_end(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let (owner, loader) = (cache.clone(), gate.loader(1_u32));
        let owner = tokio::spawn(async move {
            owner.entry("k").policy(Policy::new().no_hard_timeout()).get_or_load(loader).await
        });
        gate.entered().await;
        let patient = Policy::new().hard_timeout(Duration::from_millis(50));
        let entry = cache.entry("k").policy(patient.clone());
        let error = soon(entry.get_or_load(gate.loader(2_u32))).await.unwrap_err();
        assert!(matches!(error, shelflife::LoadError::TimedOut(_)), "{error}");
        if bench.is_shared() {
            let other = bench.cache().await;
            let entry = other.entry("k").policy(patient);
            let error = soon(entry.get_or_load(gate.loader(3_u32))).await.unwrap_err();
            assert!(matches!(error, shelflife::LoadError::TimedOut(_)), "{error}");
        }
        gate.release();
        assert_eq!(soon(owner).await.unwrap().unwrap(), 1);
        assert_eq!(gate.loads(), 1);
    }

    async fn a_batch_that_waits_for_another_has_an_end(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let (owner, loader) = (cache.clone(), gate.loader(1_u32));
        let owner = tokio::spawn(async move {
            owner.entry("k:1").policy(Policy::new().no_hard_timeout()).get_or_load(loader).await
        });
        gate.entered().await;
        let patient = Policy::new().hard_timeout(Duration::from_millis(50));
        let many = cache.get_or_load_many([1_u32], |c, id| c.entry(format!("k:{id}")).policy(patient.clone()), |ids| async {
            Ok::<_, Infallible>(ids.into_iter().map(|id| (id, id)).collect())
        });
        let error = soon(many).await.unwrap_err();
        assert!(matches!(error, shelflife::LoadError::TimedOut(_)), "{error}");
        gate.release();
        assert_eq!(soon(owner).await.unwrap().unwrap(), 1);
    }

    async fn a_batch_that_loads_for_itself_alone_has_an_end_too(bench) {
        if !bench.is_shared() { return; }
        let (cache, other) = (bench.cache().await, bench.cache().await);
        let gate = Gate::closed();
        let (owner, loader) = (cache.clone(), gate.loader(1_u32));
        let owner = tokio::spawn(async move { owner.get_or_load("k:1", loader).await });
        gate.entered().await;
        let policy = Policy::new().hard_timeout(Duration::from_millis(50));
        let read = |panics: bool| other.get_or_load_many([1_u32], |c, id| c.entry(format!("k:{id}")).policy(policy.clone()), move |_| async move {
            assert!(!panics, "a fault in the loader");
            std::future::pending::<Result<std::collections::HashMap<u32, u32>, Infallible>>().await
        });
        let error = soon(read(true)).await.unwrap_err();
        assert!(matches!(error, shelflife::LoadError::Panicked(_)), "{error}");
        let error = soon(read(false)).await.unwrap_err();
        assert!(matches!(error, shelflife::LoadError::TimedOut(_)), "{error}");
        gate.release();
        assert_eq!(soon(owner).await.unwrap().unwrap(), 1);
    }

    async fn a_batch_takes_what_another_process_is_loading(bench) {
        if !bench.is_shared() { return; }
        let (cache, other) = (bench.cache().await, bench.cache().await);
        let gate = Gate::closed();
        let (owner, loader) = (cache.clone(), gate.loader(1_u32));
        let owner = tokio::spawn(async move { owner.get_or_load("k:1", loader).await });
        gate.entered().await;
        let reader = other.clone();
        let many = tokio::spawn(async move {
            reader.get_or_load_many([1_u32], |c, id| c.entry(format!("k:{id}")), |_| async {
                Err::<std::collections::HashMap<u32, u32>, _>("it is being loaded already")
            }).await
        });
        // More rounds than a batch would give other callers of its own process; it would have ended then.
        until(async || many.is_finished() || other.stats().timings.lease_waits.count() > 5).await;
        gate.release();
        assert_eq!(soon(owner).await.unwrap().unwrap(), 1);
        assert_eq!(soon(many).await.unwrap().unwrap(), [(1, 1)].into());
    }

    async fn own_writes_stay_in_l1(bench) {
        let cache = bench.long_windowed().await;
        soon(cache.set("k", 1_u32)).await.unwrap();
        assert_eq!(cache.entry("k").lookup::<u32>().await.status.tier(), Some(Tier::L1));
        cache.set_many([("k", 2_u32), ("l", 3)]).await.unwrap();
        for key in ["k", "l"] {
            assert_eq!(cache.entry(key).lookup::<u32>().await.status.tier(), Some(Tier::L1));
        }
        cache.get_or_load("m", Gate::open().loader(4_u32)).await.unwrap();
        assert_eq!(cache.entry("m").lookup::<u32>().await.status.tier(), Some(Tier::L1));
    }

    async fn an_unfinished_invalidation_is_carried_out_though_its_caller_went_away(bench) {
        let cache = bench.cache().await;
        cache.entry("k").tag("t").set(1_u32).await.unwrap();
        let mut invalidating = Box::pin(cache.invalidate(Invalidation::new().tag("t")));
        let _ = futures_util::poll!(&mut invalidating);
        drop(invalidating);
        until(|| async { cache.entry("k").strict().get::<u32>().await.is_none() }).await;
    }

    async fn entries_have_an_end_by_default(bench) {
        let cache = bench.cache().await;
        cache.set("k", 1_u32).await.unwrap();
        assert!(cache.ttl("k").await.unwrap() <= Duration::from_secs(60));
        if bench.has_server() {
            let left: i64 = bench.server().cli(&["PTTL", "sl1:test:e:k"]).parse().unwrap();
            assert!((1..=61_000).contains(&left), "{left}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_tag_record_is_not_taken_for_never_invalidated() {
    let server = RedisServer::start();
    let cache = on(&server).build().await.unwrap();
    cache.entry("k").tag("t").set(1_u32).await.unwrap();
    server.cli(&["DEL", "sl1:{test}:t:t"]);
    let other = on(&server).build().await.unwrap();
    let found = other.entry("k").lookup::<u32>().await;
    assert_eq!(
        (found.value, found.status.reason()),
        (None, Reason::TagMissing)
    );
    assert_eq!(other.get_many::<u32, _>(["k"]).await, [None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_of_applications_that_disagree_change_nothing() {
    let server = RedisServer::start();
    let (slow, fast) = (ManualClock::new(), ManualClock::new());
    fast.advance(Duration::from_secs(5 * 365 * 24 * 3600));
    let behind = on(&server).clock(&slow).build().await.unwrap();
    let ahead = on(&server).clock(&fast).build().await.unwrap();
    for (writer, reader) in [(&behind, &ahead), (&ahead, &behind)] {
        writer
            .entry("k")
            .tag("t")
            .ttl(LONG)
            .set(1_u32)
            .await
            .unwrap();
        let found = reader.entry("k").strict().lookup::<u32>().await;
        assert_eq!(found.value, Some(1), "{}", found.status);
        let left = reader.ttl("k").await.unwrap();
        // Each knows the server's time by as much as an answer was late.
        let late = Duration::from_secs(1);
        assert!(
            left > LONG - Duration::from_secs(10) && left <= LONG + late,
            "{left:?}"
        );
        reader
            .invalidate(Invalidation::new().tag("t"))
            .await
            .unwrap();
        assert_eq!(writer.entry("k").strict().get::<u32>().await, None);
        writer.entry("k").tag("t").set(2_u32).await.unwrap();
        assert_eq!(reader.entry("k").strict().get::<u32>().await, Some(2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrupt_entry_does_not_fail_every_call_until_its_end() {
    let server = RedisServer::start();
    let cache = on(&server).build().await.unwrap();
    server.cli(&["SET", "sl1:test:e:k", "not a record at all", "EX", "3600"]);
    let gate = Gate::open();
    for _ in 0..3 {
        assert_eq!(
            soon(cache.get_or_load("k", gate.loader(1_u32)))
                .await
                .unwrap(),
            1
        );
    }
    assert_eq!(gate.loads(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removing_a_group_does_not_scan_the_server() {
    let server = RedisServer::start();
    let cache = on(&server).build().await.unwrap();
    cache.entry("users:1").tag("t").set(1_u32).await.unwrap();
    server.cli(&["CONFIG", "RESETSTAT"]);
    cache
        .invalidate(Invalidation::new().tag("t").pattern("users:*").all())
        .await
        .unwrap();
    let stats = server.cli(&["INFO", "commandstats"]);
    for scanning in ["cmdstat_scan:", "cmdstat_keys:"] {
        assert!(!stats.contains(scanning), "{stats}");
    }
    cache
        .invalidate(Invalidation::new().pattern("us*:1"))
        .await
        .unwrap();
    assert!(
        !server
            .cli(&["INFO", "commandstats"])
            .contains("cmdstat_keys:")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_with_code_in_it_is_a_name() {
    let server = RedisServer::start();
    let cache = on(&server).build().await.unwrap();
    let names = [
        "') redis.call('FLUSHALL') --",
        "\"]]",
        "'; DROP",
        "%s%d",
        "k\r\nFLUSHALL\r\n",
    ];
    cache.set("stays", 1_u32).await.unwrap();
    for name in names {
        cache.entry(name).tag(name).set(2_u32).await.unwrap();
        cache
            .invalidate(
                Invalidation::new()
                    .tag(name)
                    .key(name)
                    .pattern(format!("{}x?", Pattern::escape(name))),
            )
            .await
            .unwrap();
        assert_eq!(cache.get::<u32>(name).await, None);
    }
    assert_eq!(cache.entry("stays").strict().get::<u32>().await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_batch_leaves_nobody_waiting_for_long() {
    let server = RedisServer::start();
    let cache = on(&server).build().await.unwrap();
    let gate = Gate::closed();
    let (owner, at) = (cache.clone(), gate.clone());
    let batch = tokio::spawn(async move {
        owner
            .get_or_load_many(
                [1_u32, 2],
                |c, id| c.entry(format!("k:{id}")),
                move |ids| {
                    let at = at.clone();
                    async move {
                        at.pass().await;
                        Ok::<_, Infallible>(ids.into_iter().map(|id| (id, id)).collect())
                    }
                },
            )
            .await
    });
    gate.entered().await;
    batch.abort();
    let follower = Arc::new(cache.clone());
    let follower = tokio::spawn(async move {
        follower
            .get_or_load("k:1", Gate::open().loader(9_u32))
            .await
            .unwrap()
    });
    gate.release();
    let got = soon(follower).await.unwrap();
    assert!([1, 9].contains(&got), "{got}");
    until(|| async { cache.stats().flights == 0 }).await;
    soon(cache.get_or_load("k:2", Gate::open().loader(9_u32)))
        .await
        .unwrap();
}
