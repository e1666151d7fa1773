//! The operator commands, on what a running demo has stored.

use std::time::Duration;

use serde_json::json;
use shelflife_testkit::{Child, RedisServer};

use crate::scratch::Scratch;
use crate::shelflife::{Demo, run, run_json, shelflife, stderr};

/// The key of the first page of a demo's list: a response, named by its URL.
fn list_of(demo: &Demo) -> String {
    let host = demo.address.replace(':', "%3A");
    format!("http:{host}/users%3Fpage=1")
}

/// A demo that has stored the profiles 1 and 2 and a page of the list.
fn filled(scratch: &Scratch, url: &str) -> Demo {
    let demo = Demo::start(&scratch.path("demo.sqlite"), &["--redis", url]);
    fill(&demo);
    demo
}

fn fill(demo: &Demo) {
    for path in ["/users/1", "/users/2", "/users?page=1"] {
        demo.until_hit(path);
    }
}

#[test]
fn get_tells_state_reason_tags_and_value() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let demo = filled(&scratch, &url);

    let found = run_json(&["get", "user:1", "--redis", &url, "--json"]).remove(0);
    assert_eq!(found["state"], "fresh");
    assert_eq!(found["reason"], "fresh");
    assert_eq!(found["value"], demo.get("/users/1").body);
    let tags: Vec<_> = found["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["tag"].as_str().unwrap())
        .collect();
    assert!(
        tags.contains(&"user:1") && tags.contains(&"ranks"),
        "{tags:?}"
    );
    assert!(
        found["fresh_ms"]
            .as_i64()
            .is_some_and(|ms| ms > 0 && ms <= 33_000),
        "{found}"
    );

    let shown = run(&["get", "user:1", "--redis", &url]);
    assert!(shown.status.success());
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(
        text.contains("fresh (fresh)") && text.contains("\"spent_cents\""),
        "{text}"
    );
}

#[test]
fn get_of_nothing_usable_ends_with_1_and_says_why() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let _demo = filled(&scratch, &url);

    let nobody = run(&["get", "user:4711", "--redis", &url]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(
        stderr(&nobody).contains("nothing is stored under user:4711"),
        "{nobody:?}"
    );

    run_json(&["invalidate", "--tag", "user:1", "--redis", &url, "--json"]);
    let dead = run(&["get", "user:1", "--redis", &url, "--json"]);
    assert_eq!(dead.status.code(), Some(1));
    assert!(
        stderr(&dead).contains("user:1 is dead: tag_newer"),
        "{dead:?}"
    );
}

#[test]
fn ls_lists_what_matches() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let demo = filled(&scratch, &url);
    let keys = |pattern: &[&str]| {
        let output = run(&[&["ls"], pattern, &["--redis", &url]].concat());
        assert!(output.status.success(), "{output:?}");
        let mut keys: Vec<_> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        keys.sort();
        keys
    };
    let list = list_of(&demo);
    assert_eq!(keys(&[]), [list.as_str(), "user:1", "user:2"]);
    assert_eq!(keys(&["user:*"]), ["user:1", "user:2"]);
    assert_eq!(keys(&["*=1"]), [list.as_str()]);
    assert!(keys(&["nothing:*"]).is_empty());
    let listed = run_json(&["ls", "http:*", "--redis", &url, "--json"]);
    assert_eq!(listed, [json!({ "key": list })]);
}

#[test]
fn each_kind_of_invalidation_reaches_what_it_names_and_nothing_else() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let state = |key: &str| {
        let output = run(&["get", key, "--redis", &url, "--json"]);
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        found["state"].as_str().unwrap().to_owned()
    };
    let states = |demo: &Demo| ["user:1", "user:2", &list_of(demo)].map(state);
    let cases: [(&[&str], [&str; 3]); 7] = [
        (&["--key", "user:1"], ["gone", "fresh", "fresh"]),
        (
            &["--tag", "user:2", "--tag", "users"],
            ["fresh", "gone", "gone"],
        ),
        (&["--pattern", "user:*"], ["gone", "gone", "fresh"]),
        (&["--pattern", "*1"], ["gone", "fresh", "gone"]),
        (&["--pattern", "http:*"], ["fresh", "fresh", "gone"]),
        (&["--tag", "ranks", "--soft"], ["stale", "stale", "fresh"]),
        (&["--all"], ["gone", "gone", "gone"]),
    ];
    let demo = filled(&scratch, &url);
    for (what, expected) in cases {
        let all = ["invalidate", "--all", "--everywhere", "--json"];
        run_json(&[&all[..], &["--redis", &url]].concat());
        fill(&demo);
        assert_eq!(states(&demo), ["fresh", "fresh", "fresh"]);
        let receipt = run_json(&[&["invalidate"], what, &["--redis", &url, "--json"]].concat());
        assert!(
            receipt[0]["receipt"]
                .as_str()
                .is_some_and(|text| text.contains(':')),
            "{receipt:?}"
        );
        let found = states(&demo).map(|state| match state.as_str() {
            "dead" | "absent" => "gone".to_owned(),
            _ => state,
        });
        assert_eq!(found, expected, "{what:?}");
    }
}

#[test]
fn stats_tells_about_the_namespace_and_the_server() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let _demo = filled(&scratch, &url);
    let stats = run_json(&["stats", "--redis", &url, "--json"]).remove(0);
    assert_eq!(stats["store"], "redis");
    assert_eq!(stats["entries"], 3);
    assert!(
        stats["used_memory"].as_u64().is_some_and(|bytes| bytes > 0),
        "{stats}"
    );
    let shown = run(&["stats", "--redis", &url]);
    assert!(
        String::from_utf8_lossy(&shown.stdout).contains("used memory"),
        "{shown:?}"
    );
}

#[test]
fn without_a_server_each_command_says_what_to_do() {
    let commands: [&[&str]; 4] = [&["get", "a"], &["ls"], &["invalidate", "--all"], &["stats"]];
    let mut server = RedisServer::start();
    let url = server.url();
    server.kill();
    for command in commands {
        let unnamed = run(command);
        assert_eq!(unnamed.status.code(), Some(2));
        assert!(stderr(&unnamed).contains("--redis"), "{unnamed:?}");
        let down = run(&[command, &["--redis", &url]].concat());
        assert_eq!(down.status.code(), Some(2), "{down:?}");
        assert!(stderr(&down).contains("hint:"), "{down:?}");
        assert!(down.stdout.is_empty(), "{down:?}");
    }
}

#[test]
fn members_lists_the_demos_and_everywhere_reaches_them() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let path = scratch.path("demo.sqlite");
    let demos = [0, 1].map(|_| Demo::start(&path, &["--redis", &url]));
    let members = run_json(&["members", "--redis", &url, "--json"]).remove(0);
    let members = members.as_array().unwrap();
    assert_eq!(members.len(), 2, "the command itself is none: {members:?}");
    for round in 0..5 {
        for demo in &demos {
            assert_eq!(demo.get("/users/1").status, 200);
        }
        let done = run_json(&[
            "invalidate",
            "--tag",
            "user:1",
            "--everywhere",
            "--redis",
            &url,
            "--json",
        ])
        .remove(0);
        assert_eq!(done["everywhere"], true);
        // The first to be asked loads; the other's L1 must not have kept the old value.
        for demo in &demos {
            let status = demo.get("/users/1");
            assert!(
                !status.cache_status().ends_with("detail=l1"),
                "round {round}: {status:?}"
            );
        }
    }
    let shown = run(&["members", "--redis", &url]);
    let text = String::from_utf8(shown.stdout).unwrap();
    for word in ["up to date", "ago", "open, 1.0 s"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let mut watching = Child::spawn(&mut shelflife(&[
        "members", "--watch", "50ms", "--json", "--redis", &url,
    ]));
    // On a busy machine a window may be closed for a moment.
    let mut open = 0;
    while open < 3 {
        let line = watching.expect_line("[", Duration::from_secs(20));
        let members: serde_json::Value = serde_json::from_str(&line).unwrap();
        open += u32::from(members[0]["window_open"] == true);
    }
    watching.interrupt();
    assert!(watching.wait(Duration::from_secs(20)).success());
}
