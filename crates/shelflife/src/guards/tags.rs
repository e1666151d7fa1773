//! Records: a tag's that is lost, or of another life, counts as newer than everything; an entry's of
//! another life is dead.

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
    let saved = saved(&bench.server, TAG_RECORD);
    bench.raw(&["DEL", CLOCK, ENTRY]);
    let b = bench.process().await;
    store(&b, 1).await;
    assert_eq!(bench.l2().await, Some(1));
    invalidate(&b, tag(TAG)).await;
    bring_back(&bench.server, TAG_RECORD, &saved);
    assert_eq!(bench.l2().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn incarnation_of_the_record() {
    let bench = Bench::start();
    // The clock runs ahead of the server's time, as it does after a jump.
    bench.run_ahead(HOUR).await;
    let b = bench.process().await;
    store(&b, 1).await;
    // The bookkeeping is lost, the entry stays. Ticks now begin before the one that it counts from.
    bench.raw(&["DEL", CLOCK, LOG]);
    let b = bench.process().await;
    invalidate(&b, tag(TAG)).await;
    // The records of all its tags are of this life from here on, and older than it by their ticks.
    let other = b.entry("users:7").tag(TAG);
    other.set(7_u32).await.unwrap();
    let inc = format!("{:016x} ", bench.clock().inc);
    for record in [ROOT, PREFIX, TAG_RECORD] {
        assert!(bench.raw(&["GET", record]).starts_with(&inc), "{record}");
    }
    assert_eq!(bench.raw(&["EXISTS", ENTRY]), "1");
    assert_eq!(bench.l2().await, None);
}
