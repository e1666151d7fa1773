//! Reads: what was read from L2, and what a flight landed with, is good only up to the clock before it.

use shelflife_testkit::Proxy;

use super::*;
use crate::key::Key;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn good_is_the_clock_before_the_get() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    store(&b, 1).await;
    let answered = stop(&a, Point::Answered);
    let first = read_through(&a, 2);
    answered.reached().await;
    let epoch = invalidate(&b, tag(TAG)).await;
    applied(&a, epoch).await;
    answered.go();
    first.await.unwrap();
    assert_ne!(a.get::<u32>(KEY).await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn good_is_what_was_applied_before_the_get() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    store(&b, 1).await;
    // It knows that the records of these tags are there: the entry alone will do.
    let same_tags = a.entry("users:7").tag(TAG);
    let load = Gate::open().loader(7_u32);
    assert_eq!(same_tags.get_or_load(load).await.unwrap(), 7);
    let answered = stop(&a, Point::Answered);
    let first = read_through(&a, 2);
    answered.reached().await;
    let epoch = b.delete(KEY).await.unwrap().epoch();
    applied(&a, epoch).await;
    answered.go();
    first.await.unwrap();
    assert_ne!(a.get::<u32>(KEY).await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn waiters_question() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    store(&b, 1).await;
    let (landing, joined) = (stop(&a, Point::Landing), stop(&a, Point::Joined));
    let first = read_through(&a, 2);
    landing.reached().await;
    invalidate(&a, tag(TAG)).await;
    let later = read_through(&a, 2);
    joined.reached().await;
    landing.go();
    first.await.unwrap();
    joined.go();
    assert_eq!(later.await.unwrap().value, 2, "it began after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn floor_kept() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    warm(&a, &b).await;
    let gate = Gate::closed();
    let refresh = {
        let (a, loader) = (a.clone(), gate.loader(1_u32));
        tokio::spawn(async move { soon(a.entry(KEY).tag(TAG).refresh(loader)).await.unwrap() })
    };
    gate.entered().await;
    let tail = stop(&a, Point::Applying);
    invalidate(&b, tag(TAG)).await;
    tail.reached().await;
    // Its floor is the clock, of which this process has not heard; the window is open all the while.
    let joined = stop(&a, Point::Joined);
    let strict = {
        let (a, loader) = (a.clone(), Gate::open().loader(2_u32));
        let read = async move {
            let entry = a.entry(KEY).tag(TAG).strict();
            soon(entry.get_or_load(loader)).await.unwrap()
        };
        tokio::spawn(read)
    };
    joined.reached().await;
    gate.release();
    refresh.await.unwrap();
    joined.go();
    assert_eq!(strict.await.unwrap(), 2);
    tail.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tags_of_a_read_by_the_primary_are_asked_of_a_primary() {
    let bench = Bench::start();
    let b = bench.process().await;
    store(&b, 1).await;
    // A write that changes nothing goes behind each read that only a primary may answer.
    let writes = || -> u64 {
        let stats = bench.raw(&["INFO", "commandstats"]);
        let line = stats
            .lines()
            .find_map(|line| line.strip_prefix("cmdstat_persist:calls="));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    };
    let before = writes();
    // The tag is learned of from the entry alone.
    assert_eq!(b.entry(KEY).strict().get::<u32>().await, Some(1));
    assert_eq!(writes() - before, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_receipt_is_no_clock() {
    const SHORT: Duration = Duration::from_secs(1);
    let bench = Bench::start();
    let proxy = Proxy::start(bench.server.address()).await;
    let a = bench.builder().window(SHORT).url(proxy.url());
    let a = soon(a.build()).await.unwrap();
    let b = soon(bench.builder().window(SHORT).build()).await.unwrap();
    let receipt = soon(a.invalidate(tag("before"))).await.unwrap();
    let gate = Gate::closed();
    let earlier = read(&a, &gate, 1);
    gate.entered().await;
    proxy.refuse(true).await;
    proxy.cut();
    // It can't hear of anything, and now it is not waited for.
    until(async || !trusted(&a)).await;
    let everywhere = b.invalidate(Key::from(KEY)).everywhere();
    soon(everywhere).await.unwrap();
    let joined = stop(&a, Point::Joined);
    let later = {
        let (a, loader) = (a.clone(), Gate::open().loader(2_u32));
        let read = async move {
            let entry = a.entry(KEY).tag(TAG).session(receipt);
            soon(entry.get_or_load(loader)).await.unwrap()
        };
        tokio::spawn(read)
    };
    joined.reached().await;
    gate.release();
    assert_eq!(earlier.await.unwrap().value, 1);
    joined.go();
    assert_eq!(later.await.unwrap(), 2);
}
