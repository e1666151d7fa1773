//! `shelflife top`: frames as text and as JSON, and a real terminal that is as it was when it has ended.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shelflife_testkit::{Child, RedisServer};

use crate::origin::{Asked, Origin, response};
use crate::scratch::Scratch;
use crate::shelflife::{Demo, run, run_json, shelflife, stderr};
use crate::terminal::Terminal;

const LIMIT: Duration = Duration::from_secs(60);

/// The API of a process: at each look 90 more hits in memory and 10 more misses.
fn api() -> Origin {
    Origin::start(|asked| match asked.path {
        "/_shelflife/api/now" => response("200 OK", "", &now(&asked).to_string()),
        "/_shelflife/api/hot?n=50" => {
            let hot = json!({"keys": [{"name": "users:42", "reads": 900, "over": 0, "share": 0.9}], "tags": []});
            response("200 OK", "", &hot.to_string())
        }
        "/_shelflife/api/largest?n=50" => {
            let large = json!({"entries": [{"key": "report:1", "bytes": 2_097_152, "tags": []}]});
            response("200 OK", "", &large.to_string())
        }
        "/_shelflife/api/log?since=300" => {
            let entry =
                json!({"epoch": "ab:1767225599000007", "tags": ["user:42"], "origin": "7-ab@1000"});
            let event = format!("event: entry\nid: ab:1767225599000007\ndata: {entry}\n\n");
            response("200 OK", "Content-Type: text/event-stream\r\n", &event)
        }
        _ => response("404 Not Found", "", "{}"),
    })
}

fn now(asked: &Asked<'_>) -> Value {
    let n = asked.before;
    json!({
        "namespace": "shop", "uptime_ms": 65_000, "process": {"pid": 7},
        "stats": {"l1_hits": 90 * n, "l2_hits": 0, "stale": 0, "misses": 10 * n, "loads": 10 * n,
            "loads_running": 3, "loads_waiting": 5, "loads_shed": 8, "sets_waiting": 2, "reasons": {"not_found": 10 * n}},
        "store": {"kind": "redis", "answers": true, "server": {"used_memory": 1_048_576, "product": "redis"}},
        "members": {"all": [{"member": "7-ab@1000", "lag": 0, "silent_ms": 8, "window_open": true}]},
    })
}

#[test]
fn one_frame_as_text_and_as_json_tells_what_the_process_does() {
    let api = api();
    let url = format!("{}/_shelflife", api.url());
    let args = ["top", "--url", &url, "--once", "--every", "300ms"];
    let output = run(&args);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "shop, process 7, up 65.0 s",
        "90.0 % hit",
        "users:42",
        "tag user:42  by 7-ab",
        "7-ab",
        "1.0 MiB",
        "loads 3 running, 5 waiting, 8 shed",
        "2 sets waiting",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let frame = run_json(&[&args[..], &["--json"]].concat()).remove(0);
    let ratio = frame["hit_ratio"].as_f64().unwrap();
    assert!((ratio - 0.9).abs() < 1e-9, "{frame}");
    assert!(frame["rates"]["reads"].as_f64().unwrap() > 0.0, "{frame}");
    assert_eq!(frame["hot"]["keys"][0]["name"], "users:42");
    assert_eq!(frame["largest"][0]["key"], "report:1");
    assert_eq!(frame["members"][0]["name"], "7-ab");
    assert_eq!(frame["log"][0]["what"], "tag user:42");
}

#[test]
fn the_store_alone_tells_the_log_and_the_processes() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let _demo = Demo::start(&scratch.path("demo.sqlite"), &["--redis", &url]);
    run_json(&["invalidate", "--tag", "user:7", "--redis", &url, "--json"]);
    let args = ["top", "--redis", &url, "--once", "--every", "300ms"];
    let frame = run_json(&[&args[..], &["--json"]].concat()).remove(0);
    assert_eq!(
        frame["members"].as_array().unwrap().len(),
        1,
        "it is none itself: {frame}"
    );
    assert_eq!(frame["log"][0]["what"], "tag user:7", "{frame}");
    assert_eq!(frame["rates"], Value::Null);
    let text = String::from_utf8(run(&args).stdout).unwrap();
    assert!(
        text.contains("1 process follows the log") && text.contains("tag user:7"),
        "{text}"
    );
}

#[test]
fn documents_come_look_by_look_until_ctrl_c() {
    let api = api();
    let url = format!("{}/_shelflife", api.url());
    let mut child = Child::spawn(&mut shelflife(&[
        "top", "--url", &url, "--json", "--every", "100ms",
    ]));
    for _ in 0..3 {
        let line = child.expect_line("{", LIMIT);
        let frame: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(frame["namespace"], "shop");
    }
    child.interrupt();
    assert!(child.wait(LIMIT).success());
}

#[test]
fn a_token_is_sent_and_its_lack_is_told() {
    let origin = Origin::start(|asked| match asked.authorization {
        "Bearer the-secret-of-the-page" if asked.path == "/api/now" => {
            response("200 OK", "", &now(&asked).to_string())
        }
        _ => response("401 Unauthorized", "", "{}"),
    });
    let url = origin.url();
    let scratch = Scratch::new();
    let file = scratch.path("token");
    std::fs::write(&file, "the-secret-of-the-page\n").unwrap();
    let args = ["top", "--url", &url, "--once", "--every", "100ms"];
    for more in [
        &["--token", "the-secret-of-the-page"],
        &["--token-file", file.to_str().unwrap()],
    ] {
        let output = run(&[&args[..], more].concat());
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains("process 7"),
            "who is not told what is hot sees the rest: {text}"
        );
    }
    let refused = run(&args);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--token"), "{refused:?}");
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let other = Origin::start(|_| response("200 OK", "", "<html>"));
    for (args, part) in [
        (vec!["top"], "there is no terminal"),
        (vec!["top", "--once"], "shelflife demo"),
        (vec!["top", "--once", "--url", "nonsense"], "--url nonsense"),
        (
            vec!["top", "--once", "--url", "http://127.0.0.1:1"],
            "gave no answer",
        ),
        (
            vec!["top", "--once", "--token-file", "/nonexistent"],
            "cannot read /nonexistent",
        ),
    ] {
        // Nobody's demo is to answer here.
        let args = match args.as_slice() {
            ["top", "--once"] => vec!["top", "--once", "--url", "http://127.0.0.1:9"],
            _ => args,
        };
        let output = run(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(stderr(&output).contains(part), "{args:?}: {output:?}");
    }
    let url = other.url();
    let output = run(&["top", "--once", "--url", &url]);
    assert!(stderr(&output).contains("is not shelflife's"), "{output:?}");
}

#[test]
fn a_terminal_shows_it_obeys_keys_and_is_as_it_was_at_the_end() {
    let api = api();
    let mut terminal =
        Terminal::start(&format!("top --url {}/_shelflife --every 200ms", api.url()));
    terminal.wait_for("shelflife top");
    assert!(terminal.is_its_own());
    terminal.wait_for("users:42");
    terminal.wait_for("tag user:42");
    terminal.press("?");
    terminal.wait_for("hit ratio   reads answered with something fresh");
    terminal.press("?p");
    terminal.wait_for("paused");
    terminal.press("p\t");
    terminal.wait_for("hottest tags");
    terminal.press("\t");
    terminal.wait_for("2.0 MiB  report:1");
    terminal.press("\t");
    terminal.wait_for("100.0 %");
    terminal.wait_for("not found");
    terminal.press("\t\t");
    terminal.wait_for("1 process follows the log");
    terminal.press("q");
    terminal.assert_restored("0");
}

#[test]
fn signals_leave_the_terminal_as_it_was_too() {
    let api = api();
    for (signal, code) in [("-TERM", "0"), ("-INT", "0"), ("-HUP", "0")] {
        let terminal =
            Terminal::start(&format!("top --url {}/_shelflife --every 200ms", api.url()));
        terminal.wait_for("users:42");
        let pid = terminal.pid();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
        terminal.assert_restored(code);
    }
}

#[test]
fn who_goes_away_is_said_and_may_come_back() {
    let mut server = RedisServer::start();
    let url = server.url();
    run_json(&["invalidate", "--tag", "before", "--redis", &url, "--json"]);
    let mut terminal = Terminal::start(&format!("top --redis {url} --every 200ms"));
    terminal.wait_for("tag before");
    server.kill();
    terminal.wait_for("cannot ask the store");
    server.restart();
    run_json(&["invalidate", "--tag", "after", "--redis", &url, "--json"]);
    terminal.wait_for("tag after");
    terminal.press("q");
    terminal.assert_restored("0");
}

#[test]
fn a_look_that_has_begun_goes_on_whatever_is_pressed() {
    let api = Origin::start(|asked| match asked.path {
        "/api/now" => {
            // Longer than it takes until the next key.
            std::thread::sleep(Duration::from_millis(400));
            let mut now = now(&asked);
            now["namespace"] = format!("look-{}", asked.before).into();
            response("200 OK", "", &now.to_string())
        }
        _ => response("404 Not Found", "", "{}"),
    });
    let mut terminal = Terminal::start(&format!("top --url {} --every 100ms", api.url()));
    terminal.wait_for("look-0");
    let began = Instant::now();
    while !terminal.text().contains("look-3") {
        assert!(began.elapsed() < LIMIT, "{}", terminal.text());
        terminal.press("j");
        std::thread::sleep(Duration::from_millis(50));
    }
    terminal.press("q");
    terminal.assert_restored("0");
}

#[test]
fn of_a_burst_the_newest_entries_are_shown() {
    const ENTRIES: u64 = 1_500;
    let api = Origin::start(|asked| match asked.path {
        "/api/now" => response("200 OK", "", &now(&asked).to_string()),
        "/api/log?since=300" => {
            let event = |n: u64| {
                let epoch = format!("ab:{}", 1_767_225_599_000_000 + n);
                let entry = json!({"epoch": epoch, "tags": [format!("n{n}")]});
                format!("event: entry\nid: {epoch}\ndata: {entry}\n\n")
            };
            let events: String = (0..ENTRIES).map(event).collect();
            response("200 OK", "Content-Type: text/event-stream\r\n", &events)
        }
        _ => response("404 Not Found", "", "{}"),
    });
    let args = ["top", "--url", &api.url(), "--json", "--every", "200ms"];
    let mut top = Child::spawn(&mut shelflife(&args));
    let began = Instant::now();
    let newest = format!("tag n{}", ENTRIES - 1);
    loop {
        let frame: Value = serde_json::from_str(&top.expect_line("{", LIMIT)).unwrap();
        if frame["log"][0]["what"] == newest.as_str() {
            break;
        }
        assert!(began.elapsed() < LIMIT, "{}", frame["log"][0]);
    }
    top.interrupt();
    assert!(top.wait(LIMIT).success());
}

#[test]
fn a_log_that_cannot_be_followed_is_no_quiet_one() {
    let api = Origin::start(|asked| match asked.path {
        "/api/now" => response("200 OK", "", &now(&asked).to_string()),
        "/api/log?since=300" => {
            let problem = json!({"detail": "close one"}).to_string();
            response("429 Too Many Requests", "", &problem)
        }
        _ => response("404 Not Found", "", "{}"),
    });
    let mut terminal = Terminal::start(&format!("top --url {} --every 100ms", api.url()));
    terminal.wait_for("it cannot be followed: 429 Too Many Requests: close one");
    assert!(!terminal.text().contains("nothing was invalidated"));
    terminal.press("q");
    terminal.assert_restored("0");
}

/// Searches, looks, and invalidates, in front of what is named.
fn search_and_invalidate(url: &str, top: &str) {
    let state = |key: &str| {
        let output = run(&["get", key, "--redis", url, "--json"]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        found["state"].as_str().unwrap().to_owned()
    };
    let mut terminal = Terminal::start(&format!("top {top} --every 200ms"));
    terminal.wait_for("shelflife top");
    terminal.press("/nowhere\r");
    terminal.wait_for("no key matches");
    terminal.press("\u{1b}");
    terminal.wait_for("/ search");
    terminal.press("/user:\r");
    terminal.wait_for("2 keys");
    terminal.press("\r");
    terminal.wait_for("fresh  user:1");
    terminal.wait_for("Fresh: stored");
    terminal.press("i");
    terminal.wait_for("invalidate key: user:1");
    terminal.press("\r");
    terminal.wait_for("1 entry would be dead");
    terminal.press("n");
    terminal.wait_for("left as it is");
    assert_eq!(state("user:1"), "fresh");
    terminal.press("iuser:1\r");
    terminal.wait_for("tag user:1");
    terminal.wait_for("1 entry would be dead");
    terminal.press("y");
    terminal.wait_for("invalidated tag user:1 in ");
    assert_eq!(state("user:1"), "dead");
    assert_eq!(state("user:2"), "fresh");
    terminal.press("i\t\tuser:*\r");
    terminal.wait_for("2 entries would be dead");
    terminal.press("s");
    terminal.wait_for("softly invalidated pattern user:* in ");
    assert_eq!(state("user:2"), "stale");
    terminal.press("q");
    terminal.assert_restored("0");
}

#[test]
fn one_searches_and_invalidates_by_the_page_of_a_process() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let more = ["--redis", &url, "--admin", "127.0.0.1:0"];
    let mut demo = Demo::start(&scratch.path("demo.sqlite"), &more);
    let line = demo.child.expect_line("  page", LIMIT);
    let page = line.split_whitespace().nth(1).unwrap().to_owned();
    for path in ["/users/1", "/users/2", "/users?page=1"] {
        assert_eq!(demo.get(path).status, 200);
    }
    search_and_invalidate(&url, &format!("--url {page}"));
}

#[test]
fn one_searches_and_invalidates_in_the_store_too() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let url = server.url();
    let demo = Demo::start(&scratch.path("demo.sqlite"), &["--redis", &url]);
    for path in ["/users/1", "/users/2", "/users?page=1"] {
        assert_eq!(demo.get(path).status, 200);
    }
    search_and_invalidate(&url, &format!("--redis {url}"));
}

#[test]
fn a_real_process_tells_its_own_figures() {
    let (scratch, server) = (Scratch::new(), RedisServer::start());
    let more = ["--redis", &server.url(), "--admin", "127.0.0.1:0"];
    let mut demo = Demo::start(&scratch.path("demo.sqlite"), &more);
    let line = demo.child.expect_line("  page", LIMIT);
    let url = line.split_whitespace().nth(1).unwrap().to_owned();
    let args = ["top", "--url", &url, "--json", "--every", "500ms"];
    let mut top = Child::spawn(&mut shelflife(&args));
    let began = Instant::now();
    loop {
        for _ in 0..9 {
            assert_eq!(demo.get("/users/1").status, 200);
        }
        let Some(line) = top.printed_line("{") else {
            continue;
        };
        let frame: Value = serde_json::from_str(&line).unwrap();
        // The first read of all is a miss; from then on memory answers.
        if frame["hit_ratio"].as_f64() > Some(0.99) {
            assert_eq!(frame["members"].as_array().unwrap().len(), 1, "{frame}");
            assert!(frame["stats"]["l1_hits"].as_u64() > Some(9), "{frame}");
            break;
        }
        assert!(began.elapsed() < LIMIT, "{frame}");
    }
    let text = String::from_utf8(run(&["top", "--url", &url, "--once"]).stdout).unwrap();
    assert!(
        text.contains("in memory") && text.contains("1 process follows the log"),
        "{text}"
    );
    top.interrupt();
    assert!(top.wait(LIMIT).success());
}
