//! `shelflife top`: frames as text and as JSON, and a real terminal that is as it was when it has ended.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child as Process, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shelflife_testkit::{Child, RedisServer};

use crate::origin::{Asked, Origin, response};
use crate::scratch::Scratch;
use crate::shelflife::{Demo, run, run_json, shelflife, stderr};

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

/// A command in a terminal of its own (util-linux's `script`), and the screen as a person sees it.
struct Terminal {
    process: Process,
    screen: Arc<Mutex<vt100::Parser>>,
    pid: PathBuf,
    _scratch: Scratch,
}

impl Terminal {
    fn start(top: &str) -> Self {
        let scratch = Scratch::new();
        let pid = scratch.path("pid");
        let bin = env!("CARGO_BIN_EXE_shelflife");
        let inner = format!("echo $$ > {}; exec {bin} {top}", pid.display());
        // Before and after: how the terminal is set.
        let outer = format!(
            "stty rows 40 cols 100; a=$(stty -g); sh -c '{inner}'; echo ended $?; [ $a = $(stty -g) ] && echo as before"
        );
        let mut process = Command::new("script")
            .args(["-qefc", &outer, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script is there: it is part of util-linux (apt-get install bsdutils)");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(40, 100, 0)));
        let (mut from, to) = (process.stdout.take().unwrap(), screen.clone());
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut piece) {
                to.lock().unwrap().process(&piece[..n]);
            }
        });
        Terminal {
            process,
            screen,
            pid,
            _scratch: scratch,
        }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn wait_for(&self, part: &str) {
        let began = Instant::now();
        while !self.text().contains(part) {
            assert!(began.elapsed() < LIMIT, "no {part:?} in\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn press(&mut self, keys: &str) {
        let stdin = self.process.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Whether it has ended with this code, and the terminal is as it was.
    fn assert_restored(mut self, code: &str) {
        self.wait_for(&format!("ended {code}"));
        self.wait_for("as before");
        self.process.wait().unwrap();
        let screen = self.screen.lock().unwrap();
        assert!(
            !screen.screen().alternate_screen(),
            "its own screen is left"
        );
        assert!(!screen.screen().hide_cursor(), "the cursor is back");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended is no failure.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_terminal_shows_it_obeys_keys_and_is_as_it_was_at_the_end() {
    let api = api();
    let mut terminal =
        Terminal::start(&format!("top --url {}/_shelflife --every 200ms", api.url()));
    terminal.wait_for("shelflife top");
    assert!(terminal.screen.lock().unwrap().screen().alternate_screen());
    terminal.wait_for("users:42");
    terminal.wait_for("tag user:42");
    terminal.press("?");
    terminal.wait_for("hit ratio   reads that needed no load");
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
        let pid = std::fs::read_to_string(&terminal.pid).unwrap();
        let sent = Command::new("kill")
            .args([signal, pid.trim()])
            .status()
            .unwrap();
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
