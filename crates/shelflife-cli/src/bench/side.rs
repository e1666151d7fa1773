//! One side of a bench: its connections, and what was measured on them, slice by slice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::sync::watch;
use tokio::time::Instant;

use super::connection::{Connection, Target};
use crate::cache_status::Served;
use crate::units;

/// The longest time that is told apart, in ns: an hour.
const LONGEST: u64 = 3_600_000_000_000;
/// How exactly times are kept: to 1 %.
const DIGITS: u8 = 2;
/// What one figure of a curve stands for.
pub(super) const BUCKET: Duration = Duration::from_millis(250);
/// How many different errors are told.
const ERRORS: usize = 10;

/// Times in ns, bounded in memory.
#[derive(Clone, Debug)]
pub(super) struct Times(Option<Histogram<u64>>);

impl Times {
    pub(super) fn new() -> Self {
        // It takes these bounds; one that did not would keep no times, and every figure would be zero.
        Self(Histogram::new_with_bounds(1, LONGEST, DIGITS).ok())
    }

    pub(super) fn record(&mut self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(LONGEST);
        if let Some(kept) = &mut self.0 {
            kept.saturating_record(ns.max(1));
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        if let (Some(kept), Some(other)) = (&mut self.0, &other.0) {
            // Both have the same bounds.
            let _ = kept.add(other);
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// The time, in ns, that so many of all did not exceed.
    pub(super) fn at(&self, quantile: f64) -> u64 {
        let kept = self.0.as_ref().filter(|kept| !kept.is_empty());
        kept.map_or(0, |kept| kept.value_at_quantile(quantile))
    }

    pub(super) fn mean(&self) -> f64 {
        self.0.as_ref().map_or(0.0, Histogram::mean)
    }

    /// How many took from `from` to below `to`, in ns.
    pub(super) fn between(&self, from: u64, to: u64) -> u64 {
        // By what is below each: times are kept to 1 %, and none may count on both sides of a bound.
        self.below(to) - self.below(from)
    }

    fn below(&self, bound: u64) -> u64 {
        let kept = self.0.as_ref().filter(|_| bound > 1);
        kept.map_or(0, |kept| kept.count_between(1, bound - 1))
    }
}

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loop {
    /// Each connection sends as soon as it has its answer.
    Closed,
    /// So many a second on all connections together, whether answers come or not.
    Open(u32),
}

/// What was measured.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// From when a request was due to the end of its answer, in ns.
    pub(super) times: Times,
    pub(super) served: BTreeMap<Served, u64>,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) bytes: u64,
    /// For how long it was loaded.
    pub(super) length: Duration,
    /// Requests that were due and never sent: no connection was free before the end.
    pub(super) unsent: u64,
    /// Of each quarter of a second how many answers came, and the slowest one's time, in ns.
    buckets: Vec<(u64, u64)>,
}

impl Measured {
    pub(super) fn new() -> Self {
        Self {
            times: Times::new(),
            served: BTreeMap::new(),
            statuses: BTreeMap::new(),
            errors: BTreeMap::new(),
            bytes: 0,
            length: Duration::ZERO,
            unsent: 0,
            buckets: Vec::new(),
        }
    }

    pub(super) fn answers(&self) -> u64 {
        self.times.len()
    }

    pub(super) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Answers a second.
    pub(super) fn rate(&self) -> f64 {
        self.answers() as f64 / self.length.as_secs_f64().max(1e-9)
    }

    /// Answers that are no success.
    pub(super) fn not_well(&self) -> u64 {
        let bad = self.statuses.iter().filter(|(status, _)| **status >= 400);
        bad.map(|(_, n)| n).sum()
    }

    /// Adds what another has measured; its length is the caller's to add.
    pub(super) fn merge(&mut self, other: &Self) {
        self.times.add(&other.times);
        sum(&mut self.served, &other.served);
        sum(&mut self.statuses, &other.statuses);
        for (error, n) in &other.errors {
            self.fail(error, *n);
        }
        self.bytes += other.bytes;
        self.unsent += other.unsent;
        for (at, (answers, slowest)) in other.buckets.iter().enumerate() {
            let bucket = self.bucket(at);
            bucket.0 += answers;
            bucket.1 = bucket.1.max(*slowest);
        }
    }

    fn bucket(&mut self, at: usize) -> &mut (u64, u64) {
        if self.buckets.len() <= at {
            self.buckets.resize(at + 1, (0, 0));
        }
        &mut self.buckets[at]
    }

    fn fail(&mut self, error: &str, n: u64) {
        let full = self.errors.len() >= ERRORS && !self.errors.contains_key(error);
        let name = if full { "others" } else { error };
        *self.errors.entry(name.to_owned()).or_default() += n;
    }
}

fn sum<K: Ord + Copy>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, n) in from {
        *into.entry(*key).or_default() += n;
    }
}

/// A target under load.
pub(super) struct Side {
    pub(super) target: Target,
    connections: Vec<Connection>,
    pub(super) measured: Measured,
    /// Of each quarter of a second its answers a second, and the time of the slowest one, in ns.
    pub(super) slices: Vec<(f64, u64)>,
    how: Loop,
    left: Arc<AtomicU64>,
}

impl Side {
    /// Opens all connections before anything is measured.
    pub(super) async fn open(
        target: Target,
        connections: usize,
        how: Loop,
        most: u64,
    ) -> Result<Self, String> {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            let mut connection = Connection::to(&target);
            connection.open().await?;
            open.push(connection);
        }
        Ok(Self {
            target,
            connections: open,
            measured: Measured::new(),
            slices: Vec::new(),
            how,
            left: Arc::new(AtomicU64::new(most)),
        })
    }

    /// Whether as many requests have been sent as may be.
    pub(super) fn is_through(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    /// Forgets what was measured: that was to warm up.
    pub(super) fn forget(&mut self, most: u64) {
        self.measured = Measured::new();
        self.slices.clear();
        self.left.store(most, Ordering::Relaxed);
    }

    /// Loads it for so long, or until it is told to stop.
    pub(super) async fn slice(&mut self, length: Duration, stop: &watch::Receiver<bool>) {
        let began = Instant::now();
        let due = Arc::new(AtomicU64::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let turns = Turns {
                began,
                end: began + length,
                due: due.clone(),
                left: self.left.clone(),
                how: self.how,
            };
            let mut stop = stop.clone();
            tasks.spawn(async move {
                let mut measured = Measured::new();
                let loaded = turns.load(&mut connection, &mut measured);
                tokio::select! {
                    () = loaded => {}
                    // Whoever could tell it has gone: that is no reason to stop.
                    Ok(_) = stop.wait_for(|stop| *stop) => {}
                }
                (connection, measured)
            });
        }
        let mut all = Measured::new();
        while let Some(finished) = tasks.join_next().await {
            let Ok((connection, measured)) = finished else {
                continue;
            };
            self.connections.push(connection);
            all.merge(&measured);
        }
        // The last answers may come after the end, and belong to it.
        all.length = began.elapsed();
        if let Loop::Open(rate) = self.how
            && !self.is_through()
        {
            let until = all.length.min(length).as_secs_f64();
            let all_due = units::whole((until * f64::from(rate)).floor());
            all.unsent = all_due.saturating_sub(due.load(Ordering::Relaxed));
        }
        let buckets = all.buckets.len();
        self.slices.extend(
            all.buckets
                .iter()
                .enumerate()
                .map(|(at, (answers, slowest))| {
                    // The last one may be short.
                    let before = BUCKET * u32::try_from(at).unwrap_or(u32::MAX);
                    let long = match at + 1 == buckets {
                        true => all
                            .length
                            .saturating_sub(before)
                            .max(Duration::from_millis(1)),
                        false => BUCKET,
                    };
                    (*answers as f64 / long.as_secs_f64(), *slowest)
                }),
        );
        self.measured.merge(&all);
        self.measured.length += all.length;
    }
}

/// Who sends when.
struct Turns {
    began: Instant,
    end: Instant,
    /// How many have been due, in an open loop.
    due: Arc<AtomicU64>,
    left: Arc<AtomicU64>,
    how: Loop,
}

impl Turns {
    /// One connection's share, until the end.
    async fn load(&self, connection: &mut Connection, measured: &mut Measured) {
        while let Some(from) = self.next().await {
            let asked = connection.ask().await;
            let bucket = self.began.elapsed().as_nanos() / BUCKET.as_nanos();
            let bucket = usize::try_from(bucket).unwrap_or(usize::MAX);
            note(measured, asked, from.elapsed(), bucket);
        }
    }

    /// Waits for the next turn, and gives the moment from which it counts; `None` at the end.
    async fn next(&self) -> Option<Instant> {
        if Instant::now() >= self.end {
            return None;
        }
        let spent = |left: u64| left.checked_sub(1);
        let from = match self.how {
            Loop::Closed => Instant::now(),
            Loop::Open(rate) => {
                let nth = self.due.fetch_add(1, Ordering::Relaxed);
                let after = Duration::from_secs_f64(nth as f64 / f64::from(rate));
                let from = self.began + after;
                if from >= self.end {
                    self.due.fetch_sub(1, Ordering::Relaxed);
                    return None;
                }
                match Instant::now() < from {
                    // A connection was free: how late the timer wakes us is not the server's doing.
                    true => {
                        tokio::time::sleep_until(from).await;
                        Instant::now()
                    }
                    // None was: it has been waiting since it was due.
                    false => from,
                }
            }
        };
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent)
            .ok()?;
        Some(from)
    }
}

fn note(
    measured: &mut Measured,
    asked: Result<super::connection::Answer, String>,
    took: Duration,
    bucket: usize,
) {
    match asked {
        Ok(answer) => {
            measured.times.record(took);
            let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            let bucket = measured.bucket(bucket);
            bucket.0 += 1;
            bucket.1 = bucket.1.max(ns);
            *measured.served.entry(answer.served).or_default() += 1;
            *measured.statuses.entry(answer.status.as_u16()).or_default() += 1;
            measured.bytes += answer.bytes;
        }
        Err(error) => measured.fail(&error, 1),
    }
}
