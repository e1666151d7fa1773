//! A cluster: it serves all slots, elects, and moves slots a step at a time.

use std::time::Duration;

use shelflife_testkit::{Access, Certificates, Cluster, Credentials, RedisServer, Reply, slot_of};

/// A name of each kind, so that every primary has one.
const KEYS: [&str; 6] = ["foo", "bar", "baz", "user:42", "{user}:a", "x{}y"];

fn set(server: &RedisServer, key: &str) -> Reply {
    server.command(&[b"SET", key.as_bytes(), b"v"])
}

fn error(reply: Reply) -> String {
    match reply {
        Reply::Error(text) => text,
        other => panic!("not an error: {other}"),
    }
}

fn ok() -> Reply {
    Reply::Simple("OK".to_owned())
}

#[test]
fn a_cluster_that_has_started_serves_every_slot() {
    let cluster = Cluster::start(3);
    let hosts = cluster.hosts().join(",");
    assert_eq!(cluster.url(), format!("redis+cluster://{hosts}/"));
    assert_eq!(cluster.nodes(), 6);
    for key in KEYS {
        let slot = slot_of(key.as_bytes());
        let asked = cluster.node(0).cli(&["CLUSTER", "KEYSLOT", key]);
        assert_eq!(asked, slot.to_string(), "{key}");
        let primary = cluster.primary_of(slot).unwrap();
        assert_eq!(set(cluster.node(primary), key), ok(), "{key}");
        let elsewhere = error(set(cluster.node((primary + 1) % 3), key));
        let host = &cluster.hosts()[primary];
        assert_eq!(elsewhere, format!("MOVED {slot} {host}"));
    }
    assert_eq!(cluster.replicas_of(1), [4]);
}

#[test]
fn a_killed_primary_is_replaced_and_comes_back_as_a_replica() {
    let mut cluster = Cluster::start(3);
    let slot = slot_of(b"foo");
    let old = cluster.primary_of(slot).unwrap();
    let heir = cluster.replicas_of(old)[0];
    cluster.kill(old);
    assert_ne!(cluster.primary_of(slot), Some(old));
    cluster.settle();
    assert_eq!(cluster.primary_of(slot), Some(heir));
    cluster.restart(old);
    cluster.settle();
    assert_eq!(cluster.primary_of(slot), Some(heir));
    assert_eq!(cluster.replicas_of(heir), [old]);
}

#[test]
fn a_frozen_primary_is_replaced_and_told_so_when_it_wakes_up() {
    let mut cluster = Cluster::start(3);
    cluster.stop(0);
    cluster.settle();
    assert_eq!(cluster.primary_of(0), Some(3));
    cluster.wake(0);
    cluster.settle();
    assert_eq!(cluster.primary_of(0), Some(3));
    assert_eq!(cluster.replicas_of(3), [0]);
}

#[test]
fn an_operator_may_promote_a_replica() {
    let cluster = Cluster::start(3);
    cluster.promote(4);
    let slot = slot_of(b"bar");
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    // While it takes over there may be nobody.
    let began = loop {
        match cluster.primary_of(slot) {
            Some(primary) => break primary,
            None => assert!(std::time::Instant::now() < deadline),
        }
    };
    let (old, new) = (1, 4);
    while cluster.replicas_of(new) != [old] {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    cluster.settle();
    let now = cluster.primary_of(slot).unwrap();
    assert_eq!(now, if began == old { new } else { began });
}

#[test]
fn a_slot_moves_a_step_at_a_time() {
    let cluster = Cluster::start(3);
    let slot = slot_of(b"{s}");
    let names: Vec<String> = (0..5).map(|n| format!("{{s}}:{n}")).collect();
    let from = cluster.primary_of(slot).unwrap();
    let to = (from + 1) % 3;
    for name in &names {
        assert_eq!(set(cluster.node(from), name), ok());
    }
    let moving = cluster.migrate(slot, to);
    assert_eq!(moving.from(), from);
    moving.open();
    // What it has, the source serves; what it has not, the target is to be asked for, with ASKING before it.
    assert_eq!(set(cluster.node(from), &names[0]), ok());
    let new = "{s}:new";
    let sent_on = error(set(cluster.node(from), new));
    assert_eq!(sent_on, format!("ASK {slot} {}", cluster.hosts()[to]));
    assert!(error(set(cluster.node(to), new)).starts_with("MOVED "));
    let mut asks = cluster.node(to).connect().unwrap();
    assert_eq!(asks.command(&[b"ASKING"]).unwrap(), ok());
    assert_eq!(asks.command(&[b"SET", new.as_bytes(), b"v"]).unwrap(), ok());
    assert_eq!(moving.move_keys(2), 2);
    let left = cluster
        .node(from)
        .cli(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]);
    assert_eq!(left, "3");
    assert_eq!(
        cluster.primary_of(slot),
        Some(from),
        "not before it is closed"
    );
    moving.close();
    assert_eq!(cluster.primary_of(slot), Some(to));
    let there = cluster
        .node(to)
        .cli(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]);
    assert_eq!(there, "6");
    assert!(error(set(cluster.node(from), &names[0])).starts_with("MOVED "));
    cluster.settle();
}

#[test]
fn a_user_and_tls_are_demanded_by_all_nodes_and_by_those_they_send_keys_to() {
    let access = Access {
        user: Some(Credentials::user("app", "s3cret")),
        tls: Some(Certificates::new()),
        ..Access::default()
    };
    let query = access.tls.as_ref().unwrap().query();
    let cluster = Cluster::start_with(2, access);
    let hosts = cluster.hosts().join(",");
    assert_eq!(
        cluster.url(),
        format!("rediss+cluster://app:s3cret@{hosts}/?{query}")
    );
    let slot = slot_of(b"foo");
    let from = cluster.primary_of(slot).unwrap();
    assert_eq!(set(cluster.node(from), "foo"), ok());
    let moving = cluster.migrate(slot, 1 - from);
    moving.open();
    moving.close();
    assert_eq!(cluster.node(1 - from).cli(&["GET", "foo"]), "v");
}

#[test]
fn what_a_replica_was_kept_from_is_lost_with_its_primary() {
    let mut cluster = Cluster::start(3);
    let slot = slot_of(b"foo");
    let old = cluster.primary_of(slot).unwrap();
    assert!(cluster.serves(old, slot) && !cluster.serves((old + 1) % 3, slot));
    cluster.node(old).cli(&["SET", "foo", "old"]);
    let held = cluster.hold_back(old);
    assert!(!cluster.lag(&held), "nothing has happened");
    cluster.node(old).cli(&["SET", "foo", "new"]);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !cluster.lag(&held) {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    cluster.kill(old);
    cluster.let_go_without(held);
    cluster.settle();
    let heir = cluster.primary_of(slot).unwrap();
    assert_eq!(cluster.node(heir).cli(&["GET", "foo"]), "old");
}
