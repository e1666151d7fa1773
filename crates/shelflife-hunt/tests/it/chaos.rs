//! The hunt in short: no promise is broken under faults, and a promise that is broken is found.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;
use shelflife_testkit::Child;

/// A hunt of less than half a minute, with all that starting and ending take on a busy machine.
const LONG: Duration = Duration::from_secs(150);

struct Hunt {
    exit: Option<i32>,
    printed: String,
    json: Value,
}

/// A hunt takes a core for itself: one that shares it with many others meets takeovers that nobody has struck.
struct Core;

static CORES: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

impl Core {
    fn take() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (taken, freed) = &CORES;
        let mut taken = freed
            .wait_while(taken.lock().unwrap(), |taken| *taken >= cores)
            .unwrap();
        *taken += 1;
        Self
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let (taken, freed) = &CORES;
        *taken.lock().unwrap() -= 1;
        freed.notify_one();
    }
}

fn hunt(name: &str, arguments: &[&str]) -> Hunt {
    let _core = Core::take();
    let json = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    let mut child = Child::spawn(
        Command::new(env!("CARGO_BIN_EXE_shelflife-hunt"))
            .args(arguments)
            .arg("--json")
            .arg(&json),
    );
    let exit = child.wait(LONG).code();
    let printed = child.printed();
    let json = std::fs::read(&json)
        .map(|bytes| serde_json::from_slice(&bytes).unwrap())
        .unwrap_or_else(|error| panic!("{error}; it printed:\n{printed}"));
    Hunt {
        exit,
        printed,
        json,
    }
}

#[test]
fn no_read_breaks_its_promise_while_everything_is_killed() {
    let Hunt {
        exit,
        printed,
        json,
    } = hunt(
        "chaos",
        &[
            "--minutes",
            "0.4",
            "--processes",
            "3",
            "--rate",
            "6000",
            "--samples",
            "20",
            "--window",
            "500",
        ],
    );
    assert_eq!(exit, Some(0), "{printed}");
    assert_eq!(json["violations"], 0, "{printed}");
    let positive = |what: &Value| what.as_u64().is_some_and(|n| n > 0);
    for level in ["bounded", "strict", "session"] {
        assert!(
            positive(&json["levels"][level]["binding"]),
            "{level}: {printed}"
        );
    }
    for (of, names) in [
        ("faults", &json["faults"]),
        ("kinds", &json["invalidations"]),
    ] {
        for (name, n) in names.as_object().unwrap() {
            assert!(positive(n), "no {name} among the {of}: {printed}");
        }
    }
    for tier in ["l1", "l2", "load"] {
        assert!(
            positive(&json["levels"]["bounded"]["tiers"][tier]),
            "{tier}: {printed}"
        );
    }
    assert!(
        positive(&json["levels"]["bounded"]["lagging"]),
        "nothing was ever behind: {printed}"
    );
}

/// Whoever takes over: no promise is broken but by what Redis has lost, no read fails, and everybody is served again.
fn survives(topology: &str, blows: &[&str]) {
    let mut faults = blows.join(",");
    faults.push_str(",pause,kill,close,clients,lose");
    let Hunt {
        exit,
        printed,
        json,
    } = hunt(
        topology,
        &[
            "--topology",
            topology,
            "--minutes",
            "0.7",
            "--processes",
            "3",
            "--rate",
            "3000",
            "--samples",
            "0",
            "--faults",
            &faults,
            "--down-after",
            "1500",
        ],
    );
    assert_eq!(exit, Some(0), "{printed}");
    assert_eq!(json["violations"], 0, "{printed}");
    assert_eq!(json["broken_reads"], 0, "{printed}");
    for blow in blows {
        let took = &json["serves_again"][blow]["max_ms"];
        assert!(
            took.as_f64().is_some_and(|ms| ms > 0.0),
            "{blow}: {printed}"
        );
    }
    // What was confirmed while replicas were held back was lost, repeated, and read.
    for what in ["times", "confirmed", "witnesses", "reads"] {
        let n = &json["held_back"][what];
        assert!(n.as_u64().is_some_and(|n| n > 0), "{what}: {printed}");
    }
}

#[test]
fn a_primary_that_is_lost_or_frozen_is_followed_with_sentinels() {
    survives("sentinel", &["failover", "stall"]);
}

#[test]
fn a_node_that_is_lost_or_frozen_is_followed_and_slots_move_in_a_cluster() {
    survives("cluster", &["failover", "stall", "move"]);
}

fn soak(name: &str, more: &[&str]) -> Hunt {
    let mut arguments = vec!["--soak", "0.25", "--processes", "2", "--rate", "6000"];
    arguments.extend(more);
    hunt(name, &arguments)
}

#[test]
fn nothing_grows_under_full_load() {
    let soak = soak("soak", &[]);
    assert_eq!(soak.exit, Some(0), "{}", soak.printed);
    let gauges = soak.json["soak"]["gauges"].as_array().unwrap();
    assert!(gauges.len() > 10, "{}", soak.printed);
    for of in ["rss", "heap", "tasks", "files", "connections"] {
        assert!(
            gauges[0][of].as_f64().unwrap() > 0.0,
            "{of}: {}",
            soak.printed
        );
    }
}

#[test]
fn what_leaks_is_found() {
    let soak = soak("leak", &["--sabotage", "leak"]);
    assert_eq!(soak.exit, Some(1), "{}", soak.printed);
    assert!(soak.printed.contains("GROWN: memory"), "{}", soak.printed);
    assert!(soak.printed.contains("bytes in use"), "{}", soak.printed);
    assert!(soak.printed.contains("tasks"), "{}", soak.printed);
}

#[test]
fn a_process_that_forgets_its_invalidations_is_found() {
    is_found("forget", &["--minutes", "0.3", "--faults", "none"]);
}

#[test]
fn windows_that_never_close_are_found() {
    let faults = ["--faults", "pause,hold,refuse"];
    let (minutes, window) = (["--minutes", "0.5"], ["--window", "300"]);
    is_found("clock", &[minutes, faults, window].concat());
}

#[test]
fn what_is_lost_with_a_primary_and_repeated_by_nobody_is_found() {
    let sentinel = ["--topology", "sentinel", "--down-after", "1500"];
    let faults = ["--minutes", "0.7", "--faults", "failover"];
    is_found("depart", &[sentinel, faults].concat());
}

/// The hunt ends at once, says so by its exit code, and prints the history.
fn is_found(sabotage: &str, more: &[&str]) {
    let small = ["--processes", "3", "--rate", "3000", "--samples", "0"];
    let wrong = ["--seed", "1", "--sabotage", sabotage];
    let found = hunt(sabotage, &[&small[..], &wrong, more].concat());
    let printed = &found.printed;
    assert_eq!(found.exit, Some(1), "{printed}");
    assert_ne!(found.json["violations"], 0, "{printed}");
    for part in ["VIOLATION of ", "invalidated ", "this read"] {
        assert!(printed.contains(part), "{part:?} is not in:\n{printed}");
    }
}

#[test]
fn a_process_that_panics_is_found() {
    let mut child = Child::spawn(
        Command::new(env!("CARGO_BIN_EXE_shelflife-hunt"))
            .args(["--minutes", "0.2", "--processes", "2", "--samples", "0"])
            .args(["--faults", "none", "--sabotage", "panic"]),
    );
    let exit = child.wait(LONG);
    assert!(!exit.success(), "{}", child.printed());
}
