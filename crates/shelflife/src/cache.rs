//! The cache: the face of the engine. Typed on the outside, thin on the inside.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::after_commit::AfterCommit;
use crate::builder::Builder;
use crate::counters::Stats;
use crate::engine::Engine;
use crate::engine::events::{Event, Handler, HandlerError};
use crate::engine::load::BoxFuture;
use crate::entry::Entry;
use crate::epoch::Receipt;
use crate::error::{Error, LoadError};
use crate::hot::Hottest;
use crate::invalidation::Invalidation;
use crate::key::Key;
use crate::local::Large;
use crate::policy::Policy;
#[cfg(feature = "redis")]
use crate::store::Store;
use crate::value::Value;

static INSTALLED: RwLock<Option<Cache>> = RwLock::new(None);

/// A cache: entries in this process (L1) and, with a URL, in Redis or Valkey (L2).
///
/// Cheap to clone; all clones are one cache. Reads never fail because the cache did: what can't be
/// read is a miss. Writes and invalidations tell the truth.
///
/// Needs a tokio runtime when it is used.
#[derive(Clone)]
pub struct Cache {
    pub(crate) engine: Arc<Engine>,
    pub(crate) policy: Arc<Policy>,
    /// Ends the sweeper when the last clone goes.
    pub(crate) _sweeper: Arc<std::sync::mpsc::Sender<()>>,
}

impl Cache {
    /// Connects by the environment: `SHELFLIFE_URL`, else `REDIS_URL`, else the embedded store; and
    /// every `SHELFLIFE_*` setting.
    ///
    /// A server that can't be reached yet is not an error: reads miss until it is.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a setting that is unknown or can't be used,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a server that is too old,
    /// [`Denied`](crate::ErrorKind::Denied) for refused credentials.
    pub async fn from_env() -> Result<Self, Error> {
        Builder::new().from_env()?.build().await
    }

    /// A cache with the embedded store and the default settings: no server, no set-up.
    pub fn memory() -> Self {
        Builder::new().embedded()
    }

    /// Settings in code.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Makes this the default cache of functions marked `#[cached]` without `cache = …`.
    pub fn install(&self) {
        *INSTALLED.write().unwrap_or_else(PoisonError::into_inner) = Some(self.clone());
    }

    /// The installed default, if any.
    pub fn installed() -> Option<Self> {
        INSTALLED
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The namespace: what separates this cache's entries from others' on the same server.
    pub fn namespace(&self) -> &str {
        &self.engine.settings.namespace
    }

    /// The policy of entries that are not told otherwise.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// One key, under the default policy until told otherwise.
    pub fn entry<'a>(&'a self, key: impl Into<Key<'a>>) -> Entry<'a> {
        Entry::new(self, key.into())
    }

    /// The fresh value of a key; `None` when there is none, or none of this type.
    pub async fn get<T: Value + Clone>(&self, key: impl Into<Key<'_>>) -> Option<T> {
        Entry::new(self, key.into()).get().await
    }

    /// Stores a value under the default policy. Counts as an invalidation of the key: a load that is in
    /// flight will not overwrite it.
    ///
    /// The value counts as loaded when the call began. An invalidation that comes while it is under way wins:
    /// then nothing is stored. Of sets that overlap, the one that the store carries out last stays.
    ///
    /// # Errors
    ///
    /// When the value can't be encoded, or the store did not confirm it.
    pub async fn set<T: Value>(&self, key: impl Into<Key<'_>>, value: T) -> Result<Receipt, Error> {
        Entry::new(self, key.into()).set(value).await
    }

    /// Removes a key: the same as invalidating it.
    ///
    /// # Errors
    ///
    /// When the store did not confirm it.
    pub async fn delete(&self, key: impl Into<Key<'_>>) -> Result<Receipt, Error> {
        self.invalidate(key.into()).await
    }

    /// Whether a key has a fresh value, of whatever type.
    pub async fn exists(&self, key: impl Into<Key<'_>>) -> bool {
        Entry::new(self, key.into()).time_left().await.is_some()
    }

    /// How long the value of a key is still fresh; `None` when there is no fresh value.
    pub async fn ttl(&self, key: impl Into<Key<'_>>) -> Option<Duration> {
        Entry::new(self, key.into()).time_left().await
    }

    /// The value of a key, loaded if there is none: one load for all concurrent callers, here and in
    /// other processes.
    ///
    /// The load runs in a task of its own: a caller that goes away does not take it along.
    ///
    /// # Errors
    ///
    /// Those of the load, unless a stale value can stand in. Never those of the cache.
    pub async fn get_or_load<T, E, F, Fut>(
        &self,
        key: impl Into<Key<'_>>,
        loader: F,
    ) -> Result<T, LoadError<E>>
    where
        T: Value + Clone,
        E: Display + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        Entry::new(self, key.into()).get_or_load(loader).await
    }

    /// Carries out an invalidation when awaited. When that has returned, nothing older is served by this
    /// process; by others not later than Δ (the setting `window`, 1 s), typically within milliseconds.
    /// [`everywhere`](Invalidate::everywhere) waits for them.
    ///
    /// Once begun it is carried out, even if the future is dropped. Fails when the store did not
    /// confirm it: then it is *not done*, and may be asked for again.
    pub fn invalidate(&self, what: impl Into<Invalidation>) -> Invalidate<'_> {
        let (engine, what) = (self.engine.clone(), what.into());
        Invalidate {
            cache: self,
            work: Box::pin(async move { engine.invalidate(what, None).await.map(Receipt::new) }),
        }
    }

    /// Collects what is to be invalidated when a transaction has committed; forgotten when dropped.
    pub fn after_commit(&self) -> AfterCommit {
        AfterCommit::new(self)
    }

    /// Registers a handler: what is to be invalidated when an event of this type is emitted, here or by
    /// another process. Register it right after the cache is built.
    ///
    /// A handler that only wants to know returns `Invalidation::new()`. It may see an event twice.
    pub fn on<E: Event>(&self, handler: impl Fn(&E) -> Invalidation + Send + Sync + 'static) {
        self.on_async(move |event: &E| {
            let what = handler(event);
            async move { Ok(what) }
        });
    }

    /// Registers a handler that waits or may fail. It has the setting `handler_timeout` (5 s) to end.
    pub fn on_async<E, F, Fut>(&self, handler: F)
    where
        E: Event,
        F: Fn(&E) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Invalidation, HandlerError>> + Send + 'static,
    {
        let handler = Handler::of::<E, F, Fut>(handler);
        self.engine.events.add(E::NAME, handler);
    }

    /// Says that something happened: runs the handlers registered for it, carries out the
    /// invalidations that they ask for, and logs the event. When it has returned, they hold as those of
    /// [`invalidate`](Self::invalidate) do. Other processes run their handlers when the log brings them the
    /// event, typically within milliseconds.
    ///
    /// Once begun it is finished, even if the future is dropped.
    ///
    /// # Errors
    ///
    /// When a handler failed (what the others asked for is carried out), or the store did not confirm. Then
    /// event and invalidation are tried again while this process lives; if too many wait for that, the
    /// message says that the event is not.
    pub async fn emit<E: Event>(&self, event: &E) -> Result<Receipt, Error> {
        self.engine.emit(event).await.map(Receipt::new)
    }

    /// What this process's cache has done so far, and what it holds.
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// What is read most, as far as this process knows: up to so many keys, and as many tags. An estimate
    /// from reads that are looked at one by one, of the last minutes: where little is read each read is
    /// seen, where much is read about one in a thousand.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let cache = shelflife::Cache::memory();
    /// cache.set("users:42", 1).await?;
    /// for _ in 0..100 {
    ///     cache.get::<i32>("users:42").await;
    /// }
    /// let hottest = cache.hottest(10);
    /// assert_eq!(hottest.keys[0].name, "users:42");
    /// # Ok::<_, shelflife::Error>(()) }).unwrap();
    /// ```
    pub fn hottest(&self, most: usize) -> Hottest {
        self.engine.heat.hottest(most)
    }

    /// The entries of L1 that take most room. Looks at all of them: for operators.
    pub fn largest(&self, most: usize) -> Vec<Large> {
        self.engine.local.largest(most)
    }

    /// Frees expired entries now. It happens by itself about once a second.
    pub fn sweep(&self) {
        self.engine.sweep();
    }

    /// Whether the store answers now. The embedded store always does.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        Ok(self.engine.store.ping().await?)
    }

    /// A connection to Redis, for commands of the application's own; `None` with the embedded store,
    /// or when there is no connection right now.
    #[cfg(feature = "redis")]
    pub fn redis(&self) -> Option<::redis::aio::MultiplexedConnection> {
        match &self.engine.store {
            Store::Embedded(_) => None,
            Store::Redis(store) => store.connection(),
        }
    }

    /// Finishes what is in flight, up to the setting `close_timeout`, and closes the connections to a
    /// server. Reads after that run their loaders, writes fail; an embedded store goes on as it is.
    pub async fn close(&self) {
        self.engine.close().await;
    }
}

/// An invalidation about to be carried out: await it, or [`everywhere`](Self::everywhere).
#[must_use = "an invalidation does nothing until it is awaited"]
pub struct Invalidate<'a> {
    cache: &'a Cache,
    work: BoxFuture<Result<Receipt, Error>>,
}

impl Future for Invalidate<'_> {
    type Output = Result<Receipt, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.work.as_mut().poll(cx)
    }
}

impl std::fmt::Debug for Invalidate<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invalidate")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl Invalidate<'_> {
    /// Carries it out, and returns once every process that lives has applied it, at the latest Δ later,
    /// when the window of one that is silent has closed. After that nothing older is served by anyone.
    ///
    /// # Errors
    ///
    /// When the store did not confirm it.
    pub async fn everywhere(self) -> Result<Receipt, Error> {
        let cache = self.cache;
        // From before it is logged: who applies it tells at once.
        let _awaited = cache.engine.store.await_all();
        let receipt = self.await?;
        cache.engine.everywhere(receipt.epoch()).await;
        Ok(receipt)
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("namespace", &self.namespace())
            .finish_non_exhaustive()
    }
}
