//! Invalidations that were not confirmed: each is carried out again without anybody asking.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::poll;
use shelflife::chaos::{Faults, Guard, Target};
use shelflife::{Builder, Cache, ErrorKind, Event, Invalidation, Tier};
use shelflife_testkit::{Proxy, RedisServer};
use tokio::runtime::Runtime;

use crate::fused::Fused;
use crate::gate::{soon, until};
use crate::stores::PATIENT;

/// For who is behind a wire that is frozen.
const TIMEOUT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);

pub fn builder(url: String) -> Builder {
    Cache::builder()
        .url(url)
        .namespace("test")
        .jitter(0.0)
        .timeout(PATIENT)
        .connect_timeout(PATIENT)
}

/// One process behind a wire with faults, and one with a wire of its own.
async fn two(server: &RedisServer) -> (Proxy, Cache, Cache) {
    let proxy = Proxy::start(server.address()).await;
    let behind = builder(proxy.url()).timeout(TIMEOUT);
    let behind = behind.connect_timeout(TIMEOUT).build().await.unwrap();
    let other = builder(server.url()).without_tail().build().await.unwrap();
    (proxy, behind, other)
}

pub async fn cut_off(proxy: &Proxy) {
    proxy.refuse(true).await;
    proxy.cut();
}

pub async fn holds(cache: &Cache, key: &str) -> bool {
    cache.entry(key).strict().get::<u32>().await.is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_confirmed_is_carried_out_when_the_store_is_back() {
    let server = RedisServer::start();
    let (proxy, behind, other) = two(&server).await;
    let keys = ["users:1", "users:2", "reports:1", "kept:1"];
    for key in keys {
        other
            .entry(key)
            .tag(format!("tag:{key}"))
            .set(1_u32)
            .await
            .unwrap();
    }
    cut_off(&proxy).await;
    let all = [
        Invalidation::new().key("users:1"),
        Invalidation::new().tag("tag:users:2"),
        Invalidation::new().pattern("rep*:?"),
    ];
    for what in all {
        let refused = soon(behind.invalidate(what)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(refused.to_string().contains("tried again"), "{refused}");
    }
    assert_eq!(behind.stats().unconfirmed, 3);
    for key in keys {
        assert!(holds(&other, key).await, "{key}: nobody has been told yet");
    }
    proxy.refuse(false).await;
    until(|| async { behind.stats().unconfirmed == 0 }).await;
    for key in &keys[..3] {
        assert!(!holds(&other, key).await, "{key}");
    }
    assert!(holds(&other, "kept:1").await);
    assert_eq!(behind.stats().invalidations_failed, 3);
    let retried = behind.stats().invalidations_retried;
    assert_eq!(retried, 2, "the names as one, and the scan");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_succeeds_holds_up_nothing_else() {
    let server = RedisServer::start();
    let (proxy, behind, other) = two(&server).await;
    let entry = other.entry("users:1").tag("t");
    entry.set(1_u32).await.unwrap();
    server.cli(&["ACL", "SETUSER", "default", "-scan"]);
    let scan = Invalidation::new().pattern("a*b");
    let refused = soon(behind.invalidate(scan)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
    proxy.freeze(true);
    let dead = Invalidation::new().tag("t");
    soon(behind.invalidate(dead)).await.unwrap_err();
    // Names come before scans, and events after them.
    let hears = builder(server.url()).build().await.unwrap();
    let seen = seen_by(&hears);
    soon(behind.emit(&Happened { id: 1 })).await.unwrap_err();
    assert_eq!(behind.stats().unconfirmed, 3);
    proxy.freeze(false);
    until(|| async { behind.stats().unconfirmed == 1 }).await;
    assert!(!holds(&other, "users:1").await);
    // Perhaps more than once: what the frozen wire has held is carried out as well.
    until(|| async { seen.lock().unwrap().first() == Some(&1) }).await;
    server.cli(&["ACL", "SETUSER", "default", "+scan"]);
    until(|| async { behind.stats().unconfirmed == 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_keep_their_order_though_the_first_fails_once_more() {
    let server = RedisServer::start();
    let faults = Faults::new();
    let emitter = builder(server.url()).chaos(&faults).build().await.unwrap();
    let other = builder(server.url()).build().await.unwrap();
    let seen = seen_by(&other);
    let held = faults.on(Target::Writes).error();
    // After it the first fails once more, when it is tried again.
    let _once = faults.on(Target::Writes).next(1).error();
    for id in [1, 2] {
        soon(emitter.emit(&Happened { id })).await.unwrap_err();
    }
    drop(held);
    until(|| async { emitter.stats().unconfirmed == 0 }).await;
    until(|| async { seen.lock().unwrap().len() == 2 }).await;
    assert_eq!(*seen.lock().unwrap(), [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_carried_out_though_the_runtime_of_who_asked_has_ended() {
    let server = RedisServer::start();
    let (proxy, behind, other) = two(&server).await;
    other.set("users:1", 1_u32).await.unwrap();
    proxy.freeze(true);
    let asking = behind.clone();
    let asked = move || {
        let elsewhere = tokio::runtime::Runtime::new().unwrap();
        let dead = Invalidation::new().key("users:1");
        elsewhere.block_on(soon(asking.invalidate(dead))).is_err()
    };
    let refused = tokio::task::spawn_blocking(asked).await.unwrap();
    assert!(refused);
    proxy.freeze(false);
    until(|| async { behind.stats().unconfirmed == 0 }).await;
    assert!(!holds(&other, "users:1").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_was_not_confirmed_removes_the_old_value_later() {
    let server = RedisServer::start();
    let (proxy, behind, other) = two(&server).await;
    other.set("users:1", 1_u32).await.unwrap();
    let write = behind.entry("users:2").begin_write().await.unwrap();
    cut_off(&proxy).await;
    soon(behind.set("users:1", 2_u32)).await.unwrap_err();
    soon(write.finish(2_u32)).await.unwrap_err();
    assert_eq!(behind.stats().unconfirmed, 2);
    assert!(holds(&other, "users:1").await);
    proxy.refuse(false).await;
    until(|| async { behind.stats().unconfirmed == 0 }).await;
    assert!(!holds(&other, "users:1").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_makes_a_last_attempt() {
    let server = RedisServer::start();
    let (proxy, behind, other) = two(&server).await;
    other.set("users:1", 1_u32).await.unwrap();
    proxy.freeze(true);
    let dead = Invalidation::new().key("users:1");
    soon(behind.invalidate(dead)).await.unwrap_err();
    proxy.freeze(false);
    soon(behind.close()).await;
    assert_eq!(behind.stats().unconfirmed, 0);
    assert!(!holds(&other, "users:1").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_while_the_cache_is_closing_is_in_the_last_attempt() {
    let server = RedisServer::start();
    let (proxy, behind, other) = two(&server).await;
    other.set("users:1", 1_u32).await.unwrap();
    proxy.freeze(true);
    let mut dead = Box::pin(async { behind.invalidate(Invalidation::new().key("users:1")).await });
    assert!(poll!(&mut dead).is_pending());
    let closing = async {
        soon(behind.close()).await;
        behind.stats().unconfirmed
    };
    let thaw = async {
        let refused = soon(dead).await.unwrap_err();
        proxy.freeze(false);
        refused.kind()
    };
    // It is among what closing waits for, so the last attempt comes after it, and finds the wire thawed.
    assert_eq!(tokio::join!(closing, thaw), (0, ErrorKind::Unavailable));
    assert!(!holds(&other, "users:1").await);
}

/// A runtime whose threads are called so, to be blown on.
fn runtime_called(name: &str) -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let builder = builder.worker_threads(2).thread_name(name).enable_all();
    builder.build().unwrap()
}

/// Has a value in L1 whose drop panics on such a thread.
async fn hold_fused(cache: &Cache, key: &str) {
    let held =
        || async { cache.entry(key).lookup::<Fused>().await.status.tier() == Some(Tier::L1) };
    until(held).await;
}

/// Has the log tell a process nothing any more: what goes from its L1 goes by its own hand.
async fn deafen(faults: &Faults) -> Guard {
    let deaf = faults.on(Target::Log).freeze();
    // One session, a read and a beat, has been given up: nothing is under way that was asked before.
    until(|| async { deaf.struck() >= 3 }).await;
    deaf
}

#[test]
fn a_value_that_panics_when_it_is_dropped_ends_no_retry() {
    let server = RedisServer::start();
    runtime_called("owed").block_on(async {
        let faults = Faults::new();
        let one = builder(server.url()).chaos(&faults).window(LONG);
        let one = one.build().await.unwrap();
        let other = builder(server.url()).without_tail().build().await.unwrap();
        other.set("k", Fused::on("owed")).await.unwrap();
        let _deaf = deafen(&faults).await;
        for round in 0..2 {
            let away = faults.on(Target::Writes).error();
            soon(one.delete("k")).await.unwrap_err();
            if round == 0 {
                hold_fused(&one, "k").await;
            }
            drop(away);
            until(|| async { one.stats().unconfirmed == 0 }).await;
            assert!(Fused::is_blown("owed"));
            assert!(other.entry("k").strict().get::<Fused>().await.is_none());
        }
    });
}

#[test]
fn what_is_confirmed_is_told_so_though_a_value_panics_when_it_is_dropped() {
    let server = RedisServer::start();
    runtime_called("confirmed").block_on(async {
        let faults = Faults::new();
        let one = builder(server.url()).chaos(&faults).window(LONG);
        let one = one.build().await.unwrap();
        let other = builder(server.url()).without_tail().build().await.unwrap();
        other.set("k", Fused::on("confirmed")).await.unwrap();
        other.set("l", 1_u32).await.unwrap();
        let _deaf = deafen(&faults).await;
        hold_fused(&one, "k").await;
        let dead = Invalidation::new().key("k").key("l");
        soon(one.invalidate(dead)).await.unwrap();
        assert!(Fused::is_blown("confirmed"));
        assert_eq!(one.get::<u32>("l").await, None);
    });
}

/// What ends with the runtime of its caller, which is of one thread.
async fn cut_short(cache: &Cache, struck: impl Fn() -> u64 + Send + 'static) {
    let cache = cache.clone();
    let thread = std::thread::spawn(move || {
        let caller = current_thread();
        caller.block_on(async {
            let begun = async {
                let both = futures_util::future::join(
                    cache.delete("users:1"),
                    cache.set("users:2", 2_u32),
                );
                let _ = both.await;
            };
            let at_work = until(|| async { struck() >= 2 });
            let begun = std::pin::pin!(begun);
            let at_work = std::pin::pin!(at_work);
            futures_util::future::select(begun, at_work).await;
        });
    });
    tokio::task::spawn_blocking(move || thread.join().unwrap())
        .await
        .unwrap();
}

fn current_thread() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_begun_is_finished_though_the_runtime_of_who_asked_has_ended() {
    let server = RedisServer::start();
    let faults = Faults::new();
    let one = builder(server.url()).chaos(&faults).timeout(LONG).build();
    let one = one.await.unwrap();
    let other = builder(server.url()).without_tail().build().await.unwrap();
    other.set("users:1", 1_u32).await.unwrap();
    let held = Arc::new(faults.on(Target::Writes).freeze());
    let struck = held.clone();
    cut_short(&one, move || struck.struck()).await;
    assert!(holds(&other, "users:1").await);
    drop(held);
    until(|| async { !holds(&other, "users:1").await && holds(&other, "users:2").await }).await;
    assert_eq!(one.stats().unconfirmed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_for_a_commit_is_invalidated_though_its_caller_ends_before_that_began() {
    let server = RedisServer::start();
    let one = builder(server.url()).build().await.unwrap();
    let other = builder(server.url()).without_tail().build().await.unwrap();
    other.set("users:1", 1_u32).await.unwrap();
    let caller = std::thread::spawn(move || {
        current_thread().block_on(async {
            let mut after = one.after_commit();
            after.invalidate(Invalidation::new().key("users:1"));
            let run = std::pin::pin!(after.run());
            assert!(poll!(run).is_pending());
        });
        one
    });
    let ended = tokio::task::spawn_blocking(move || caller.join().unwrap());
    let _one = ended.await.unwrap();
    until(|| async { !holds(&other, "users:1").await }).await;
}

#[test]
fn what_was_begun_is_owed_where_its_own_runtime_has_ended() {
    let server = RedisServer::start();
    let faults = Faults::new();
    let home = current_thread();
    let cache = home.block_on(builder(server.url()).chaos(&faults).timeout(LONG).build());
    let cache = cache.unwrap();
    let held = faults.on(Target::Writes).freeze();
    home.block_on(async {
        let mut all = Vec::new();
        for n in 0..3_u32 {
            all.push(tokio::spawn({
                let cache = cache.clone();
                async move { cache.set(format!("set:{n}"), n).await }
            }));
        }
        all.push(tokio::spawn({
            let cache = cache.clone();
            async move { cache.delete("users:1").await }
        }));
        until(|| async { held.struck() >= 2 && cache.stats().sets_waiting == 3 }).await;
    });
    drop(home);
    let stats = cache.stats();
    assert_eq!((stats.unconfirmed, stats.sets_waiting), (4, 0));
}

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Happened {
    pub id: u64,
}

impl Event for Happened {
    const NAME: &'static str = "happened";
}

/// What a process's handlers have seen.
pub fn seen_by(cache: &Cache) -> Arc<Mutex<Vec<u64>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let here = seen.clone();
    cache.on(move |event: &Happened| {
        here.lock().unwrap().push(event.id);
        Invalidation::new().tag(format!("event:{}", event.id))
    });
    seen
}
