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
use super::flight::{Boarding, Flight, Landing, Leader, Offer};
use super::fly::Flown;
use super::judge::Judged;
use super::load::{Failure, Loader};
use super::near::Near;
use crate::counters::bump;
use crate::epoch::Receipt;
use crate::key::Tag;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::status::{Outcome, Status};
use crate::store::StoreResult;
use crate::validity::{Floor, Touched};
use crate::value::{Kind, Live};

/// How often a read starts over before it loads alone.
pub(super) const TRIES: usize = 3;
/// How much longer than its load a read waits, so that the load's own end is told first.
const GRACE: std::time::Duration = std::time::Duration::from_millis(25);

/// What a read must honour beyond what this process knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Level {
    /// G(Δ).
    #[default]
    Bounded,
    /// G(0): the clock is read from the primary.
    Strict,
    /// Everything up to a given invalidation.
    Session(Receipt),
}

/// A read: which key, as what, under which policy.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) key: Arc<str>,
    /// All tags, implicit ones included.
    pub(crate) tags: Arc<[Tag]>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) level: Level,
    pub(crate) kind: Kind,
    /// What a load must replace, though it may be fresh.
    pub(crate) replace: Replace,
}

/// Which stored value does not satisfy a read, though it may be fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replace {
    /// None: a fresh value is the answer.
    Nothing,
    /// This fill: an early refresh replaces it, unless another process has.
    Fill(u64),
    /// Any.
    Anything,
}

impl Replace {
    pub(super) fn replaces(self, fill: u64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Fill(known) => known == fill,
            Self::Anything => true,
        }
    }
}

/// What a read gave.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) live: Live,
    pub(crate) status: Status,
}

impl Engine {
    /// A read that never loads.
    pub(crate) async fn lookup(self: &Arc<Self>, ask: &Ask) -> (Option<Answer>, Status) {
        if let Near::Answer(answer) | Near::Early(answer, _) = self.near(ask) {
            self.counters.answered(&answer.status);
            let status = answer.status;
            return (Some(answer), status);
        }
        let (answer, status) = match self.look(ask).await {
            Ok(found) => found,
            Err(error) => {
                bump(&self.counters.store_errors);
                tracing::debug!(%error, "read without the store");
                (None, Status::miss(Reason::StoreUnavailable))
            }
        };
        self.counters.answered(&status);
        (answer, status)
    }

    async fn look(self: &Arc<Self>, ask: &Ask) -> StoreResult<(Option<Answer>, Status)> {
        for _ in 0..TRIES {
            let began = self.clock.now();
            let snapshot = self.store.read(&ask.key, &ask.tags, None).await?;
            self.belong_to(snapshot.clock).await?;
            let (candidate, stale) = match self.judge(ask, &snapshot) {
                Judged::Dead(reason) => return Ok((None, Status::miss(reason))),
                Judged::Usable(candidate, stale) => (candidate, stale),
            };
            let result = self.offer_from_store(&candidate, stale, &snapshot);
            match self.good_for_read(&ask.key, &result, Floor::LOCAL, began) {
                Touched::Hard => continue,
                touched => {
                    self.keep(ask, &candidate, &snapshot);
                    let answer = as_stale_if(touched, answer_of(&result));
                    let status = answer.status;
                    return Ok((Some(answer), status));
                }
            }
        }
        Ok((None, Status::miss(Reason::Touched)))
    }

    /// A read that loads what is missing. One load per key per cluster.
    pub(crate) async fn read(
        self: &Arc<Self>,
        ask: Ask,
        loader: Loader,
    ) -> Result<Answer, Failure> {
        let answer = self.read_inner(ask, loader).await;
        if let Ok(answer) = &answer {
            self.counters.answered(&answer.status);
        }
        answer
    }

    async fn read_inner(self: &Arc<Self>, ask: Ask, loader: Loader) -> Result<Answer, Failure> {
        let began = self.clock.now();
        let patience = ask.policy.hard_timeout.map(|after| Instant::now() + after);
        let floor = self.floor(ask.level).await;
        let mut tries = 0;
        while tries < TRIES {
            let (mut stale, mut last_resort) = (None, None);
            match self.near(&ask) {
                Near::Answer(answer) => return Ok(answer),
                Near::Early(answer, fill) => {
                    self.refresh(&ask, Replace::Fill(fill), loader);
                    return Ok(answer);
                }
                Near::Stale(answer) => stale = Some(answer),
                Near::LastResort(answer) => last_resort = Some(answer),
                Near::Nothing => {}
            }
            if let Some(answer) = &stale
                && self.throttle.holds(&ask.key, self.clock.now())
            {
                return Ok(because(answer, Reason::LoadThrottled));
            }
            let (flight, joined) = match self.flights.board(&ask.key) {
                Boarding::Join(flight) => (flight, true),
                Boarding::Lead(leader) => {
                    return self
                        .lead(leader, ask, loader, stale, last_resort, patience)
                        .await;
                }
            };
            debug_assert!(joined);
            let forced = ask.replace == Replace::Anything;
            let landing = match self.wait(&ask, flight, stale.as_ref(), patience).await {
                Err(answer) => return answer,
                Ok(landing) => landing,
            };
            match landing {
                // What was under way when a refresh was asked for does not count.
                _ if forced => continue,
                Landing::Abandoned => continue,
                Landing::Failed { failure, cut_off } => {
                    return rescue(&ask, failure, cut_off, stale, last_resort);
                }
                Landing::Landed(result) => {
                    match self.good_for_read(&ask.key, &result, floor, began) {
                        Touched::Hard => tries += 1,
                        touched => {
                            let mut answer = as_stale_if(touched, answer_of(&result));
                            answer.status.collapsed = answer.status.outcome == Outcome::Miss;
                            return Ok(answer);
                        }
                    }
                }
            }
        }
        self.load_alone(&ask, loader).await
    }

    /// What a read at this level must honour. Without the tail, a floor is the clock on the primary;
    /// when that can't be had, the read loads, and shares only a load that is younger than Δ.
    async fn floor(&self, level: Level) -> Floor {
        if level == Level::Bounded || self.store.is_private() {
            return Floor::LOCAL;
        }
        self.store.clock().await.map_or(Floor::LOCAL, Floor::at)
    }

    /// Leads a flight for a read: to the store and, if that has nothing, through the load.
    async fn lead(
        self: &Arc<Self>,
        leader: Leader,
        ask: Ask,
        loader: Loader,
        stale: Option<Answer>,
        last_resort: Option<Answer>,
        patience: Option<Instant>,
    ) -> Result<Answer, Failure> {
        if let Some(answer) = stale {
            // The answer is there already: the flight goes on without its caller.
            let flight = leader.passenger();
            let (engine, on_board) = (self.clone(), ask.clone());
            self.detach(async move { drop(engine.fly(leader, &on_board, loader).await) });
            return match self.wait(&ask, flight, Some(&answer), patience).await {
                Err(answer) => answer,
                Ok(landing) => taken(&ask, landing, Some(answer), last_resort),
            };
        }
        let flying = self.fly(leader, &ask, loader);
        let flown = match patience {
            Some(end) => match tokio::time::timeout_at(end, flying).await {
                Ok(flown) => flown,
                Err(_) => {
                    return Err(Failure::TimedOut(
                        ask.policy.hard_timeout.unwrap_or_default(),
                    ));
                }
            },
            None => flying.await,
        };
        match flown {
            Flown::Answered(result) => Ok(answer_of(&result)),
            Flown::Loading(flight, stale) => {
                match self.wait(&ask, flight, stale.as_ref(), patience).await {
                    Err(answer) => answer,
                    // Our own load began after this read did: it is taken without the question.
                    Ok(landing) => taken(&ask, landing, stale, last_resort),
                }
            }
        }
    }

    /// Waits for a landing: up to the soft timeout when a stale value can stand in, else up to the
    /// read's patience. `Err` is the answer to give instead.
    async fn wait(
        &self,
        ask: &Ask,
        flight: Flight,
        stale: Option<&Answer>,
        patience: Option<Instant>,
    ) -> Result<Landing, Result<Answer, Failure>> {
        if let Some(answer) = stale {
            let soft = ask.policy.soft_timeout.unwrap_or_default();
            let slow = || {
                Ok(if soft.is_zero() {
                    answer.clone()
                } else {
                    because(answer, Reason::LoadSlow)
                })
            };
            if soft.is_zero() {
                return Err(slow());
            }
            return tokio::time::timeout(soft, flight.landed())
                .await
                .map_err(|_| slow());
        }
        let Some(end) = patience else {
            return Ok(flight.landed().await);
        };
        let timed_out = || {
            Err(Failure::TimedOut(
                ask.policy.hard_timeout.unwrap_or_default(),
            ))
        };
        tokio::time::timeout_at(end + GRACE, flight.landed())
            .await
            .map_err(|_| timed_out())
    }

    /// Starts a refresh in the background, unless somebody flies already.
    fn refresh(self: &Arc<Self>, ask: &Ask, replace: Replace, loader: Loader) {
        if self.is_closed() || self.throttle.holds(&ask.key, self.clock.now()) {
            return;
        }
        if let Boarding::Lead(leader) = self.flights.board(&ask.key) {
            let (engine, ask) = (
                self.clone(),
                Ask {
                    replace,
                    ..ask.clone()
                },
            );
            self.detach(async move { drop(engine.fly(leader, &ask, loader).await) });
        }
    }

    /// Loads for this read alone: not shared, not stored.
    async fn load_alone(&self, ask: &Ask, loader: Loader) -> Result<Answer, Failure> {
        bump(&self.counters.loads);
        let (loaded, _) = self.run(loader, ask.policy.hard_timeout, None).await;
        loaded.map(|live| Answer {
            live,
            status: Status::miss(Reason::Touched),
        })
    }
}

pub(super) fn answer_of(result: &Offer) -> Answer {
    Answer {
        live: result.live.clone(),
        status: result.status,
    }
}

fn as_stale_if(touched: Touched, mut answer: Answer) -> Answer {
    if touched == Touched::Soft {
        answer.status.outcome = Outcome::Stale;
        answer.status.reason = Reason::SoftInvalidated;
    }
    answer
}

fn because(answer: &Answer, reason: Reason) -> Answer {
    let mut answer = answer.clone();
    answer.status.reason = reason;
    answer.status.outcome = Outcome::Stale;
    answer
}

/// What the caller of a load gets from its landing.
fn taken(
    ask: &Ask,
    landing: Landing,
    stale: Option<Answer>,
    last_resort: Option<Answer>,
) -> Result<Answer, Failure> {
    match landing {
        Landing::Landed(result) => Ok(answer_of(&result)),
        Landing::Failed { failure, cut_off } => rescue(ask, failure, cut_off, stale, last_resort),
        Landing::Abandoned => {
            let failure = Failure::Panicked("the load was dropped before its end".into());
            rescue(ask, failure, false, stale, last_resort)
        }
    }
}

/// A stale value in place of a failed load, if there is one and the policy lets it. What L1 no longer
/// trusts counts only while the store is away (PROTOCOL §9, exception 2).
fn rescue(
    ask: &Ask,
    failure: Failure,
    cut_off: bool,
    stale: Option<Answer>,
    last_resort: Option<Answer>,
) -> Result<Answer, Failure> {
    let stand_in = stale.or(last_resort.filter(|_| cut_off));
    match stand_in {
        Some(answer) if ask.policy.stale_on_error => Ok(because(&answer, Reason::LoadFailed)),
        _ => Err(failure),
    }
}
