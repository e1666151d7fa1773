//! What a foreign hand does among the bookkeeping costs misses, once; nobody is kept from L1 by it.

use super::*;

/// Waits until the answers to two more beats have been judged: whatever they had to find is found.
async fn two_beats(cache: &Cache) {
    let judged = || cache.engine.settings.probes.count(Point::Judged);
    let before = judged();
    until(async || judged() >= before + 2).await;
}

/// A process that beats often, with 1 in L1.
async fn quick(bench: &Bench) -> Cache {
    let a = bench.builder().window(Duration::from_secs(1));
    let a = soon(a.build()).await.unwrap();
    let b = bench.process().await;
    warm(&a, &b).await;
    a
}

fn resyncs(cache: &Cache) -> usize {
    cache.engine.settings.probes.count(Point::Positioned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_entry_at_the_tick_of_the_clock_is_not_met() {
    let bench = Bench::start();
    let a = quick(&bench).await;
    applied(&a, bench.clock()).await;
    let before = resyncs(&a);
    let id = bench.raw(&["XADD", LOG, "*", "a", "b"]);
    assert_eq!(id, format!("{}-1", bench.clock().tick));
    two_beats(&a).await;
    assert_eq!(resyncs(&a), before);
    // Nor by one that begins at that position.
    let b = bench.process().await;
    assert_eq!(resyncs(&b), 1);
    assert_eq!(a.get::<u32>(KEY).await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_entry_beyond_the_clock_is_met_once() {
    let bench = Bench::start();
    let a = quick(&bench).await;
    let before = resyncs(&a);
    let beyond = format!("{}-0", bench.clock().tick + HOUR);
    bench.raw(&["XADD", LOG, &beyond, "a", "b"]);
    until(async || resyncs(&a) > before).await;
    two_beats(&a).await;
    assert_eq!(resyncs(&a), before + 1);
    until(async || trusted(&a)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_stands_in_place_of_the_members_is_replaced() {
    let bench = Bench::start();
    let a = quick(&bench).await;
    for list in ["since", "applied", "beats"] {
        let list = format!("sl1:{{test}}:members:{list}");
        bench.raw(&["DEL", &list]);
        bench.raw(&["RPUSH", &list, "x"]);
        two_beats(&a).await;
        assert!(trusted(&a), "{list}");
        let members = a.engine.store.members().await.unwrap();
        assert!(members.since.is_some(), "{list}");
        assert!(members.all.iter().any(|m| m.applied.is_some()), "{list}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_member_that_nobody_is_does_not_stay() {
    let bench = Bench::start();
    let a = quick(&bench).await;
    let listed = || {
        let all = bench.raw(&["ZRANGE", "sl1:{test}:members:beats", "0", "-1"]);
        ["nobody", "huge@99999999999999999999"].map(|name| all.contains(name))
    };
    for name in ["nobody", "huge@99999999999999999999"] {
        bench.raw(&["ZADD", "sl1:{test}:members:beats", "1", name]);
    }
    two_beats(&a).await;
    assert_eq!(listed(), [false, false]);
    // Of a time to come, as when the server's clock is set back: it ages from now on.
    bench.raw(&["ZADD", "sl1:{test}:members:beats", "+inf", "ahead@1000"]);
    two_beats(&a).await;
    let members = a.engine.store.members().await.unwrap();
    let ahead = members.all.iter().find(|m| m.name == "ahead@1000");
    assert!(ahead.is_some_and(|m| m.beat <= members.now));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l1_answers_in_a_life_whose_ticks_are_lower() {
    let bench = Bench::start();
    bench.run_ahead(HOUR).await;
    let a = quick(&bench).await;
    let b = bench.process().await;
    invalidate(&b, tag(TAG).all()).await;
    applied(&a, bench.clock()).await;
    bench.raw(&["DEL", CLOCK, LOG]);
    // It begins by the server's time, an hour before what the cells of all tags have seen.
    let c = bench.process().await;
    until(async || {
        a.engine
            .applied()
            .is_some_and(|at| at.inc == bench.clock().inc)
    })
    .await;
    warm(&a, &c).await;
}
