//! L1: entries in the process, answered without waiting and without decoding.
//!
//! A resident carries its deadlines as moments of the process's clock, the epoch of its load, and the
//! cells of its tags: shared counters that only move forward. A hit compares a few numbers, and looks at
//! the cells only when any cell has been raised since they were last looked at; no lock is held, nothing
//! is allocated. What is inserted is not *ready* until the engine has asked memory once more.
//!
//! Must not: know Redis, decide who loads, wait.

use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Weighter};

use crate::clock::Moment;
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::key::Tag;
use crate::reason::Reason;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::validity::{Validity, by_time};
use crate::value::Live;

mod cells;
mod evictions;
mod largest;

pub(crate) use cells::Cell;
use cells::Cells;
use evictions::Evictions;
pub use largest::Large;

/// What an entry costs beside its key and value, in bytes: measured by `make bench`.
const OVERHEAD: usize = 448;
/// What a tag costs that no other entry carries.
const OWN_TAG: usize = 256;

/// An entry in L1.
// In this order a hit reads the first 64 bytes of its allocation, counts included, and no more.
#[repr(C)]
pub(crate) struct Resident {
    /// From when on a hit also starts a refresh: the early one, at the latest the end of freshness.
    pub(crate) refresh_at: Moment,
    /// The count of raises at which its cells were last seen not to be newer than its epoch.
    passed_at: AtomicU64,
    pub(crate) live: Live,
    pub(crate) schema: u32,
    /// Whether memory was asked after the insertion. Before that nobody may take it.
    ready: AtomicBool,
    softened: AtomicBool,
    /// The epoch read before its load began.
    pub(crate) epoch: Epoch,
    cells: Box<[Arc<Cell>]>,
    /// Of its value, and of tags that it did not share when it came.
    bytes: usize,
    /// Names the fill that it came from.
    pub(crate) fill: u64,
    /// Up to which epoch nothing had invalidated it when it came.
    good: Epoch,
    pub(crate) fresh_until: Moment,
    pub(crate) stale_until: Moment,
}

/// A count of raises that never comes: the cells have not been asked yet.
const NEVER_PASSED: u64 = u64::MAX;

/// What a new resident is made of.
pub(crate) struct Newcomer {
    pub(crate) live: Live,
    pub(crate) bytes: usize,
    pub(crate) epoch: Epoch,
    /// Names the fill that it came from.
    pub(crate) fill: u64,
    /// Up to which epoch nothing has invalidated it.
    pub(crate) good: Epoch,
    pub(crate) schema: u32,
    pub(crate) fresh_until: Moment,
    pub(crate) stale_until: Moment,
    pub(crate) refresh_at: Moment,
    pub(crate) softened: bool,
}

impl Resident {
    /// Whether it answers a read as it is, but for its cells. `window` is until when this process may
    /// trust L1.
    #[inline]
    fn answers(&self, now: Moment, window: Moment) -> bool {
        now < self.refresh_at
            && now < window
            // Acquire: pairs with the Release of `admit`, after which cells and value are complete.
            && self.ready.load(Ordering::Acquire)
            && !self.softened.load(Ordering::Relaxed)
    }

    /// Whether none of its cells is newer than its epoch; noted for this count of raises.
    fn passes(&self, raises: u64) -> bool {
        let passes = self
            .cells
            .iter()
            .all(|cell| cell.newest() <= self.epoch.tick);
        if passes {
            self.passed_at.store(raises, Ordering::Relaxed);
        }
        passes
    }

    /// Up to which epoch nothing had invalidated it when it came.
    pub(crate) fn good(&self) -> Epoch {
        self.good
    }

    /// Its tags.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.cells.iter().map(|cell| cell.tag())
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
    entries: Cache<Arc<str>, Arc<Resident>, ByBytes, DefaultHashBuilder, Evictions>,
    evictions: Evictions,
    /// How many were dropped past their stale window.
    expiries: std::sync::atomic::AtomicU64,
    cells: Cells,
}

impl Local {
    pub(crate) fn with_limit(bytes: u64) -> Self {
        let items = usize::try_from(bytes / 2048)
            .unwrap_or(usize::MAX)
            .clamp(64, 1 << 20);
        let (hasher, evictions) = (DefaultHashBuilder::default(), Evictions::default());
        Self {
            entries: Cache::with(items, bytes, ByBytes, hasher, evictions.clone()),
            evictions,
            expiries: std::sync::atomic::AtomicU64::new(0),
            cells: Cells::default(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: &str) -> Option<Arc<Resident>> {
        self.entries.get(key)
    }

    /// Whether a resident answers a read as it is, without further thought: the hot path. Its cells are
    /// looked at only if any cell has been raised since they last were.
    #[inline]
    pub(crate) fn answers(&self, resident: &Resident, now: Moment, window: Moment) -> bool {
        // Read before the cells: what is raised after this reading counts as raised since.
        let raises = self.cells.raises();
        resident.answers(now, window)
            && (resident.passed_at.load(Ordering::Relaxed) == raises || resident.passes(raises))
    }

    /// Inserts an entry that is not ready yet, with the cells of its tags.
    pub(crate) fn insert(&self, key: &Arc<str>, tags: &[Tag], new: Newcomer) -> Arc<Resident> {
        let cells = self.cells.attach(tags);
        let own_tags = cells.iter().filter(|cell| Arc::strong_count(cell) == 2);
        let own_tags = own_tags.count();
        let resident = Arc::new(Resident {
            cells,
            ready: AtomicBool::new(false),
            passed_at: AtomicU64::new(NEVER_PASSED),
            softened: AtomicBool::new(new.softened),
            live: new.live,
            bytes: new.bytes + own_tags * OWN_TAG,
            epoch: new.epoch,
            fill: new.fill,
            good: new.good,
            schema: new.schema,
            fresh_until: new.fresh_until,
            stale_until: new.stale_until,
            refresh_at: new.refresh_at,
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

    /// Applies an invalidation: cells are raised, keys and matches of patterns removed, unless they are
    /// known good up to it. The caller has told memory before.
    pub(crate) fn apply(&self, epoch: Epoch, what: &Invalidation) {
        for tag in &what.tags {
            self.cells.raise(tag, epoch.tick, what.soft);
        }
        self.drop_older(what, |resident| !resident.good.at_least(epoch));
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

    /// Drops every entry, and what was read of tags. Cells stay: an insertion under way may hold them.
    pub(crate) fn clear(&self) {
        self.cells.forget();
        self.entries.clear();
    }

    /// The same for another incarnation, in which cells begin anew.
    pub(crate) fn begin_anew(&self) {
        self.cells.begin_anew();
        self.entries.clear();
    }

    /// The cells of these tags; makes those that are not there.
    pub(crate) fn cells(&self, tags: &[Tag]) -> Box<[Arc<Cell>]> {
        self.cells.attach(tags)
    }

    /// The cells of these tags, if the table knows them all.
    pub(crate) fn known(&self, tags: &[Tag]) -> Option<Vec<Arc<Cell>>> {
        let known = self.cells.of(tags);
        (known.len() == tags.len() && known.iter().all(|cell| cell.is_known())).then_some(known)
    }

    /// Whether the records of all these tags have been seen or made in the store.
    pub(crate) fn are_stored(&self, tags: &[Tag]) -> bool {
        self.cells.all(tags, Cell::is_stored)
    }

    /// Notes whether the records of these tags are in the store.
    pub(crate) fn set_stored(&self, tags: &[Tag], stored: bool) {
        for cell in self.cells.of(tags) {
            cell.set_stored(stored);
        }
    }

    /// Makes a cell known: see [`Cells::learn`].
    pub(crate) fn learn(&self, cell: &Cell, hard: u64, soft: u64) {
        self.cells.learn(cell, hard, soft);
    }

    /// Frees what is past its stale window, and cells that nobody holds.
    pub(crate) fn sweep(&self, now: Moment) {
        self.entries.retain(|_, resident| {
            let stays = now < resident.stale_until;
            if !stays {
                self.expiries.fetch_add(1, Ordering::Relaxed);
            }
            stays
        });
        self.cells.sweep();
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// How many bytes it takes at most.
    pub(crate) fn limit(&self) -> u64 {
        self.entries.capacity()
    }

    /// How many entries were dropped for want of room.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.count()
    }

    /// How many entries were dropped past their stale window.
    pub(crate) fn expiries(&self) -> u64 {
        self.expiries.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newcomer(tick: u64) -> Newcomer {
        Newcomer {
            live: Arc::new(1_u64),
            bytes: 1,
            epoch: Epoch::new(1, tick),
            fill: 1,
            good: Epoch::new(1, 5),
            schema: 0,
            fresh_until: Moment(u64::MAX),
            stale_until: Moment(u64::MAX),
            refresh_at: Moment(u64::MAX),
            softened: false,
        }
    }

    #[test]
    fn what_is_replaced_was_not_dropped_for_want_of_room() {
        let local = Local::with_limit(1 << 20);
        for tick in 0..100 {
            local.insert(&"k".into(), &[], newcomer(tick));
        }
        assert_eq!((local.len(), local.evictions()), (1, 0));
        for key in 0..100_000 {
            local.insert(&key.to_string().into(), &[], newcomer(1));
        }
        let left = local.len() as u64;
        assert!(
            local.evictions() >= 100_001 - left && left < 100_000,
            "{left}"
        );
    }

    #[test]
    fn a_raise_counts_also_for_what_has_answered_since_its_insertion() {
        let (local, now) = (Local::with_limit(1 << 20), Moment(1));
        let what = |tag: &str| Invalidation::new().tag(tag);
        let resident = local.insert(&"k".into(), &[Tag::from("a")], newcomer(5));
        assert!(
            !local.answers(&resident, now, Moment(u64::MAX)),
            "not ready"
        );
        local.admit(&resident);
        assert!(local.answers(&resident, now, Moment(u64::MAX)));
        let other = local.insert(&"l".into(), &[Tag::from("b")], newcomer(5));
        local.apply(Epoch::new(1, 6), &what("b"));
        local.admit(&other);
        assert!(!local.answers(&other, now, Moment(u64::MAX)));
        assert!(
            local.answers(&resident, now, Moment(u64::MAX)),
            "another's tag"
        );
        local.apply(Epoch::new(1, 7), &what("a"));
        assert!(!local.answers(&resident, now, Moment(u64::MAX)));
        assert!(
            !local.answers(&resident, now, Moment(u64::MAX)),
            "not once only"
        );
    }
}
