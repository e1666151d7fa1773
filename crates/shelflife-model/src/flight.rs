//! A flight: L2, the lease, the load, the fill, L1 (PROTOCOL §4).
//!
//! Every step is atomic on one shard, or within the process. The order of the steps of a load is data:
//! a guard that is off changes the order.

use shelflife::Epoch;
use shelflife::protocol::{Meta, TagRecord, Touched, Validity, validity};

use crate::guard::Guard;
use crate::process::{Cell, Resident};
use crate::read::Phase;
use crate::rules::Rules;
use crate::server::{Record, Stored};
use crate::what::{TAGS, shared_tags, tags};
use crate::world::World;

mod ending;

/// What a flight lands with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Offer {
    pub(crate) version: u8,
    pub(crate) good: Epoch,
    pub(crate) stale: bool,
}

/// The next step of a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// The local path: `applied` is noted.
    Note,
    /// The clock is read on the primary.
    Clock,
    /// The entry is read.
    Get,
    /// The records of its tags are read.
    Tags,
    /// What was read is judged, and the table told.
    Weigh([Option<TagRecord>; TAGS]),
    /// What the local path has read is judged by what the process knows.
    WeighLocal,
    /// A value is put into L1, not ready.
    Insert(Resident, bool),
    /// Memory is asked about it, then it is ready or removed.
    Ask(Resident, bool),
    Begin,
    Since,
    Load,
    Ensure,
    Fill,
    /// The lease is given back.
    Release,
}

/// The order of the steps of a load.
fn order(rules: &Rules) -> [Step; 5] {
    use Step::{Begin, Ensure, Fill, Load, Since};
    if !rules.has(Guard::SinceBeforeLoad) {
        [Begin, Load, Since, Ensure, Fill]
    } else if !rules.has(Guard::LoadAfterGranted) {
        [Since, Load, Begin, Ensure, Fill]
    } else if !rules.has(Guard::GoodAfterEnsure) {
        [Begin, Since, Load, Fill, Ensure]
    } else {
        [Begin, Since, Load, Ensure, Fill]
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flight {
    /// The read that leads it; none for a refresh in the background.
    pub(crate) leader: Option<u8>,
    pub(crate) step: Step,
    pub(crate) local: bool,
    /// Up to where what is read is known good.
    pub(crate) good: Option<Epoch>,
    /// What the GET found.
    pub(crate) record: Option<Record>,
    pub(crate) token: u8,
    /// S.
    pub(crate) since: Option<Epoch>,
    /// What the load found.
    pub(crate) version: Option<u8>,
}

impl Flight {
    pub(crate) fn start(rules: &Rules, leader: Option<u8>, local: bool) -> Self {
        Self {
            leader,
            step: match local {
                true => Step::Note,
                false if rules.has(Guard::GoodIsClockBeforeGet) => Step::Clock,
                false => Step::Get,
            },
            local,
            good: None,
            record: None,
            token: 0,
            since: None,
            version: None,
        }
    }

    fn again(&self, rules: &Rules) -> Self {
        Self::start(rules, self.leader, false)
    }

    /// On to the next step of the load.
    fn on(&mut self, rules: &Rules) {
        let order = order(rules);
        let at = order.iter().position(|step| *step == self.step);
        if let Some(next) = at.and_then(|at| order.get(at + 1)) {
            self.step = *next;
        }
    }
}

/// What validity makes of a value against a view.
fn judge(
    rules: &Rules,
    record: Option<Record>,
    inc: u64,
    view: &[Option<TagRecord>; TAGS],
) -> Option<(Stored, bool)> {
    let stored = record?.value?;
    let mut epoch = stored.since;
    if !rules.has(Guard::RecordInc) {
        epoch.inc = inc;
    }
    let meta = Meta {
        fill: 1,
        epoch,
        created: 0,
        fresh_until: 1,
        stale_until: 1,
        cost: 0,
        schema: 0,
        softened: stored.softened,
        tags: shared_tags(),
    };
    let tag = |name: &shelflife::Tag| {
        let at = tags().iter().position(|tag| tag == name)?;
        let mut record = view[at];
        if record.is_none() && !rules.has(Guard::MissingTagIsDead) {
            record = Some(TagRecord {
                inc,
                hard: 0,
                soft: 0,
            });
        }
        if let Some(record) = &mut record
            && !rules.has(Guard::TagsInc)
        {
            record.inc = inc;
        }
        record
    };
    match validity(&meta, inc, tag, 0) {
        Validity::Fresh => Some((stored, false)),
        Validity::Stale(_) => Some((stored, true)),
        Validity::Dead(_) => None,
    }
}

impl World {
    /// The next step of a process's flight; `false` when there is none.
    pub(crate) fn fly(&mut self, rules: &Rules, p: usize) -> bool {
        let Some(mut flight) = self.procs[p].flight.take() else {
            return false;
        };
        let (control, ids) = (&mut self.server.control, &mut self.ids);
        match flight.step {
            Step::Note => {
                flight.good = self.procs[p].applied;
                flight.step = match flight.good {
                    Some(_) => Step::Get,
                    None => Step::Clock,
                };
                flight.local = flight.good.is_some();
            }
            Step::Clock => {
                flight.good = Some(control.read_clock(rules, ids));
                flight.step = match rules.has(Guard::GoodIsClockBeforeGet) {
                    true => Step::Get,
                    false => Step::Tags,
                };
            }
            Step::Get => {
                flight.record = self.server.entries.record;
                flight.step = match (flight.local, flight.good) {
                    (true, _) => Step::WeighLocal,
                    (false, Some(_)) => Step::Tags,
                    (false, None) => Step::Clock,
                };
            }
            Step::Tags => {
                let view = control.tags;
                if !rules.scenario.local_path {
                    return self.weigh(rules, p, flight, view);
                }
                flight.step = Step::Weigh(view);
            }
            Step::Weigh(view) => return self.weigh(rules, p, flight, view),
            Step::WeighLocal => {
                let view = self.view(rules, p, &flight);
                return self.weigh(rules, p, flight, view);
            }
            Step::Insert(resident, lands) => {
                let touched = self.procs[p].touched(rules, resident.good);
                if rules.has(Guard::AskAfterInsertion) {
                    self.procs[p].l1 = Some(resident);
                    flight.step = Step::Ask(resident, lands);
                } else {
                    let softened = resident.softened || touched == Touched::Soft;
                    let ready = touched != Touched::Hard;
                    flight.step = Step::Ask(
                        Resident {
                            ready,
                            softened,
                            ..resident
                        },
                        lands,
                    );
                }
            }
            Step::Ask(resident, lands) => return self.admit(rules, p, flight, resident, lands),
            Step::Begin => return self.place_lease(rules, p, flight),
            Step::Since => {
                let process = &self.procs[p];
                let open = process.window_open(rules, self.now);
                let newest = process
                    .memory
                    .newest()
                    .filter(|_| rules.scenario.memory_first);
                flight.since = match process.applied.filter(|_| open) {
                    Some(applied) => newest.filter(|n| n.at_least(applied)).or(Some(applied)),
                    None => Some(control.read_clock(rules, ids)),
                };
                flight.on(rules);
            }
            Step::Load => {
                flight.version = Some(self.source);
                flight.on(rules);
            }
            Step::Ensure => return self.ensure(rules, p, flight),
            Step::Fill => return self.fill(rules, p, flight),
            Step::Release => {
                self.server.entries.release(Some(flight.token));
                return self.land_load(rules, p, &flight);
            }
        }
        self.procs[p].flight = Some(flight);
        true
    }

    /// The tags of what the local path has read, as the process knows them.
    fn view(&self, rules: &Rules, p: usize, flight: &Flight) -> [Option<TagRecord>; TAGS] {
        let process = &self.procs[p];
        let value = flight.record.and_then(|record| record.value);
        let (Some(good), Some(value), true) = (flight.good, value, rules.scenario.memory_first)
        else {
            return process.table;
        };
        let start = process.memory.start().filter(|start| start.inc == good.inc);
        match start {
            Some(start) if value.since.at_least(start) || !rules.has(Guard::MemoryReaches) => {
                [0, 1].map(|at| {
                    let (hard, soft) = process.memory.of_tag(&tags()[at]);
                    Some(TagRecord {
                        inc: good.inc,
                        hard,
                        soft,
                    })
                })
            }
            Some(_) => process.table,
            None => [None; TAGS],
        }
    }

    /// Judges what L2 has.
    fn weigh(
        &mut self,
        rules: &Rules,
        p: usize,
        mut flight: Flight,
        view: [Option<TagRecord>; TAGS],
    ) -> bool {
        let Some(good) = flight.good else {
            return false;
        };
        let any = flight.record.is_some_and(|record| record.value.is_some());
        if flight.local && any && view.iter().any(Option::is_none) {
            self.procs[p].flight = Some(flight.again(rules));
            return true;
        }
        if rules.scenario.local_path && !flight.local {
            self.tell_table(rules, p, good, view);
        }
        let found = judge(rules, flight.record, good.inc, &view);
        flight.token = flight.record.map_or(0, |record| record.fill);
        flight.record = None;
        flight.step = order(rules)[0];
        if let Some((stored, stale)) = found {
            // What was loaded later than that honours more.
            let later = rules.scenario.memory_first && stored.since.at_least(good);
            let good = if later { stored.since } else { good };
            if stale && let Some(leader) = flight.leader.take() {
                // Served as stale; the refresh goes on without it.
                let version = stored.version;
                self.readers[usize::from(leader)].phase = Phase::Offered(Offer {
                    version,
                    good,
                    stale,
                });
            }
            let resident = resident(flight.token, stored.version, stored.since, good, stale);
            flight.step = Step::Insert(resident, !stale);
        }
        self.procs[p].flight = Some(flight);
        true
    }

    /// The tag table holds what was read from the primary, merged with what memory knows.
    fn tell_table(
        &mut self,
        rules: &Rules,
        p: usize,
        clock: Epoch,
        view: [Option<TagRecord>; TAGS],
    ) {
        let process = &mut self.procs[p];
        let start = process.memory.start();
        let known = start.is_some_and(|start| clock.at_least(start));
        if !known && rules.has(Guard::TableDiscard) {
            return;
        }
        for (at, record) in view.into_iter().enumerate() {
            process.table[at] = record.map(|record| {
                let old = process.table[at].filter(|old| old.inc == record.inc);
                let Cell { hard, soft } = process.told[at];
                let max = |new: u64, told: u64, old: u64| new.max(told).max(old);
                TagRecord {
                    inc: record.inc,
                    hard: max(record.hard, hard, old.map_or(0, |t| t.hard)),
                    soft: max(record.soft, soft, old.map_or(0, |t| t.soft)),
                }
            });
        }
    }

    /// The second half of an L1 insert.
    fn admit(
        &mut self,
        rules: &Rules,
        p: usize,
        mut flight: Flight,
        resident: Resident,
        lands: bool,
    ) -> bool {
        let touched = self.procs[p].touched(rules, resident.good);
        let process = &mut self.procs[p];
        if !rules.has(Guard::AskAfterInsertion) {
            if resident.ready {
                process.l1 = Some(resident);
            }
        } else if let Some(mine) = process.l1.as_mut().filter(|r| r.token == resident.token) {
            mine.ready = touched != Touched::Hard;
            mine.softened |= touched == Touched::Soft;
            if touched == Touched::Hard {
                process.l1 = None;
            }
        }
        if flight.version.is_some() {
            return self.land_load(rules, p, &flight);
        }
        if lands {
            let offer = Offer {
                version: resident.version,
                good: resident.good,
                stale: resident.softened,
            };
            self.land(rules, p, offer, None);
            return true;
        }
        flight.step = order(rules)[0];
        process.flight = Some(flight);
        true
    }

    /// Places our lease, if what was judged is still there and nobody else has one.
    fn place_lease(&mut self, rules: &Rules, p: usize, mut flight: Flight) -> bool {
        let there = self.server.entries.record;
        let seen = there.map_or(0, |record| record.fill);
        let held = there.is_some_and(|record| record.lease.is_some());
        if held && flight.leader.is_none() {
            // A background refresh just ends; who waited for it looks again.
            self.look_again(rules, p);
            return true;
        }
        if held || (seen != flight.token && rules.has(Guard::FillId)) {
            self.procs[p].flight = Some(flight.again(rules));
            return true;
        }
        if self.left.loads == 0 {
            return false;
        }
        self.left.loads -= 1;
        self.ids.token += 1;
        flight.token = self.ids.token;
        self.server.entries.lease(flight.token);
        flight.on(rules);
        self.procs[p].flight = Some(flight);
        true
    }
}

fn resident(token: u8, version: u8, since: Epoch, good: Epoch, softened: bool) -> Resident {
    Resident {
        token,
        version,
        since,
        good,
        ready: false,
        softened,
        cells: [Cell::default(); TAGS],
    }
}
