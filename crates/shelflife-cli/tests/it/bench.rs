//! `shelflife bench`: the figures are those of what happened.

use std::time::Duration;

use serde_json::Value;
use shelflife_testkit::{Child, Proxy, RedisServer, Sentinel};

use crate::origin::{Origin, response};
use crate::shelflife::{run, shelflife, stderr};
use crate::until::until;

const LIMIT: Duration = Duration::from_secs(60);
/// A busy machine is no store that is away.
const PATIENT: &str = "?timeout=10s";

fn measured(args: &[&str]) -> Value {
    let output = run(&[&["bench", "--json", "--warmup", "100ms"], args].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Each answer takes so long.
fn slow(ms: u64, fields: &'static str) -> Origin {
    Origin::start(move |_| {
        std::thread::sleep(Duration::from_millis(ms));
        response("200 OK", fields, "content")
    })
}

#[test]
fn times_counts_and_what_caches_say_are_told() {
    let origin = slow(5, "Cache-Status: shelflife; hit; ttl=3\r\n");
    let found = measured(&[&origin.url(), "-c", "4", "-d", "600ms"]);
    let side = &found["sides"][0];
    let answers = side["answers"].as_u64().unwrap();
    assert!(answers > 4 && answers <= 4 * 600 / 5 + 8, "{side}");
    let time = |name: &str| side["latency_us"][name].as_f64().unwrap();
    assert!(
        time("p50") >= 5_000.0 && time("p50") <= time("p99") && time("p99") <= time("max"),
        "{side}"
    );
    assert_eq!(
        (&side["served"]["hit"], &side["statuses"]["200"]),
        (&answers.into(), &answers.into())
    );
    assert_eq!(side["bytes"], answers * 7);
    assert_eq!(
        (&found["loop"], &side["failed"]),
        (&"closed".into(), &0.into())
    );
}

#[test]
fn in_an_open_loop_what_waits_counts() {
    // One connection, 10 ms an answer: 100 a second is all that it bears, and 150 are due.
    let origin = slow(10, "");
    let found = measured(&[&origin.url(), "-c", "1", "-d", "1s", "--rate", "150"]);
    let side = &found["sides"][0];
    let slowest = side["latency_us"]["max"].as_f64().unwrap();
    assert!(slowest > 50_000.0, "the queue is in the figures: {side}");
    assert!(side["unsent"].as_u64().unwrap() > 10, "{side}");
    // And what it bears does not wait; on a machine that stands still it may, but not each time.
    let mut found = Value::Null;
    let bears = (0..5).any(|_| {
        found = measured(&[&origin.url(), "-c", "4", "-d", "1s", "--rate", "50"]);
        let side = &found["sides"][0];
        let rate = side["per_second"].as_f64().unwrap();
        let p50 = side["latency_us"]["p50"].as_f64().unwrap();
        (40.0..=51.0).contains(&rate) && p50 < 40_000.0
    });
    assert!(bears, "{found}");
}

#[test]
fn two_sides_take_turns_and_stand_side_by_side() {
    let (slow_one, fast_one) = (slow(20, ""), slow(1, ""));
    let (a, b) = (slow_one.url(), fast_one.url());
    let found = measured(&[&a, "--versus", &b, "-c", "2", "-d", "500ms"]);
    let time = |side: usize| found["sides"][side]["latency_us"]["p50"].as_f64().unwrap();
    assert!(time(0) > time(1) * 2.0, "{found}");
    let output = run(&[
        "bench", &a, "--versus", &b, "-c", "2", "-d", "500ms", "--warmup", "0s",
    ]);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["B/A", "p99.9", "A  http://", "B a second", "█"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let ascii = run(&[
        "bench", &a, "-c", "2", "-d", "300ms", "--warmup", "0s", "--ascii",
    ]);
    let text = String::from_utf8(ascii.stdout).unwrap();
    assert!(text.contains("##") && !text.contains('█'), "{text}");
}

#[test]
fn the_second_side_may_be_the_same_past_what_is_stored() {
    const HIT: &str = "Cache-Status: shelflife; hit; ttl=3\r\n";
    let heeds = Origin::start(|asked| match asked.cache_control {
        "no-cache" => {
            std::thread::sleep(Duration::from_millis(20));
            response("200 OK", "Cache-Status: shelflife; fwd=request\r\n", "")
        }
        _ => response("200 OK", HIT, ""),
    });
    let found = measured(&[&heeds.url(), "--without", "-c", "2", "-d", "500ms"]);
    let side = |side: usize| &found["sides"][side];
    assert_eq!(
        (&side(0)["without"], &side(1)["without"]),
        (&false.into(), &true.into())
    );
    assert_eq!(side(0)["served"]["hit"], side(0)["answers"]);
    assert_eq!(side(1)["served"]["bypass"], side(1)["answers"]);
    let time = |nth: usize| side(nth)["latency_us"]["p50"].as_f64().unwrap();
    assert!(time(1) >= 20_000.0 && time(1) > time(0), "{found}");
    let deaf = Origin::start(|_| response("200 OK", HIT, ""));
    let args = [
        "bench",
        &deaf.url(),
        "--without",
        "-d",
        "300ms",
        "--warmup",
        "0s",
    ];
    let text = String::from_utf8(run(&args).stdout).unwrap();
    for part in ["with Cache-Control: no-cache", "B: ", "does not heed"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn errors_are_told_and_end_with_1() {
    let origin = Origin::start(|asked| match asked.before % 2 {
        0 => response("200 OK", "", ""),
        _ => response("503 Service Unavailable", "", ""),
    });
    let output = run(&[
        "bench",
        &origin.url(),
        "--requests",
        "10",
        "--warmup",
        "0s",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let side = &found["sides"][0];
    assert_eq!(
        (&side["answers"], &side["statuses"]["503"]),
        (&10.into(), &5.into()),
        "bounded by count, too: {side}"
    );
    let nobody = run(&["bench", "http://127.0.0.1:1/"]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(stderr(&nobody).contains("is the server up"), "{nobody:?}");
}

#[test]
fn another_machine_has_to_be_meant() {
    for args in [
        &["bench", "http://192.0.2.1/"][..],
        &["bench", "--redis", "redis://192.0.2.1:6379"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        assert!(
            said.contains("is not this machine") && said.contains("--yes"),
            "{said}"
        );
    }
    let nothing = run(&["bench"]);
    assert!(stderr(&nothing).contains("--redis"), "{nothing:?}");
}

#[test]
fn ctrl_c_ends_it_with_what_was_measured() {
    let origin = slow(1, "");
    let args = [
        "bench",
        &origin.url(),
        "-d",
        "60s",
        "--warmup",
        "1ms",
        "--json",
    ];
    let mut child = Child::spawn(&mut shelflife(&args));
    until("it is measured", || origin.asked("/") >= 500);
    child.interrupt();
    let line = child.expect_line("{", LIMIT);
    let found: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(found["interrupted"], true);
    assert_eq!(child.wait(LIMIT).code(), Some(2));
    // What was measured while it warmed up is no figure.
    let output = {
        let args = [
            "bench",
            &origin.url(),
            "-d",
            "1s",
            "--warmup",
            "60s",
            "--json",
        ];
        let mut child = Child::spawn(&mut shelflife(&args));
        let before = origin.asked("/");
        until("it warms up", || origin.asked("/") >= before + 100);
        child.interrupt();
        (child.wait(LIMIT).code(), child.printed())
    };
    assert!(
        output.0 == Some(2) && output.1.contains("nothing was measured"),
        "{output:?}"
    );
    assert!(!output.1.contains("sides"), "{output:?}");
}

#[test]
fn sentinels_may_not_lead_to_another_machine_unseen() {
    let server = RedisServer::start();
    let sentinel = Sentinel::start("shop", &server, 1);
    let url = format!("redis+sentinel://{}/shop{PATIENT}", sentinel.host());
    let args = ["bench", "--redis", &url, "-d", "1s", "--json"];
    let fine = run(&args);
    assert!(fine.status.success(), "{fine:?}");
    // The same server by an address that is not the loopback's.
    sentinel.command(&["SENTINEL", "REMOVE", "shop"]);
    let port = server.port().to_string();
    sentinel.command(&["SENTINEL", "MONITOR", "shop", "0.0.0.0", &port, "1"]);
    server.cli(&["FLUSHALL"]);
    let output = run(&args);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = stderr(&output);
    assert!(said.contains("0.0.0.0") && said.contains("--yes"), "{said}");
    assert_eq!(server.cli(&["DBSIZE"]), "0", "nothing was written");
}

#[test]
fn a_namespace_that_the_url_names_is_left_alone() {
    let server = RedisServer::start();
    server.cli(&["SET", "sl1:shop:e:x", "1"]);
    server.cli(&["SET", "sl1:{shop}:clock", "planted"]);
    let url = format!("{}?namespace=shop", server.url());
    let named: [(&[&str], Option<&str>); 3] = [
        (&["--redis", &url], None),
        (&["--redis", &url, "--namespace", "shop"], None),
        (&[], Some(&url)),
    ];
    for (args, variable) in named {
        let mut command = shelflife(&[&["bench", "-c", "2", "-d", "1s", "--json"], args].concat());
        command.envs(variable.map(|url| ("SHELFLIFE_URL", url)));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(server.cli(&["DBSIZE"]), "2", "{args:?}");
        assert_eq!(server.cli(&["GET", "sl1:shop:e:x"]), "1");
        assert_eq!(server.cli(&["GET", "sl1:{shop}:clock"]), "planted");
    }
}

#[test]
fn ctrl_c_leaves_nothing_behind_while_it_is_filled() {
    let server = RedisServer::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let slow = runtime.block_on(Proxy::start(server.address()));
    slow.delay(Duration::from_millis(5));
    let args = ["bench", "--redis", &slow.url(), "-d", "1s"];
    let mut child = Child::spawn(&mut shelflife(&args));
    let names = || server.cli(&["DBSIZE"]).parse::<u64>().unwrap();
    until("it is being filled", || names() >= 100);
    child.interrupt();
    assert_eq!(child.wait(LIMIT).code(), Some(2));
    assert_eq!(names(), 0);
}

#[test]
fn reads_that_find_nothing_are_no_hits() {
    let server = RedisServer::start();
    let url = server.url() + PATIENT;
    let args = ["bench", "--redis", &url, "-c", "2", "-d", "3s"];
    let mut child = Child::spawn(&mut shelflife(&args));
    // More than what it is filled with: the step `miss` has been there, and it measures.
    until("it measures", || {
        server.cli(&["DBSIZE"]).parse::<u64>().unwrap() >= 2_100
    });
    server.cli(&["FLUSHALL"]);
    assert_eq!(child.wait(LIMIT).code(), Some(1));
}

#[test]
fn the_cache_itself_is_measured_and_leaves_nothing_behind() {
    let server = RedisServer::start();
    let url = server.url() + PATIENT;
    server.cli(&["SET", "somebody:else", "1"]);
    let args = ["--redis", &url, "-c", "4", "-d", "2s", "--size", "500"];
    let found = measured(&args);
    for step in ["bare_get", "l1_hit", "l2_hit", "miss", "invalidate"] {
        let it = &found["steps"][step];
        assert!(it["count"].as_u64().unwrap() > 0, "{step}: {found}");
        assert!(
            it["latency_us"]["p50"].as_f64().unwrap() > 0.0,
            "{step}: {found}"
        );
    }
    let p50 = |step: &str| found["steps"][step]["latency_us"]["p50"].as_f64().unwrap();
    assert!(
        p50("l1_hit") < p50("bare_get"),
        "memory is not asked over a wire: {found}"
    );
    assert_eq!(server.cli(&["KEYS", "*"]), "somebody:else");
    let output = run(&[&["bench"], &args[..]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("hit in the store (L2)") && text.contains("p99.9"),
        "{text}"
    );
    // The slowest step fills its line.
    let bars = text
        .lines()
        .map(|line| line.matches('█').count().max(line.matches('#').count()));
    assert!(bars.max() >= Some(8), "{text}");
}
