//! Events of other processes, as the log tells them.
//!
//! ```text
//! tail: entry applied ─► its event ─► queue ─► listener ─► handlers
//!                            │                    ▲
//!                            │ full, or skipped   │ once the queue is empty
//!                            └► left to the log: from where, to where
//! ```
//!
//! The tail applies what an entry invalidates and then puts its event in a queue; it never waits. One
//! task on the application's runtime takes events out in the order of the log, and runs the handlers
//! registered for them. When the queue is full, the log is the queue: the tail only notes how far it has
//! come, and the listener reads the events from there, until nothing is left behind. So an event is lost
//! only with the log itself.
//!
//! What handlers ask for is invalidated as far as the entry has not done so already, and without an event:
//! however many processes hear an event, it makes no further events.
//!
//! Must not: be reached by events of this process, which has run its handlers when it emitted.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Engine;
use crate::counters::bump;
use crate::invalidation::Invalidation;
use crate::store::{LogEntry, LoggedEvent, Store, StoreResult};

/// How many events may wait for their handlers in memory; more are left to the log.
const WAITING: usize = 1024;
/// Between two attempts to read what was left to the log.
const PAUSE: Duration = Duration::from_millis(100);

/// An event that another process emitted.
pub(super) struct Heard {
    /// The tick of its entry.
    tick: u64,
    event: LoggedEvent,
    /// What its log entry has invalidated already.
    hard: Invalidation,
    soft: Invalidation,
}

/// The way from the tail to the handlers; none until somebody listens.
#[derive(Default)]
pub(crate) struct Queue(OnceLock<Arc<Way>>);

struct Way {
    queue: Sender<Heard>,
    /// What was left to the log. Held for a look or a change, and by the tail while it puts something into
    /// the queue: nothing is in both, and what is in the queue comes first.
    left: Mutex<Left>,
    /// Something was left, and the queue may be empty.
    wake: Arc<Notify>,
}

#[derive(Default)]
struct Left {
    behind: Option<Behind>,
    /// How often following began anew: what was read before that says nothing after it.
    resyncs: u64,
}

/// Events that are not in the queue: of entries behind `from`, up to and with `upto`.
#[derive(Clone, Copy)]
struct Behind {
    from: u64,
    upto: u64,
}

impl Way {
    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an event into the queue, or leaves it to the log if it has no room or others are there already.
    fn put(&self, heard: Heard) {
        let mut left = self.left();
        let upto = heard.tick;
        if let Some(behind) = &mut left.behind {
            behind.upto = upto;
        } else if self.queue.try_send(heard).is_err() {
            let from = upto.saturating_sub(1);
            left.behind = Some(Behind { from, upto });
        }
    }

    /// Leaves to the log what is behind `from`, up to and with `upto`: there following begins anew.
    fn leave(&self, from: u64, upto: u64) {
        let mut left = self.left();
        left.resyncs += 1;
        let from = left.behind.map_or(from, |behind| behind.from.min(from));
        left.behind = Some(Behind { from, upto });
        self.wake.notify_one();
    }

    /// What is left has been read up to and with `last`, if it is what was left when following had begun
    /// anew so often.
    fn read_up_to(&self, last: u64, resyncs: u64) {
        let mut left = self.left();
        if left.resyncs == resyncs
            && let Some(behind) = left.behind
        {
            let rest = Behind {
                from: last,
                ..behind
            };
            left.behind = Some(rest).filter(|rest| rest.from < rest.upto);
        }
    }
}

impl Engine {
    /// Begins to handle events of other processes, on the runtime of the caller. Ends with the engine.
    pub(crate) fn listen(self: &Arc<Self>) {
        let (queue, heard) = channel(WAITING);
        let way = Arc::new(Way {
            queue,
            left: Mutex::default(),
            wake: Arc::default(),
        });
        if self.events.queue.0.set(way.clone()).is_ok() {
            let (engine, way) = (Arc::downgrade(self), Arc::downgrade(&way));
            tokio::spawn(listening(engine, way, heard));
        }
    }

    /// The event that a log entry tells, if it is another process's and has handlers here.
    pub(super) fn heard_in(&self, entry: &LogEntry) -> Option<Heard> {
        let event = entry.event.as_ref()?;
        if self.is_own(entry.origin.as_deref()) || self.events.of(&event.name).is_empty() {
            return None;
        }
        Some(Heard {
            tick: entry.epoch.tick,
            event: event.clone(),
            hard: entry.hard.clone(),
            soft: entry.soft.clone(),
        })
    }

    /// Takes an event to its handlers, when its entry has been applied. Never waits.
    pub(super) fn hear(&self, heard: Option<Heard>) {
        if let (Some(heard), Some(way)) = (heard, self.events.queue.0.get()) {
            way.put(heard);
        }
    }

    /// A resync has skipped what the log holds behind `heard`, up to and with `position`: its events are
    /// handled all the same. What the entries invalidated needs no more doing: the resync has forgotten
    /// everything older. Never waits.
    pub(super) fn hear_skipped(&self, heard: u64, position: u64) {
        // When the log began anew, all of it is news.
        let from = if heard > position { 0 } else { heard };
        if let Some(way) = self.events.queue.0.get().filter(|_| from < position) {
            way.leave(from, position);
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

    /// Runs the handlers of an event in a task of its own, for which closing waits.
    async fn handle(self: &Arc<Self>, heard: Heard) {
        let engine = self.clone();
        let handling = self.detach(async move { engine.run_handlers(heard).await });
        let _ = handling.await;
    }

    async fn run_handlers(self: &Arc<Self>, heard: Heard) {
        let Heard {
            event, hard, soft, ..
        } = heard;
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
            tracing::warn!(event = %event.name, %error, "what its handlers asked for is not done yet");
        }
        bump(&self.counters.events_heard);
    }

    /// Handles a page of what was left to the log.
    async fn catch_up(self: &Arc<Self>, way: &Way) -> StoreResult<()> {
        let (left, resyncs) = {
            let left = way.left();
            (left.behind, left.resyncs)
        };
        let Some(Behind { from, upto }) = left else {
            return Ok(());
        };
        let page = self.store.logged(from, upto).await?;
        let first = page.first().and_then(|entry| entry.prev);
        let gap = page.is_empty() || first.is_some_and(|prev| prev.tick > from);
        if gap && from > 0 {
            bump(&self.counters.events_dropped);
            tracing::warn!("events may be lost: the log was trimmed before it was their turn");
        }
        for heard in page.iter().filter_map(|entry| self.heard_in(entry)) {
            self.handle(heard).await;
            if self.is_closed() {
                return Ok(());
            }
        }
        let last = page.iter().map(|entry| entry.epoch.tick).max();
        way.read_up_to(last.filter(|last| *last > from).unwrap_or(upto), resyncs);
        Ok(())
    }
}

/// Handles events, one after another: what is in the queue, then what was left to the log behind it.
async fn listening(engine: Weak<Engine>, way: Weak<Way>, mut queue: Receiver<Heard>) {
    let here = || {
        let engine = engine.upgrade().filter(|engine| !engine.is_closed())?;
        Some((engine, way.upgrade()?))
    };
    let mut next = None;
    while let Some((engine, way)) = here() {
        if let Some(heard) = next.take() {
            engine.handle(heard).await;
        }
        // Looked at before the queue: while something is left to the log, nothing comes into the queue.
        let behind = way.left().behind.is_some();
        if let Ok(heard) = queue.try_recv() {
            next = Some(heard);
        } else if behind {
            let caught_up = engine.catch_up(&way).await;
            drop((engine, way));
            if let Err(error) = caught_up {
                tracing::debug!(%error, "events wait in the log, which is out of reach");
                tokio::time::sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
            }
        } else {
            // Waiting keeps nobody alive.
            let wake = way.wake.clone();
            drop((engine, way));
            tokio::select! {
                heard = queue.recv() => match heard {
                    Some(heard) => next = Some(heard),
                    None => return,
                },
                () = wake.notified() => {}
            }
        }
    }
}
