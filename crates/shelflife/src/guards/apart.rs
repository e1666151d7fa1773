//! Where keys lie apart, an operation is several steps on several nodes: what may come between.

use shelflife_testkit::{Access, Cluster, slot_of};

use super::*;
use crate::clock::ManualClock;
use crate::store::Store;

/// Three primaries whose replicas never take over: what a node has is out of reach while it is down.
fn alone() -> Cluster {
    let conf = [
        "cluster-replica-no-failover yes",
        "cluster-require-full-coverage no",
    ];
    let conf = conf.map(str::to_owned).to_vec();
    let access = Access {
        conf,
        ..Access::default()
    };
    Cluster::start_with(3, access)
}

fn entry(key: &str) -> String {
    format!("sl1:test:e:{key}")
}

/// A key whose entry such a node has.
fn key_on(cluster: &Cluster, is_it: impl Fn(usize) -> bool) -> String {
    let has = |key: &String| {
        cluster
            .primary_of(slot_of(entry(key).as_bytes()))
            .is_some_and(&is_it)
    };
    (0..).map(|n| format!("users:{n}")).find(has).unwrap()
}

fn control_node(cluster: &Cluster) -> usize {
    cluster.primary_of(slot_of(CLOCK.as_bytes())).unwrap()
}

/// A key whose entry is on another node than the clock, and on which.
fn key_elsewhere(cluster: &Cluster) -> (String, usize) {
    let control = control_node(cluster);
    let key = key_on(cluster, |node| node != control);
    let node = cluster.primary_of(slot_of(entry(&key).as_bytes())).unwrap();
    (key, node)
}

/// Has a replica take over that has the entry as it was saved, and gives which one.
async fn taken_over_with(cluster: &Cluster, primary: usize, saved: &[u8]) -> usize {
    bring_back(cluster.node(primary), ENTRY, saved);
    let replica = cluster.replicas_of(primary)[0];
    cluster.promote(replica);
    until(async || cluster.primary_of(slot_of(ENTRY.as_bytes())) == Some(replica)).await;
    let old = || cluster.node(primary).cli(&["INFO", "replication"]);
    until(async || old().contains("role:slave")).await;
    replica
}

/// Waits until a process knows of so many primaries, and reaches each.
async fn reaches(cache: &Cache, primaries: usize) {
    let Store::Redis(store) = &cache.engine.store else {
        panic!("no cluster");
    };
    until(async || store.primaries().await == Some(primaries)).await;
}

/// A cluster in which nobody is killed: a machine that stands still for a second makes no replica take over.
fn calm() -> Cluster {
    let cluster = Cluster::start(3);
    for node in 0..cluster.nodes() {
        let set = ["CONFIG", "SET", "cluster-node-timeout", "15000"];
        cluster.node(node).cli(&set);
    }
    cluster
}

async fn process(cluster: &Cluster) -> Cache {
    built(builder(cluster, Duration::from_secs(60)).timeout(PATIENT)).await
}

/// One that asks nodes that are away.
async fn hasty(cluster: &Cluster) -> Cache {
    built(builder(cluster, Duration::from_secs(60))).await
}

fn builder(cluster: &Cluster, window: Duration) -> Builder {
    Cache::builder()
        .url(cluster.url())
        .namespace("test")
        .jitter(0.0)
        .setting("early", "0")
        .ttl(Duration::from_secs(3600))
        .timeout(TIMEOUT)
        .window(window)
}

async fn built(builder: Builder) -> Cache {
    let cache = soon(builder.build()).await.unwrap();
    until(async || trusted(&cache)).await;
    cache
}

/// What L2 gives.
async fn l2(cache: &Cache) -> Option<u32> {
    cache.entry(KEY).strict().get().await
}

fn invalidating(cache: &Cache) -> JoinHandle<Epoch> {
    let cache = cache.clone();
    tokio::spawn(async move { invalidate(&cache, Invalidation::new().key(KEY)).await })
}

fn setting(cache: &Cache) -> JoinHandle<()> {
    let cache = cache.clone();
    tokio::spawn(async move {
        soon(cache.set(KEY, 1_u32)).await.unwrap();
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_are_announced_to_sets() {
    let cluster = calm();
    let (a, b) = (process(&cluster).await, process(&cluster).await);
    let called = stop(&a, Point::SetCalled);
    let set = setting(&a);
    called.reached().await;
    let removed = stop(&b, Point::Scanned);
    let invalidated = invalidating(&b);
    removed.reached().await;
    // What removes has been there, and the log does not tell yet that it was.
    called.go();
    set.await.unwrap();
    removed.go();
    invalidated.await.unwrap();
    assert_eq!(l2(&b).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tokens_of_a_set_before_its_look() {
    let cluster = calm();
    let (a, b) = (process(&cluster).await, process(&cluster).await);
    let looked = stop(&a, Point::SetLooked);
    let set = setting(&a);
    looked.reached().await;
    invalidating(&b).await.unwrap();
    looked.go();
    set.await.unwrap();
    assert_eq!(l2(&b).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn primaries_of_entries_are_looked_at_again() {
    let cluster = Cluster::start(3);
    let b = process(&cluster).await;
    b.set(KEY, 1_u32).await.unwrap();
    let primary = cluster.primary_of(slot_of(ENTRY.as_bytes())).unwrap();
    let saved = saved(cluster.node(primary), ENTRY);
    let removed = stop(&b, Point::Scanned);
    let invalidated = invalidating(&b);
    removed.reached().await;
    // A replica takes over that had not heard of the removal.
    let replica = taken_over_with(&cluster, primary, &saved).await;
    removed.go();
    invalidated.await.unwrap();
    let there = cluster.node(replica).cli(&["EXISTS", ENTRY]);
    assert_eq!(there, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_set_during_which_another_primary_takes_over_is_owed() {
    let cluster = Cluster::start(3);
    let b = process(&cluster).await;
    b.set(KEY, 1_u32).await.unwrap();
    let primary = cluster.primary_of(slot_of(ENTRY.as_bytes())).unwrap();
    let saved = saved(cluster.node(primary), ENTRY);
    let looked = stop(&b, Point::SetLooked);
    let set = {
        let b = b.clone();
        tokio::spawn(async move { soon(b.set(KEY, 2_u32)).await })
    };
    looked.reached().await;
    // A replica takes over that had not heard of the token, and has the old value.
    let replica = taken_over_with(&cluster, primary, &saved).await;
    looked.go();
    assert!(set.await.unwrap().is_err());
    // It is owed as invalidated.
    until(async || cluster.node(replica).cli(&["EXISTS", ENTRY]) == "0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_scan_passes_no_primary_by() {
    let mut cluster = alone();
    let b = hasty(&cluster).await;
    let mut nodes = cluster.primaries().unwrap();
    // As they are scanned.
    nodes.sort_by_key(|&node| cluster.node(node).port());
    let key = key_on(&cluster, |node| node == nodes[1]);
    b.set(key.clone(), 1_u32).await.unwrap();
    let (paged, scanned) = (stop(&b, Point::Paged), stop(&b, Point::Scanned));
    let invalidated = {
        let b = b.clone();
        tokio::spawn(async move { invalidate(&b, Invalidation::new().pattern("us*:*")).await })
    };
    paged.reached().await;
    // The first one is scanned; without it the one that would be next is the first.
    cluster.stop(nodes[0]);
    reaches(&b, 2).await;
    paged.go();
    scanned.reached().await;
    cluster.wake(nodes[0]);
    reaches(&b, 3).await;
    // Whoever is asked has to know that it is back.
    let whole = |node: &usize| {
        let info = cluster.node(*node).cli(&["CLUSTER", "INFO"]);
        info.contains("cluster_slots_ok:16384")
    };
    until(async || nodes.iter().all(whole)).await;
    scanned.go();
    invalidated.await.unwrap();
    assert_eq!(cluster.node(nodes[1]).cli(&["EXISTS", &entry(&key)]), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_comes_back_with_older_data_is_another_one() {
    let mut cluster = alone();
    let b = built(builder(&cluster, Duration::from_secs(1))).await;
    let (key, node) = key_elsewhere(&cluster);
    b.set(key.clone(), 1_u32).await.unwrap();
    cluster.node(node).cli(&["SAVE"]);
    invalidate(&b, Invalidation::new().key(&*key)).await;
    cluster.kill(node);
    // For so long that the map has it no more.
    reaches(&b, 2).await;
    cluster.restart(node);
    let loaded = cluster.node(node).cli(&["INFO", "persistence"]);
    assert!(!loaded.contains("rdb_last_load_keys_loaded:0"), "{loaded}");
    let name = entry(&key);
    let exists = || cluster.node(node).command(&[b"EXISTS", name.as_bytes()]);
    until(async || exists() == Reply::Int(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_minute_stands_still_while_a_primary_is_away() {
    let mut cluster = alone();
    let clock = ManualClock::new();
    let b = built(builder(&cluster, Duration::from_secs(1)).clock(&clock)).await;
    let (key, node) = key_elsewhere(&cluster);
    b.set(key.clone(), 1_u32).await.unwrap();
    cluster.node(node).cli(&["SAVE"]);
    invalidate(&b, Invalidation::new().key(&*key)).await;
    cluster.kill(node);
    clock.advance(Duration::from_secs(61));
    // The clock's own node answers all the while: the first of these was sent after that.
    let judged = b.engine.settings.probes.count(Point::Judged);
    until(async || b.engine.settings.probes.count(Point::Judged) >= judged + 3).await;
    cluster.restart(node);
    let loaded = cluster.node(node).cli(&["INFO", "persistence"]);
    assert!(!loaded.contains("rdb_last_load_keys_loaded:0"), "{loaded}");
    // A read that fails finds nothing either: what the node has tells whether it was told again.
    let name = entry(&key);
    let exists = || cluster.node(node).command(&[b"EXISTS", name.as_bytes()]);
    until(async || exists() == Reply::Int(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_resync_waits_for_no_node_that_is_away() {
    let mut cluster = alone();
    let b = built(builder(&cluster, Duration::from_secs(1))).await;
    let control = control_node(&cluster);
    let (key, away) = key_elsewhere(&cluster);
    b.set(key.clone(), 1_u32).await.unwrap();
    invalidate(&b, Invalidation::new().key(&*key)).await;
    cluster.kill(away);
    let third = (0..3).find(|&node| node != control && node != away);
    let resyncs = b.stats().following.resyncs;
    cluster.promote(cluster.replicas_of(third.unwrap())[0]);
    until(async || b.stats().following.resyncs > resyncs && trusted(&b)).await;
    assert!(b.engine.owes() > 0, "nobody could be asked");
    cluster.restart(away);
    until(async || b.engine.owes() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_scan_is_not_confirmed_while_a_slot_has_no_node() {
    let mut cluster = alone();
    let b = process(&cluster).await;
    let (key, away) = key_elsewhere(&cluster);
    b.set(key.clone(), 1_u32).await.unwrap();
    cluster.stop(away);
    // For so long that the map has it no more.
    reaches(&b, 2).await;
    let nodes = b.stats().nodes;
    let up: Vec<bool> = nodes.iter().map(|node| node.connections_up > 0).collect();
    assert_eq!(up, [true, true, false], "it is told of all the same");
    let scan = Invalidation::new().pattern("us*:*");
    soon(b.invalidate(scan)).await.unwrap_err();
    cluster.wake(away);
    until(async || b.engine.owes() == 0).await;
    assert_eq!(cluster.node(away).cli(&["EXISTS", &entry(&key)]), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_set_fails_for_those_whose_node_is_away_and_for_nobody_else() {
    let mut cluster = alone();
    let b = hasty(&cluster).await;
    let control = control_node(&cluster);
    let near = key_on(&cluster, |node| node == control);
    let far = key_on(&cluster, |node| node != control);
    let away = cluster.primary_of(slot_of(entry(&far).as_bytes())).unwrap();
    let set = |key: &str| {
        let (b, key) = (b.clone(), key.to_owned());
        tokio::spawn(async move { soon(b.set(key, 1_u32)).await })
    };
    // While this one is under way, the others wait and then go together.
    let called = stop(&b, Point::SetCalled);
    let first = set(&near);
    called.reached().await;
    let (one, other) = (set(&near), set(&far));
    until(async || b.engine.sets.waiting() == 3).await;
    cluster.stop(away);
    called.go();
    first.await.unwrap().unwrap();
    one.await.unwrap().unwrap();
    assert!(other.await.unwrap().is_err());
    let loaded = soon(b.get_or_load(near, async || Ok::<_, Infallible>(2_u32))).await;
    assert_eq!(loaded.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_set_that_is_not_logged_leaves_no_token() {
    let mut cluster = alone();
    let b = hasty(&cluster).await;
    let control = control_node(&cluster);
    let (key, node) = key_elsewhere(&cluster);
    cluster.stop(control);
    assert!(soon(b.set(key.clone(), 1_u32)).await.is_err());
    assert_eq!(cluster.node(node).cli(&["EXISTS", &entry(&key)]), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_without_the_majority_is_not_believed_though_it_answers_reads() {
    let mut cluster = alone();
    let control = control_node(&cluster);
    let answers = ["CONFIG", "SET", "cluster-allow-reads-when-down", "yes"];
    cluster.node(control).cli(&answers);
    let c = builder(&cluster, Duration::from_secs(60)).without_tail();
    let c = soon(c.build()).await.unwrap();
    let key = key_on(&cluster, |node| node == control);
    let found = async || c.entry(&*key).strict().get::<u32>().await;
    until(async || c.set(&*key, 1_u32).await.is_ok() && found().await == Some(1)).await;
    for node in cluster.primaries().unwrap() {
        if node != control {
            cluster.kill(node);
        }
    }
    let name = entry(&key);
    let node = cluster.node(control);
    until(async || {
        node.cli(&["CLUSTER", "INFO"])
            .contains("cluster_state:fail")
    })
    .await;
    assert_eq!(node.cli(&["EXISTS", &name]), "1");
    assert_eq!(found().await, None);
}
