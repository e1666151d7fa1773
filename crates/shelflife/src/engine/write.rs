//! Set: values that the caller brings (PROTOCOL §7).
//!
//! A value counts as loaded when its call began: an invalidation that was called later wins, whichever of
//! the two the server carries out first. So a call notes what it knows of the clock before anything else,
//! and the store keeps only what nothing has named since. Of plain sets that overlap, the one that was
//! carried out last stays. What is written between announcement and end counts from the announcement.
//! [The argument](../../../../docs/decisions/0012-a-set-counts-from-its-call.md).

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::Engine;
use super::ask::Ask;
use super::duty::UnderWay;
use super::fill::Prepared;
use super::invalidate::finished;
use super::load::Adapted;
use super::sets::Item;
use crate::epoch::Epoch;
use crate::error::{Error, ErrorKind};
use crate::invalidation::Invalidation;
use crate::key::Key;
use crate::reason::Reason;
use crate::record::Token;
use crate::store::{Call, Entry, Store, Wanted};
use crate::value::Live;

impl Engine {
    /// Stores values whatever is there, each as an invalidation of its key.
    pub(crate) async fn set(self: &Arc<Self>, items: Vec<(Ask, Live)>) -> Result<Epoch, Error> {
        let call = self.called();
        let ready = |(ask, live): (Ask, Live)| {
            let prepared = self.prepare_set(&ask, &live, Epoch::new(0, 0))?;
            Ok(Item {
                ask,
                live,
                prepared,
            })
        };
        let items = items.into_iter().map(ready).collect::<Result<_, Error>>()?;
        self.set_prepared(call, items).await
    }

    /// A call that begins now. Whatever is called later is newer than the clock that it knows of.
    fn called(&self) -> Call {
        let memory = self.memory();
        Call {
            at: self.clock.now(),
            known: match &self.store {
                Store::Embedded(store) => store.clock().ok(),
                #[cfg(feature = "redis")]
                Store::Redis(_) => memory.newest(),
            },
            is_first: memory.generation() == 0,
        }
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
            handed_over: false,
        };
        let Ask { key, tags, .. } = &writing.ask;
        writing.since = self.store.begin_write(key, tags, keep, wanted).await?;
        writing.handed_over = true;
        Ok(writing)
    }

    /// Does what nobody waits for: at once if it does not wait itself, as with the embedded store, else in
    /// the background.
    pub(super) fn do_unattended(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut work = Box::pin(work);
        if self.store.is_private() && (&mut work).now_or_never().is_some() {
            return;
        }
        let ground = self.ground();
        if ground.is_there() {
            self.see_through_on(&ground, work);
        }
    }
}

/// A write that was announced. Dropped without [`finish`](Writing::finish) or [`abandon`](Writing::abandon),
/// it leaves open whether the source has changed: then the key is invalidated, as if it had.
pub(crate) struct Writing {
    engine: Arc<Engine>,
    ask: Ask,
    /// Ours in the store; `None` once something else has been done about it.
    token: Option<Token>,
    since: Epoch,
    /// Whether a caller has it, and may have written the source.
    handed_over: bool,
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
                // The source has changed all the same: what was stored before must go, and the token with it.
                self.token = None;
                let outdated = keys_of(std::iter::once(&self.ask.key));
                self.engine.invalidate(outdated, None).await?;
                return Err(refused);
            }
        };
        let Some(token) = self.token.take() else {
            return Err(Error::new(ErrorKind::Closed, "the write has ended"));
        };
        let (engine, key) = (self.engine.clone(), self.ask.key.clone());
        let what = Arc::new(keys_of(std::iter::once(&key)));
        let under_way = UnderWay::new(&engine, &what, None);
        let work = async move {
            let entry = Entry {
                key,
                meta,
                body,
                keep,
            };
            match engine.store.write(entry, token).await {
                Ok((epoch, stored)) => {
                    engine.apply_own(epoch, &what).await;
                    under_way.end();
                    Ok((epoch, stored))
                }
                // Owed by who goes out of scope.
                Err(error) => Err(error.into()),
            }
        };
        finished(self.engine.see_through(work).await)
    }

    /// Withdraws the announcement: the source is as it was.
    pub(crate) fn abandon(mut self) {
        if let Some(token) = self.token.take() {
            self.give_back(token);
        }
    }

    fn give_back(&self, token: Token) {
        let (engine, key) = (self.engine.clone(), self.ask.key.clone());
        self.engine.do_unattended(async move {
            // If the store is away, it ends by its own time.
            let _ = engine.store.release(&key, token).await;
        });
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let Some(token) = self.token.take() else {
            return;
        };
        if !self.handed_over {
            return self.give_back(token);
        }
        let what = keys_of(std::iter::once(&self.ask.key));
        self.engine.invalidate_unattended(what);
    }
}

pub(super) fn keys_of<'a>(keys: impl Iterator<Item = &'a Arc<str>>) -> Invalidation {
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

#[cfg(test)]
#[cfg(feature = "redis")]
mod tests;
