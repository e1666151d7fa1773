//! What the proxy itself counts, beside its cache: connections, responses, and what the upstream is asked.
//!
//! Written on the way of a request, with relaxed additions: they order nothing. Labels are words of this crate, so there are
//! as many series as are written here.
//!
//! Must not: name a client, a URL or a field.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;

use crate::upstream::UpstreamError;

/// The bounds of the histogram, in seconds.
const BOUNDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Figures of one proxy, from its start on: they outlive a configuration.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) connections: Gauge,
    most_connections: usize,
    /// Responses to clients, by the first digit of their status.
    responses: [AtomicU64; 5],
    pub(crate) upstream: UpstreamFigures,
}

/// What the upstream is asked, and how that goes.
#[derive(Debug, Default)]
pub(crate) struct UpstreamFigures {
    /// Requests with a place: on their way, or being answered.
    pub(crate) asked: Gauge,
    /// Requests that wait for a place.
    pub(crate) waiting: Gauge,
    most: AtomicUsize,
    /// By [`UpstreamError::TYPES`].
    errors: [AtomicU64; UpstreamError::TYPES.len()],
    first_byte: Times,
}

/// How many there are of something now.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicUsize);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct One<'a>(&'a Gauge);

#[derive(Debug, Default)]
struct Times {
    /// Not cumulated; the last is for what is longer than all bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Gauge {
    pub(crate) fn enter(&self) -> One<'_> {
        self.begin();
        One(self)
    }

    /// One more, which is to [`end`](Self::end).
    pub(crate) fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl UpstreamFigures {
    /// So many requests may have a place from now on.
    pub(crate) fn limit(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// The head of a response came so long after its request had a place.
    pub(crate) fn answered(&self, after: Duration) {
        let seconds = after.as_secs_f64();
        let at = BOUNDS.partition_point(|bound| *bound < seconds);
        let times = &self.first_byte;
        times.buckets[at].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        times.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, error: &UpstreamError) {
        let all = UpstreamError::TYPES.iter().zip(&self.errors);
        for (name, count) in all {
            if *name == error.proxy_status() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Figures {
    pub(crate) fn new(connections: usize) -> Self {
        Figures {
            most_connections: connections,
            ..Figures::default()
        }
    }

    /// A client is answered with this.
    pub(crate) fn responded(&self, status: StatusCode) {
        let digit = usize::from(status.as_u16() / 100);
        if let Some(count) = self.responses.get(digit.wrapping_sub(1)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// As Prometheus reads it, version 0.0.4.
    pub(crate) fn text(&self) -> String {
        let mut text = Text::default();
        let upstream = &self.upstream;
        text.gauge(
            "connections",
            "Connections of clients, now.",
            self.connections.get(),
        );
        text.gauge(
            "connections_limit",
            "How many connections of clients are served at once (clients.connections).",
            self.most_connections,
        );
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter();
        text.counts(
            "responses_total",
            "Responses to clients, by the class of their status. Without requests that could not be read.",
            "status",
            classes.zip(&self.responses),
        );
        text.gauge(
            "upstream_requests",
            "Requests that the upstream is asked, or answers, now.",
            upstream.asked.get(),
        );
        text.gauge(
            "upstream_requests_waiting",
            "Requests that wait until the upstream may be asked one more, now.",
            upstream.waiting.get(),
        );
        text.gauge(
            "upstream_requests_limit",
            "How many requests the upstream is asked at once (upstream.requests).",
            upstream.most.load(Ordering::Relaxed),
        );
        text.counts(
            "upstream_errors_total",
            "Requests without an answer from the upstream, by the type of the error (RFC 9209).",
            "error",
            UpstreamError::TYPES.into_iter().zip(&upstream.errors),
        );
        text.times(
            "upstream_first_byte_seconds",
            "From the place of a request to the head of the upstream's response.",
            &upstream.first_byte,
        );
        text.0
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing into a String does not fail.
        let _ = self.0.write_fmt(line);
        self.0.push('\n');
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP shelflife_proxy_{name} {help}"));
        self.line(format_args!("# TYPE shelflife_proxy_{name} {kind}"));
    }

    fn gauge(&mut self, name: &str, help: &str, number: usize) {
        self.head(name, "gauge", help);
        self.line(format_args!("shelflife_proxy_{name} {number}"));
    }

    fn counts<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        counts: impl Iterator<Item = (&'static str, &'a AtomicU64)>,
    ) {
        self.head(name, "counter", help);
        for (value, count) in counts {
            let count = count.load(Ordering::Relaxed);
            self.line(format_args!(
                "shelflife_proxy_{name}{{{label}=\"{value}\"}} {count}"
            ));
        }
    }

    fn times(&mut self, name: &str, help: &str, times: &Times) {
        self.head(name, "histogram", help);
        let mut below = 0;
        let bounds = BOUNDS.iter().map(ToString::to_string);
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&times.buckets) {
            below += count.load(Ordering::Relaxed);
            self.line(format_args!(
                "shelflife_proxy_{name}_bucket{{le=\"{bound}\"}} {below}"
            ));
        }
        let sum = Duration::from_nanos(times.nanoseconds.load(Ordering::Relaxed)).as_secs_f64();
        self.line(format_args!("shelflife_proxy_{name}_sum {sum}"));
        self.line(format_args!("shelflife_proxy_{name}_count {below}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Kind;

    #[test]
    fn buckets_hold_what_is_not_longer_than_their_bound() {
        let figures = Figures::new(7);
        for milliseconds in [0, 1, 2, 10_000, 10_001] {
            figures
                .upstream
                .answered(Duration::from_millis(milliseconds));
        }
        let text = figures.text();
        for line in [
            "first_byte_seconds_bucket{le=\"0.001\"} 2",
            "first_byte_seconds_bucket{le=\"0.0025\"} 3",
            "first_byte_seconds_bucket{le=\"5\"} 3",
            "first_byte_seconds_bucket{le=\"10\"} 4",
            "first_byte_seconds_bucket{le=\"+Inf\"} 5",
            "first_byte_seconds_sum 20.004",
            "first_byte_seconds_count 5",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn every_kind_of_failure_has_its_count() {
        let figures = Figures::default();
        let kinds = [
            Kind::Unresolved,
            Kind::Unreachable,
            Kind::ConnectTimeout,
            Kind::Busy,
            Kind::Closed,
            Kind::FirstByteTimeout,
            Kind::Malformed("x"),
            Kind::Unsendable,
        ];
        for kind in kinds {
            figures.upstream.failed(&UpstreamError::new(kind));
        }
        let counts = figures.upstream.errors.iter();
        let counts: Vec<u64> = counts.map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [1; UpstreamError::TYPES.len()]);
    }

    #[test]
    fn a_status_that_has_no_class_is_not_counted() {
        let figures = Figures::default();
        for status in [100, 204, 599, 600, 999] {
            figures.responded(StatusCode::from_u16(status).unwrap());
        }
        let counts = figures.responses.iter();
        let counts: Vec<u64> = counts.map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [1, 1, 0, 0, 1]);
    }
}
