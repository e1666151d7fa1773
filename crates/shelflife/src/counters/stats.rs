//! What was counted, as users see it: plain figures of one process, taken at about one moment.
//!
//! Python's `Stats` has the same names, and the metrics ([`crate::metrics`]) are made of nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::calls::{Step, StepStats};
use super::histogram::Histogram;
use crate::reason::Reason;

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
    /// Of those, reads that L1 answered.
    pub l1_stale: u64,
    /// Reads that found no value.
    pub misses: u64,
    /// Misses that shared another caller's load.
    pub collapsed: u64,
    /// Loads begun.
    pub loads: u64,
    /// Loads that failed, timed out or panicked.
    pub load_failures: u64,
    /// Loads that were not begun because as many were under way as may be: a stale value was served, a
    /// refresh was dropped, or the read was refused.
    pub loads_shed: u64,
    /// Loads that are under way or about to be, of those that the setting `loads` bounds.
    pub loads_running: u64,
    /// Loads that wait until others have ended, of those that the setting `loads_waiting` bounds.
    pub loads_waiting: u64,
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
    /// How many bytes L1 takes at most.
    pub l1_limit: u64,
    /// Entries that L1 dropped for want of room.
    pub l1_evictions: u64,
    /// Entries that L1 dropped because they were past their stale window.
    pub l1_expiries: u64,
    /// Flights under way.
    pub flights: u64,
    /// Values of plain sets that are being stored or wait for it.
    pub sets_waiting: u64,
    /// Loads under way.
    pub loading: u64,
    /// Leases held by loads of this process.
    pub leases_held: u64,
    /// Reads of this process that wait for leases of others.
    pub leases_awaited: u64,
    /// How often each reason other than `fresh` was given.
    pub reasons: BTreeMap<Reason, u64>,
    /// How this process follows the log.
    pub following: Following,
    /// How long things took.
    pub timings: Timings,
    /// How the nodes of a shared store are doing: the server, or each primary of a cluster; nothing with the embedded store.
    pub nodes: Vec<NodeStats>,
}

/// How a node of a shared store is doing, as this process is connected to it: its circuit breaker is open while no connection is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NodeStats {
    /// Where it is, without user and password.
    pub address: String,
    /// How many connections there are to be; the tail's are not counted.
    pub connections: u64,
    /// How many of them are up.
    pub connections_up: u64,
    /// How often the last one that was up went down: from then on nobody waits for the node, until one is up again.
    pub times_down: u64,
    /// Requests that wait for its answer now.
    pub waiting: u64,
}

/// How a process follows the log, and whether its L1 answers. Where there is no other process, it always
/// does.
///
/// Serializes with times in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Following {
    /// Whether the window is open: L1 answers.
    pub open: bool,
    /// For how long it has been closed now; zero while it is open.
    #[serde(serialize_with = "seconds")]
    pub closed_for: Duration,
    /// For how long it has been closed in all, the time before it first opened included.
    #[serde(serialize_with = "seconds")]
    pub closed_total: Duration,
    /// How often it has closed.
    pub closings: u64,
    /// How long ago this process last knew that it had applied everything: how far behind it may be. While
    /// all is well it stays under a quarter of the window and a round trip. `None` before the first time.
    #[serde(serialize_with = "seconds_if_any")]
    pub lag: Option<Duration>,
    /// Entries of the log that were applied, its own included.
    pub applied: u64,
    /// How often following began anew: at first, after a gap in the log, with another primary.
    pub resyncs: u64,
}

/// How long things took.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Timings {
    /// Loads, from the loader's call to its end; those that failed, too.
    pub loads: Histogram,
    /// Fills: a loaded value encoded and stored, or refused.
    pub fills: Histogram,
    /// Invalidations, until they were confirmed and applied here, or not.
    pub invalidations: Histogram,
    /// Waits for leases that another process held.
    pub lease_waits: Histogram,
    /// From an entry's being logged to its being applied here, by the server's clock as it is known here:
    /// to about 1 ms.
    pub log_delay: Histogram,
    /// What a shared store was asked, by step; nothing with the embedded store.
    pub store: BTreeMap<Step, StepStats>,
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

fn seconds_if_any<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}
