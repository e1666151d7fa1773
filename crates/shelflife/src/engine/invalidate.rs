//! Invalidations, and what this process does about its own (PROTOCOL §5).
//!
//! The store first: entries, then the control script. Then own memory, own cells, own L1. Only then is
//! it done. Once begun it is finished, even if its caller goes away.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tracing::Instrument as _;

use super::Engine;
use super::duty::UnderWay;
use crate::counters::bump;
use crate::epoch::Epoch;
use crate::error::{Error, ErrorKind};
use crate::invalidation::Invalidation;
use crate::local::Local;
use crate::spans;
use crate::store::{Invalidated, LoggedEvent};

impl Engine {
    /// Carries out an invalidation and logs the event with it.
    pub(crate) async fn invalidate(
        self: &Arc<Self>,
        what: Invalidation,
        event: Option<LoggedEvent>,
    ) -> Result<Epoch, Error> {
        if what.is_empty() && event.is_none() {
            return Ok(self.store.clock().await?);
        }
        let (engine, what) = (self.clone(), Arc::new(what));
        let event = event.map(Arc::new);
        let span = spans::invalidate(&what, event.is_some());
        let traced = span.clone();
        let under_way = UnderWay::new(self, &what, event.as_ref());
        let work = async move {
            let outcome = engine.carry_out(what, event).await;
            under_way.end();
            let word = if outcome.is_ok() {
                "confirmed"
            } else {
                "failed"
            };
            spans::ended(&traced, word);
            outcome
        };
        finished(self.see_through(work.instrument(span)).await)
    }

    /// Carries out what nobody waits for, even where no runtime is left to begin it on: then it is owed.
    pub(crate) fn invalidate_unattended(self: &Arc<Self>, what: Invalidation) {
        let (engine, what) = (self.clone(), Arc::new(what));
        let under_way = UnderWay::new(self, &what, None);
        self.do_unattended(async move {
            // What fails is asked for again by then.
            if let Err(error) = engine.carry_out(what, None).await {
                tracing::warn!(%error, "an invalidation that nobody waits for");
            }
            under_way.end();
        });
    }

    pub(super) async fn carry_out(
        self: &Arc<Self>,
        what: Arc<Invalidation>,
        event: Option<Arc<LoggedEvent>>,
    ) -> Result<Epoch, Error> {
        let _timing = self.counters.invalidation_time.start(&self.clock);
        match self.store.invalidate(&what, event.as_deref()).await {
            Ok(Invalidated { epoch, left: None }) => {
                self.apply_own(epoch, &what).await;
                self.was_told(epoch, &what, event);
                bump(&self.counters.invalidations);
                Ok(epoch)
            }
            Ok(Invalidated {
                epoch,
                left: Some(left),
            }) => {
                let done = Arc::new(what.without(&left.what));
                let subject = match (event.is_some(), done.is_empty()) {
                    (true, _) => Subject::NamesOfEvent,
                    (false, true) => Subject::Names,
                    (false, false) => Subject::Rest,
                };
                self.was_not_confirmed(&Arc::new(left.what));
                self.apply_own(epoch, &done).await;
                self.was_told(epoch, &done, event);
                bump(&self.counters.invalidations_failed);
                Err(not_confirmed(subject, true, left.error.into()))
            }
            Err(error) => {
                let subject = Subject::of(&what, event.is_some());
                let kept = self.was_not_told(&what, event);
                bump(&self.counters.invalidations_failed);
                Err(not_confirmed(subject, kept, error.into()))
            }
        }
    }

    /// Memory, then cells and L1; a receipt of another incarnation begins a resync.
    pub(super) async fn apply_own(self: &Arc<Self>, epoch: Epoch, what: &Arc<Invalidation>) {
        self.was_confirmed(epoch, what);
        self.apply_confirmed(epoch, what).await;
    }

    /// The same for one that is among what was confirmed of late already.
    pub(super) async fn apply_confirmed(self: &Arc<Self>, epoch: Epoch, what: &Arc<Invalidation>) {
        self.memory_mut().note(epoch, what);
        self.drop_from_local(|local| local.apply(epoch, what));
        // If the store is away now, memory stays closed, and with it L1.
        let _ = self.belong_to(epoch).await;
    }

    /// Has something dropped from L1. Values have code of their own for that, which may panic: the others go all
    /// the same.
    pub(super) fn drop_from_local(&self, drop: impl Fn(&Local)) {
        if cfg!(all(test, shelflife_shuttle)) {
            // An exploration ends its threads by panics, which are not to be caught.
            return drop(&self.local);
        }
        for _ in 0..PANICS {
            if catch_unwind(AssertUnwindSafe(|| drop(&self.local))).is_ok() {
                return;
            }
            tracing::error!("the drop of a value panicked; others are dropped all the same");
        }
        // Nothing that is left is trusted: a resync drops it.
        self.close_window();
    }
}

/// How many values may panic while one invalidation drops them.
const PANICS: usize = 1000;

/// What could not be confirmed.
#[derive(Clone, Copy)]
enum Subject {
    Names,
    Event,
    Both,
    /// Not all names.
    Rest,
    /// Not all names, but the event.
    NamesOfEvent,
}

impl Subject {
    fn of(what: &Invalidation, event: bool) -> Self {
        match (event, what.is_empty()) {
            (false, _) => Self::Names,
            (true, true) => Self::Event,
            (true, false) => Self::Both,
        }
    }
}

/// Says what is tried again: of too many events, only what they invalidate.
fn not_confirmed(subject: Subject, event_kept: bool, error: Error) -> Error {
    let what = match (subject, event_kept) {
        (Subject::Names, _) => {
            "the invalidation is not confirmed; it is tried again while this process lives"
        }
        (Subject::Rest, _) => {
            "the invalidation is not confirmed for all that it names; the rest is tried again while this process lives"
        }
        (Subject::NamesOfEvent, _) => {
            "the event is confirmed, its invalidation is not for all that it names; the rest is tried again while this process lives"
        }
        (Subject::Event, true) => {
            "the event is not confirmed; it is tried again while this process lives"
        }
        (Subject::Event, false) => {
            "the event is not confirmed, and not tried again: too many wait for that"
        }
        (Subject::Both, true) => {
            "the event and its invalidation are not confirmed; they are tried again while this process lives"
        }
        (Subject::Both, false) => {
            "the event and its invalidation are not confirmed; the invalidation is tried again while this process lives, not the event: too many wait for that"
        }
    };
    Error::new(error.kind(), format!("{what}: {error}")).with_source(error)
}

/// The end of work that was detached: its own, or that the runtime dropped it.
pub(crate) fn finished<T>(
    ended: Result<Result<T, Error>, tokio::task::JoinError>,
) -> Result<T, Error> {
    ended.unwrap_or_else(|error| {
        Err(
            Error::new(ErrorKind::Closed, "the runtime ended before the work did")
                .with_source(error),
        )
    })
}
