//! What a `#[cached]` function does: the code that its expansion calls.
//!
//! Public because expansions live in other crates, hidden because nobody else should call it. An
//! expansion computes a [`Call`] from the arguments, makes them into a loader, and hands both to one of
//! three shapes, chosen by the return type and not by its spelling:
//!
//! ```text
//!   Result<T, E>           Returned::shape()  an inherent method: found first      → ByOk     T stored
//!   anything else          Plain::shape()     a trait's: found where that is missing → ByValue  R stored
//!   Result, and cache_err  Whole::new()       the attribute says so                 → Whole    R stored
//! ```
//!
//! Must not: know how entries are stored, or decide what a policy does; it opens an entry and asks it.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Once};
use std::time::Duration;

use crate::{Cache, Error, ErrorKind, Key, LoadError, Policy, Receipt, Tag, Value};

#[path = "cached/held.rs"]
mod held;
#[path = "cached/shape.rs"]
mod shape;
pub use held::{Borrowing, KeptCow, KeptOption, KeptVec, Load, Owns, copied, copied_self};
pub use shape::{ByOk, ByValue, Failure, Fallible, Plain, Returned, Whole, limit};

/// Where one call looks, under which name and which policy, and whether it may answer from there.
pub struct Call {
    cache: Option<Cache>,
    key: Key<'static>,
    policy: Policy,
    tags: Vec<Tag>,
    error_ttl: Duration,
    verb: Verb,
}

#[derive(Clone, Copy)]
enum Verb {
    Read,
    Refresh,
}

impl Call {
    /// Answers from what is stored, else loads.
    pub fn read(cache: Option<Cache>, key: Key<'static>) -> Self {
        Self::new(Verb::Read, cache, key)
    }

    /// Loads, whatever is stored.
    pub fn refresh(cache: Option<Cache>, key: Key<'static>) -> Self {
        Self::new(Verb::Refresh, cache, key)
    }

    /// Starts from the cache's own policy.
    fn new(verb: Verb, cache: Option<Cache>, key: Key<'static>) -> Self {
        let policy = cache
            .as_ref()
            .map(|c| Policy::clone(&c.policy))
            .unwrap_or_default();
        Self {
            cache,
            key,
            policy,
            tags: Vec::new(),
            error_ttl: Duration::ZERO,
            verb,
        }
    }

    /// With the policy changed.
    pub fn tune(mut self, tune: impl FnOnce(Policy) -> Policy) -> Self {
        self.policy = tune(self.policy);
        self
    }

    /// With tags.
    pub fn tags<const N: usize>(mut self, tags: [Tag; N]) -> Self {
        self.tags = tags.into();
        self
    }

    /// With the time for which [`Whole`] keeps an error.
    pub fn error_ttl(mut self, ttl: Duration) -> Self {
        self.error_ttl = ttl;
        self
    }

    async fn answer<T, E, F, Fut>(self, load: F) -> Result<T, Unanswered<E>>
    where
        T: Value + Clone,
        E: Clone + fmt::Display + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let Some(cache) = self.cache else {
            return load().await.map_err(Unanswered::Own);
        };
        let entry = cache.entry(self.key).policy(self.policy).tags(self.tags);
        let answer = match self.verb {
            Verb::Read => entry.get_or_load(load).await,
            Verb::Refresh => entry.refresh(load).await,
        };
        answer.map_err(|error| match error {
            LoadError::Source(own) => Unanswered::Own(Arc::unwrap_or_clone(own)),
            gone => Unanswered::Gone(gone.into()),
        })
    }

    async fn peek<T: Value + Clone>(self) -> Option<T> {
        let cache = self.cache?;
        cache
            .entry(self.key)
            .policy(self.policy)
            .lookup()
            .await
            .value
    }
}

/// Why a call gave no value.
enum Unanswered<E> {
    /// The load ended with its own error.
    Own(E),
    /// It panicked, took too long, or was another's.
    Gone(Error),
}

/// The call, unless the condition says that there is none: then the function runs uncached.
pub fn when(condition: bool, call: impl FnOnce() -> Call) -> Option<Call> {
    condition.then(call)
}

/// The default cache. Without one functions run uncached, said once in the log.
pub fn installed() -> Option<Cache> {
    static SAID: Once = Once::new();
    let cache = Cache::installed();
    if cache.is_none() {
        SAID.call_once(|| {
            tracing::warn!(
                "no cache is installed: #[cached] functions run uncached until `Cache::install`"
            );
        });
    }
    cache
}

/// The cache of `cache = expr`.
pub fn given<C: AsCache + ?Sized>(cache: &C) -> Option<Cache> {
    cache.as_cache()
}

/// What `cache = expr` may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a cache",
    label = "`cache = ...` needs a `shelflife::Cache`, or an `Arc`, `Box` or `Option` of one"
)]
pub trait AsCache {
    /// The cache, if there is one.
    fn as_cache(&self) -> Option<Cache>;
}

impl AsCache for Cache {
    fn as_cache(&self) -> Option<Cache> {
        Some(self.clone())
    }
}

impl<C: AsCache> AsCache for Option<C> {
    fn as_cache(&self) -> Option<Cache> {
        self.as_ref().and_then(AsCache::as_cache)
    }
}

macro_rules! as_cache_by_deref {
    ($($handle:ty),*) => {$(
        impl<C: AsCache + ?Sized> AsCache for $handle {
            fn as_cache(&self) -> Option<Cache> {
                (**self).as_cache()
            }
        }
    )*};
}
as_cache_by_deref!(&C, Arc<C>, Box<C>);

/// `{fn}_invalidate`.
///
/// # Errors
///
/// The store did not confirm it, or there is no cache.
pub async fn invalidate(cache: Option<Cache>, key: Key<'static>) -> Result<Receipt, Error> {
    let Some(cache) = cache else {
        return Err(Error::new(
            ErrorKind::Config,
            format!(
                "no cache to invalidate {key:?} in: call `Cache::install` first",
                key = key.as_str()
            ),
        ));
    };
    cache.invalidate(key).await
}
