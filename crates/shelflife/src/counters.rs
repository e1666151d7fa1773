//! Counters: what the cache has done so far, by tier and reason, and how long it took.
//!
//! ```text
//! stripes.rs    a counter that threads don't fight over, and whose turn it is to be looked at
//! histogram.rs  how long things took, in fixed buckets
//! gauge.rs      how many are under way now
//! opening.rs    for how long the window was open and closed
//! calls.rs      what the store was asked, step by step
//! stats.rs      all of it, as users see it
//! ```
//!
//! Nothing here guards anything: every order is relaxed, and a snapshot is of no one moment.
//!
//! Must not: allocate or wait where something is counted, or know keys.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::clock::Moment;
use crate::reason::Reason;
use crate::status::{Outcome, Status, Tier};

mod calls;
mod gauge;
mod histogram;
mod opening;
mod stats;
mod stripes;

#[cfg(feature = "redis")]
pub(crate) use calls::Calls;
pub use calls::{Step, StepStats};
pub(crate) use gauge::{Gauge, Under};
pub use histogram::Histogram;
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
pub(crate) use histogram::Tap;
#[cfg(feature = "opentelemetry")]
pub(crate) use histogram::bounds;
pub(crate) use histogram::{Timer, Timing};
pub(crate) use opening::Opening;
pub use stats::{Following, NodeStats, Stats, Timings};
pub(crate) use stripes::{Stripes, Turn, stands_for};

/// What happens in the engine. Each counter only grows; none guards anything.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) l1_hits: Stripes,
    l2_hits: AtomicU64,
    l1_stale: AtomicU64,
    l2_stale: AtomicU64,
    misses: AtomicU64,
    collapsed: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) load_failures: AtomicU64,
    pub(crate) loads_shed: AtomicU64,
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
    /// Loads under way.
    pub(crate) loading: Gauge,
    /// Loads under way that hold a lease.
    pub(crate) leases_held: Gauge,
    /// Reads that wait for a lease that another process holds.
    pub(crate) leases_awaited: Gauge,
    /// Entries of the log that were applied.
    pub(crate) applied: AtomicU64,
    /// How often following began anew.
    pub(crate) resyncs: AtomicU64,
    pub(crate) opening: Opening,
    pub(crate) load_time: Timer,
    pub(crate) fill_time: Timer,
    pub(crate) invalidation_time: Timer,
    pub(crate) lease_wait: Timer,
    pub(crate) log_delay: Timer,
}

impl Counters {
    /// `always_open`: whether L1 needs no window.
    pub(crate) fn new(now: Moment, always_open: bool) -> Self {
        Self {
            l1_hits: Stripes::default(),
            l2_hits: AtomicU64::default(),
            l1_stale: AtomicU64::default(),
            l2_stale: AtomicU64::default(),
            misses: AtomicU64::default(),
            collapsed: AtomicU64::default(),
            loads: AtomicU64::default(),
            load_failures: AtomicU64::default(),
            loads_shed: AtomicU64::default(),
            fills: AtomicU64::default(),
            fills_refused: AtomicU64::default(),
            invalidations: AtomicU64::default(),
            invalidations_failed: AtomicU64::default(),
            invalidations_retried: AtomicU64::default(),
            invalidations_reissued: AtomicU64::default(),
            events_heard: AtomicU64::default(),
            events_dropped: AtomicU64::default(),
            handler_failures: AtomicU64::default(),
            store_errors: AtomicU64::default(),
            reasons: std::array::from_fn(|_| AtomicU64::default()),
            loading: Gauge::default(),
            leases_held: Gauge::default(),
            leases_awaited: Gauge::default(),
            applied: AtomicU64::default(),
            resyncs: AtomicU64::default(),
            opening: Opening::new(now, always_open),
            load_time: Timer::default(),
            fill_time: Timer::default(),
            invalidation_time: Timer::default(),
            lease_wait: Timer::default(),
            log_delay: Timer::default(),
        }
    }

    /// Counts an answer. Tells whether it is its turn to be looked at.
    pub(crate) fn answered(&self, status: &Status) -> Turn {
        let turn = match (status.outcome, status.tier) {
            (Outcome::Hit, Some(Tier::L1)) => self.l1_hits.add(),
            (Outcome::Hit, _) => bump_in_turn(&self.l2_hits),
            (Outcome::Stale, tier) => {
                // Each for itself: a figure that is the difference of two goes down between their steps.
                bump_in_turn(match tier {
                    Some(Tier::L1) => &self.l1_stale,
                    _ => &self.l2_stale,
                })
            }
            (Outcome::Miss | Outcome::Bypass, _) => bump_in_turn(&self.misses),
        };
        if status.collapsed {
            bump(&self.collapsed);
        }
        if status.reason != Reason::Fresh {
            self.because(status.reason);
        }
        turn
    }

    pub(crate) fn because(&self, reason: Reason) {
        bump(&self.reasons[reason as usize]);
    }

    /// What was counted. What the cache holds is not known here: zero.
    pub(crate) fn read(&self, now: Moment) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        let l1_stale = get(&self.l1_stale);
        Stats {
            l1_hits: self.l1_hits.sum(),
            l2_hits: get(&self.l2_hits),
            stale: l1_stale + get(&self.l2_stale),
            l1_stale,
            misses: get(&self.misses),
            collapsed: get(&self.collapsed),
            loads: get(&self.loads),
            load_failures: get(&self.load_failures),
            loads_shed: get(&self.loads_shed),
            loads_running: 0,
            loads_waiting: 0,
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
            l1_limit: 0,
            l1_evictions: 0,
            l1_expiries: 0,
            flights: 0,
            sets_waiting: 0,
            loading: self.loading.now(),
            leases_held: self.leases_held.now(),
            leases_awaited: self.leases_awaited.now(),
            reasons: Reason::ALL
                .iter()
                .map(|&reason| (reason, get(&self.reasons[reason as usize])))
                .filter(|(_, count)| *count > 0)
                .collect(),
            following: Following {
                applied: get(&self.applied),
                resyncs: get(&self.resyncs),
                ..self.opening.read(now)
            },
            timings: Timings {
                loads: self.load_time.read(),
                fills: self.fill_time.read(),
                invalidations: self.invalidation_time.read(),
                lease_waits: self.lease_wait.read(),
                log_delay: self.log_delay.read(),
                store: Default::default(),
            },
            nodes: Vec::new(),
        }
    }
}

pub(crate) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

fn bump_in_turn(counter: &AtomicU64) -> Turn {
    bump(counter);
    stripes::turn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_tier_and_reason() {
        let counters = Counters::new(Moment(0), true);
        let _ = counters.answered(&Status::miss(Reason::Absent));
        let hit = Status {
            outcome: Outcome::Hit,
            tier: Some(Tier::L1),
            reason: Reason::Fresh,
            ..Status::miss(Reason::Fresh)
        };
        let _ = counters.answered(&hit);
        let _ = counters.answered(&hit);
        let stats = counters.read(Moment(1));
        assert_eq!((stats.l1_hits, stats.l2_hits, stats.misses), (2, 0, 1));
        assert_eq!(
            stats.reasons.into_iter().collect::<Vec<_>>(),
            [(Reason::Absent, 1)]
        );
    }

    /// What monitoring is told of L2 alone, while L1 answers: it may not move.
    #[test]
    fn stale_answers_of_l2_never_go_down() {
        let counters = Counters::new(Moment(0), true);
        let stale = |tier| Status {
            tier: Some(tier),
            ..Status::miss(Reason::PastFresh).stale(Reason::PastFresh)
        };
        for _ in 0..3 {
            let _ = counters.answered(&stale(Tier::L2));
        }
        let of_l2 = || {
            let stats = counters.read(Moment(1));
            stats.stale - stats.l1_stale.min(stats.stale)
        };
        let ended = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Relaxed) {
                    let _ = counters.answered(&stale(Tier::L1));
                }
            });
            let moved = (0..50_000).map(|_| of_l2()).find(|&seen| seen != 3);
            ended.store(true, Relaxed);
            assert_eq!(moved, None);
        });
    }
}
