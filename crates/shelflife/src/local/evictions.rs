//! Counts what L1 drops for want of room.
//!
//! Must not: drop a value while a shard is locked, if it can be helped: what is evicted waits for the end of
//! the insertion, as far as there is room for it, as with quick_cache's own lifecycle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use quick_cache::Lifecycle;

use super::Resident;

type Evicted = (Arc<str>, Arc<Resident>);

#[derive(Clone, Debug, Default)]
pub(super) struct Evictions(Arc<AtomicU64>);

impl Evictions {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Lifecycle<Arc<str>, Arc<Resident>> for Evictions {
    /// An insertion mostly evicts one or two.
    type RequestState = [Option<Evicted>; 2];

    fn before_evict(&self, _: &mut Self::RequestState, _: &Arc<str>, _: &mut Arc<Resident>) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Of what was replaced, too, for which there was room.
    fn on_evict(&self, waiting: &mut Self::RequestState, key: Arc<str>, resident: Arc<Resident>) {
        if let Some(place) = waiting.iter_mut().find(|place| place.is_none()) {
            *place = Some((key, resident));
        }
    }
}
