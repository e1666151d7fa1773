//! `shelflife audit`: silent where the promise holds, loud where it has been broken on purpose.

use std::time::Duration;

use serde_json::Value;
use shelflife_testkit::{Child, RedisServer};

use crate::scratch::Scratch;
use crate::shelflife::{Demo, run, run_json, shelflife, stderr};

const LIMIT: Duration = Duration::from_secs(30);

/// A demo that has stored the profiles 1 to 5.
fn filled(scratch: &Scratch, url: &str) -> Demo {
    let demo = Demo::start(&scratch.path("demo.sqlite"), &["--redis", url]);
    for id in 1..=5 {
        assert_eq!(demo.get(&format!("/users/{id}")).status, 200);
    }
    demo
}

/// An audit with a short Δ, whose lines are awaited one by one.
struct Auditing(Child);

impl Auditing {
    fn start(url: &str, more: &[&str]) -> Self {
        let url = format!("{url}?window=300ms");
        let args = [&["audit", "--json", "--rate", "500", "--redis", &url], more].concat();
        let mut auditing = Self(Child::spawn(&mut shelflife(&args)));
        auditing.next_of("auditing");
        auditing
    }

    fn next_of(&mut self, kind: &str) -> Value {
        self.next_that(|line| line["type"] == kind)
    }

    fn next_that(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.0.expect_line("{", LIMIT);
            let line: Value = serde_json::from_str(&line).unwrap();
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Two rounds from now: every key has been kept, and looked at again.
    fn wait_for_rounds(&mut self) {
        for _ in 0..3 {
            self.next_of("round");
        }
    }

    /// Ends it as Ctrl-C does; gives the sum and the exit code.
    fn end(mut self) -> (Value, Option<i32>) {
        self.0.interrupt();
        let sum = self.next_of("summary");
        (sum, self.0.wait(LIMIT).code())
    }
}

#[test]
fn where_the_promise_holds_nothing_is_found() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let demo = filled(&scratch, &url);
    let mut auditing = Auditing::start(&url, &[]);
    auditing.wait_for_rounds();
    for round in 0..10 {
        let what: &[&str] = match round % 5 {
            0 => &["--tag", "user:1"],
            1 => &["--key", "user:2"],
            2 => &["--pattern", "us*:3"],
            3 => &["--tag", "ranks", "--soft"],
            _ => &["--all"],
        };
        run_json(&[&["invalidate", "--json", "--redis", &url], what].concat());
        for id in 1..=5 {
            assert_eq!(demo.get(&format!("/users/{id}")).status, 200);
        }
    }
    auditing.wait_for_rounds();
    let (sum, code) = auditing.end();
    assert_eq!(
        (&sum["violations"], &sum["foreign"], &sum["faults"]),
        (&0.into(), &0.into(), &0.into()),
        "{sum}"
    );
    assert!(
        sum["l1"].as_u64() > Some(10) && sum["l2"].as_u64() > Some(10),
        "{sum}"
    );
    assert!(sum["logged"].as_u64() >= Some(10), "{sum}");
    assert_eq!(code, Some(0));
    let members = run_json(&["members", "--json", "--redis", &url]).remove(0);
    assert_eq!(
        members.as_array().unwrap().len(),
        1,
        "it has left: {members}"
    );
}

#[test]
fn once_looks_at_every_key_and_ends() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let _demo = filled(&scratch, &url);
    let lines = run_json(&[
        "audit", "--once", "--json", "--rate", "1000", "--redis", &url,
    ]);
    let sum = lines.last().unwrap();
    assert_eq!(
        (&sum["rounds"], &sum["kept"]),
        (&1.into(), &5.into()),
        "{sum}"
    );
    assert!(sum["l1"].as_u64() >= Some(5), "{sum}");
    let some = [
        "audit",
        "--once",
        "--json",
        "--keys",
        "user:[12]",
        "--rate",
        "1000",
        "--redis",
        &url,
    ];
    assert_eq!(run_json(&some).last().unwrap()["kept"], 2);
    let text = run(&["audit", "--once", "--redis", &url]);
    let out = String::from_utf8(text.stdout).unwrap();
    assert!(
        out.contains("violations  0") && text.status.success(),
        "{out}"
    );
}

#[test]
fn what_is_dead_for_want_of_its_clock_is_counted() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    drop(filled(&scratch, &url));
    let words = ["audit", "--once", "--json", "--redis", &url];
    assert_eq!(run_json(&words).last().unwrap()["other_incarnation"], 0);
    server.cli(&["DEL", "sl1:{default}:clock"]);
    let sum = run_json(&words);
    let dead = sum.last().unwrap()["other_incarnation"].as_u64();
    assert!(dead >= Some(5), "{sum:?}");
}

#[test]
fn a_planted_violation_is_found_once_it_is_older_than_the_window() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let _demo = filled(&scratch, &url);
    let mut auditing = Auditing::start(&url, &[]);
    auditing.wait_for_rounds();
    // Within the window it is told as such, if the machine does not stand still for that long.
    let mut within = false;
    for id in [4, 1, 2, 3, 5] {
        // As if an invalidation had reached the tag and not the log: no process can know.
        let tag = format!("sl1:{{default}}:t:user:{id}");
        let record = server.cli(&["GET", &tag]);
        let (inc, _) = record.split_once(' ').unwrap();
        let time = server.cli(&["TIME"]);
        let (s, us) = time.split_once('\n').unwrap();
        let planted = format!("{inc} {s}{us:0>6} 0");
        server.cli(&["SET", &tag, &planted, "EX", "600"]);

        let key = format!("user:{id}");
        let violation = loop {
            let line = auditing.next_that(|line| line["tier"] == "l1" && line["key"] == *key);
            match line["class"].as_str() {
                Some("violation") => break line,
                other => within |= other == Some("within"),
            }
        };
        assert_eq!(
            (&violation["said"], &violation["strict"]),
            (&"fresh".into(), &"dead (tag_newer)".into()),
            "{violation}"
        );
        assert!(violation["age_ms"].as_u64() > Some(300), "{violation}");
        assert!(
            violation["cause"]
                .as_str()
                .unwrap()
                .contains("the log does not say so"),
            "{violation}"
        );
        if within {
            break;
        }
    }
    assert!(within);
    let (sum, code) = auditing.end();
    assert!(sum["violations"].as_u64() >= Some(1), "{sum}");
    assert_eq!(code, Some(1));
}

#[test]
fn an_entry_that_somebody_else_deletes_or_overwrites_is_foreign() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let _demo = filled(&scratch, &url);
    let mut auditing = Auditing::start(&url, &[]);
    auditing.wait_for_rounds();
    server.cli(&["DEL", "sl1:default:e:user:3"]);
    let gone = auditing.next_of("disagreement");
    assert_eq!(
        (&gone["key"], &gone["class"], &gone["tier"]),
        (&"user:3".into(), &"foreign".into(), &"l1".into()),
        "{gone}"
    );
    assert_eq!(gone["history"], Value::Array(Vec::new()));
    server.cli(&["SET", "sl1:default:e:user:5", "garbage"]);
    let kinds = [auditing.next_of("fault"), auditing.next_of("fault")];
    for (fault, kind) in kinds.iter().zip(["malformed", "no_expiry"]) {
        assert_eq!(
            (&fault["name"], &fault["fault"]),
            (&"user:5".into(), &kind.into()),
            "{fault}"
        );
    }
    let overwritten = auditing.next_of("disagreement");
    assert_eq!(
        (&overwritten["key"], &overwritten["class"]),
        (&"user:5".into(), &"foreign".into())
    );
    let (sum, code) = auditing.end();
    assert_eq!(
        (&sum["foreign"], &sum["violations"]),
        (&2.into(), &0.into()),
        "{sum}"
    );
    assert_eq!(code, Some(0));
}

#[test]
fn what_is_stored_in_bad_order_is_told() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let _demo = filled(&scratch, &url);
    server.cli(&["RPUSH", "sl1:default:e:list", "1"]);
    server.cli(&["PERSIST", "sl1:default:e:user:1"]);
    server.cli(&["DEL", "sl1:{default}:t:user:2"]);
    server.cli(&["SET", "sl1:{default}:t:user:3", "garbage", "EX", "600"]);
    server.cli(&["SET", "sl1:{default}:other", "1"]);
    let lines = run_json(&[
        "audit", "--once", "--json", "--rate", "1000", "--redis", &url,
    ]);
    let faults = lines.iter().filter(|line| line["type"] == "fault");
    let mut faults: Vec<String> = faults
        .map(|f| format!("{} {} {}", f["of"], f["name"], f["fault"]).replace('"', ""))
        .collect();
    faults.sort();
    assert_eq!(
        faults,
        [
            "entry list no_expiry",
            "entry list wrong_type",
            "entry user:1 no_expiry",
            "entry user:2 tag_missing",
            "entry user:3 tag_missing",
            "name sl1:{default}:other unknown",
            "tag user:3 malformed",
        ]
    );
}

#[test]
fn a_restart_of_the_server_is_no_violation() {
    let (scratch, mut server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let demo = filled(&scratch, &url);
    let mut auditing = Auditing::start(&url, &[]);
    auditing.wait_for_rounds();
    server.kill();
    auditing.next_of("lost");
    server.restart();
    auditing.next_of("back");
    for id in 1..=5 {
        assert_eq!(demo.get(&format!("/users/{id}")).status, 200);
    }
    auditing.wait_for_rounds();
    let (sum, code) = auditing.end();
    assert_eq!(
        (&sum["violations"], &sum["foreign"]),
        (&0.into(), &0.into()),
        "{sum}"
    );
    assert_eq!(code, Some(0));
}

#[test]
fn without_a_server_it_says_what_to_do() {
    let output = run(&["audit"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--redis"), "{output:?}");
}
