//! Tag cells: for each tag of a resident, when it was last invalidated, shared by all that carry it; and
//! the tag table, which is those cells whose ticks have been read from the store (PROTOCOL §4, step 3).
//!
//! Ticks only move forward, within an incarnation; in another one there are other cells, and those of the
//! last one are *retired*: newer than everything. A cell that is made anew begins at zero, which is safe because an insertion
//! asks memory after its cells are attached; it says nothing about records of the store until it is
//! *known*: raised to what the primary said and to what memory holds, and from then on by the tail.
//!
//! Must not: ask memory, or judge what a clock is worth. The engine does, before it lets a cell learn.

use std::hash::BuildHasher as _;
use std::sync::{Arc, PoisonError};

use hashbrown::HashTable;

use crate::key::Tag;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{RandomState, RwLock, RwLockReadGuard, RwLockWriteGuard};

const SHARDS: usize = 16;
/// How many cells a shard keeps for the table's sake alone, when no resident holds them.
const IDLE: usize = 1024;

/// The ticks of a tag's last invalidations. The incarnation is that of the residents: a new one empties
/// L1, and retires the cells.
#[derive(Debug)]
pub(crate) struct Cell {
    tag: Tag,
    /// The larger of the other two: what a hit compares.
    newest: AtomicU64,
    hard: AtomicU64,
    soft: AtomicU64,
    /// Whether the tag's record in the store has been seen or made: a load need not have it made.
    stored: AtomicBool,
    /// Whether no invalidation that this process has applied is missing here, however old.
    known: AtomicBool,
    /// Whether it was asked for since the last sweep.
    used: AtomicBool,
}

impl Cell {
    fn new(tag: Tag) -> Self {
        Self {
            tag,
            newest: AtomicU64::new(0),
            hard: AtomicU64::new(0),
            soft: AtomicU64::new(0),
            stored: AtomicBool::new(false),
            known: AtomicBool::new(false),
            used: AtomicBool::new(true),
        }
    }

    /// Whose ticks these are.
    pub(crate) fn tag(&self) -> &Tag {
        &self.tag
    }

    /// The tick of the last invalidation of either kind.
    // Relaxed everywhere here: a read that must see an invalidation begins after it returned, and
    // learned of that through something that orders the two; the counters only move forward.
    #[inline]
    pub(super) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Relaxed)
    }

    /// The ticks of the last hard and the last soft one.
    pub(crate) fn ticks(&self) -> (u64, u64) {
        (
            self.hard.load(Ordering::Relaxed),
            self.soft.load(Ordering::Relaxed),
        )
    }

    /// Whether it speaks for all that this process has applied.
    pub(crate) fn is_known(&self) -> bool {
        // Acquire: pairs with the Release of `learn`, before which the ticks were raised.
        self.known.load(Ordering::Acquire)
    }

    /// Whether the tag's record has been seen or made.
    pub(crate) fn is_stored(&self) -> bool {
        self.stored.load(Ordering::Relaxed)
    }

    pub(crate) fn set_stored(&self, stored: bool) {
        self.stored.store(stored, Ordering::Relaxed);
    }

    fn raise(&self, tick: u64, soft: bool) {
        let cell = if soft { &self.soft } else { &self.hard };
        cell.fetch_max(tick, Ordering::Relaxed);
        self.newest.fetch_max(tick, Ordering::Relaxed);
    }

    /// Makes it newer than everything: nobody will raise it any more, and who still holds it is dead.
    fn retire(&self) {
        self.raise(u64::MAX, false);
    }
}

type Table = HashTable<Arc<Cell>>;

/// The cells that residents hold, and those of the table, by tag.
pub(super) struct Cells {
    /// The root tag and its cell: every entry carries it, so it is not looked for. Locked for a clone or
    /// a swap, never on a hit.
    root_tag: Tag,
    root: RwLock<Arc<Cell>>,
    /// Each lock guards the cells of its shard; held for one look-up, never on a hit.
    shards: [RwLock<Table>; SHARDS],
    hasher: RandomState,
    /// How often any cell has been raised: while it stands still, what was found of a cell still holds.
    raises: AtomicU64,
}

impl Default for Cells {
    fn default() -> Self {
        Self {
            root_tag: Tag::root(),
            root: RwLock::new(Arc::new(Cell::new(Tag::root()))),
            shards: Default::default(),
            hasher: RandomState::new(),
            raises: AtomicU64::new(0),
        }
    }
}

fn read<T>(locked: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    locked.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(locked: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    locked.write().unwrap_or_else(PoisonError::into_inner)
}

impl Cells {
    fn hash(&self, tag: &Tag) -> u64 {
        self.hasher.hash_one(tag)
    }

    fn shard(&self, hash: u64) -> &RwLock<Table> {
        // The table inside takes the lowest and the highest bits.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    /// The cell of a tag; made if there is none.
    fn cell(&self, tag: &Tag) -> Arc<Cell> {
        if *tag == self.root_tag {
            return read(&self.root).clone();
        }
        let hash = self.hash(tag);
        if let Some(cell) = self.at(hash, tag) {
            return cell;
        }
        let made = || Arc::new(Cell::new(tag.clone()));
        write(self.shard(hash))
            .entry(hash, |cell| cell.tag == *tag, |cell| self.hash(&cell.tag))
            .or_insert_with(made)
            .get()
            .clone()
    }

    fn find(&self, tag: &Tag) -> Option<Arc<Cell>> {
        if *tag == self.root_tag {
            return Some(read(&self.root).clone());
        }
        self.at(self.hash(tag), tag)
    }

    fn at(&self, hash: u64, tag: &Tag) -> Option<Arc<Cell>> {
        read(self.shard(hash))
            .find(hash, |cell| cell.tag == *tag)
            .cloned()
    }

    /// The cells of these tags; makes those that are not there.
    pub(super) fn attach(&self, tags: &[Tag]) -> Box<[Arc<Cell>]> {
        tags.iter().map(|tag| self.cell(tag)).collect()
    }

    /// The cells of these tags that are there.
    pub(super) fn of(&self, tags: &[Tag]) -> Vec<Arc<Cell>> {
        tags.iter().filter_map(|tag| self.find(tag)).collect()
    }

    /// Whether each of these tags has a cell of which this holds.
    pub(super) fn all(&self, tags: &[Tag], holds: impl Fn(&Cell) -> bool) -> bool {
        tags.iter().all(|tag| {
            self.find(tag).is_some_and(|cell| {
                cell.used.store(true, Ordering::Relaxed);
                holds(&cell)
            })
        })
    }

    /// Raises a tag's cell, if there is one.
    pub(super) fn raise(&self, tag: &Tag, tick: u64, soft: bool) {
        if let Some(cell) = self.find(tag) {
            cell.raise(tick, soft);
            // Release: whoever sees this count sees the cell raised too.
            self.raises.fetch_add(1, Ordering::Release);
        }
    }

    /// Makes a cell known. The caller has made sure that these ticks are all that this process has
    /// applied, and that no resync comes between.
    pub(super) fn learn(&self, cell: &Cell, hard: u64, soft: u64) {
        let (was_hard, was_soft) = cell.ticks();
        if hard > was_hard || soft > was_soft {
            cell.raise(hard, false);
            cell.raise(soft, true);
            self.raises.fetch_add(1, Ordering::Release);
        }
        cell.set_stored(true);
        cell.known.store(true, Ordering::Release);
    }

    /// Forgets what was read from the store. Ticks stay: an insertion under way may hold the cells.
    pub(super) fn forget(&self) {
        let forget = |cell: &Cell| {
            cell.known.store(false, Ordering::Relaxed);
            cell.set_stored(false);
        };
        forget(&read(&self.root));
        for shard in &self.shards {
            read(shard).iter().for_each(|cell| forget(cell));
        }
    }

    /// Begins another incarnation, whose ticks may be lower: with other cells. An insertion under way may
    /// hold the retired ones; what it inserts never answers.
    pub(super) fn begin_anew(&self) {
        let root = Arc::new(Cell::new(self.root_tag.clone()));
        std::mem::replace(&mut *write(&self.root), root).retire();
        for shard in &self.shards {
            write(shard).drain().for_each(|cell| cell.retire());
        }
        self.raises.fetch_add(1, Ordering::Release);
    }

    /// How often any cell has been raised. To be read before the cells that it is to speak for.
    #[inline]
    pub(super) fn raises(&self) -> u64 {
        // Acquire: pairs with the Release of `raise`.
        self.raises.load(Ordering::Acquire)
    }

    /// Drops the cells that no resident holds, except those of the table that are still asked for or
    /// for which there is room.
    pub(super) fn sweep(&self) {
        for shard in &self.shards {
            let mut idle = 0;
            write(shard).retain(|cell| {
                let used = cell.used.swap(false, Ordering::Relaxed);
                if Arc::strong_count(cell) > 1 {
                    return true;
                }
                idle += usize::from(cell.is_known());
                cell.is_known() && (idle <= IDLE || (used && idle <= 2 * IDLE))
            });
        }
    }
}

#[cfg(test)]
#[cfg(shelflife_shuttle)]
mod interleavings;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_shared_and_only_move_forward() {
        let cells = Cells::default();
        let tags = [Tag::from("a"), Tag::from("b")];
        let first = cells.attach(&tags);
        let second = cells.attach(&tags[..1]);
        assert!(Arc::ptr_eq(&first[0], &second[0]));
        cells.raise(&tags[0], 7, false);
        cells.raise(&tags[0], 5, false);
        cells.raise(&tags[0], 9, true);
        assert_eq!(second[0].ticks(), (7, 9));
        assert_eq!(second[0].newest(), 9);
        assert_eq!(first[1].newest(), 0);
        assert_eq!(cells.raises(), 3);
    }

    #[test]
    fn cells_go_with_their_last_holder_unless_they_are_known() {
        let cells = Cells::default();
        let tags = [Tag::from("a"), Tag::from("b")];
        let held = cells.attach(&tags);
        cells.learn(&held[1], 3, 0);
        cells.sweep();
        assert_eq!(cells.of(&tags).len(), 2);
        drop(held);
        cells.sweep();
        assert!(cells.find(&tags[0]).is_none());
        assert!(cells.find(&tags[1]).is_some_and(|cell| cell.is_known()));
        cells.forget();
        cells.sweep();
        assert!(cells.of(&tags).is_empty());
    }

    #[test]
    fn another_incarnation_has_other_cells_and_who_holds_the_last_ones_is_dead() {
        let cells = Cells::default();
        let tags = [Tag::from("a"), Tag::root()];
        for tag in &tags {
            cells.attach(&tags);
            cells.raise(tag, 1000, false);
        }
        let (old, before) = (cells.attach(&tags), cells.raises());
        cells.learn(&old[0], 1000, 0);
        cells.begin_anew();
        assert!(
            cells.raises() > before,
            "those who looked before look again"
        );
        assert!(old.iter().all(|cell| cell.newest() == u64::MAX));
        let new = cells.attach(&tags);
        assert!(new.iter().all(|cell| cell.ticks() == (0, 0)));
        assert!(!cells.all(&tags, Cell::is_known));
        for tag in &tags {
            cells.raise(tag, 5, false);
        }
        assert!(new.iter().all(|cell| cell.newest() == 5));
    }

    #[test]
    fn learning_never_lowers_and_tells_those_who_looked_before() {
        let cells = Cells::default();
        let tag = [Tag::from("a")];
        let held = cells.attach(&tag);
        cells.raise(&tag[0], 7, false);
        let before = cells.raises();
        cells.learn(&held[0], 5, 0);
        assert_eq!((held[0].ticks(), cells.raises()), ((7, 0), before));
        cells.learn(&held[0], 8, 9);
        assert_eq!(held[0].ticks(), (8, 9));
        assert!(cells.raises() > before);
    }

    #[test]
    fn the_table_is_bounded() {
        let cells = Cells::default();
        for n in 0..4 * SHARDS * IDLE {
            let tag = [Tag::from(n.to_string())];
            cells.learn(&cells.attach(&tag)[0], 1, 0);
        }
        cells.sweep();
        let count = || cells.shards.iter().map(|s| read(s).len()).sum::<usize>();
        assert!(count() <= 2 * SHARDS * IDLE);
        cells.sweep();
        assert!(
            count() <= SHARDS * IDLE,
            "those that nobody asked for since"
        );
    }
}
