//! Loads: running a loader, watched by timeouts, with its lease kept alive.
//!
//! Must not: judge entries, know how a flight is shared.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tracing::{Instrument as _, Span};

use super::Engine;
use super::ask::Ask;
use crate::counters::{Counters, Timing, Under};
use crate::key::Tag;
use crate::policy::LONGEST;
use crate::reason::Reason;
use crate::spans;
use crate::status::Status;
use crate::store::Wanted;
use crate::value::Live;

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A loader whose types are erased.
pub(crate) type Loader = Box<dyn FnOnce() -> BoxFuture<Result<Live, SourceError>> + Send>;

/// The loader's own error, shared by all who waited for it.
#[derive(Clone)]
pub(crate) struct SourceError {
    pub(crate) error: Arc<dyn Any + Send + Sync>,
    pub(crate) text: Arc<str>,
}

/// Why a flight has no value.
#[derive(Clone)]
pub(crate) enum Failure {
    Source(SourceError),
    TimedOut(Duration),
    Panicked(Arc<str>),
    /// No flight's landing was good for this read, and it does not take a load for itself alone: the
    /// loader was not called.
    Alone,
    /// Too many loads are under way, and too many wait: the loader was not called.
    Overloaded,
}

impl Failure {
    /// How a read without a value was answered.
    pub(crate) fn status(&self) -> Status {
        Status::miss(match self {
            Self::Overloaded => Reason::Overloaded,
            _ => Reason::LoadFailed,
        })
    }
}

/// What a loader changed about its policy from inside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Adapted {
    pub(crate) ttl: Option<Duration>,
    pub(crate) stale: Option<Duration>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) no_store: bool,
}

tokio::task_local! {
    static ADAPTED: RefCell<Adapted>;
    static INSIDE: Option<Arc<Chain>>;
}

/// The loads inside which something runs, the innermost first.
pub(crate) struct Chain {
    /// Whose: the address of the engine, which is there while its loads run.
    engine: usize,
    keys: Vec<Arc<str>>,
    outer: Option<Arc<Chain>>,
}

impl Chain {
    /// The loads inside which the caller runs.
    pub(crate) fn current() -> Option<Arc<Self>> {
        INSIDE.try_with(Clone::clone).ok().flatten()
    }

    /// Whether a key of this engine is being loaded by one of them.
    pub(crate) fn holds(&self, engine: &Engine, key: &str) -> bool {
        self.engine == address(engine) && self.keys.iter().any(|k| &**k == key)
            || self
                .outer
                .as_ref()
                .is_some_and(|outer| outer.holds(engine, key))
    }

    fn inside<'a>(engine: &Engine, asks: impl Iterator<Item = &'a Ask>) -> Option<Arc<Self>> {
        let mut asks = asks.peekable();
        let outer = asks.peek()?.inside.clone();
        Some(Arc::new(Self {
            engine: address(engine),
            keys: asks.map(|ask| ask.key.clone()).collect(),
            outer,
        }))
    }
}

fn address(engine: &Engine) -> usize {
    std::ptr::from_ref(engine) as usize
}

/// Work that is done as if it were called inside these loads: what they have another language do comes
/// back by a way that the engine does not see.
#[cfg(feature = "binding")]
pub(crate) fn within<T>(
    chain: Option<Arc<Chain>>,
    work: impl Future<Output = T>,
) -> impl Future<Output = T> {
    INSIDE.scope(chain, work)
}

/// The load that is under way, seen from inside its loader. Get it with [`current_load`].
#[derive(Clone, Copy, Debug)]
pub struct CurrentLoad(());

/// The load that is under way: lets a loader change its policy from inside.
///
/// Outside a loader, and in tasks that a loader spawns, the setters do nothing.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # use std::{convert::Infallible, time::Duration};
/// # let cache = shelflife::Cache::memory();
/// let price: u32 = cache.get_or_load("prices:7", || async {
///     let (price, volatile) = (5, true);
///     if volatile {
///         shelflife::current_load().ttl(Duration::from_secs(1)).tag("volatile");
///     }
///     Ok::<_, Infallible>(price)
/// }).await.unwrap();
/// # });
/// ```
pub fn current_load() -> CurrentLoad {
    CurrentLoad(())
}

/// What the load that is under way has changed about its policy so far.
#[cfg(feature = "tower")]
pub(crate) fn adapted() -> Adapted {
    ADAPTED
        .try_with(|adapted| adapted.borrow().clone())
        .unwrap_or_default()
}

impl CurrentLoad {
    fn adapt(self, change: impl FnOnce(&mut Adapted)) -> Self {
        let _ = ADAPTED.try_with(|adapted| change(&mut adapted.borrow_mut()));
        self
    }

    /// Sets how long the value is fresh, nothing or not.
    pub fn ttl(self, ttl: Duration) -> Self {
        self.adapt(|a| a.ttl = Some(ttl.min(LONGEST)))
    }

    /// Sets how long after that it may be served stale.
    pub fn stale(self, stale: Duration) -> Self {
        self.adapt(|a| a.stale = Some(stale.min(LONGEST)))
    }

    /// Adds a tag.
    pub fn tag(self, tag: impl Into<Tag>) -> Self {
        self.adapt(|a| a.tags.push(tag.into()))
    }

    /// Adds tags.
    pub fn tags<T: Into<Tag>>(self, tags: impl IntoIterator<Item = T>) -> Self {
        self.adapt(|a| a.tags.extend(tags.into_iter().map(Into::into)))
    }

    /// Keeps the value out of the cache. Those who wait for this load still get it.
    pub fn no_store(self) -> Self {
        self.adapt(|a| a.no_store = true)
    }
}

impl Engine {
    /// Runs a loader to its end, its panic or its hard timeout, and extends the lease meanwhile.
    pub(super) async fn run(
        &self,
        ask: &Ask,
        loader: Loader,
        lease: Option<(&str, Wanted)>,
    ) -> (Result<Live, Failure>, Adapted) {
        let (_loading, _timing) = self.under_way();
        let chain = Chain::inside(self, std::iter::once(ask));
        let hard_timeout = ask.policy.hard_timeout;
        let load = async { loader().await };
        #[cfg(feature = "chaos")]
        let load = self.befalls.around_load(load);
        let span = spans::load(&ask.key, 1);
        let watched = watch(chain, load, hard_timeout, self.keep_alive(lease));
        traced(span, watched).await
    }

    /// The same for a load of several keys, under the policy of the first.
    pub(super) async fn run_batch<T>(
        &self,
        asks: &[Ask],
        load: BoxFuture<Result<T, SourceError>>,
        leases: &[(Arc<str>, Wanted)],
    ) -> (Result<T, Failure>, Adapted) {
        let (_loading, _timing) = self.under_way();
        let alive = leases
            .iter()
            .map(|(key, wanted)| self.keep_alive(Some((&**key, *wanted))));
        let alive = async {
            futures_util::future::join_all(alive).await;
            std::future::pending().await
        };
        let hard_timeout = asks.first().and_then(|ask| ask.policy.hard_timeout);
        #[cfg(feature = "chaos")]
        let load = self.befalls.around_load(load);
        let span = spans::load(asks.first().map_or("", |ask| &ask.key), asks.len());
        let watched = watch(Chain::inside(self, asks.iter()), load, hard_timeout, alive);
        traced(span, watched).await
    }

    /// A load is under way, and its time is taken, until what is returned is dropped.
    fn under_way(&self) -> (Under<'_>, Timing<'_>) {
        let Counters {
            loading, load_time, ..
        } = &self.counters;
        (loading.enter(), load_time.start(&self.clock))
    }

    /// Extends the lease every third of its time, for ever. A lost token is the fill's to find out.
    async fn keep_alive(&self, lease: Option<(&str, Wanted)>) {
        let Some((key, wanted)) = lease else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(wanted.lease / 3).await;
            if let Ok(false) = self.store.extend(key, wanted).await {
                return std::future::pending().await;
            }
        }
    }
}

/// Waits for a load in its span, and says there how it went.
async fn traced<T>(
    span: Span,
    load: impl Future<Output = (Result<T, Failure>, Adapted)>,
) -> (Result<T, Failure>, Adapted) {
    let ended = load.instrument(span.clone()).await;
    let outcome = match &ended.0 {
        Ok(_) => "loaded",
        Err(Failure::Source(_)) => "failed",
        Err(Failure::TimedOut(_)) => "timed_out",
        Err(Failure::Panicked(_)) => "panicked",
        Err(Failure::Alone) => "alone",
        Err(Failure::Overloaded) => "overloaded",
    };
    spans::ended(&span, outcome);
    ended
}

/// Runs a load until its end, its panic or its timeout; `alive` runs beside it.
async fn watch<T>(
    chain: Option<Arc<Chain>>,
    load: impl Future<Output = Result<T, SourceError>>,
    hard_timeout: Option<Duration>,
    alive: impl Future<Output = ()>,
) -> (Result<T, Failure>, Adapted) {
    let watched = ADAPTED.scope(RefCell::default(), async {
        let outcome = AssertUnwindSafe(load).catch_unwind().await;
        (outcome, ADAPTED.with(RefCell::take))
    });
    let watched = INSIDE.scope(chain, watched);
    let ended = tokio::select! {
        ended = watched => Some(ended),
        () = alive => None,
        () = sleep_or_never(hard_timeout) => None,
    };
    match ended {
        None => {
            let after = hard_timeout.unwrap_or_default();
            (Err(Failure::TimedOut(after)), Adapted::default())
        }
        Some((Ok(Ok(value)), adapted)) => (Ok(value), adapted),
        Some((Ok(Err(source)), adapted)) => (Err(Failure::Source(source)), adapted),
        Some((Err(panic), adapted)) => (Err(Failure::Panicked(panic_text(&*panic))), adapted),
    }
}

async fn sleep_or_never(after: Option<Duration>) {
    match after {
        Some(after) => tokio::time::sleep(after).await,
        None => std::future::pending().await,
    }
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> Arc<str> {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .into()
}
