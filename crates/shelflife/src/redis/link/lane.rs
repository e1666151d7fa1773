//! A lane: one multiplexed connection, up or down.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use redis::aio::MultiplexedConnection;

/// One connection.
pub(super) struct Lane {
    /// The connection, if it is up. Held for a clone or a swap, never across a wait.
    connection: RwLock<Option<MultiplexedConnection>>,
    /// Names the connection, so that a late failure of an old one doesn't take down its successor.
    generation: AtomicU64,
    pub(super) timeouts: AtomicU32,
    pub(super) reconnecting: AtomicBool,
}

impl Lane {
    pub(super) fn down() -> Self {
        Self {
            connection: RwLock::new(None),
            generation: AtomicU64::new(0),
            timeouts: AtomicU32::new(0),
            reconnecting: AtomicBool::new(false),
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<MultiplexedConnection>> {
        self.connection
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, if it is up, and its name.
    pub(super) fn up(&self) -> Option<(u64, MultiplexedConnection)> {
        let slot = self
            .connection
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let connection = slot.clone()?;
        Some((self.generation.load(Ordering::SeqCst), connection))
    }

    pub(super) fn take_up(&self, connection: MultiplexedConnection) {
        let mut slot = self.write();
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.timeouts.store(0, Ordering::SeqCst);
        *slot = Some(connection);
    }

    /// Takes the lane down for good.
    pub(super) fn close(&self) {
        *self.write() = None;
    }

    /// Takes the lane down, unless it has been replaced since `generation`.
    pub(super) fn take_down(&self, generation: u64) -> bool {
        let mut slot = self.write();
        let ours = self.generation.load(Ordering::SeqCst) == generation && slot.is_some();
        if ours {
            *slot = None;
        }
        ours
    }
}
