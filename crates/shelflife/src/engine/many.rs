//! Several keys at once: one round trip to read, one load for what is missing.

use std::sync::Arc;

use futures_util::future::join_all;

use super::Engine;
use super::flight::{Boarding, Landing, Leader, Result_};
use super::judge::Judged;
use super::load::{BoxFuture, Failure, SourceError};
use super::read::{Answer, Ask, Level, answer_of};
use crate::clock::Moment;
use crate::counters::bump;
use crate::epoch::Epoch;
use crate::reason::Reason;
use crate::record::Token;
use crate::status::{Outcome, Status};
use crate::store::{Begun, StoreResult, Wanted};
use crate::validity::{Floor, Touched};
use crate::value::Live;

/// Loads the values of some of the keys that were asked for, given by position; what it leaves out does
/// not exist.
pub(crate) type Batch =
    Arc<dyn Fn(Vec<usize>) -> BoxFuture<Result<Vec<(usize, Live)>, SourceError>> + Send + Sync>;

/// How often a batch looks again for what others were loading.
const ROUNDS: usize = 3;

/// A key of a batch whose load is ours.
struct Ours {
    at: usize,
    ask: Ask,
    leader: Leader,
    /// `None` when the store is away.
    lease: Option<(Token, (Epoch, Moment))>,
}

impl Engine {
    /// Reads several keys, none of which is loaded. In order; stale values count as found.
    pub(crate) async fn lookup_many(self: &Arc<Self>, asks: &[Ask]) -> Vec<Option<Answer>> {
        let mut answers: Vec<Option<Answer>> =
            asks.iter().map(|ask| self.near_fresh(ask)).collect();
        let missing: Vec<usize> = (0..asks.len())
            .filter(|&at| answers[at].is_none())
            .collect();
        match self.look_many(asks, &missing).await {
            Ok(found) => {
                for (at, answer) in missing.into_iter().zip(found) {
                    answers[at] = answer;
                }
            }
            Err(error) => {
                bump(&self.counters.store_errors);
                self.counters.because(Reason::StoreUnavailable);
                tracing::debug!(%error, "read without the store");
            }
        }
        for answer in &answers {
            let status = answer
                .as_ref()
                .map_or(Status::miss(Reason::Absent), |a| a.status);
            self.counters.answered(&status);
        }
        answers
    }

    async fn look_many(
        self: &Arc<Self>,
        asks: &[Ask],
        wanted: &[usize],
    ) -> StoreResult<Vec<Option<Answer>>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<Arc<str>> = wanted.iter().map(|&at| asks[at].key.clone()).collect();
        let snapshots = self.store.read_many(&keys).await?;
        let mut found = Vec::with_capacity(wanted.len());
        for (&at, snapshot) in wanted.iter().zip(snapshots) {
            self.belong_to(snapshot.clock).await?;
            let ask = &asks[at];
            found.push(match self.judge(ask, &snapshot) {
                Judged::Dead(_) => None,
                Judged::Usable(candidate, stale) => {
                    let result = self.store_result(&candidate, stale, &snapshot);
                    let good = self.good_for_read(&ask.key, &result, Floor::LOCAL, snapshot.sent);
                    (good == Touched::No).then(|| {
                        self.keep(ask, &candidate, &snapshot);
                        answer_of(&result)
                    })
                }
            });
        }
        Ok(found)
    }

    /// Reads several keys and loads what is missing in one load. What the loader leaves out is `None`.
    pub(crate) async fn read_batch(
        self: &Arc<Self>,
        asks: Vec<Ask>,
        loader: Batch,
    ) -> Result<Vec<Option<Answer>>, Failure> {
        let mut answers = self.lookup_many(&asks).await;
        let mut stale: Vec<Option<Answer>> = answers
            .iter_mut()
            .map(|a| a.take_if(|a| a.status.outcome == Outcome::Stale))
            .collect();
        let mut missing: Vec<usize> = (0..asks.len())
            .filter(|&at| answers[at].is_none())
            .collect();
        for _ in 0..ROUNDS {
            if missing.is_empty() {
                return Ok(answers);
            }
            match self.round(&asks, &missing, &loader, &mut answers).await {
                Ok(left) => missing = left,
                Err(failure) => return stand_in(answers, &mut stale, &asks, &missing, failure),
            }
        }
        // Others hold on to these: loaded for this call alone.
        bump(&self.counters.loads);
        match loader(missing.clone()).await {
            Ok(values) => {
                for (at, live) in values {
                    answers[at] = Some(Answer {
                        live,
                        status: Status::miss(Reason::Loading),
                    });
                }
                Ok(answers)
            }
            Err(error) => stand_in(answers, &mut stale, &asks, &missing, Failure::Source(error)),
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
    ) -> Result<Vec<usize>, Failure> {
        let began = self.clock.now();
        let (mut leads, mut joined) = (Vec::new(), Vec::new());
        for &at in missing {
            match self.flights.board(&asks[at].key) {
                Boarding::Lead(leader) => leads.push((at, leader)),
                Boarding::Join(flight) => joined.push((at, flight)),
            }
        }
        let leased = join_all(
            leads
                .into_iter()
                .map(|(at, leader)| self.lease(at, &asks[at], leader)),
        );
        let (mut ours, mut left) = (Vec::new(), Vec::new());
        for outcome in leased.await {
            match outcome {
                Leased::Ours(mine) => ours.push(*mine),
                Leased::There(at, answer) => answers[at] = Some(answer),
                Leased::Held(at) => left.push(at),
            }
        }
        if !ours.is_empty() {
            let (engine, loader) = (self.clone(), loader.clone());
            let load = self.detach(async move { engine.load_batch(ours, loader).await });
            let loaded = load.await.unwrap_or_else(|_| {
                Err(Failure::Panicked(
                    "the load was dropped before its end".into(),
                ))
            })?;
            for (at, answer) in loaded {
                answers[at] = Some(answer);
            }
        } else if joined.is_empty() {
            // All held by other processes.
            tokio::time::sleep(std::time::Duration::from_millis(fastrand::u64(5..=25))).await;
        }
        for (at, flight) in joined {
            match flight.landed().await {
                Landing::Landed(result)
                    if self.good_for_read(&asks[at].key, &result, Floor::LOCAL, began)
                        == Touched::No =>
                {
                    answers[at] = Some(answer_of(&result));
                }
                _ => left.push(at),
            }
        }
        Ok(left)
    }

    async fn lease(self: &Arc<Self>, at: usize, ask: &Ask, leader: Leader) -> Leased {
        let wanted = Wanted {
            token: Token::random(),
            lease: ask.policy.lease,
        };
        let Ok((snapshot, judged)) = self.snapshot(ask, wanted).await else {
            return Leased::Ours(Box::new(Ours {
                at,
                ask: ask.clone(),
                leader,
                lease: None,
            }));
        };
        if let Judged::Usable(candidate, None) = judged {
            let result = self.store_result(&candidate, None, &snapshot);
            self.keep(ask, &candidate, &snapshot);
            let answer = answer_of(&result);
            leader.land(Landing::Landed(result));
            return Leased::There(at, answer);
        }
        let granted = snapshot.granted
            || matches!(
                self.store
                    .begin(&ask.key, snapshot.slot.seen(), wanted)
                    .await,
                Ok(Begun::Granted)
            );
        if !granted {
            return Leased::Held(at);
        }
        let lease = self
            .since(ask, &snapshot)
            .await
            .ok()
            .map(|since| (wanted.token, since));
        Leased::Ours(Box::new(Ours {
            at,
            ask: ask.clone(),
            leader,
            lease,
        }))
    }

    async fn load_batch(
        self: &Arc<Self>,
        ours: Vec<Ours>,
        loader: Batch,
    ) -> Result<Vec<(usize, Answer)>, Failure> {
        let began = self.clock.now();
        bump(&self.counters.loads);
        let positions = ours.iter().map(|mine| mine.at).collect();
        let leases: Vec<_> = ours
            .iter()
            .filter_map(|mine| mine.lease.map(|(token, _)| (mine.ask.key.clone(), token)))
            .collect();
        let policy = ours
            .first()
            .map(|mine| mine.ask.policy.clone())
            .unwrap_or_default();
        let (loaded, adapted) = self
            .run_batch(
                loader(positions),
                policy.hard_timeout,
                &leases,
                policy.lease,
            )
            .await;
        let values = match loaded {
            Ok(values) => values,
            Err(failure) => {
                bump(&self.counters.load_failures);
                for mine in ours {
                    self.give_back(&mine).await;
                    let cut_off = mine.lease.is_none();
                    mine.leader.land(Landing::Failed {
                        failure: failure.clone(),
                        cut_off,
                    });
                }
                return Err(failure);
            }
        };
        let cost = self.clock.now().since(began);
        let mut values: std::collections::HashMap<usize, Live> = values.into_iter().collect();
        let fills = ours.into_iter().map(|mine| {
            let live = values.remove(&mine.at);
            let adapted = adapted.clone();
            async move {
                // What does not exist lands as abandoned: whoever waited asks for himself.
                let Some(live) = live else {
                    self.give_back(&mine).await;
                    return None;
                };
                let Ours {
                    at,
                    ask,
                    leader,
                    lease,
                } = mine;
                let result = match lease {
                    Some((token, since)) => {
                        let (result, released) =
                            self.fill(&ask, live, adapted, token, since, cost).await;
                        if !released {
                            let _ = self.store.release(&ask.key, token).await;
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
                };
                let answer = answer_of(&result);
                leader.land(Landing::Landed(result));
                Some((at, answer))
            }
        });
        Ok(join_all(fills).await.into_iter().flatten().collect())
    }

    async fn give_back(&self, mine: &Ours) {
        if let Some((token, _)) = mine.lease {
            let _ = self.store.release(&mine.ask.key, token).await;
        }
    }

    fn near_fresh(&self, ask: &Ask) -> Option<Answer> {
        let resident = self.local.get(&ask.key)?;
        let now = self.clock.now();
        let in_reach = ask.level == Level::Bounded || self.store.is_private();
        if !in_reach || !resident.answers(now) {
            return None;
        }
        self.answer_near(ask, &resident, now)
    }
}

enum Leased {
    Ours(Box<Ours>),
    /// Another filled it meanwhile.
    There(usize, Answer),
    /// Another process is loading it.
    Held(usize),
}

/// Stale values in place of a failed load, if there is one for each missing key.
fn stand_in(
    mut answers: Vec<Option<Answer>>,
    stale: &mut [Option<Answer>],
    asks: &[Ask],
    missing: &[usize],
    failure: Failure,
) -> Result<Vec<Option<Answer>>, Failure> {
    for &at in missing {
        let Some(mut answer) = stale[at].take().filter(|_| asks[at].policy.stale_on_error) else {
            return Err(failure);
        };
        answer.status.reason = Reason::LoadFailed;
        answers[at] = Some(answer);
    }
    Ok(answers)
}
