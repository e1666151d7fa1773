//! A process that sleeps longer than Δ while others invalidate serves nothing older when it wakes up.

use std::process::Command;
use std::time::Duration;

use shelflife_testkit::{Child, Proxy, RedisServer, Reply};

use crate::SOON;

/// Long, so that what is asked at once is asked within it on a busy machine too.
const DELTA: Duration = Duration::from_secs(3);
const KEY: &str = "users:42";

fn worker(url: &str) -> Child {
    let mut child = Child::spawn(
        Command::new(env!("CARGO_BIN_EXE_shelflife-worker"))
            .env("SHELFLIFE_URL", url)
            .env("SHELFLIFE_NAMESPACE", "hunt")
            .env("SHELFLIFE_WINDOW", format!("{}ms", DELTA.as_millis())),
    );
    child.expect_line("ready redis hunt", SOON);
    child
}

fn ask(child: &mut Child, question: &str) -> String {
    child.send_line(question);
    child.expect_line("", SOON)
}

/// Lets the first load of the source end with 1, and one process hold the value in L1.
fn held_in_l1(server: &RedisServer, child: &mut Child) {
    server.cli(&["SET", "source:open:1", "1"]);
    child.send_line(&format!("load {KEY} 1"));
    child.expect_line("loaded [1] stored true", SOON);
    assert_eq!(ask(child, &format!("where {KEY}")), "1 in l1");
}

/// Milliseconds since 1970 by the server's clock.
fn server_time(server: &RedisServer) -> u128 {
    let Reply::Array(parts) = server.command(&[b"TIME"]) else {
        panic!("TIME is not an array");
    };
    let part = |at: usize| parts[at].to_string().parse::<u128>().unwrap();
    part(0) * 1000 + part(1) / 1000
}

/// Waits until the server's clock says that Δ is over since `since`.
fn after_delta(server: &RedisServer, since: u128) {
    while server_time(server) <= since + DELTA.as_millis() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn invalidated(server: &RedisServer, child: &mut Child) -> u128 {
    assert_eq!(ask(child, "invalidate tag"), "invalidated");
    server_time(server)
}

#[test]
fn a_process_that_wakes_up_after_the_bound_serves_nothing_older() {
    let server = RedisServer::start();
    let (mut sleeper, mut other) = (worker(&server.url()), worker(&server.url()));
    held_in_l1(&server, &mut sleeper);
    sleeper.stop();
    let since = invalidated(&server, &mut other);
    after_delta(&server, since);
    // The question is there before it wakes up: nothing comes first.
    sleeper.send_line(&format!("where {KEY}"));
    sleeper.resume();
    assert_eq!(sleeper.expect_line("", SOON), "nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_the_window_that_keeps_it_from_that_not_the_log() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let (mut sleeper, mut other) = (worker(&proxy.url()), worker(&server.url()));
    held_in_l1(&server, &mut sleeper);
    // From here on nothing reaches it: it can't learn of the invalidation, asleep or awake.
    proxy.freeze(true);
    let since = invalidated(&server, &mut other);
    assert_eq!(
        ask(&mut sleeper, &format!("where {KEY}")),
        "1 in l1",
        "within the bound it may, and does: else this test shows nothing"
    );
    sleeper.stop();
    after_delta(&server, since);
    sleeper.send_line(&format!("where {KEY}"));
    sleeper.resume();
    assert_eq!(sleeper.expect_line("", SOON), "nowhere");
}
