//! Counters: what the cache has done so far, by tier and reason.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use crate::reason::Reason;
use crate::status::{Outcome, Status, Tier};

/// What happens in the engine. Each counter only grows; none guards anything.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) l1_hits: Stripes,
    l2_hits: AtomicU64,
    stale: AtomicU64,
    misses: AtomicU64,
    collapsed: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) load_failures: AtomicU64,
    pub(crate) fills: AtomicU64,
    pub(crate) fills_refused: AtomicU64,
    pub(crate) invalidations: AtomicU64,
    pub(crate) invalidations_failed: AtomicU64,
    pub(crate) invalidations_retried: AtomicU64,
    pub(crate) invalidations_reissued: AtomicU64,
    pub(crate) events_heard: AtomicU64,
    pub(crate) events_dropped: AtomicU64,
    pub(crate) handler_failures: AtomicU64,
    pub(crate) store_errors: AtomicU64,
    reasons: [AtomicU64; Reason::ALL.len()],
}

impl Counters {
    pub(crate) fn answered(&self, status: &Status) {
        match (status.outcome, status.tier) {
            (Outcome::Hit, Some(Tier::L1)) => self.l1_hits.add(),
            (Outcome::Hit, _) => bump(&self.l2_hits),
            (Outcome::Stale, _) => bump(&self.stale),
            (Outcome::Miss | Outcome::Bypass, _) => bump(&self.misses),
        }
        if status.collapsed {
            bump(&self.collapsed);
        }
        if status.reason != Reason::Fresh {
            self.because(status.reason);
        }
    }

    pub(crate) fn because(&self, reason: Reason) {
        bump(&self.reasons[reason as usize]);
    }

    pub(crate) fn read(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        Stats {
            l1_hits: self.l1_hits.sum(),
            l2_hits: get(&self.l2_hits),
            stale: get(&self.stale),
            misses: get(&self.misses),
            collapsed: get(&self.collapsed),
            loads: get(&self.loads),
            load_failures: get(&self.load_failures),
            fills: get(&self.fills),
            fills_refused: get(&self.fills_refused),
            invalidations: get(&self.invalidations),
            invalidations_failed: get(&self.invalidations_failed),
            invalidations_retried: get(&self.invalidations_retried),
            invalidations_reissued: get(&self.invalidations_reissued),
            unconfirmed: 0,
            events_heard: get(&self.events_heard),
            events_dropped: get(&self.events_dropped),
            handler_failures: get(&self.handler_failures),
            store_errors: get(&self.store_errors),
            l1_entries: 0,
            l1_bytes: 0,
            flights: 0,
            sets_waiting: 0,
            reasons: Reason::ALL
                .iter()
                .map(|&reason| (reason, get(&self.reasons[reason as usize])))
                .filter(|(_, count)| *count > 0)
                .collect(),
        }
    }
}

pub(crate) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

const STRIPES: usize = 16;

/// A counter that threads don't fight over: each adds to a line of its own.
#[derive(Debug, Default)]
pub(crate) struct Stripes([Line; STRIPES]);

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(AtomicU64);

impl Stripes {
    #[inline]
    pub(crate) fn add(&self) {
        thread_local! {
            static MINE: usize = {
                static NEXT: AtomicU64 = AtomicU64::new(0);
                NEXT.fetch_add(1, Relaxed) as usize % STRIPES
            };
        }
        let line = MINE.try_with(|mine| *mine).unwrap_or(0);
        self.0[line].0.fetch_add(1, Relaxed);
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|line| line.0.load(Relaxed)).sum()
    }
}

/// What the cache of this process has done so far, and what it holds.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Reads that L1 answered with a fresh value.
    pub l1_hits: u64,
    /// Reads that the store answered with a fresh value.
    pub l2_hits: u64,
    /// Reads that got a stale value.
    pub stale: u64,
    /// Reads that found no value.
    pub misses: u64,
    /// Misses that shared another caller's load.
    pub collapsed: u64,
    /// Loads begun.
    pub loads: u64,
    /// Loads that failed, timed out or panicked.
    pub load_failures: u64,
    /// Values stored.
    pub fills: u64,
    /// Values that were loaded but not stored.
    pub fills_refused: u64,
    /// Invalidations confirmed.
    pub invalidations: u64,
    /// Invalidations that could not be confirmed.
    pub invalidations_failed: u64,
    /// Of those, times that one was confirmed in the background later.
    pub invalidations_retried: u64,
    /// Invalidations carried out again because another primary took over.
    pub invalidations_reissued: u64,
    /// Names that wait to be confirmed as invalidated, and events as logged.
    pub unconfirmed: u64,
    /// Events of other processes whose handlers have run here.
    pub events_heard: u64,
    /// How often events of other processes may have been lost, because the log was trimmed, or lost, before
    /// it was their turn.
    pub events_dropped: u64,
    /// Handlers that failed, panicked or took too long.
    pub handler_failures: u64,
    /// Times the store failed to answer.
    pub store_errors: u64,
    /// Entries in L1.
    pub l1_entries: u64,
    /// Bytes in L1, by the weights that bound it.
    pub l1_bytes: u64,
    /// Flights under way.
    pub flights: u64,
    /// Values of plain sets that are being stored or wait for it.
    pub sets_waiting: u64,
    /// How often each reason other than `fresh` was given.
    pub reasons: std::collections::BTreeMap<Reason, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_tier_and_reason() {
        let counters = Counters::default();
        counters.answered(&Status::miss(Reason::Absent));
        let hit = Status {
            outcome: Outcome::Hit,
            tier: Some(Tier::L1),
            reason: Reason::Fresh,
            ..Status::miss(Reason::Fresh)
        };
        counters.answered(&hit);
        counters.answered(&hit);
        let stats = counters.read();
        assert_eq!((stats.l1_hits, stats.l2_hits, stats.misses), (2, 0, 1));
        assert_eq!(
            stats.reasons.into_iter().collect::<Vec<_>>(),
            [(Reason::Absent, 1)]
        );
    }
}
