//! Reads of a process that is cut off from Redis while its window is still open: what needs a clock does
//! without what this process holds.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use shelflife::{Cache, Key, Tier};
use shelflife_testkit::{Proxy, RedisServer};

use crate::gate::{Gate, soon, until};
use crate::stores::PATIENT;

const LONG: Duration = Duration::from_secs(60);

async fn behind(proxy: &Proxy) -> Cache {
    let builder = Cache::builder().url(proxy.url()).namespace("test");
    let builder = builder.jitter(0.0).window(LONG).timeout(PATIENT);
    builder.build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_read_without_a_clock_loads_though_l1_would_answer() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let cache = behind(&proxy).await;
    cache.set("k", 1_u32).await.unwrap();
    until(|| async { cache.entry("k").lookup::<u32>().await.status.tier() == Some(Tier::L1) })
        .await;
    proxy.refuse(true).await;
    proxy.cut();
    let load = || async { Ok::<_, Infallible>(2_u32) };
    let strict = soon(cache.entry("k").strict().get_or_load(load)).await;
    assert_eq!(strict.unwrap(), 2);
    assert_eq!(cache.entry("k").strict().get::<u32>().await, None);
    let bounded = soon(cache.get_or_load("k", load)).await;
    assert_eq!(bounded.unwrap(), 1, "the window is open for these");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_read_without_a_clock_takes_no_load_that_began_before_it() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let cache = behind(&proxy).await;
    proxy.refuse(true).await;
    proxy.cut();
    let gate = Gate::closed();
    let earlier = tokio::spawn({
        let (cache, load) = (cache.clone(), gate.loader(1_u32));
        async move { cache.get_or_load("k", load).await }
    });
    gate.entered().await;
    let load = || async { Ok::<_, Infallible>(2_u32) };
    let entry = cache.entry("k").strict();
    let mut strict = pin!(entry.get_or_load(load));
    // It finds no clock, and waits for the flight that there is.
    for _ in 0..1000 {
        assert!(poll!(&mut strict).is_pending());
        tokio::task::yield_now().await;
    }
    gate.release();
    assert_eq!(soon(earlier).await.unwrap().unwrap(), 1);
    assert_eq!(soon(strict).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_everywhere_a_process_that_is_not_waited_for_shares_no_older_load() {
    const SHORT: Duration = Duration::from_secs(1);
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let build = |url| {
        let builder = Cache::builder().url(url).namespace("test");
        builder.window(SHORT).timeout(PATIENT)
    };
    let cut_off = build(proxy.url()).build().await.unwrap();
    let other = build(server.url()).build().await.unwrap();
    cut_off.set("held", 1_u32).await.unwrap();
    let in_l1 = async || {
        let found = cut_off.entry("held").lookup::<u32>().await;
        found.status.tier() == Some(Tier::L1)
    };
    until(in_l1).await;
    proxy.refuse(true).await;
    proxy.cut();
    // Its window closes: now it is not waited for.
    until(async || !in_l1().await).await;
    let gate = Gate::closed();
    let earlier = tokio::spawn({
        let (cache, load) = (cut_off.clone(), gate.loader(1_u32));
        async move { cache.get_or_load("k", load).await }
    });
    gate.entered().await;
    let everywhere = other.invalidate(Key::from("k")).everywhere();
    soon(everywhere).await.unwrap();
    let load = || async { Ok::<_, Infallible>(2_u32) };
    let mut later = pin!(cut_off.get_or_load("k", load));
    for _ in 0..1000 {
        assert!(poll!(&mut later).is_pending());
        tokio::task::yield_now().await;
    }
    gate.release();
    assert_eq!(soon(earlier).await.unwrap().unwrap(), 1);
    assert_eq!(soon(later).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_of_a_process_that_is_cut_off_share_a_load_all_the_same() {
    const CALLERS: usize = 64;
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let cache = behind(&proxy).await;
    proxy.refuse(true).await;
    proxy.cut();
    let (first, next) = (Gate::closed(), Gate::closed());
    let leader = tokio::spawn({
        let (cache, load) = (cache.clone(), first.loader(1_u32));
        async move { cache.get_or_load("k", load).await }
    });
    first.entered().await;
    // Those that come while it is under way share the next, which is younger than they are.
    let others = (1..CALLERS).map(|_| cache.get_or_load("k", next.loader(2_u32)));
    let mut others = pin!(join_all(others));
    let mut wait = async || {
        for _ in 0..1000 {
            assert!(poll!(&mut others).is_pending());
            tokio::task::yield_now().await;
        }
    };
    wait().await;
    first.release();
    while next.loads() == 0 {
        wait().await;
    }
    wait().await;
    next.release();
    assert_eq!(soon(leader).await.unwrap().unwrap(), 1);
    let others = soon(others).await;
    assert!(others.into_iter().all(|value| value.unwrap() == 2));
    let loads = first.loads() + next.loads();
    assert!(loads <= CALLERS / 8, "{loads} loads for {CALLERS} callers");
}
