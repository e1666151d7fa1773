//! A lane: one multiplexed connection, up or down.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use redis::aio::MultiplexedConnection;

/// One connection.
pub(super) struct Lane {
    /// What is up, if anything is. Held for a clone or a swap, never across a wait.
    connection: RwLock<Option<Up>>,
    /// Names the connection, so that a late failure of an old one doesn't take down its successor.
    generation: AtomicU64,
    pub(super) timeouts: AtomicU32,
    pub(super) reconnecting: AtomicBool,
}

struct Up {
    connection: MultiplexedConnection,
    /// The run of the server that proved itself on it.
    run: String,
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

    fn write(&self) -> RwLockWriteGuard<'_, Option<Up>> {
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
        let connection = slot.as_ref()?.connection.clone();
        Some((self.generation.load(Ordering::SeqCst), connection))
    }

    pub(super) fn is_up(&self) -> bool {
        let slot = self.connection.read();
        slot.unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Whether it was down before.
    pub(super) fn take_up(&self, connection: MultiplexedConnection, run: String) -> bool {
        let mut slot = self.write();
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.timeouts.store(0, Ordering::SeqCst);
        slot.replace(Up { connection, run }).is_none()
    }

    /// Takes the lane down, whatever it is. Who takes lanes up sees to it that it stays so.
    pub(super) fn close(&self) {
        *self.write() = None;
    }

    /// Takes the lane down, unless it has been replaced since `generation`; gives to which run of a server it led.
    pub(super) fn take_down(&self, generation: u64) -> Option<String> {
        let mut slot = self.write();
        let ours = self.generation.load(Ordering::SeqCst) == generation;
        let up = slot.take_if(|_| ours)?;
        Some(up.run)
    }

    /// Takes the lane down if the run of a server that it leads to is one of these; whether it did.
    pub(super) fn take_down_if(&self, is_one: impl Fn(&str) -> bool) -> bool {
        self.write().take_if(|up| is_one(&up.run)).is_some()
    }
}
