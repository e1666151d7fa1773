//! How a flight ends: the tags ensured, the record filled, L1 told, and those who wait.

use shelflife::Epoch;
use shelflife::protocol::TagRecord;

use super::{Flight, Offer, Step, resident};
use crate::guard::Guard;
use crate::read::Phase;
use crate::rules::Rules;
use crate::world::World;

impl World {
    pub(super) fn ensure(&mut self, rules: &Rules, p: usize, mut flight: Flight) -> bool {
        let control = &mut self.server.control;
        let clock = control.ensure_tags(rules, &mut self.ids);
        let Some(since) = flight.since else {
            return false;
        };
        let newer = |t: &TagRecord| t.hard > since.tick || t.soft > since.tick;
        let other = |t: &TagRecord| t.inc != since.inc && rules.has(Guard::TagsInc);
        let newer = control.tags.iter().flatten().any(|t| newer(t) || other(t));
        let refused = (newer || clock.inc != since.inc) && rules.has(Guard::SkipIfNewer);
        flight.good = Some(if refused { since } else { clock });
        let filled = !rules.has(Guard::GoodAfterEnsure);
        flight.step = match (refused, filled) {
            (true, _) => Step::Release,
            (false, true) => return self.keep(p, flight, clock),
            (false, false) => Step::Fill,
        };
        self.procs[p].flight = Some(flight);
        true
    }

    pub(super) fn fill(&mut self, rules: &Rules, p: usize, mut flight: Flight) -> bool {
        let (Some(since), Some(version)) = (flight.since, flight.version) else {
            return false;
        };
        let entries = &mut self.server.entries;
        let accepted = entries.holds(flight.token) || !rules.has(Guard::FillToken);
        if accepted {
            entries.store(flight.token, version, since);
        }
        if !rules.has(Guard::GoodAfterEnsure) && accepted {
            flight.step = Step::Ensure;
            self.procs[p].flight = Some(flight);
            return true;
        }
        match flight
            .good
            .filter(|_| accepted || !rules.has(Guard::RejectedOrLost))
        {
            Some(clock) => self.keep(p, flight, clock),
            None => {
                flight.good = Some(since);
                self.land_load(rules, p, &flight)
            }
        }
    }

    /// A fill whose request never arrives: for the process, lost.
    pub(crate) fn lose_fill(&mut self, rules: &Rules, p: usize, arrives: bool) -> bool {
        let Some(mut flight) = self.procs[p].flight.take() else {
            return false;
        };
        let (Some(since), Some(version), true) =
            (flight.since, flight.version, flight.step == Step::Fill)
        else {
            return false;
        };
        if arrives && self.server.entries.holds(flight.token) {
            self.server.entries.store(flight.token, version, since);
        }
        match flight.good.filter(|_| !rules.has(Guard::RejectedOrLost)) {
            Some(clock) => self.keep(p, flight, clock),
            None => {
                flight.good = Some(since);
                self.land_load(rules, p, &flight)
            }
        }
    }

    /// What was loaded goes into L1.
    pub(super) fn keep(&mut self, p: usize, mut flight: Flight, good: Epoch) -> bool {
        let (Some(since), Some(version)) = (flight.since, flight.version) else {
            return false;
        };
        flight.good = Some(good);
        let resident = resident(flight.token, version, since, good, false);
        flight.step = Step::Insert(resident, true);
        self.procs[p].flight = Some(flight);
        true
    }

    pub(super) fn land_load(&mut self, rules: &Rules, p: usize, flight: &Flight) -> bool {
        let (Some(version), Some(good)) = (flight.version, flight.good) else {
            return false;
        };
        let offer = Offer {
            version,
            good,
            stale: false,
        };
        self.land(rules, p, offer, flight.leader);
        true
    }

    /// Whoever waits is offered the result. Who led the load takes it: it began after the read did.
    pub(super) fn land(&mut self, rules: &Rules, p: usize, offer: Offer, led: Option<u8>) {
        for r in 0..self.readers.len() {
            if rules.scenario.readers[r].0 != p || self.readers[r].phase != Phase::Waiting {
                continue;
            }
            if led.is_some_and(|led| usize::from(led) == r) {
                self.answer(r, offer.version, offer.stale);
            } else {
                self.readers[r].phase = Phase::Offered(offer);
            }
        }
    }

    pub(super) fn look_again(&mut self, rules: &Rules, p: usize) {
        for (r, reader) in self.readers.iter_mut().enumerate() {
            if rules.scenario.readers[r].0 == p && reader.phase == Phase::Waiting {
                reader.phase = Phase::Near;
            }
        }
    }
}
