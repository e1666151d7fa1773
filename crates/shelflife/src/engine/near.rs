//! What L1 has for a read.
//!
//! Must not: wait, or ask the store.

use std::sync::Arc;

use super::Engine;
use super::ask::{Answer, Ask, Level, Replace};
use super::due::Due;
use super::judge::schema_fits;
use crate::clock::Moment;
use crate::counters::Turn;
use crate::local::Resident;
use crate::reason::Reason;
use crate::status::{Outcome, Status, Tier};
use crate::validity::Validity;

/// What L1 has for a read.
pub(super) enum Near {
    Answer(Answer),
    /// Fresh, but it is time to refresh it.
    Early(Answer, u64),
    /// To be served as stale.
    Stale(Answer),
    /// Not trusted, or not for this floor: of use only when the source fails and the store is away.
    LastResort(Answer),
    Nothing,
}

impl Engine {
    /// The hot path: an entry of L1 that answers as it is.
    #[inline]
    pub(crate) fn hit(
        &self,
        key: &str,
        level: Level,
        schema: u32,
    ) -> Option<(Arc<Resident>, Moment)> {
        // Before the look-up: reading the clock waits for every load that is under way, and what the
        // window promises was applied to L1 before it said so.
        let (now, window) = (self.clock.now(), self.window());
        let resident = self.local.get(key)?;
        let answers = (level == Level::Bounded || self.store.is_private())
            && self.local.answers(&resident, now, window)
            && schema_fits(schema, resident.schema);
        if !answers {
            return None;
        }
        if self.counters.l1_hits.add() == Turn::Look {
            self.look_at(key, &resident);
        }
        Some((resident, now))
    }

    /// What L1 has for this read.
    pub(super) fn near(&self, ask: &Ask, due: Due) -> Near {
        if ask.replace != Replace::Nothing {
            return Near::Nothing;
        }
        // Read before the entry: what they promise was applied to L1 before they said so.
        let (window, applied) = (self.window(), self.applied());
        let Some(resident) = self.local.get(&ask.key) else {
            return Near::Nothing;
        };
        let now = self.clock.now();
        if !ask.kind.is(&resident.live) {
            return Near::Nothing;
        }
        let live = resident.live.clone();
        if !schema_fits(ask.policy.schema, resident.schema) {
            return Near::Nothing;
        }
        let status = near_status(&resident, now);
        let fresh = Answer {
            live: live.clone(),
            status,
        };
        let stale = |reason| Answer {
            live,
            status: status.stale(reason),
        };
        let window_open = now < window;
        let trusted = match due.floor.epoch {
            None => window_open && !due.needs_clock,
            Some(floor) => window_open && applied.is_some_and(|a| a.at_least(floor)),
        };
        match resident.validity(now) {
            Validity::Dead(_) => Near::Nothing,
            _ if !trusted => Near::LastResort(stale(Reason::LoadFailed)),
            Validity::Stale(reason) => Near::Stale(stale(reason)),
            Validity::Fresh if now < resident.refresh_at => Near::Answer(fresh),
            Validity::Fresh => Near::Early(fresh, resident.fill),
        }
    }

    /// A fresh resident as the answer of a read.
    pub(super) fn answer_near(
        &self,
        ask: &Ask,
        resident: &Resident,
        now: Moment,
    ) -> Option<Answer> {
        let live = resident.live.clone();
        let fits = ask.kind.is(&live) && schema_fits(ask.policy.schema, resident.schema);
        let status = near_status(resident, now);
        fits.then_some(Answer { live, status })
    }
}

/// The status of a read that a fresh resident answers.
pub(crate) fn near_status(resident: &Resident, now: Moment) -> Status {
    Status {
        outcome: Outcome::Hit,
        tier: Some(Tier::L1),
        reason: Reason::Fresh,
        ttl: Some(ms_until(resident.fresh_until, now)),
        stored: false,
        collapsed: false,
    }
}

fn ms_until(end: Moment, now: Moment) -> i64 {
    let ms = (i128::from(end.0) - i128::from(now.0)).div_euclid(1_000_000);
    i64::try_from(ms).unwrap_or(i64::MAX)
}
