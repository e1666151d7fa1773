//! Policy: how long and how a value is kept, and how it is loaded.

use std::time::Duration;

use crate::codec::{Codec, Compression};

/// The most tags an entry may carry; more are refused when it is stored.
pub(crate) const TAGS: usize = 128;

/// How long and how a value is kept, and how it is loaded. Cheap to clone.
///
/// ```
/// use std::time::Duration;
/// use shelflife::Policy;
///
/// let profile = Policy::new()
///     .ttl(Duration::from_secs(300))
///     .stale(Duration::from_secs(3600))
///     .soft_timeout(Duration::from_millis(200));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(crate) ttl: Duration,
    pub(crate) stale: Duration,
    pub(crate) stale_on_error: bool,
    pub(crate) negative_ttl: Option<Duration>,
    pub(crate) jitter: f64,
    pub(crate) early: f64,
    pub(crate) soft_timeout: Option<Duration>,
    pub(crate) hard_timeout: Option<Duration>,
    pub(crate) throttle: Duration,
    pub(crate) lease: Duration,
    pub(crate) settle: Duration,
    pub(crate) codec: Codec,
    pub(crate) compression: Compression,
    pub(crate) compress_over: usize,
    pub(crate) schema: u32,
    /// Whether a binding keeps the object beside the encoding.
    pub(crate) objects: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(60),
            stale: Duration::ZERO,
            stale_on_error: true,
            negative_ttl: None,
            jitter: 0.05,
            early: 1.0,
            soft_timeout: None,
            hard_timeout: Some(Duration::from_secs(30)),
            throttle: Duration::from_secs(1),
            lease: Duration::from_secs(2),
            settle: Duration::ZERO,
            codec: Codec::MessagePack,
            compression: Compression::Lz4,
            compress_over: 4096,
            schema: 0,
            objects: false,
        }
    }
}

/// The longest time that anything here is told: a century stands for ever, and never overflows.
pub(crate) const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// The longest lease; a deadline further away is damage.
const LONGEST_LEASE: Duration = Duration::from_secs(300);

impl Policy {
    /// The defaults, which each setter names.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a value is fresh. Default 60 s; there is no "for ever".
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl.min(LONGEST);
        self
    }

    /// How long after that it may still be served while it is refreshed, or when its load fails.
    /// Default: not at all.
    pub fn stale(mut self, stale: Duration) -> Self {
        self.stale = stale.min(LONGEST);
        self
    }

    /// Whether a stale value stands in when the load fails. Default: yes, within the stale window.
    pub fn stale_on_error(mut self, allowed: bool) -> Self {
        self.stale_on_error = allowed;
        self
    }

    /// How long a value that says *nothing* (`None`) is fresh. Default: as long as any other.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.negative_ttl = Some(ttl.min(LONGEST));
        self
    }

    /// By how much of itself a time to live is shortened at most, by chance, so that entries made
    /// together don't expire together: 0.0 to 1.0, default 0.05.
    pub fn jitter(mut self, fraction: f64) -> Self {
        self.jitter = fraction.clamp(0.0, 1.0);
        self
    }

    /// How eagerly a value is refreshed before it expires, in multiples of its measured load time;
    /// 0.0 turns it off. Default 1.0.
    ///
    /// XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention",
    /// VLDB 2015. The chance is drawn once for each copy in a process, not for each read.
    pub fn early(mut self, beta: f64) -> Self {
        self.early = if beta.is_finite() { beta.max(0.0) } else { 0.0 };
        self
    }

    /// After how long a read takes a stale value, if there is one, instead of waiting for the load,
    /// which goes on. Zero: at once (stale-while-revalidate), which is also the default.
    pub fn soft_timeout(mut self, after: Duration) -> Self {
        self.soft_timeout = Some(after.min(LONGEST));
        self
    }

    /// After how long a load is given up and its readers get an error. Default 30 s.
    pub fn hard_timeout(mut self, after: Duration) -> Self {
        self.hard_timeout = Some(after.min(LONGEST));
        self
    }

    /// Lets a load take as long as it takes.
    pub fn no_hard_timeout(mut self) -> Self {
        self.hard_timeout = None;
        self
    }

    /// After a failed load, how long stale values are served without trying again. Default 1 s.
    pub fn throttle(mut self, pause: Duration) -> Self {
        self.throttle = pause.min(LONGEST);
        self
    }

    /// For how long the right to load holds without a sign of life from its owner. Default 2 s, from 50 ms
    /// to 5 minutes; it is extended while the loader lives.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.clamp(Duration::from_millis(50), LONGEST_LEASE);
        self
    }

    /// How far the source may lag behind its writes, as a read replica does: what is loaded less than
    /// this after an invalidation that names it is given to its caller and not stored. Default zero: the
    /// source is what it says.
    pub fn settle(mut self, lag: Duration) -> Self {
        self.settle = lag.min(LONGEST);
        self
    }

    /// How values are written. Default MessagePack.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// How large values are made smaller, and from how many bytes on. Default LZ4 over 4 KiB.
    pub fn compression(mut self, compression: Compression, over: usize) -> Self {
        self.compression = compression;
        self.compress_over = over;
        self
    }

    /// A number for the shape of the value: entries of another number are a miss. Default 0, which
    /// accepts any that decodes.
    pub fn schema(mut self, schema: u32) -> Self {
        self.schema = schema;
        self
    }

    /// The fresh time of a new entry: `ttl`, shortened by jitter. `chance` is uniform in 0.0..1.0.
    pub(crate) fn fresh_for(&self, ttl: Duration, chance: f64) -> Duration {
        ttl.mul_f64(1.0 - self.jitter * chance)
    }

    /// How long before its end a fresh entry is refreshed by the copy that drew `chance` (uniform in
    /// 0.0..1.0): cost × beta × −ln(chance).
    pub(crate) fn early_by(&self, cost: Duration, chance: f64) -> Duration {
        let factor = self.early * -(1.0 - chance).max(f64::MIN_POSITIVE).ln();
        Duration::try_from_secs_f64(cost.as_secs_f64() * factor).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_only_shortens_and_by_no_more_than_its_fraction() {
        let policy = Policy::new().jitter(0.1);
        let ttl = Duration::from_secs(100);
        assert_eq!(policy.fresh_for(ttl, 0.0), ttl);
        assert!(policy.fresh_for(ttl, 0.999) >= Duration::from_secs(90));
        assert_eq!(Policy::new().jitter(0.0).fresh_for(ttl, 0.7), ttl);
    }

    #[test]
    fn no_time_is_too_long_to_be_added() {
        let policy = Policy::new()
            .ttl(Duration::MAX)
            .stale(Duration::MAX)
            .hard_timeout(Duration::MAX)
            .lease(Duration::MAX);
        assert_eq!(policy.ttl + policy.stale, LONGEST * 2);
        assert_eq!(policy.fresh_for(policy.ttl, 0.0), LONGEST);
        assert_eq!(policy.lease, LONGEST_LEASE);
    }

    #[test]
    fn early_refresh_scales_with_cost_and_never_fails_on_odd_chances() {
        let policy = Policy::new();
        let cost = Duration::from_millis(100);
        assert_eq!(policy.early_by(cost, 0.0), Duration::ZERO);
        // The median draw: cost × ln 2.
        let median = policy.early_by(cost, 0.5).as_secs_f64();
        assert!((median - 0.0693).abs() < 0.001, "{median}");
        assert!(policy.early_by(cost, 1.0) > Duration::from_secs(1));
        assert_eq!(Policy::new().early(0.0).early_by(cost, 0.9), Duration::ZERO);
        assert_eq!(Policy::new().early(f64::NAN).early, 0.0);
    }
}
