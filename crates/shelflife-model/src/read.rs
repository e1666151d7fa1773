//! Reads: their floor, L1, the flight they wait for, and the promise that is kept or broken (PROTOCOL §1, §4).

use shelflife::protocol::{Floor, Touched};

use crate::flight::{Flight, Offer};
use crate::guard::Guard;
use crate::rules::Rules;
use crate::scenario::Level;
use crate::server::Calls;
use crate::tail::DELTA;
use crate::world::{Broken, World};

/// How often a read starts over before it loads alone, which is always right and so the end of it here.
const TRIES: u8 = 2;

/// Where a read is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    Idle,
    /// It has begun; its floor is to be read from the primary.
    Floor,
    /// L1 is next, then a flight.
    Near,
    Waiting,
    /// The flight has landed.
    Offered(Offer),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reader {
    pub(crate) phase: Phase,
    pub(crate) floor: Floor,
    pub(crate) tries: u8,
    /// The calls that it must honour, fixed when it begins.
    pub(crate) must: Calls,
}

impl Reader {
    pub(crate) const IDLE: Self = Self {
        phase: Phase::Idle,
        floor: Floor::LOCAL,
        tries: 0,
        must: 0,
    };

    fn done(&mut self) {
        *self = Self {
            phase: Phase::Done,
            ..Self::IDLE
        };
    }
}

impl World {
    /// Which calls a read that begins now must honour. PROTOCOL §1: what its process knows; what is due
    /// everywhere; for a strict one all that has returned; for a session all up to its receipt.
    fn must(&self, p: usize, level: Level) -> Calls {
        let mut must = self.procs[p].known;
        for (i, call) in self.calls.iter().enumerate() {
            let due = call
                .ok_at
                .is_some_and(|at| call.everywhere || self.now >= at + DELTA);
            let by_level = match level {
                Level::Bounded => false,
                Level::Strict => call.ok_at.is_some(),
                Level::Session(own) => {
                    let receipt = self.calls[own].epoch;
                    call.epoch
                        .is_some_and(|e| receipt.is_some_and(|r| r.at_least(e)))
                }
            };
            if (due || by_level) && !call.excused {
                must |= 1 << i;
            }
        }
        must
    }

    pub(crate) fn start_read(&mut self, rules: &Rules, r: usize) -> bool {
        let (p, level) = rules.scenario.readers[r];
        let receipt = match level {
            Level::Session(call) => match self.calls[call].epoch {
                Some(epoch) if self.calls[call].ok_at.is_some() => Some(epoch),
                _ => return false,
            },
            Level::Bounded | Level::Strict => None,
        };
        let open = self.procs[p].window_open(rules, self.now);
        let must = self.must(p, level);
        let reader = &mut self.readers[r];
        reader.must = must;
        reader.phase = if level != Level::Strict && open {
            reader.floor.epoch = receipt;
            Phase::Near
        } else {
            Phase::Floor
        };
        true
    }

    pub(crate) fn read_floor(&mut self, rules: &Rules, r: usize) -> bool {
        let clock = self.server.control.read_clock(rules, &mut self.ids);
        self.readers[r].floor = Floor::at(clock);
        self.readers[r].phase = Phase::Near;
        true
    }

    /// L1; if it does not answer, a flight is joined or started.
    pub(crate) fn look_near(&mut self, rules: &Rules, r: usize) -> bool {
        let p = rules.scenario.readers[r].0;
        let floor = self.readers[r].floor;
        let process = &self.procs[p];
        let reaches = floor
            .epoch
            .is_none_or(|f| process.applied.is_some_and(|a| a.at_least(f)));
        let trusted = process.window_open(rules, self.now) && reaches;
        let near = process.l1.filter(|_| trusted).map(|l1| (l1, l1.touched()));
        match near {
            Some((l1, Touched::No)) => self.answer(r, l1.version, false),
            Some((l1, Touched::Soft)) => {
                self.answer(r, l1.version, true);
                if self.procs[p].flight.is_none() && self.left.loads > 0 {
                    self.procs[p].flight = Some(Flight::start(rules, None, false));
                }
            }
            Some((_, Touched::Hard)) | None => {
                let mine = (floor.local && reaches) || !rules.has(Guard::LocalPath);
                let local = rules.scenario.local_path
                    && mine
                    && self.readers[r].tries == 0
                    && process.window_open(rules, self.now)
                    && (rules.scenario.memory_first || process.table.iter().all(Option::is_some));
                self.readers[r].phase = Phase::Waiting;
                let leader = u8::try_from(r).ok();
                self.procs[p]
                    .flight
                    .get_or_insert_with(|| Flight::start(rules, leader, local));
            }
        }
        true
    }

    /// A read is offered what its flight landed with.
    pub(crate) fn take(&mut self, rules: &Rules, r: usize, offer: Offer) -> bool {
        let p = rules.scenario.readers[r].0;
        let floor = self.readers[r].floor;
        let touched = if rules.has(Guard::WaitersQuestion) {
            self.procs[p].good_for(rules, floor, offer.good)
        } else {
            Touched::No
        };
        if touched != Touched::Hard {
            self.answer(r, offer.version, offer.stale || touched == Touched::Soft);
            return true;
        }
        let reader = &mut self.readers[r];
        reader.tries += 1;
        if reader.tries == TRIES {
            reader.done();
            return true;
        }
        reader.phase = Phase::Near;
        if !rules.has(Guard::FloorKept) {
            reader.floor = Floor::LOCAL;
        }
        true
    }

    /// A read has its answer: the promise is kept, or broken.
    pub(crate) fn answer(&mut self, r: usize, version: u8, stale: bool) {
        let must = self.readers[r].must;
        for (i, call) in self.calls.iter().enumerate() {
            let honours = match call.what.touches() {
                Touched::No => false,
                Touched::Soft => !stale,
                Touched::Hard => true,
            };
            if must & (1 << i) != 0 && honours && version < call.version {
                self.broken = Some(Broken {
                    reader: r,
                    call: i,
                    version,
                });
            }
        }
        self.readers[r].done();
    }
}
