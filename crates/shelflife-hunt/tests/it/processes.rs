//! Several processes on one Redis: one load for all, and what happens when its owner dies or sleeps.
use std::process::Command;
use std::time::{Duration, Instant};

use shelflife_testkit::{Child, RedisServer};

use crate::SOON;
const LEASE: Duration = Duration::from_millis(600);
/// It is extended every third of it: a machine that stands still for a second does not end it.
const PATIENT: Duration = Duration::from_secs(2);
const KEY: &str = "users:42";

fn worker(server: &RedisServer) -> Child {
    worker_with(server, LEASE)
}

fn worker_with(server: &RedisServer, lease: Duration) -> Child {
    let mut child = Child::spawn(
        Command::new(env!("CARGO_BIN_EXE_shelflife-worker"))
            .env("SHELFLIFE_URL", server.url())
            .env("SHELFLIFE_NAMESPACE", "hunt")
            .env("SHELFLIFE_TIMEOUT", "5s")
            .env("SHELFLIFE_LEASE", format!("{}ms", lease.as_millis())),
    );
    child.expect_line("ready redis hunt", SOON);
    child
}

fn loads(server: &RedisServer) -> u64 {
    server.cli(&["GET", "source:loads"]).parse().unwrap_or(0)
}

fn open(server: &RedisServer, load: u64) {
    server.cli(&["SET", &format!("source:open:{load}"), "1"]);
}

/// Waits until the source has been asked so many times; how long that took.
fn until_loads(server: &RedisServer, count: u64) -> Duration {
    let began = Instant::now();
    while loads(server) < count {
        assert!(
            began.elapsed() < SOON,
            "{} loads, not {count}",
            loads(server)
        );
        std::thread::yield_now();
    }
    began.elapsed()
}

fn begin(child: &mut Child, callers: usize) {
    child.send_line(&format!("load {KEY} {callers}"));
    child.expect_line("started", SOON);
}

fn loaded(child: &mut Child) -> String {
    child.expect_line("loaded ", SOON)
}

fn asked(child: &mut Child, command: &str) -> String {
    child.send_line(&format!("{command} {KEY}"));
    child.expect_line("got ", SOON)
}

#[test]
fn sixty_four_cold_callers_on_each_of_two_processes_make_one_load() {
    let server = RedisServer::start();
    let mut both = [PATIENT, PATIENT].map(|lease| worker_with(&server, lease));
    for child in &mut both {
        begin(child, 64);
    }
    until_loads(&server, 1);
    open(&server, 1);
    let said = both.each_mut().map(loaded);
    assert!(
        said.iter().all(|s| s.starts_with("loaded [1] ")),
        "{said:?}"
    );
    assert_eq!(
        said.iter().filter(|s| s.contains("stored true")).count(),
        1,
        "{said:?}"
    );
    assert_eq!(loads(&server), 1);
    for child in &mut both {
        assert_eq!(asked(child, "get"), "got 1");
    }
}

#[test]
fn waiters_take_over_from_an_owner_that_was_killed() {
    let server = RedisServer::start();
    let (mut owner, mut waiter) = (worker(&server), worker(&server));
    begin(&mut owner, 8);
    until_loads(&server, 1);
    begin(&mut waiter, 64);
    owner.kill();
    let took = until_loads(&server, 2);
    assert!(
        took < LEASE + Duration::from_secs(3),
        "the take-over took {took:?}"
    );
    open(&server, 2);
    let said = loaded(&mut waiter);
    assert!(said.starts_with("loaded [2] stored true"), "{said}");
    assert_eq!(loads(&server), 2);
}

#[test]
fn a_living_owner_is_not_taken_over_from() {
    let server = RedisServer::start();
    let [mut owner, mut waiter] = [PATIENT, PATIENT].map(|lease| worker_with(&server, lease));
    begin(&mut owner, 1);
    until_loads(&server, 1);
    begin(&mut waiter, 1);
    std::thread::sleep(PATIENT + Duration::from_secs(1));
    assert_eq!(
        loads(&server),
        1,
        "the lease outlives its term while its owner lives"
    );
    open(&server, 1);
    assert!(loaded(&mut owner).starts_with("loaded [1] stored true"));
    assert!(loaded(&mut waiter).starts_with("loaded [1] stored false"));
}

#[test]
fn waiters_take_over_from_an_owner_that_sleeps_and_its_late_fill_is_refused() {
    let server = RedisServer::start();
    let (mut owner, mut waiter) = (worker(&server), worker(&server));
    begin(&mut owner, 8);
    until_loads(&server, 1);
    begin(&mut waiter, 64);
    owner.stop();
    let took = until_loads(&server, 2);
    assert!(
        took < LEASE + Duration::from_secs(3),
        "the take-over took {took:?}"
    );
    open(&server, 2);
    assert!(loaded(&mut waiter).starts_with("loaded [2] stored true"));
    owner.resume();
    open(&server, 1);
    let late = loaded(&mut owner);
    assert!(late.starts_with("loaded [1] stored false"), "{late}");
    for child in [&mut owner, &mut waiter] {
        assert_eq!(asked(child, "strict"), "got 2");
        assert_eq!(asked(child, "get"), "got 2");
    }
}

#[test]
fn a_sleeping_owner_does_not_undo_an_invalidation() {
    let server = RedisServer::start();
    let (mut owner, mut other) = (worker(&server), worker(&server));
    begin(&mut owner, 1);
    until_loads(&server, 1);
    owner.stop();
    other.send_line("invalidate tag");
    other.expect_line("invalidated", SOON);
    owner.resume();
    open(&server, 1);
    assert!(loaded(&mut owner).starts_with("loaded [1] stored false"));
    for child in [&mut owner, &mut other] {
        assert_eq!(asked(child, "strict"), "got nothing");
        assert_eq!(asked(child, "get"), "got nothing");
    }
}

#[test]
fn nobody_hangs_when_redis_goes_in_mid_load() {
    let mut server = RedisServer::start();
    let (mut owner, mut waiter) = (worker(&server), worker(&server));
    begin(&mut owner, 8);
    until_loads(&server, 1);
    begin(&mut waiter, 8);
    server.kill();
    // The source was in that Redis: everyone ends, with an error.
    for child in [&mut owner, &mut waiter] {
        child.expect_line("failed ", SOON);
        loaded(child);
    }
}

fn from_env(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shelflife-worker"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("SHELFLIFE_") || name == "REDIS_URL" {
            command.env_remove(&*name);
        }
    }
    command.envs(variables.iter().copied());
    Child::spawn(&mut command).expect_line("re", SOON)
}

#[test]
fn the_environment_names_the_server_or_there_is_none() {
    assert_eq!(from_env(&[]), "ready embedded default");
    assert_eq!(
        from_env(&[("SHELFLIFE_NAMESPACE", "shop")]),
        "ready embedded shop"
    );
    let server = RedisServer::start();
    let url = format!("{}?namespace=by-url", server.url());
    assert_eq!(from_env(&[("REDIS_URL", &url)]), "ready redis by-url");
    assert_eq!(
        from_env(&[
            ("REDIS_URL", "redis://nowhere.invalid"),
            ("SHELFLIFE_URL", &url)
        ]),
        "ready redis by-url"
    );
}

#[test]
fn a_bad_variable_is_an_error_that_names_it_its_value_and_what_is_valid() {
    for (name, value, valid) in [
        ("SHELFLIFE_TTL", "soon", "duration"),
        ("SHELFLIFE_TLL", "5m", "ttl"),
        ("SHELFLIFE_CONNECTIONS", "many", "1 to 64"),
        ("SHELFLIFE_MEMORY", "-5", "size"),
        ("SHELFLIFE_CODEC", "pickle", "messagepack"),
        ("SHELFLIFE_URL", "ftp://host", "redis://"),
    ] {
        let said = from_env(&[(name, value)]);
        assert!(said.starts_with("refused Config "), "{said}");
        let shown = if name == "SHELFLIFE_URL" { "url" } else { name };
        for part in [shown, value.split(':').next().unwrap(), valid] {
            assert!(said.contains(part), "{said:?} should contain {part:?}");
        }
    }
}
