//! Set: values that the caller brings (PROTOCOL §7).

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::ask::Ask;
use super::fill::Prepared;
use super::invalidate::finished;
use super::judge::Candidate;
use super::load::Adapted;
use crate::epoch::Epoch;
use crate::error::{Error, ErrorKind};
use crate::invalidation::Invalidation;
use crate::key::Key;
use crate::reason::Reason;
use crate::record::Token;
use crate::store::{Entry, Wanted};
use crate::value::Live;

/// More than this, and a store writes them in several steps; then L1 does not take them.
const ONE_STEP: usize = 200;

impl Engine {
    /// Stores values whatever is there, each as an invalidation of its key.
    pub(crate) async fn set(self: &Arc<Self>, items: Vec<(Ask, Live)>) -> Result<Epoch, Error> {
        let engine = self.clone();
        let mut prepared = Vec::with_capacity(items.len());
        for (ask, live) in items {
            let ready = self.prepare_set(&ask, &live, Epoch::new(0, 0))?;
            prepared.push((ask, live, ready));
        }
        finished(
            self.detach(async move { engine.set_prepared(prepared).await })
                .await,
        )
    }

    async fn set_prepared(
        self: &Arc<Self>,
        items: Vec<(Ask, Live, Prepared)>,
    ) -> Result<Epoch, Error> {
        let one_step = items.len() <= ONE_STEP;
        let entries = items
            .iter()
            .map(|(ask, _, p)| Entry {
                key: ask.key.clone(),
                meta: p.meta.clone(),
                body: p.body.clone(),
                keep: p.keep,
            })
            .collect();
        let what = Arc::new(keys_of(items.iter().map(|(ask, ..)| &ask.key)));
        let epoch = match self.store.set(entries).await {
            Ok(epoch) => epoch,
            Err(error) => {
                // The old value may stand where the new one was to be.
                self.was_not_confirmed(&what);
                return Err(error.into());
            }
        };
        self.apply_own(epoch, &what).await;
        if one_step {
            for (
                ask,
                live,
                Prepared {
                    bytes, mut meta, ..
                },
            ) in items
            {
                // Values, clock and log changed in one step: nothing lies between.
                meta.epoch = epoch;
                let candidate = Candidate { live, bytes, meta };
                self.keep_local(&ask.key, &candidate, |_| Duration::ZERO, epoch);
            }
        }
        Ok(epoch)
    }

    fn prepare_set(&self, ask: &Ask, live: &Live, epoch: Epoch) -> Result<Prepared, Error> {
        let adapted = Adapted::default();
        self.prepare(
            live,
            &ask.policy,
            &adapted,
            ask.tags.clone(),
            epoch,
            Duration::ZERO,
        )
        .map_err(refused)
    }

    /// Announces a write: from now on no load that began before can fill, and the value counts from
    /// here.
    pub(crate) async fn begin_write(self: &Arc<Self>, ask: Ask) -> Result<Writing, Error> {
        let wanted = Wanted {
            token: Token::random(),
            lease: ask.policy.lease.max(Duration::from_secs(5)),
        };
        let keep = ask.policy.ttl + ask.policy.stale;
        // Made before the store is asked: whoever goes away meanwhile must not leave a token behind.
        let mut writing = Writing {
            engine: self.clone(),
            ask,
            token: Some(wanted.token),
            since: Epoch::new(0, 0),
        };
        let Ask { key, tags, .. } = &writing.ask;
        writing.since = self.store.begin_write(key, tags, keep, wanted).await?;
        Ok(writing)
    }
}

/// A write that was announced. Dropped without [`finish`](Writing::finish), it gives its token back.
pub(crate) struct Writing {
    engine: Arc<Engine>,
    ask: Ask,
    token: Option<Token>,
    since: Epoch,
}

impl Writing {
    /// Stores the value, unless another write or an invalidation of the key came between; then nothing
    /// stays. Gives the epoch, and whether the value was stored.
    pub(crate) async fn finish(mut self, live: Live) -> Result<(Epoch, bool), Error> {
        let prepared = self.engine.prepare_set(&self.ask, &live, self.since);
        let Prepared {
            body, meta, keep, ..
        } = match prepared {
            Ok(prepared) => prepared,
            Err(refused) => {
                // The source has changed all the same: what was stored before must go.
                let outdated = keys_of(std::iter::once(&self.ask.key));
                self.engine.invalidate(outdated, None).await?;
                return Err(refused);
            }
        };
        let Some(token) = self.token.take() else {
            return Err(Error::new(ErrorKind::Closed, "the write has ended"));
        };
        let (engine, key) = (self.engine.clone(), self.ask.key.clone());
        let work = async move {
            let what = Arc::new(keys_of(std::iter::once(&key)));
            let entry = Entry {
                key,
                meta,
                body,
                keep,
            };
            match engine.store.write(entry, token).await {
                Ok((epoch, stored)) => {
                    engine.apply_own(epoch, &what).await;
                    Ok((epoch, stored))
                }
                Err(error) => {
                    engine.was_not_confirmed(&what);
                    Err(error.into())
                }
            }
        };
        finished(self.engine.detach(work).await)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let (Some(token), Ok(_)) = (self.token.take(), tokio::runtime::Handle::try_current()) {
            let (engine, key) = (self.engine.clone(), self.ask.key.clone());
            self.engine.detach(async move {
                let _ = engine.store.release(&key, token).await;
            });
        }
    }
}

fn keys_of<'a>(keys: impl Iterator<Item = &'a Arc<str>>) -> Invalidation {
    Invalidation {
        keys: keys
            .map(|key| Key::from_canonical(key.to_string()))
            .collect(),
        ..Invalidation::new()
    }
}

fn refused(reason: Reason) -> Error {
    let why = match reason {
        Reason::Unencodable => "the value can't be encoded with this codec",
        Reason::TooLarge => "the value is over the limit of size (max_entry) or of tags (128)",
        _ => reason.as_str(),
    };
    Error::new(ErrorKind::Value, why)
}
