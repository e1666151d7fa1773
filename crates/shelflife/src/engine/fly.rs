//! A flight, from boarding to its landing: the store, the lease, the load, the fill (PROTOCOL §4).
//!
//! The leader goes to the store itself; once it holds the lease, the load runs in a task of its own,
//! which lands the flight whether its caller is still there or not.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::ask::{Answer, Ask, Replace, Takes, answer_of};
use super::bulkhead::Place;
use super::due::Due;
use super::fill::Loaded;
use super::flight::{Flight, Landing, Leader, Offer, Underway};
use super::judge::{Candidate, Judged, good};
use super::lease::{LeaseGuard, Right};
use super::load::{Failure, Loader};
use super::path::Path;
use super::read::TRIES;
use crate::clock::Moment;
use crate::counters::bump;
#[cfg(test)]
use crate::probe::Point;
use crate::reason::Reason;
use crate::status::Status;
use crate::store::{Begun, Slot, Snapshot, StoreError};
use crate::validity::Touched;

/// Between two looks at a lease that another process holds.
const POLL_LEAST: Duration = Duration::from_millis(2);
const POLL_MOST: Duration = Duration::from_millis(25);

/// How the flight of a leader went.
pub(super) enum Flown {
    /// The store had it.
    Answered(Offer),
    /// A load is under way; the stale value that the store had meanwhile.
    Loading(Flight, Option<Answer>),
    /// There is no place for a load, and none to wait for one.
    Overloaded,
}

/// Who waits for a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// The caller of a read.
    Caller,
    /// Nobody: something stale has been served.
    Nobody,
}

/// What is to be done with what the store has.
enum Weighed {
    Serve(Offer),
    /// Serve, and refresh this fill early.
    ServeEarly(Offer, u64),
    /// Load, and why; the stale value may be served meanwhile.
    Load(Option<Offer>, Reason),
    /// An invalidation of this process came between: look again.
    Overlapped,
}

impl Engine {
    /// From boarding to an answer of the store, or to a load under way.
    pub(super) async fn fly(
        self: &Arc<Self>,
        leader: Leader,
        ask: &Ask,
        due: Due,
        loader: Loader,
        behind: Behind,
    ) -> Flown {
        let mut path = self.path_to_load(ask, due);
        // Before the lease: who waits for a place must not keep other processes from loading.
        let mut place = self.bulkhead.enter(ask);
        let mut lease = LeaseGuard::new(self, ask);
        let mut pause = POLL_LEAST;
        let mut overlaps = 0;
        let mut waiting = None;
        loop {
            #[cfg(test)]
            self.settings.probes.pause(Point::Departing).await;
            let wanted = place.is_some().then(|| lease.arm());
            let (snapshot, judged) = match Box::pin(self.snapshot(ask, path, wanted)).await {
                Ok(seen) => seen,
                Err(error) => {
                    drop(waiting.take());
                    let place = self.place(ask, place, behind, leader.is_needed_inside());
                    return match place.await {
                        Some(place) => self.load_cut_off(leader, ask, loader, None, &error, place),
                        None => overloaded(leader, behind),
                    };
                }
            };
            // A retry asks the primary.
            path = Path::Primary;
            if !snapshot.granted {
                lease.disarm();
            }
            let (stale, why) = match self.weigh(ask, judged, &snapshot) {
                Weighed::Serve(result) => {
                    #[cfg(test)]
                    self.settings.probes.pause(Point::Landing).await;
                    leader.land(Landing::Landed(result.clone()));
                    return Flown::Answered(result);
                }
                Weighed::ServeEarly(result, fill) => {
                    leader.land(Landing::Landed(result.clone()));
                    self.refresh(ask, Replace::Fill(fill), loader);
                    return Flown::Answered(result);
                }
                Weighed::Overlapped if overlaps < TRIES => {
                    overlaps += 1;
                    continue;
                }
                Weighed::Overlapped => (None, Reason::Touched),
                Weighed::Load(stale, why) => (stale, why),
            };
            let Some(mine) = place.take() else {
                if let Some(result) = stale.filter(|_| ask.takes == Takes::Stale) {
                    bump(&self.counters.loads_shed);
                    let result = as_stale(result, Reason::Overloaded);
                    leader.land(Landing::Landed(result.clone()));
                    return Flown::Answered(result);
                }
                if matches!(snapshot.slot, Slot::Leased) && behind == Behind::Caller {
                    // Another process is about to have it.
                    waiting.get_or_insert_with(|| self.wait_for_lease());
                    pause = rest(pause).await;
                    place = self.bulkhead.enter(ask);
                    continue;
                }
                // From here on it is a place that it waits for.
                drop(waiting.take());
                let needed = leader.is_needed_inside();
                place = self.place(ask, None, behind, needed).await;
                if place.is_none() {
                    return overloaded(leader, behind);
                }
                continue;
            };
            match Box::pin(self.lease(ask, &snapshot, &mut lease)).await {
                Ok(begun @ (Begun::Granted | Begun::Replaced)) => {
                    let replaced = begun == Begun::Replaced;
                    let why = if replaced { Reason::WrongType } else { why };
                    let stale = stale.as_ref().map(answer_of);
                    return match Box::pin(self.since(ask, &snapshot)).await {
                        Ok(since) => self.begin_load(
                            leader,
                            ask,
                            loader,
                            Some(Right { lease, since, why }),
                            stale,
                            mine,
                        ),
                        Err(error) => self.load_cut_off(leader, ask, loader, stale, &error, mine),
                    };
                }
                Ok(Begun::Changed) => place = Some(mine),
                Ok(Begun::Held) => {
                    if let Some(result) = stale.filter(|_| ask.takes == Takes::Stale) {
                        let result = as_stale(result, Reason::LeaseHeld);
                        leader.land(Landing::Landed(result.clone()));
                        return Flown::Answered(result);
                    }
                    waiting.get_or_insert_with(|| self.wait_for_lease());
                    // Not kept from others while there is nothing to load.
                    drop(mine);
                    pause = rest(pause).await;
                    place = self.bulkhead.enter(ask);
                }
                Err(error) => {
                    let stale = stale.as_ref().map(answer_of);
                    return self.load_cut_off(leader, ask, loader, stale, &error, mine);
                }
            }
        }
    }

    fn weigh(&self, ask: &Ask, judged: Judged, snapshot: &Snapshot) -> Weighed {
        let (candidate, stale) = match judged {
            Judged::Usable(candidate, stale) => (candidate, stale),
            Judged::Dead(reason) => return Weighed::Load(None, reason),
        };
        let result = self.offer_from_store(&candidate, stale, snapshot);
        let touched = self.good_for_read(&ask.key, &result, Due::of_primary(snapshot.sent));
        if touched == Touched::Hard {
            return Weighed::Overlapped;
        }
        self.keep(ask, &candidate, snapshot);
        if ask.replace == Replace::Anything {
            return Weighed::Load(None, Reason::RefreshAsked);
        }
        let fresh = stale.is_none() && touched == Touched::No;
        if fresh && !ask.replace.replaces(candidate.meta.fill) {
            let cost = Duration::from_micros(candidate.meta.cost.into());
            let early = ask.policy.early_by(cost, fastrand::f64()).as_millis();
            let left = result.status.ttl.and_then(|ms| u128::try_from(ms).ok());
            return match left.is_some_and(|left| early > left) {
                true => Weighed::ServeEarly(result, candidate.meta.fill),
                false => Weighed::Serve(result),
            };
        }
        if ask.takes == Takes::Stored && ask.replace == Replace::Nothing {
            return Weighed::Serve(match touched {
                Touched::Soft => as_stale(result, Reason::SoftInvalidated),
                _ => result,
            });
        }
        let throttled = self.throttle.holds(&ask.key, self.clock.now());
        if throttled && ask.takes == Takes::Stale {
            return Weighed::Serve(as_stale(result, Reason::LoadThrottled));
        }
        Weighed::Load(Some(result), stale.unwrap_or(Reason::PastFresh))
    }

    /// The place that there is already, or one that is waited for, until `needed` tells that a load
    /// waits for this one; `None` when there is none to be had.
    pub(super) async fn place(
        &self,
        ask: &Ask,
        place: Option<Place>,
        behind: Behind,
        needed: impl Future<Output = ()>,
    ) -> Option<Place> {
        let place = match (place, behind) {
            (None, Behind::Caller) => tokio::select! {
                biased;
                place = self.bulkhead.wait(ask) => place,
                () = needed => Some(Place::inside()),
            },
            (place, _) => place,
        };
        if place.is_none() {
            bump(&self.counters.loads_shed);
        }
        place
    }

    fn load_cut_off(
        self: &Arc<Self>,
        leader: Leader,
        ask: &Ask,
        loader: Loader,
        stale: Option<Answer>,
        error: &StoreError,
        place: Place,
    ) -> Flown {
        bump(&self.counters.store_errors);
        tracing::debug!(%error, "load without the store");
        self.begin_load(leader, ask, loader, None, stale, place)
    }

    /// Starts the load in a task of its own, which lands the flight. Without the right to fill the
    /// store is away.
    fn begin_load(
        self: &Arc<Self>,
        leader: Leader,
        ask: &Ask,
        loader: Loader,
        right: Option<Right>,
        stale: Option<Answer>,
        place: Place,
    ) -> Flown {
        let flight = leader.passenger();
        let (engine, ask) = (self.clone(), ask.clone());
        if let Some(Right { lease, since, .. }) = &right {
            let (tags, token) = (ask.tags.clone(), lease.token());
            if stale.is_some() {
                leader.refreshing();
            }
            leader.begun(Underway {
                since: since.0,
                tags,
                token,
            });
        }
        self.detach(async move {
            let cut_off = right.is_none();
            leader.land(
                match engine.load_and_fill(&ask, loader, right, place).await {
                    Ok(result) => Landing::Landed(result),
                    Err(failure) => Landing::Failed { failure, cut_off },
                },
            );
        });
        Flown::Loading(flight, stale)
    }

    async fn load_and_fill(
        self: &Arc<Self>,
        ask: &Ask,
        loader: Loader,
        right: Option<Right>,
        place: Place,
    ) -> Result<Offer, Failure> {
        let began = self.clock.now();
        bump(&self.counters.loads);
        let held = right
            .as_ref()
            .map(|right| (&*ask.key, right.lease.wanted()));
        let leased = right.as_ref().map(|_| self.counters.leases_held.enter());
        let (loaded, adapted) = self.run(ask, loader, held).await;
        drop(place);
        let live = match loaded {
            Ok(live) => live,
            Err(failure) => {
                // Before the failure is told: who tries again then must not find it held.
                if let Some(right) = right {
                    right.lease.give_back().await;
                }
                bump(&self.counters.load_failures);
                self.throttle
                    .until(&ask.key, self.clock.now().plus(ask.policy.throttle));
                return Err(failure);
            }
        };
        self.throttle.lift(&ask.key);
        let cost = self.clock.now().since(began);
        let Some(right) = right else {
            return Ok(unfilled(ask, live, began));
        };
        let loaded = Loaded {
            live,
            adapted,
            cost,
        };
        let offer = self.fill(ask, loaded, right).await;
        drop(leased);
        Ok(offer)
    }

    /// Puts a value from the store into L1.
    pub(super) fn keep(&self, ask: &Ask, candidate: &Candidate, snapshot: &Snapshot) {
        if !ask.kind.keeps() {
            return;
        }
        let early = |cost| ask.policy.early_by(cost, fastrand::f64());
        self.keep_local(&ask.key, candidate, early, good(candidate, snapshot));
    }
}

/// A value that was loaded while the store was away: no clock is known.
pub(super) fn unfilled(ask: &Ask, live: crate::value::Live, began: Moment) -> Offer {
    Offer {
        live,
        tags: ask.tags.clone(),
        good: None,
        known_at: began,
        status: Status::miss(Reason::StoreUnavailable),
    }
}

/// Ends a flight that has no place for its load.
fn overloaded(leader: Leader, behind: Behind) -> Flown {
    leader.land(match behind {
        Behind::Caller => Landing::Failed {
            failure: Failure::Overloaded,
            cut_off: false,
        },
        Behind::Nobody => Landing::Shed,
    });
    Flown::Overloaded
}

/// A pause before the next look at another's lease; gives the one after it.
async fn rest(pause: Duration) -> Duration {
    tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
    (pause * 2).min(POLL_MOST)
}

fn as_stale(mut result: Offer, reason: Reason) -> Offer {
    result.status = result.status.stale(reason);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Cache;
    use crate::engine::flight::Boarding;

    /// What a caller takes that waits: pinned, because it grows unseen. Bytes of this unoptimized build, in
    /// which a future is several times as large as in another.
    #[tokio::test]
    async fn a_caller_that_waits_takes_little() {
        let cache = Cache::memory();
        let engine = &cache.engine;
        let ask = cache.entry("k").ask::<u32>(Replace::Nothing);
        let loader = || -> Loader { Box::new(|| Box::pin(std::future::pending())) };
        let Boarding::Lead(leader) = engine.flights.board(&ask.key) else {
            panic!("nobody flies");
        };
        let due = engine.due_of_knowledge();
        let fly = size_of_val(&engine.fly(leader, &ask, due, loader(), Behind::Caller));
        let read = size_of_val(&engine.read(ask.clone(), loader()));
        assert!(fly < 2048, "a leader: {fly}");
        assert!(read < 3584, "a read: {read}");
    }
}
