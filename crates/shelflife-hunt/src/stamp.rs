//! The time that all processes of one machine share.

use std::time::Duration;

/// Nanoseconds of a clock that is the same in every process, and counts the time a machine slept.
pub type Stamp = u64;

/// Now.
pub fn now() -> Stamp {
    #[cfg(target_os = "linux")]
    const SOURCE: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const SOURCE: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(SOURCE);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A duration in the unit of stamps.
pub fn nanos(duration: Duration) -> Stamp {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A stretch of time as ms, for people.
pub fn ms(stretch: Stamp) -> f64 {
    stretch as f64 / 1e6
}
