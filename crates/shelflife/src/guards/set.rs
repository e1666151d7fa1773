//! Set: a write counts from its announcement, and only while its token stands.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn token_of_the_write() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    let write = a.entry(KEY).tag(TAG).begin_write().await.unwrap();
    // By key: no record of a tag tells of it, only the token that is gone.
    b.delete(KEY).await.unwrap();
    write.finish(1_u32).await.unwrap();
    assert_eq!(bench.raw(&["EXISTS", ENTRY]), "0");
    assert_eq!(bench.l2().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn write_counts_from_its_announcement() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    let write = a.entry(KEY).tag(TAG).begin_write().await.unwrap();
    invalidate(&b, tag(TAG)).await;
    write.finish(1_u32).await.unwrap();
    assert_eq!(bench.l2().await, None);
}
