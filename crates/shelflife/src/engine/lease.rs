//! The right to load: a lease, and the epoch from which the load counts (PROTOCOL §4).
//!
//! A lease is asked for, placed and given back here; `load.rs` keeps it alive.

use std::sync::Arc;

use super::Engine;
use super::ask::Ask;
use crate::clock::Moment;
use crate::counters::{Counters, Timing, Under};
use crate::epoch::Epoch;
use crate::reason::Reason;
use crate::record::Token;
use crate::store::{Begun, Snapshot, StoreResult, Wanted};

/// The right to load: what a load needs to fill.
pub(super) struct Right {
    pub(super) lease: LeaseGuard,
    /// The epoch from which the load counts, and when it was read.
    pub(super) since: (Epoch, Moment),
    /// Why there is a load at all.
    pub(super) why: Reason,
}

/// A lease that may be ours. Dropped armed, it is given back: neither a cancelled read nor a failed
/// load may leave one behind.
pub(super) struct LeaseGuard {
    engine: Arc<Engine>,
    key: Arc<str>,
    wanted: Wanted,
    armed: bool,
}

impl LeaseGuard {
    pub(super) fn new(engine: &Arc<Engine>, ask: &Ask) -> Self {
        let wanted = Wanted {
            token: Token::random(),
            lease: ask.policy.lease,
        };
        Self {
            engine: engine.clone(),
            key: ask.key.clone(),
            wanted,
            armed: false,
        }
    }

    /// What to ask the store for; from now on it may be ours.
    pub(super) fn arm(&mut self) -> Wanted {
        self.armed = true;
        self.wanted
    }

    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }

    /// Gives the lease back now.
    pub(super) async fn give_back(mut self) {
        self.disarm();
        let _ = self
            .engine
            .store
            .release(&self.key, self.wanted.token)
            .await;
    }

    pub(super) fn wanted(&self) -> Wanted {
        self.wanted
    }

    pub(super) fn token(&self) -> Token {
        self.wanted.token
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        if self.armed {
            let (engine, key, token) = (self.engine.clone(), self.key.clone(), self.wanted.token);
            self.engine.do_unattended(async move {
                // If the store is away, the lease ends by its own time.
                let _ = engine.store.release(&key, token).await;
            });
        }
    }
}

impl Engine {
    /// Places our lease, unless the read has already. A guard that is not granted is disarmed.
    pub(super) async fn lease(
        &self,
        ask: &Ask,
        snapshot: &Snapshot,
        lease: &mut LeaseGuard,
    ) -> StoreResult<Begun> {
        if snapshot.granted {
            return Ok(Begun::Granted);
        }
        let begun = self
            .store
            .begin(&ask.key, snapshot.slot.seen(), lease.arm())
            .await?;
        if !matches!(begun, Begun::Granted | Begun::Replaced) {
            lease.disarm();
        }
        Ok(begun)
    }

    /// The epoch from which a load counts, noted before it begins, and when it was read. Records of
    /// tags that are missing are made now: made at the fill they would be newer than the load.
    pub(super) async fn since(
        &self,
        ask: &Ask,
        snapshot: &Snapshot,
    ) -> StoreResult<(Epoch, Moment)> {
        if snapshot.tags_known {
            // The newest clock that is known to have been: an invalidation of our own that the log has
            // not brought yet must not make this load look older than it is.
            let newest = self.memory().newest();
            let since = newest.map_or(snapshot.clock, |newest| snapshot.clock.or_later(newest));
            return Ok((since, snapshot.sent));
        }
        let sent = self.clock.now();
        let keep = ask.policy.ttl + ask.policy.stale;
        Ok((self.store.ensure_tags(&ask.tags, keep).await?, sent))
    }

    /// A read waits for a lease of another process, and its time is taken, until what is returned is dropped.
    pub(super) fn wait_for_lease(&self) -> (Under<'_>, Timing<'_>) {
        let Counters {
            leases_awaited,
            lease_wait,
            ..
        } = &self.counters;
        (leases_awaited.enter(), lease_wait.start(&self.clock))
    }
}
