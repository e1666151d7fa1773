//! The suite, judged: a small cache that keeps the rules has to pass, and each fault planted in it has to be
//! found.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::time::Duration;

use shelflife::{Cache, Policy};
use shelflife_conformance::{Group, Kind, Options, Origin, run};

mod command;
mod faults;
mod layered;
mod mini;
mod plain;
mod proxy;
mod ruled;
mod wire;

/// How often the suite is run before what fails is believed: on a machine that stands still for a second, what is fresh is stale.
const RUNS: usize = 3;

/// A cache whose leases do not end because so many cases at a time hold up whoever extends them.
async fn cache() -> Cache {
    let policy = Policy::new().lease(Duration::from_secs(300));
    Cache::builder().policy(policy).build().await.unwrap()
}

/// Runs the cases against what listens at this address: every required one that can be passed has to be.
async fn passes(origin: &Origin, groups: &[Group], address: SocketAddr) {
    let options = Options {
        // Most of them rest for seconds.
        parallel: 256,
        ..Options::new(address)
    };
    let mut report = run(origin, groups, &options).await;
    for _ in 1..RUNS {
        if !report.violations().is_empty() {
            report = run(origin, groups, &options).await;
        }
    }
    let wrong: Vec<_> = report
        .violations()
        .iter()
        .map(|case| format!("{}: {:?} {:?}", case.id, case.verdict, case.fault))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", report.to_text());
    let optional = report.count(Kind::Optional, true).passed;
    assert!(optional > 90, "{optional}\n{}", report.to_text());
}
