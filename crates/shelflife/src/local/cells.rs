//! Tag cells: for each tag of a resident, when it was last invalidated, shared by all that carry it.
//!
//! Ticks only move forward. A cell lives as long as a resident holds it; a cell that is made anew
//! begins at zero, which is safe because an insertion asks memory after its cells are attached.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::key::Tag;

const SHARDS: usize = 16;

/// The ticks of a tag's last invalidations. The incarnation is that of the residents: a new one empties
/// L1.
#[derive(Debug, Default)]
pub(super) struct Cell {
    /// The larger of the other two: what a hit compares.
    newest: AtomicU64,
    hard: AtomicU64,
    soft: AtomicU64,
}

impl Cell {
    /// The tick of the last invalidation of either kind.
    // Relaxed everywhere here: a read that must see an invalidation begins after it returned, and
    // learned of that through something that orders the two; the counters only move forward.
    #[inline]
    pub(super) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Relaxed)
    }

    /// The ticks of the last hard and the last soft one.
    pub(super) fn ticks(&self) -> (u64, u64) {
        (
            self.hard.load(Ordering::Relaxed),
            self.soft.load(Ordering::Relaxed),
        )
    }

    fn raise(&self, tick: u64, soft: bool) {
        let cell = if soft { &self.soft } else { &self.hard };
        cell.fetch_max(tick, Ordering::Relaxed);
        self.newest.fetch_max(tick, Ordering::Relaxed);
    }
}

type Table = HashMap<Tag, Weak<Cell>>;

/// All cells that residents hold, by tag.
#[derive(Default)]
pub(super) struct Cells {
    /// Each lock guards the names of its shard; held for a few look-ups, never on a hit.
    shards: [Mutex<Table>; SHARDS],
    hasher: RandomState,
    /// How often any cell has been raised: while it stands still, what was found of a cell still holds.
    raises: AtomicU64,
}

impl Cells {
    fn shard(&self, tag: &Tag) -> MutexGuard<'_, Table> {
        let at = self.hasher.hash_one(tag) as usize % SHARDS;
        self.shards[at]
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The cells of these tags; makes those that nobody holds.
    pub(super) fn attach(&self, tags: &[Tag]) -> Box<[Arc<Cell>]> {
        tags.iter()
            .map(|tag| {
                let mut table = self.shard(tag);
                if let Some(cell) = table.get(tag).and_then(Weak::upgrade) {
                    return cell;
                }
                let cell = Arc::new(Cell::default());
                table.insert(tag.clone(), Arc::downgrade(&cell));
                cell
            })
            .collect()
    }

    /// The cells of these tags that somebody holds.
    pub(super) fn of(&self, tags: &[Tag]) -> Vec<Arc<Cell>> {
        tags.iter()
            .filter_map(|tag| self.shard(tag).get(tag)?.upgrade())
            .collect()
    }

    /// Raises a tag's cell, if anybody holds it.
    pub(super) fn raise(&self, tag: &Tag, tick: u64, soft: bool) {
        if let Some(cell) = self.shard(tag).get(tag).and_then(Weak::upgrade) {
            cell.raise(tick, soft);
            // Release: whoever sees this count sees the cell raised too.
            self.raises.fetch_add(1, Ordering::Release);
        }
    }

    /// How often any cell has been raised. To be read before the cells that it is to speak for.
    #[inline]
    pub(super) fn raises(&self) -> u64 {
        // Acquire: pairs with the Release of `raise`.
        self.raises.load(Ordering::Acquire)
    }

    /// Forgets the names of cells that nobody holds.
    pub(super) fn sweep(&self) {
        for shard in &self.shards {
            let mut table = shard
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            table.retain(|_, cell| cell.strong_count() > 0);
        }
    }
}

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
    fn cells_go_with_their_last_holder() {
        let cells = Cells::default();
        let tag = [Tag::from("a")];
        let held = cells.attach(&tag);
        cells.sweep();
        assert_eq!(cells.of(&tag).len(), 1);
        drop(held);
        cells.raise(&tag[0], 1, false);
        cells.sweep();
        assert!(cells.shards.iter().all(|s| s.lock().unwrap().is_empty()));
    }
}
