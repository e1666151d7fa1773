//! Throttle: after a failed load, how long stale values are served without trying again.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::clock::Moment;

/// How many failing keys are remembered; beyond, the oldest are tried again sooner.
const KEYS: usize = 10_000;

pub(super) struct Throttle(Cache<Arc<str>, Moment>);

impl Default for Throttle {
    fn default() -> Self {
        Self(Cache::new(KEYS))
    }
}

impl Throttle {
    pub(super) fn until(&self, key: &Arc<str>, end: Moment) {
        self.0.insert(key.clone(), end);
    }

    pub(super) fn holds(&self, key: &str, now: Moment) -> bool {
        self.0.get(key).is_some_and(|end| now < end)
    }

    pub(super) fn lift(&self, key: &str) {
        self.0.remove(key);
    }
}
