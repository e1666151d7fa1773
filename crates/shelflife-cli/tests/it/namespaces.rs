//! Where the URL names one namespace and `--namespace` another, each command is about the other, and about it alone.

use std::time::Duration;

use serde_json::Value;
use shelflife_testkit::{Child, RedisServer};

use crate::scratch::Scratch;
use crate::shelflife::{Demo, run, run_json, shelflife};

const LIMIT: Duration = Duration::from_secs(60);

/// A demo in the namespace `one` that has stored user 1, and one in `other` that has stored user 2.
struct Two {
    one: Demo,
    other: Demo,
    /// Names `one`.
    url: String,
    server: RedisServer,
    _scratch: Scratch,
}

impl Two {
    fn start() -> Self {
        let (scratch, server) = (Scratch::new(), RedisServer::start());
        let url = format!("{}?namespace=one", server.url());
        let path = scratch.path("demo.sqlite");
        let one = Demo::start(&path, &["--redis", &url]);
        // The demo itself is one of the commands.
        let other = Demo::start(&path, &["--redis", &url, "--namespace", "other"]);
        assert_eq!(one.get("/users/1").status, 200);
        assert_eq!(other.get("/users/2").status, 200);
        Two {
            one,
            other,
            url,
            server,
            _scratch: scratch,
        }
    }

    /// The command with the URL of the one and the name of the other.
    fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [args, &["--redis", &self.url, "--namespace", "other"]].concat()
    }

    fn json(&self, args: &[&str]) -> Vec<Value> {
        run_json(&self.args(&[args, &["--json"]].concat()))
    }
}

#[test]
fn what_only_looks_looks_at_the_namespace_of_the_option() {
    let two = Two::start();
    let keys = two.json(&["ls"]);
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert_eq!(keys[0]["key"], "user:2");
    assert_eq!(two.json(&["get", "user:2"])[0]["state"], "fresh");
    let nothing = run(&two.args(&["get", "user:1"]));
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
    assert_eq!(two.json(&["stats"])[0]["entries"], 1);
    let members = two.json(&["members"]).remove(0);
    let member = members[0]["member"].as_str().unwrap();
    let pid = format!("{}-", two.other.child.pid());
    assert!(member.starts_with(&pid), "{members}");
    let doctor = run(&two.args(&["doctor", "--json", "--fail-on", "never", "--pings", "1"]));
    let found: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    assert_eq!(found["vitals"]["namespace"], "other", "{found}");
    let frame = two.json(&["top", "--once", "--every", "100ms"]).remove(0);
    assert_eq!(frame["namespace"], "other");
    let audit = two.json(&["audit", "--once"]).remove(0);
    assert_eq!(audit["namespace"], "other", "{audit}");
    let names = two.server.cli(&["KEYS", "sl1:*default*"]);
    assert_eq!(names, "", "no third namespace was made");
}

#[test]
fn an_invalidation_reaches_the_namespace_of_the_option_alone() {
    let two = Two::start();
    let args = two.args(&["watch", "--json", "--tag", "told"]);
    let mut watch = Child::spawn(&mut shelflife(&args));
    let begins: Value = serde_json::from_str(&watch.expect_line("{", LIMIT)).unwrap();
    assert_eq!(begins["namespace"], "other");
    for all in [&["--all"][..], &["--pattern", "*"], &["--tag", "told"]] {
        two.json(&[&["invalidate"], all].concat());
        let kept = two.one.get("/users/1");
        assert!(kept.cache_status().contains("; hit"), "{all:?}: {kept:?}");
    }
    assert!(
        two.other
            .get("/users/2")
            .cache_status()
            .contains("fwd=miss")
    );
    let seen: Value = serde_json::from_str(&watch.expect_line("{", LIMIT)).unwrap();
    assert_eq!(seen["tags"][0], "told", "{seen}");
    let own = run_json(&["get", "user:1", "--redis", &two.url, "--json"]);
    assert_eq!(
        own[0]["state"], "fresh",
        "the URL alone still names its own"
    );
    watch.interrupt();
    assert!(watch.wait(LIMIT).success());
}
