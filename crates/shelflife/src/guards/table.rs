//! The tag table: what the primary said of a tag, merged with what memory knows, and only while it does.

use super::*;

const OTHER: &str = "users:43";

/// Stores 1 under two keys with the tag, then starts a process whose memory does not reach back that far:
/// it has to go by the records of the tags. Gives it, and its read of the first key, which the primary
/// has answered: nothing has been learned from that yet.
async fn reading(bench: &Bench, b: &Cache) -> (Cache, Stop, JoinHandle<Loaded<u32>>) {
    store(b, 1).await;
    let other = b.entry(OTHER).tag(TAG);
    let load = Gate::open().loader(1_u32);
    other.get_or_load(load).await.unwrap();
    invalidate(b, tag("between")).await;
    let a = bench.process().await;
    let answered = stop(&a, Point::Answered);
    let first = read_through(&a, 2);
    answered.reached().await;
    (a, answered, first)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn table_by_max() {
    let bench = Bench::start();
    let b = bench.process().await;
    let (a, answered, first) = reading(&bench, &b).await;
    let epoch = invalidate(&b, tag(TAG)).await;
    applied(&a, epoch).await;
    // It will ask again, and learn better; what it has learned from the first answer counts until then.
    let again = stop(&a, Point::Answered);
    answered.go();
    again.reached().await;
    assert_eq!(a.get::<u32>(OTHER).await, None);
    again.go();
    first.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn discard_rule_of_the_table() {
    let bench = Bench::start();
    let b = bench.process().await;
    let (a, answered, first) = reading(&bench, &b).await;
    let beyond = lose_from_log(&bench, &a, &b).await;
    applied(&a, beyond).await;
    until(async || trusted(&a)).await;
    let again = stop(&a, Point::Answered);
    answered.go();
    again.reached().await;
    assert_eq!(a.get::<u32>(OTHER).await, None);
    again.go();
    first.await.unwrap();
}
