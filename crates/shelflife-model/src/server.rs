//! Redis as the protocol has it: a control slot and, elsewhere, the record of the key.
//!
//! Each function is one atomic step on one shard. Ticks come from nothing but what the server holds: its
//! TIME may stand still, or be behind. What the jump at a failover needs to know (every tick that can
//! have been handed out) is the model's to tell, as TIME and its margin do in the protocol.

use shelflife::Epoch;
use shelflife::protocol::TagRecord;

use crate::guard::Guard;
use crate::rules::Rules;
use crate::tail::DELTA;
use crate::what::{TAGS, What};
use crate::world::PROCESSES;

/// A set of calls, by number.
pub(crate) type Calls = u8;

/// Names handed out so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ids {
    pub(crate) inc: u64,
    /// The highest tick that was ever handed out.
    pub(crate) tick: u64,
    pub(crate) primary: u8,
    pub(crate) token: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    pub(crate) control: Control,
    pub(crate) entries: Entries,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Clock {
    pub(crate) epoch: Epoch,
    /// The primary that it knows to be on: the replid of the protocol.
    pub(crate) primary: u8,
}

/// An entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Logged {
    pub(crate) epoch: Epoch,
    pub(crate) prev: Option<Epoch>,
    pub(crate) what: What,
    /// Whose it is, for the promise.
    pub(crate) call: Option<u8>,
}

/// The completeness mark of the members' list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mark {
    /// When the list was begun.
    pub(crate) since: u8,
    /// In which incarnation.
    pub(crate) inc: u64,
    /// On which primary.
    pub(crate) primary: u8,
}

/// The members: three keys, each of which can be lost alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Members {
    pub(crate) mark: Option<Mark>,
    /// Up to which tick each has applied the log; `None` for one that has not, or is not there.
    pub(crate) applied: [Option<u64>; PROCESSES],
    /// When each has last beaten. The list may be there with nobody of ours on it: others are, who died
    /// long ago.
    pub(crate) beats: Option<[Option<u8>; PROCESSES]>,
}

impl Members {
    pub(crate) const NONE: Self = Self {
        mark: None,
        applied: [None; PROCESSES],
        beats: None,
    };
}

/// The control slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Control {
    pub(crate) primary: u8,
    pub(crate) clock: Option<Clock>,
    pub(crate) tags: [Option<TagRecord>; TAGS],
    pub(crate) log: Vec<Logged>,
    pub(crate) members: Members,
    /// Whose control script this state has seen, for the promise.
    pub(crate) logged: Calls,
}

/// A value as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stored {
    /// The version of the source that the load found.
    pub(crate) version: u8,
    pub(crate) since: Epoch,
    pub(crate) softened: bool,
}

/// The record of the key: a value, a lease, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    /// Names the fill; 0 without a value.
    pub(crate) fill: u8,
    pub(crate) value: Option<Stored>,
    pub(crate) lease: Option<u8>,
}

/// The shard of the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entries {
    pub(crate) primary: u8,
    pub(crate) record: Option<Record>,
    /// Whose steps on the entry this state has seen, for the promise.
    pub(crate) unlinked: Calls,
}

impl Control {
    /// What every control script does first. Gives the clock.
    pub(crate) fn script(&mut self, rules: &Rules, ids: &mut Ids) -> Epoch {
        let Some(clock) = self.clock else {
            return self.begin_clock(rules, ids);
        };
        if clock.primary == self.primary {
            return clock.epoch;
        }
        let mut epoch = clock.epoch;
        if rules.has(Guard::Jump) {
            epoch.tick = ids.tick + 1;
            ids.tick = epoch.tick;
            self.append(epoch, Some(clock.epoch), What::Nothing, None);
        }
        self.set_clock(epoch)
    }

    fn begin_clock(&mut self, rules: &Rules, ids: &mut Ids) -> Epoch {
        // As low as it can be: the tick of a new inc says nothing about the last one's.
        let tick = self.last_logged() + 1;
        ids.tick = ids.tick.max(tick);
        if !rules.has(Guard::MissingClockIsNewInc) {
            return self.set_clock(Epoch::new(ids.inc, tick));
        }
        ids.inc += 1;
        let epoch = Epoch::new(ids.inc, tick);
        self.append(epoch, None, What::Nothing, None);
        self.set_clock(epoch)
    }

    fn set_clock(&mut self, epoch: Epoch) -> Epoch {
        let primary = self.primary;
        self.clock = Some(Clock { epoch, primary });
        epoch
    }

    fn append(&mut self, epoch: Epoch, prev: Option<Epoch>, what: What, call: Option<u8>) {
        self.log.push(Logged {
            epoch,
            prev,
            what,
            call,
        });
    }

    /// The tick of the last entry of the log; 0 if there is none.
    pub(crate) fn last_logged(&self) -> u64 {
        self.log.last().map_or(0, |entry| entry.epoch.tick)
    }

    /// A plain read of the clock; one that finds none runs the script.
    pub(crate) fn read_clock(&mut self, rules: &Rules, ids: &mut Ids) -> Epoch {
        match self.clock {
            Some(clock) => clock.epoch,
            None => self.script(rules, ids),
        }
    }

    /// The control script of an invalidation.
    pub(crate) fn invalidate(
        &mut self,
        rules: &Rules,
        ids: &mut Ids,
        what: What,
        call: u8,
    ) -> Epoch {
        let prev = self.script(rules, ids);
        let epoch = Epoch::new(prev.inc, (prev.tick + 1).max(self.last_logged() + 1));
        ids.tick = ids.tick.max(epoch.tick);
        self.append(epoch, Some(prev), what, Some(call));
        self.set_clock(epoch);
        self.logged |= 1 << call;
        if let Some(tag) = what.tag() {
            let known = self.tags[tag].filter(|t| t.inc == epoch.inc || !rules.has(Guard::TagsInc));
            let mut record = known.unwrap_or(TagRecord {
                inc: epoch.inc,
                hard: epoch.tick,
                soft: 0,
            });
            record.inc = epoch.inc;
            let cell = if what.is_soft() {
                &mut record.soft
            } else {
                &mut record.hard
            };
            *cell = (*cell).max(epoch.tick);
            self.tags[tag] = Some(record);
        }
        epoch
    }

    /// `ensure_tags`: the clock; afterwards every tag has a record.
    pub(crate) fn ensure_tags(&mut self, rules: &Rules, ids: &mut Ids) -> Epoch {
        let clock = self.script(rules, ids);
        let hard = if rules.has(Guard::EnsureAtCurrentTick) {
            clock.tick
        } else {
            0
        };
        for record in &mut self.tags {
            let known = record.filter(|t| t.inc == clock.inc || !rules.has(Guard::TagsInc));
            *record = Some(known.unwrap_or(TagRecord {
                inc: clock.inc,
                hard,
                soft: 0,
            }));
        }
        clock
    }

    /// A beat of a process: what it has applied, or *none*. Gives the clock.
    pub(crate) fn beat(
        &mut self,
        rules: &Rules,
        ids: &mut Ids,
        process: usize,
        applied: Option<Epoch>,
        now: u8,
    ) -> Epoch {
        let clock = self.script(rules, ids);
        if applied.is_none() && !rules.has(Guard::JoinerAsNone) {
            return clock;
        }
        let ours = self.is_ours(rules, clock.inc);
        let members = &mut self.members;
        if !ours {
            *members = Members {
                mark: members.mark,
                ..Members::NONE
            };
        }
        let begun_anew = members.beats.is_none() && rules.has(Guard::MarkOfList);
        if !ours || begun_anew {
            members.mark = Some(Mark {
                since: now,
                inc: clock.inc,
                primary: self.primary,
            });
        }
        let comparable = |a: &Epoch| a.inc == clock.inc || !rules.has(Guard::EverywhereInc);
        members.applied[process] = applied.filter(comparable).map(|a| a.tick);
        let beats = members.beats.get_or_insert([None; PROCESSES]);
        beats[process] = Some(now);
        clock
    }

    /// Whether the list of members was begun in this incarnation and on this primary.
    fn is_ours(&self, rules: &Rules, inc: u64) -> bool {
        self.members.mark.is_some_and(|mark| {
            (mark.inc == inc || !rules.has(Guard::EverywhereInc))
                && (mark.primary == self.primary || !rules.has(Guard::MembersOfPrimary))
        })
    }

    /// Whether everybody on a complete list, whose window may be open, has applied an epoch.
    pub(crate) fn everyone_has(&self, rules: &Rules, epoch: Epoch, now: u8) -> bool {
        let Some(Clock { epoch: clock, .. }) = self.clock else {
            return false;
        };
        let Members {
            mark,
            applied,
            beats,
        } = self.members;
        let listed = beats.is_some() || !rules.has(Guard::MarkOfList);
        let old = mark.is_some_and(|mark| mark.since + DELTA <= now);
        let complete = old && self.is_ours(rules, clock.inc);
        let same = clock.inc == epoch.inc || !rules.has(Guard::EverywhereInc);
        let beats = beats.unwrap_or_default();
        let has = |p: usize| {
            let silent = beats[p].is_none_or(|beat| beat + DELTA < now);
            silent || applied[p].is_some_and(|tick| tick >= epoch.tick)
        };
        listed
            && (complete || !rules.has(Guard::CompletenessMark))
            && same
            && (0..PROCESSES).all(has)
    }
}

impl Entries {
    /// Takes a key away, whatever it holds.
    pub(crate) fn unlink(&mut self) {
        self.record = None;
    }

    /// Marks a value soft and clears the lease, in place.
    pub(crate) fn soften(&mut self) {
        self.record = self.record.and_then(|record| {
            let value = Stored {
                softened: true,
                ..record.value?
            };
            Some(Record {
                value: Some(value),
                lease: None,
                ..record
            })
        });
    }

    /// Places a lease or a write token.
    pub(crate) fn lease(&mut self, token: u8) {
        let there = self.record.unwrap_or(Record {
            fill: 0,
            value: None,
            lease: None,
        });
        self.record = Some(Record {
            lease: Some(token),
            ..there
        });
    }

    /// Takes a lease away, the value stays.
    pub(crate) fn release(&mut self, token: Option<u8>) {
        if let Some(record) = &mut self.record
            && (token.is_none() || record.lease == token)
        {
            record.lease = None;
            if record.value.is_none() {
                self.record = None;
            }
        }
    }

    /// Whether a token is in the entry.
    pub(crate) fn holds(&self, token: u8) -> bool {
        self.record
            .is_some_and(|record| record.lease == Some(token))
    }

    /// Stores a value, named for its token.
    pub(crate) fn store(&mut self, token: u8, version: u8, since: Epoch) {
        self.record = Some(Record {
            fill: token,
            value: Some(Stored {
                version,
                since,
                softened: false,
            }),
            lease: None,
        });
    }
}
