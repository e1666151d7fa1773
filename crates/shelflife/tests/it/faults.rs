//! Redis stopped, frozen, killed, forgetful. Reads go on; writes tell the truth; and when it is over,
//! everything works again.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::poll;
use shelflife::{Builder, Cache, Error, ErrorKind, Invalidation, Outcome, Reason};
use shelflife_testkit::RedisServer;

use crate::gate::{Gate, soon, until};

pub const TIMEOUT: Duration = Duration::from_millis(400);
/// What a read may take on top of its timeouts on a loaded machine.
pub const SLACK: Duration = Duration::from_secs(2);
pub const LONG: Duration = Duration::from_secs(3600);

pub fn builder(url: impl Into<String>) -> Builder {
    Cache::builder()
        .url(url)
        .namespace("test")
        .jitter(0.0)
        .timeout(TIMEOUT)
        .connect_timeout(TIMEOUT)
}

/// A read that must give a value, and how long it took.
pub async fn timed(cache: &Cache, key: &str, value: u32) -> (u32, Duration) {
    let began = Instant::now();
    let got = soon(cache.get_or_load(key, Gate::open().loader(value))).await;
    (got.unwrap(), began.elapsed())
}

/// All the verbs while the store is away.
pub async fn assert_degraded(cache: &Cache) {
    for key in ["cold:1", "cold:2", "cold:1", "cold:3", "cold:4"] {
        let (value, took) = timed(cache, key, 7).await;
        assert_eq!(value, 7);
        assert!(took < TIMEOUT * 4 + SLACK, "a read took {took:?}");
    }
    let began = Instant::now();
    assert_eq!(cache.get::<u32>("absent").await, None);
    assert!(!cache.exists("absent").await);
    assert_eq!(cache.get_many::<u32, _>(["a", "b"]).await, [None, None]);
    let strict = cache.entry("strict").strict();
    assert_eq!(
        strict
            .get_or_load(Gate::open().loader(1_u32))
            .await
            .unwrap(),
        1
    );
    let many = cache.get_or_load_many(
        [1_u32, 2],
        |c, id| c.entry(format!("many:{id}")),
        |ids| async { Ok::<_, Infallible>(ids.into_iter().map(|id| (id, id)).collect()) },
    );
    assert_eq!(many.await.unwrap().len(), 2);
    assert!(
        began.elapsed() < TIMEOUT * 20 + SLACK,
        "reads took {:?}",
        began.elapsed()
    );
    let began = Instant::now();
    unavailable(cache.set("k", 1_u32).await);
    unavailable(cache.delete("k").await);
    unavailable(cache.invalidate(Invalidation::new().tag("t")).await);
    unavailable(cache.invalidate(Invalidation::new().pattern("a*b")).await);
    unavailable(cache.entry("k").begin_write().await);
    unavailable(cache.ping().await);
    assert!(
        began.elapsed() < TIMEOUT * 12 + SLACK,
        "refusals took {:?}",
        began.elapsed()
    );
}

pub fn unavailable<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
}

/// Waits until the store is back, then uses it.
pub async fn assert_recovers(cache: &Cache) {
    until(|| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        cache.ping().await.is_ok()
    })
    .await;
    // The first calls after a pause may still meet what the pause left behind.
    until(|| async { cache.invalidate(Invalidation::new().all()).await.is_ok() }).await;
    // What could not be confirmed meanwhile is carried out now, and would take what is stored along.
    until(|| async { cache.stats().unconfirmed == 0 }).await;
    until(|| async {
        let loaded = cache
            .entry("after")
            .lookup_or_load(Gate::open().loader(1_u32))
            .await
            .unwrap();
        let found = loaded.status.stored() || loaded.status.outcome() == Outcome::Hit;
        // Who meets another server repeats what it had confirmed, once, and may do so just now.
        found && cache.get::<u32>("after").await == Some(1)
    })
    .await;
    until(|| async {
        let set = cache.set("after", 2_u32).await.is_ok();
        set && cache.entry("after").strict().get::<u32>().await == Some(2)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_costs_timeouts_and_nothing_else() {
    let mut server = RedisServer::start();
    let cache = builder(server.url())
        .window(Duration::from_secs(60))
        .build()
        .await
        .unwrap();
    cache.set("warm", 1_u32).await.unwrap();
    server.stop();
    assert_eq!(
        cache.get::<u32>("warm").await,
        Some(1),
        "L1 answers within its window"
    );
    assert_degraded(&cache).await;
    server.resume();
    assert_recovers(&cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_costs_nothing_and_comes_back_empty() {
    let mut server = RedisServer::start();
    let cache = builder(server.url()).build().await.unwrap();
    cache.set("warm", 1_u32).await.unwrap();
    server.kill();
    assert_degraded(&cache).await;
    server.restart();
    assert_recovers(&cache).await;
    assert_eq!(cache.get::<u32>("warm").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_at_the_start_is_used_once_it_is() {
    let mut server = RedisServer::start();
    server.kill();
    let began = Instant::now();
    let cache = builder(server.url()).build().await.unwrap();
    assert!(began.elapsed() < TIMEOUT * 4 + SLACK);
    assert_degraded(&cache).await;
    server.restart();
    assert_recovers(&cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_freezes_in_mid_load_does_not_hold_the_value_back() {
    let mut server = RedisServer::start();
    let cache = builder(server.url()).build().await.unwrap();
    let gate = Gate::closed();
    let (reader, loader) = (cache.clone(), gate.loader(7_u32));
    let read = tokio::spawn(async move { reader.entry("k").lookup_or_load(loader).await.unwrap() });
    gate.entered().await;
    server.stop();
    gate.release();
    let began = Instant::now();
    let loaded = soon(read).await.unwrap();
    assert!(began.elapsed() < TIMEOUT * 3 + SLACK);
    assert_eq!((loaded.value, loaded.status.stored()), (7, false));
    assert_eq!(loaded.status.reason(), Reason::StoreUnavailable);
    server.resume();
    assert_recovers(&cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_share_loads_while_the_server_is_away() {
    let mut server = RedisServer::start();
    let cache = builder(server.url()).build().await.unwrap();
    server.kill();
    until(|| async { cache.ping().await.is_err() }).await;
    let gate = Gate::closed();
    // A source that takes its time: one that answers at once has answered before the next caller comes.
    let load = || {
        let gate = gate.clone();
        move || async move {
            gate.pass().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok::<_, Infallible>(7_u32)
        }
    };
    let mut callers: Vec<_> = (0..32)
        .map(|_| Box::pin(cache.get_or_load("k", load())))
        .collect();
    for caller in &mut callers {
        assert!(poll!(caller).is_pending());
    }
    gate.release();
    for got in soon(join_all(callers)).await {
        assert_eq!(got.unwrap(), 7);
    }
    // A caller that came when the load was under way already shares the next one.
    assert!(gate.loads() <= 4, "{} loads for 32 callers", gate.loads());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_value_stands_in_while_source_and_server_are_away() {
    let mut server = RedisServer::start();
    let cache = builder(server.url())
        .window(Duration::from_millis(1))
        .build()
        .await
        .unwrap();
    let entry = cache.entry("k").stale(LONG).soft_timeout(LONG);
    entry.set(1_u32).await.unwrap();
    server.kill();
    until(|| async { entry.get::<u32>().await.is_none() }).await;
    let failing = || std::future::ready(Err::<u32, _>("the source is gone"));
    let served = soon(entry.lookup_or_load(failing)).await.unwrap();
    assert_eq!((served.value, served.status.outcome()), (1, Outcome::Stale));
    assert_eq!(served.status.reason(), Reason::LoadFailed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_while_the_server_is_killed_and_restarted_under_load() {
    let mut server = RedisServer::start();
    let cache = builder(server.url()).build().await.unwrap();
    let source = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..8_u64)
        .map(|seed| {
            let (cache, source, over) = (cache.clone(), source.clone(), over.clone());
            tokio::spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed);
                let (mut reads, mut slowest) = (0, Duration::ZERO);
                while !over.load(Ordering::SeqCst) {
                    let key = format!("k:{}", random.u8(..20));
                    let from = source.clone();
                    let began = Instant::now();
                    let load =
                        move || async move { Ok::<_, Infallible>(from.load(Ordering::SeqCst)) };
                    soon(cache.get_or_load(&key, load)).await.unwrap();
                    slowest = slowest.max(began.elapsed());
                    reads += 1;
                    if random.u8(..10) == 0 {
                        let now = source.fetch_add(1, Ordering::SeqCst) + 1;
                        let done = cache.delete(&key).await.is_ok();
                        let after = cache.entry(&key).get::<u64>().await;
                        assert!(!done || after.is_none_or(|v| v >= now), "{after:?} < {now}");
                    }
                }
                (reads, slowest)
            })
        })
        .collect();
    for _ in 0..3 {
        server.kill();
        until(|| async { cache.ping().await.is_err() }).await;
        server.restart();
        until(|| async { cache.ping().await.is_ok() }).await;
        server.stop();
        until(|| async { cache.ping().await.is_err() }).await;
        server.resume();
        until(|| async { cache.ping().await.is_ok() }).await;
    }
    over.store(true, Ordering::SeqCst);
    for reader in readers {
        let (reads, slowest) = soon(reader).await.unwrap();
        assert!(reads > 0);
        assert!(slowest < TIMEOUT * 6 + SLACK, "a read took {slowest:?}");
    }
    assert_recovers(&cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgot_its_scripts_is_taught_them_again() {
    let server = RedisServer::start();
    let cache = builder(server.url())
        .timeout(Duration::from_secs(10))
        .build()
        .await
        .unwrap();
    for round in 0..3_u32 {
        server.cli(&["SCRIPT", "FLUSH", "SYNC"]);
        cache.set("k", round).await.unwrap();
        server.cli(&["SCRIPT", "FLUSH", "SYNC"]);
        assert_eq!(cache.entry("k").strict().get::<u32>().await, Some(round));
        server.cli(&["SCRIPT", "FLUSH", "SYNC"]);
        assert_eq!(cache.get_many::<u32, _>(["k", "l"]).await[1], None);
        server.cli(&["SCRIPT", "FLUSH", "SYNC"]);
        cache
            .invalidate(Invalidation::new().key("k"))
            .await
            .unwrap();
        server.cli(&["SCRIPT", "FLUSH", "SYNC"]);
        let loaded = cache
            .entry("k")
            .lookup_or_load(Gate::open().loader(1_u32))
            .await
            .unwrap();
        assert!(loaded.status.stored());
    }
    assert_eq!(cache.stats().store_errors, 0);
}

/// A load that ran without the store has no epoch: an invalidation that is confirmed meanwhile, because
/// the store came back, must still keep it from those who come after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_begun_without_the_store_is_not_shared_after_an_invalidation() {
    let mut server = RedisServer::start();
    let cache = builder(server.url()).window(LONG).build().await.unwrap();
    cache.set("other", 1_u32).await.unwrap();
    server.kill();
    until(|| async { cache.ping().await.is_err() }).await;
    let gate = Gate::closed();
    let (reader, loader) = (cache.clone(), gate.loader(1_u32));
    let old = tokio::spawn(async move { reader.get_or_load("k", loader).await.unwrap() });
    gate.entered().await;
    server.restart();
    until(|| async { cache.invalidate(Invalidation::new().key("k")).await.is_ok() }).await;
    let mut late = Box::pin(cache.get_or_load("k", Gate::open().loader(2_u32)));
    let first = poll!(&mut late);
    gate.release();
    let got = match first {
        std::task::Poll::Ready(got) => got,
        std::task::Poll::Pending => soon(late).await,
    };
    assert_eq!(got.unwrap(), 2);
    old.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_circuit_breaker_of_a_node_and_what_waits_for_it_are_seen() {
    let mut server = RedisServer::start();
    let cache = builder(server.url())
        .connections(2)
        .timeout(Duration::from_secs(30))
        .build()
        .await
        .unwrap();
    let node = || cache.stats().nodes.remove(0);
    until(|| async { node().connections_up == 2 }).await;
    let seen = node();
    assert_eq!(seen.address, server.address().to_string());
    assert_eq!(seen.connections, 2);
    assert_eq!((seen.times_down, seen.waiting), (0, 0));
    server.stop();
    let reading = {
        let cache = cache.clone();
        tokio::spawn(async move { cache.entry("k").strict().get::<u32>().await })
    };
    until(|| async { node().waiting == 1 }).await;
    server.resume();
    assert_eq!(soon(reading).await.unwrap(), None);
    until(|| async { node().waiting == 0 }).await;
    server.kill();
    until(|| async { cache.ping().await.is_err() && node().connections_up == 0 }).await;
    assert_eq!(node().times_down, 1, "two connections, one node");
    server.restart();
    until(|| async { node().connections_up == 2 }).await;
    assert_eq!(node().times_down, 1);
    assert!(Cache::memory().stats().nodes.is_empty());
}
