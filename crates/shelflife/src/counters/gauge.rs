//! How many are under way now.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    /// One more, until what is returned is dropped.
    pub(crate) fn enter(&self) -> Under<'_> {
        self.enter_many(1)
    }

    /// So many more.
    pub(crate) fn enter_many(&self, count: u64) -> Under<'_> {
        self.0.fetch_add(count, Relaxed);
        Under { gauge: self, count }
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Some that are under way.
pub(crate) struct Under<'a> {
    gauge: &'a Gauge,
    count: u64,
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.gauge.0.fetch_sub(self.count, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_under_way_counts_until_its_end() {
        let gauge = Gauge::default();
        let one = gauge.enter();
        let two = gauge.enter_many(2);
        assert_eq!(gauge.now(), 3);
        drop(one);
        assert_eq!(gauge.now(), 2);
        drop(two);
        assert_eq!(gauge.now(), 0);
    }
}
