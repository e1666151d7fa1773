//! Watching the log: from when on.

use std::time::Duration;

use shelflife::{Invalidation, Logged, Watch, Watched};

use crate::gate::soon;
use crate::stores::Bench;

async fn next(watch: &mut Watch) -> Box<Logged> {
    match soon(watch.next()).await {
        Some(Watched::Entry(entry)) => entry,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_asked_for_is_not_shown_though_nothing_came_since() {
    let bench = Bench::redis();
    let cache = bench.builder().without_tail().build().await.unwrap();
    let invalidate = async |tag: &str| {
        let what = Invalidation::new().tag(tag);
        cache.invalidate(what).await.unwrap();
    };
    invalidate("old").await;
    let mut recent = cache.watch(Duration::from_micros(1)).await.unwrap();
    let mut all = cache.watch(Duration::from_secs(3600)).await.unwrap();
    invalidate("new").await;
    assert_eq!(next(&mut recent).await.tags, ["new"]);
    assert_eq!(next(&mut all).await.note.as_deref(), Some("new"));
    assert_eq!(next(&mut all).await.tags, ["old"]);
    assert_eq!(next(&mut all).await.tags, ["new"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_began_anew_is_shown_from_its_beginning() {
    let mut bench = Bench::redis();
    let cache = bench.builder().without_tail().build().await.unwrap();
    let first = cache.invalidate(Invalidation::new().tag("old"));
    let ahead = first.await.unwrap().epoch().tick + 3_600_000_000;
    // Of the life that follows, all ticks are lower.
    let id = format!("{ahead}-0");
    bench
        .server()
        .cli(&["XADD", "sl1:{test}:log", &id, "w", "x"]);
    let mut watch = cache.watch(Duration::from_micros(1)).await.unwrap();
    bench.server().cli(&["FLUSHALL"]);
    cache
        .invalidate(Invalidation::new().tag("new"))
        .await
        .unwrap();
    // How much it has seen of the old log does not matter.
    loop {
        match soon(watch.next()).await.unwrap() {
            Watched::Entry(entry) if entry.tags == ["new"] => break,
            Watched::Entry(_) | Watched::Gap => {}
            other => panic!("{other:?}"),
        }
    }
}
