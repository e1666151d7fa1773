//! What could not be asked: said, and never passed over.

use super::mend::Mend;
use super::{Facts, diagnosis};
use crate::doctor::{Diagnosis, Severity};

pub(super) fn rules(facts: &Facts, mend: &Mend, found: &mut Vec<Diagnosis>) {
    let user = facts.place.user.as_str();
    let names = [
        format!("~sl1:{{{}}}:*", facts.namespace),
        format!("~sl1:{}:e:*", facts.namespace),
    ];
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    let kinds: [(&'static str, &str, Option<&String>, Vec<&str>); 7] = [
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
            vec!["+slowlog|get"],
        ),
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
            [&keys[..], &["+scan", "+type", "+pttl", "+get", "+getrange"]].concat(),
        ),
    ];
    for (check, what, because, grants) in kinds {
        let Some(because) = because else { continue };
        found.push(diagnosis(
            check,
            Severity::Unchecked,
            format!("not checked: {what}"),
            format!("because {because}"),
            mends(user, because, &grants, mend),
        ));
    }
    found.extend(incomplete(facts, mend));
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
        vec![format!("{} --names all", mend.doctor(&facts.namespace))],
    ))
}
