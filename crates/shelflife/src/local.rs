//! L1: entries in the process, answered without waiting and without decoding.
//!
//! A resident carries its deadlines as moments of the process's clock, the epoch of its load, and the
//! cells of its tags: shared counters that only move forward. A hit compares a few numbers; no lock is
//! held, nothing is allocated. What is inserted is not *ready* until the engine has asked memory once
//! more.
//!
//! Must not: know Redis, decide who loads, wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::clock::Moment;
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::reason::Reason;
use crate::validity::{Validity, by_time};
use crate::value::Live;

mod cells;

use cells::{Cell, Cells};

/// What an entry costs beside its key and value, in bytes: measured by `make bench`.
const OVERHEAD: usize = 320;

/// An entry in L1.
pub(crate) struct Resident {
    pub(crate) live: Live,
    pub(crate) bytes: usize,
    /// The epoch read before its load began.
    pub(crate) epoch: Epoch,
    /// Names the fill that it came from.
    pub(crate) fill: u64,
    pub(crate) schema: u32,
    pub(crate) fresh_until: Moment,
    pub(crate) stale_until: Moment,
    /// From when on a hit also starts a refresh: the early one, at the latest the end of freshness.
    pub(crate) refresh_at: Moment,
    /// Until when this process may trust it without asking: Δ after its `good` was read.
    pub(crate) trusted_until: Moment,
    cells: Box<[Arc<Cell>]>,
    /// Whether memory was asked after the insertion. Before that nobody may take it.
    ready: AtomicBool,
    softened: AtomicBool,
}

/// What a new resident is made of.
pub(crate) struct Newcomer {
    pub(crate) live: Live,
    pub(crate) bytes: usize,
    pub(crate) epoch: Epoch,
    /// Names the fill that it came from.
    pub(crate) fill: u64,
    pub(crate) schema: u32,
    pub(crate) fresh_until: Moment,
    pub(crate) stale_until: Moment,
    pub(crate) refresh_at: Moment,
    pub(crate) trusted_until: Moment,
    pub(crate) softened: bool,
}

impl Resident {
    /// Whether it answers a read as it is, without further thought: the hot path. `window` is until
    /// when this process may trust all of L1.
    #[inline]
    pub(crate) fn answers(&self, now: Moment, window: Moment) -> bool {
        now < self.refresh_at
            && (now < window || now < self.trusted_until)
            // Acquire: pairs with the Release of `admit`, after which cells and value are complete.
            && self.ready.load(Ordering::Acquire)
            && !self.softened.load(Ordering::Relaxed)
            && self.cells.iter().all(|cell| cell.newest() <= self.epoch.tick)
    }

    /// Marks it soft: to be served as stale only.
    pub(crate) fn soften(&self) {
        self.softened.store(true, Ordering::Relaxed);
    }

    /// What it is worth now, by its cells and its deadlines; the window is the caller's to ask.
    pub(crate) fn validity(&self, now: Moment) -> Validity {
        if !self.ready.load(Ordering::Acquire) {
            return Validity::Dead(Reason::Touched);
        }
        let mut softened = self.softened.load(Ordering::Relaxed);
        for cell in &self.cells {
            let (hard, soft) = cell.ticks();
            if hard > self.epoch.tick {
                return Validity::Dead(Reason::TagNewer);
            }
            softened |= soft > self.epoch.tick;
        }
        by_time(self.fresh_until.0, self.stale_until.0, softened, now.0)
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Arc<str>, Arc<Resident>> for ByBytes {
    fn weight(&self, key: &Arc<str>, resident: &Arc<Resident>) -> u64 {
        (OVERHEAD + key.len() + resident.bytes + resident.cells.len() * 8) as u64
    }
}

/// The entries of one process, bounded by bytes.
pub(crate) struct Local {
    entries: Cache<Arc<str>, Arc<Resident>, ByBytes>,
    cells: Cells,
}

impl Local {
    pub(crate) fn with_limit(bytes: u64) -> Self {
        let items = usize::try_from(bytes / 2048)
            .unwrap_or(usize::MAX)
            .clamp(64, 1 << 20);
        Self {
            entries: Cache::with_weighter(items, bytes, ByBytes),
            cells: Cells::default(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: &str) -> Option<Arc<Resident>> {
        self.entries.get(key)
    }

    /// Inserts an entry that is not ready yet, with the cells of its tags.
    pub(crate) fn insert(
        &self,
        key: &Arc<str>,
        tags: &[crate::key::Tag],
        new: Newcomer,
    ) -> Arc<Resident> {
        let resident = Arc::new(Resident {
            cells: self.cells.attach(tags),
            ready: AtomicBool::new(false),
            softened: AtomicBool::new(new.softened),
            live: new.live,
            bytes: new.bytes,
            epoch: new.epoch,
            fill: new.fill,
            schema: new.schema,
            fresh_until: new.fresh_until,
            stale_until: new.stale_until,
            refresh_at: new.refresh_at,
            trusted_until: new.trusted_until,
        });
        self.entries.insert(key.clone(), resident.clone());
        resident
    }

    /// Makes an inserted entry ready: memory has been asked after the insertion.
    pub(crate) fn admit(&self, resident: &Resident) {
        resident.ready.store(true, Ordering::Release);
    }

    /// Removes just this resident, not a successor.
    pub(crate) fn expel(&self, key: &str, resident: &Arc<Resident>) {
        self.entries
            .remove_if(key, |there| Arc::ptr_eq(there, resident));
    }

    /// Applies an invalidation: cells are raised, keys and matches of patterns removed, unless their
    /// load began after it. The caller has told memory before.
    pub(crate) fn apply(&self, epoch: Epoch, what: &Invalidation) {
        for tag in &what.tags {
            self.cells.raise(tag, epoch.tick, what.soft);
        }
        self.drop_older(what, |resident| !resident.epoch.at_least(epoch));
    }

    /// Removes (or marks, when soft) what is named by key, and what a pattern matches.
    pub(crate) fn drop_keys(&self, what: &Invalidation) {
        self.drop_older(what, |_| true);
    }

    fn drop_older(&self, what: &Invalidation, older: impl Fn(&Resident) -> bool) {
        for key in &what.keys {
            if what.soft {
                if let Some(resident) = self.entries.peek(key.as_str()).filter(|r| older(r)) {
                    resident.soften();
                }
            } else {
                self.entries
                    .remove_if(key.as_str(), |resident| older(resident));
            }
        }
        if !what.patterns.is_empty() {
            let matches = |key: &str| what.patterns.iter().any(|p| p.matches(key));
            self.entries
                .retain(|key, resident| !(older(resident) && matches(key)));
        }
    }

    /// Removes everything that carries one of the tags, by their cells, without an epoch to compare.
    pub(crate) fn drop_tags(&self, what: &Invalidation) {
        if !what.tags.is_empty() {
            let named = self.cells.of(&what.tags);
            let carries = |r: &Resident| {
                r.cells
                    .iter()
                    .any(|c| named.iter().any(|n| Arc::ptr_eq(n, c)))
            };
            self.entries.retain(|_, resident| !carries(resident));
        }
    }

    /// Drops every entry. Cells stay: an insertion under way may hold them.
    pub(crate) fn clear(&self) {
        self.entries.clear();
    }

    /// Frees what is past its stale window, and cells that nobody holds.
    pub(crate) fn sweep(&self, now: Moment) {
        self.entries
            .retain(|_, resident| now < resident.stale_until);
        self.cells.sweep();
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.entries.weight()
    }
}
