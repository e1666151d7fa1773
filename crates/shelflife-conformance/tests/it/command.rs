//! The command: what it prints, and how it ends.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Output;

use serde_json::Value;

use crate::mini::{Flaw, Mini};

async fn command(args: Vec<String>) -> Output {
    let run = move || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_shelflife-conformance"));
        command.args(args).output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Somebody else may have the free port by then, and a machine that stands still makes what is fresh stale.
const RUNS: usize = 3;

/// Runs one group against the small cache, as a program would, until it ends so or has been run several times.
async fn freshness(flaw: Flaw, code: i32) -> (Option<i32>, Value) {
    let mut run = freshness_once(flaw).await;
    for _ in 1..RUNS {
        if run.0 != Some(code) {
            run = freshness_once(flaw).await;
        }
    }
    run
}

async fn freshness_once(flaw: Flaw) -> (Option<i32>, Value) {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let origin: SocketAddr = free.local_addr().unwrap();
    drop(free);
    let mini = Mini::start(origin, flaw).await;
    let proxy = format!("--proxy=http://{}", mini.address);
    let port = format!("--origin-port={}", origin.port());
    let args = [proxy, port, "--group=freshness".into(), "--json".into()];
    let output = command(args.into()).await;
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), report)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_ends_with_0_if_all_is_well_and_with_1_if_a_required_case_failed() {
    let (sound, flawed) = tokio::join!(freshness(Flaw::None, 0), freshness(Flaw::ServesStale, 1));
    assert_eq!((sound.0, &sound.1["violations"]), (Some(0), &0.into()));
    assert_eq!(flawed.0, Some(1));
    let failed = flawed.1["cases"].as_array().unwrap().iter();
    let failed: Vec<&str> = failed
        .filter(|case| case["verdict"] == "failed")
        .filter_map(|case| case["id"].as_str())
        .collect();
    assert!(failed.contains(&"freshness-max-age-stale"), "{failed:?}");
}

#[tokio::test]
async fn a_case_that_does_not_exist_is_named_and_ends_with_2() {
    let args = ["--proxy=http://127.0.0.1:9", "--case=no-such-case"];
    let output = command(args.map(String::from).into()).await;
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("no-such-case"), "{text}");
}
