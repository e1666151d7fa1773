//! The two paths to the store: one `GET` while this process follows the log and knows enough, clock and
//! tags with it when it does not. What is counted is what the server was asked.

use std::convert::Infallible;
use std::time::Duration;

use shelflife::{Cache, Invalidation, Loaded, Outcome, Reason, Tier};
use shelflife_testkit::RedisServer;

use crate::stores::Bench;

const LONG: Duration = Duration::from_secs(60);

/// How often the server was asked for an entry with clock and tags; a read that was not took the other path.
fn asked_with_tags(server: &RedisServer) -> u32 {
    let stats = server.cli(&["INFO", "commandstats"]);
    server.cli(&["CONFIG", "RESETSTAT"]);
    let calls = |line: &str| {
        let rest = line.strip_prefix("cmdstat_mget:calls=")?;
        rest.split(',').next()?.parse().ok()
    };
    stats.lines().find_map(calls).unwrap_or(0)
}

async fn tier(cache: &Cache, key: &str) -> Option<Tier> {
    cache.entry(key).lookup::<u32>().await.status.tier()
}

/// Returns when `reader` has applied all that `writer` has done.
async fn followed(writer: &Cache, reader: &Cache) {
    reader.set("mark", 0_u32).await.unwrap();
    while tier(reader, "mark").await != Some(Tier::L1) {}
    writer
        .invalidate(Invalidation::new().key("mark"))
        .await
        .unwrap();
    while tier(reader, "mark").await.is_some() {}
}

async fn load(cache: &Cache, key: &str, tag: &str, value: u32) -> Loaded<u32> {
    let load = move || async move { Ok::<_, Infallible>(value) };
    let entry = cache.entry(key).tag(tag).stale(LONG);
    entry.lookup_or_load(load).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stored_since_this_process_follows_is_read_by_one_get() {
    let mut bench = Bench::redis();
    let (writer, reader) = (bench.long_windowed().await, bench.long_windowed().await);
    writer
        .entry("users:1")
        .tag("user:1")
        .set(1_u32)
        .await
        .unwrap();
    followed(&writer, &reader).await;
    asked_with_tags(bench.server());
    assert_eq!(tier(&reader, "users:1").await, Some(Tier::L2));
    assert_eq!(asked_with_tags(bench.server()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_entry_is_read_with_its_tags_until_the_table_knows_them() {
    let mut bench = Bench::redis();
    let writer = bench.long_windowed().await;
    for key in ["users:1", "users:2", "users:3"] {
        writer.entry(key).tag("team:1").set(1_u32).await.unwrap();
    }
    let reader = bench.long_windowed().await;
    asked_with_tags(bench.server());
    assert_eq!(load(&reader, "users:1", "team:1", 9).await.value, 1);
    assert_eq!(
        asked_with_tags(bench.server()),
        1,
        "nobody told it of the tag"
    );
    assert_eq!(load(&reader, "users:2", "team:1", 9).await.value, 1);
    assert_eq!(asked_with_tags(bench.server()), 0, "the table knows it now");

    // The table follows the log.
    let dead = Invalidation::new().tag("team:1");
    writer.invalidate(dead).await.unwrap();
    followed(&writer, &reader).await;
    asked_with_tags(bench.server());
    let loaded = load(&reader, "users:3", "team:1", 9).await;
    assert_eq!((loaded.value, loaded.status.stored()), (9, true));
    assert_eq!(loaded.status.reason(), Reason::TagNewer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_soft_invalidation_is_known_to_the_local_path_as_soft() {
    let bench = Bench::redis();
    let (writer, reader) = (bench.long_windowed().await, bench.long_windowed().await);
    let entry = writer.entry("users:1").tag("user:1").stale(LONG);
    entry.set(1_u32).await.unwrap();
    let soft = Invalidation::new().tag("user:1").soft();
    writer.invalidate(soft).await.unwrap();
    followed(&writer, &reader).await;
    let found = reader.entry("users:1").lookup::<u32>().await;
    assert_eq!(found.value, Some(1));
    assert_eq!(found.status.outcome(), Outcome::Stale);
    assert_eq!(found.status.reason(), Reason::SoftInvalidated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_window_clock_and_tags_are_read() {
    let mut bench = Bench::redis();
    let writer = bench.long_windowed().await;
    writer.set("users:1", 1_u32).await.unwrap();
    let reader = bench.builder().without_tail().build().await.unwrap();
    tier(&reader, "users:1").await;
    asked_with_tags(bench.server());
    assert_eq!(tier(&reader, "users:1").await, Some(Tier::L2));
    assert_eq!(asked_with_tags(bench.server()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_this_process_invalidated_is_loaded_and_stored_at_once() {
    let bench = Bench::redis();
    let cache = bench.long_windowed().await;
    // Faster than the log brings our own invalidation back, again and again.
    for value in 0..200_u32 {
        let loaded = load(&cache, "users:1", "user:1", value).await;
        assert_eq!(loaded.value, value);
        assert!(
            loaded.status.stored(),
            "{value}: {}",
            loaded.status.reason()
        );
        let dead = Invalidation::new().tag("user:1");
        cache.invalidate(dead).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_tag_costs_one_fill_at_most() {
    let mut bench = Bench::redis();
    let cache = bench.long_windowed().await;
    load(&cache, "users:1", "user:1", 1).await;
    bench.server().cli(&["DEL", "sl1:{test}:t:user:1"]);
    cache
        .invalidate(Invalidation::new().key("users:1"))
        .await
        .unwrap();
    let first = load(&cache, "users:1", "user:1", 2).await;
    let second = load(&cache, "users:1", "user:1", 3).await;
    assert_eq!(first.value, 2);
    assert!(first.status.stored() || second.status.stored());
    assert!(load(&cache, "users:1", "user:1", 4).await.value < 4);
}
