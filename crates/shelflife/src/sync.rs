//! Locks and atomics, under one name: std's, or for `make shuttle` those of shuttle, which decides at
//! each of their steps who goes on, and so explores the interleavings.
//!
//! What threads of this process share and whose interleavings count comes from here: flights, tag cells,
//! residents, memory, the window. `Arc` is std's in both; what libraries hold inside is theirs.
//!
//! Must not: be more than names. A normal build compiles to the same as with std's.

#[cfg(not(all(test, shelflife_shuttle)))]
pub(crate) use std::{
    hash::RandomState,
    sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic},
};

#[cfg(all(test, shelflife_shuttle))]
pub(crate) use shuttle::sync::{
    Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic,
};

#[cfg(not(all(test, shelflife_shuttle)))]
pub(crate) use tokio::sync::Notify;

/// Tokio's, with a step before each call: what happens inside is none.
#[cfg(all(test, shelflife_shuttle))]
pub(crate) struct Notify {
    notify: tokio::sync::Notify,
    step: atomic::AtomicBool,
}

#[cfg(all(test, shelflife_shuttle))]
impl Notify {
    pub(crate) fn new() -> Self {
        Self {
            notify: tokio::sync::Notify::new(),
            step: atomic::AtomicBool::new(false),
        }
    }

    fn stepped(&self) -> &tokio::sync::Notify {
        self.step.load(atomic::Ordering::SeqCst);
        &self.notify
    }

    pub(crate) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        self.stepped().notified()
    }

    pub(crate) fn notify_waiters(&self) {
        self.stepped().notify_waiters();
    }
}

/// The same in each run, as an exploration must be: which shard a name falls into is seen by a schedule.
#[cfg(all(test, shelflife_shuttle))]
pub(crate) type RandomState =
    std::hash::BuildHasherDefault<std::collections::hash_map::DefaultHasher>;
