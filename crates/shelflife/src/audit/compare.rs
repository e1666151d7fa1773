//! Was an answer right? A pure function of what a tier said, what the store held before, and the log.
//!
//! What is compared is what the promise speaks of: invalidations. That one tier holds an older fill than
//! another, or has one more moment until it is stale by time, is no disagreement.
//!
//! Must not: do I/O, read a clock.

use super::history::History;
use super::{Class, Disagreement};
use crate::engine::audit::{Probe, Says};
use crate::reason::Reason;
use crate::redis::Stood;
use crate::status::Tier;
use crate::validity::Validity;
use crate::watch::Logged;

/// How many entries of the log a report shows.
const SHOWN: usize = 8;

/// What makes an answer wrong, and since when, in µs of the server's time.
struct Cause {
    what: String,
    /// `None` for a change that no tick names.
    since: Option<u64>,
}

/// The outcome of a comparison.
pub(super) enum Compared {
    Agrees,
    /// The log does not reach back far enough to tell.
    Untold,
    /// It disagrees, and what it knows suffices to say why.
    Disagrees(Disagreement),
    /// What the tier says is not in the store any more, and the log does not say why. It may yet: a scan
    /// removes first and is logged when it is through.
    Unexplained(Disagreement),
}

/// Compares what a tier said with what the store held just before. `bound_ms` is how old an invalidation
/// may be that the tier does not honour.
pub(super) fn compare(
    key: &str,
    says: &Says,
    probe: &Probe,
    history: &History,
    bound_ms: u64,
) -> Compared {
    let mut causes = by_tags(says, probe, history);
    if says.tier == Tier::L1 {
        causes.extend(by_log(key, says, probe, history));
    }
    let oldest = causes.iter().filter_map(|cause| cause.since).min();
    if let Some(since) = oldest {
        let age_ms = says.at_ms.saturating_sub(since / 1000);
        let class = match age_ms > bound_ms {
            true => Class::Violation,
            false => Class::Within,
        };
        let cause = causes.into_iter().find(|cause| cause.since == oldest);
        let what = cause.map(|cause| cause.what).unwrap_or_default();
        let it = report(key, says, probe, history, class, what);
        return Compared::Disagrees(Disagreement {
            invalidated_us: Some(since),
            age_ms: Some(age_ms),
            ..it
        });
    }
    if let Some(lost) = causes.into_iter().next() {
        let it = report(key, says, probe, history, Class::Foreign, lost.what);
        return Compared::Disagrees(it);
    }
    match gone(says, probe) {
        None => Compared::Agrees,
        Some(_) if !history.covers(says.good) => Compared::Untold,
        Some(what) => {
            let it = report(key, says, probe, history, Class::Foreign, what.to_owned());
            Compared::Unexplained(it)
        }
    }
}

/// By the incarnation and the records of its tags: PROTOCOL §3.
fn by_tags(says: &Says, probe: &Probe, history: &History) -> Vec<Cause> {
    let clock = probe.examined.clock;
    if says.epoch.inc != clock.inc {
        return vec![Cause {
            what: "a new incarnation began: everything older is dead".to_owned(),
            since: Some(history.began(clock.inc).unwrap_or(clock.tick)),
        }];
    }
    let mut causes = Vec::new();
    for tag in &says.tags {
        let Some(record) = probe.examined.tags.get(tag) else {
            continue;
        };
        let Some(record) = record.filter(|record| record.inc == clock.inc) else {
            causes.push(Cause {
                what: format!("the record of the tag {tag} was lost or deleted"),
                since: None,
            });
            continue;
        };
        // The record tells the latest; an earlier one may have been overlooked for longer.
        let one = std::slice::from_ref(tag);
        let logged = |soft: bool| {
            let named = move |e: &&Logged| {
                let tags = if soft { &e.soft_tags } else { &e.tags };
                tags.iter().any(|name| name == tag.as_str())
            };
            let entries = history.naming("", one, says.epoch).filter(named);
            entries.map(|e| e.epoch.tick).min()
        };
        if record.hard > says.epoch.tick {
            let first = logged(false);
            let what = match first {
                Some(_) => format!("the tag {tag} was invalidated"),
                None => format!("the tag {tag} was invalidated, and the log does not say so"),
            };
            causes.push(Cause {
                what,
                since: Some(first.unwrap_or(record.hard).min(record.hard)),
            });
        } else if record.soft > says.epoch.tick && says.stale.is_none() {
            causes.push(Cause {
                what: format!("the tag {tag} was invalidated softly, and it was served as fresh"),
                since: Some(logged(true).unwrap_or(record.soft).min(record.soft)),
            });
        }
    }
    causes
}

/// By the log: what names the key itself leaves no record but an entry of the log.
fn by_log(key: &str, says: &Says, probe: &Probe, history: &History) -> Vec<Cause> {
    if is_backed(says, probe) {
        return Vec::new();
    }
    let canonical = |names: &[String]| names.iter().any(|name| name == key);
    let cause = |e: &Logged| {
        let what = if canonical(&e.keys) {
            "the key was invalidated"
        } else if e.scanned(key) {
            "a scan removed it"
        } else if canonical(&e.soft_keys) && says.stale.is_none() {
            "the key was invalidated softly, and it was served as fresh"
        } else {
            return None;
        };
        Some(Cause {
            what: what.to_owned(),
            since: Some(e.epoch.tick),
        })
    };
    // Tags are judged by their records: here only what has none.
    history
        .naming(key, &[], says.good)
        .filter(|e| e.epoch.inc == says.good.inc)
        .filter_map(cause)
        .collect()
}

/// Whether the store holds this very fill, and as good as it was said to be: then whatever the log says
/// of the key came before it.
fn is_backed(says: &Says, probe: &Probe) -> bool {
    let same = matches!(&probe.examined.stood, Stood::Value(meta) if meta.fill == says.fill);
    let softened = probe.strict == Validity::Stale(Reason::SoftInvalidated);
    same && (says.stale.is_some() || !softened)
}

/// Why the store has nothing any more of what L1 says.
fn gone(says: &Says, probe: &Probe) -> Option<&'static str> {
    if says.tier != Tier::L1 || says.is_ending {
        return None;
    }
    match &probe.examined.stood {
        Stood::Absent | Stood::Leased => {
            Some("the entry was deleted or evicted, not invalidated: the log says nothing")
        }
        Stood::Bad(_) => Some("the entry was overwritten by somebody else: the log says nothing"),
        // Another fill is a refresh: what it replaced was not invalidated.
        Stood::Value(_) => None,
    }
}

fn report(
    key: &str,
    says: &Says,
    probe: &Probe,
    history: &History,
    class: Class,
    cause: String,
) -> Disagreement {
    let mut entries: Vec<Logged> = history
        .naming(key, &says.tags, says.epoch)
        .cloned()
        .collect();
    let cut = entries.len().saturating_sub(SHOWN);
    Disagreement {
        key: key.to_owned(),
        tier: match says.tier {
            Tier::L1 => "l1",
            Tier::L2 => "l2",
        },
        class,
        said: match says.stale {
            None => "fresh".to_owned(),
            Some(reason) => format!("stale ({reason})"),
        },
        strict: match probe.strict {
            Validity::Fresh => "fresh".to_owned(),
            Validity::Stale(reason) => format!("stale ({reason})"),
            Validity::Dead(reason) => format!("dead ({reason})"),
        },
        cause,
        epoch: says.epoch.to_string(),
        fill: format!("{:016x}", says.fill),
        asked_us: says.at_ms * 1000,
        invalidated_us: None,
        age_ms: None,
        history: entries.split_off(cut),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::epoch::Epoch;
    use crate::key::Tag;
    use crate::redis::Examined;
    use crate::validity::{Meta, TagRecord};

    /// A tick at 5 s, and when the tiers answer: at 10 s, with a bound of 1 s.
    const LOADED: u64 = 5_000_000;
    const ASKED_MS: u64 = 10_000;
    const NOW: u64 = 10_000_000;

    fn at(tick: u64) -> Epoch {
        Epoch::new(1, tick)
    }

    fn says(tier: Tier) -> Says {
        Says {
            tier,
            stale: None,
            fill: 7,
            epoch: at(LOADED),
            good: at(LOADED + 1),
            tags: vec![Tag::from("t")],
            at_ms: ASKED_MS,
            is_ending: false,
        }
    }

    fn value(fill: u64) -> Stood {
        Stood::Value(Box::new(Meta {
            fill,
            epoch: at(LOADED),
            created: 0,
            fresh_until: u64::MAX,
            stale_until: u64::MAX,
            cost: 0,
            schema: 0,
            softened: false,
            tags: [Tag::from("t")].into(),
        }))
    }

    fn probe(stood: Stood, record: Option<(u64, u64)>) -> Probe {
        let record = record.map(|(hard, soft)| TagRecord { inc: 1, hard, soft });
        Probe {
            examined: Examined {
                clock: at(NOW),
                stood,
                tags: HashMap::from([(Tag::from("t"), record)]),
                never_expires: false,
            },
            strict: Validity::Fresh,
            l1: None,
            l2: None,
            window_open: true,
        }
    }

    fn history(entries: &[(u64, &str, &str)]) -> History {
        let mut history = History::from(at(LOADED));
        for (tick, field, name) in entries {
            let fields = ["i", "01", field, name].map(str::to_owned);
            history.add(Logged::read(*tick, &fields));
        }
        history
    }

    fn outcome(says: &Says, probe: &Probe, entries: &[(u64, &str, &str)]) -> String {
        match compare("k", says, probe, &history(entries), 1_000) {
            Compared::Agrees => "agrees".to_owned(),
            Compared::Untold => "untold".to_owned(),
            Compared::Unexplained(it) => format!("unexplained: {}", it.cause),
            Compared::Disagrees(it) => format!("{:?} {:?}: {}", it.class, it.age_ms, it.cause),
        }
    }

    #[test]
    fn a_tag_is_within_the_bound_until_it_is_older_than_that() {
        let l1 = says(Tier::L1);
        let by = |hard: u64, entries: &[(u64, &str, &str)]| {
            outcome(&l1, &probe(value(7), Some((hard, 0))), entries)
        };
        assert_eq!(by(LOADED, &[]), "agrees");
        let logged = [(9_500_000, "t", "t")];
        assert_eq!(
            by(9_500_000, &logged),
            "Within Some(500): the tag t was invalidated"
        );
        let logged = [(8_000_000, "t", "t")];
        assert_eq!(
            by(8_000_000, &logged),
            "Violation Some(2000): the tag t was invalidated"
        );
        // The latest is young, but there was an older one.
        let logged = [(8_000_000, "t", "t"), (9_900_000, "t", "t")];
        assert_eq!(
            by(9_900_000, &logged),
            "Violation Some(2000): the tag t was invalidated"
        );
        assert_eq!(
            by(8_000_000, &[]),
            "Violation Some(2000): the tag t was invalidated, and the log does not say so"
        );
        let ahead = [(NOW + 5_000_000, "t", "t")];
        assert_eq!(
            by(NOW + 5_000_000, &ahead),
            "Within Some(0): the tag t was invalidated"
        );
    }

    #[test]
    fn soft_counts_for_what_is_served_as_fresh_only() {
        let soft = probe(value(7), Some((0, 8_000_000)));
        let logged = [(8_000_000, "T", "t")];
        let fresh = outcome(&says(Tier::L2), &soft, &logged);
        assert!(
            fresh.starts_with("Violation Some(2000): the tag t was invalidated softly"),
            "{fresh}"
        );
        let stale = Says {
            stale: Some(Reason::SoftInvalidated),
            ..says(Tier::L2)
        };
        assert_eq!(outcome(&stale, &soft, &logged), "agrees");
    }

    #[test]
    fn a_key_that_the_log_names_must_be_gone_from_l1() {
        let known = Some((0, 0));
        let old = [(8_000_000, "k", "k")];
        let gone = probe(Stood::Absent, known);
        assert_eq!(
            outcome(&says(Tier::L1), &gone, &old),
            "Violation Some(2000): the key was invalidated"
        );
        let other = probe(value(8), known);
        assert_eq!(
            outcome(&says(Tier::L1), &other, &old),
            "Violation Some(2000): the key was invalidated"
        );
        let scan = [(9_800_000, "g", "[k]")];
        assert_eq!(
            outcome(&says(Tier::L1), &gone, &scan),
            "Within Some(200): a scan removed it"
        );
        // The echo of the `set` that stored this very fill, and what came before L1 had it.
        assert_eq!(
            outcome(&says(Tier::L1), &probe(value(7), known), &old),
            "agrees"
        );
        let before = [(LOADED + 1, "k", "k")];
        assert_eq!(outcome(&says(Tier::L1), &other, &before), "agrees");
    }

    #[test]
    fn what_the_log_does_not_explain_was_done_by_somebody_else() {
        let (known, l1) = (Some((0, 0)), says(Tier::L1));
        let gone = outcome(&l1, &probe(Stood::Absent, known), &[]);
        assert!(
            gone.starts_with("unexplained: the entry was deleted"),
            "{gone}"
        );
        let bad = outcome(&l1, &probe(Stood::Bad(Reason::Malformed), known), &[]);
        assert!(
            bad.starts_with("unexplained: the entry was overwritten"),
            "{bad}"
        );
        assert_eq!(
            outcome(&l1, &probe(value(8), known), &[]),
            "agrees",
            "a refresh"
        );
        let ending = Says {
            is_ending: true,
            ..says(Tier::L1)
        };
        assert_eq!(
            outcome(&ending, &probe(Stood::Absent, known), &[]),
            "agrees"
        );
        let lost = outcome(&l1, &probe(value(7), None), &[]);
        assert_eq!(
            lost,
            "Foreign None: the record of the tag t was lost or deleted"
        );
        let old = Says {
            good: at(LOADED - 1),
            ..says(Tier::L1)
        };
        assert_eq!(outcome(&old, &probe(Stood::Absent, known), &[]), "untold");
    }

    #[test]
    fn a_new_incarnation_ends_everything_older() {
        let mut it = probe(value(7), None);
        it.examined.clock = Epoch::new(2, NOW);
        let outcome = |since: u64| {
            let fields = ["i", "02", "w", "new"].map(str::to_owned);
            let mut history = history(&[]);
            history.add(Logged::read(since, &fields));
            match compare("k", &says(Tier::L1), &it, &history, 1_000) {
                Compared::Disagrees(it) => it.class,
                _ => panic!("it must disagree"),
            }
        };
        assert_eq!(outcome(9_500_000), Class::Within);
        assert_eq!(outcome(8_000_000), Class::Violation);
    }
}
