//! One key under one policy, then a verb.

use std::any::Any;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::Cache;
use crate::codec::Codec;
use crate::engine::ask::{Replace, Takes};
use crate::engine::load::{Chain, Failure, Loader, SourceError};
use crate::engine::near::near_status;
use crate::engine::{Answer, Ask, Level, Writing};
use crate::epoch::Receipt;
use crate::error::{Error, LoadError};
use crate::key::{Key, Tag, all_tags};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::status::{Loaded, Lookup, Outcome, report};
use crate::value::{Kind, Live, Value, downcast, downcast_ref};

mod given;

use given::Given;

/// One key under one policy. Made by [`Cache::entry`]; costs nothing until a verb is called.
#[derive(Clone)]
#[must_use = "an entry does nothing until a verb such as `get_or_load` is called"]
pub struct Entry<'a> {
    cache: &'a Cache,
    key: Key<'a>,
    /// `None`: the cache's default.
    policy: Option<Arc<Policy>>,
    tags: Given,
    level: Level,
}

impl<'a> Entry<'a> {
    pub(crate) fn new(cache: &'a Cache, key: Key<'a>) -> Self {
        Self {
            cache,
            key,
            policy: None,
            tags: Given::none(),
            level: Level::Bounded,
        }
    }

    /// The key.
    pub fn key(&self) -> &Key<'a> {
        &self.key
    }

    /// Sets the whole policy.
    pub fn policy(self, policy: Policy) -> Self {
        self.shared_policy(Arc::new(policy))
    }

    /// Sets the whole policy, without a copy.
    pub fn shared_policy(mut self, policy: Arc<Policy>) -> Self {
        self.policy = Some(policy);
        self
    }

    fn change(mut self, change: impl FnOnce(Policy) -> Policy) -> Self {
        let now = self
            .policy
            .take()
            .unwrap_or_else(|| self.cache.policy.clone());
        self.policy = Some(Arc::new(change(Arc::unwrap_or_clone(now))));
        self
    }

    /// See [`Policy::ttl`].
    pub fn ttl(self, ttl: Duration) -> Self {
        self.change(|p| p.ttl(ttl))
    }

    /// See [`Policy::stale`].
    pub fn stale(self, stale: Duration) -> Self {
        self.change(|p| p.stale(stale))
    }

    /// See [`Policy::negative_ttl`].
    pub fn negative_ttl(self, ttl: Duration) -> Self {
        self.change(|p| p.negative_ttl(ttl))
    }

    /// See [`Policy::soft_timeout`].
    pub fn soft_timeout(self, after: Duration) -> Self {
        self.change(|p| p.soft_timeout(after))
    }

    /// See [`Policy::hard_timeout`].
    pub fn hard_timeout(self, after: Duration) -> Self {
        self.change(|p| p.hard_timeout(after))
    }

    /// See [`Policy::codec`].
    pub fn codec(self, codec: Codec) -> Self {
        self.change(|p| p.codec(codec))
    }

    /// See [`Policy::schema`].
    pub fn schema(self, schema: u32) -> Self {
        self.change(|p| p.schema(schema))
    }

    /// Adds a tag: the entry goes when the tag is invalidated.
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Adds tags.
    pub fn tags<T: Into<Tag>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        for tag in tags {
            self.tags.push(tag.into());
        }
        self
    }

    /// Reads at the level `strict`: G(0), at the price of a round trip to the primary.
    pub fn strict(mut self) -> Self {
        self.level = Level::Strict;
        self
    }

    /// Reads what is no older than an invalidation: everything up to `receipt` is honoured.
    pub fn session(mut self, receipt: Receipt) -> Self {
        self.level = Level::Session(receipt);
        self
    }

    fn policy_ref(&self) -> &Policy {
        self.policy.as_deref().unwrap_or(&self.cache.policy)
    }

    pub(crate) fn ask<T: Value>(&self, replace: Replace) -> Ask {
        Ask {
            key: self.key.as_str().into(),
            tags: all_tags(self.key.as_str(), self.tags.as_slice()).into(),
            policy: self
                .policy
                .clone()
                .unwrap_or_else(|| self.cache.policy.clone()),
            level: self.level,
            kind: Kind::of::<T>(),
            replace,
            takes: Takes::Stale,
            inside: Chain::current(),
        }
    }

    /// The hot path: a copy of what L1 has, if that is the answer.
    #[inline]
    fn hit<T: Value + Clone>(&self) -> Option<T> {
        let schema = self.policy_ref().schema;
        let (resident, now) = self
            .cache
            .engine
            .hit(self.key.as_str(), self.level, schema)?;
        let value = downcast_ref::<T>(&resident.live)?.clone();
        report(|| near_status(&resident, now));
        Some(value)
    }

    /// The fresh value; `None` when there is none, or none of this type.
    pub async fn get<T: Value + Clone>(&self) -> Option<T> {
        if let Some(value) = self.hit() {
            return Some(value);
        }
        let found = Box::pin(self.lookup::<T>()).await;
        found
            .value
            .filter(|_| found.status.outcome() == Outcome::Hit)
    }

    /// The value, fresh or stale, and how the read was answered. Never loads.
    pub async fn lookup<T: Value + Clone>(&self) -> Lookup<T> {
        let (answer, status) = self
            .cache
            .engine
            .lookup(&self.ask::<T>(Replace::Nothing))
            .await;
        report(|| status);
        Lookup {
            value: answer.and_then(|a| own(a.live).ok()),
            status,
        }
    }

    /// How long the value is still fresh, whatever its type.
    pub(crate) async fn time_left(&self) -> Option<Duration> {
        let mut ask = self.ask::<crate::inspect::Any>(Replace::Nothing);
        ask.kind = ask.kind.unkept();
        let (answer, status) = self.cache.engine.lookup(&ask).await;
        answer.filter(|_| status.outcome() == Outcome::Hit)?;
        status.ttl()
    }

    /// The value, loaded if there is none. See [`Cache::get_or_load`].
    ///
    /// # Errors
    ///
    /// Those of the load, unless a stale value can stand in. Never those of the cache.
    pub async fn get_or_load<T, E, F, Fut>(&self, loader: F) -> Result<T, LoadError<E>>
    where
        T: Value + Clone,
        E: Display + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        if let Some(value) = self.hit() {
            return Ok(value);
        }
        let loaded = Box::pin(self.load(Replace::Nothing, loader)).await?;
        Ok(loaded.value)
    }

    /// The value, loaded if there is none, and how the read was answered.
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn lookup_or_load<T, E, F, Fut>(&self, loader: F) -> Result<Loaded<T>, LoadError<E>>
    where
        T: Value + Clone,
        E: Display + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        Box::pin(self.load(Replace::Nothing, loader)).await
    }

    /// Loads now and stores the value, whatever is stored.
    ///
    /// # Errors
    ///
    /// Those of the load.
    pub async fn refresh<T, E, F, Fut>(&self, loader: F) -> Result<T, LoadError<E>>
    where
        T: Value + Clone,
        E: Display + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        Ok(Box::pin(self.load(Replace::Anything, loader)).await?.value)
    }

    async fn load<T, E, F, Fut>(
        &self,
        replace: Replace,
        loader: F,
    ) -> Result<Loaded<T>, LoadError<E>>
    where
        T: Value + Clone,
        E: Display + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let answer = self
            .cache
            .engine
            .read(self.ask::<T>(replace), erase(loader))
            .await;
        let Answer { live, status } = answer.map_err(|failure| {
            report(|| failure.status());
            typed(failure)
        })?;
        report(|| status);
        let value = own(live).map_err(|reason| {
            LoadError::Foreign(format!(
                "another caller loaded this key as another type ({reason})"
            ))
        })?;
        Ok(Loaded { value, status })
    }

    /// Stores a value. See [`Cache::set`].
    ///
    /// # Errors
    ///
    /// When the value can't be encoded, or the store did not confirm it.
    pub async fn set<T: Value>(&self, value: T) -> Result<Receipt, Error> {
        let item = (self.ask::<T>(Replace::Nothing), Arc::new(value) as Live);
        self.cache.engine.set(vec![item]).await.map(Receipt::new)
    }

    /// Announces a write of the source: no load that began before can fill this entry any more. Write
    /// the source, then [`finish`](Write::finish) with the new value; [`abandon`](Write::abandon) it if the
    /// source is as it was.
    ///
    /// # Errors
    ///
    /// When the store did not confirm it.
    pub async fn begin_write(&self) -> Result<Write, Error> {
        let ask = self.ask::<()>(Replace::Nothing);
        self.cache.engine.begin_write(ask).await.map(Write)
    }

    /// Removes the entry: the same as invalidating its key.
    ///
    /// # Errors
    ///
    /// When the store did not confirm it.
    pub async fn delete(&self) -> Result<Receipt, Error> {
        self.cache.delete(&self.key).await
    }
}

impl std::fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut s = f.debug_struct("Entry");
        s.field("key", &self.key)
            .field("tags", &self.tags.as_slice())
            .field("level", &self.level);
        s.finish_non_exhaustive()
    }
}

/// A write that was announced by [`Entry::begin_write`].
///
/// Dropped without [`finish`](Self::finish) or [`abandon`](Self::abandon), it leaves open whether the source
/// was written: a handler whose client has hung up, a database whose answer was lost. Then the key is
/// invalidated in the background, as if it had been; once too often costs a miss.
#[must_use = "an announced write keeps loads away until it is finished, abandoned or dropped"]
pub struct Write(Writing);

impl Write {
    /// Stores the value that the source has now, and tells whether it stays stored: not when another write
    /// or an invalidation of the key came between. A value that can't be stored removes what was there.
    ///
    /// # Errors
    ///
    /// When the value can't be encoded, or the store did not confirm it.
    ///
    /// # Cancel safety
    ///
    /// Once polled it is carried out, even if the caller goes away; before that, it is dropped.
    pub async fn finish<T: Value>(self, value: T) -> Result<(Receipt, bool), Error> {
        let (epoch, stored) = self.0.finish(Arc::new(value)).await?;
        Ok((Receipt::new(epoch), stored))
    }

    /// Withdraws the announcement, because the source was certainly not written: what is stored stays, and
    /// loads may fill the entry again. Returns at once; the store hears of it in the background.
    pub fn abandon(self) {
        self.0.abandon();
    }
}

impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Write")
    }
}

fn erase<T, E, F, Fut>(loader: F) -> Loader
where
    T: Value,
    E: Display + Send + Sync + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
{
    Box::new(move || {
        Box::pin(async move {
            match loader().await {
                Ok(value) => Ok(Arc::new(value) as Live),
                Err(error) => Err(erase_error(error)),
            }
        })
    })
}

pub(crate) fn erase_error<E: Display + Send + Sync + 'static>(error: E) -> SourceError {
    SourceError {
        text: error.to_string().into(),
        error: Arc::new(error),
    }
}

/// A failure with the error type of this call site.
pub(crate) fn typed<E: Send + Sync + 'static>(failure: Failure) -> LoadError<E> {
    match failure {
        Failure::TimedOut(after) => LoadError::TimedOut(after),
        Failure::Panicked(message) => LoadError::Panicked(message.to_string()),
        Failure::Overloaded => LoadError::Overloaded,
        // Not told to a read that takes stale values.
        Failure::Alone => LoadError::Foreign("no flight landed for this read".to_owned()),
        Failure::Source(SourceError { error, text }) => {
            let error: Arc<dyn Any + Send + Sync> = error;
            error
                .downcast()
                .map_or_else(|_| LoadError::Foreign(text.to_string()), LoadError::Source)
        }
    }
}

/// The value itself: moved out if nobody else holds it, else a copy.
pub(crate) fn own<T: Value + Clone>(live: Live) -> Result<T, Reason> {
    let live = Kind::of::<T>().adopt(&live)?;
    downcast::<T>(live)
        .map(Arc::unwrap_or_clone)
        .ok_or(Reason::Undecodable)
}
