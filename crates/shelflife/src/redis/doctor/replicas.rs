//! Replicas: what a failover may take along.

use super::disk::ALONE;
use super::mend::Mend;
use super::{Facts, diagnosis};
use crate::doctor::{Diagnosis, Severity};

pub(super) fn rules(facts: &Facts, mend: &Mend, found: &mut Vec<Diagnosis>) {
    found.extend(split_brain(facts, mend));
    found.extend(too_few(facts, mend));
    found.extend(slow_to_notice(facts, mend));
    found.extend(reads_when_down(facts, mend));
    found.extend(differ(facts, mend));
    found.extend(unasked(facts));
}

/// What has to be the same wherever the primary may be next: settings that `INFO` tells, and the others.
const TOLD: [(&str, &str); 2] = [
    ("maxmemory", "maxmemory"),
    ("maxmemory_policy", "maxmemory-policy"),
];
const ASKED: [&str; 4] = [
    "save",
    "appendonly",
    "min-replicas-to-write",
    READS_WHEN_DOWN,
];
/// What counts in a cluster alone.
const READS_WHEN_DOWN: &str = "cluster-allow-reads-when-down";

fn differ(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let (mut said, mut mends) = (Vec::new(), Vec::new());
    for (nth, (place, replica)) in facts.replicas_say.iter().enumerate() {
        let Ok(replica) = replica else { continue };
        let told = TOLD.iter().map(|(field, parameter)| {
            let own = replica.info.get(*field).map(String::as_str);
            (*parameter, facts.field(field), own)
        });
        let counts = |parameter: &&&str| facts.place.of_a_cluster || **parameter != READS_WHEN_DOWN;
        let asked = ASKED.iter().filter(counts).map(|parameter| {
            let own = replica.config.get(*parameter).map(String::as_str);
            (*parameter, facts.parameter(parameter), own)
        });
        for (parameter, of_primary, own) in told.chain(asked) {
            let (Some(of_primary), Some(own)) = (of_primary, own) else {
                continue;
            };
            let wanted = match parameter {
                "save" => "",
                "appendonly" | READS_WHEN_DOWN => "no",
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
    let (count, 0) = replicas(facts)? else {
        return None;
    };
    // A node of a cluster that misses most of the others stops by itself.
    let until = match facts.place.of_a_cluster {
        true => "until it has missed most of the others for cluster-node-timeout",
        false => "without a bound in time",
    };
    let goes_on = format!(
        "a primary that is cut off goes on taking invalidations that the new one never learns: both answer, {until}"
    );
    match count {
        0 => None,
        // The rule would be in force for that one: whichever of the two servers is lost, nothing could be written.
        1 => Some(diagnosis(
            "split_brain",
            Severity::Info,
            "there is a single replica, and min-replicas-to-write is 0",
            format!(
                "{goes_on}. But min-replicas-to-write 1 would end all writes here whenever one of the two is lost: reads load then, and no invalidation is confirmed"
            ),
            vec![
                "# both have their price. Stay with it; or give the primary a second replica, on a machine of its own, and ask again: the lines that set the rule come then".to_owned(),
            ],
        )),
        2.. => Some(diagnosis(
            "split_brain",
            Severity::Warning,
            format!("there are replicas ({count}), and min-replicas-to-write is 0"),
            goes_on,
            [
                mend.set("min-replicas-to-write", "1"),
                mend.set("min-replicas-max-lag", "10"),
            ]
            .concat(),
        )),
    }
}

/// A node of a cluster that misses most of the others refuses everything, unless it is told to go on with reads.
fn reads_when_down(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let goes_on = facts.place.of_a_cluster && facts.parameter(READS_WHEN_DOWN) == Some("yes");
    goes_on.then(|| {
        diagnosis(
            "reads_when_down",
            Severity::Warning,
            "the node answers reads while it misses most of the cluster (cluster-allow-reads-when-down yes)",
            "a primary that is cut off, and replaced, goes on answering reads. This version does not believe it once it is asked as a primary; other clients do: what was invalidated at its successor may be served by it",
            mend.set(READS_WHEN_DOWN, "no"),
        )
    })
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
