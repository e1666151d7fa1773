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
//! connection. A load that is asked for inside another one needs no place, for that one would wait for it:
//! whether the read inside leads its flight, or joins one whose leader waits here.
//!
//! Must not: know what is loaded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ask::Ask;

/// The right to have a load under way. Dropped, it is somebody else's.
pub(super) struct Place {
    /// `None` where another load waits for this one.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// Beside the bound: for a load that another one waits for.
    pub(super) fn inside() -> Self {
        Self { _permit: None }
    }
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
            return Some(Place::inside());
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use crate::cache::Cache;
    use crate::error::LoadError;
    use crate::probe::Point;

    async fn soon<T>(future: impl Future<Output = T>) -> T {
        let ended = tokio::time::timeout(Duration::from_secs(30), future).await;
        ended.expect("it should have ended long ago")
    }

    #[tokio::test]
    async fn a_read_inside_a_load_is_not_refused_with_the_leader_that_it_has_joined() {
        let builder = Cache::builder().loads(1).loads_waiting(0);
        let cache = builder.build().await.unwrap();
        let probes = &cache.engine.settings.probes;
        let (entered, has_entered) = oneshot::channel();
        let (go, gone) = oneshot::channel::<()>();
        let outer = {
            let (cache, inner) = (cache.clone(), cache.clone());
            let load = move || async move {
                let _ = entered.send(());
                let _ = gone.await;
                let read = inner.get_or_load("inner", || async { Ok::<_, Infallible>(1_u32) });
                read.await.map_err(|error| error.to_string())
            };
            tokio::spawn(async move { cache.get_or_load("outer", load).await })
        };
        soon(has_entered).await.unwrap();
        let departing = probes.stop_at(Point::Departing);
        let refused = {
            let cache = cache.clone();
            let load = || async { Ok::<_, Infallible>(2_u32) };
            tokio::spawn(async move { cache.get_or_load("inner", load).await })
        };
        departing.reached().await;
        let joined = probes.stop_at(Point::Joined);
        go.send(()).unwrap();
        joined.reached().await;
        departing.go();
        let refused = soon(refused).await.unwrap();
        assert!(matches!(refused, Err(LoadError::Overloaded)), "{refused:?}");
        joined.go();
        assert_eq!(soon(outer).await.unwrap().unwrap(), 1);
    }
}
