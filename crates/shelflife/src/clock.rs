//! The process's clock: monotonic, counts the time a machine was suspended.
//!
//! Everything that decides takes time as an argument; this room is where that argument comes from. A
//! [`ManualClock`] stands in for it in tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment of the process's clock, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    not(feature = "protocol"),
    allow(unreachable_pub, reason = "only the model reaches it")
)]
pub struct Moment(pub u64);

impl Moment {
    pub(crate) fn plus(self, d: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub(crate) const fn as_ms(self) -> u64 {
        self.0 / 1_000_000
    }
}

/// A clock that stands still until it is told to move. For tests.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use shelflife::{Cache, ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let cache = Cache::builder().clock(&clock).jitter(0.0).ttl(Duration::from_secs(60)).build().await?;
/// cache.set("users:1", "Ada".to_owned()).await?;
/// clock.advance(Duration::from_secs(61));
/// assert_eq!(cache.get::<String>("users:1").await, None);
/// # Ok::<_, shelflife::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at an arbitrary moment.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_000_000_000_000)))
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Clock {
    System,
    Manual(ManualClock),
}

impl Clock {
    pub(crate) fn now(&self) -> Moment {
        match self {
            Self::System => Moment(system_now()),
            Self::Manual(clock) => Moment(clock.0.load(Ordering::SeqCst)),
        }
    }

    /// What to add to this clock's ms to get ms since 1970 by the machine's clock.
    pub(crate) fn wall_offset_ms(&self) -> i64 {
        match self {
            Self::System => {
                let wall = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                i64::try_from(wall.as_millis()).unwrap_or(i64::MAX) - self.now().as_ms() as i64
            }
            Self::Manual(_) => 1_700_000_000_000,
        }
    }
}

fn system_now() -> u64 {
    // Boot time counts suspension; elsewhere the monotonic clock is the nearest.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const SOURCE: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const SOURCE: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let t = rustix::time::clock_gettime(SOURCE);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_forward_and_a_manual_clock_only_when_told() {
        let clock = Clock::System;
        let (a, b) = (clock.now(), clock.now());
        assert!(b >= a);
        let manual = ManualClock::new();
        let clock = Clock::Manual(manual.clone());
        let before = clock.now();
        assert_eq!(clock.now(), before);
        manual.advance(Duration::from_millis(5));
        assert_eq!(clock.now().since(before), Duration::from_millis(5));
    }
}
