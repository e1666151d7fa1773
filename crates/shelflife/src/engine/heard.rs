//! Events of other processes, as the log tells them.
//!
//! The tail applies what an entry invalidates and then puts its event in a queue; it never waits. One
//! task on the application's runtime takes events out in the order of the log, and runs the handlers
//! registered for them. What they ask for is invalidated as far as the entry has not done so already,
//! and without an event: however many processes hear an event, it makes no further events.
//!
//! Must not: be reached by events of this process, which has run its handlers when it emitted.

use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

use super::Engine;
use crate::counters::bump;
use crate::invalidation::Invalidation;
use crate::store::{LogEntry, LoggedEvent, Store};

/// How many events may wait for their handlers; more are dropped, counted and warned about.
const WAITING: usize = 1024;

/// An event that another process emitted.
pub(super) struct Heard {
    event: LoggedEvent,
    /// What its log entry has invalidated already.
    hard: Invalidation,
    soft: Invalidation,
}

/// The way from the tail to the handlers; none until somebody listens.
#[derive(Default)]
pub(crate) struct Queue(OnceLock<mpsc::Sender<Heard>>);

impl Engine {
    /// Begins to handle events of other processes, on the runtime of the caller. Ends with the engine.
    pub(crate) fn listen(self: &Arc<Self>) {
        let (sender, mut heard) = mpsc::channel(WAITING);
        if self.events.queue.0.set(sender).is_err() {
            return;
        }
        let engine = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(heard) = heard.recv().await {
                let Some(engine) = engine.upgrade().filter(|engine| !engine.is_closed()) else {
                    return;
                };
                let same = engine.clone();
                // A task of its own: closing waits for it.
                let _ = engine.detach(async move { same.handle(heard).await }).await;
            }
        });
    }

    /// The event that a log entry tells, if it is another process's and has handlers here.
    pub(super) fn heard_in(&self, entry: &LogEntry) -> Option<Heard> {
        let event = entry.event.as_ref()?;
        if self.is_own(entry.origin.as_deref()) || self.events.of(&event.name).is_empty() {
            return None;
        }
        Some(Heard {
            event: event.clone(),
            hard: entry.hard.clone(),
            soft: entry.soft.clone(),
        })
    }

    /// Puts an event into the queue, when its entry has been applied. Never waits.
    pub(super) fn hear(&self, heard: Option<Heard>) {
        let (Some(heard), Some(queue)) = (heard, self.events.queue.0.get()) else {
            return;
        };
        if let Err(refused) = queue.try_send(heard) {
            bump(&self.counters.events_dropped);
            let event = refused.into_inner().event.name;
            tracing::warn!(event, "an event was not handled: too many are waiting");
        }
    }

    #[cfg_attr(
        not(feature = "redis"),
        allow(unused_variables, reason = "there is no other process")
    )]
    fn is_own(&self, origin: Option<&str>) -> bool {
        match &self.store {
            Store::Embedded(_) => true,
            #[cfg(feature = "redis")]
            Store::Redis(store) => origin == Some(store.member()),
        }
    }

    async fn handle(self: &Arc<Self>, heard: Heard) {
        let Heard { event, hard, soft } = heard;
        let handlers = self.events.of(&event.name);
        let handling = handlers.iter().map(|h| h.heard(&event.payload)).collect();
        let (asked, failures) = self.outcomes(handling).await;
        for failure in failures {
            tracing::warn!(event = %event.name, %failure, "a handler failed");
        }
        let what = asked.beyond(&hard, &soft);
        if !what.is_empty()
            && let Err(error) = self.invalidate(what, None).await
        {
            tracing::warn!(event = %event.name, %error, "what its handlers asked for is not done");
        }
        bump(&self.counters.events_heard);
    }
}
