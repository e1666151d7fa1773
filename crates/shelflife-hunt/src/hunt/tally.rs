//! What was found: counted, as a table for people, and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::figures::Figures;
use super::soak::Soak;
use super::stage::Topology;
use super::upheaval::Times;
use crate::checker::{Kept, Promise, Violation};
use crate::excuse::Exception;
use crate::record::{Confirmed, Counts, Level, Process, Read, Tier};
use crate::world::Target;

/// What the court has counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    levels: [OfLevel; Level::ALL.len()],
    invalidations: [u64; Target::KINDS.len()],
    soft: u64,
    everywhere: u64,
    pub(super) unconfirmed: u64,
    pub(super) loads: u64,
    pub(super) counts: Counts,
    violations: BTreeMap<Promise, u64>,
    excused: BTreeMap<Exception, u64>,
    /// Reads of witnesses that only the repetition of what was lost kept from the old value.
    repeated: u64,
    /// Invalidations that a primary has confirmed while its replicas were held back.
    pub(super) confirmed_while_held: usize,
    /// A process whose last words never came.
    pub(super) unheard: Option<Process>,
}

#[derive(Clone, Copy, Debug, Default)]
struct OfLevel {
    reads: u64,
    binding: u64,
    lagging: u64,
    stale: u64,
    tiers: [u64; Tier::ALL.len()],
}

impl Tally {
    pub(super) fn read(&mut self, read: &Read, verdict: Result<&Kept, &Violation>) {
        let level = &mut self.levels[read.level as usize];
        level.reads += 1;
        level.stale += u64::from(read.stale);
        level.tiers[read.tier as usize] += 1;
        match verdict {
            Ok(kept) => {
                level.binding += u64::from(kept.binding);
                level.lagging += u64::from(kept.lagging);
                self.repeated += u64::from(kept.repeated);
                if let Some(exception) = kept.excused {
                    *self.excused.entry(exception).or_default() += 1;
                }
            }
            Err(violation) => *self.violations.entry(violation.promise).or_default() += 1,
        }
    }

    pub(super) fn violations(&self, of: Promise) -> u64 {
        self.violations.get(&of).copied().unwrap_or(0)
    }

    pub(super) fn confirmed(&mut self, what: &Confirmed) {
        self.invalidations[what.target.kind()] += 1;
        self.soft += u64::from(what.soft);
        self.everywhere += u64::from(what.everywhere);
    }
}

/// What a hunt has found.
#[derive(Debug)]
pub struct Found {
    pub(super) seed: u64,
    pub(super) topology: Topology,
    pub(super) min_replicas: u32,
    pub(super) times: Times,
    /// How often replicas were held back, and how many witnesses were lost by that.
    pub(super) held: (u64, u64),
    pub(super) processes: usize,
    pub(super) window_ms: u64,
    pub(super) seconds: f64,
    pub(super) tally: Tally,
    pub(super) faults: Vec<(&'static str, u64)>,
    pub(super) figures: Option<Figures>,
    pub(super) soak: Option<Soak>,
}

impl Found {
    /// Whether everything was heard, no promise broken, and no read failed but for want of its source; in a soak, nothing has grown. Where
    /// nothing could have been found nothing is clean.
    pub fn clean(&self) -> bool {
        let tally = &self.tally;
        if tally.levels.iter().any(|level| level.binding == 0) {
            return false;
        }
        if self.held.0 > 0 && tally.repeated == 0 {
            return false;
        }
        let kept = tally.violations.is_empty() && tally.counts.broken_reads.is_empty();
        kept && tally.unheard.is_none() && self.soak.as_ref().is_none_or(Soak::is_flat)
    }

    /// All reads that were checked.
    pub fn reads(&self) -> u64 {
        self.tally.levels.iter().map(|level| level.reads).sum()
    }
}

impl Serialize for Found {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tally = &self.tally;
        let levels = Level::ALL.iter().zip(&tally.levels);
        let levels: serde_json::Map<_, _> = levels
            .map(|(level, of)| {
                let tiers = Tier::ALL.iter().zip(of.tiers);
                let tiers: serde_json::Map<_, _> = tiers
                    .map(|(tier, n)| (tier.name().to_owned(), n.into()))
                    .collect();
                let of = serde_json::json!({
                    "reads": of.reads, "binding": of.binding, "lagging": of.lagging,
                    "stale": of.stale, "tiers": tiers,
                });
                (level.name().to_owned(), of)
            })
            .collect();
        let kinds = Target::KINDS.iter().zip(tally.invalidations);
        let named = |(name, n): (&&str, u64)| ((*name).to_owned(), n.into());
        let kinds: serde_json::Map<_, _> = kinds.map(named).collect();
        let faults = self.faults.iter().map(|(name, n)| (name, *n));
        let faults: serde_json::Map<_, _> = faults.map(named).collect();
        serde_json::json!({
            "seed": self.seed, "processes": self.processes, "window_ms": self.window_ms,
            "seconds": self.seconds, "reads": self.reads(), "levels": levels,
            "invalidations": kinds, "soft": tally.soft, "everywhere": tally.everywhere,
            "unconfirmed": tally.unconfirmed, "loads": tally.loads,
            "failed_loads": tally.counts.failed_loads, "failed_reads": tally.counts.failed_reads,
            "broken_reads": tally.counts.broken_reads.values().sum::<u64>(), "failed_by": tally.counts.broken_reads, "topology": self.topology.name(),
            "min_replicas": self.min_replicas, "excused": tally.excused, "serves_again": self.times,
            "held_back": {
                "times": self.held.0, "confirmed": tally.confirmed_while_held, "witnesses": self.held.1, "reads": tally.repeated,
            },
            "faults": faults, "violations": tally.violations.values().sum::<u64>(), "broken": tally.violations, "unheard": tally.unheard,
            "figures": self.figures, "soak": self.soak,
        })
        .serialize(serializer)
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        writeln!(
            f,
            "{:.0} s · {} · {} processes · Δ = {} ms · seed {}\n",
            self.seconds,
            self.topology.name(),
            self.processes,
            self.window_ms,
            self.seed
        )?;
        writeln!(
            f,
            "| level | reads checked | bound by something young | older than the newest, as allowed \
             | marked stale | from L1 | from L2 | loaded |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|--:|")?;
        for (level, of) in Level::ALL.iter().zip(&tally.levels) {
            let [l1, l2, load, _] = of.tiers;
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {l1} | {l2} | {load} |",
                level.name(),
                of.reads,
                of.binding,
                of.lagging,
                of.stale
            )?;
        }
        let kinds = Target::KINDS.iter().zip(tally.invalidations);
        let kinds: Vec<String> = kinds.map(|(name, n)| format!("{name} {n}")).collect();
        let faults = self.faults.iter();
        let faults: Vec<String> = faults.map(|(name, n)| format!("{name} {n}")).collect();
        let counts = &tally.counts;
        writeln!(
            f,
            "\ninvalidations confirmed: {} (soft {}, everywhere {}); not confirmed: {}",
            kinds.join(", "),
            tally.soft,
            tally.everywhere,
            tally.unconfirmed
        )?;
        writeln!(
            f,
            "loads {}; made to fail {}; reads that failed with them {}, otherwise {}; that found nothing {}",
            tally.loads,
            counts.failed_loads,
            counts.failed_reads,
            counts.broken_reads.values().sum::<u64>(),
            counts.nothing
        )?;
        for (error, times) in &counts.broken_reads {
            writeln!(f, "FAILED {times} times: {error}")?;
        }
        writeln!(f, "faults injected: {}", faults.join(", "))?;
        if self.topology != Topology::Single {
            let of = |exception: &Exception| {
                let n = tally.excused.get(exception).copied().unwrap_or(0);
                format!("{} {n}", exception.name())
            };
            let excused: Vec<String> = Exception::ALL.iter().map(of).collect();
            let min = self.min_replicas;
            writeln!(
                f,
                "min-replicas-to-write {min}; reads excused by what Redis lost: {}",
                excused.join(", ")
            )?;
            writeln!(
                f,
                "replicas held back before the blow {} times; confirmed meanwhile {}, of which {} of witnesses; reads of these that \
                 only their repetition kept from the old value {}",
                self.held.0, tally.confirmed_while_held, self.held.1, tally.repeated
            )?;
        }
        write!(f, "{}", self.times)?;
        if let Some(figures) = &self.figures {
            writeln!(f, "\n{figures}")?;
        }
        if let Some(soak) = &self.soak {
            writeln!(f, "\n{soak}")?;
        }
        if let Some(process) = tally.unheard {
            writeln!(f, "process {process} never finished telling")?;
        }
        for (promise, n) in &tally.violations {
            writeln!(f, "VIOLATIONS of {promise:?}: {n}")?;
        }
        write!(
            f,
            "reads checked: {} · violations: {}",
            self.reads(),
            tally.violations.values().sum::<u64>()
        )
    }
}
