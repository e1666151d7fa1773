//! `shelflife doctor`: each thing that is wrong is told, the lines that mend it do, and what may not be asked
//! is said.

mod disk;
mod page;
mod stored;
mod users;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use shelflife_testkit::{Access, Certificates, Cluster, Proxy, RedisServer, Scratch, slot_of};

use crate::shelflife::{run, shelflife, stderr};
use crate::until::until;

/// As deploy/redis/redis.conf has it, where that matters.
const WELL: [&str; 12] = [
    "--maxmemory",
    "256mb",
    "--maxmemory-policy",
    "volatile-lru",
    "--lazyfree-lazy-eviction",
    "yes",
    "--lazyfree-lazy-expire",
    "yes",
    "--maxmemory-clients",
    "25%",
    "--rdb-del-sync-files",
    "yes",
];
/// What is to be said of any server that a test has to itself.
const ALWAYS: [&str; 3] = ["hot_keys", "open_server", "rights_excess"];

fn well_with(more: &[&str]) -> RedisServer {
    RedisServer::start_with(&[&WELL, more].concat())
}

/// What the doctor finds, whatever it is; but for the version, which is that of the machine.
fn findings(url: &str, more: &[&str]) -> Vec<Value> {
    let args = [
        &[
            "doctor",
            "--json",
            "--pings",
            "20",
            "--fail-on",
            "never",
            "--ignore",
            "version",
            "--redis",
            url,
        ],
        more,
    ];
    let output = run(&args.concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    report["findings"].as_array().unwrap().clone()
}

fn names(findings: &[Value]) -> BTreeSet<&str> {
    findings
        .iter()
        .map(|it| it["check"].as_str().unwrap())
        .collect()
}

/// What it finds once that is just this: on a busy machine a command or a ping may be slow of itself, and then it is asked again.
fn settled_by(expected: &BTreeSet<&str>, look: impl Fn() -> Vec<Value>) -> Vec<Value> {
    let mut found = look();
    for _ in 0..4 {
        if names(&found) != *expected {
            found = look();
        }
    }
    assert_eq!(names(&found), *expected, "{found:?}");
    found
}

/// The same where nothing was slow on purpose.
fn settled(server: &RedisServer, url: &str, expected: &BTreeSet<&str>) -> Vec<Value> {
    settled_by(expected, || {
        server.cli(&["SLOWLOG", "RESET"]);
        findings(url, &[])
    })
}

fn find<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    let found = findings.iter().find(|it| it["check"] == check);
    found.unwrap_or_else(|| panic!("{check} among {findings:?}"))
}

/// Runs the lines that mend a finding, in one shell, as a person would; gives what they print.
fn mend(finding: &Value) -> String {
    let lines: Vec<&str> = finding["mend"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    let beside = Path::new(env!("CARGO_BIN_EXE_shelflife")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("sh")
        .args(["-ec", &lines.join("\n")])
        .env("PATH", format!("{}:{path}", beside.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // redis-cli ends well when the server refuses.
    let refused = said.contains("ERR ") || said.contains("NOPERM");
    assert!(
        output.status.success() && !refused,
        "{lines:#?}: {output:?}"
    );
    said
}

/// A busy server for so many ms.
const BUSY: &str = "local t = redis.call('TIME') local e = t[1] * 1000000 + t[2] + ARGV[1] * 1000 \
                    repeat t = redis.call('TIME') until t[1] * 1000000 + t[2] > e";

/// Fills the namespace as an application does.
fn fill(url: &str, value: usize) {
    fill_in(url, "default", value);
}

fn fill_in(url: &str, namespace: &str, value: usize) {
    let filling = async {
        let cache = ::shelflife::Cache::builder()
            .url(url)
            .namespace(namespace)
            .without_tail()
            .build()
            .await
            .unwrap();
        for id in 1..=3 {
            let value = "x".repeat(value);
            cache
                .entry(format!("users:{id}"))
                .tag(format!("user:{id}"))
                .set(value)
                .await
                .unwrap();
        }
        cache.close().await;
    };
    tokio::runtime::Runtime::new().unwrap().block_on(filling);
}

#[test]
fn each_setting_that_bites_is_told_and_mended_by_its_own_lines() {
    type SetUp = fn(&RedisServer);
    let cases: &[(&str, &str, SetUp)] = &[
        ("maxmemory", "warning", |s| {
            s.cli(&["CONFIG", "SET", "maxmemory", "0"]);
        }),
        ("eviction_policy", "warning", |s| {
            s.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
        }),
        ("eviction_policy", "warning", |s| {
            s.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
        }),
        ("memory_full", "info", |s| {
            let info = s.cli(&["INFO", "memory"]);
            let used = info.lines().find_map(|l| l.strip_prefix("used_memory:"));
            s.cli(&["CONFIG", "SET", "maxmemory", used.unwrap().trim()]);
        }),
        ("client_buffers", "warning", |s| {
            s.cli(&["CONFIG", "SET", "maxmemory-clients", "0"]);
        }),
        ("lazy_free", "info", |s| {
            s.cli(&["CONFIG", "SET", "lazyfree-lazy-expire", "no"]);
        }),
        ("snapshots", "warning", |s| {
            s.cli(&["CONFIG", "SET", "save", "3600 1"]);
        }),
        ("append_only", "warning", |s| {
            s.cli(&["CONFIG", "SET", "appendonly", "yes"]);
        }),
        ("too_few_replicas", "error", |s| {
            s.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        }),
        ("slow_commands", "info", |s| {
            s.cli(&["EVAL", BUSY, "0", "15"]);
        }),
        ("slow_commands", "warning", |s| {
            s.cli(&["EVAL", BUSY, "0", "120"]);
        }),
        ("idle_timeout", "warning", |s| {
            s.cli(&["CONFIG", "SET", "timeout", "300"]);
        }),
        ("keepalive", "warning", |s| {
            s.cli(&["CONFIG", "SET", "tcp-keepalive", "0"]);
        }),
        ("clients", "error", |s| {
            s.cli(&["CONFIG", "SET", "maxclients", "4"]);
        }),
        ("keyspace_events", "info", |s| {
            s.cli(&["CONFIG", "SET", "notify-keyspace-events", "KEA"]);
        }),
    ];
    let server = well_with(&[]);
    let url = server.url();
    fill(&url, 10);
    let always = BTreeSet::from(ALWAYS);
    settled(&server, &url, &always);
    for (check, severity, set_up) in cases {
        let mut expected = always.clone();
        expected.insert(check);
        let mut found = Vec::new();
        let told = (0..5).any(|_| {
            server.cli(&["SLOWLOG", "RESET"]);
            set_up(&server);
            found = findings(&url, &[]);
            names(&found) == expected && find(&found, check)["severity"] == *severity
        });
        assert!(told, "{check}, {severity}: {found:?}");
        // On a machine under load the server may be slow of itself meanwhile: then the lines are run once more.
        let mut rest = Vec::new();
        let mended = (0..5).any(|_| {
            mend(find(&found, check));
            // What a fork, or the machine, has held up is another finding, with lines of its own.
            if *check != "slow_commands" {
                server.cli(&["SLOWLOG", "RESET"]);
            }
            rest = findings(&url, &[]);
            names(&rest) == always
        });
        assert!(mended, "{check} is mended: {rest:?}");
    }
}

#[test]
fn a_failed_snapshot_that_stops_all_writes_is_an_error() {
    let gone = Scratch::new();
    let server = well_with(&["--dir", gone.path().to_str().unwrap(), "--save", "3600 1"]);
    let url = server.url();
    fill(&url, 10);
    std::fs::remove_dir_all(gone.path()).unwrap();
    server.cli(&["BGSAVE"]);
    until("the snapshot has failed", || {
        server
            .cli(&["INFO", "persistence"])
            .contains("rdb_last_bgsave_status:err")
    });
    let found = findings(&url, &[]);
    assert_eq!(find(&found, "writes_refused")["severity"], "error");
    let refused = run(&["invalidate", "--redis", &url, "--key", "a"]);
    assert_eq!(refused.status.code(), Some(2), "it is one: {refused:?}");
    mend(find(&found, "writes_refused"));
    settled(&server, &url, &BTreeSet::from(ALWAYS));
}

#[test]
fn the_lines_reach_a_server_that_demands_certificates() {
    let certificates = Certificates::new();
    let server = RedisServer::start_tls(&certificates, &WELL);
    let url = server.url();
    fill(&url, 10);
    server.cli(&["CONFIG", "SET", "timeout", "300"]);
    server.cli(&["PERSIST", "sl1:default:e:users:1"]);
    let found = findings(&url, &[]);
    // By redis-cli, and by a command of our own.
    for check in ["idle_timeout", "endless_entries"] {
        mend(find(&found, check));
    }
    settled(&server, &url, &BTreeSet::from(ALWAYS));
    let said = mend(find(&found, "open_server"));
    let own = said
        .lines()
        .find_map(|l| l.strip_prefix("SHELFLIFE_URL="))
        .unwrap();
    let done = run(&["invalidate", "--all", "--redis", own]);
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn every_node_of_a_cluster_is_asked_and_mended() {
    let conf = WELL
        .chunks(2)
        .map(|it| format!("{} {}", &it[0][2..], it[1]));
    let cluster = Cluster::start_with(
        3,
        Access {
            conf: conf.collect(),
            ..Access::default()
        },
    );
    for node in 0..cluster.nodes() {
        // Nobody is killed: a machine that stands still makes no replica take over.
        let set = ["CONFIG", "SET", "cluster-node-timeout", "15000"];
        cluster.node(node).cli(&set);
    }
    let url = cluster.url();
    fill(&url, 10);
    // Not who has the control keys, who would have been asked anyway.
    let control = cluster.primary_of(slot_of(b"{default}")).unwrap();
    let other = (0..3).find(|node| *node != control).unwrap();
    let other = cluster.node(other);
    other.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    // Two names on two nodes.
    let garbage = |key: &str| {
        let name = format!("sl1:default:e:{key}");
        let node = cluster.primary_of(slot_of(name.as_bytes())).unwrap();
        cluster
            .node(node)
            .cli(&["SET", &name, "garbage", "EX", "600"]);
        node
    };
    let first = garbage("a");
    assert!((0..50).any(|n| garbage(&format!("b{n}")) != first));
    let found = findings(&url, &[]);
    let policy = find(&found, "eviction_policy")["found"].as_str().unwrap();
    assert_eq!(
        policy,
        format!("{}: maxmemory-policy is noeviction", other.host())
    );
    for check in ["eviction_policy", "bad_entries"] {
        mend(find(&found, check));
    }
    let found = findings(&url, &[]);
    for check in ["eviction_policy", "bad_entries", "stored", "other_nodes"] {
        assert!(!names(&found).contains(check), "{check}: {found:?}");
    }
    let open = found.iter().filter(|it| it["check"] == "open_server");
    assert_eq!(open.count(), 3, "each for itself: {found:?}");
}

#[test]
fn a_slow_way_to_the_server_is_told() {
    let server = well_with(&["--disable-thp", "no"]);
    fill(&server.url(), 10);
    // The wire lives on this runtime, whose threads go on while the command is waited for.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let proxy = runtime.block_on(Proxy::start(server.address()));
    proxy.delay(Duration::from_millis(5));
    let found = findings(&proxy.url(), &[]);
    assert_eq!(find(&found, "latency")["severity"], "warning");
    // Only seen where it is so: all other servers here were started without.
    assert_eq!(find(&found, "huge_pages")["severity"], "info");
}

#[test]
fn hot_keys_are_told_where_the_server_counts() {
    let server = well_with(&[
        "--maxmemory-policy",
        "volatile-lfu",
        "--lfu-log-factor",
        "0",
    ]);
    fill(&server.url(), 10);
    let mut connection = server.connect().unwrap();
    for _ in 0..300 {
        connection
            .command(&[b"GET", b"sl1:default:e:users:2"])
            .unwrap();
    }
    let found = findings(&server.url(), &[]);
    let hot = find(&found, "hot_keys")["found"].as_str().unwrap();
    assert!(hot.contains("users:2") && !hot.contains("users:1"), "{hot}");
}

#[test]
fn the_exit_code_is_for_machines_and_the_text_for_people() {
    let server = well_with(&["--maxmemory", "0"]);
    let url = server.url();
    fill(&url, 10);
    let code = |more: &[&str]| {
        let output = run(&[&["doctor", "--pings", "5", "--redis", &url], more].concat());
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            stderr_of(&output.stderr),
        )
    };
    let (bad, text, said) = code(&[]);
    assert_eq!(bad, Some(1));
    for part in [
        "warning  maxmemory",
        "→ the cache grows",
        "CONFIG SET maxmemory",
        "namespace default: entries 3",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        said.contains("to be mended: maxmemory") && said.contains("CONFIG REWRITE"),
        "{said}"
    );
    assert!(
        !text.contains('\x1b'),
        "no colours where there is no terminal: {text}"
    );
    assert_eq!(code(&["--fail-on", "error"]).0, Some(0));
    assert_eq!(code(&["--ignore", "maxmemory"]).0, Some(0));
    assert_eq!(code(&["--fail-on", "info"]).0, Some(1));
    let unknown = run(&["doctor", "--redis", &url, "--ignore", "maxmemry"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
    assert!(stderr(&unknown).contains("'maxmemory'"), "{unknown:?}");
    let part = findings(&url, &["--names", "1"]);
    assert!(
        !names(&part).contains("stored"),
        "one page is all of it: {part:?}"
    );
    let empty = findings(&url, &["--namespace", "nobody"]);
    let empty = find(&empty, "empty_namespace");
    assert!(
        empty["found"]
            .as_str()
            .unwrap()
            .contains("there are default"),
        "{empty}"
    );
    assert_eq!(
        run(&["doctor"]).status.code(),
        Some(2),
        "no server is named"
    );
    assert_eq!(
        shelflife(&["doctor", "--redis", "redis://127.0.0.1:1"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn the_doctor_leaves_no_trace() {
    let server = well_with(&[]);
    findings(&server.url(), &[]);
    assert_eq!(server.cli(&["DBSIZE"]), "0");
}

fn stderr_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
