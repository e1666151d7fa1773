//! A node of a cluster that is away and that nobody takes over from: what lies there waits, and nothing else does.

use std::sync::{Arc, Mutex};

use shelflife::chaos::{Faults, Target};
use shelflife::{Cache, ErrorKind, Event, Invalidation, Reason};
use shelflife_testkit::{Access, Cluster};

use crate::clusters::{cache_of, control_slot, elsewhere, slot_of_entry};
use crate::gate::{soon, until};

/// Three primaries whose replicas never take over: what a node has is out of reach while it is down.
fn alone() -> Cluster {
    let conf = [
        "cluster-replica-no-failover yes",
        "cluster-require-full-coverage no",
    ];
    let access = Access {
        conf: conf.map(str::to_owned).to_vec(),
        ..Access::default()
    };
    Cluster::start_with(3, access)
}

/// Two processes, one of them with faults; a key beside the clock, which carries the tag `t`, and one on a node that is
/// down from now on.
async fn with_one_down() -> (Cluster, Faults, [Cache; 2], [String; 2]) {
    let mut cluster = alone();
    let faults = Faults::new();
    let one = Cache::builder().url(cluster.url()).namespace("shop");
    let one = one
        .setting("connect_timeout", "500ms")
        .setting("timeout", "300ms");
    let one = one.chaos(&faults).build().await.unwrap();
    let other = cache_of(&cluster).await;
    let far = elsewhere(&cluster);
    let control = cluster.primary_of(control_slot());
    let beside = |key: &String| cluster.primary_of(slot_of_entry(key)) == control;
    let near = (0..).map(|n| format!("n{n}")).find(beside).unwrap();
    other.entry(&*near).tag("t").set(1_u32).await.unwrap();
    other.set(&*far, 1_u32).await.unwrap();
    let down = cluster.primary_of(slot_of_entry(&far)).unwrap();
    cluster.kill(down);
    (cluster, faults, [one, other], [near, far])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_owed_to_a_node_that_is_down_holds_up_nothing_else() {
    let (cluster, faults, [one, other], [near, far]) = with_one_down().await;
    let away = faults.on(Target::Writes).error();
    one.delete(&*far).await.unwrap_err();
    let dead = Invalidation::new().tag("t");
    one.invalidate(dead).await.unwrap_err();
    assert_eq!(one.stats().unconfirmed, 2);
    drop(away);
    until(|| async { one.stats().unconfirmed == 1 }).await;
    assert_eq!(other.entry(near).strict().get::<u32>().await, None);
    // Nor does the log grow for what can't be done.
    let log = |control: usize| {
        cluster
            .node(control)
            .cli(&["XRANGE", "sl1:{shop}:log", "-", "+"])
    };
    let log = log(cluster.primary_of(control_slot()).unwrap());
    assert_eq!(log.matches(&*far).count(), 1, "it was set: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_does_what_it_can_while_a_node_is_down() {
    let (_cluster, _, [one, other], [near, far]) = with_one_down().await;
    let what = Invalidation::new().key(&*far).key(&*near).tag("t");
    let refused = soon(one.invalidate(what)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(
        refused.to_string().contains("the rest is tried again"),
        "{refused}"
    );
    assert_eq!(other.entry(near).strict().get::<u32>().await, None);
    assert_eq!(one.stats().unconfirmed, 1);
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Happened {
    id: u32,
}

impl Event for Happened {
    const NAME: &'static str = "happened";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_wait_for_no_node_but_that_of_the_log() {
    let (_cluster, faults, [one, other], [_, far]) = with_one_down().await;
    one.on(move |event: &Happened| match event.id {
        1 | 3 => Invalidation::new().key(&*far),
        _ => Invalidation::new(),
    });
    let seen = Arc::new(Mutex::new(Vec::new()));
    let here = seen.clone();
    other.on(move |event: &Happened| {
        here.lock().unwrap().push(event.id);
        Invalidation::new()
    });
    let away = faults.on(Target::Writes).error();
    for id in [1, 2] {
        one.emit(&Happened { id }).await.unwrap_err();
    }
    drop(away);
    until(|| async { one.stats().unconfirmed == 1 }).await;
    let refused = soon(one.emit(&Happened { id: 3 })).await.unwrap_err();
    assert!(
        refused.to_string().contains("the event is confirmed"),
        "{refused}"
    );
    until(|| async { *seen.lock().unwrap() == [1, 2, 3] }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_map_is_asked_for_ever_less_while_a_node_is_down() {
    let mut cluster = alone();
    let cache = cache_of(&cluster).await;
    let key = elsewhere(&cluster);
    let down = cluster.primary_of(slot_of_entry(&key)).unwrap();
    cluster.kill(down);
    let asked = || -> u64 {
        let nodes = (0..cluster.nodes()).filter(|&n| n != down);
        let calls = nodes.map(|n| {
            let stats = cluster.node(n).cli(&["INFO", "commandstats"]);
            let line = stats
                .lines()
                .find_map(|l| l.strip_prefix("cmdstat_cluster|nodes:calls="));
            line.map_or(0, |l| l.split(',').next().unwrap().parse().unwrap())
        });
        calls.sum()
    };
    let (before, from) = (asked(), std::time::Instant::now());
    while from.elapsed() < std::time::Duration::from_secs(3) {
        assert_eq!(cache.get::<u32>(&*key).await, None);
        tokio::task::yield_now().await;
    }
    let asked = asked() - before;
    assert!(asked < 45, "{asked} times in 3 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_misses_only_what_lies_on_a_node_that_is_away() {
    let mut cluster = alone();
    let cache = cache_of(&cluster).await;
    let keys: Vec<String> = (0..30).map(|n| format!("k{n}")).collect();
    for key in &keys {
        cache.set(key.clone(), 1_u32).await.unwrap();
    }
    let down = cluster.primary_of(slot_of_entry(&elsewhere(&cluster)));
    let there: Vec<Option<u32>> = keys
        .iter()
        .map(|key| (cluster.primary_of(slot_of_entry(key)) != down).then_some(1))
        .collect();
    cluster.kill(down.unwrap());
    let other = cache_of(&cluster).await;
    until(|| async {
        other
            .get_many::<u32, _>(keys.iter().map(String::as_str))
            .await
            == there
    })
    .await;
    let missing = there.iter().filter(|it| it.is_none()).count() as u64;
    assert!(0 < missing && missing < 30, "{missing}");
    assert!(other.stats().reasons[&Reason::StoreUnavailable] >= missing);
}
