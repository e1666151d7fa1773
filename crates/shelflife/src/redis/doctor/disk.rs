//! Persistence: a cache has nothing to keep, and something to lose by keeping it.

use super::mend::Mend;
use super::{Facts, diagnosis};
use crate::doctor::{Diagnosis, Severity};

const FORGETS: &str = "started anew from a disk that lags, the server has forgotten invalidations, and serves what they made dead";

pub(super) fn rules(facts: &Facts, mend: &Mend, found: &mut Vec<Diagnosis>) {
    found.extend(snapshots(facts, mend));
    found.extend(append_only(facts, mend));
    found.extend(refusing(facts, mend));
}

fn snapshots(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let save = facts.parameter("save").filter(|save| !save.is_empty())?;
    let fork = facts.number("latest_fork_usec").filter(|us| *us > 0);
    let fork = fork.map_or(String::new(), |us| {
        format!("; the last fork stopped it for {} ms", us.div_ceil(1000))
    });
    Some(diagnosis(
        "snapshots",
        Severity::Warning,
        format!("the server writes snapshots (save {save:?}){fork}"),
        format!("each forks, and may take as much memory again; and {FORGETS}"),
        vec![mend.set("save", "")],
    ))
}

fn append_only(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    (facts.field("aof_enabled")? == "1").then(|| {
        diagnosis(
            "append_only",
            Severity::Warning,
            "the server writes an append-only file (appendonly yes)",
            format!("every fill is written to a disk, whose delays everybody feels; and, but for appendfsync always, {FORGETS}"),
            vec![mend.set("appendonly", "no")],
        )
    })
}

/// A snapshot has failed, and writes are refused because of it.
fn refusing(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let failed = facts.field("rdb_last_bgsave_status")? == "err";
    let snapshots = facts.parameter("save").is_some_and(|save| !save.is_empty());
    let stops = facts.parameter("stop-writes-on-bgsave-error") == Some("yes");
    (failed && snapshots && stops).then(|| {
        diagnosis(
            "writes_refused",
            Severity::Error,
            "the last snapshot failed, and the server refuses writes until one succeeds (MISCONF)",
            "nothing is stored, and no invalidation is confirmed",
            vec![
                mend.set("stop-writes-on-bgsave-error", "no"),
                mend.set("save", ""),
            ],
        )
    })
}
