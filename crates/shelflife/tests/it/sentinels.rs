//! Sentinels: the primary changes, by death, by frost, by hand, and the cache follows; reads never fail meanwhile.

use std::time::Duration;

use shelflife::{Cache, ErrorKind, Invalidation};
use shelflife_testkit::Group;

use crate::gate::until;
use crate::readers::{Readers, stores_again};

async fn cache_of(group: &Group) -> Cache {
    let builder = Cache::builder().url(group.url());
    let builder = builder.setting("connect_timeout", "500ms");
    builder.setting("timeout", "200ms").build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_dies_is_followed_by_its_replica() {
    let mut group = Group::start(1, 3);
    let cache = cache_of(&group).await;
    until(|| async { cache.set("k", 1_u32).await.is_ok() }).await;
    let dead = async || cache.invalidate(Invalidation::new().key("k")).await;
    until(async || dead().await.is_ok()).await;
    let readers = Readers::of(&cache);
    // One of those who watch goes as well: two are enough.
    group.sentinel_mut(0).kill();
    let old = group.primary();
    group.kill(old);
    stores_again(&cache, "l", "a primary killed").await;
    assert_ne!(group.next_primary(old), old);
    assert_eq!(cache.entry("k").strict().get::<u32>().await, None);
    readers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_froze_is_not_believed_when_it_wakes_up() {
    let mut group = Group::start(1, 3);
    let cache = cache_of(&group).await;
    until(|| async { cache.set("k", 1_u32).await.is_ok() }).await;
    let readers = Readers::of(&cache);
    let old = group.primary();
    group.stop(old);
    stores_again(&cache, "l", "a primary frozen").await;
    let new = group.next_primary(old);
    until(|| async {
        let receipt = cache.invalidate(Invalidation::new().key("k")).await;
        receipt.is_ok()
    })
    .await;
    group.wake(old);
    for _ in 0..50 {
        let found = cache.entry("k").strict().get::<u32>().await;
        assert_eq!(found, None, "what the old primary still had");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stores_again(&cache, "m", "it woke up").await;
    assert_eq!(group.primary(), new);
    readers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asked_nothing_meanwhile_does_not_believe_it_either() {
    let mut group = Group::start(1, 3);
    let builder = Cache::builder()
        .url(group.url())
        .setting("connections", "1");
    let builder = builder.setting("connect_timeout", "500ms");
    let reader = builder.setting("timeout", "200ms").build().await.unwrap();
    let writer = cache_of(&group).await;
    until(|| async {
        writer.set("k", 1_u32).await.is_ok() && reader.get::<u32>("k").await == Some(1)
    })
    .await;
    let resyncs = reader.stats().following.resyncs;
    // The reader listens to the first sentinel, which is silent now: only its tail finds out, by asking.
    let old = group.primary();
    group.sentinel_mut(0).stop();
    group.stop(old);
    until(|| async {
        let receipt = writer.invalidate(Invalidation::new().key("k")).await;
        receipt.is_ok()
    })
    .await;
    until(|| async {
        let following = reader.stats().following;
        following.open && following.resyncs > resyncs
    })
    .await;
    group.wake(old);
    let claims = (0..5).any(|_| group.claims(old));
    assert!(claims, "it thinks that it is the primary");
    assert_eq!(
        reader.get::<u32>("k").await,
        None,
        "what the old one still had"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_by_hand_is_heard_of() {
    let group = Group::start(1, 1);
    let cache = cache_of(&group).await;
    until(|| async { cache.set("k", 1_u32).await.is_ok() }).await;
    let readers = Readers::of(&cache);
    let old = group.primary();
    group.switch();
    assert_ne!(group.next_primary(old), old);
    stores_again(&cache, "k", "a switch by hand").await;
    readers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_sentinel_will_do() {
    let mut group = Group::start(1, 3);
    group.sentinel_mut(0).kill();
    group.sentinel_mut(1).stop();
    let cache = cache_of(&group).await;
    until(|| async {
        cache.set("k", 1_u32).await.is_ok() && cache.get::<u32>("k").await == Some(1)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_sentinel_knows_says_so() {
    let group = Group::start(1, 1);
    let url = group.url().replace(group.name(), "other");
    let error = Cache::builder().url(url).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("\"other\""), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_taken_for_a_server_is_told_apart() {
    let group = Group::start(1, 1);
    let url = format!("redis://{}", group.hosts()[0]);
    let error = Cache::builder().url(url).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("redis+sentinel://"), "{error}");
}
