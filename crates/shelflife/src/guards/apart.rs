//! Where keys lie apart, an operation is several steps on several nodes: what may come between.

use shelflife_testkit::{Cluster, Reply, slot_of};

use super::*;

async fn process(cluster: &Cluster) -> Cache {
    let cache = Cache::builder()
        .url(cluster.url())
        .namespace("test")
        .jitter(0.0)
        .setting("early", "0")
        .ttl(Duration::from_secs(3600))
        .window(Duration::from_secs(60));
    let cache = soon(cache.build()).await.unwrap();
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
    let cluster = Cluster::start(3);
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
    let cluster = Cluster::start(3);
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
    let Reply::Bulk(saved) = cluster.node(primary).command(&[b"DUMP", ENTRY.as_bytes()]) else {
        panic!("it is not there");
    };
    let removed = stop(&b, Point::Scanned);
    let invalidated = invalidating(&b);
    removed.reached().await;
    // A replica takes over that had not heard of the removal.
    let restore: [&[u8]; 4] = [b"RESTORE", ENTRY.as_bytes(), b"0", &saved];
    cluster.node(primary).command(&restore);
    let replica = cluster.replicas_of(primary)[0];
    cluster.promote(replica);
    until(async || cluster.primary_of(slot_of(ENTRY.as_bytes())) == Some(replica)).await;
    let old = || cluster.node(primary).cli(&["INFO", "replication"]);
    until(async || old().contains("role:slave")).await;
    removed.go();
    invalidated.await.unwrap();
    let there = cluster.node(replica).cli(&["EXISTS", ENTRY]);
    assert_eq!(there, "0");
}
