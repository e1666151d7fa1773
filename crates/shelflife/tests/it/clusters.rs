//! A cluster: nodes die and are followed, slots move under load, globs miss nothing; reads never fail meanwhile.

use std::collections::BTreeSet;

use shelflife::{Cache, ErrorKind, Invalidation};
use shelflife_testkit::{Cluster, RedisServer, slot_of};

use crate::gate::{Gate, until};
use crate::readers::{Readers, stores_again};
use crate::stores::{Bench, PATIENT, calm};

pub async fn cache_of(cluster: &Cluster) -> Cache {
    let builder = Cache::builder().url(cluster.url()).namespace("shop");
    let builder = builder.setting("connect_timeout", "500ms");
    builder.setting("timeout", "300ms").build().await.unwrap()
}

/// Where no node is away, a busy machine is none either.
async fn calm_cache_of(cluster: &Cluster) -> Cache {
    let builder = Cache::builder().url(cluster.url()).namespace("shop");
    let builder = builder.connect_timeout(PATIENT).timeout(PATIENT);
    builder.build().await.unwrap()
}

/// Sets a value that stays: the machine may be too busy for the short timeouts of who follows nodes that die, and what was not
/// confirmed is invalidated later.
async fn set(cache: &Cache, key: &str, value: u32) {
    until(|| async {
        let set = cache.set(key.to_owned(), value).await;
        let settled = set.is_ok() && cache.stats().unconfirmed == 0;
        settled && cache.entry(key).strict().get::<u32>().await == Some(value)
    })
    .await;
}

pub fn slot_of_entry(key: &str) -> u16 {
    slot_of(format!("sl1:shop:e:{key}").as_bytes())
}

pub fn control_slot() -> u16 {
    slot_of(b"sl1:{shop}:clock")
}

/// A key whose entry is on another node than the clock.
pub fn elsewhere(cluster: &Cluster) -> String {
    let control = cluster.primary_of(control_slot());
    (0..)
        .map(|n| format!("k{n}"))
        .find(|key| cluster.primary_of(slot_of_entry(key)) != control)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_spread_and_are_found_again() {
    let cluster = calm(Cluster::start(3));
    let cache = calm_cache_of(&cluster).await;
    let other = calm_cache_of(&cluster).await;
    let mut nodes = BTreeSet::new();
    for n in 0..60_u32 {
        let key = format!("user:{n}");
        nodes.insert(cluster.primary_of(slot_of_entry(&key)));
        cache.entry(&*key).tag("all").set(n).await.unwrap();
    }
    assert_eq!(nodes.len(), 3, "on every node");
    for n in 0..60_u32 {
        assert_eq!(other.get::<u32>(format!("user:{n}")).await, Some(n));
    }
    cache
        .invalidate(Invalidation::new().tag("all"))
        .await
        .unwrap();
    for n in 0..60_u32 {
        let strict = other.entry(format!("user:{n}")).strict().get::<u32>().await;
        assert_eq!(strict, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_is_followed_by_its_replica() {
    let mut cluster = Cluster::start(3);
    let cache = cache_of(&cluster).await;
    let key = elsewhere(&cluster);
    set(&cache, &key, 1).await;
    let readers = Readers::of(&cache);
    let lost = cluster.primary_of(slot_of_entry(&key)).unwrap();
    cluster.kill(lost);
    stores_again(&cache, &key, "a node with entries killed").await;
    assert_ne!(cluster.primary_of(slot_of_entry(&key)), Some(lost));
    readers.end().await;
}

/// The circuit breaker is one for each node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_node_slows_no_key_of_another() {
    let mut cluster = Cluster::start(3);
    let cache = cache_of(&cluster).await;
    let far = elsewhere(&cluster);
    let control = cluster.primary_of(control_slot());
    let beside = |key: &String| cluster.primary_of(slot_of_entry(key)) == control;
    let near = (0..).map(|n| format!("n{n}")).find(beside).unwrap();
    for key in [&far, &near] {
        set(&cache, key, 1).await;
    }
    let frozen = cluster.primary_of(slot_of_entry(&far)).unwrap();
    cluster.stop(frozen);
    let readers = Readers::of(&cache);
    let mut times = Vec::new();
    let mut found = 0;
    for _ in 0..50 {
        let began = std::time::Instant::now();
        found += u32::from(cache.entry(&*near).strict().get::<u32>().await == Some(1));
        times.push(began.elapsed());
        cache.entry(&*far).get::<u32>().await;
    }
    // A few are too slow for the short timeout when the machine stands still.
    assert!(found >= 45, "{found} of 50 were answered");
    times.sort();
    assert!(
        times[25] < std::time::Duration::from_millis(50),
        "{times:?}"
    );
    cluster.wake(frozen);
    readers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_of_the_clock_that_freezes_is_followed_and_not_believed_again() {
    let mut cluster = Cluster::start(3);
    let cache = cache_of(&cluster).await;
    until(|| async { cache.entry("k").tag("t").set(1_u32).await.is_ok() }).await;
    let readers = Readers::of(&cache);
    let lost = cluster.primary_of(control_slot()).unwrap();
    cluster.stop(lost);
    stores_again(&cache, "l", "the node of the clock frozen").await;
    until(|| async { cache.invalidate(Invalidation::new().tag("t")).await.is_ok() }).await;
    cluster.wake(lost);
    for _ in 0..50 {
        assert_eq!(cache.entry("k").strict().get::<u32>().await, None);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    stores_again(&cache, "m", "it woke up").await;
    readers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_invalidated_before_a_node_died_is_invalidated_again() {
    let mut cluster = Cluster::start(3);
    let cache = cache_of(&cluster).await;
    let key = elsewhere(&cluster);
    set(&cache, &key, 1).await;
    let done = async || cache.invalidate(Invalidation::new().key(&*key)).await;
    until(async || done().await.is_ok()).await;
    let before = cache.stats().invalidations_reissued;
    let lost = cluster.primary_of(slot_of_entry(&key)).unwrap();
    cluster.kill(lost);
    // The clock's own node is well: that another has taken over is known from the map.
    until(|| async { cache.stats().invalidations_reissued > before }).await;
    assert_eq!(cache.entry(&*key).strict().get::<u32>().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_is_found_and_removed_in_every_phase_of_its_slots_move() {
    let cluster = calm(Cluster::start(3));
    let cache = calm_cache_of(&cluster).await;
    let key = elsewhere(&cluster);
    let slot = slot_of_entry(&key);
    let read = async || cache.entry(&*key).strict().get::<u32>().await;
    let to = cluster.primary_of(control_slot()).unwrap();
    cache.set(key.clone(), 1_u32).await.unwrap();
    let move_ = cluster.migrate(slot, to);
    move_.open();
    assert_eq!(read().await, Some(1), "it is still here");
    cache.set(key.clone(), 2_u32).await.unwrap();
    assert_eq!(read().await, Some(2));
    cache
        .invalidate(Invalidation::new().key(&*key))
        .await
        .unwrap();
    assert_eq!(read().await, None);
    // What is new is made there.
    cache.set(key.clone(), 3_u32).await.unwrap();
    assert_eq!(read().await, Some(3));
    move_.move_keys(100);
    assert_eq!(read().await, Some(3), "it has gone ahead");
    cache
        .invalidate(Invalidation::new().pattern("k*"))
        .await
        .unwrap();
    assert_eq!(read().await, None, "a scan meets it on its way");
    cache.set(key.clone(), 4_u32).await.unwrap();
    move_.close();
    assert_eq!(read().await, Some(4));
    cache
        .invalidate(Invalidation::new().key(&*key))
        .await
        .unwrap();
    assert_eq!(read().await, None);
    assert_eq!(cache.stats().store_errors, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slot_may_move_and_a_key_of_another_type_is_told_of_as_such() {
    let cluster = calm(Cluster::start(3));
    let cache = calm_cache_of(&cluster).await;
    let key = elsewhere(&cluster);
    let slot = slot_of_entry(&key);
    let from = cluster.primary_of(slot).unwrap();
    let name = format!("sl1:shop:e:{key}");
    cluster.node(from).cli(&["LPUSH", &name, "no string"]);
    let move_ = cluster.migrate(slot, cluster.primary_of(control_slot()).unwrap());
    move_.open();
    move_.move_keys(100);
    assert_eq!(cache.entry(&*key).strict().get::<u32>().await, None);
    assert_eq!(cache.stats().store_errors, 0, "it was answered");
    move_.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slot_of_the_clock_can_move_under_load() {
    let cluster = Cluster::start(3);
    let cache = cache_of(&cluster).await;
    until(|| async { cache.entry("k").tag("t").set(1_u32).await.is_ok() }).await;
    let readers = Readers::of(&cache);
    let from = cluster.primary_of(control_slot()).unwrap();
    let to = (0..cluster.nodes())
        .find(|&n| n != from && cluster.primary_of(slot_of_entry(&elsewhere(&cluster))) == Some(n))
        .unwrap();
    let move_ = cluster.migrate(control_slot(), to);
    move_.open();
    while move_.move_keys(1) > 0 {
        tokio::task::yield_now().await;
    }
    move_.close();
    stores_again(&cache, "l", "the slot of the clock moved").await;
    until(|| async { cache.invalidate(Invalidation::new().tag("t")).await.is_ok() }).await;
    assert_eq!(cache.entry("k").strict().get::<u32>().await, None);
    readers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn globs_are_scanned_on_every_node() {
    let bench = Bench::cluster();
    let cache = bench.cache().await;
    for n in 0..300_u32 {
        cache.set(format!("user:{n}:name"), n).await.unwrap();
    }
    cache
        .invalidate(Invalidation::new().pattern("user:*:name"))
        .await
        .unwrap();
    for n in 0..300_u32 {
        let key = format!("user:{n}:name");
        assert_eq!(cache.entry(key).strict().get::<u32>().await, None, "{n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_taken_for_a_server_and_a_server_for_a_cluster_are_told_apart() {
    let cluster = Cluster::start(3);
    let url = format!("redis://{}", cluster.hosts()[0]);
    let error = Cache::builder().url(url).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("redis+cluster://"), "{error}");
    let server = RedisServer::start();
    let url = format!("redis+cluster://127.0.0.1:{}", server.port());
    let error = Cache::builder().url(url).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("redis://"), "{error}");
}

fn url_of(hosts: &[String]) -> String {
    format!("redis+cluster://{}", hosts.join(","))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_have_become_replicas_lead_to_the_others() {
    let cluster = Cluster::start(3);
    let old = cluster.primaries().unwrap();
    for &primary in &old {
        let replica = cluster.replicas_of(primary)[0];
        cluster.promote(replica);
        until(|| async {
            let primaries = cluster.primaries();
            primaries.is_some_and(|primaries| !primaries.contains(&primary))
        })
        .await;
    }
    let hosts: Vec<String> = old.iter().map(|&n| cluster.node(n).host()).collect();
    let cache = Cache::builder().url(url_of(&hosts)).build().await.unwrap();
    cache.set("k", 1_u32).await.unwrap();
    assert_eq!(cache.entry("k").strict().get::<u32>().await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_in_no_cluster_is_passed_by() {
    let cluster = Cluster::start(3);
    let lost = cluster.node(cluster.replicas_of(0)[0]);
    lost.cli(&["CLUSTER", "RESET", "HARD"]);
    let hosts = [lost.host(), cluster.node(0).host()];
    let cache = Cache::builder().url(url_of(&hosts)).build().await.unwrap();
    cache.set("k", 1_u32).await.unwrap();
    assert_eq!(cache.entry("k").strict().get::<u32>().await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_see_the_map_is_told_so_at_once() {
    let cluster = Cluster::start(3);
    for n in 0..cluster.nodes() {
        let rights = ["ACL", "SETUSER", "blind", "on", ">x", "~*", "&*", "+@all"];
        let rights: Vec<&str> = rights.into_iter().chain(["-cluster|nodes"]).collect();
        cluster.node(n).cli(&rights);
    }
    let url = url_of(&cluster.hosts()).replace("://", "://blind:x@");
    let error = Cache::builder().url(url).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

/// A process that has nothing in L1, and waits for as long as it takes.
async fn fresh(cluster: &Cluster) -> Cache {
    let builder = Cache::builder().url(cluster.url()).namespace("shop");
    builder.setting("timeout", "10s").build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_takes_no_writes_serves_what_it_has() {
    let cluster = Cluster::start(3);
    let cache = fresh(&cluster).await;
    let key = elsewhere(&cluster);
    cache.set(key.clone(), 1_u32).await.unwrap();
    let node = cluster.primary_of(slot_of_entry(&key)).unwrap();
    cluster.node(node).cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let gate = Gate::open();
    let other = fresh(&cluster).await;
    let found = other.entry(&*key).get_or_load(gate.loader(2_u32)).await;
    assert_eq!(found.unwrap(), 1);
    let third = fresh(&cluster).await;
    let strict = third.entry(&*key).strict();
    assert_eq!(strict.get_or_load(gate.loader(2_u32)).await.unwrap(), 1);
    assert_eq!(gate.loads(), 0);
    let errors = other.stats().store_errors + third.stats().store_errors;
    assert_eq!(errors, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_type_is_replaced() {
    let cluster = Cluster::start(3);
    let key = elsewhere(&cluster);
    let node = cluster.primary_of(slot_of_entry(&key)).unwrap();
    let name = format!("sl1:shop:e:{key}");
    cluster.node(node).cli(&["LPUSH", &name, "no string"]);
    let gate = Gate::open();
    for _ in 0..2 {
        let cache = fresh(&cluster).await;
        let found = cache.entry(&*key).get_or_load(gate.loader(1_u32)).await;
        assert_eq!(found.unwrap(), 1);
        assert_eq!(cache.stats().store_errors, 0);
    }
    assert_eq!(gate.loads(), 1, "it was stored");
}
