//! The checker: decides whether a read kept the promise of its level.
//!
//! It is fed a history in the order of time (see [`crate::order`]): an invalidation at the moment when it
//! was confirmed, a read at the moment when it began. Of each key it keeps *floors*: the least version
//! that a read may see from then on.
//!
//! | a read that begins at `t` may see nothing older than what was confirmed | promise |
//! |---|---|
//! | before `t − Δ`, by anyone | [`Promise::Bound`] |
//! | before `t`, and everyone was waited for | [`Promise::Everywhere`] |
//! | before `t`, in this process | [`Promise::Own`] |
//! | before `t`, by anyone, if it is strict | [`Promise::Strict`] |
//! | by the receipt that it holds | [`Promise::Receipt`] |
//! | before `t`, with an epoch up to that of the receipt | [`Promise::UpToReceipt`] |
//!
//! A version is older if its load asked the source before the source was changed, so before the
//! invalidation was called: what is reported here is always a broken promise. A soft invalidation binds
//! only answers that do not say of themselves that they are stale.
//!
//! What Redis itself may have lost is told to it, and excuses what the protocol excepts ([`crate::excuse`]): a read that breaks no promise
//! but those that rest on what may be lost. It is counted, and is no violation. Of what was lost for sure, it counts the reads of witnesses that
//! nothing but its repetition kept from the old value.
//!
//! Must not: wait, read a clock or do I/O.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;

use crate::excuse::{Exception, Excuse};

use crate::record::{Confirmed, Held, Level, Process, Read};
use crate::stamp::Stamp;
use crate::world::{ALL_KEYS, KEYS};

/// Of each key so many invalidations are remembered for session reads.
const REMEMBERED: usize = 128;

/// Which promise a read broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Promise {
    /// G(Δ).
    Bound,
    /// After `everywhere()`, no Δ.
    Everywhere,
    /// In the process that invalidated, no Δ.
    Own,
    /// G(0).
    Strict,
    /// What the receipt stands for.
    Receipt,
    /// What came before the receipt.
    UpToReceipt,
    /// The value of the key that was asked for.
    RightKey,
}

/// A read that saw what it must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Who read.
    pub process: Process,
    /// The read.
    pub read: Read,
    /// What it broke.
    pub promise: Promise,
    /// The least that it should have seen, and who had confirmed that, when.
    pub floor: Floor,
}

/// What the checker says to a read that kept its promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Something young bound it: the check was not idle.
    pub binding: bool,
    /// It saw what is older than the newest confirmed, as its level allows.
    pub lagging: bool,
    /// It saw what is older than it should, and Redis may have lost what should have kept it from that.
    pub excused: Option<Exception>,
    /// What kept it from the old value of a witness was lost with a primary, and has been repeated.
    pub repeated: bool,
}

/// The least version that may be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    /// The version.
    pub version: u64,
    /// Since when it binds.
    pub since: Stamp,
    /// Who asked for it: the process.
    pub by: Process,
    /// When it was confirmed: with the process, its name.
    pub confirmed: Stamp,
    /// When it was asked for.
    pub called: Stamp,
}

impl Floor {
    fn raise(&mut self, to: Self) {
        if to.version > self.version {
            *self = to;
        }
    }
}

/// The floors of one key under one promise.
#[derive(Clone, Copy, Debug, Default)]
struct Floors {
    /// For every answer.
    hard: Floor,
    /// For answers that don't say that they are stale.
    fresh: Floor,
}

impl Floors {
    fn raise(&mut self, soft: bool, to: Floor) {
        if !soft {
            self.hard.raise(to);
        }
        self.fresh.raise(to);
    }

    fn of(&self, read: &Read) -> Floor {
        if read.stale { self.hard } else { self.fresh }
    }
}

#[derive(Debug, Default)]
struct Key {
    bound: Floors,
    everywhere: Floors,
    strict: Floors,
    /// The latest confirmed, for session reads.
    latest: VecDeque<Remembered>,
}

#[derive(Clone, Copy, Debug)]
struct Remembered {
    inc: u64,
    tick: u64,
    soft: bool,
    everywhere: bool,
    floor: Floor,
}

/// Binds when Δ is over.
#[derive(Debug)]
struct Due {
    key: u8,
    soft: bool,
    floor: Floor,
}

/// See the module.
#[derive(Debug)]
pub struct Checker {
    delta: Stamp,
    /// A floor binds a read if it is no older than this.
    young: Stamp,
    keys: Vec<Key>,
    own: HashMap<(Process, u8), Floors>,
    due: VecDeque<Due>,
    /// By the number of the fault.
    excuses: BTreeMap<u32, Vec<Excuse>>,
    /// Invalidations that were lost for sure as far as was known when they were told: by which fault, called and confirmed when.
    lost: Vec<(u32, Stamp, Stamp)>,
}

impl Checker {
    /// A checker of the promise G(`delta`). A read counts as bound if what binds it is younger than
    /// `young`.
    pub fn new(delta: Stamp, young: Stamp) -> Self {
        Self {
            delta,
            young,
            keys: (0..ALL_KEYS).map(|_| Key::default()).collect(),
            own: HashMap::new(),
            due: VecDeque::new(),
            excuses: BTreeMap::new(),
            lost: Vec::new(),
        }
    }

    /// What a fault excuses, as far as it is known by now; it is told again when more is.
    pub fn excuse(&mut self, fault: u32, excuses: Vec<Excuse>) {
        self.excuses.insert(fault, excuses);
    }

    /// How many invalidations a primary has confirmed while its replicas were held back.
    pub fn confirmed_while_held(&self) -> usize {
        let lost = self.lost.iter();
        lost.filter(|(fault, called, confirmed)| {
            let excuses = self.excuses.get(fault).into_iter().flatten();
            excuses
                .clone()
                .any(|excuse| excuse.lost_for_sure(*called, *confirmed))
        })
        .count()
    }

    /// An invalidation was confirmed. Reads that began at that very moment come before it.
    pub fn confirmed(&mut self, process: Process, what: &Confirmed) {
        let (called, confirmed) = (what.called, what.confirmed);
        for (fault, excuses) in &self.excuses {
            if excuses
                .iter()
                .any(|excuse| excuse.lost_for_sure(called, confirmed))
            {
                self.lost.push((*fault, called, confirmed));
            }
        }
        for &(key, version) in &what.named {
            let floor = Floor {
                version,
                since: what.confirmed,
                by: process,
                confirmed: what.confirmed,
                called: what.called,
            };
            let Some(state) = self.keys.get_mut(usize::from(key)) else {
                continue;
            };
            state.strict.raise(what.soft, floor);
            if what.everywhere {
                state.everywhere.raise(what.soft, floor);
            }
            self.own
                .entry((process, key))
                .or_default()
                .raise(what.soft, floor);
            if state.latest.len() == REMEMBERED {
                state.latest.pop_front();
            }
            state.latest.push_back(Remembered {
                inc: what.inc,
                tick: what.tick,
                soft: what.soft,
                everywhere: what.everywhere,
                floor,
            });
            self.due.push_back(Due {
                key,
                soft: what.soft,
                floor: Floor {
                    since: what.confirmed + self.delta,
                    ..floor
                },
            });
        }
    }

    /// A read.
    ///
    /// # Errors
    ///
    /// The violation, if it is one.
    pub fn read(&mut self, process: Process, read: &Read) -> Result<Kept, Box<Violation>> {
        self.bind_until(read.began);
        let broken = |promise, floor| {
            Err(Box::new(Violation {
                process,
                read: *read,
                promise,
                floor,
            }))
        };
        let Some(state) = self.keys.get(usize::from(read.key)) else {
            return broken(Promise::RightKey, Floor::default());
        };
        if read.of != read.key {
            return broken(Promise::RightKey, Floor::default());
        }
        let (mut binding, mut excused, mut repeated) = (false, None, false);
        for (promise, floor) in self.promises(process, read, state).into_iter().flatten() {
            if read.version < floor.version {
                match self.judge(process, read, state, promise, floor) {
                    Ok(exception) => excused = excused.max(Some(exception)),
                    Err(floor) => return broken(promise, floor),
                }
            } else if read.key >= KEYS {
                let mut excuses = self.excuses.values().flatten();
                repeated |= excuses.any(|excuse| excuse.shows(promise, &floor, read, self.delta));
            }
            binding |= floor.version > 0 && read.began.saturating_sub(floor.since) < self.young;
        }
        Ok(Kept {
            binding,
            lagging: read.version < state.strict.of(read).version,
            excused,
            repeated: repeated && excused.is_none(),
        })
    }

    /// By which exception a broken promise is excused; else the floor that nothing excuses.
    fn judge(
        &self,
        process: Process,
        read: &Read,
        state: &Key,
        promise: Promise,
        floor: Floor,
    ) -> Result<Exception, Floor> {
        let floor = match (promise, read.held) {
            // The receipt does not tell when it was asked for.
            (Promise::Receipt, Some(held)) => state.of_receipt(held).unwrap_or(floor),
            _ => floor,
        };
        let exception = self.excused(promise, &floor, read).ok_or(floor)?;
        // What was confirmed at another time binds all the same.
        let rest = state.latest.iter().filter(|r| {
            let binds = match promise {
                Promise::Bound => r.floor.confirmed + self.delta < read.began,
                Promise::Everywhere => r.everywhere,
                Promise::Own => r.floor.by == process,
                Promise::Strict => true,
                Promise::UpToReceipt => read.held.is_some_and(|held| r.is_up_to(held)),
                // It is about one alone.
                Promise::Receipt | Promise::RightKey => false,
            };
            binds && !(r.soft && read.stale) && self.excused(promise, &r.floor, read).is_none()
        });
        match rest.map(|r| r.floor).max_by_key(|floor| floor.version) {
            Some(rest) if read.version < rest.version => Err(rest),
            _ => Ok(exception),
        }
    }

    fn excused(&self, promise: Promise, floor: &Floor, read: &Read) -> Option<Exception> {
        let covers = |excuse: &&Excuse| excuse.covers(promise, floor, read, self.delta);
        let all = self.excuses.values().flatten().filter(covers);
        all.map(|excuse| excuse.exception).min()
    }

    /// What a read must see, promise by promise.
    fn promises(
        &self,
        process: Process,
        read: &Read,
        state: &Key,
    ) -> [Option<(Promise, Floor)>; 6] {
        let own = self.own.get(&(process, read.key));
        let strict = read.level == Level::Strict;
        let held = read.held.filter(|held| !(held.soft && read.stale));
        let up_to = read.held.and_then(|held| state.up_to(read, held));
        [
            Some((Promise::Bound, state.bound.of(read))),
            Some((Promise::Everywhere, state.everywhere.of(read))),
            own.map(|own| (Promise::Own, own.of(read))),
            strict.then(|| (Promise::Strict, state.strict.of(read))),
            held.map(|held| (Promise::Receipt, received(held))),
            up_to.map(|floor| (Promise::UpToReceipt, floor)),
        ]
    }

    /// Lets what was confirmed more than Δ before `now` bind everyone.
    fn bind_until(&mut self, now: Stamp) {
        while let Some(due) = self.due.pop_front_if(|due| due.floor.since < now) {
            if let Some(state) = self.keys.get_mut(usize::from(due.key)) {
                state.bound.raise(due.soft, due.floor);
            }
        }
    }
}

impl Key {
    /// The most that was confirmed with an epoch up to the receipt's.
    fn up_to(&self, read: &Read, held: Held) -> Option<Floor> {
        self.latest
            .iter()
            .filter(|r| r.is_up_to(held) && !(r.soft && read.stale))
            .map(|r| r.floor)
            .max_by_key(|floor| floor.version)
    }

    fn of_receipt(&self, held: Held) -> Option<Floor> {
        let given = |r: &&Remembered| r.inc == held.inc && r.tick == held.tick;
        let found = self.latest.iter().find(given);
        // It may be about another version of this key, where several share it.
        found.map(|r| Floor {
            version: held.version,
            ..r.floor
        })
    }
}

impl Remembered {
    fn is_up_to(&self, held: Held) -> bool {
        self.inc == held.inc && self.tick <= held.tick
    }
}

/// The receipt as a floor; who got it is not told.
fn received(held: Held) -> Floor {
    Floor {
        version: held.version,
        since: held.given,
        by: 0,
        confirmed: held.given,
        called: held.given,
    }
}

#[cfg(test)]
mod tests;
