//! The two paths from a read to what the store holds (PROTOCOL §4, step 3).
//!
//! ```text
//! primary path   clock, entry, tags, in this order   good = that clock
//! local path     the entry alone, one command        good = `applied` noted before it was sent
//! ```
//!
//! The local path is for reads that L1 may answer. What the store's tags would have said, this process
//! knows by itself: memory, about a record whose load began since memory reaches back; the tag table,
//! about an older one. What neither knows goes the primary path, and so does every retry.
//!
//! Must not: decide what a record is worth (that is [`super::judge`]).

use super::Engine;
use super::ask::Ask;
use super::due::Due;
use super::judge::Judged;
use crate::epoch::Epoch;
use crate::error::ErrorKind;
#[cfg(test)]
use crate::probe::Point;
use crate::store::{Held, Slot, Snapshot, StoreResult, Wanted};
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::validity::TagRecord;

/// How a read asks the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// One command, judged by what this process had applied before.
    Local(Epoch),
    Primary,
}

impl Engine {
    /// The path of a read that only looks.
    pub(super) fn path_to_look(&self, ask: &Ask, due: Option<Due>) -> Path {
        let likely = || self.guess.is_good() || self.local.known(&ask.tags).is_some();
        match due.and_then(|due| self.follows(due)) {
            Some(applied) if likely() => Path::Local(applied),
            _ => Path::Primary,
        }
    }

    /// The path of a read that loads what is missing: a load needs the records of its tags, and the
    /// primary path finds out about them in the same round trip.
    pub(super) fn path_to_load(&self, ask: &Ask, due: Due) -> Path {
        match self.follows(due) {
            Some(applied) if self.local.are_stored(&ask.tags) => Path::Local(applied),
            _ => Path::Primary,
        }
    }

    /// Up to where this process has followed the log, for a read that L1 may answer.
    pub(super) fn follows(&self, due: Due) -> Option<Epoch> {
        if self.store.is_private() || !due.window_open {
            return None;
        }
        let applied = self.applied()?;
        let reached = due.floor.epoch.is_none_or(|floor| applied.at_least(floor));
        reached.then_some(applied)
    }

    /// What the store has, judged; the lease that is wanted is placed if it has nothing.
    pub(super) async fn snapshot(
        &self,
        ask: &Ask,
        path: Path,
        wanted: Option<Wanted>,
    ) -> StoreResult<(Snapshot, Judged)> {
        if let Path::Local(applied) = path
            && let Some(snapshot) = self.fetch(ask, applied, wanted).await?
        {
            #[cfg(test)]
            self.settings.probes.pause(Point::Answered).await;
            let judged = self.judge(ask, &snapshot);
            return Ok((snapshot, judged));
        }
        let snapshot = self.store.read(&ask.key, &ask.tags, wanted).await?;
        self.belong_to(snapshot.clock).await?;
        #[cfg(test)]
        self.settings.probes.pause(Point::Answered).await;
        if let Slot::Value(held) = &snapshot.slot {
            self.learn(held, snapshot.clock);
        }
        let judged = self.judge(ask, &snapshot);
        Ok((snapshot, judged))
    }

    /// What one command finds, with the tags as this process knows them; `None` when that is not enough.
    pub(super) async fn fetch(
        &self,
        ask: &Ask,
        applied: Epoch,
        wanted: Option<Wanted>,
    ) -> StoreResult<Option<Snapshot>> {
        let fetched = match self.store.fetch(&ask.key, wanted).await {
            Ok(fetched) => fetched,
            Err(error) if error.kind == ErrorKind::Unavailable => return Err(error),
            // Out of memory, or something that is no string: the primary path knows what to do.
            Err(_) => return Ok(None),
        };
        let mut slot = fetched.slot;
        if let Slot::Value(held) = &mut slot {
            match self.tags_known(held, applied) {
                Some(tags) => held.tags = tags,
                None => return Ok(None),
            }
        }
        Ok(Some(Snapshot {
            clock: applied,
            sent: fetched.sent,
            slot,
            granted: fetched.granted,
            tags_known: true,
        }))
    }

    /// The records of an entry's tags as far as this process has followed the log.
    pub(super) fn tags_known(&self, held: &Held, applied: Epoch) -> Option<Vec<Option<TagRecord>>> {
        let inc = applied.inc;
        let record = |(hard, soft)| Some(TagRecord { inc, hard, soft });
        let tags = &held.meta.tags;
        {
            let memory = self.memory();
            let start = memory.start().filter(|start| start.inc == inc)?;
            let since = held.meta.epoch.at_least(start);
            self.guess.learn(since);
            if since {
                // Whatever came after its load began is in memory, as far as it has been applied.
                return Some(tags.iter().map(|tag| record(memory.of_tag(tag))).collect());
            }
        }
        let known = self.local.known(tags)?;
        Some(known.iter().map(|cell| record(cell.ticks())).collect())
    }

    /// Takes what the primary said of an entry's tags into the table: merged by max with what memory
    /// knows, and not at all if memory no longer reaches back to that clock.
    pub(super) fn learn(&self, held: &Held, clock: Epoch) {
        if self.store.is_private() || held.tags.len() != held.meta.tags.len() {
            return;
        }
        let cells = self.local.cells(&held.meta.tags);
        // Under memory's lock: a resync moves its start before it empties the table.
        let memory = self.memory();
        let Some(start) = memory.start().filter(|start| clock.at_least(*start)) else {
            return;
        };
        self.guess.learn(held.meta.epoch.at_least(start));
        for (cell, read) in cells.iter().zip(&held.tags) {
            if let Some(read) = read.filter(|read| read.inc == clock.inc) {
                let (hard, soft) = memory.of_tag(cell.tag());
                self.local
                    .learn(cell, read.hard.max(hard), read.soft.max(soft));
            }
        }
    }
}

/// A running guess: are the records that are read mostly younger than what memory reaches back to?
#[derive(Debug)]
pub(super) struct Guess(AtomicU8);

impl Default for Guess {
    fn default() -> Self {
        Self(AtomicU8::new(u8::MAX))
    }
}

impl Guess {
    fn is_good(&self) -> bool {
        self.0.load(Ordering::Relaxed) > u8::MAX / 2
    }

    /// A failure weighs as much as several successes: it costs a round trip more.
    fn learn(&self, younger: bool) {
        let now = self.0.load(Ordering::Relaxed);
        let next = if younger {
            now.saturating_add(8)
        } else {
            now / 2
        };
        if next != now {
            self.0.store(next, Ordering::Relaxed);
        }
    }
}
