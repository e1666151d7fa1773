//! Events: who handles what, in which process, and what becomes of failures.

use std::sync::{Arc, Mutex};

use std::time::Duration;

use shelflife::{Cache, ErrorKind, Event, Invalidation};
use shelflife_testkit::Proxy;

use crate::gate::{Gate, until};
use crate::stores::{Bench, PATIENT};

const LONG: Duration = Duration::from_secs(60);

#[derive(serde::Serialize, serde::Deserialize)]
struct UserUpdated {
    id: u64,
}

impl Event for UserUpdated {
    const NAME: &'static str = "user_updated";
}

/// Another application's idea of the same event.
#[derive(serde::Serialize, serde::Deserialize)]
struct Foreign {
    id: String,
}

impl Event for Foreign {
    const NAME: &'static str = "user_updated";
}

/// The newest entry of the log, fields and values one a line.
fn newest(bench: &mut Bench) -> Vec<String> {
    let text = bench
        .server()
        .cli(&["XREVRANGE", "sl1:{test}:log", "+", "-", "COUNT", "1"]);
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_log_entry_tells_its_origin() {
    let mut bench = Bench::redis();
    let cache = bench.cache().await;
    let me = cache.members().await.unwrap().all[0].member.clone();
    let says = |bench: &mut Bench, step: &str| {
        let entry = newest(bench);
        let at = entry.iter().position(|line| line == "o").expect(step);
        assert_eq!(entry[at + 1], me, "{step}");
    };
    cache
        .invalidate(Invalidation::new().tag("t"))
        .await
        .unwrap();
    says(&mut bench, "invalidate");
    cache.set("k", 1_u32).await.unwrap();
    says(&mut bench, "set");
    let write = cache.entry("k").begin_write().await.unwrap();
    write.finish(2_u32).await.unwrap();
    says(&mut bench, "write");
    assert_eq!(cache.get::<u32>("k").await, Some(2));
    cache.emit(&UserUpdated { id: 1 }).await.unwrap();
    says(&mut bench, "event");
    let many: Vec<String> = (0..5000).map(|i| format!("x{i}*y")).collect();
    let what = many
        .iter()
        .fold(Invalidation::new(), |w, p| w.pattern(p.as_str()));
    cache.invalidate(what).await.unwrap();
    says(&mut bench, "more patterns than one script takes");
}

/// A cache that counts what its handlers were called with.
struct Listener {
    cache: Cache,
    seen: Arc<Mutex<Vec<u64>>>,
}

impl Listener {
    fn of(cache: Cache) -> Self {
        let seen: Arc<Mutex<Vec<u64>>> = Arc::default();
        let record = seen.clone();
        cache.on(move |event: &UserUpdated| {
            record.lock().unwrap().push(event.id);
            Invalidation::new().tag(format!("user:{}", event.id))
        });
        Self { cache, seen }
    }

    fn seen(&self) -> Vec<u64> {
        self.seen.lock().unwrap().clone()
    }

    async fn has_seen(&self, ids: &[u64]) {
        until(async || self.seen() == ids).await;
    }

    /// Waits until it has carried out what its handlers asked for.
    async fn has_heard(&self, events: u64) {
        until(async || self.cache.stats().events_heard == events).await;
    }
}

fn entries_logged(bench: &mut Bench) -> u64 {
    let text = bench.server().cli(&["XLEN", "sl1:{test}:log"]);
    text.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_process_handles_an_event_once_the_emitting_one_before_emit_returns() {
    let bench = Bench::redis();
    let one = Listener::of(bench.cache().await);
    let other = Listener::of(bench.cache().await);
    one.cache.emit(&UserUpdated { id: 1 }).await.unwrap();
    assert_eq!(one.seen(), [1]);
    other.has_seen(&[1]).await;
    // The second comes behind the first, so an echo of the first would have come before it.
    other.cache.emit(&UserUpdated { id: 2 }).await.unwrap();
    assert_eq!(other.seen(), [1, 2]);
    one.has_seen(&[1, 2]).await;
    one.cache.emit(&UserUpdated { id: 3 }).await.unwrap();
    other.has_seen(&[1, 2, 3]).await;
    assert_eq!(one.seen(), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_one_log_entry_however_many_processes_hear_it() {
    let mut bench = Bench::redis();
    let one = Listener::of(bench.cache().await);
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(Listener::of(bench.cache().await));
    }
    let before = entries_logged(&mut bench);
    one.cache.emit(&UserUpdated { id: 1 }).await.unwrap();
    for other in &others {
        other.has_heard(1).await;
    }
    assert_eq!(entries_logged(&mut bench), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_another_process_asks_for_is_invalidated_too() {
    let mut bench = Bench::redis();
    let one = Listener::of(bench.cache().await);
    let other = Listener::of(bench.cache().await);
    other
        .cache
        .on(|_: &UserUpdated| Invalidation::new().tag("reports"));
    one.cache
        .entry("r")
        .tag("reports")
        .set(1_u32)
        .await
        .unwrap();
    let before = entries_logged(&mut bench);
    one.cache.emit(&UserUpdated { id: 1 }).await.unwrap();
    other.has_heard(1).await;
    assert_eq!(one.cache.entry("r").strict().get::<u32>().await, None);
    assert_eq!(entries_logged(&mut bench), before + 2);
    let logged = newest(&mut bench);
    assert!(logged.contains(&"reports".to_owned()));
    assert!(
        !logged.contains(&"user:1".to_owned()),
        "that was done: {logged:?}"
    );
    assert!(!logged.contains(&"e".to_owned()), "no further event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_fail_take_nobody_along() {
    let bench = Bench::redis();
    let one = bench.cache().await;
    let builder = bench.builder().setting("handler_timeout", "50ms");
    let other = builder.build().await.unwrap();
    other.on_async(|event: &UserUpdated| {
        assert_ne!(event.id, 1, "one at once");
        let id = event.id;
        async move {
            match id {
                2 => panic!("two later"),
                3 => Err("three is an error".into()),
                4 => std::future::pending().await,
                _ => Ok(Invalidation::new()),
            }
        }
    });
    let other = Listener::of(other);
    for id in 1..=5 {
        one.emit(&UserUpdated { id }).await.unwrap();
    }
    one.emit(&Foreign {
        id: "no number".into(),
    })
    .await
    .unwrap();
    other.has_heard(6).await;
    assert_eq!(other.seen(), [1, 2, 3, 4, 5]);
    assert_eq!(
        other.cache.stats().handler_failures,
        6,
        "of 6, two for what can't be read"
    );
    // The same failures, where they are emitted, are returned.
    for (id, says) in [
        (1, "one at once"),
        (2, "two later"),
        (3, "three is an error"),
        (4, "longer than 50ms"),
    ] {
        let error = other.cache.emit(&UserUpdated { id }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handler);
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// A listener that stands still at a barrier with the first event.
async fn slow(bench: &Bench) -> (Listener, Gate) {
    let cache = bench.builder().window(LONG).build().await.unwrap();
    let gate = Gate::closed();
    let barrier = gate.clone();
    cache.on_async(move |_: &UserUpdated| {
        let barrier = barrier.clone();
        async move {
            barrier.pass().await;
            Ok(Invalidation::new())
        }
    });
    (Listener::of(cache), gate)
}

/// Waits until a process has applied all that was logged.
async fn follows(cache: &Cache, by: &Cache) {
    by.set("followed", 1_u32).await.unwrap();
    until(async || cache.get::<u32>("followed").await == Some(1)).await;
    by.set("followed", 2_u32).await.unwrap();
    // L1 drops what the log says is set: it has come that far.
    until(async || cache.get::<u32>("followed").await == Some(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_events_than_may_wait_are_handled_in_their_turn_and_hold_up_nothing() {
    let bench = Bench::redis();
    let one = bench.cache().await;
    let (other, gate) = slow(&bench).await;
    let all: Vec<u64> = (0..1200).collect();
    for &id in &all {
        one.emit(&UserUpdated { id }).await.unwrap();
    }
    follows(&other.cache, &one).await;
    gate.release();
    other.has_heard(1200).await;
    assert_eq!(other.seen(), all, "each once, in order");
    assert_eq!(other.cache.stats().events_dropped, 0);
    one.emit(&UserUpdated { id: 1200 }).await.unwrap();
    other.has_heard(1201).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_lost_with_the_log_only_and_that_is_counted() {
    let mut bench = Bench::redis();
    let one = bench.cache().await;
    let (other, gate) = slow(&bench).await;
    for id in 0..1200 {
        one.emit(&UserUpdated { id }).await.unwrap();
    }
    follows(&other.cache, &one).await;
    let trim = ["XTRIM", "sl1:{test}:log", "MAXLEN", "100"];
    bench.server().cli(&trim);
    gate.release();
    until(async || other.cache.stats().events_dropped == 1).await;
    one.emit(&UserUpdated { id: 1200 }).await.unwrap();
    until(async || other.seen().last() == Some(&1200)).await;
    let seen = other.seen();
    assert!(seen.is_sorted() && seen.len() > 1100, "{}", seen.len());
}

/// A listener behind a wire that can be cut.
async fn behind(wire: &Proxy) -> Listener {
    let builder = Cache::builder().url(wire.url()).namespace("test");
    Listener::of(builder.timeout(PATIENT).build().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_cut_off_handles_what_it_missed() {
    let mut bench = Bench::redis();
    let wire = Proxy::start(bench.server().address()).await;
    let one = bench.cache().await;
    let other = behind(&wire).await;
    one.emit(&UserUpdated { id: 1 }).await.unwrap();
    other.has_seen(&[1]).await;
    wire.refuse(true).await;
    wire.cut();
    for id in 2..=4 {
        one.emit(&UserUpdated { id }).await.unwrap();
    }
    wire.refuse(false).await;
    other.has_seen(&[1, 2, 3, 4]).await;
}

/// The log loses an entry that names something: a gap, and so a resync behind what follows.
async fn lose_an_entry(bench: &mut Bench, one: &Cache) {
    let what = Invalidation::new().tag("lost");
    one.invalidate(what).await.unwrap();
    let lost = newest(bench).into_iter().find(|line| line.ends_with("-0"));
    let delete = ["XDEL", "sl1:{test}:log", &lost.unwrap()];
    assert!(bench.server().cli(&delete).contains('1'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resync_delivers_the_events_that_it_skips() {
    let mut bench = Bench::redis();
    let wire = Proxy::start(bench.server().address()).await;
    let one = bench.cache().await;
    let other = behind(&wire).await;
    one.emit(&UserUpdated { id: 1 }).await.unwrap();
    other.has_seen(&[1]).await;
    wire.refuse(true).await;
    wire.cut();
    lose_an_entry(&mut bench, &one).await;
    for id in 2..=4 {
        one.emit(&UserUpdated { id }).await.unwrap();
    }
    wire.refuse(false).await;
    other.has_seen(&[1, 2, 3, 4]).await;
    one.emit(&UserUpdated { id: 5 }).await.unwrap();
    other.has_seen(&[1, 2, 3, 4, 5]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_missed_more_than_may_wait_handles_all_of_it() {
    let mut bench = Bench::redis();
    let wire = Proxy::start(bench.server().address()).await;
    let one = bench.cache().await;
    let other = behind(&wire).await;
    one.emit(&UserUpdated { id: 0 }).await.unwrap();
    other.has_seen(&[0]).await;
    // Once it can read on where it was, once it has to begin anew behind the rest.
    for (from, to, gap) in [(1, 1100, false), (1100, 2200, true)] {
        wire.refuse(true).await;
        wire.cut();
        if gap {
            lose_an_entry(&mut bench, &one).await;
        }
        for id in from..to {
            one.emit(&UserUpdated { id }).await.unwrap();
        }
        wire.refuse(false).await;
        other.has_heard(to).await;
        assert_eq!(other.seen(), (0..to).collect::<Vec<_>>());
    }
}

/// What `one` emits while its wire is cut is not confirmed, and heard by `other` once it is whole again.
async fn told_later(bench: &mut Bench, one: Cache, wire: &Proxy, says: &str) -> u64 {
    let other = Listener::of(bench.cache().await);
    wire.refuse(true).await;
    wire.cut();
    let error = one.emit(&UserUpdated { id: 1 }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().starts_with(says), "{error}");
    let before = entries_logged(bench);
    wire.refuse(false).await;
    other.has_heard(1).await;
    assert_eq!(other.seen(), [1]);
    until(async || one.stats().unconfirmed == 0).await;
    entries_logged(bench) - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_not_confirmed_is_told_later_with_its_invalidation() {
    let mut bench = Bench::redis();
    let wire = Proxy::start(bench.server().address()).await;
    let one = behind(&wire).await;
    let says = "the event and its invalidation are not confirmed; they are tried again";
    let logged = told_later(&mut bench, one.cache.clone(), &wire, says).await;
    assert_eq!(
        logged, 1,
        "who hears it need not invalidate what came with it"
    );
    assert_eq!(one.seen(), [1], "its own handlers have run");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_without_an_invalidation_is_told_later_too() {
    let mut bench = Bench::redis();
    let wire = Proxy::start(bench.server().address()).await;
    let one = bench.builder().url(wire.url()).build().await.unwrap();
    let says = "the event is not confirmed; it is tried again";
    let logged = told_later(&mut bench, one, &wire, says).await;
    assert_eq!(logged, 2, "the event, and what its handler asked for");
}
