//! Several keys at once, none of which is loaded: one round trip for what L1 does not have.

use std::sync::Arc;

use super::Engine;
use super::ask::{Answer, Ask, Level, answer_of};
use super::due::Due;
use super::judge::Judged;
use crate::counters::bump;
use crate::reason::Reason;
use crate::status::Status;
use crate::store::StoreResult;
use crate::validity::Touched;

impl Engine {
    /// Reads several keys, none of which is loaded. In order; stale values count as found.
    pub(crate) async fn lookup_many(self: &Arc<Self>, asks: &[Ask]) -> Vec<Option<Answer>> {
        let mut answers: Vec<Option<Answer>> =
            asks.iter().map(|ask| self.near_fresh(ask)).collect();
        let missing: Vec<usize> = (0..asks.len())
            .filter(|&at| answers[at].is_none())
            .collect();
        let found = self.look_many(asks, &missing).await;
        let mut why = vec![Reason::StoreUnavailable; asks.len()];
        let mut failed = found.as_ref().err().cloned();
        for (&at, found) in missing.iter().zip(found.unwrap_or_default()) {
            match found {
                Ok(Ok(answer)) => answers[at] = Some(answer),
                Ok(Err(reason)) => why[at] = reason,
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            bump(&self.counters.store_errors);
            tracing::debug!(%error, "read without the store");
        }
        for ((ask, answer), why) in asks.iter().zip(&answers).zip(why) {
            let status = answer.as_ref().map_or(Status::miss(why), |a| a.status);
            self.answered(&ask.key, &ask.tags, &status);
        }
        answers
    }

    /// What the store has, or why not, of each; of some it may fail to answer.
    async fn look_many(
        self: &Arc<Self>,
        asks: &[Ask],
        wanted: &[usize],
    ) -> StoreResult<Vec<StoreResult<Result<Answer, Reason>>>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<Arc<str>> = wanted.iter().map(|&at| asks[at].key.clone()).collect();
        let snapshots = self.store.read_many(&keys).await?;
        let mut found = Vec::with_capacity(wanted.len());
        for (&at, snapshot) in wanted.iter().zip(snapshots) {
            let snapshot = match snapshot {
                Ok(snapshot) => snapshot,
                Err(error) => {
                    found.push(Err(error));
                    continue;
                }
            };
            self.belong_to(snapshot.clock).await?;
            let ask = &asks[at];
            found.push(Ok(match self.judge(ask, &snapshot) {
                Judged::Dead(reason) => Err(reason),
                Judged::Usable(candidate, stale) => {
                    let result = self.offer_from_store(&candidate, stale, &snapshot);
                    let good =
                        self.good_for_read(&ask.key, &result, Due::of_primary(snapshot.sent));
                    match good {
                        Touched::No => {
                            self.keep(ask, &candidate, &snapshot);
                            Ok(answer_of(&result))
                        }
                        Touched::Soft | Touched::Hard => Err(Reason::Touched),
                    }
                }
            }));
        }
        Ok(found)
    }

    fn near_fresh(&self, ask: &Ask) -> Option<Answer> {
        let (now, window) = (self.clock.now(), self.window());
        let resident = self.local.get(&ask.key)?;
        let in_reach = ask.level == Level::Bounded || self.store.is_private();
        if !in_reach || !self.local.answers(&resident, now, window) {
            return None;
        }
        self.answer_near(ask, &resident, now)
    }
}
