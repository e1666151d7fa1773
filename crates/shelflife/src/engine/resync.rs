//! Which incarnation memory belongs to, and for how long L1 may be trusted.
//!
//! Memory opens with the first clock that is seen, and again at the position of each resync of the tail.
//! When a clock of another incarnation turns up (the server was flushed, or lost its clock), memory
//! closes, the window with it, L1 is dropped, and memory opens again at a clock that is read after that.
//! Until then everything counts as touched.
//!
//! The window is the tail's to open, and only for the generation of memory that it resynced: what came
//! between closes it for answers that were asked before.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Engine;
use crate::clock::Moment;
use crate::counters::bump;
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
#[cfg(test)]
use crate::probe::Point;
use crate::store::StoreResult;

impl Engine {
    /// Makes sure that memory belongs to the incarnation of `clock`, which was just seen.
    pub(super) async fn belong_to(&self, clock: Epoch) -> StoreResult<()> {
        let belongs = || {
            self.memory()
                .start()
                .is_some_and(|start| start.inc == clock.inc)
        };
        if belongs() {
            return Ok(());
        }
        let _one_at_a_time = self.resync.lock().await;
        if belongs() {
            return Ok(());
        }
        self.close_window();
        self.memory_mut().close();
        self.local.begin_anew();
        let position = self.store.clock().await?;
        {
            let mut memory = self.memory_mut();
            if memory
                .start()
                .is_some_and(|start| start.inc == position.inc)
            {
                // The tail was here meanwhile, and knows more.
                return Ok(());
            }
            tracing::info!(%position, "memory opens");
            memory.open(position);
        }
        // What was admitted between the first drop and the opening was judged by nobody.
        self.local.clear();
        Ok(())
    }

    /// Closes the window, and drops the answers of beats that are under way.
    pub(super) fn close_window(&self) {
        if self.store.is_private() {
            // Nobody else can have invalidated anything.
            return;
        }
        let mut memory = self.memory_mut();
        memory.forget_beats();
        self.window.store(0, Ordering::SeqCst);
        self.counters.opening.closed(self.clock.now());
        self.set_applied(None);
    }

    /// Begins to follow the log at `position`: memory first, then L1 is dropped. Gives the generation
    /// for which the window may be opened.
    pub(super) fn begin_at(&self, position: Epoch) -> u64 {
        let (generation, same) = {
            let mut memory = self.memory_mut();
            let same = memory.start().is_some_and(|s| s.inc == position.inc);
            memory.restart_at(position);
            self.window.store(0, Ordering::SeqCst);
            self.counters.opening.closed(self.clock.now());
            (memory.generation(), same)
        };
        #[cfg(test)]
        self.settings.probes.reach(Point::Restarted);
        if same {
            self.local.clear();
        } else {
            self.local.begin_anew();
        }
        self.set_applied(Some(position));
        bump(&self.counters.resyncs);
        generation
    }

    /// Opens the window until `end`, unless memory was closed since `generation`; tells whether it was
    /// still that one.
    pub(super) fn open_window(&self, generation: u64, end: Moment) -> bool {
        let memory = self.memory();
        let ours = memory.generation() == generation;
        if ours {
            self.window.fetch_max(end.0, Ordering::SeqCst);
            let knew = Moment(end.0.saturating_sub(nanos(self.settings.window)));
            self.counters.opening.opened(self.clock.now(), end, knew);
        }
        ours
    }

    /// Applies an entry of the log: memory, then L1.
    pub(super) fn apply_logged(&self, epoch: Epoch, hard: Invalidation, soft: Invalidation) {
        #[cfg(test)]
        self.settings.probes.reach(Point::Applying);
        for what in [Arc::new(hard), Arc::new(soft)] {
            if !what.is_empty() {
                self.memory_mut().note(epoch, &what);
                #[cfg(test)]
                self.settings.probes.reach(Point::HalfApplied);
                self.local.apply(epoch, &what);
            }
        }
    }

    /// Everything up to `epoch` has been applied, in the order of the log, unless memory was closed since
    /// `generation`.
    pub(super) fn has_applied(&self, generation: u64, epoch: Epoch) {
        let memory = self.memory();
        if memory.generation() == generation {
            self.set_applied(Some(epoch));
            bump(&self.counters.applied);
            // Ticks are the server's time in µs.
            let now = self.store.server_ms(self.clock.now());
            let since = Duration::from_micros(now.saturating_mul(1000).saturating_sub(epoch.tick));
            self.counters.log_delay.record(since);
        }
    }

    fn set_applied(&self, epoch: Option<Epoch>) {
        *self.applied.write().unwrap_or_else(PoisonError::into_inner) = epoch;
    }

    /// Up to where the log has been applied; `None` while it is not followed.
    pub(crate) fn applied(&self) -> Option<Epoch> {
        *self.applied.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when L1 may be trusted.
    #[inline]
    pub(crate) fn window(&self) -> Moment {
        Moment(self.window.load(Ordering::Acquire))
    }
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}
