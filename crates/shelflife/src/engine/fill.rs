//! Fills: from a loaded value to L2 and L1 (PROTOCOL §4, steps 5 to 7).

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use super::Engine;
use super::ask::Ask;
use super::flight::Offer;
use super::judge::Candidate;
use super::lease::Right;
use super::load::Adapted;
use crate::counters::bump;
use crate::epoch::Epoch;
use crate::key::Tag;
use crate::policy::{Policy, TAGS};
use crate::reason::Reason;
use crate::spans;
use crate::status::Status;
use crate::store::{Body, Entry, Filled};
use crate::validity::{Meta, Touched};
use crate::value::Live;

/// What a load gave.
pub(super) struct Loaded {
    pub(super) live: Live,
    pub(super) adapted: Adapted,
    pub(super) cost: Duration,
}

/// A value made ready for a store.
pub(super) struct Prepared {
    pub(super) body: Body,
    pub(super) bytes: usize,
    pub(super) meta: Meta,
    pub(super) keep: Duration,
}

impl Engine {
    /// Stores a loaded value under our lease.
    pub(super) async fn fill(&self, ask: &Ask, loaded: Loaded, right: Right) -> Offer {
        let _timing = self.counters.fill_time.start(&self.clock);
        let span = spans::fill(&ask.key);
        let filling = self.put_away(ask, loaded, right);
        let offer = filling.instrument(span.clone()).await;
        match offer.status.stored {
            true => spans::ended(&span, "stored"),
            false => spans::ended(&span, offer.status.reason),
        }
        offer
    }

    async fn put_away(&self, ask: &Ask, loaded: Loaded, right: Right) -> Offer {
        let Loaded {
            live,
            adapted,
            cost,
        } = loaded;
        let Right {
            mut lease,
            since: (since, known_at),
            why,
        } = right;
        let tags = with_adapted(&ask.tags, &adapted.tags);
        // Not filled: known good up to the epoch before its load, and not for L1.
        let unfilled = |reason| Offer {
            live: live.clone(),
            tags: tags.clone(),
            good: Some(since),
            known_at,
            status: Status::miss(reason),
        };
        if adapted.no_store {
            self.counters.because(Reason::NoStore);
            return unfilled(Reason::NoStore);
        }
        if self.is_settling(ask, &tags, since, cost) {
            self.counters.because(Reason::Settling);
            return unfilled(Reason::Settling);
        }
        let prepared = match self.prepare(&live, &ask.policy, &adapted, tags.clone(), since, cost) {
            Ok(prepared) => prepared,
            Err(reason) => {
                bump(&self.counters.fills_refused);
                self.counters.because(reason);
                return unfilled(reason);
            }
        };
        let Prepared {
            body,
            bytes,
            meta,
            keep,
        } = prepared;
        let sent = self.clock.now();
        let entry = Entry {
            key: ask.key.clone(),
            meta: meta.clone(),
            body,
            keep,
        };
        let reason = match self.store.fill(entry, lease.token()).await {
            Ok(Filled::Stored(clock)) => {
                bump(&self.counters.fills);
                let left = meta.fresh_until.saturating_sub(meta.created);
                let candidate = Candidate {
                    live: live.clone(),
                    bytes,
                    meta,
                };
                let early = |cost| ask.policy.early_by(cost, fastrand::f64());
                self.keep_local(&ask.key, &candidate, early, clock);
                self.local.set_stored(&candidate.meta.tags, true);
                let mut result = unfilled(why);
                result.good = Some(clock);
                result.known_at = sent;
                result.status.stored = true;
                result.status.ttl = i64::try_from(left).ok();
                lease.disarm();
                return result;
            }
            Ok(Filled::Overtaken(_)) => {
                // Perhaps by the record of a tag that had been lost: the next load looks first.
                self.local.set_stored(&tags, false);
                Reason::Overtaken
            }
            Ok(Filled::LeaseLost(_)) => Reason::LeaseLost,
            Err(error) => {
                bump(&self.counters.store_errors);
                tracing::debug!(%error, "a fill was lost");
                Reason::StoreUnavailable
            }
        };
        bump(&self.counters.fills_refused);
        self.counters.because(reason);
        if matches!(reason, Reason::Overtaken | Reason::LeaseLost) {
            lease.disarm();
        }
        unfilled(reason)
    }

    /// Whether an invalidation came less than `settle` before a load that took `cost` and ends now: a
    /// source that lags may have given what was before it. Ticks are the server's time in µs; what memory
    /// does not reach back to counts as invalidated, and so does what others did before the load while the
    /// log has not brought it yet.
    fn is_settling(&self, ask: &Ask, tags: &[Tag], since: Epoch, cost: Duration) -> bool {
        let settle = ask.policy.settle;
        if settle.is_zero() {
            return false;
        }
        if !self.store.is_private() && !self.applied().is_some_and(|a| a.at_least(since)) {
            return true;
        }
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        let now = self.store.server_ms(self.clock.now()).saturating_mul(1000);
        let began = now.saturating_sub(micros(cost));
        let settled = Epoch::new(since.inc, began.saturating_sub(micros(settle)));
        self.touched(&ask.key, tags, settled) != Touched::No
    }

    /// A value made ready for the store: encoded, measured, with the facts of its fill.
    pub(super) fn prepare(
        &self,
        live: &Live,
        policy: &Policy,
        adapted: &Adapted,
        tags: Arc<[Tag]>,
        epoch: Epoch,
        cost: Duration,
    ) -> Result<Prepared, Reason> {
        if tags.len() > TAGS {
            tracing::warn!(tags = tags.len(), most = TAGS, "too many tags");
            return Err(Reason::TooLarge);
        }
        let (mut body, bytes, nil) = Body::of(live, policy, self.store.is_private())?;
        if bytes as u64 > self.settings.max_entry {
            return Err(Reason::TooLarge);
        }
        let bytes = body.weigh(live, bytes, policy);
        let negative = policy.negative_ttl.filter(|_| nil);
        let ttl = adapted.ttl.or(negative).unwrap_or(policy.ttl);
        let fresh = policy.fresh_for(ttl, fastrand::f64());
        let keep = fresh + adapted.stale.unwrap_or(policy.stale);
        let created = self.store.server_ms(self.clock.now());
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX / 4);
        let meta = Meta {
            fill: fastrand::u64(1..),
            epoch,
            created,
            fresh_until: created + ms(fresh),
            stale_until: created + ms(keep),
            cost: u32::try_from(cost.as_micros()).unwrap_or(u32::MAX),
            schema: policy.schema,
            softened: false,
            tags,
        };
        Ok(Prepared {
            body,
            bytes,
            meta,
            keep,
        })
    }
}

fn with_adapted(tags: &Arc<[Tag]>, more: &[Tag]) -> Arc<[Tag]> {
    if more.is_empty() {
        return tags.clone();
    }
    let mut all = tags.to_vec();
    for tag in more {
        if !all.contains(tag) {
            all.push(tag.clone());
        }
    }
    all.into()
}
