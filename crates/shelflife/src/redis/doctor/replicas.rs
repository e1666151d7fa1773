//! Replicas: what a failover may take along.

use super::mend::Mend;
use super::{Facts, diagnosis};
use crate::doctor::{Diagnosis, Severity};

pub(super) fn rules(facts: &Facts, mend: &Mend, found: &mut Vec<Diagnosis>) {
    found.extend(split_brain(facts, mend));
    found.extend(too_few(facts, mend));
    found.extend(slow_to_notice(facts, mend));
}

/// How many replicas there are, and how many must be good before a write is taken.
fn replicas(facts: &Facts) -> Option<(u64, u64)> {
    Some((
        facts.number("connected_slaves")?,
        facts.limit("min-replicas-to-write")?,
    ))
}

fn split_brain(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let (1.., 0) = replicas(facts)? else {
        return None;
    };
    Some(diagnosis(
        "split_brain",
        Severity::Warning,
        format!(
            "there are replicas ({}), and min-replicas-to-write is 0",
            facts.number("connected_slaves")?
        ),
        "a primary that is cut off goes on taking invalidations that the new one never learns: both answer, without a bound in time",
        vec![
            mend.set("min-replicas-to-write", "1"),
            mend.set("min-replicas-max-lag", "10"),
        ],
    ))
}

fn too_few(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let (_, wanted) = replicas(facts)?;
    // Without a lag the rule is not in force, and the server counts no good ones: see `slow_to_notice`.
    if facts.limit("min-replicas-max-lag") == Some(0) {
        return None;
    }
    let good = facts.number("min_slaves_good_slaves")?;
    (wanted > good).then(|| {
        diagnosis(
            "too_few_replicas",
            Severity::Error,
            format!("min-replicas-to-write is {wanted}, and {good} replicas are good enough"),
            "the server refuses writes (NOREPLICAS): nothing is stored, and no invalidation is confirmed",
            vec![
                "# bring the replicas back, or do without them:".to_owned(),
                mend.set("min-replicas-to-write", &good.to_string()),
            ],
        )
    })
}

fn slow_to_notice(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let (_, 1..) = replicas(facts)? else {
        return None;
    };
    let lag = facts.limit("min-replicas-max-lag")?;
    (lag == 0 || lag > 60).then(|| {
        let found = match lag {
            0 => "min-replicas-max-lag is 0: min-replicas-to-write is not in force".to_owned(),
            lag => format!("min-replicas-max-lag is {lag} s"),
        };
        diagnosis(
            "replica_lag",
            Severity::Warning,
            found,
            "invalidations of the last 60 s are carried out again after a failover: what a cut-off primary has taken for longer than that is lost",
            vec![mend.set("min-replicas-max-lag", "10")],
        )
    })
}
