//! How long things took, in fixed buckets: 1, 2, 5 in each decade from 10 µs to 50 s.

#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeStruct as _, Serializer};

use super::stripes::line;
use crate::clock::{Clock, Moment};

/// The upper bounds of the buckets, in ns. What is over the last one is in one more.
const BOUNDS: [u64; 21] = {
    let mut bounds = [0; 21];
    let (mut at, mut decade) = (0, 10_000);
    while at < bounds.len() {
        bounds[at] = decade;
        bounds[at + 1] = 2 * decade;
        bounds[at + 2] = 5 * decade;
        (at, decade) = (at + 3, 10 * decade);
    }
    bounds
};
const BUCKETS: usize = BOUNDS.len() + 1;
/// Misses are fewer than hits by far: few lines are enough to keep threads apart.
const STRIPES: usize = 4;

/// Where a time is told beside being counted.
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
pub(crate) type Tap = std::sync::Arc<dyn Fn(Duration) + Send + Sync>;

/// Those who listen to a timer: one place for each who may.
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
#[derive(Default)]
struct Taps {
    /// Whether anybody does, so that where nobody does a time costs one relaxed load more. It only ever becomes true,
    /// and orders nothing: the lock does.
    any: std::sync::atomic::AtomicBool,
    each: std::sync::RwLock<[Option<Tap>; 2]>,
}

#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
impl Taps {
    fn tell(&self, took: Duration) {
        if self.any.load(Relaxed) {
            // Out of the lock: who is told may be anybody's code, and may tap.
            let each = self.each.read();
            let each = each.unwrap_or_else(PoisonError::into_inner).clone();
            each.iter().flatten().for_each(|tap| tap(took));
        }
    }

    fn set(&self, who: usize, tap: Tap) {
        let mut each = self.each.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = each.get_mut(who) {
            *place = Some(tap);
            self.any.store(true, Relaxed);
        }
    }
}

/// The same in seconds, for those who count themselves.
#[cfg(feature = "opentelemetry")]
pub(crate) fn bounds() -> Vec<f64> {
    let seconds = |ns: &u64| Duration::from_nanos(*ns).as_secs_f64();
    BOUNDS.iter().map(seconds).collect()
}

/// Takes the time of something that happens often.
#[derive(Default)]
pub(crate) struct Timer {
    stripes: [Stripe; STRIPES],
    #[cfg(any(feature = "metrics", feature = "opentelemetry"))]
    taps: Taps,
}

impl std::fmt::Debug for Timer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Timer").field(&self.read()).finish()
    }
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Stripe {
    buckets: [AtomicU64; BUCKETS],
    ns: AtomicU64,
}

impl Timer {
    pub(crate) fn record(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let stripe = &self.stripes[line() % STRIPES];
        let bucket = BOUNDS.partition_point(|bound| *bound < ns);
        stripe.buckets[bucket].fetch_add(1, Relaxed);
        stripe.ns.fetch_add(ns, Relaxed);
        #[cfg(any(feature = "metrics", feature = "opentelemetry"))]
        self.taps.tell(took);
    }

    /// Has its times told to one who listens, by what he asked with last.
    #[cfg(any(feature = "metrics", feature = "opentelemetry"))]
    pub(crate) fn tap(&self, who: usize, tap: Tap) {
        self.taps.set(who, tap);
    }

    /// Takes the time from now until what is returned is dropped.
    pub(crate) fn start<'a>(&'a self, clock: &'a Clock) -> Timing<'a> {
        Timing {
            timer: self,
            began: clock.now(),
            clock,
        }
    }

    pub(crate) fn read(&self) -> Histogram {
        let mut read = Histogram::default();
        for stripe in &self.stripes {
            for (sum, bucket) in read.counts.iter_mut().zip(&stripe.buckets) {
                *sum += bucket.load(Relaxed);
            }
            read.sum += Duration::from_nanos(stripe.ns.load(Relaxed));
        }
        read
    }
}

/// Something under way whose time is taken.
pub(crate) struct Timing<'a> {
    timer: &'a Timer,
    clock: &'a Clock,
    began: Moment,
}

impl Drop for Timing<'_> {
    fn drop(&mut self) {
        self.timer.record(self.clock.now().since(self.began));
    }
}

/// How long something took, each time it happened: counts in fixed buckets, 1, 2, 5 in each decade from
/// 10 µs to 50 s.
///
/// Serializes as `count`, `sum`, `p50`, `p90`, `p99`: times in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum: Duration,
}

impl Histogram {
    /// How often it happened.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long it took in all.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How long it took on average; `None` when it never happened.
    pub fn mean(&self) -> Option<Duration> {
        let count = self.count();
        (count > 0).then(|| self.sum.div_f64(count as f64))
    }

    /// How long the shortest `share` of them took at most: 0.99 is all but one in a hundred. Within a bucket
    /// times count as evenly spread; over the last bound they count as that. `None` when it never happened.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = share.clamp(0.0, 1.0) * count as f64;
        let (mut below, mut from) = (0_u64, 0_u64);
        for (&bound, &here) in BOUNDS.iter().zip(&self.counts) {
            if here > 0 && (below + here) as f64 >= rank {
                let part = (rank - below as f64).max(0.0) / here as f64;
                let ns = from as f64 + part * (bound - from) as f64;
                return Some(Duration::from_nanos(ns as u64));
            }
            (below, from) = (below + here, bound);
        }
        Some(Duration::from_nanos(from))
    }

    /// Each bucket's upper bound, `None` for the last, with how often it took no longer than that.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS.iter().map(|ns| Some(Duration::from_nanos(*ns)));
        let mut sum = 0;
        bounds
            .chain([None])
            .zip(self.counts)
            .map(move |(bound, here)| {
                sum += here;
                (bound, sum)
            })
    }

    /// What has come since an earlier reading of the same.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            counts: std::array::from_fn(|at| self.counts[at].saturating_sub(earlier.counts[at])),
            sum: self.sum.saturating_sub(earlier.sum),
        }
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = |share| self.quantile(share).map(|time| time.as_secs_f64());
        let mut it = serializer.serialize_struct("Histogram", 5)?;
        it.serialize_field("count", &self.count())?;
        it.serialize_field("sum", &self.sum.as_secs_f64())?;
        it.serialize_field("p50", &seconds(0.5))?;
        it.serialize_field("p90", &seconds(0.9))?;
        it.serialize_field("p99", &seconds(0.99))?;
        it.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: &[u64]) -> Histogram {
        let timer = Timer::default();
        for at in micros {
            timer.record(Duration::from_micros(*at));
        }
        timer.read()
    }

    #[test]
    fn a_time_counts_in_the_first_bucket_that_holds_it() {
        let it = of(&[0, 10, 11, 60_000_000]);
        let buckets: Vec<_> = it.buckets().collect();
        assert_eq!(buckets[0], (Some(Duration::from_micros(10)), 2));
        assert_eq!(buckets[1], (Some(Duration::from_micros(20)), 3));
        assert_eq!(buckets[20], (Some(Duration::from_secs(50)), 3));
        assert_eq!(buckets[21], (None, 4));
        assert_eq!(
            (it.count(), it.sum()),
            (4, Duration::from_micros(60_000_021))
        );
    }

    #[test]
    fn bounds_grow_as_1_2_5() {
        assert_eq!(&BOUNDS[..4], &[10_000, 20_000, 50_000, 100_000]);
        assert_eq!(BOUNDS[20], 50_000_000_000);
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_rank() {
        assert_eq!(of(&[]).quantile(0.5), None);
        assert_eq!(of(&[]).mean(), None);
        let mut times = vec![150; 99];
        times.push(3_000);
        let it = of(&times);
        let micros = |share| it.quantile(share).unwrap().as_micros();
        assert!((100..=200).contains(&micros(0.5)), "{}", micros(0.5));
        assert!((100..=200).contains(&micros(0.99)), "{}", micros(0.99));
        assert!((2_000..=5_000).contains(&micros(1.0)), "{}", micros(1.0));
        let over = of(&[70_000_000]);
        assert_eq!(over.quantile(0.5), Some(Duration::from_secs(50)));
    }

    #[test]
    fn what_came_since_is_told_apart() {
        let (before, after) = (of(&[15]), of(&[15, 15, 600]));
        let since = after.since(&before);
        assert_eq!(
            (since.count(), since.sum()),
            (2, Duration::from_micros(615))
        );
    }
}
