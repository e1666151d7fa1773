//! What is to be invalidated once a transaction has committed.
//!
//! Must not: know databases. It knows a future that commits, or that the caller says so.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;

use tracing::Instrument as _;

use crate::cache::Cache;
use crate::engine::events::Event;
use crate::engine::load::BoxFuture;
use crate::engine::{UnderWay, finished};
use crate::epoch::Receipt;
use crate::error::Error;
use crate::invalidation::Invalidation;

type Emission = Box<dyn FnOnce(Cache) -> BoxFuture<Result<Receipt, Error>> + Send>;

/// Invalidations and events that wait for a commit: carried out by [`commit`](Self::commit) or
/// [`run`](Self::run), forgotten when dropped, as a rollback drops it.
///
/// Before the commit is too early: a load would pick up the old row and store it. What is named here is
/// therefore collected inside the transaction and carried out after it.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # use shelflife::{Cache, Invalidation};
/// # let cache = Cache::memory();
/// # async fn commit() -> Result<(), std::io::Error> { Ok(()) }
/// let mut after = cache.after_commit();
/// // … inside the transaction, wherever something changes; an early return forgets all of it:
/// after.invalidate(Invalidation::new().tag("user:42"));
/// let ((), receipt) = after.commit(commit()).await?;
/// # let _ = receipt;
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
///
/// A process that dies between the commit and the invalidation leaves what is cached to its time to
/// live. Where that is too long, write what is to be invalidated into a table, in the same transaction, for a
/// worker to carry out: an invalidation may be repeated at will.
#[must_use = "what waits for a commit is forgotten when this is dropped"]
pub struct AfterCommit {
    cache: Cache,
    what: Invalidation,
    events: Vec<Emission>,
}

/// Why a commit and what was to follow it did not both happen.
#[derive(Debug, thiserror::Error)]
pub enum CommitError<E> {
    /// The commit failed: nothing was invalidated.
    #[error("not committed: {0}")]
    NotCommitted(E),
    /// The commit succeeded. Its invalidation is not confirmed; it is tried again while this process
    /// lives.
    #[error("committed, but {0}")]
    NotConfirmed(Error),
}

impl AfterCommit {
    pub(crate) fn new(cache: &Cache) -> Self {
        Self {
            cache: cache.clone(),
            what: Invalidation::new(),
            events: Vec::new(),
        }
    }

    /// Adds what is to be invalidated. Hard wins over soft.
    pub fn invalidate(&mut self, what: impl Into<Invalidation>) -> &mut Self {
        self.what = std::mem::take(&mut self.what).and(what.into());
        self
    }

    /// Adds an event that is to be emitted: its handlers run after the commit.
    pub fn emit<E: Event>(&mut self, event: E) -> &mut Self {
        self.events.push(Box::new(move |cache| {
            Box::pin(async move { cache.emit(&event).await })
        }));
        self
    }

    /// Commits, and if that succeeds carries out what waits. Gives what the commit gave, and the receipt.
    ///
    /// A commit whose answer was lost may have taken place. Its error looks like any other, and nothing is
    /// invalidated: where the driver tells them apart, invalidate by hand. Once too often costs a miss.
    ///
    /// # Errors
    ///
    /// That of the commit, or that of the store: two different things to a caller.
    ///
    /// # Panics
    ///
    /// When the commit does.
    ///
    /// # Cancel safety
    ///
    /// Both run in a task of their own, for which the commit is `'static`: once begun they are finished, even
    /// if the caller goes away in the middle of the commit, which may take place without it. A
    /// transaction that borrows its connection is committed by the caller; then [`run`](Self::run). A runtime that ends in the middle
    /// of the commit ends both, and nobody knows whether it took place: then invalidate what it may have changed.
    pub async fn commit<T, E>(
        self,
        commit: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<(T, Receipt), CommitError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let engine = self.cache.engine.clone();
        let work = async move {
            let committed = commit.await.map_err(CommitError::NotCommitted)?;
            let receipt = self.run().await.map_err(CommitError::NotConfirmed)?;
            Ok((committed, receipt))
        };
        let ended = engine.detach(work.in_current_span()).await;
        ended.unwrap_or_else(|ended| match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(ended) => finished(Err(ended)).map_err(CommitError::NotConfirmed),
        })
    }

    /// Carries out what waits: the transaction has committed.
    ///
    /// # Errors
    ///
    /// When the store did not confirm it, or a handler of an event failed. All of it is tried; the first
    /// error is told.
    ///
    /// # Cancel safety
    ///
    /// Once polled it is carried out, even if the caller goes away. Where its runtime ends, too, what is invalidated is owed; events that
    /// were not begun are lost: their handlers are the application's, and run there.
    pub async fn run(self) -> Result<Receipt, Error> {
        let Self {
            cache,
            what,
            events,
        } = self;
        let engine = cache.engine.clone();
        // Whoever polls this may go away with its runtime before the task is begun.
        let what = Arc::new(what);
        let under_way = UnderWay::new(&engine, &what, None);
        let work = engine.detach(async move {
            // Of nothing at all, the receipt is the clock.
            let mut outcome = cache.invalidate(Invalidation::clone(&what)).await;
            under_way.end();
            for emit in events {
                let emitted = emit(cache.clone()).await;
                outcome = outcome.and(emitted);
            }
            outcome
        });
        finished(work.await)
    }
}

impl fmt::Debug for AfterCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfterCommit")
            .field("what", &self.what)
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}
