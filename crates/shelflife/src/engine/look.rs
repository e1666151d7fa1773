//! Reads that never load: L1, then the store.

use std::sync::Arc;

use super::Engine;
use super::ask::{Answer, Ask, answer_of, as_stale_if};
use super::due::Due;
use super::judge::Judged;
use super::near::Near;
use super::path::Path;
use super::read::TRIES;
use crate::counters::bump;
use crate::reason::Reason;
use crate::status::Status;
use crate::store::StoreResult;
use crate::validity::Touched;

impl Engine {
    /// What is stored for a read, fresh or stale. Without the store: nothing.
    pub(crate) async fn lookup(self: &Arc<Self>, ask: &Ask) -> (Option<Answer>, Status) {
        let due = self.due_at_once(ask.level);
        let near = due.map_or(Near::Nothing, |due| self.near(ask, due));
        let (answer, status) = match near {
            Near::Answer(answer) | Near::Early(answer, _) => {
                let status = answer.status;
                (Some(answer), status)
            }
            Near::Stale(_) | Near::LastResort(_) | Near::Nothing => {
                self.look(ask, due).await.unwrap_or_else(|error| {
                    bump(&self.counters.store_errors);
                    tracing::debug!(%error, "read without the store");
                    (None, Status::miss(Reason::StoreUnavailable))
                })
            }
        };
        self.answered(&ask.key, &ask.tags, &status);
        (answer, status)
    }

    /// What the store has for a read, fresh or stale.
    pub(super) async fn look(
        self: &Arc<Self>,
        ask: &Ask,
        due: Option<Due>,
    ) -> StoreResult<(Option<Answer>, Status)> {
        let mut path = self.path_to_look(ask, due);
        for _ in 0..TRIES {
            let (snapshot, judged) = self.snapshot(ask, path, None).await?;
            // A retry asks the primary.
            path = Path::Primary;
            let (candidate, stale) = match judged {
                Judged::Dead(reason) => return Ok((None, Status::miss(reason))),
                Judged::Usable(candidate, stale) => (candidate, stale),
            };
            let offer = self.offer_from_store(&candidate, stale, &snapshot);
            let touched = self.good_for_read(&ask.key, &offer, Due::of_primary(snapshot.sent));
            if touched == Touched::Hard {
                continue;
            }
            self.keep(ask, &candidate, &snapshot);
            let answer = as_stale_if(touched, answer_of(&offer));
            let status = answer.status;
            return Ok((Some(answer), status));
        }
        Ok((None, Status::miss(Reason::Touched)))
    }
}
