//! The wire between: cut, silent, slow; and answers that come when nobody waits for them any more.

use std::time::Duration;

use shelflife_testkit::{Proxy, RedisServer};

use crate::faults::{assert_degraded, assert_recovers, builder, timed};
use crate::gate::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_are_made_again() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let cache = builder(proxy.url()).connections(3).build().await.unwrap();
    for _ in 0..5 {
        proxy.cut();
        assert_eq!(timed(&cache, "k", 1).await.0, 1);
        assert_recovers(&cache).await;
    }
    proxy.refuse(true).await;
    proxy.cut();
    until(|| async { cache.ping().await.is_err() }).await;
    assert_degraded(&cache).await;
    proxy.refuse(false).await;
    assert_recovers(&cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_everything_costs_timeouts() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let cache = builder(proxy.url()).build().await.unwrap();
    proxy.freeze(true);
    assert_degraded(&cache).await;
    proxy.freeze(false);
    assert_recovers(&cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_network_slows_and_breaks_nothing() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    proxy.delay(Duration::from_millis(10));
    let cache = builder(proxy.url())
        .timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(10))
        .build()
        .await
        .unwrap();
    assert_recovers(&cache).await;
    assert_eq!(cache.stats().store_errors, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_comes_late_never_reaches_another_caller() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    // A window of no use: every read goes to the server.
    let cache = builder(proxy.url())
        .window(Duration::from_nanos(1))
        .timeout(Duration::from_secs(10))
        .build()
        .await
        .unwrap();
    for i in 0..50_u32 {
        cache.set(format!("k:{i}"), i).await.unwrap();
    }
    proxy.delay(Duration::from_millis(3));
    let mut random = fastrand::Rng::with_seed(1);
    let mut answered = 0;
    for _ in 0..20 {
        let reads: Vec<_> = (0..100)
            .map(|_| {
                let (cache, i) = (cache.clone(), random.u32(..50));
                let patience = Duration::from_micros(random.u64(..20_000));
                tokio::spawn(async move {
                    let key = format!("k:{i}");
                    let read = cache.entry(&key).strict().get::<u32>().await;
                    let gave_up = tokio::time::timeout(patience, cache.get::<u32>(&key)).await;
                    for found in [Some(read), gave_up.ok()].into_iter().flatten() {
                        assert_eq!(found, Some(i));
                    }
                })
            })
            .collect();
        for (at, read) in reads.into_iter().enumerate() {
            if at % 3 == 0 {
                read.abort();
            }
            match read.await {
                Ok(()) => answered += 1,
                Err(ended) => assert!(ended.is_cancelled(), "{ended}"),
            }
        }
    }
    assert!(answered > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_timed_out_connection_says_later_is_not_taken_for_an_answer() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let cache = builder(proxy.url())
        .window(Duration::from_nanos(1))
        .build()
        .await
        .unwrap();
    for i in 0..20_u32 {
        // The time limit is short, and the machine may be busy.
        until(|| async { cache.set(format!("k:{i}"), i).await.is_ok() }).await;
    }
    for _ in 0..3 {
        proxy.freeze(true);
        assert_eq!(
            cache.get::<u32>("k:1").await,
            None,
            "nothing is known in time"
        );
        proxy.freeze(false);
        for i in 0..20_u32 {
            let found = cache.get::<u32>(format!("k:{i}")).await;
            assert!(found.is_none_or(|v| v == i), "{found:?} for {i}");
        }
        until(|| async { cache.get::<u32>("k:3").await == Some(3) }).await;
    }
}
