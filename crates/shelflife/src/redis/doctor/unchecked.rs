//! What could not be asked: said, and never passed over.

use super::mend::Mend;
use super::{Facts, diagnosis};
use crate::doctor::{Diagnosis, Severity};

/// A check, what it looks at, why it could not, the rights that let it.
type Kind<'a> = (&'static str, &'a str, Option<&'a String>, Vec<&'a str>);

pub(super) fn of_a_server(facts: &Facts, mend: &Mend, found: &mut Vec<Diagnosis>) {
    let kinds: [Kind<'_>; 4] = [
        (
            "settings",
            "the server's settings (persistence, min-replicas-to-write, timeout, tcp-keepalive, lazy freeing and others)",
            facts.config.as_ref().err(),
            vec!["+config|get"],
        ),
        (
            "rights",
            "the user's rights",
            facts.rights.as_ref().err(),
            vec!["+eval", "+evalsha"],
        ),
        (
            "open_server",
            "whether anybody is let in without a password",
            facts.open.as_ref().err(),
            vec![],
        ),
        (
            "slow_commands",
            "which commands took long",
            facts.slow.as_ref().err(),
            vec!["+time", "+slowlog|get"],
        ),
    ];
    tell(&kinds, facts, mend, found);
}

pub(super) fn of_a_namespace(facts: &Facts, mend: &Mend, found: &mut Vec<Diagnosis>) {
    let names = [
        format!("~sl1:{{{}}}:*", facts.namespace),
        format!("~sl1:{}:e:*", facts.namespace),
    ];
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    let kinds: [Kind<'_>; 4] = [
        (
            "log",
            "the log",
            facts.log.as_ref().err(),
            [&keys[..1], &["+xlen"]].concat(),
        ),
        (
            "members",
            "the processes that follow the log",
            facts.members.as_ref().err(),
            [&keys[..1], &["+time", "+mget", "+zrange"]].concat(),
        ),
        (
            "stored",
            "what is stored",
            facts.survey.as_ref().err(),
            [
                &keys[..],
                &["+scan", "+type", "+pttl", "+get", "+getrange", "+mget"],
            ]
            .concat(),
        ),
        (
            "hot_keys",
            "which keys are read most in the store",
            uncounted(facts),
            vec!["+object|freq"],
        ),
    ];
    tell(&kinds, facts, mend, found);
    found.extend(nobody_counts(facts, mend));
    found.extend(incomplete(facts, mend));
}

/// By another policy than an LFU one no server counts reads.
fn nobody_counts(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let policy = facts.field("maxmemory_policy").unwrap_or("unknown");
    let is_asked = facts.survey.is_ok() && facts.heard_here().is_none();
    (is_asked && !policy.ends_with("-lfu")).then(|| {
        diagnosis(
            "hot_keys",
            Severity::Unchecked,
            "not checked: which keys are read most in the store",
            format!(
                "because the server counts that by an LFU policy alone, and its policy is {policy}"
            ),
            vec![
                "# a process counts its own reads, on the page that it serves:".to_owned(),
                format!(
                    "# {} --url http://127.0.0.1:8080/_shelflife",
                    mend.shelflife("doctor", &facts.namespace)
                ),
            ],
        )
    })
}

/// Why it is not told which keys are hot, where the server counts.
fn uncounted(facts: &Facts) -> Option<&String> {
    let counts = facts.field("maxmemory_policy")?.ends_with("-lfu");
    let survey = facts.survey.as_ref().ok().filter(|_| counts)?;
    survey.hot_denied.as_ref()
}

/// Nodes of a cluster that gave no answer: of what they hold nothing is known.
pub(super) fn nodes(facts: &Facts) -> Option<Diagnosis> {
    let (_, because) = facts.unasked.first()?;
    let places: Vec<&str> = facts.unasked.iter().map(|it| it.0.as_str()).collect();
    Some(diagnosis(
        "other_nodes",
        Severity::Unchecked,
        format!("not checked: {} of the cluster", places.join(", ")),
        format!("because {because}"),
        vec!["# is it down? what it holds is loaded at each read meanwhile".to_owned()],
    ))
}

fn tell(kinds: &[Kind<'_>], facts: &Facts, mend: &Mend, found: &mut Vec<Diagnosis>) {
    for (check, what, because, grants) in kinds {
        let Some(because) = because else { continue };
        found.push(diagnosis(
            check,
            Severity::Unchecked,
            format!("not checked: {what}"),
            format!("because {because}"),
            mends(&facts.place.user, because, grants, mend),
        ));
    }
}

fn mends(user: &str, because: &str, grants: &[&str], mend: &Mend) -> Vec<String> {
    let denied = because.contains("NOPERM") || because.contains("ermission");
    if grants.is_empty() || !denied {
        return vec![
            "# the server does not tell: look in its configuration, or its provider's console"
                .to_owned(),
        ];
    }
    let words = ["ACL", "SETUSER", user].into_iter();
    vec![
        "# as a user who may change users; or let the doctor ask as such a one:".to_owned(),
        mend.admin(words.chain(grants.iter().copied())),
    ]
}

/// A scan that was not to go through all names.
fn incomplete(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let survey = facts
        .survey
        .as_ref()
        .ok()
        .filter(|survey| !survey.complete)?;
    Some(diagnosis(
        "stored",
        Severity::Unchecked,
        format!(
            "not checked: more than {} of about {} names",
            survey.looked_at,
            facts.names()
        ),
        "because the scan was to pass no more of them; what is said of the rest is a sample",
        vec![format!(
            "{} --names all",
            mend.shelflife("doctor", &facts.namespace)
        )],
    ))
}
