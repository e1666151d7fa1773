//! What is stored: what stays for ever, what nobody can read, what is too much or too large.

use super::facts::{Samples, Survey};
use super::mend::Mend;
use super::{Facts, diagnosis, size};
use crate::doctor::{Diagnosis, Severity};

/// How many entries the log is trimmed to, about.
const LOG: u64 = 16_384;
/// Records of tags beside each entry, and from how many on that matters.
const TAGS_EACH: u64 = 10;
const TAGS_MATTER: u64 = 10_000;
/// After so many windows without a beat a process has not only been held up.
const SILENT: u64 = 10;
/// The logarithmic counter of a key that is read a million times.
const HOT: u64 = 200;
/// A key that has such a part of all reads of a process.
const HOT_SHARE: f64 = 0.2;
/// What takes so much of a process's memory.
const LARGE: u64 = 1 << 20;
/// How many namespaces that nobody uses are told, and mended, at once.
const ABANDONED: usize = 8;

pub(super) fn rules(facts: &Facts, mend: &Mend, found: &mut Vec<Diagnosis>) {
    if let Ok(survey) = &facts.survey {
        entries(survey, mend, found);
        found.extend(dead(survey, mend));
        found.extend(missing_tags(facts, survey, mend));
        tags(facts, survey, mend, found);
        found.extend(unknown(survey, mend));
        found.extend(hot(facts, survey, mend));
        found.extend(empty(facts, survey, mend));
        found.extend(abandoned(facts, survey, mend));
    }
    found.extend(elsewhere(facts, mend));
    found.extend(heard(facts, mend));
    found.extend(log(facts, mend));
    found.extend(silent(facts, mend));
}

fn entries(survey: &Survey, mend: &Mend, found: &mut Vec<Diagnosis>) {
    let largest = format!(
        "the largest has {}: a read of it holds up the connection that all callers share, for as long as it takes to send",
        size(survey.largest)
    );
    let stay = "they stay in the server's memory for ever, and are not evicted";
    let kinds: [(&'static str, &Samples, [&str; 2], &str); 4] = [
        (
            "endless_entries",
            &survey.endless_entries,
            ["entry never expires", "entries never expire"],
            stay,
        ),
        (
            "endless_leases",
            &survey.endless_leases,
            ["lease has no end", "leases have no end"],
            "they hold no value and stay; a load takes them over, but who waits for one waits as long as it may",
        ),
        (
            "bad_entries",
            &survey.bad_entries,
            [
                "name of an entry holds something else",
                "names of entries hold something else",
            ],
            "somebody else writes there, or another version: every read of them is a miss",
        ),
        (
            "huge_entries",
            &survey.huge,
            ["value has 1 MiB or more", "values have 1 MiB or more"],
            &largest,
        ),
    ];
    for (check, samples, [one, many], consequence) in kinds {
        if samples.count == 0 {
            continue;
        }
        let mut mends = match check {
            // What no application can have stored has no key that could be invalidated.
            "endless_leases" | "bad_entries" => mend.unlink(&samples.names),
            _ => mend.invalidate(&samples.names),
        };
        if check == "huge_entries" {
            mends.insert(0, "# they come back unless max_entry is smaller (SHELFLIFE_MAX_ENTRY=1MiB), or what is loaded is:".to_owned());
        }
        mends.extend(samples.rest());
        found.push(diagnosis(
            check,
            Severity::Warning,
            samples.told(one, many),
            consequence,
            mends,
        ));
    }
}

/// What was stored before the clock was lost, or by another life of this server: never served again.
fn dead(survey: &Survey, mend: &Mend) -> Option<Diagnosis> {
    let dead = &survey.dead_entries;
    let values = survey.entries.saturating_sub(survey.leases);
    (dead.count > 0).then(|| {
        let mut mends = vec![
            "# they are replaced when they are read, and go when they expire; but who removes the clock? (eviction_policy, or a DEL of what nobody knew)".to_owned(),
        ];
        mends.extend(mend.unlink(&dead.names));
        mends.extend(dead.rest());
        diagnosis(
            "dead_entries",
            match dead.count * 2 > values {
                true => Severity::Warning,
                false => Severity::Info,
            },
            format!(
                "{} of {values}",
                dead.told(
                    "value is of another incarnation than the clock",
                    "values are of another incarnation than the clock"
                )
            ),
            "every read of them is a miss: the clock was lost since, and they only take memory",
            mends,
        )
    })
}

/// A value is dead without the record of each of its tags: nobody knows whether that was invalidated.
fn missing_tags(facts: &Facts, survey: &Survey, mend: &Mend) -> Option<Diagnosis> {
    let lack = &survey.untagged;
    (lack.count > 0).then(|| {
        let mut mends = vec![
            "# they are replaced when they are read; records of tags go before their entries where memory is short, or where somebody removes them:".to_owned(),
            mend.shelflife("stats", &facts.namespace),
        ];
        mends.extend(mend.unlink(&lack.names));
        mends.extend(lack.rest());
        diagnosis(
            "missing_tags",
            match lack.count * 2 > survey.tagged {
                true => Severity::Warning,
                false => Severity::Info,
            },
            format!(
                "of {} values that were looked at closely, {}",
                survey.tagged,
                lack.told(
                    "lacks the record of one of its tags",
                    "lack the record of one of their tags"
                )
            ),
            "every read of them is a miss, and they only take memory",
            mends,
        )
    })
}

fn tags(facts: &Facts, survey: &Survey, mend: &Mend, found: &mut Vec<Diagnosis>) {
    if survey.endless_tags.count > 0 {
        let mut mends = mend.each(&["EXPIRE"], &survey.endless_tags.names, &["86400"]);
        mends.extend(survey.endless_tags.rest());
        found.push(diagnosis(
            "endless_tags",
            Severity::Warning,
            survey.endless_tags.told(
                "record of a tag never expires",
                "records of tags never expire",
            ),
            "they stay in the server's memory for ever, and are not evicted",
            mends,
        ));
    }
    if survey.bad_tags.count > 0 {
        let mut mends = mend.unlink(&survey.bad_tags.names);
        mends.extend(survey.bad_tags.rest());
        found.push(diagnosis(
            "bad_tags",
            Severity::Warning,
            survey.bad_tags.told(
                "record of a tag can't be read",
                "records of tags can't be read",
            ),
            "every entry with such a tag is dead until it is stored anew",
            mends,
        ));
    }
    if survey.tags >= TAGS_MATTER && survey.tags / TAGS_EACH > survey.entries {
        let glob = format!("sl1:{{{}}}:t:*", facts.namespace);
        found.push(diagnosis(
            "many_tags",
            Severity::Warning,
            format!("{} records of tags for {} entries", survey.tags, survey.entries),
            "each takes about 0.3 KB for longer than its entries last: a tag that is made of something without bound (a request, a moment, a search) is never invalidated by anyone",
            vec![
                "# they go by themselves when they expire; at once, at the cost of misses:".to_owned(),
                format!(
                    "{} --scan --pattern {} | tr '\\n' '\\0' | xargs -0 -n 500 {} UNLINK",
                    mend.cli(),
                    super::mend::quoted(&glob),
                    mend.cli()
                ),
            ],
        ));
    }
}

fn unknown(survey: &Survey, mend: &Mend) -> Option<Diagnosis> {
    let samples = &survey.unknown;
    (samples.count > 0).then(|| {
        let mut mends = mend.unlink(&samples.names);
        mends.extend(samples.rest());
        diagnosis(
            "unknown_names",
            Severity::Warning,
            samples.told("name in this namespace is nobody's", "names in this namespace are nobody's"),
            "nothing that this version writes is called so: somebody else writes here, and nothing ever removes it",
            mends,
        )
    })
}

fn hot(facts: &Facts, survey: &Survey, mend: &Mend) -> Option<Diagnosis> {
    let hot: Vec<_> = survey.hot.iter().filter(|it| it.count >= HOT).collect();
    let keys: Vec<_> = hot
        .iter()
        .map(|it| format!("{} ({})", it.key, it.count))
        .collect();
    (!hot.is_empty()).then(|| {
        diagnosis(
            "hot_keys",
            Severity::Info,
            format!("read most in the store, by its logarithmic counter: {}", keys.join(", ")),
            "what is read so often should be answered by the memory of each process: is it too small, or do the processes not follow the log?",
            vec![
                "# the processes with their windows, and more memory for each:".to_owned(),
                mend.shelflife("members", &facts.namespace),
                "export SHELFLIFE_MEMORY=256MiB".to_owned(),
            ],
        )
    })
}

/// The process that was asked stores elsewhere: what was looked at is not what it has.
fn elsewhere(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let heard = facts.heard.as_ref()?;
    let name = heard
        .namespace
        .as_ref()
        .filter(|name| **name != facts.namespace)?;
    Some(diagnosis(
        "other_namespace",
        Severity::Warning,
        format!(
            "the process that was asked has the namespace {name}, and {} was looked at",
            facts.namespace
        ),
        "nothing that is told here of entries, tags, the log or processes is about that application; what it says of its keys is left out",
        vec![
            "# as the application names it; with --url and --token-file as now:".to_owned(),
            mend.shelflife("doctor", name),
        ],
    ))
}

/// What a process says of itself.
fn heard(facts: &Facts, mend: &Mend) -> Vec<Diagnosis> {
    let Some(heard) = facts.heard_here() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let hot = heard
        .hottest
        .iter()
        .filter(|(_, share)| *share >= HOT_SHARE);
    let hot: Vec<_> = hot
        .map(|(key, share)| format!("{key} ({:.0} %)", share * 100.0))
        .collect();
    if !hot.is_empty() {
        found.push(diagnosis(
            "hot_keys",
            Severity::Info,
            format!("read most in the process that was asked, of all its reads: {}", hot.join(", ")),
            "its memory answers them; but when such a one ends, everybody waits for one load: let it be served stale meanwhile",
            vec![
                "# where it is stored, or for all:".to_owned(),
                "export SHELFLIFE_STALE=1m".to_owned(),
            ],
        ));
    }
    let mut huge = Samples::default();
    for (key, _) in heard.largest.iter().filter(|(_, bytes)| *bytes >= LARGE) {
        huge.add(key);
    }
    if huge.count > 0 {
        found.push(diagnosis(
            "huge_entries",
            Severity::Warning,
            format!(
                "in the memory of the process that was asked {}",
                huge.told("entry takes 1 MiB or more", "entries take 1 MiB or more")
            ),
            "each takes the place of thousands that are read as often; and where one comes from the store it holds up the connection that all callers share",
            [
                vec!["# they come back unless max_entry is smaller (SHELFLIFE_MAX_ENTRY=1MiB), or what is loaded is:".to_owned()],
                mend.invalidate(&huge.names),
            ]
            .concat(),
        ));
    }
    found
}

fn empty(facts: &Facts, survey: &Survey, mend: &Mend) -> Option<Diagnosis> {
    let own = survey.spaces.get(&facts.namespace);
    if own.is_some() || !survey.complete || survey.more_spaces {
        return None;
    }
    let others: Vec<_> = survey.spaces.keys().take(8).map(String::as_str).collect();
    let mut mends = vec!["# is it the right one? as the applications name it:".to_owned()];
    mends.extend(others.iter().map(|name| mend.shelflife("doctor", name)));
    if others.is_empty() {
        mends.push("# nobody has used this server yet: start an application".to_owned());
    }
    Some(diagnosis(
        "empty_namespace",
        Severity::Info,
        match others.is_empty() {
            true => format!("nobody has used the namespace {} yet", facts.namespace),
            false => format!(
                "nobody has used the namespace {} yet; there are {}",
                facts.namespace,
                others.join(", ")
            ),
        },
        "there was nothing to look at",
        mends,
    ))
}

/// Namespaces of which only the bookkeeping is left: it has no expiry. Where processes are listed somebody uses it,
/// and has stored nothing yet.
fn abandoned(facts: &Facts, survey: &Survey, mend: &Mend) -> Option<Diagnosis> {
    if !survey.complete {
        return None;
    }
    let left: Vec<_> = survey
        .spaces
        .iter()
        .filter(|(name, space)| **name != facts.namespace && space.stored == 0)
        .filter(|(_, space)| {
            let has = |end: &str| space.control.iter().any(|name| name.ends_with(end));
            let is_followed = space.control.iter().any(|name| name.contains("}:members:"));
            (has("}:clock") || has("}:log")) && !is_followed
        })
        .collect();
    let told = &left[..left.len().min(ABANDONED)];
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    let keys: Vec<String> = told
        .iter()
        .flat_map(|(_, space)| space.control.iter().cloned())
        .collect();
    (!left.is_empty()).then(|| {
        let mut mends = vec!["# if no application uses them any more:".to_owned()];
        mends.extend(mend.unlink(&keys));
        if left.len() > told.len() {
            mends.push(format!(
                "# that are the first {ABANDONED}: run the doctor again for the rest"
            ));
        }
        diagnosis(
            "abandoned_namespaces",
            Severity::Info,
            format!(
                "{} namespaces have a clock or a log, and nothing stored: {}",
                left.len(),
                names.join(", ")
            ),
            "a log of 16,384 entries takes a few MB, and never expires",
            mends,
        )
    })
}

fn log(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let entries = *facts.log.as_ref().ok()?;
    (entries > 2 * LOG).then(|| {
        let log = format!("sl1:{{{}}}:log", facts.namespace);
        diagnosis(
            "long_log",
            Severity::Warning,
            format!("the log has {entries} entries"),
            "it is trimmed to about 16,384 with each invalidation: somebody else writes there, or has nobody invalidated since?",
            vec![mend.server(["XTRIM", log.as_str(), "MAXLEN", &LOG.to_string()])],
        )
    })
}

fn silent(facts: &Facts, mend: &Mend) -> Option<Diagnosis> {
    let members = facts.members.as_ref().ok()?;
    let is_silent = |it: &&crate::store::Member| {
        let window = u64::try_from(it.window.as_millis()).unwrap_or(u64::MAX);
        facts.now.saturating_sub(it.beat) > window.saturating_mul(SILENT)
    };
    let names: Vec<String> = members
        .iter()
        .filter(is_silent)
        .map(|it| it.name.clone())
        .collect();
    (!names.is_empty()).then(|| {
        // Nobody is taken off the list by hand: one that thaws meanwhile would not be waited for.
        diagnosis(
            "silent_members",
            Severity::Info,
            format!("{} of {} processes have not been heard of for {SILENT} windows or more: {}", names.len(), members.len(), names.join(", ")),
            "they were killed, frozen or cut off; nobody waits for them, and they leave the list by themselves after 60 windows",
            vec![
                "# end those that hang; whether they are gone from the list:".to_owned(),
                mend.shelflife("members", &facts.namespace),
            ],
        )
    })
}
