//! Everywhere: nobody whose L1 may answer is left out.

use shelflife_testkit::Proxy;

use super::*;
use crate::store::Store;

/// What `bench` keeps of members beside the mark.
const APPLIED: &str = "sl1:{test}:members:applied";
const BEATS: &str = "sl1:{test}:members:beats";

/// Whether `everywhere` returns although somebody has not applied `epoch`: it has looked twice by then.
async fn returns(cache: &Cache, epoch: Epoch) -> bool {
    let probes = &cache.engine.settings.probes;
    let looked = probes.count(Point::Looked);
    tokio::select! {
        () = cache.engine.everywhere(epoch) => true,
        () = until(async || probes.count(Point::Looked) >= looked + 2) => false,
    }
}

fn name(cache: &Cache) -> &str {
    match &cache.engine.store {
        Store::Redis(store) => store.member(),
        Store::Embedded(_) => unreachable!("these tests have a server"),
    }
}

/// Waits until a process has told that it has applied `epoch`: then it is not the one to wait for.
async fn told(cache: &Cache, epoch: Epoch) {
    until(async || {
        let members = cache.engine.store.members().await.unwrap();
        let own = members.all.iter().find(|m| m.name == name(cache));
        let applied = own.and_then(|m| m.applied);
        members.clock.inc == epoch.inc && applied.is_some_and(|tick| tick >= epoch.tick)
    })
    .await;
}

/// As if the list had been kept for long.
fn complete(bench: &Bench) {
    let since = bench.raw(&["GET", MEMBERS_SINCE]);
    let rest = since.split_once(' ').map(|(_, rest)| format!(" {rest}"));
    let long_ago = format!("1{}", rest.unwrap_or_default());
    bench.raw(&["SET", MEMBERS_SINCE, &long_ago]);
}

/// Nobody but `b` tells what it has applied, and `a` has not: its L1 may answer.
async fn not_yet_everywhere(a: &Cache, b: &Cache, epoch: Epoch) {
    told(b, epoch).await;
    assert_eq!(a.get::<u32>(KEY).await, Some(1), "not yet everywhere");
    assert!(!returns(b, epoch).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn joiner_as_none() {
    let bench = Bench::start();
    let b = bench.process().await;
    complete(&bench);
    let joiner = bench.builder();
    let positioned = joiner.probes().stop_at(Point::Positioned);
    let joining = tokio::spawn(joiner.build());
    positioned.reached().await;
    // It will begin before this, and may have trusted its L1 by then.
    let epoch = invalidate(&b, tag(TAG)).await;
    told(&b, epoch).await;
    assert!(
        !returns(&b, epoch).await,
        "one that joins has not applied it"
    );
    positioned.go();
    let joined = soon(joining).await.unwrap().unwrap();
    soon(b.engine.everywhere(epoch)).await;
    applied(&joined, epoch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everywhere_compares_incarnations() {
    let bench = Bench::start();
    bench.run_ahead(HOUR).await;
    let (a, b) = bench.two().await;
    warm(&a, &b).await;
    let old = bench.clock();
    told(&a, old).await;
    told(&b, old).await;
    complete(&bench);
    // A new life by a clock that is behind: what `a` had applied in the old one is a later tick. It will
    // hear of that with its next beat.
    bench.raw(&["DEL", CLOCK, LOG, ROOT, PREFIX, TAG_RECORD]);
    let other = bench.process().await;
    let epoch = invalidate(&other, tag(TAG)).await;
    not_yet_everywhere(&a, &other, epoch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn applied_in_another_incarnation_is_none() {
    let bench = Bench::start();
    bench.run_ahead(HOUR).await;
    let (a, b) = bench.two().await;
    warm(&a, &b).await;
    // What it applies makes it tell so; by the time this arrives, it was in another life.
    let beating = stop(&a, Point::Beating);
    invalidate(&b, tag("before")).await;
    beating.reached().await;
    bench.raw(&["DEL", CLOCK, LOG, ROOT, PREFIX, TAG_RECORD]);
    let other = bench.process().await;
    complete(&bench);
    let epoch = invalidate(&other, tag(TAG)).await;
    told(&other, epoch).await;
    let beaten = stop(&a, Point::Beaten);
    beating.go();
    beaten.reached().await;
    assert_eq!(a.get::<u32>(KEY).await, Some(1), "not yet everywhere");
    assert!(!returns(&other, epoch).await);
    beaten.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn completeness_mark() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    warm(&a, &b).await;
    let tail = stop(&a, Point::Applying);
    bench.raw(&["DEL", MEMBERS_SINCE, APPLIED, BEATS]);
    let epoch = invalidate(&b, tag(TAG)).await;
    tail.reached().await;
    not_yet_everywhere(&a, &b, epoch).await;
    tail.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_part_of_the_list_is_needed() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    warm(&a, &b).await;
    complete(&bench);
    let (tail, beating) = (stop(&a, Point::Applying), stop(&b, Point::Beating));
    let epoch = invalidate(&b, tag(TAG)).await;
    tail.reached().await;
    beating.reached().await;
    // Nobody beats from here on, who would make what is lost anew. Everybody has applied it, or so it says.
    for list in [MEMBERS_SINCE, APPLIED, BEATS] {
        let saved = saved(&bench.server, list);
        bench.raw(&["DEL", list]);
        assert!(!returns(&b, epoch).await, "without {list}");
        bring_back(&bench.server, list, &saved);
    }
    assert_eq!(a.get::<u32>(KEY).await, Some(1), "not yet everywhere");
    beating.go();
    tail.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_list_has_a_new_mark() {
    let bench = Bench::start();
    let (a, b) = bench.two().await;
    warm(&a, &b).await;
    complete(&bench);
    let tail = stop(&a, Point::Applying);
    // The list alone; the mark stays.
    bench.raw(&["DEL", BEATS]);
    let epoch = invalidate(&b, tag(TAG)).await;
    tail.reached().await;
    not_yet_everywhere(&a, &b, epoch).await;
    tail.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn list_of_another_primary() {
    let bench = Bench::with(&["--enable-debug-command", "local"]);
    let (a, b) = bench.two().await;
    warm(&a, &b).await;
    complete(&bench);
    let tail = stop(&a, Point::Applying);
    // A replica takes over that has not heard that `a` joined.
    bench.raw(&["ZREM", BEATS, name(&a)]);
    bench.raw(&["DEBUG", "CHANGE-REPL-ID"]);
    let epoch = invalidate(&b, tag(TAG)).await;
    tail.reached().await;
    not_yet_everywhere(&a, &b, epoch).await;
    tail.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn list_from_before_a_restart() {
    let mut bench = Bench::start();
    let proxy = Proxy::start(bench.server.address()).await;
    let a = soon(bench.builder().url(proxy.url()).build())
        .await
        .unwrap();
    let b = bench.process().await;
    warm(&a, &b).await;
    complete(&bench);
    // From here on nothing reaches it.
    proxy.refuse(true).await;
    proxy.cut();
    // What is on disk is older than Δ, and so are the beats in it.
    for member in [name(&a), name(&b)] {
        bench.raw(&["ZADD", BEATS, "1", member]);
    }
    bench.raw(&["SAVE"]);
    bench.server.kill();
    bench.server.restart();
    assert_eq!(bench.raw(&["EXISTS", MEMBERS_SINCE]), "1");
    // At first it may find its connection broken.
    until(async || b.ping().await.is_ok()).await;
    let epoch = invalidate(&b, tag(TAG)).await;
    not_yet_everywhere(&a, &b, epoch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_member_is_listed_by_its_own_window() {
    let bench = Bench::start();
    let a = bench.process().await;
    let b = bench.builder().window(Duration::from_millis(20));
    let b = soon(b.build()).await.unwrap();
    warm(&a, &b).await;
    let tail = stop(&a, Point::Applying);
    invalidate(&b, tag(TAG)).await;
    tail.reached().await;
    // It beat 20 s ago: a thousand windows of the other, a third of its own.
    let Reply::Array(time) = bench.server.command(&[b"TIME"]) else {
        panic!("TIME is not an array");
    };
    let ago = time[0].to_string().parse::<u64>().unwrap() - 20;
    bench.raw(&["ZADD", BEATS, &format!("{ago}000"), name(&a)]);
    // The other has beaten since then, which is when it looks for those that are silent.
    let beat = || bench.raw(&["ZSCORE", BEATS, name(&b)]);
    let before = beat();
    until(async || beat() != before).await;
    complete(&bench);
    let epoch = invalidate(&b, tag(TAG)).await;
    not_yet_everywhere(&a, &b, epoch).await;
    tail.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_ends_with_the_longest_window_of_those_that_are_listed() {
    let bench = Bench::start();
    let (short, long) = (Duration::from_millis(50), Duration::from_millis(400));
    let b = soon(bench.builder().window(short).build()).await.unwrap();
    let _a = soon(bench.builder().window(long).build()).await.unwrap();
    // A receipt of a life that is over: nobody will ever have applied it.
    let epoch = Epoch::new(bench.clock().inc.wrapping_add(1), 1);
    let began = std::time::Instant::now();
    soon(b.engine.everywhere(epoch)).await;
    assert!(began.elapsed() >= long, "{:?}", began.elapsed());
}

/// How long it takes until everybody has applied what nobody ever will: a receipt of a life that is over.
async fn wait_of(cache: &Cache, bench: &Bench) -> Duration {
    let epoch = Epoch::new(bench.clock().inc.wrapping_add(1), 1);
    let began = std::time::Instant::now();
    soon(cache.engine.everywhere(epoch)).await;
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_longer_window_counts_though_the_list_is_out_of_reach() {
    let bench = Bench::start();
    let (short, long) = (Duration::from_millis(50), Duration::from_millis(400));
    let proxy = Proxy::start(bench.server.address()).await;
    let _a = soon(bench.builder().window(long).build()).await.unwrap();
    let b = bench.builder().window(short).url(proxy.url());
    let b = soon(b.build()).await.unwrap();
    proxy.refuse(true).await;
    proxy.cut();
    until(async || b.ping().await.is_err()).await;
    let waited = wait_of(&b, &bench).await;
    assert!(waited >= long, "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_does_not_follow_the_log_looks_whatever_its_own_window() {
    let bench = Bench::start();
    let (short, long) = (Duration::from_millis(1), Duration::from_millis(400));
    let proxy = Proxy::start(bench.server.address()).await;
    let _a = soon(bench.builder().window(long).build()).await.unwrap();
    let b = bench.builder().window(short).url(proxy.url());
    let b = soon(b.without_tail().build()).await.unwrap();
    // An answer takes longer than its window.
    proxy.delay(short * 20);
    let waited = wait_of(&b, &bench).await;
    assert!(waited >= long, "{waited:?}");
}
