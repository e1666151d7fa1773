//! What each tier of this process would answer for a key, by the facts of the fill alone.
//!
//! An audit knows nothing of the values' types: what it keeps in L1 is an entry without a value, with
//! the same cells, deadlines and epochs as any other. It must not be the engine of an application too,
//! whose reads would find nothing of their type.
//!
//! Must not: judge whether an answer was right (that is [`crate::audit`]), or load.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::ask::{Ask, Level, Replace, Takes};
use super::judge::Candidate;
use crate::epoch::Epoch;
use crate::key::{Tag, all_tags};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::redis::{Examined, RedisStore, Stood};
use crate::status::Tier;
use crate::store::{Body, Held, Slot, StoreResult};
use crate::validity::{Floor, Meta, Touched, Validity, good_for, validity};
use crate::value::{Kind, Live};

/// What a tier would answer.
#[derive(Clone, Debug)]
pub(crate) struct Says {
    pub(crate) tier: Tier,
    /// Why only as stale.
    pub(crate) stale: Option<Reason>,
    pub(crate) fill: u64,
    /// The epoch before its load.
    pub(crate) epoch: Epoch,
    /// Up to where this process knows that nothing has invalidated it.
    pub(crate) good: Epoch,
    pub(crate) tags: Vec<Tag>,
    /// When it would have answered, by the server's clock, in ms: rather too early than too late.
    pub(crate) at_ms: u64,
    /// Whether it was about to be over by time alone.
    pub(crate) is_ending: bool,
}

/// What the store holds for a key, and what the tiers of this process would answer after that.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) examined: Examined,
    /// What a strict read that was sent first would give.
    pub(crate) strict: Validity,
    pub(crate) l1: Option<Says>,
    /// What one GET would give, judged by what this process has applied; `None` where that is nothing,
    /// or not enough.
    pub(crate) l2: Option<Says>,
    /// Whether L1 may answer at all.
    pub(crate) window_open: bool,
}

/// So near to its end by time, nothing is said about an entry: two clocks may differ by that.
const ENDING_MS: u64 = 250;

impl Engine {
    /// The strict answer first, then what the tiers would say: what the first has seen was there before
    /// the others answered.
    pub(crate) async fn probe(&self, store: &RedisStore, key: &Arc<str>) -> StoreResult<Probe> {
        let mut tags = all_tags(key, &[]);
        if let Some(resident) = self.local.get(key) {
            tags.extend(resident.tags().cloned());
            tags.sort_unstable();
            tags.dedup();
        }
        let examined = store.examine(key, &tags).await?;
        self.belong_to(examined.clock).await?;
        let now = self.store.server_ms(self.clock.now());
        let strict = match &examined.stood {
            Stood::Absent => Validity::Dead(Reason::Absent),
            Stood::Leased => Validity::Dead(Reason::Loading),
            Stood::Bad(reason) => Validity::Dead(*reason),
            Stood::Value(meta) => {
                let tag = |tag: &Tag| examined.tags.get(tag).copied().flatten();
                validity(meta, examined.clock.inc, tag, now)
            }
        };
        let window_open = self.due_of_knowledge().window_open;
        let l1 = self.l1_says(key);
        let l2 = self.l2_says(key, tags).await?;
        if let Stood::Value(meta) = &examined.stood
            && !matches!(strict, Validity::Dead(_))
        {
            let mut meta = (**meta).clone();
            meta.softened |= strict == Validity::Stale(Reason::SoftInvalidated);
            self.keep_if_missing(key, meta, &examined);
        }
        Ok(Probe {
            examined,
            strict,
            l1,
            l2,
            window_open,
        })
    }

    /// What L1 would answer now. The window is read before the entry, as in any read.
    fn l1_says(&self, key: &Arc<str>) -> Option<Says> {
        let (now, window) = (self.clock.now(), self.window());
        let resident = self.local.get(key)?;
        let stale = match resident.validity(now) {
            _ if now >= window => return None,
            Validity::Dead(_) => return None,
            Validity::Stale(reason) => Some(reason),
            Validity::Fresh => None,
        };
        Some(Says {
            tier: Tier::L1,
            stale,
            fill: resident.fill,
            epoch: resident.epoch,
            good: resident.good(),
            tags: resident.tags().cloned().collect(),
            at_ms: self.store.server_ms(now),
            is_ending: now.plus(Duration::from_millis(ENDING_MS)) >= resident.stale_until,
        })
    }

    /// What the local path would answer now, or nothing where it leaves the read to the primary.
    async fn l2_says(&self, key: &Arc<str>, tags: Vec<Tag>) -> StoreResult<Option<Says>> {
        let due = self.due_of_knowledge();
        let Some(applied) = self.follows(due) else {
            return Ok(None);
        };
        let ask = Ask {
            key: key.clone(),
            tags: tags.into(),
            policy: Arc::new(Policy::default()),
            level: Level::Bounded,
            kind: Kind::of::<()>(),
            replace: Replace::Nothing,
            takes: Takes::Stale,
            inside: None,
        };
        let snapshot = self.fetch(&ask, applied, None).await?;
        let Some((Slot::Value(held), clock)) = snapshot.map(|s| (s.slot, s.clock)) else {
            return Ok(None);
        };
        let at_ms = self.store.server_ms(due.began);
        let meta = &held.meta;
        let stale = match validity(meta, clock.inc, |tag| held.tag(tag), at_ms) {
            Validity::Dead(_) => return Ok(None),
            Validity::Stale(reason) => Some(reason),
            Validity::Fresh => None,
        };
        let good = clock.or_later(meta.epoch);
        let touched = good_for(Floor::LOCAL, good, self.applied(), |since| {
            self.touched(key, &meta.tags, since)
        });
        let stale = match touched {
            Touched::Hard => return Ok(None),
            Touched::Soft => stale.or(Some(Reason::SoftInvalidated)),
            Touched::No => stale,
        };
        let ends = meta.stale_until.max(meta.fresh_until);
        Ok(Some(Says {
            tier: Tier::L2,
            stale,
            fill: meta.fill,
            epoch: meta.epoch,
            good,
            tags: meta.tags.to_vec(),
            at_ms,
            is_ending: at_ms + ENDING_MS >= ends,
        }))
    }

    /// Keeps the facts of a usable entry in L1, unless L1 has a fresh one, and learns
    /// of its tags: what a read of the primary does.
    fn keep_if_missing(&self, key: &Arc<str>, meta: Meta, examined: &Examined) {
        let now = self.clock.now();
        let there = self.local.get(key);
        // A stale one would be replaced by the refresh that it starts.
        if there.is_some_and(|it| it.validity(now) == Validity::Fresh) {
            return;
        }
        let nothing: Live = Arc::new(());
        let tags = meta.tags.iter();
        self.learn(
            &Held {
                meta: meta.clone(),
                lease: None,
                body: Body::Live(nothing.clone(), 0),
                tags: tags
                    .map(|tag| examined.tags.get(tag).copied().flatten())
                    .collect(),
            },
            examined.clock,
        );
        let candidate = Candidate {
            live: nothing,
            bytes: 0,
            meta,
        };
        self.keep_local(key, &candidate, |_| Duration::ZERO, examined.clock);
    }
}
