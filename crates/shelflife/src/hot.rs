//! What is read most: keys and tags, estimated from reads that are looked at one by one.
//!
//! Which read that is, the reading thread tells ([`crate::counters`]): it counts down, at random gaps that
//! grow with its rate up to about 1,000 reads, and the read whose turn it is stands for all since the last
//! one. So a hit pays one decrement, where little is read each read is seen, and where much is read what
//! stands out does so all the same. Estimates are halved every minute: they speak of the last minutes.
//!
//! Must not: allocate when a read is looked at (but for a key longer than any before), or wait: a read that
//! would have to is not looked at.

use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::counters::{Turn, stands_for};
use crate::engine::Engine;
use crate::key::Tag;
use crate::local::Resident;
use crate::status::Status;

mod sketch;

use sketch::Sketch;

/// Between two halvings.
const HALF_LIFE: Duration = Duration::from_secs(60);

/// What was read most of late, by estimate: see [`Cache::hottest`](crate::Cache::hottest).
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Hottest {
    /// Keys, the hottest first.
    pub keys: Vec<Hot>,
    /// Tags other than the one that everything carries, the hottest first.
    pub tags: Vec<Hot>,
}

/// A key or a tag that is read much.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Hot {
    /// Its canonical text.
    pub name: String,
    /// How often it was read of late: an estimate that is halved every minute.
    pub reads: u64,
    /// By how much that may be too high, because others had the place before it.
    pub over: u64,
    /// Its part of all reads, from 0 to 1.
    pub share: f64,
}

/// The estimates of one cache.
pub(crate) struct Heat(Mutex<Both>);

struct Both {
    keys: Sketch,
    tags: Sketch,
    /// Of all reads that were looked at.
    reads: u64,
    halved: Instant,
}

impl Default for Heat {
    fn default() -> Self {
        Self(Mutex::new(Both {
            keys: Sketch::default(),
            tags: Sketch::default(),
            reads: 0,
            halved: Instant::now(),
        }))
    }
}

impl Heat {
    /// Looks at a read that stands for so many.
    fn look<'a>(&self, key: &str, tags: impl Iterator<Item = &'a Tag>, stands_for: u64) {
        let mut both = match self.0.try_lock() {
            Ok(both) => both,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        both.reads += stands_for;
        both.keys.add(key, stands_for);
        for tag in tags.filter(|tag| tag.as_str() != "*") {
            both.tags.add(tag.as_str(), stands_for);
        }
    }

    /// Halves all estimates, if it is time.
    pub(crate) fn cool(&self, now: Instant) {
        let mut both = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while now.duration_since(both.halved) >= HALF_LIFE {
            both.halved += HALF_LIFE;
            both.keys.halve();
            both.tags.halve();
            both.reads /= 2;
        }
    }

    pub(crate) fn hottest(&self, most: usize) -> Hottest {
        let both = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Hottest {
            keys: both.keys.top(most, both.reads),
            tags: both.tags.top(most, both.reads),
        }
    }
}

impl Engine {
    /// Counts the answer of a read, and looks at it if it is its turn.
    pub(crate) fn answered(&self, key: &str, tags: &[Tag], status: &Status) {
        if self.counters.answered(status) == Turn::Look {
            self.heat.look(key, tags.iter(), stands_for().into());
        }
    }

    /// Looks at a hit.
    #[cold]
    #[inline(never)]
    pub(crate) fn look_at(&self, key: &str, resident: &Resident) {
        self.heat.look(key, resident.tags(), stands_for().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Cache;

    #[tokio::test]
    async fn what_is_read_most_is_told_in_order_with_its_share() {
        let cache = Cache::memory();
        for (key, reads) in [("users:1", 60), ("users:2", 30), ("orders:1", 10)] {
            cache.entry(key).tag("vip").set(1).await.unwrap();
            for _ in 0..reads {
                assert_eq!(cache.entry(key).tag("vip").get::<i32>().await, Some(1));
            }
        }
        let hottest = cache.hottest(2);
        // Reads stand for those that went by unseen: the figures are estimates, the order is not.
        let names: Vec<_> = hottest.keys.iter().map(|hot| hot.name.as_str()).collect();
        assert_eq!(names, ["users:1", "users:2"]);
        assert!(hottest.keys[0].reads > hottest.keys[1].reads);
        assert!((0.4..=0.8).contains(&hottest.keys[0].share), "{hottest:?}");
        assert_eq!(hottest.tags[0].name, "vip");
        assert!(hottest.tags[0].share > 0.99);
        assert_eq!(hottest.tags[1].name, "users:*");
        assert!(cache.hottest(0).keys.is_empty());
    }

    #[tokio::test]
    async fn misses_count_as_reads() {
        let cache = Cache::memory();
        for _ in 0..20 {
            assert_eq!(cache.get::<i32>("nobody").await, None);
        }
        assert_eq!(cache.hottest(1).keys[0].name, "nobody");
    }

    #[test]
    fn estimates_are_halved_every_minute() {
        let heat = Heat::default();
        heat.look("k", [].iter(), 100);
        let began = Instant::now();
        let reads = || heat.hottest(1).keys.first().map(|hot| hot.reads);
        heat.cool(began);
        assert_eq!(reads(), Some(100));
        heat.cool(began + HALF_LIFE);
        assert_eq!(reads(), Some(50));
        heat.cool(began + 20 * HALF_LIFE);
        assert_eq!(reads(), None);
    }
}
