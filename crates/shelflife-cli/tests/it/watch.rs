//! `shelflife watch`: who invalidated what, when, and how far it has come; and that looking on changes
//! nothing.

use std::time::Duration;

use serde_json::{Value, json};
use shelflife_testkit::{Child, RedisServer};

use crate::scratch::Scratch;
use crate::shelflife::{Demo, run, run_json, shelflife};

const LIMIT: Duration = Duration::from_secs(20);

/// A command whose lines of JSON are awaited one by one.
struct Watching(Child);

impl Watching {
    fn start(url: &str, more: &[&str]) -> Self {
        let args = [&["watch", "--json", "--redis", url], more].concat();
        let mut watching = Self(Child::spawn(&mut shelflife(&args)));
        assert_eq!(watching.next()["type"], "watching");
        watching
    }

    fn next(&mut self) -> Value {
        let line = self.0.expect_line("{", LIMIT);
        serde_json::from_str(&line).unwrap()
    }

    /// The next line of this type; lines before it must be of the other types given.
    fn next_of(&mut self, kind: &str, between: &[&str]) -> Value {
        loop {
            let line = self.next();
            if line["type"] == kind {
                return line;
            }
            assert!(between.iter().any(|other| line["type"] == *other), "{line}");
        }
    }
}

fn invalidate(url: &str, what: &[&str]) {
    run_json(&[&["invalidate", "--redis", url, "--json"], what].concat());
}

#[test]
fn entries_tell_what_when_and_who_has_applied_them() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let patient = format!("{url}?window=60s");
    let path = scratch.path("demo.sqlite");
    let _demos = [0, 1].map(|_| Demo::start(&path, &["--redis", &patient]));
    let mut watching = Watching::start(&url, &[]);
    invalidate(&url, &["--tag", "user:1", "--key", "a", "--pattern", "x*y"]);
    let entry = watching.next_of("entry", &[]);
    assert_eq!(
        (&entry["tags"], &entry["keys"], &entry["patterns"]),
        (&json!(["user:1"]), &json!(["a"]), &json!(["x*y"]))
    );
    let by = entry["origin"].as_str().unwrap();
    assert!(
        by.contains('-') && by.contains('@'),
        "the command itself: {by}"
    );
    assert!(
        entry["at"]
            .as_str()
            .is_some_and(|at| at.starts_with("20") && at.ends_with('Z'))
    );
    // Both demos have applied it: when the line was printed, or by a second line.
    let done = match entry["applied"]["by"] == 2 {
        true => entry,
        false => watching.next_of("applied", &[]),
    };
    assert_eq!(done["applied"], json!({"by": 2, "of": 2}), "{done}");
    assert!(
        done["applied_ms"].as_u64().is_some_and(|ms| ms < 30_000),
        "{done}"
    );
    invalidate(&url, &["--tag", "user:1", "--soft"]);
    let soft = watching.next_of("entry", &["applied"]);
    assert_eq!(
        (&soft["soft_tags"], &soft["tags"]),
        (&json!(["user:1"]), &Value::Null)
    );
    watching.0.interrupt();
    assert!(watching.0.wait(LIMIT).success());
}

#[test]
fn a_second_line_tells_when_a_slow_process_has_applied_it_too() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    // A window that stays open for as long as the process stands still here.
    let slow = format!("{url}?window=60s");
    let mut demo = Demo::start(&scratch.path("demo.sqlite"), &["--redis", &slow]);
    let mut watching = Watching::start(&url, &[]);
    demo.child.stop();
    invalidate(&url, &["--all"]);
    let entry = watching.next_of("entry", &[]);
    assert_eq!(entry["applied"], json!({"by": 0, "of": 1}), "{entry}");
    demo.child.resume();
    let applied = watching.next_of("applied", &[]);
    assert_eq!(
        (&applied["epoch"], &applied["applied"]),
        (&entry["epoch"], &json!({"by": 1, "of": 1}))
    );
}

#[test]
fn looking_on_leaves_no_trace() {
    let server = RedisServer::start();
    let mut watching = Watching::start(&server.url(), &[]);
    watching.0.interrupt();
    assert!(watching.0.wait(LIMIT).success());
    let members = run_json(&["members", "--json", "--redis", &server.url()]);
    assert_eq!(members, [json!([])]);
    assert_eq!(server.cli(&["DBSIZE"]), "0");
}

#[test]
fn watching_goes_on_after_a_restart_of_the_server() {
    let mut server = RedisServer::start();
    let url = server.url();
    invalidate(&url, &["--key", "before"]);
    let mut watching = Watching::start(&url, &[]);
    invalidate(&url, &["--key", "seen"]);
    assert_eq!(watching.next_of("entry", &[])["keys"], json!(["seen"]));
    server.kill();
    watching.next_of("lost", &[]);
    server.restart();
    watching.next_of("back", &[]);
    invalidate(&url, &["--key", "after"]);
    assert_eq!(watching.next_of("entry", &[])["note"], "new");
    assert_eq!(watching.next_of("entry", &[])["keys"], json!(["after"]));
}

#[test]
fn a_log_that_was_flushed_is_read_from_its_new_beginning() {
    let server = RedisServer::start();
    let url = server.url();
    // As after a failover: ticks run ahead of the server's time.
    let info = server.cli(&["INFO", "replication"]);
    let replid = info
        .lines()
        .find_map(|line| line.strip_prefix("master_replid:"))
        .unwrap();
    let ahead = format!("00000000000000ff 9000000000000000 {}", replid.trim());
    server.cli(&["SET", "sl1:{default}:clock", &ahead]);
    invalidate(&url, &["--key", "ahead"]);
    let mut watching = Watching::start(&url, &["--since", "1h"]);
    let ahead = watching.next_of("entry", &[]);
    assert!(
        ahead["epoch"]
            .as_str()
            .unwrap()
            .ends_with(":9000000000000001"),
        "{ahead}"
    );
    server.cli(&["FLUSHALL"]);
    invalidate(&url, &["--key", "after"]);
    assert_eq!(watching.next_of("entry", &[])["note"], "new");
    assert_eq!(watching.next_of("entry", &[])["keys"], json!(["after"]));
}

#[test]
fn since_limit_and_filters_choose_what_is_shown() {
    let server = RedisServer::start();
    let url = server.url();
    for what in [
        ["--key", "users:1"],
        ["--tag", "user:2"],
        ["--pattern", "users:*"],
        ["--key", "orders:1"],
    ] {
        invalidate(&url, &what);
    }
    let shown = |more: &[&str]| {
        let args = [&["watch", "--json", "--redis", &url, "--since", "1h"], more].concat();
        let lines = run_json(&args);
        let entries = lines
            .into_iter()
            .filter(|line| line["type"] == "entry" && line["note"].is_null());
        let names = |entry: Value| {
            ["keys", "tags"]
                .iter()
                .find_map(|kind| entry[kind][0].as_str().map(str::to_owned))
        };
        entries.filter_map(names).collect::<Vec<_>>()
    };
    // The first entry is the bookkeeping's own: the incarnation begins.
    assert_eq!(
        shown(&["--limit", "5"]),
        ["users:1", "user:2", "users:*", "orders:1"]
    );
    assert_eq!(shown(&["--limit", "2"]), ["users:1"]);
    assert_eq!(
        shown(&["--limit", "3", "--key", "users:1"]),
        ["users:1", "users:*"]
    );
    assert_eq!(shown(&["--limit", "2", "--tag", "user:2"]), ["user:2"]);
    let text = run(&["watch", "--redis", &url, "--since", "1h", "--limit", "2"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("a new incarnation begins") && text.contains("key users:1"),
        "{text}"
    );
}
