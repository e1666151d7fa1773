//! Replicas: what a failover may take along.

use super::disk::ALONE;
use super::mend::Mend;
use super::{Facts, diagnosis};
use crate::doctor::{Diagnosis, Severity};

pub(super) fn rules(facts: &Facts, mend: &Mend, found: &mut Vec<Diagnosis>) {
    found.extend(split_brain(facts, mend));
    found.extend(too_few(facts, mend));
    found.extend(slow_to_notice(facts, mend));
    found.extend(differ(facts, mend));
    found.extend(unasked(facts));
}

/// What has to be the same wherever the primary may be next: settings that `INFO` tells, and the others.
const TOLD: [(&str, &str); 2] = [
    ("maxmemory", "maxmemory"),
    ("maxmemory_policy", "maxmemory-policy"),
];
const ASKED: [&str; 3] = ["save", "appendonly", "min-replicas-to-write"];

fn differ(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let (mut said, mut mends) = (Vec::new(), Vec::new());
    for (nth, (place, replica)) in facts.replicas_say.iter().enumerate() {
        let Ok(replica) = replica else { continue };
        let told = TOLD.iter().map(|(field, parameter)| {
            let own = replica.info.get(*field).map(String::as_str);
            (*parameter, facts.field(field), own)
        });
        let asked = ASKED.iter().map(|parameter| {
            let own = replica.config.get(*parameter).map(String::as_str);
            (*parameter, facts.parameter(parameter), own)
        });
        for (parameter, of_primary, own) in told.chain(asked) {
            let (Some(of_primary), Some(own)) = (of_primary, own) else {
                continue;
            };
            let wanted = match parameter {
                "save" => "",
                "appendonly" => "no",
                "maxmemory-policy" => "volatile-lru",
                // What the primary lacks is a finding of its own, and nothing to copy.
                _ if of_primary == "0" => continue,
                _ => of_primary,
            };
            if own == of_primary || own == wanted {
                continue;
            }
            said.push(format!(
                "{place} has {parameter} {own:?}, and its primary {of_primary:?}"
            ));
            if ["save", "appendonly"].contains(&parameter) {
                mends.push(ALONE.to_owned());
            }
            mends.extend(mend.set_replica(nth, parameter, wanted));
            if ["save", "appendonly"].contains(&parameter) {
                mends.push(
                    "# and remove what it has on its disk (CONFIG GET dir): its next start reads that"
                        .to_owned(),
                );
            }
        }
    }
    (!said.is_empty()).then(|| {
        diagnosis(
            "replicas_differ",
            Severity::Warning,
            said.join("; "),
            "each may be the next primary, and serves by its own settings then",
            mends,
        )
    })
}

fn unasked(facts: &Facts) -> Option<Diagnosis> {
    let silent = |(place, said): &(String, Result<_, String>)| {
        let because = said.as_ref().err()?;
        Some((place.clone(), because.clone()))
    };
    let silent: Vec<_> = facts.replicas_say.iter().filter_map(silent).collect();
    let (_, because) = silent.first()?;
    let places: Vec<&str> = silent.iter().map(|(place, _)| place.as_str()).collect();
    Some(diagnosis(
        "replicas",
        Severity::Unchecked,
        format!("not checked: whether {} could be the primary", places.join(", ")),
        format!("because {because}"),
        vec!["# the address is the one that it told its primary (replica-announce-ip): ask from where that can be reached".to_owned()],
    ))
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
        [
            mend.set("min-replicas-to-write", "1"),
            mend.set("min-replicas-max-lag", "10"),
        ]
        .concat(),
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
            [
                vec!["# bring the replicas back, or do without them:".to_owned()],
                // The replicas keep it: one of them may be the next primary, and have more.
                vec![mend.server(["CONFIG", "SET", "min-replicas-to-write", good.to_string().as_str()])],
            ]
            .concat(),
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
            mend.set("min-replicas-max-lag", "10"),
        )
    })
}
