//! Invalidations and events asked for again: those that were not confirmed, until they are; and those of
//! the last minute, when another primary has taken over (PROTOCOL §5, §9).

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;

use super::Engine;
use super::owed::{Request, Unconfirmed};
use super::recent::Recent;
use crate::clock::Moment;
use crate::counters::bump;
use crate::epoch::Epoch;
use crate::error::ErrorKind;
use crate::invalidation::Invalidation;
#[cfg(test)]
use crate::probe::Point;
use crate::store::{Invalidated, Left, LoggedEvent, StoreError, StoreResult};
use crate::sync::MutexGuard;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MOST: Duration = Duration::from_secs(2);

impl Engine {
    fn unconfirmed(&self) -> MutexGuard<'_, Unconfirmed> {
        self.unconfirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many names wait to be confirmed as invalidated, and how many events as logged.
    pub(crate) fn owes(&self) -> usize {
        self.unconfirmed().len()
    }

    /// Keeps what has been confirmed, for a primary that may not have it. If the one that confirmed it has
    /// been replaced meanwhile, it is asked for again.
    pub(super) fn was_confirmed(self: &Arc<Self>, epoch: Epoch, what: &Arc<Invalidation>) {
        if self.store.is_private() {
            return;
        }
        #[cfg(test)]
        self.settings.probes.reach(Point::Confirmed);
        let lost = {
            let mut recent = self.recent();
            recent.add(self.clock.now(), what);
            recent.is_lost(epoch)
        };
        if lost && !what.is_empty() {
            self.was_not_confirmed(what);
        }
    }

    /// The same for an event, if there is one, which was confirmed with these names.
    pub(super) fn was_told(
        self: &Arc<Self>,
        epoch: Epoch,
        what: &Arc<Invalidation>,
        event: Option<Arc<LoggedEvent>>,
    ) {
        if event.is_none() || self.store.is_private() {
            return;
        }
        let request = Request {
            what: what.clone(),
            event,
        };
        let lost = {
            let mut recent = self.recent();
            recent.add_event(self.clock.now(), epoch, &request);
            recent.is_lost_from_log(epoch)
        };
        if lost {
            self.owe(&request);
        }
    }

    /// An invalidation was not confirmed: what this process holds goes at once, and it is asked for again in
    /// the background until it is confirmed or the cache is closed.
    pub(super) fn was_not_confirmed(self: &Arc<Self>, what: &Arc<Invalidation>) {
        self.was_not_told(what, None);
    }

    /// The same for one with an event. Gives whether the event is among what is asked for again: not when
    /// too many are.
    pub(super) fn was_not_told(
        self: &Arc<Self>,
        what: &Arc<Invalidation>,
        event: Option<Arc<LoggedEvent>>,
    ) -> bool {
        self.drop_from_local(|local| {
            local.drop_keys(what);
            local.drop_tags(what);
        });
        // Also of a cache that is closing: it makes one last attempt.
        self.owe(&Request {
            what: what.clone(),
            event,
        })
    }

    fn owe(self: &Arc<Self>, request: &Request) -> bool {
        let kept = self.unconfirmed().add(request);
        self.retry();
        kept
    }

    /// Has what is owed asked for in the background, unless somebody does so already.
    fn retry(self: &Arc<Self>) {
        if self.is_closed() {
            return;
        }
        let Ok(only_one) = self.retrying.clone().try_lock_owned() else {
            return;
        };
        tracing::warn!("an invalidation or event is not confirmed; it is tried again until it is");
        // Not one of the tasks that closing waits for: it may take as long as an outage. Nor the caller's: its
        // runtime may end before the outage does.
        let weak = Arc::downgrade(self);
        self.spawn_for_good(async move {
            let (mut pause, mut denied) = (PAUSE, false);
            loop {
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                pause = (pause * 2).min(PAUSE_MOST);
                let Some(engine) = weak.upgrade().filter(|engine| !engine.is_closed()) else {
                    return;
                };
                // What goes from L1 is dropped here, and values have code of their own for that.
                let settled = AssertUnwindSafe(engine.settle_up()).catch_unwind().await;
                let Ok(settled) = settled else {
                    tracing::error!("asking again for what is not confirmed panicked; it goes on");
                    continue;
                };
                match settled {
                    Err(error) if error.kind == ErrorKind::Denied && !denied => {
                        // That does not pass by itself.
                        tracing::warn!(%error, names = engine.owes(), "not confirmed yet");
                        denied = true;
                    }
                    Err(error) => tracing::debug!(%error, "not confirmed yet"),
                    Ok(()) => {
                        tracing::info!("what was not confirmed is, now");
                        drop(only_one);
                        // Whoever was refused in between.
                        if engine.owes() > 0 {
                            engine.retry();
                        }
                        return;
                    }
                }
            }
        });
    }

    /// Asks for everything again that has not been confirmed, each once; what fails stays owed. Gives the
    /// first failure: what never succeeds, such as a scan that is not allowed, holds up nothing else. But events
    /// keep their order where it is for the store to get well.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: what is under way is asked for once more.
    async fn settle_up(self: &Arc<Self>) -> StoreResult<()> {
        let _one_at_a_time = self.asking.lock().await;
        self.unconfirmed().begin_round();
        let mut failure = None;
        loop {
            // In a statement of its own: the lock is not held for the question.
            let next = self.unconfirmed().next();
            let Some(Request { what, event }) = next else {
                return failure.map_or(Ok(()), Err);
            };
            let Invalidated { epoch, left } =
                match self.store.invalidate(&what, event.as_deref()).await {
                    Ok(done) => done,
                    Err(error) => {
                        self.unconfirmed().refused();
                        let passes = error.passes();
                        let error = failure.get_or_insert(error);
                        if event.is_some() && passes {
                            return Err(error.clone());
                        }
                        continue;
                    }
                };
            let done = match &left {
                Some(left) => Arc::new(what.without(&left.what)),
                None => what,
            };
            let nothing = done.is_empty() && event.is_none();
            self.apply_own(epoch, &done).await;
            self.was_told(epoch, &done, event);
            match left {
                Some(Left { what, error, .. }) => {
                    self.unconfirmed().confirmed_but(what);
                    failure.get_or_insert(error);
                }
                None => self.unconfirmed().confirmed(),
            }
            bump(&self.counters.invalidations_retried);
            // Of nothing that was done, the epoch is the clock as it was.
            if !nothing && self.recent().is_lost(epoch) {
                return Err(replaced());
            }
        }
    }

    /// One last attempt, before closing.
    pub(super) async fn settle_up_for_good(self: &Arc<Self>) {
        if self.owes() == 0 {
            return;
        }
        let last = tokio::time::timeout(self.settings.close_timeout, self.settle_up());
        if !matches!(last.await, Ok(Ok(()))) {
            tracing::warn!(
                names = self.owes(),
                "closed with invalidations or events that were never confirmed"
            );
        }
    }

    /// Another primary has taken over at `clock`: what the old one confirmed within the last minute may be
    /// lost with it, so it is carried out again. Fails while the old one is still the one that answers.
    pub(super) async fn carry_out_again(self: &Arc<Self>, clock: Epoch) -> StoreResult<()> {
        let now = self.clock.now();
        let parts = self.recent().succeeded(clock, now).take();
        // Whoever has just taken over is only being connected to.
        self.store.come_up().await;
        for what in parts {
            let what = Arc::new(what);
            self.again(clock, &what, None).await?;
            bump(&self.counters.invalidations_reissued);
        }
        self.recent().carried_out(now, self.clock.now());
        self.tell_again(clock).await
    }

    /// Asks a primary that has taken over at `clock`. Keys that another node has, and that one is out of reach, are owed, and
    /// nobody waits for them here: nobody can read them there meanwhile either; and should the node come back as another one
    /// than it was, that is a takeover of its own. Of a glob the matches are on nodes, too, that can be read: where it can't be
    /// carried out everywhere, everything is invalidated, which asks the clock's node alone.
    async fn again(
        self: &Arc<Self>,
        clock: Epoch,
        what: &Arc<Invalidation>,
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Epoch> {
        let Invalidated { epoch, left } = self.store.invalidate(what, event).await?;
        if epoch.inc == clock.inc && !epoch.at_least(clock) {
            return Err(replaced());
        }
        match left {
            Some(left) if left.was_met => return Err(left.error),
            Some(left) if !left.what.patterns.is_empty() => {
                tracing::warn!(error = %left.error, "a pattern is not carried out again everywhere: everything is");
                let all = Arc::new(Invalidation::new().all());
                let done = self.store.invalidate(&all, None).await?;
                self.apply_confirmed(done.epoch, &all).await;
                return Ok(done.epoch);
            }
            Some(Left {
                what: left, error, ..
            }) => {
                tracing::warn!(%error, "not carried out again yet");
                let done = Arc::new(what.without(&left));
                self.was_not_confirmed(&Arc::new(left));
                self.apply_confirmed(epoch, &done).await;
            }
            None => self.apply_confirmed(epoch, what).await,
        }
        Ok(epoch)
    }

    /// Another primary has taken over at `clock` and ends that incarnation: what the old one confirmed is dead
    /// with it. What the old one confirms from now on is asked for again.
    pub(super) async fn begin_anew(self: &Arc<Self>, clock: Epoch) -> StoreResult<()> {
        let now = self.clock.now();
        drop(self.recent().succeeded(clock, now));
        self.tell_again(clock).await
    }

    /// The primary that is followed has answered what was asked at `sent`; where keys lie apart, all primaries have.
    pub(super) fn primary_answered(&self, sent: Moment) {
        self.recent().answered(sent);
    }

    /// Following begins, whoever answers.
    pub(super) fn primary_followed(&self, from: Moment) {
        self.recent().followed(from);
    }

    /// The part of it that is events, for a successor that may have begun anew: those that its log does not
    /// hold are told again. The others have reached, or will reach, everybody who follows it.
    async fn tell_again(self: &Arc<Self>, clock: Epoch) -> StoreResult<()> {
        let told = self.recent().events(self.clock.now());
        for (before, Request { what, event }) in told {
            if self.store.has_logged(before).await? {
                continue;
            }
            let epoch = self.again(clock, &what, event.as_deref()).await?;
            let now = self.clock.now();
            self.recent().told_again(before, now, epoch);
        }
        Ok(())
    }
}

pub(super) fn replaced() -> StoreError {
    StoreError::unavailable("the primary that was replaced still answers")
}
