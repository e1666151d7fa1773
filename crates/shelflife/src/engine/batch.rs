//! A batch: several keys that are read, and one load for what is missing of them.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::{join_all, select_all};
use tokio::time::Instant;

use super::Engine;
use super::ask::{Answer, Ask, Level, answer_of};
use super::bulkhead::Place;
use super::due::Due;
use super::fill::Loaded;
use super::flight::{Boarding, Flight, Landing, Leader};
use super::fly::{Behind, unfilled};
use super::judge::Judged;
use super::lease::{LeaseGuard, Right};
use super::load::{BoxFuture, Failure, SourceError};
use super::path::Path;
use super::read::GRACE;
use crate::counters::bump;
use crate::reason::Reason;
use crate::status::{Outcome, Status};
use crate::store::Begun;
use crate::validity::Touched;
use crate::value::Live;

/// Loads the values of some of the keys that were asked for, given by position; what it leaves out does
/// not exist.
pub(crate) type Batch =
    Arc<dyn Fn(Vec<usize>) -> BoxFuture<Result<Vec<(usize, Live)>, SourceError>> + Send + Sync>;

/// How often a batch looks again for what other callers in this process were loading in vain.
const ROUNDS: usize = 3;

/// A key of a batch whose load is ours.
struct Ours {
    at: usize,
    ask: Ask,
    leader: Leader,
    /// `None` when the store is away.
    right: Option<Right>,
}

impl Engine {
    /// Reads several keys and loads what is missing in one load. What the loader leaves out is `None`.
    pub(crate) async fn read_batch(
        self: &Arc<Self>,
        asks: Vec<Ask>,
        loader: Batch,
    ) -> Result<Vec<Option<Answer>>, Failure> {
        let begun = Instant::now();
        let mut answers = self.lookup_many(&asks).await;
        let mut stale: Vec<Option<Answer>> = answers
            .iter_mut()
            .map(|a| a.take_if(|a| a.status.outcome == Outcome::Stale))
            .collect();
        self.serve_throttled(&asks, &mut stale, &mut answers);
        let mut missing: Vec<usize> = (0..asks.len())
            .filter(|&at| answers[at].is_none())
            .collect();
        // Inside a load of one of these keys, waiting would be waiting for ourselves.
        let inside = |at: &usize| {
            asks[*at]
                .inside
                .as_ref()
                .is_some_and(|c| c.holds(self, &asks[*at].key))
        };
        let mut rounds = if missing.iter().any(inside) {
            ROUNDS
        } else {
            0
        };
        while rounds < ROUNDS && !missing.is_empty() {
            match self
                .round(&asks, &missing, &loader, &mut answers, &stale, begun)
                .await
            {
                Ok(left) => {
                    // What another process is loading is waited for as long as any load would be.
                    let wait = left.held && patient(&asks[missing[0]], begun);
                    rounds += usize::from(!wait);
                    missing = left.missing;
                }
                Err(failure) => return stand_in(answers, &mut stale, &asks, &missing, failure),
            }
        }
        if missing.is_empty() {
            return Ok(answers);
        }
        // Others hold on to these: loaded for this call alone.
        let nobody_else = std::future::pending();
        let _place = match self
            .place_of_batch(&asks, &missing, &stale, begun, nobody_else)
            .await
        {
            Ok(place) => place,
            Err(failure) => return stand_in(answers, &mut stale, &asks, &missing, failure),
        };
        bump(&self.counters.loads);
        let wanted: Vec<Ask> = missing.iter().map(|&at| asks[at].clone()).collect();
        let loaded = self
            .run_batch(&wanted, loader(missing.clone()), &[])
            .await
            .0;
        match loaded {
            Ok(values) => {
                for (at, live) in values {
                    answers[at] = Some(Answer {
                        live,
                        status: Status::miss(Reason::Loading),
                    });
                }
                Ok(answers)
            }
            Err(failure) => {
                bump(&self.counters.load_failures);
                stand_in(answers, &mut stale, &asks, &missing, failure)
            }
        }
    }

    /// A place for a batch's load, waited for as long as a load of it might take. Where something stale
    /// can stand in for all that is missing, nothing is waited for.
    async fn place_of_batch(
        &self,
        asks: &[Ask],
        missing: &[usize],
        stale: &[Option<Answer>],
        begun: Instant,
        needed: impl Future<Output = ()>,
    ) -> Result<Place, Failure> {
        let ask = &asks[missing[0]];
        if let Some(place) = self.bulkhead.enter(ask) {
            return Ok(place);
        }
        if missing.iter().all(|&at| stale[at].is_some()) {
            bump(&self.counters.loads_shed);
            return Err(Failure::Overloaded);
        }
        let placing = self.place(ask, None, Behind::Caller, needed);
        let place = match ask.policy.hard_timeout {
            None => placing.await,
            Some(after) => tokio::time::timeout_at(begun + after, placing)
                .await
                .map_err(|_| Failure::TimedOut(after))?,
        };
        place.ok_or(Failure::Overloaded)
    }

    /// What failed to load a moment ago is served stale, where it may be, and not loaded again yet.
    fn serve_throttled(
        &self,
        asks: &[Ask],
        stale: &mut [Option<Answer>],
        answers: &mut [Option<Answer>],
    ) {
        let now = self.clock.now();
        for ((ask, stale), answer) in asks.iter().zip(stale).zip(answers) {
            if ask.policy.stale_on_error
                && self.throttle.holds(&ask.key, now)
                && let Some(mut instead) = stale.take()
            {
                instead.status.reason = Reason::LoadThrottled;
                *answer = Some(instead);
            }
        }
    }

    /// One round: boards every missing key, loads those that are ours in one load, waits for those that
    /// are not. Gives what is missing still.
    async fn round(
        self: &Arc<Self>,
        asks: &[Ask],
        missing: &[usize],
        loader: &Batch,
        answers: &mut [Option<Answer>],
        stale: &[Option<Answer>],
        begun: Instant,
    ) -> Result<Left, Failure> {
        let mut due = self.due(strictest(asks)).await;
        let (mut leads, mut joined) = (Vec::new(), Vec::new());
        for &at in missing {
            match self.flights.board(&asks[at].key) {
                Boarding::Lead(leader) => leads.push((at, leader)),
                Boarding::Join(flight) => {
                    if asks[at].inside.is_some() {
                        flight.needed_inside();
                    }
                    joined.push((at, flight));
                }
            }
        }
        // Before the leases, and after boarding: who waits for a place keeps nobody else's.
        let place = match leads.is_empty() {
            true => None,
            false => {
                let needed = any_needed_inside(&leads);
                match self
                    .place_of_batch(asks, missing, stale, begun, needed)
                    .await
                {
                    Ok(place) => Some(place),
                    Err(failure) => return Err(unplaced(leads, failure)),
                }
            }
        };
        let taken = join_all(
            leads
                .into_iter()
                .map(|(at, leader)| self.take(at, &asks[at], leader)),
        );
        let (mut ours, mut left) = (Vec::new(), Left::default());
        for outcome in taken.await {
            match outcome {
                Taken::Ours(mine) => ours.push(*mine),
                Taken::There(at, answer) => answers[at] = Some(answer),
                Taken::Again(at) => left.missing.push(at),
                Taken::Held(at) => {
                    left.held = true;
                    left.missing.push(at);
                }
            }
        }
        // Not kept from others while there is nothing to load.
        let place = place.filter(|_| !ours.is_empty());
        if !ours.is_empty() {
            let (engine, loader) = (self.clone(), loader.clone());
            let load = self.detach(async move {
                let _place = place;
                engine.load_batch(ours, loader).await
            });
            let loaded = load.await.unwrap_or_else(|_| {
                Err(Failure::Panicked(
                    "the load was dropped before its end".into(),
                ))
            })?;
            for (at, answer) in loaded {
                answers[at] = Some(answer);
            }
        } else if left.held && joined.is_empty() {
            // What is missing is held by other processes.
            let _waiting = self.wait_for_lease();
            tokio::time::sleep(std::time::Duration::from_millis(fastrand::u64(5..=25))).await;
        }
        for (at, flight) in joined {
            match landed_by(flight, &asks[at], begun).await? {
                Landing::Landed(result)
                    if asks[at].kind.is(&result.live)
                        && self.question(&mut due, &asks[at].key, &result).await == Touched::No =>
                {
                    answers[at] = Some(answer_of(&result));
                }
                _ => left.missing.push(at),
            }
        }
        Ok(left)
    }

    async fn take(self: &Arc<Self>, at: usize, ask: &Ask, leader: Leader) -> Taken {
        let mut lease = LeaseGuard::new(self, ask);
        let cut_off = |leader| {
            Taken::Ours(Box::new(Ours {
                at,
                ask: ask.clone(),
                leader,
                right: None,
            }))
        };
        let Ok((snapshot, judged)) = self.snapshot(ask, Path::Primary, Some(lease.arm())).await
        else {
            bump(&self.counters.store_errors);
            return cut_off(leader);
        };
        if !snapshot.granted {
            lease.disarm();
        }
        if let Judged::Usable(candidate, None) = judged {
            let result = self.offer_from_store(&candidate, None, &snapshot);
            let due = Due::of_primary(snapshot.sent);
            if self.good_for_read(&ask.key, &result, due) != Touched::No {
                // An invalidation of our own came between: the next round looks again.
                return Taken::Again(at);
            }
            self.keep(ask, &candidate, &snapshot);
            let answer = answer_of(&result);
            leader.land(Landing::Landed(result));
            return Taken::There(at, answer);
        }
        match self.lease(ask, &snapshot, &mut lease).await {
            Ok(Begun::Granted | Begun::Replaced) => {}
            Ok(Begun::Changed | Begun::Held) => return Taken::Held(at),
            Err(_) => return cut_off(leader),
        }
        match self.since(ask, &snapshot).await {
            Ok(since) => {
                let right = Some(Right {
                    lease,
                    since,
                    why: Reason::Absent,
                });
                Taken::Ours(Box::new(Ours {
                    at,
                    ask: ask.clone(),
                    leader,
                    right,
                }))
            }
            Err(_) => cut_off(leader),
        }
    }

    async fn load_batch(
        self: &Arc<Self>,
        ours: Vec<Ours>,
        loader: Batch,
    ) -> Result<Vec<(usize, Answer)>, Failure> {
        let began = self.clock.now();
        bump(&self.counters.loads);
        let rights = ours.iter().filter(|mine| mine.right.is_some()).count();
        let held = self.counters.leases_held.enter_many(rights as u64);
        let positions = ours.iter().map(|mine| mine.at).collect();
        let asks: Vec<Ask> = ours.iter().map(|mine| mine.ask.clone()).collect();
        let leases: Vec<_> = ours
            .iter()
            .filter_map(|mine| Some((mine.ask.key.clone(), mine.right.as_ref()?.lease.wanted())))
            .collect();
        let (loaded, adapted) = self.run_batch(&asks, loader(positions), &leases).await;
        drop(held);
        let values = match loaded {
            Ok(values) => values,
            Err(failure) => {
                bump(&self.counters.load_failures);
                let now = self.clock.now();
                for Ours {
                    ask, leader, right, ..
                } in ours
                {
                    self.throttle.until(&ask.key, now.plus(ask.policy.throttle));
                    let cut_off = right.is_none();
                    if let Some(right) = right {
                        right.lease.give_back().await;
                    }
                    leader.land(Landing::Failed {
                        failure: failure.clone(),
                        cut_off,
                    });
                }
                return Err(failure);
            }
        };
        let cost = self.clock.now().since(began);
        let mut values: HashMap<usize, Live> = values.into_iter().collect();
        let fills = ours.into_iter().filter_map(
            |Ours {
                 at,
                 ask,
                 leader,
                 right,
             }| {
                // What does not exist lands as abandoned: whoever waited asks for himself.
                let live = values.remove(&at)?;
                self.throttle.lift(&ask.key);
                let adapted = adapted.clone();
                Some(async move {
                    let result = match right {
                        Some(right) => {
                            let loaded = Loaded {
                                live,
                                adapted,
                                cost,
                            };
                            self.fill(&ask, loaded, right).await
                        }
                        None => unfilled(&ask, live, began),
                    };
                    let answer = answer_of(&result);
                    leader.land(Landing::Landed(result));
                    (at, answer)
                })
            },
        );
        Ok(join_all(fills).await)
    }
}

/// Waits for another's flight, as long as a load of our own might take.
async fn landed_by(flight: Flight, ask: &Ask, begun: Instant) -> Result<Landing, Failure> {
    match ask.policy.hard_timeout {
        None => Ok(flight.landed().await),
        Some(after) => tokio::time::timeout_at(begun + after + GRACE, flight.landed())
            .await
            .map_err(|_| Failure::TimedOut(after)),
    }
}

/// The level that satisfies every one of these reads.
fn strictest(asks: &[Ask]) -> Level {
    let mut level = Level::Bounded;
    for ask in asks {
        level = match (level, ask.level) {
            (Level::Bounded, other) => other,
            (same, other) if same == other => same,
            (same, Level::Bounded) => same,
            // Two sessions, or a session and a strict read: the clock covers both.
            _ => Level::Strict,
        };
    }
    level
}

/// What is missing after a round.
#[derive(Default)]
struct Left {
    missing: Vec<usize>,
    /// Whether another process is loading some of it.
    held: bool,
}

/// Whether a read that began then may go on waiting for others.
fn patient(ask: &Ask, begun: Instant) -> bool {
    ask.policy
        .hard_timeout
        .is_none_or(|limit| begun.elapsed() < limit)
}

enum Taken {
    Ours(Box<Ours>),
    /// Another filled it meanwhile.
    There(usize, Answer),
    /// Another process is loading it.
    Held(usize),
    /// It was overtaken by an invalidation of our own.
    Again(usize),
}

/// Waits until a load waits for one of these flights, if ever.
async fn any_needed_inside(leads: &[(usize, Leader)]) {
    let each = leads.iter().map(|(_, leader)| leader.is_needed_inside());
    select_all(each.map(Box::pin)).await;
}

/// Ends flights that have no place for their load. Who joined them waits for one of his own, as long as
/// he may.
fn unplaced(leads: Vec<(usize, Leader)>, failure: Failure) -> Failure {
    for (_, leader) in leads {
        leader.land(Landing::Shed);
    }
    failure
}

/// Stale values in place of a failed load, if there is one for each missing key.
fn stand_in(
    mut answers: Vec<Option<Answer>>,
    stale: &mut [Option<Answer>],
    asks: &[Ask],
    missing: &[usize],
    failure: Failure,
) -> Result<Vec<Option<Answer>>, Failure> {
    for &at in missing
        .iter()
        .filter(|&&at| answers[at].is_none())
        .collect::<Vec<_>>()
    {
        let overloaded = matches!(failure, Failure::Overloaded);
        let may = overloaded || asks[at].policy.stale_on_error;
        let Some(mut answer) = stale[at].take().filter(|_| may) else {
            return Err(failure);
        };
        answer.status.reason = failure.status().reason;
        answers[at] = Some(answer);
    }
    Ok(answers)
}
