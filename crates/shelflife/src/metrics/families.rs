//! Which metrics there are: their names, kinds, what they say, and their values as of a snapshot.
//!
//! Names as Prometheus has them: base units, `_total` for what only grows. Labels are words of this crate
//! and the namespace, never keys or tags: how many series there are does not depend on what is cached.

use super::server;
use crate::counters::{Histogram, NodeStats, Stats};
use crate::server::Seen;

/// What kind of figure a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

pub(super) enum Value {
    Count(u64),
    Number(f64),
    Times(Histogram),
}

pub(super) type Labels = Vec<(&'static str, String)>;

/// A metric with its values, each under other labels.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) samples: Vec<(Labels, Value)>,
}

/// All metrics, as they come.
#[derive(Default)]
pub(super) struct Families(pub(super) Vec<Family>);

impl Families {
    fn family(
        &mut self,
        name: &'static str,
        kind: Kind,
        help: &'static str,
        samples: Vec<(Labels, Value)>,
    ) {
        self.0.push(Family {
            name,
            kind,
            help,
            samples,
        });
    }

    pub(super) fn count(&mut self, name: &'static str, help: &'static str, count: u64) {
        let samples = vec![(Labels::new(), Value::Count(count))];
        self.family(name, Kind::Counter, help, samples);
    }

    pub(super) fn counts(
        &mut self,
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) {
        let samples = samples.into_iter();
        let samples = samples.map(|(labels, count)| (labels, Value::Count(count)));
        self.family(name, Kind::Counter, help, samples.collect());
    }

    pub(super) fn seconds(&mut self, name: &'static str, help: &'static str, seconds: f64) {
        let samples = vec![(Labels::new(), Value::Number(seconds))];
        self.family(name, Kind::Counter, help, samples);
    }

    /// A figure that goes up and down; one that is not known has no sample.
    pub(super) fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        number: impl Into<Option<f64>>,
    ) {
        let number = number.into().map(Value::Number);
        let samples = number.map(|number| (Labels::new(), number));
        self.family(name, Kind::Gauge, help, samples.into_iter().collect());
    }

    pub(super) fn labelled(&mut self, name: &'static str, help: &'static str, labels: Labels) {
        self.family(name, Kind::Gauge, help, vec![(labels, Value::Number(1.0))]);
    }

    fn times(&mut self, name: &'static str, help: &'static str, times: Histogram) {
        let samples = vec![(Labels::new(), Value::Times(times))];
        self.family(name, Kind::Histogram, help, samples);
    }
}

pub(super) fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels {
    let owned = pairs
        .into_iter()
        .map(|(name, text)| (name, text.to_owned()));
    owned.collect()
}

/// The metrics of one cache.
pub(super) fn families(stats: &Stats, seen: &Seen) -> Vec<Family> {
    let mut all = Families::default();
    reads(&mut all, stats);
    loads(&mut all, stats);
    changes(&mut all, stats);
    l1(&mut all, stats);
    following(&mut all, stats);
    store(&mut all, stats);
    nodes(&mut all, stats);
    server::server(&mut all, seen);
    let version = labels([("version", env!("CARGO_PKG_VERSION"))]);
    all.labelled("shelflife_build_info", "Which version this is; 1.", version);
    all.0
}

fn reads(all: &mut Families, stats: &Stats) {
    let read = |tier, outcome, count| (labels([("tier", tier), ("outcome", outcome)]), count);
    all.counts(
        "shelflife_reads_total",
        "Reads, by the tier that had the value and by how they were answered.",
        [
            read("l1", "hit", stats.l1_hits),
            read("l2", "hit", stats.l2_hits),
            read("l1", "stale", stats.l1_stale),
            read("l2", "stale", stats.stale.saturating_sub(stats.l1_stale)),
            read("none", "miss", stats.misses),
        ],
    );
    all.count(
        "shelflife_reads_collapsed_total",
        "Misses that shared another caller's load.",
        stats.collapsed,
    );
    let all_reasons = crate::reason::Reason::ALL.iter().skip(1);
    all.counts(
        "shelflife_reasons_total",
        "Why reads, fills and hand-overs did not go as a hit does.",
        all_reasons.map(|reason| {
            let count = stats.reasons.get(reason).copied().unwrap_or(0);
            (labels([("reason", reason.as_str())]), count)
        }),
    );
}

fn loads(all: &mut Families, stats: &Stats) {
    all.count("shelflife_loads_total", "Loads begun.", stats.loads);
    all.count(
        "shelflife_load_failures_total",
        "Loads that failed, timed out or panicked.",
        stats.load_failures,
    );
    all.times(
        "shelflife_load_duration_seconds",
        "How long loads took, those that failed too.",
        stats.timings.loads,
    );
    all.gauge(
        "shelflife_loads_under_way",
        "Loads under way now.",
        stats.loading as f64,
    );
    all.gauge(
        "shelflife_flights_under_way",
        "Flights under way now: keys that are being looked for or loaded.",
        stats.flights as f64,
    );
    all.count(
        "shelflife_loads_shed_total",
        "Loads that were not begun because as many were under way as may be.",
        stats.loads_shed,
    );
    all.gauge(
        "shelflife_loads_waiting",
        "Loads that wait now until others have ended, because as many are under way as may be (loads).",
        stats.loads_waiting as f64,
    );
    all.gauge(
        "shelflife_sets_waiting",
        "Values of plain sets that are being stored now, or wait for it.",
        stats.sets_waiting as f64,
    );
    all.gauge(
        "shelflife_leases_held",
        "Leases that loads of this process hold now.",
        stats.leases_held as f64,
    );
    all.gauge(
        "shelflife_leases_awaited",
        "Reads of this process that wait for another's lease now.",
        stats.leases_awaited as f64,
    );
    all.times(
        "shelflife_lease_wait_seconds",
        "How long reads waited for leases of other processes.",
        stats.timings.lease_waits,
    );
}

fn changes(all: &mut Families, stats: &Stats) {
    let outcome = |word, count| (labels([("outcome", word)]), count);
    all.counts(
        "shelflife_fills_total",
        "Loaded values, by whether they were stored.",
        [
            outcome("stored", stats.fills),
            outcome("refused", stats.fills_refused),
        ],
    );
    all.times(
        "shelflife_fill_duration_seconds",
        "How long fills took: encoding and the store's answer.",
        stats.timings.fills,
    );
    all.counts(
        "shelflife_invalidations_total",
        "Invalidations: confirmed at once, failed, confirmed later, carried out again for another primary.",
        [
            outcome("confirmed", stats.invalidations),
            outcome("failed", stats.invalidations_failed),
            outcome("retried", stats.invalidations_retried),
            outcome("reissued", stats.invalidations_reissued),
        ],
    );
    all.times(
        "shelflife_invalidation_duration_seconds",
        "How long invalidations took until they were confirmed and applied here.",
        stats.timings.invalidations,
    );
    all.gauge(
        "shelflife_unconfirmed",
        "Names and events that wait to be confirmed now.",
        stats.unconfirmed as f64,
    );
    all.counts(
        "shelflife_events_total",
        "Events of other processes: handled here, or perhaps lost before.",
        [
            outcome("heard", stats.events_heard),
            outcome("dropped", stats.events_dropped),
        ],
    );
    all.count(
        "shelflife_handler_failures_total",
        "Handlers of events that failed, panicked or took too long.",
        stats.handler_failures,
    );
}

fn l1(all: &mut Families, stats: &Stats) {
    all.gauge(
        "shelflife_l1_entries",
        "Entries in L1.",
        stats.l1_entries as f64,
    );
    all.gauge(
        "shelflife_l1_size_bytes",
        "What L1 takes, by the weights that bound it.",
        stats.l1_bytes as f64,
    );
    all.gauge(
        "shelflife_l1_limit_bytes",
        "What L1 takes at most.",
        stats.l1_limit as f64,
    );
    all.count(
        "shelflife_l1_evictions_total",
        "Entries that L1 dropped for want of room.",
        stats.l1_evictions,
    );
    all.count(
        "shelflife_l1_expiries_total",
        "Entries that L1 dropped past their stale window.",
        stats.l1_expiries,
    );
}

fn following(all: &mut Families, stats: &Stats) {
    let it = &stats.following;
    all.gauge(
        "shelflife_window_open",
        "Whether L1 answers: 1 while the window is open, else 0.",
        f64::from(u8::from(it.open)),
    );
    all.seconds(
        "shelflife_window_closed_seconds_total",
        "For how long the window has been closed in all.",
        it.closed_total.as_secs_f64(),
    );
    all.count(
        "shelflife_window_closings_total",
        "How often the window has closed.",
        it.closings,
    );
    all.gauge(
        "shelflife_log_lag_seconds",
        "How long ago this process last knew that it had applied everything.",
        it.lag.map(|lag| lag.as_secs_f64()),
    );
    all.count(
        "shelflife_log_applied_total",
        "Entries of the log that were applied.",
        it.applied,
    );
    all.count(
        "shelflife_log_resyncs_total",
        "How often following the log began anew.",
        it.resyncs,
    );
    all.times(
        "shelflife_log_delay_seconds",
        "From an entry's being logged to its being applied here.",
        stats.timings.log_delay,
    );
}

fn store(all: &mut Families, stats: &Stats) {
    let steps = &stats.timings.store;
    let times = steps.iter().map(|(step, stats)| {
        let labels = labels([("step", step.as_str())]);
        (labels, Value::Times(stats.time))
    });
    all.family(
        "shelflife_store_duration_seconds",
        Kind::Histogram,
        "How long the store took to answer, by what it was asked; failures too.",
        times.collect(),
    );
    let failures = steps.iter().flat_map(|(step, stats)| {
        let failed = |kind, count| (labels([("step", step.as_str()), ("kind", kind)]), count);
        [
            failed("unavailable", stats.unavailable),
            failed("refused", stats.refused),
        ]
    });
    all.counts(
        "shelflife_store_failures_total",
        "What the store could not do: no connection or no answer in time, or an error.",
        failures.collect::<Vec<_>>(),
    );
    all.count(
        "shelflife_store_errors_total",
        "Reads, fills and loads that went on without the store because it failed.",
        stats.store_errors,
    );
}

/// Each node of the store, as this process is connected to it: as many samples as there are nodes.
fn nodes(all: &mut Families, stats: &Stats) {
    let of_each = |figure: fn(&NodeStats) -> u64| {
        let nodes = stats.nodes.iter();
        let samples = nodes.map(|node| (labels([("node", &node.address)]), figure(node)));
        samples.collect::<Vec<_>>()
    };
    let gauges = |samples: Vec<(Labels, u64)>| {
        let samples = samples.into_iter();
        samples.map(|(labels, number)| (labels, Value::Number(number as f64)))
    };
    all.family(
        "shelflife_node_connections",
        Kind::Gauge,
        "Connections that there are to be to a node of the store.",
        gauges(of_each(|node| node.connections)).collect(),
    );
    all.family(
        "shelflife_node_connections_up",
        Kind::Gauge,
        "Of those, how many are up; with none the node's circuit breaker is open.",
        gauges(of_each(|node| node.connections_up)).collect(),
    );
    all.counts(
        "shelflife_node_times_down_total",
        "How often the circuit breaker of a node has opened.",
        of_each(|node| node.times_down),
    );
    all.family(
        "shelflife_node_requests_waiting",
        Kind::Gauge,
        "Requests that wait for a node's answer now.",
        gauges(of_each(|node| node.waiting)).collect(),
    );
}
