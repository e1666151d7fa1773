//! What a plain set keeps: a call is noted, something happens, then the call is carried out.

use shelflife_testkit::RedisServer;

use super::*;
use crate::cache::Cache;
use crate::clock::ManualClock;
use crate::engine::ask::Replace;

const KEY: &str = "users:42";
const TAG: &str = "user:42";
const LOG: &str = "sl1:{test}:log";

/// A cache that follows no log: what it knows of the clock, it has from its own calls.
async fn on(server: &RedisServer, clock: Option<&ManualClock>) -> Cache {
    let mut builder = Cache::builder().url(server.url()).namespace("test");
    if let Some(clock) = clock {
        builder = builder.clock(clock);
    }
    let cache = builder.without_tail().jitter(0.0).build().await.unwrap();
    invalidate(&cache, Invalidation::new().key("first")).await;
    cache
}

async fn invalidate(cache: &Cache, what: Invalidation) {
    cache.invalidate(what).await.unwrap();
}

/// Carries out a set that was called some time ago.
async fn set(cache: &Cache, call: Call, keys: &[&str], value: u32) {
    let engine = &cache.engine;
    let item = |key: &&str| {
        let ask = cache.entry(*key).tag(TAG).ask::<u32>(Replace::Nothing);
        let live: Live = Arc::new(value);
        let prepared = engine.prepare_set(&ask, &live, Epoch::new(0, 0));
        Item {
            ask,
            live,
            prepared: prepared.unwrap(),
        }
    };
    let items = keys.iter().map(item).collect();
    engine.set_prepared(call, items).await.unwrap();
}

async fn holds(cache: &Cache, key: &str) -> Option<u32> {
    let strict = cache.entry(key).strict().get().await;
    assert_eq!(cache.get::<u32>(key).await, strict, "{key}");
    strict
}

/// Everything that can name the entry.
fn every() -> Vec<Invalidation> {
    let new = Invalidation::new;
    let hard = [
        new().key(KEY),
        new().tag(TAG),
        new().pattern("users:*"),
        new().pattern("us*:4?"),
        new().pattern("*2"),
        new().all(),
        new().key("users:7").tag(TAG),
    ];
    let soft = hard.clone().into_iter().map(Invalidation::soft);
    hard.clone().into_iter().chain(soft).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_was_called_before_an_invalidation_stores_nothing() {
    let server = RedisServer::start();
    for cache in [Cache::memory(), on(&server, None).await] {
        for what in every() {
            let call = cache.engine.called();
            invalidate(&cache, what.clone()).await;
            set(&cache, call, &[KEY], 1).await;
            assert_eq!(holds(&cache, KEY).await, None, "{what:?}");
            set(&cache, cache.engine.called(), &[KEY], 2).await;
            assert_eq!(holds(&cache, KEY).await, Some(2), "{what:?}");
            // What was there goes, too: the set has taken place.
            let call = cache.engine.called();
            invalidate(&cache, Invalidation::new().tag(TAG).soft()).await;
            set(&cache, call, &[KEY], 3).await;
            assert_eq!(holds(&cache, KEY).await, None, "{what:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_was_called_before_an_announced_write_stores_nothing() {
    let server = RedisServer::start();
    for cache in [Cache::memory(), on(&server, None).await] {
        let call = cache.engine.called();
        let write = cache.entry(KEY).begin_write().await.unwrap();
        assert!(write.finish(2_u32).await.unwrap().1);
        set(&cache, call, &[KEY], 1).await;
        assert_eq!(holds(&cache, KEY).await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_names_others_does_not_hinder_a_set() {
    let server = RedisServer::start();
    let others = Invalidation::new()
        .key("users:43")
        .tag("user:43")
        .pattern("orders:*")
        .pattern("ord*:42")
        .pattern("users:43*");
    for cache in [Cache::memory(), on(&server, None).await] {
        let call = cache.engine.called();
        for _ in 0..5 {
            invalidate(&cache, others.clone()).await;
            invalidate(&cache, others.clone().soft()).await;
        }
        set(&cache, call, &[KEY], 1).await;
        assert_eq!(holds(&cache, KEY).await, Some(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sets_that_overlap_the_one_carried_out_last_stays() {
    let server = RedisServer::start();
    for cache in [Cache::memory(), on(&server, None).await] {
        let call = cache.engine.called();
        cache.set(KEY, 2_u32).await.unwrap();
        set(&cache, call, &[KEY], 1).await;
        assert_eq!(holds(&cache, KEY).await, Some(1));
        // Nor does one that was overtaken hinder those behind it.
        let (early, late) = (cache.engine.called(), cache.engine.called());
        invalidate(&cache, Invalidation::new().key(KEY)).await;
        let after = cache.engine.called();
        set(&cache, early, &[KEY], 3).await;
        set(&cache, after, &[KEY], 4).await;
        assert_eq!(holds(&cache, KEY).await, Some(4));
        set(&cache, late, &[KEY], 5).await;
        assert_eq!(holds(&cache, KEY).await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_only_those_that_are_named_are_not_stored() {
    let server = RedisServer::start();
    for cache in [Cache::memory(), on(&server, None).await] {
        let call = cache.engine.called();
        invalidate(&cache, Invalidation::new().key("k:1").pattern("?:3")).await;
        let keys: Vec<String> = (0..500).map(|n| format!("k:{n}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        set(&cache, call, &keys, 1).await;
        for (key, expected) in [("k:0", 1), ("k:199", 1), ("k:201", 1), ("k:499", 1)] {
            let shared = !cache.engine.store.is_private();
            // In Redis a glob is known by what its matches begin with: here by nothing.
            let expected = (!shared).then_some(expected);
            assert_eq!(holds(&cache, key).await, expected, "{key}");
        }
        assert_eq!(holds(&cache, "k:1").await, None);
        assert_eq!(holds(&cache, "k:3").await, None);
        set(&cache, cache.engine.called(), &keys, 2).await;
        let found = cache.get_many::<u32, _>(keys).await;
        assert!(found.iter().all(|value| *value == Some(2)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_can_not_be_told_from_one_before_an_invalidation_stores_nothing() {
    let server = RedisServer::start_with(&["--enable-debug-command", "local"]);
    let cache = on(&server, None).await;
    let losses: [(&str, &[&[&str]]); 5] = [
        ("trimmed", &[&["XTRIM", LOG, "MAXLEN", "0"]]),
        ("trimmed behind it", &[&["XTRIM", LOG, "MAXLEN", "1"]]),
        ("no log", &[&["DEL", LOG], &["SET", LOG, "foreign"]]),
        ("another primary", &[&["DEBUG", "CHANGE-REPL-ID"]]),
        ("another life", &[&["FLUSHALL"]]),
    ];
    for (loss, commands) in losses {
        let call = cache.engine.called();
        invalidate(&cache, Invalidation::new().key(KEY)).await;
        invalidate(&cache, Invalidation::new().key("another")).await;
        for command in commands {
            server.cli(command);
        }
        set(&cache, call, &[KEY], 1).await;
        assert_eq!(holds(&cache, KEY).await, None, "{loss}");
        cache.set(KEY, 2_u32).await.unwrap();
        assert_eq!(holds(&cache, KEY).await, Some(2), "{loss}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_follows_no_log_tells_by_the_servers_time_what_was_before_its_call() {
    let server = RedisServer::start();
    // It stands still: the call has taken no time, however long it took here.
    let clock = ManualClock::new();
    let (cache, other) = (on(&server, Some(&clock)).await, on(&server, None).await);
    let known = cache.engine.called();
    invalidate(&other, Invalidation::new().key(KEY)).await;
    for _ in 0..100 {
        invalidate(&other, Invalidation::new().key("another")).await;
    }
    let micros = || {
        let time = server.cli(&["TIME"]);
        let mut parts = time.lines().map(|part| part.parse::<u64>().unwrap());
        parts.next().unwrap() * 1_000_000 + parts.next().unwrap()
    };
    let over = micros() + 20_000;
    while micros() < over {}
    let call = Call {
        at: cache.engine.clock.now(),
        ..known
    };
    set(&cache, call, &[KEY], 1).await;
    assert_eq!(holds(&cache, KEY).await, Some(1));
    // The same, and the call did take time: that long ago it was not invalidated yet.
    clock.advance(Duration::from_secs(60));
    invalidate(&other, Invalidation::new().key(KEY)).await;
    set(&cache, call, &[KEY], 2).await;
    assert_eq!(holds(&cache, KEY).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_set_of_a_process_in_an_empty_store_is_stored() {
    let server = RedisServer::start();
    let builder = Cache::builder().url(server.url()).namespace("test");
    let cache = builder.without_tail().build().await.unwrap();
    cache.set(KEY, 1_u32).await.unwrap();
    assert_eq!(holds(&cache, KEY).await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_is_one_round_trip_where_nothing_is_invalidated() {
    let server = RedisServer::start();
    let cache = on(&server, None).await;
    cache.set(KEY, 0_u32).await.unwrap();
    let scripts = || {
        let info = server.cli(&["INFO", "commandstats"]);
        let calls = info.split("cmdstat_evalsha:calls=").nth(1).unwrap();
        calls.split(',').next().unwrap().parse::<u32>().unwrap()
    };
    let before = scripts();
    for value in 0..100_u32 {
        cache.set(KEY, value).await.unwrap();
    }
    assert_eq!(scripts(), before + 100);
}
