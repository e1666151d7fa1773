//! Records of tags: one that is lost, or of another life, counts as newer than everything.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn missing_tag_is_dead() {
    let bench = Bench::start();
    let b = bench.process().await;
    store(&b, 1).await;
    assert_eq!(bench.l2().await, Some(1));
    invalidate(&b, tag(TAG)).await;
    bench.raw(&["DEL", TAG_RECORD]);
    assert_eq!(bench.l2().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn incarnation_of_the_tag() {
    let bench = Bench::start();
    let b = bench.process().await;
    store(&b, 1).await;
    // A copy from an earlier life, as a partial restore brings it back over what was known since.
    let key = TAG_RECORD.as_bytes();
    let saved = match bench.server.command(&[b"DUMP", key]) {
        shelflife_testkit::Reply::Bulk(bytes) => bytes,
        other => panic!("{other:?}"),
    };
    bench.raw(&["DEL", CLOCK, ENTRY]);
    let b = bench.process().await;
    store(&b, 1).await;
    assert_eq!(bench.l2().await, Some(1));
    invalidate(&b, tag(TAG)).await;
    bench
        .server
        .command(&[b"RESTORE", key, b"0", &saved, b"REPLACE"]);
    assert_eq!(bench.l2().await, None);
}
