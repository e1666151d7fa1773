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
use std::time::Duration;

use super::Engine;
use super::flight::{Boarding, Flight, Landing, Leader, Result_};
use super::judge::{Candidate, Judged, schema_fits};
use super::load::{Failure, Loader};
use crate::clock::Moment;
use crate::counters::bump;
use crate::epoch::{Epoch, Receipt};
use crate::key::Tag;
use crate::local::Resident;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::record::Token;
use crate::status::{Outcome, Status, Tier};
use crate::store::{Begun, Snapshot, StoreResult, Wanted};
use crate::validity::{Floor, Touched, Validity};
use crate::value::{Kind, Live};

/// How often a read starts over before it loads alone.
const TRIES: usize = 3;
/// Between two looks at a lease that another process holds.
const POLL_MOST: Duration = Duration::from_millis(25);
const POLL_LEAST: Duration = Duration::from_millis(2);

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
    fn replaces(self, fill: u64) -> bool {
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

/// What L1 has for a read.
enum Near {
    Answer(Answer),
    /// Fresh, but it is time to refresh it.
    Early(Answer, u64),
    /// To be served as stale.
    Stale(Answer),
    /// Not trusted, or not for this floor: of use only when the source fails and the store is away.
    LastResort(Answer),
    Nothing,
}

/// How the flight of a leader went.
enum Flown {
    /// The store had it.
    Answered(Result_),
    /// A load is under way; the stale value that the store had meanwhile.
    Loading(Flight, Option<Answer>),
}

/// Gives a lease back that nobody used: a cancelled read must not leave one behind.
struct LeaseGuard {
    engine: Arc<Engine>,
    key: Arc<str>,
    token: Option<Token>,
}

impl LeaseGuard {
    fn disarm(&mut self) {
        self.token = None;
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        if let (Some(token), Ok(_)) = (self.token.take(), tokio::runtime::Handle::try_current()) {
            let (engine, key) = (self.engine.clone(), self.key.clone());
            let tasks = engine.tasks.clone();
            tasks.spawn(async move {
                // If the store is away, the lease ends by its own time.
                let _ = engine.store.release(&key, token).await;
            });
        }
    }
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
        let resident = self.local.get(key)?;
        let now = self.clock.now();
        let answers = (level == Level::Bounded || self.store.is_private())
            && resident.answers(now)
            && schema_fits(schema, resident.schema);
        if !answers {
            return None;
        }
        self.counters.l1_hits.add();
        Some((resident, now))
    }

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
            let result = self.store_result(&candidate, stale, &snapshot);
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
        let patience = ask
            .policy
            .hard_timeout
            .map(|after| tokio::time::Instant::now() + after);
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

    /// What L1 has for this read.
    fn near(&self, ask: &Ask) -> Near {
        if ask.replace != Replace::Nothing {
            return Near::Nothing;
        }
        let Some(resident) = self.local.get(&ask.key) else {
            return Near::Nothing;
        };
        let now = self.clock.now();
        let Ok(live) = ask.kind.adopt(&resident.live) else {
            return Near::Nothing;
        };
        if !schema_fits(ask.policy.schema, resident.schema) {
            return Near::Nothing;
        }
        let answer = |outcome, reason| Answer {
            live,
            status: near_status(&resident, outcome, reason, now),
        };
        let in_reach = ask.level == Level::Bounded || self.store.is_private();
        let trusted = in_reach && now < resident.trusted_until;
        match resident.validity(now) {
            Validity::Dead(_) => Near::Nothing,
            _ if !trusted => Near::LastResort(answer(Outcome::Stale, Reason::LoadFailed)),
            Validity::Stale(reason) => Near::Stale(answer(Outcome::Stale, reason)),
            Validity::Fresh if now < resident.refresh_at => {
                Near::Answer(answer(Outcome::Hit, Reason::Fresh))
            }
            Validity::Fresh => Near::Early(answer(Outcome::Hit, Reason::Fresh), resident.fill),
        }
    }

    /// A fresh resident as the answer of a read.
    pub(super) fn answer_near(
        &self,
        ask: &Ask,
        resident: &Resident,
        now: Moment,
    ) -> Option<Answer> {
        let live = ask.kind.adopt(&resident.live).ok()?;
        let fits = schema_fits(ask.policy.schema, resident.schema);
        let status = near_status(resident, Outcome::Hit, Reason::Fresh, now);
        fits.then_some(Answer { live, status })
    }

    /// Leads a flight for a read: to the store and, if that has nothing, through the load.
    async fn lead(
        self: &Arc<Self>,
        leader: Leader,
        ask: Ask,
        loader: Loader,
        stale: Option<Answer>,
        last_resort: Option<Answer>,
        patience: Option<tokio::time::Instant>,
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
        patience: Option<tokio::time::Instant>,
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
        // A moment longer than the load itself may take, so that its own end is told first.
        let end = end + POLL_MOST;
        tokio::time::timeout_at(end, flight.landed())
            .await
            .map_err(|_| timed_out())
    }

    /// From boarding to an answer of the store or a load under way (PROTOCOL §4, steps 3 and 4).
    async fn fly(self: &Arc<Self>, leader: Leader, ask: &Ask, loader: Loader) -> Flown {
        let wanted = Wanted {
            token: Token::random(),
            lease: ask.policy.lease,
        };
        let mut guard = LeaseGuard {
            engine: self.clone(),
            key: ask.key.clone(),
            token: None,
        };
        let mut poll = POLL_LEAST;
        let mut touched_again = 0;
        loop {
            guard.token = Some(wanted.token);
            let (snapshot, judged) = match self.snapshot(ask, wanted).await {
                Ok(seen) => seen,
                Err(error) => {
                    bump(&self.counters.store_errors);
                    tracing::debug!(%error, "load without the store");
                    return self.begin_load(leader, ask, loader, None, None);
                }
            };
            if !snapshot.granted {
                guard.disarm();
            }
            let stale = match judged {
                Judged::Dead(reason) => {
                    self.counters.because(reason);
                    None
                }
                Judged::Usable(candidate, stale) => {
                    let result = self.store_result(&candidate, stale, &snapshot);
                    let touched =
                        self.good_for_read(&ask.key, &result, Floor::LOCAL, snapshot.sent);
                    if touched == Touched::Hard && touched_again < TRIES {
                        // An invalidation of our own came between: look again.
                        touched_again += 1;
                        continue;
                    }
                    if touched == Touched::Hard {
                        None
                    } else {
                        self.keep(ask, &candidate, &snapshot);
                        let fresh = stale.is_none() && touched == Touched::No;
                        if fresh && !ask.replace.replaces(candidate.meta.fill) {
                            leader.land(Landing::Landed(result.clone()));
                            return Flown::Answered(result);
                        }
                        let throttled = self.throttle.holds(&ask.key, self.clock.now());
                        if throttled && ask.replace != Replace::Anything {
                            return land_stale(leader, result, Reason::LoadThrottled);
                        }
                        (ask.replace != Replace::Anything).then_some(result)
                    }
                }
            };
            let granted = if snapshot.granted {
                Ok(Begun::Granted)
            } else {
                guard.token = Some(wanted.token);
                self.store
                    .begin(&ask.key, snapshot.slot.seen(), wanted)
                    .await
            };
            match granted {
                Ok(Begun::Granted) => {
                    let stale = stale.map(|result| answer_of(&result));
                    return match self.since(ask, &snapshot).await {
                        Ok(since) => {
                            let load = Some((guard, wanted, since));
                            self.begin_load(leader, ask, loader, load, stale)
                        }
                        Err(_) => self.begin_load(leader, ask, loader, None, stale),
                    };
                }
                Ok(Begun::Changed) => guard.disarm(),
                Ok(Begun::Held) => {
                    guard.disarm();
                    if let Some(result) = stale {
                        return land_stale(leader, result, Reason::LeaseHeld);
                    }
                    tokio::time::sleep(poll.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                    poll = (poll * 2).min(POLL_MOST);
                }
                Err(_) => {
                    bump(&self.counters.store_errors);
                    return self.begin_load(
                        leader,
                        ask,
                        loader,
                        None,
                        stale.map(|r| answer_of(&r)),
                    );
                }
            }
        }
    }

    pub(super) async fn snapshot(
        self: &Arc<Self>,
        ask: &Ask,
        wanted: Wanted,
    ) -> StoreResult<(Snapshot, Judged)> {
        let snapshot = self.store.read(&ask.key, &ask.tags, Some(wanted)).await?;
        self.belong_to(snapshot.clock).await?;
        let judged = self.judge(ask, &snapshot);
        Ok((snapshot, judged))
    }

    /// The epoch from which a load counts, noted before it begins, and when it was read. Records of
    /// tags that are missing are made now: made at the fill they would be newer than the load.
    pub(super) async fn since(
        &self,
        ask: &Ask,
        snapshot: &Snapshot,
    ) -> StoreResult<(Epoch, Moment)> {
        if snapshot.tags_known {
            return Ok((snapshot.clock, snapshot.sent));
        }
        let sent = self.clock.now();
        let keep = ask.policy.ttl + ask.policy.stale;
        Ok((self.store.ensure_tags(&ask.tags, keep).await?, sent))
    }

    /// Starts the load in a task of its own, which lands the flight.
    fn begin_load(
        self: &Arc<Self>,
        leader: Leader,
        ask: &Ask,
        loader: Loader,
        lease: Option<(LeaseGuard, Wanted, (Epoch, Moment))>,
        stale: Option<Answer>,
    ) -> Flown {
        let flight = leader.passenger();
        let (engine, ask) = (self.clone(), ask.clone());
        self.detach(async move {
            let cut_off = lease.is_none();
            let landing = engine.load_and_fill(&ask, loader, lease).await;
            leader.land(match landing {
                Ok(result) => Landing::Landed(result),
                Err(failure) => Landing::Failed { failure, cut_off },
            });
        });
        Flown::Loading(flight, stale)
    }

    async fn load_and_fill(
        self: &Arc<Self>,
        ask: &Ask,
        loader: Loader,
        lease: Option<(LeaseGuard, Wanted, (Epoch, Moment))>,
    ) -> Result<Result_, Failure> {
        let began = self.clock.now();
        bump(&self.counters.loads);
        let held = lease.as_ref().map(|(_, wanted, _)| (&*ask.key, *wanted));
        let (loaded, adapted) = self.run(loader, ask.policy.hard_timeout, held).await;
        let live = match loaded {
            Ok(live) => live,
            Err(failure) => {
                // The guard gives the lease back.
                bump(&self.counters.load_failures);
                self.throttle
                    .until(&ask.key, self.clock.now().plus(ask.policy.throttle));
                return Err(failure);
            }
        };
        self.throttle.lift(&ask.key);
        let cost = self.clock.now().since(began);
        Ok(match lease {
            Some((mut guard, wanted, since)) => {
                let (result, released) = self
                    .fill(ask, live, adapted, wanted.token, since, cost)
                    .await;
                if released {
                    guard.disarm();
                }
                result
            }
            None => Result_ {
                live,
                tags: ask.tags.clone(),
                good: None,
                known_at: began,
                status: Status::miss(Reason::StoreUnavailable),
            },
        })
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

    /// Puts a value from the store into L1.
    pub(super) fn keep(&self, ask: &Ask, candidate: &Candidate, snapshot: &Snapshot) {
        let early = |cost| ask.policy.early_by(cost, fastrand::f64());
        self.keep_local(&ask.key, candidate, early, snapshot.clock, snapshot.sent);
    }
}

pub(crate) fn near_status(
    resident: &Resident,
    outcome: Outcome,
    reason: Reason,
    now: Moment,
) -> Status {
    Status {
        outcome,
        tier: Some(Tier::L1),
        reason,
        ttl: Some(ms_until(resident.fresh_until, now)),
        stored: false,
        collapsed: false,
    }
}

fn ms_until(end: Moment, now: Moment) -> i64 {
    let ms = (i128::from(end.0) - i128::from(now.0)).div_euclid(1_000_000);
    i64::try_from(ms).unwrap_or(i64::MAX)
}

pub(super) fn answer_of(result: &Result_) -> Answer {
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

fn land_stale(leader: Leader, mut result: Result_, reason: Reason) -> Flown {
    result.status.reason = reason;
    result.status.outcome = Outcome::Stale;
    leader.land(Landing::Landed(result.clone()));
    Flown::Answered(result)
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
