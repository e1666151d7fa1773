//! From what a store saw to what a read may have, and from there into L1.
//!
//! Both questions of the protocol are asked here: validity of the record against the view, and whether
//! a result is good for this read.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::ask::Ask;
use super::flight::Offer;
use crate::clock::Moment;
use crate::epoch::Epoch;
use crate::local::Newcomer;
#[cfg(test)]
use crate::probe::Point;
use crate::reason::Reason;
use crate::status::{Outcome, Status, Tier};
use crate::store::{Held, Slot, Snapshot};
use crate::validity::{Meta, Touched, Validity, validity};
use crate::value::Live;

/// What the slot of a key is worth to a read.
pub(super) enum Judged {
    /// A value that may be served, and whether only as stale.
    Usable(Candidate, Option<Reason>),
    Dead(Reason),
}

/// A decoded value with the facts of its fill.
pub(super) struct Candidate {
    pub(super) live: Live,
    pub(super) bytes: usize,
    pub(super) meta: Meta,
}

impl Engine {
    /// What a snapshot is worth now.
    pub(super) fn judge(&self, ask: &Ask, snapshot: &Snapshot) -> Judged {
        let held = match &snapshot.slot {
            Slot::Empty => return Judged::Dead(Reason::Absent),
            Slot::Leased => return Judged::Dead(Reason::Loading),
            Slot::Bad { reason, .. } => return Judged::Dead(*reason),
            Slot::Value(held) => held,
        };
        let now = self.store.server_ms(self.clock.now());
        let stale = match validity(&held.meta, snapshot.clock.inc, |tag| held.tag(tag), now) {
            Validity::Dead(reason) => return Judged::Dead(reason),
            Validity::Stale(reason) => Some(reason),
            Validity::Fresh => None,
        };
        match self.open(ask, held) {
            Ok(mut candidate) => {
                // L1's cells may be younger than the tag's invalidation: the mark goes along.
                candidate.meta.softened |= stale == Some(Reason::SoftInvalidated);
                Judged::Usable(candidate, stale)
            }
            Err(reason) => Judged::Dead(reason),
        }
    }

    fn open(&self, ask: &Ask, held: &Held) -> Result<Candidate, Reason> {
        if !schema_fits(ask.policy.schema, held.meta.schema) {
            return Err(Reason::WrongSchema);
        }
        let (live, bytes) = held.body.open(ask.kind, &ask.policy)?;
        Ok(Candidate {
            live,
            bytes,
            meta: held.meta.clone(),
        })
    }

    /// A value from the store as a result: good up to the clock that was read before it.
    pub(super) fn offer_from_store(
        &self,
        candidate: &Candidate,
        stale: Option<Reason>,
        snapshot: &Snapshot,
    ) -> Offer {
        let status = Status {
            outcome: Outcome::Hit,
            tier: Some(Tier::L2),
            reason: Reason::Fresh,
            ttl: Some(self.time_left(&candidate.meta)),
            stored: false,
            collapsed: false,
        };
        Offer {
            live: candidate.live.clone(),
            tags: candidate.meta.tags.clone(),
            good: Some(good(candidate, snapshot)),
            known_at: snapshot.sent,
            status: stale.map_or(status, |reason| status.stale(reason)),
        }
    }

    /// Fresh time left by the server's clock, in ms; negative when it is over.
    fn time_left(&self, meta: &Meta) -> i64 {
        let now = self.store.server_ms(self.clock.now());
        i64::try_from(i128::from(meta.fresh_until) - i128::from(now)).unwrap_or(i64::MAX)
    }

    /// Puts a value into L1: inserted, memory asked, then ready.
    pub(super) fn keep_local(
        &self,
        key: &Arc<str>,
        candidate: &Candidate,
        early: impl FnOnce(Duration) -> Duration,
        good: Epoch,
    ) {
        let meta = &candidate.meta;
        let now = self.clock.now();
        let at = |ms| self.store.moment_of(ms, now);
        let fresh_until = at(meta.fresh_until);
        let early = early(Duration::from_micros(meta.cost.into()));
        let newcomer = Newcomer {
            live: candidate.live.clone(),
            bytes: candidate.bytes,
            epoch: meta.epoch,
            fill: meta.fill,
            good,
            schema: meta.schema,
            fresh_until,
            stale_until: at(meta.stale_until.max(meta.fresh_until)),
            refresh_at: before(fresh_until, early),
            softened: meta.softened,
        };
        #[cfg(test)]
        self.settings.probes.reach(Point::BeforeInsert);
        let resident = self.local.insert(key, &meta.tags, newcomer);
        #[cfg(test)]
        self.settings.probes.reach(Point::Inserted);
        match self.touched(key, &meta.tags, good) {
            Touched::No => self.local.admit(&resident),
            Touched::Soft => {
                resident.soften();
                self.local.admit(&resident);
            }
            Touched::Hard => self.local.expel(key, &resident),
        }
    }
}

/// Up to where a value from the store is known good: what was applied or read before it was fetched, and
/// the epoch of its load, which honoured everything up to it.
pub(super) fn good(candidate: &Candidate, snapshot: &Snapshot) -> Epoch {
    snapshot.clock.or_later(candidate.meta.epoch)
}

fn before(moment: Moment, by: Duration) -> Moment {
    Moment(
        moment
            .0
            .saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)),
    )
}

/// Whether a value stored under one schema serves a reader that expects another; 0 is unspecified.
pub(super) fn schema_fits(wanted: u32, stored: u32) -> bool {
    wanted == 0 || stored == 0 || wanted == stored
}
