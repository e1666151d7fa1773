//! What a lost primary took along: what it had confirmed is carried out again on its successor, without anybody asking.

use std::time::Duration;

use shelflife::{Cache, Invalidation, ManualClock};
use shelflife_testkit::{Proxy, RedisServer};

use crate::gate::until;
use crate::retry::{Happened, builder, cut_off, holds, seen_by};

/// A primary, and a replica of it that has all that it had.
async fn pair() -> (RedisServer, RedisServer) {
    let primary = RedisServer::start();
    let replica = replica_of(&primary).await;
    (primary, replica)
}

async fn replica_of(primary: &RedisServer) -> RedisServer {
    let replica = RedisServer::start();
    let port = primary.port().to_string();
    replica.cli(&["REPLICAOF", "127.0.0.1", &port]);
    let linked = || {
        replica
            .cli(&["INFO", "replication"])
            .contains("master_link_status:up")
    };
    until(|| async { linked() }).await;
    replica
}

/// An invalidation that the old primary confirmed and its successor never got; then the successor takes
/// over, so much later. What the process behind the proxy does about it is the policy's.
async fn failover(policy: &str, later: Duration) -> (RedisServer, Proxy, Cache, Cache) {
    let (mut primary, replica) = pair().await;
    let proxy = Proxy::start(primary.address()).await;
    let clock = ManualClock::new();
    let behind = builder(proxy.url()).setting("failover", policy);
    let behind = behind.clock(&clock).build().await.unwrap();
    for key in ["users:1", "users:2", "kept:1"] {
        let entry = behind.entry(key).tag(format!("tag:{key}"));
        entry.set(1_u32).await.unwrap();
    }
    // The last of them is there, so all are.
    let arrived = || replica.cli(&["EXISTS", "sl1:test:e:kept:1"]) == "1";
    until(|| async { arrived() }).await;
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    let dead = Invalidation::new().key("users:1").tag("tag:users:2");
    behind.invalidate(dead).await.unwrap();

    let other = builder(replica.url()).without_tail().build().await.unwrap();
    assert!(holds(&other, "users:1").await, "lost with the old primary");
    assert!(holds(&other, "users:2").await, "lost with the old primary");
    primary.kill();
    clock.advance(later);
    proxy.retarget(replica.address());
    proxy.cut();
    (replica, proxy, behind, other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lost_primary_had_confirmed_is_carried_out_again_on_its_successor() {
    let (_replica, _proxy, behind, other) = failover("replay", Duration::ZERO).await;
    until(|| async { !holds(&other, "users:1").await && !holds(&other, "users:2").await }).await;
    until(|| async { behind.stats().invalidations_reissued > 0 }).await;
    // Its own sets are among what it carries out again: they count as invalidations of their keys.
    until(|| async { !holds(&other, "kept:1").await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_is_on_a_successor_that_is_met_late() {
    let (_replica, _proxy, _behind, other) = failover("replay", Duration::from_secs(61)).await;
    until(|| async { !holds(&other, "users:1").await && !holds(&other, "users:2").await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_carried_out_again_and_again_stays_what_it_was() {
    // Twice as many are more than are kept one by one.
    const MANY: usize = 5000;
    let mut primary = RedisServer::start();
    let proxy = Proxy::start(primary.address()).await;
    let behind = builder(proxy.url()).build().await.unwrap();
    let dead = Invalidation::new().keys((0..MANY).map(|n| format!("users:{n}")));
    behind.invalidate(dead).await.unwrap();
    for _ in 0..2 {
        let replica = replica_of(&primary).await;
        replica.cli(&["REPLICAOF", "NO", "ONE"]);
        let other = builder(replica.url()).without_tail().build().await.unwrap();
        other.set("users:1", 1_u32).await.unwrap();
        other.set("kept:1", 1_u32).await.unwrap();
        let resyncs = behind.stats().following.resyncs;
        primary.kill();
        proxy.retarget(replica.address());
        proxy.cut();
        until(|| async { behind.stats().following.resyncs > resyncs }).await;
        assert!(!holds(&other, "users:1").await);
        assert!(holds(&other, "kept:1").await, "it is not among them");
        primary = replica;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_may_begin_anew_instead() {
    let (_replica, _proxy, behind, other) = failover("bump", Duration::ZERO).await;
    for key in ["users:1", "users:2", "kept:1"] {
        until(|| async { !holds(&other, key).await }).await;
    }
    assert_eq!(behind.stats().invalidations_reissued, 0);
    // The first one may begin the new life itself, and be taken for one of the old.
    until(|| async {
        other.set("users:1", 2_u32).await.unwrap();
        holds(&other, "users:1").await
    })
    .await;
}

async fn events_of_a_lost_primary_are_told_again(policy: &str) {
    let (mut primary, replica) = pair().await;
    let (wire, cut) = (
        Proxy::start(primary.address()).await,
        Proxy::start(primary.address()).await,
    );
    let on = async |wire: &Proxy| {
        let builder = builder(wire.url()).setting("failover", policy);
        builder.build().await.unwrap()
    };
    let (one, other) = (on(&wire).await, on(&cut).await);
    let seen = seen_by(&other);
    one.emit(&Happened { id: 1 }).await.unwrap();
    until(|| async { *seen.lock().unwrap() == [1] }).await;
    let log = |server: &RedisServer| server.cli(&["XLEN", "sl1:{test}:log"]);
    until(|| async { log(&replica) == log(&primary) }).await;
    cut_off(&cut).await;
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    one.emit(&Happened { id: 2 }).await.unwrap();
    assert_ne!(log(&replica), log(&primary), "lost with the old primary");
    primary.kill();
    for wire in [&wire, &cut] {
        wire.retarget(replica.address());
        wire.cut();
    }
    cut.refuse(false).await;
    until(|| async { seen.lock().unwrap().len() == 2 }).await;
    one.emit(&Happened { id: 3 }).await.unwrap();
    until(|| async { seen.lock().unwrap().last() == Some(&3) }).await;
    assert_eq!(
        *seen.lock().unwrap(),
        [1, 2, 3],
        "what is in the log is not told again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_a_lost_primary_had_confirmed_are_told_again() {
    events_of_a_lost_primary_are_told_again("replay").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_told_again_where_a_failover_begins_anew() {
    events_of_a_lost_primary_are_told_again("bump").await;
}
