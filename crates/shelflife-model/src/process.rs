//! A process: memory, L1, the window, and how far it has followed the log.
//!
//! Memory and the follower are the engine's own; this room only says when they are asked.

use std::sync::Arc;

use shelflife::Epoch;
use shelflife::protocol::{Floor, Follower, Memory, TagRecord, Touched, good_for};

use crate::flight::Flight;
use crate::guard::Guard;
use crate::rules::Rules;
use crate::server::{Calls, Logged};
use crate::what::{KEY, TAGS, What, tags};

/// Hard and soft tick of a tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Cell {
    pub(crate) hard: u64,
    pub(crate) soft: u64,
}

impl Cell {
    fn tell(&mut self, rules: &Rules, tick: u64, soft: bool) {
        let cell = if soft { &mut self.soft } else { &mut self.hard };
        *cell = if rules.has(Guard::RaiseByMax) {
            tick.max(*cell)
        } else {
            tick
        };
    }
}

/// The entry of L1. Its cells are as young as they can be: nobody else holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Resident {
    /// Whose insertion it was.
    pub(crate) token: u8,
    pub(crate) version: u8,
    pub(crate) since: Epoch,
    pub(crate) good: Epoch,
    pub(crate) ready: bool,
    pub(crate) softened: bool,
    pub(crate) cells: [Cell; TAGS],
}

impl Resident {
    /// What it is worth: `No` as it is, `Soft` as stale.
    pub(crate) fn touched(&self) -> Touched {
        let tick = self.since.tick;
        if !self.ready || self.cells.iter().any(|cell| cell.hard > tick) {
            Touched::Hard
        } else if self.softened || self.cells.iter().any(|cell| cell.soft > tick) {
            Touched::Soft
        } else {
            Touched::No
        }
    }
}

/// A beat under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Beat {
    pub(crate) sent: u8,
    pub(crate) applied: Epoch,
    /// Of memory, when it was sent: another one later means that its answer is dropped.
    pub(crate) generation: u64,
    pub(crate) answer: Option<BeatAnswer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BeatAnswer {
    pub(crate) clock: Epoch,
    pub(crate) last_logged: u64,
    pub(crate) primary: u8,
}

/// Where a process is with its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tail {
    /// Between two entries.
    Idle,
    /// In the middle of one: its first step is done.
    First(Logged),
    /// Its second step is done.
    Second(Logged),
    /// It can't be followed: the position is to be asked for.
    Lost,
    /// The position is known; sent when.
    Position(BeatAnswer, u8),
    /// The first step of beginning there is done.
    Begun(BeatAnswer, u8),
    /// The second.
    Dropped(BeatAnswer, u8),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) memory: Arc<Memory>,
    pub(crate) follower: Option<Arc<Follower>>,
    /// The primary that it follows.
    pub(crate) primary: u8,
    pub(crate) applied: Option<Epoch>,
    pub(crate) tail: Tail,
    /// Until when L1 may be trusted.
    pub(crate) window: u8,
    pub(crate) beat: Option<Beat>,
    pub(crate) l1: Option<Resident>,
    pub(crate) flight: Option<Flight>,
    /// The tag table of the local path.
    pub(crate) table: [Option<TagRecord>; TAGS],
    /// What memory knows of each tag, for the table.
    pub(crate) told: [Cell; TAGS],
    /// Whose invalidations it knows, for the promise.
    pub(crate) known: Calls,
}

impl Process {
    /// Whether L1 may be trusted.
    pub(crate) fn window_open(&self, rules: &Rules, now: u8) -> bool {
        now < self.window || !rules.has(Guard::WindowOnL1)
    }

    /// Memory's answer.
    pub(crate) fn touched(&self, rules: &Rules, since: Epoch) -> Touched {
        let mut since = since;
        if let Some(start) = self.memory.start() {
            if since.inc != start.inc && !rules.has(Guard::OtherIncTouched) {
                since = Epoch::new(start.inc, since.tick.max(start.tick));
            }
            if since.inc == start.inc && !rules.has(Guard::MemoryStart) {
                since.tick = since.tick.max(start.tick);
            }
        }
        self.memory.touched(KEY, tags(), since)
    }

    /// Whether a result is good for a read with that floor.
    pub(crate) fn good_for(&self, rules: &Rules, floor: Floor, good: Epoch) -> Touched {
        good_for(floor, good, self.applied, |since| {
            self.touched(rules, since)
        })
    }

    /// Memory is told of an invalidation.
    pub(crate) fn note(&mut self, rules: &Rules, epoch: Epoch, what: What) {
        Arc::make_mut(&mut self.memory).note(epoch, what.invalidation());
        if rules.scenario.local_path
            && let Some(tag) = what.tag()
            && self.memory.start().is_some_and(|s| s.inc == epoch.inc)
        {
            let cell = &mut self.told[tag];
            let soft = what.is_soft();
            let tick = if soft { &mut cell.soft } else { &mut cell.hard };
            *tick = epoch.tick.max(*tick);
        }
    }

    /// L1, its cells and the table are told.
    pub(crate) fn apply(&mut self, rules: &Rules, epoch: Epoch, what: What) {
        if let Some(tag) = what.tag() {
            if let Some(resident) = &mut self.l1 {
                resident.cells[tag].tell(rules, epoch.tick, what.is_soft());
            }
            if let Some(record) = &mut self.table[tag] {
                let mut cell = Cell {
                    hard: record.hard,
                    soft: record.soft,
                };
                cell.tell(rules, epoch.tick, what.is_soft());
                (record.hard, record.soft) = (cell.hard, cell.soft);
            }
        }
        let older = |r: &Resident| !r.good.at_least(epoch);
        if what.names_key() && self.l1.as_ref().is_some_and(older) {
            if what.is_soft() {
                self.l1.iter_mut().for_each(|r| r.softened = true);
            } else {
                self.l1 = None;
            }
        }
    }

    /// The log can't be followed any more: the window closes at once, and beats under way are dropped.
    pub(crate) fn lose_log(&mut self) {
        Arc::make_mut(&mut self.memory).forget_beats();
        self.window = 0;
        self.applied = None;
        self.follower = None;
        self.tail = Tail::Lost;
    }

    /// Memory begins at the position of a resync.
    pub(crate) fn begin_memory(&mut self, position: Epoch) {
        Arc::make_mut(&mut self.memory).restart_at(position);
        let newer = |tick: u64| if tick > position.tick { tick } else { 0 };
        for cell in &mut self.told {
            *cell = Cell {
                hard: newer(cell.hard),
                soft: newer(cell.soft),
            };
        }
    }

    /// L1, cells and table are dropped.
    pub(crate) fn drop_local(&mut self) {
        self.l1 = None;
        self.table = [None; TAGS];
    }

    /// The log has been applied up to there.
    pub(crate) fn has_applied(&mut self, epoch: Epoch) {
        let Some(follower) = &mut self.follower else {
            return;
        };
        let end = Arc::make_mut(follower).has_applied(epoch);
        self.applied = Some(epoch);
        if let Some(end) = end {
            self.open_until(end);
        }
    }

    /// L1 may be trusted until then.
    pub(crate) fn open_until(&mut self, end: shelflife::protocol::Moment) {
        self.window = self.window.max(u8::try_from(end.0).unwrap_or(u8::MAX));
    }
}
