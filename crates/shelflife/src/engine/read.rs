//! The life of a read.
//!
//! ```text
//! floor ─► L1 ──good──► answer
//!           │ no
//!           ▼
//!         flight ──joined──► its landing, if good for this read; else once more
//!           │ led
//!           ▼
//!          L2 ──fresh──► answer, into L1
//!           │ stale: answer now, the load goes on   │ dead
//!           ▼                                       ▼
//!         lease ──held by another──► wait, then L2 again
//!           │ granted
//!           ▼
//!         load (in a task of its own) ─► fill ─► L1 ─► landing
//! ```
//!
//! A retry keeps the floor. A failure of the store never fails a read: the load runs without it.

use std::sync::Arc;

use tokio::time::Instant;

use super::Engine;
use super::ask::{Answer, Ask, Replace, Takes, answer_of, as_stale_if};
use super::due::Due;
use super::flight::{Boarding, Flight, Landing, Leader};
use super::fly::{Behind, Flown};
use super::load::{Failure, Loader};
use super::near::Near;
use crate::counters::bump;
#[cfg(test)]
use crate::probe::Point;
use crate::reason::Reason;
use crate::status::{Outcome, Status};
use crate::validity::Touched;

/// How often a read starts over before it loads alone.
pub(super) const TRIES: usize = 3;
/// How much longer than its load a read waits, so that the load's own end is told first.
pub(super) const GRACE: std::time::Duration = std::time::Duration::from_millis(25);

impl Engine {
    /// A read that loads what is missing. One load per key per cluster.
    pub(crate) async fn read(
        self: &Arc<Self>,
        ask: Ask,
        loader: Loader,
    ) -> Result<Answer, Failure> {
        let (key, tags) = (ask.key.clone(), ask.tags.clone());
        let reading = Reading {
            patience: ask.policy.hard_timeout.map(|after| Instant::now() + after),
            due: self.due(ask.level).await,
            engine: self.clone(),
            ask,
            stale: None,
            last_resort: None,
        };
        let answer = reading.run(loader).await;
        let status = match &answer {
            Ok(answer) => answer.status,
            Err(failure) => failure.status(),
        };
        self.answered(&key, &tags, &status);
        answer
    }

    /// Boards a flight. One whose load this process knows to be outdated is left to those who wait for
    /// it: its lease is given back, and the caller leads anew.
    async fn board(&self, ask: &Ask) -> Boarding {
        loop {
            let flight = match self.flights.board(&ask.key) {
                Boarding::Join(flight) => flight,
                lead @ Boarding::Lead(_) => return lead,
            };
            let outdated = flight
                .underway()
                .filter(|load| self.touched(&ask.key, &load.tags, load.since) == Touched::Hard);
            let Some(load) = outdated else {
                return Boarding::Join(flight);
            };
            if self.flights.strike(&ask.key, &flight) {
                // Boxed, as all that is rare: what each caller takes while it waits has room for it.
                let _ = Box::pin(self.store.release(&ask.key, load.token)).await;
            }
        }
    }

    /// Starts a refresh in the background, unless somebody flies already.
    pub(crate) fn refresh(self: &Arc<Self>, ask: &Ask, replace: Replace, loader: Loader) {
        if self.is_closed() || self.throttle.holds(&ask.key, self.clock.now()) {
            return;
        }
        if self.bulkhead.is_full() {
            // Nobody waits for it: the first to go.
            bump(&self.counters.loads_shed);
            return;
        }
        if let Boarding::Lead(leader) = self.flights.board(&ask.key) {
            let ask = Ask {
                replace,
                ..ask.clone()
            };
            let due = self.due_of_knowledge();
            self.fly_alone(leader, ask, due, loader);
        }
    }

    /// Flies without a caller.
    fn fly_alone(self: &Arc<Self>, leader: Leader, ask: Ask, due: Due, loader: Loader) {
        let engine = self.clone();
        self.detach(
            async move { drop(engine.fly(leader, &ask, due, loader, Behind::Nobody).await) },
        );
    }
}

/// A read under way.
struct Reading {
    engine: Arc<Engine>,
    ask: Ask,
    due: Due,
    /// When the read is given up, as its load is.
    patience: Option<Instant>,
    /// What may be served as stale.
    stale: Option<Answer>,
    /// What may be served when the source fails while the store is away.
    last_resort: Option<Answer>,
}

impl Reading {
    async fn run(mut self, loader: Loader) -> Result<Answer, Failure> {
        let engine = self.engine.clone();
        let (mut tries, mut waited) = (0, false);
        while tries < TRIES {
            (self.stale, self.last_resort) = (None, None);
            match engine.near(&self.ask, self.due) {
                Near::Answer(answer) => return Ok(answer),
                Near::Early(answer, fill) => {
                    engine.refresh(&self.ask, Replace::Fill(fill), loader);
                    return Ok(answer);
                }
                Near::Stale(answer) => self.stale = Some(answer),
                Near::LastResort(answer) => self.last_resort = Some(answer),
                Near::Nothing => {}
            }
            match self.ask.takes {
                Takes::Stale => {}
                Takes::Stored => self.last_resort = None,
                Takes::Landings => (self.stale, self.last_resort) = (None, None),
            }
            let throttled = self.ask.takes == Takes::Stale
                && engine.throttle.holds(&self.ask.key, engine.clock.now());
            if let Some(answer) = self.stale.as_ref().filter(|_| throttled) {
                return Ok(because(answer, Reason::LoadThrottled));
            }
            if self
                .ask
                .inside
                .as_ref()
                .is_some_and(|chain| chain.holds(&engine, &self.ask.key))
            {
                // A loader that reads its own key would wait for itself.
                break;
            }
            let flight = match engine.board(&self.ask).await {
                Boarding::Join(flight) => flight,
                Boarding::Lead(leader) => return self.lead(leader, loader).await,
            };
            if self.ask.inside.is_some() {
                flight.needed_inside();
            }
            #[cfg(test)]
            engine.settings.probes.pause(Point::Joined).await;
            if let Some(answer) = self.meanwhile(&flight).await? {
                return Ok(answer);
            }
            match self.wait(flight).await? {
                // What was under way when a refresh was asked for does not count; what began since does.
                _ if self.ask.replace == Replace::Anything && !waited => waited = true,
                Waited::Landing(Landing::Landed(offer))
                    if self.ask.replace == Replace::Anything && offer.status.tier.is_some() => {}
                Waited::Landing(Landing::Abandoned | Landing::Shed) => {}
                // Its leader was refused a place; inside a load none is needed.
                Waited::Landing(Landing::Failed {
                    failure: Failure::Overloaded,
                    ..
                }) if self.ask.inside.is_some() => {}
                // Another type's value may have lost what this one needs.
                Waited::Landing(Landing::Landed(offer)) if !self.ask.kind.is(&offer.live) => {
                    tries += 1;
                }
                Waited::Landing(Landing::Landed(offer)) => {
                    match engine.question(&mut self.due, &self.ask.key, &offer).await {
                        Touched::Hard => tries += 1,
                        touched => return Ok(collapsed(as_stale_if(touched, answer_of(&offer)))),
                    }
                }
                ended => return self.taken(ended),
            }
        }
        Box::pin(self.load_alone(loader)).await
    }

    /// Leads a flight: to the store and, if that has nothing, through the load.
    async fn lead(mut self, leader: Leader, loader: Loader) -> Result<Answer, Failure> {
        let engine = self.engine.clone();
        if self.ask.takes == Takes::Stored {
            // The store may have something younger; where it has nothing, neither has this process.
            self.stale = None;
        }
        if self.stale.is_some() {
            // The answer is there already: the flight goes on without its caller.
            let flight = leader.passenger();
            let overloaded = engine.bulkhead.is_full();
            engine.fly_alone(leader, self.ask.clone(), self.due, loader);
            if let Some(answer) = self.stale.as_ref().filter(|_| overloaded) {
                return Ok(because(answer, Reason::Overloaded));
            }
            let ended = self.wait(flight).await?;
            return self.taken(ended);
        }
        // Boxed: most reads join a flight, and what they take while they wait is counted in callers.
        let flying = Box::pin(engine.fly(leader, &self.ask, self.due, loader, Behind::Caller));
        let flown = match self.patience {
            Some(end) => tokio::time::timeout_at(end, flying)
                .await
                .map_err(|_| self.timed_out())?,
            None => flying.await,
        };
        match flown {
            Flown::Answered(offer) => Ok(answer_of(&offer)),
            Flown::Overloaded => self.rescue(Failure::Overloaded, false),
            Flown::Loading(flight, stale) => {
                self.stale = stale.filter(|_| self.ask.takes == Takes::Stale);
                let ended = self.wait(flight).await?;
                // Our own load began after this read did: it is taken without the question.
                self.taken(ended)
            }
        }
    }

    /// What the store has while somebody's flight refreshes it: the answer if it is fresh; else it may
    /// stand in.
    async fn meanwhile(&mut self, flight: &Flight) -> Result<Option<Answer>, Failure> {
        let lands = self.ask.replace != Replace::Nothing || self.ask.takes == Takes::Landings;
        if self.stale.is_some() || lands {
            return Ok(None);
        }
        let refreshes = match self.patience {
            Some(end) => tokio::time::timeout_at(end + GRACE, flight.refreshes())
                .await
                .map_err(|_| self.timed_out())?,
            None => flight.refreshes().await,
        };
        if !refreshes {
            return Ok(None);
        }
        let found = Box::pin(self.engine.look(&self.ask, Some(self.due)))
            .await
            .ok()
            .and_then(|(answer, _)| answer);
        match found {
            Some(answer) if answer.status.outcome == Outcome::Hit => Ok(Some(answer)),
            stale => {
                self.stale = stale;
                Ok(None)
            }
        }
    }

    /// Waits for a landing: up to the soft timeout when a stale value can stand in, else up to the
    /// read's patience.
    async fn wait(&self, flight: Flight) -> Result<Waited, Failure> {
        if self.stale.is_some() {
            let soft = self.ask.policy.soft_timeout.unwrap_or_default();
            if soft.is_zero() {
                return Ok(Waited::Slow);
            }
            let landed = tokio::time::timeout(soft, flight.landed()).await;
            return Ok(landed.map_or(Waited::Slow, Waited::Landing));
        }
        let landing = match self.patience {
            Some(end) => tokio::time::timeout_at(end + GRACE, flight.landed())
                .await
                .map_err(|_| self.timed_out())?,
            None => flight.landed().await,
        };
        Ok(Waited::Landing(landing))
    }

    fn timed_out(&self) -> Failure {
        Failure::TimedOut(self.ask.policy.hard_timeout.unwrap_or_default())
    }

    /// What a landing is to the caller of its load.
    fn taken(&self, ended: Waited) -> Result<Answer, Failure> {
        match ended {
            Waited::Slow => match &self.stale {
                Some(answer) if self.ask.policy.soft_timeout.is_none() => Ok(answer.clone()),
                Some(answer) => Ok(because(answer, Reason::LoadSlow)),
                None => Err(self.timed_out()),
            },
            Waited::Landing(Landing::Landed(offer)) => Ok(answer_of(&offer)),
            Waited::Landing(Landing::Failed { failure, cut_off }) => self.rescue(failure, cut_off),
            Waited::Landing(Landing::Shed) => self.rescue(Failure::Overloaded, false),
            Waited::Landing(Landing::Abandoned) => {
                let dropped = "the load was dropped before its end".into();
                self.rescue(Failure::Panicked(dropped), false)
            }
        }
    }

    /// A stale value in place of a failed load, if there is one and the policy lets it. What L1 no
    /// longer trusts counts only while the store is away (PROTOCOL §9, exception 2).
    fn rescue(&self, failure: Failure, cut_off: bool) -> Result<Answer, Failure> {
        let last_resort = self.last_resort.as_ref().filter(|_| cut_off);
        match self.stale.as_ref().or(last_resort) {
            // Nothing has failed: it is as if the load were slow.
            Some(answer) if matches!(failure, Failure::Overloaded) => {
                Ok(because(answer, Reason::Overloaded))
            }
            Some(answer) if self.ask.policy.stale_on_error => {
                Ok(because(answer, Reason::LoadFailed))
            }
            _ => Err(failure),
        }
    }

    /// Loads for this read alone: not shared, not stored.
    async fn load_alone(&self, loader: Loader) -> Result<Answer, Failure> {
        if self.ask.takes != Takes::Stale {
            return Err(Failure::Alone);
        }
        let nobody_else = std::future::pending();
        let placing = self
            .engine
            .place(&self.ask, None, Behind::Caller, nobody_else);
        let place = match self.patience {
            Some(end) => tokio::time::timeout_at(end, placing)
                .await
                .map_err(|_| self.timed_out())?,
            None => placing.await,
        };
        let Some(_place) = place else {
            return Err(Failure::Overloaded);
        };
        bump(&self.engine.counters.loads);
        let loaded = self.engine.run(&self.ask, loader, None).await.0;
        if loaded.is_err() {
            bump(&self.engine.counters.load_failures);
        }
        let status = Status::miss(Reason::Touched);
        loaded.map(|live| Answer { live, status })
    }
}

/// How waiting for a flight ended.
enum Waited {
    Landing(Landing),
    /// The soft timeout came first.
    Slow,
}

fn because(answer: &Answer, reason: Reason) -> Answer {
    Answer {
        live: answer.live.clone(),
        status: answer.status.stale(reason),
    }
}

fn collapsed(mut answer: Answer) -> Answer {
    answer.status.collapsed = answer.status.outcome == Outcome::Miss;
    answer
}
