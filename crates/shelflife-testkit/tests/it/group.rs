//! A group: its sentinels agree on a primary, and on another one when that is gone.

use std::time::{Duration, Instant};

use shelflife_testkit::{
    Access, Certificates, Connection, Credentials, Group, HeldBack, RedisServer, Reply,
};

/// What every command needs, and would otherwise wait for.
const SOON: Duration = Duration::from_secs(10);

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn get(server: &RedisServer, key: &str) -> String {
    server.cli(&["GET", key])
}

#[test]
fn a_group_that_has_started_copies_and_can_agree() {
    let group = Group::start(2, 3);
    assert_eq!(group.primary(), 0);
    let hosts = group.hosts().join(",");
    assert_eq!(group.url(), format!("redis+sentinel://{hosts}/mymaster/0"));
    group.server(0).cli(&["SET", "k", "v"]);
    for replica in 1..group.servers() {
        until("the replica has it", || {
            get(group.server(replica), "k") == "v"
        });
    }
    for sentinel in 0..3 {
        let quorum = group
            .sentinel(sentinel)
            .command(&["SENTINEL", "CKQUORUM", group.name()]);
        assert!(quorum.to_string().starts_with("OK 3 usable"), "{quorum}");
    }
}

#[test]
fn a_killed_primary_is_replaced_and_comes_back_as_a_replica() {
    let mut group = Group::start(1, 3);
    group.server(0).cli(&["SET", "k", "v"]);
    until("copied", || get(group.server(1), "k") == "v");
    // Two of three are enough.
    group.sentinel_mut(0).kill();
    group.kill(0);
    assert_eq!(group.next_primary(0), 1);
    group.server(1).cli(&["SET", "l", "w"]);
    group.sentinel_mut(0).restart();
    group.restart(0);
    group.settle();
    assert_eq!(group.primary(), 1, "{group}");
    assert_eq!(get(group.server(0), "k"), "v");
    assert_eq!(get(group.server(0), "l"), "w");
    // What a sentinel has made of it, it is after a restart, too.
    group.restart(0);
    group.settle();
    assert_eq!(group.primary(), 1);
}

#[test]
fn a_frozen_primary_wakes_up_believing_itself_the_primary() {
    let mut group = Group::start(1, 3);
    group.stop(0);
    assert_eq!(group.next_primary(0), 1);
    group.wake(0);
    group.settle();
    let role = group.server(0).cli(&["INFO", "replication"]);
    assert!(role.contains("role:slave"), "{role}");
}

#[test]
fn an_operator_may_switch() {
    let group = Group::start(1, 1);
    group.switch();
    assert_eq!(group.next_primary(0), 1);
    group.settle();
}

#[test]
fn users_and_tls_are_demanded_by_all_and_are_in_the_url() {
    let certificates = Certificates::new();
    let group = Group::start_with(
        1,
        1,
        Access {
            user: Some(Credentials::user("app", "s3cret")),
            sentinel_user: Some(Credentials::user("asks", "w@tch")),
            tls: Some(certificates.clone()),
            conf: vec!["min-replicas-to-write 1".to_owned()],
            ..Access::default()
        },
    );
    let expected = format!(
        "rediss+sentinel://app:s3cret@{}/mymaster/0?{}&sentinel_user=asks&sentinel_password=w%40tch",
        group.hosts()[0],
        certificates.query(),
    );
    assert_eq!(group.url(), expected);
    let given = group
        .server(0)
        .cli(&["CONFIG", "GET", "min-replicas-to-write"]);
    assert_eq!(given, "min-replicas-to-write\n1");
    let clear = Connection::open(group.server(0).address(), SOON);
    let refused = clear.and_then(|mut connection| connection.command(&[b"PING"]));
    assert!(
        refused.is_err(),
        "nobody is let in without TLS: {refused:?}"
    );
    group.switch();
    assert_eq!(group.next_primary(0), 1);
    group.settle();
}

#[test]
fn a_password_alone_will_do_too() {
    let access = Access {
        user: Some(Credentials::password("p1")),
        sentinel_user: Some(Credentials::password("p2")),
        ..Access::default()
    };
    let group = Group::start_with(1, 1, access);
    let host = &group.hosts()[0];
    let url = format!("redis+sentinel://:p1@{host}/mymaster/0?sentinel_password=p2");
    assert_eq!(group.url(), url);
    let mut stranger = Connection::open(host.parse().unwrap(), SOON).unwrap();
    let refused = stranger.command(&[b"PING"]).unwrap();
    assert!(matches!(refused, Reply::Error(text) if text.starts_with("NOAUTH")));
}

#[test]
fn a_primary_that_is_cut_off_goes_on_for_the_others_until_it_is_let_in() {
    let access = Access {
        user: Some(Credentials::user("app", "p1")),
        peers: Some(Credentials::user("peer", "p2")),
        ..Access::default()
    };
    let group = Group::start_with(1, 3, access);
    group.cut_off(0);
    assert_eq!(group.next_primary(0), 1);
    assert!(group.claims(0));
    group.server(0).cli(&["SET", "k", "lost"]);
    group.server(1).cli(&["SET", "k", "kept"]);
    group.rejoin(0);
    group.settle();
    assert!(!group.claims(0));
    assert_eq!(get(group.server(0), "k"), "kept");
}

/// A group that counts on a replica for each write.
fn careful() -> Group {
    let conf = ["min-replicas-to-write 1", "min-replicas-max-lag 2"];
    let access = Access {
        conf: conf.map(ToOwned::to_owned).to_vec(),
        ..Access::default()
    };
    Group::start_with(2, 3, access)
}

/// Has the primary write for longer than a replica may be behind, and the replicas carry out nothing of it.
fn written_while_held(group: &Group, long: Duration) -> HeldBack {
    group.server(0).cli(&["SET", "k", "old"]);
    let held = group.hold_back(0);
    let began = Instant::now();
    while began.elapsed() < long {
        group.server(0).cli(&["SET", "k", "new"]);
        std::thread::sleep(Duration::from_millis(20));
    }
    until("something is behind", || group.lag(&held));
    for replica in 1..3 {
        assert_eq!(get(group.server(replica), "k"), "old");
    }
    held
}

#[test]
fn replicas_that_are_held_back_catch_up_when_they_are_let_go() {
    let group = careful();
    let held = written_while_held(&group, Duration::from_millis(300));
    group.let_go(held);
    for replica in 1..3 {
        until("it catches up", || get(group.server(replica), "k") == "new");
    }
}

#[test]
fn what_replicas_were_kept_from_is_lost_with_their_primary() {
    let mut group = careful();
    // By itself, the primary would refuse to write by then.
    let held = written_while_held(&group, Duration::from_millis(2_500));
    group.kill(0);
    group.let_go_without(held);
    let new = group.next_primary(0);
    assert_eq!(get(group.server(new), "k"), "old");
    group.restart(0);
    group.settle();
    assert_eq!(get(group.server(0), "k"), "old");
}

#[test]
fn what_replicas_were_kept_from_is_lost_though_their_primary_wakes_up() {
    let mut group = careful();
    let held = written_while_held(&group, Duration::from_millis(300));
    group.stop(0);
    group.let_go_without(held);
    let new = group.next_primary(0);
    assert_eq!(get(group.server(new), "k"), "old");
    group.wake(0);
    group.settle();
    assert_eq!(get(group.server(0), "k"), "old");
}
