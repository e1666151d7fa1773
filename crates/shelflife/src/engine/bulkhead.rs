//! The bulkhead: how many loads may be under way at once in this process, and how many may wait to be.
//!
//! ```text
//! read ─► is there a place? ── yes ──► lease, load ─► it is free again
//!            └── no ─► something stale? ── yes ──► served, as `overloaded`; nothing is loaded
//!                          └── no ─► room in the line? ── yes ──► waits, and looks once more
//!                                          └── no ─► refused at once
//! ```
//!
//! Refreshes behind a value don't wait: they are the first to go. Who waits holds neither a lease nor a
//! connection. A load that is asked for inside another one needs no place, for that one would wait for it.
//!
//! Must not: know what is loaded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ask::Ask;

/// The right to have a load under way. Dropped, it is somebody else's.
pub(super) struct Place {
    /// `None` inside another load.
    _permit: Option<OwnedSemaphorePermit>,
}

/// The places for loads of this process.
pub(crate) struct Bulkhead {
    places: Arc<Semaphore>,
    most: usize,
    /// How many wait for one; guards nothing but that it is never more than `most_waiting`.
    waiting: AtomicUsize,
    most_waiting: usize,
}

impl Bulkhead {
    pub(crate) fn new(most: usize, most_waiting: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most)),
            most,
            waiting: AtomicUsize::new(0),
            most_waiting,
        }
    }

    /// A place, if there is one now.
    pub(super) fn enter(&self, ask: &Ask) -> Option<Place> {
        if ask.inside.is_some() {
            return Some(Place { _permit: None });
        }
        let permit = self.places.clone().try_acquire_owned().ok()?;
        Some(Place {
            _permit: Some(permit),
        })
    }

    /// A place, as soon as there is one, in the order of asking; `None` when too many wait already.
    ///
    /// # Cancel safety
    ///
    /// Whoever goes away leaves the line.
    pub(super) async fn wait(&self, ask: &Ask) -> Option<Place> {
        if let Some(place) = self.enter(ask) {
            return Some(place);
        }
        let _waiting = Waiting::join(self)?;
        let permit = self.places.clone().acquire_owned().await.ok()?;
        Some(Place {
            _permit: Some(permit),
        })
    }

    /// Whether a load would have to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// How many loads are under way, or about to be.
    pub(crate) fn running(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
    }

    /// How many wait for a place.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Room in the line.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(bulkhead: &'a Bulkhead) -> Option<Self> {
        let waiting = &bulkhead.waiting;
        let room = |count| (count < bulkhead.most_waiting).then_some(count + 1);
        let joined = waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room);
        joined.is_ok().then(|| Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
