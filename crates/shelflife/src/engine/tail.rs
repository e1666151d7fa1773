//! The tail: follows the log on a thread of its own, so that a busy executor can't fake health.
//!
//! ```text
//! resync ─► read the log ─► apply, in order ─► applied
//!   ▲   │                                        │
//!   │   └─► beat, every Δ/4 ─► clock ≤ applied? ─┴─► the window opens until sent + Δ
//!   └── gap, another incarnation or primary, a log that ends too early
//! ```
//!
//! A connection that breaks is opened again and the log is read on from `applied`; the window closes by
//! itself when beats stay away. It ends when the engine is gone.
//!
//! Must not: decide what an entry or a beat means (that is [`crate::follow`]).

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Engine;
use super::retry::replaced;
use crate::clock::Moment;
use crate::epoch::Epoch;
use crate::follow::{BeatSeen, Follower, Next, Verdict};
#[cfg(test)]
use crate::probe::Point;
use crate::settings::Failover;
use crate::store::{BeatAnswer, LogEntry, LogLine, Store, StoreResult};

/// Between two attempts to reach the log.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MOST: Duration = Duration::from_secs(1);
/// A beat, and a look at whether the engine is still there, come no closer and no further apart.
const BEAT_LEAST: Duration = Duration::from_millis(5);
const LOOK_MOST: Duration = Duration::from_secs(1);
/// At most so often is it told what was applied: where somebody waits for that, and where nobody does,
/// so that a steady stream of invalidations is no stream of beats of everyone.
const TELL_AWAITED: Duration = Duration::from_millis(2);
const TELL: Duration = Duration::from_millis(50);
/// How often every primary is asked, where keys lie apart.
const EVERYONE: Duration = Duration::from_secs(1);

/// Starts the tail of an engine whose store is shared, and waits until the window has opened or the
/// log was found out of reach.
pub(crate) async fn start(engine: &Arc<Engine>) {
    let weak = Arc::downgrade(engine);
    let (first, tried) = oneshot::channel();
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(follow(weak, first)),
            Err(error) => {
                tracing::error!(%error, "no runtime for the tail: L1 asks the store each window")
            }
        }
    };
    if let Err(error) = std::thread::Builder::new()
        .name("shelflife-tail".into())
        .spawn(body)
    {
        tracing::error!(%error, "no thread for the tail: L1 asks the store each window");
    }
    // A tail that could not start has dropped its end.
    let _ = tried.await;
}

async fn follow(engine: Weak<Engine>, first: oneshot::Sender<()>) {
    let mut tail = Tail {
        engine,
        follower: None,
        followed: None,
        changes: 0,
        has_judged: false,
        heard: None,
        generation: 0,
        first: Some(first),
    };
    let mut rest = Rest::default();
    loop {
        tail.has_judged = false;
        // What goes from L1 is dropped here, and values have code of their own for that.
        match AssertUnwindSafe(tail.session()).catch_unwind().await {
            Ok(Ok(Ended::Gone)) => return,
            // A session that got as far as to need a resync did reach the log.
            Ok(Ok(Ended::Resync)) => tail.has_judged = true,
            Ok(Err(error)) => tracing::debug!(%error, "the log is out of reach"),
            Err(_) => tail.panicked(),
        }
        tail.first = None;
        let rest = rest.after(tail.has_judged);
        tokio::time::sleep(rest.mul_f64(0.5 + fastrand::f64())).await;
    }
}

/// How long to rest between two sessions: longer and longer while none gets anywhere.
struct Rest(Duration);

impl Default for Rest {
    fn default() -> Self {
        Self(PAUSE)
    }
}

impl Rest {
    /// After a session that followed the log, if only for a while, or did not.
    fn after(&mut self, followed: bool) -> Duration {
        if followed {
            *self = Self::default();
        }
        let rest = self.0;
        self.0 = (rest * 2).min(PAUSE_MOST);
        rest
    }
}

/// How a session with the log ended.
enum Ended {
    /// Nobody wants the tail any more.
    Gone,
    /// The log can't be followed from where we are.
    Resync,
}

struct Tail {
    engine: Weak<Engine>,
    /// `None` until a resync, and again when one is needed.
    follower: Option<Follower>,
    /// Whose log was followed last: its incarnation and its primary.
    followed: Option<(u64, String)>,
    /// How often another primary had been met, wherever, when following began.
    changes: u64,
    /// Whether this session has judged an answer to a beat.
    has_judged: bool,
    /// Up to which tick of the log events have been handed over; `None` before the first resync.
    heard: Option<u64>,
    /// Memory's generation since the last resync: another one closes the window for our beats.
    generation: u64,
    /// Dropped when the window has opened for the first time, or the first attempt has failed.
    first: Option<oneshot::Sender<()>>,
}

impl Tail {
    /// One session: connect, resync if need be, follow until something breaks.
    async fn session(&mut self) -> StoreResult<Ended> {
        let Some((engine, line)) = self.connect().await? else {
            return Ok(Ended::Gone);
        };
        let delta = engine.settings.window;
        if self.follower.is_none() {
            self.resync(&engine, &line).await?;
        }
        self.hear_skipped(&engine);
        drop(engine);
        let every = (delta / 4).max(BEAT_LEAST);
        let block = every.min(LOOK_MOST);
        let mut reading = Box::pin(line.read(self.position(), block));
        let mut beating = Box::pin(self.beat(&line));
        let mut answered = false;
        let mut beat_at = Instant::now() + every;
        let mut told_at = Instant::now();
        let mut asking = Box::pin(self.ask_everyone());
        let mut asked = false;
        let mut ask_at = Instant::now() + EVERYONE;
        loop {
            tokio::select! {
                entries = &mut reading => {
                    let entries = entries?;
                    let Some(engine) = self.engine.upgrade().filter(|e| !e.is_closed()) else {
                        return Ok(Ended::Gone);
                    };
                    let awaited = entries.iter().any(|entry| entry.awaited);
                    let any = !entries.is_empty();
                    if !self.apply_all(&engine, entries) {
                        return Ok(self.lost(&engine));
                    }
                    if any {
                        let tell = if awaited { TELL_AWAITED } else { TELL };
                        beat_at = beat_at.min(told_at + tell);
                    }
                    reading.set(line.read(self.position(), block));
                }
                answer = &mut beating, if !answered => {
                    let (answer, sent) = answer?;
                    answered = true;
                    let Some(engine) = self.engine.upgrade() else {
                        return Ok(Ended::Gone);
                    };
                    if !self.judge(&engine, &answer, sent) {
                        return Ok(self.lost(&engine));
                    }
                    #[cfg(test)]
                    engine.settings.probes.reach(Point::Judged);
                }
                all_answered = &mut asking, if !asked => {
                    asked = true;
                    if let (Some(at), Some(engine)) = (all_answered, self.engine.upgrade()) {
                        engine.primary_answered(at);
                    }
                }
                () = tokio::time::sleep_until(ask_at), if asked => {
                    asking.set(self.ask_everyone());
                    asked = false;
                    ask_at = Instant::now() + EVERYONE;
                }
                () = tokio::time::sleep_until(beat_at), if answered => {
                    beating.set(self.beat(&line));
                    answered = false;
                    told_at = Instant::now();
                    beat_at = told_at + every;
                }
            }
        }
    }

    /// The log can't be followed from where we are: L1 is not trusted from now on.
    fn lost(&mut self, engine: &Engine) -> Ended {
        engine.close_window();
        self.follower = None;
        Ended::Resync
    }

    /// Half of an entry may have been applied: the log is followed anew, from a position of its own.
    fn panicked(&mut self) {
        tracing::error!("the tail panicked, as the drop of a value may: L1 is dropped");
        if let Some(engine) = self.engine.upgrade() {
            engine.close_window();
        }
        self.follower = None;
    }

    async fn connect(&self) -> StoreResult<Option<(Arc<Engine>, LogLine)>> {
        let Some(engine) = self.engine.upgrade().filter(|e| !e.is_closed()) else {
            return Ok(None);
        };
        let line = match &engine.store {
            Store::Embedded(_) => return Ok(None),
            Store::Redis(store) => store.open_log().await?,
        };
        Ok(Some((engine, line)))
    }

    fn position(&self) -> u64 {
        self.follower.as_ref().map_or(0, |f| f.applied().tick)
    }

    /// A beat with what has been applied; its answer comes with when it was sent.
    fn beat(
        &self,
        line: &LogLine,
    ) -> impl Future<Output = StoreResult<(BeatAnswer, Moment)>> + use<> {
        let applied = self.follower.as_ref().map(Follower::applied);
        let sent = self.engine.upgrade().map(|engine| engine.clock.now());
        let beat = line.beat(applied);
        async move { Ok((beat.await?, sent.unwrap_or(Moment(0)))) }
    }

    /// Asks each primary, where keys lie apart: any of them may be the one that is lost, and beats are one's alone. Gives
    /// when they were asked, if all have answered and are who they were when following began.
    fn ask_everyone(&self) -> impl Future<Output = Option<Moment>> + use<> {
        let asked = self.engine.upgrade().and_then(|engine| {
            let now = engine.clock.now();
            match &engine.store {
                Store::Redis(store) => Some((now, store.everyone_answers(self.changes))),
                Store::Embedded(_) => None,
            }
        });
        async move {
            let (at, answers) = asked?;
            answers.await.then_some(at)
        }
    }

    /// PROTOCOL §8, resync: the window closes; a beat as *none* gives the position; then memory begins
    /// there, L1 is dropped, and following begins there.
    async fn resync(&mut self, engine: &Arc<Engine>, line: &LogLine) -> StoreResult<()> {
        engine.close_window();
        let mut answer = line.beat(None).await?;
        // Yet another one may take over meanwhile.
        while self.is_of_a_successor(&answer) {
            // Before the window opens: after that nobody here would miss what was lost.
            let same = self.followed.as_ref().map(|(inc, _)| *inc) == Some(answer.clock.inc);
            make_up_for_the_lost(engine, answer.clock, same).await?;
            let next = line.beat(None).await?;
            let ended = same && engine.settings.failover == Failover::Bump;
            if ended && next.clock.inc == answer.clock.inc {
                // It was on another primary: the one that is gone.
                return Err(replaced());
            }
            self.followed = Some((answer.clock.inc, answer.replid));
            answer = next;
        }
        if let Err(error) = engine.look_at_members().await {
            tracing::debug!(%error, "the members' windows are not known");
        }
        let now = engine.clock.now();
        engine.primary_followed(now);
        if is_of_one_primary(engine) {
            engine.primary_answered(now);
        }
        self.followed = Some((answer.clock.inc, answer.replid.clone()));
        self.changes = answer.changes;
        #[cfg(test)]
        engine.settings.probes.reach(Point::Positioned);
        self.generation = engine.begin_at(answer.clock);
        let follower = Follower::at(answer.clock, answer.replid, engine.settings.window);
        self.follower = Some(follower);
        tracing::info!(position = %answer.clock, "following the log");
        Ok(())
    }

    /// Whether another primary answers than the one that was followed.
    fn is_of_a_successor(&self, answer: &BeatAnswer) -> bool {
        self.followed
            .as_ref()
            .is_some_and(|(_, replid)| *replid != answer.replid)
    }

    /// Has the events handled that a resync has skipped, as far as the log still has them.
    fn hear_skipped(&mut self, engine: &Engine) {
        let position = self.position();
        if let Some(heard) = self.heard.replace(position) {
            engine.hear_skipped(heard, position);
        }
    }

    /// Applies entries in order; `false` when they can't be followed.
    fn apply_all(&mut self, engine: &Engine, entries: Vec<LogEntry>) -> bool {
        let Some(follower) = &mut self.follower else {
            return false;
        };
        for entry in entries {
            match follower.entry(entry.prev, entry.epoch) {
                Next::Skip => {}
                Next::Gap => return false,
                Next::Apply => {
                    let (origin, note) = (entry.origin.as_deref(), entry.note.as_deref());
                    let event = entry.event.as_ref().map(|event| event.name.as_str());
                    tracing::trace!(epoch = %entry.epoch, origin, note, event, "applying");
                    let heard = engine.heard_in(&entry);
                    if let Some(before) = entry.prev.filter(|_| entry.only_sets) {
                        engine.sets.only_sets_between(before, entry.epoch);
                    }
                    engine.apply_logged(entry.epoch, entry.hard, entry.soft);
                    let end = follower.has_applied(entry.epoch);
                    engine.has_applied(self.generation, entry.epoch);
                    engine.hear(heard);
                    self.heard = Some(entry.epoch.tick);
                    if let Some(end) = end {
                        if !engine.open_window(self.generation, end) {
                            return false;
                        }
                        self.first = None;
                    }
                }
            }
        }
        true
    }

    /// Acts on an answer to a beat; `false` when a resync is needed.
    fn judge(&mut self, engine: &Engine, answer: &BeatAnswer, sent: Moment) -> bool {
        let Some(follower) = &mut self.follower else {
            return false;
        };
        if let Store::Redis(store) = &engine.store {
            store.told_time(answer.server_ms);
        }
        let seen = BeatSeen {
            clock: answer.clock,
            last_logged: answer.last_logged,
            replid: &answer.replid,
            sent,
        };
        let verdict = follower.beat(&seen);
        self.has_judged = true;
        if verdict != Verdict::Resync && is_of_one_primary(engine) {
            engine.primary_answered(sent);
        }
        match verdict {
            Verdict::Open(end) => {
                let opened = engine.open_window(self.generation, end);
                self.first = None;
                opened
            }
            Verdict::Wait => true,
            Verdict::Resync => false,
        }
    }
}

/// Whether who answers beats is all that may be lost.
fn is_of_one_primary(engine: &Engine) -> bool {
    match &engine.store {
        Store::Redis(store) => !store.has_several_primaries(),
        Store::Embedded(_) => true,
    }
}

/// What the primary that is gone had confirmed may be gone with it (PROTOCOL §9). A new incarnation begins
/// by the policy only once: in another one than was followed, somebody has begun it already.
async fn make_up_for_the_lost(engine: &Arc<Engine>, clock: Epoch, same: bool) -> StoreResult<()> {
    tracing::warn!(at = %clock, policy = ?engine.settings.failover, "another primary has taken over");
    match (&engine.store, engine.settings.failover) {
        (Store::Redis(store), Failover::Bump) if same => {
            store.renounce(clock.inc).await?;
            engine.begin_anew(clock).await
        }
        _ => engine.carry_out_again(clock).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_only_while_the_log_is_out_of_reach() {
        let mut rest = Rest::default();
        for _ in 0..5 {
            assert_eq!(rest.after(true), PAUSE, "however many blips there are");
        }
        let grown: Vec<Duration> = (0..6).map(|_| rest.after(false)).collect();
        assert_eq!(grown[0], PAUSE * 2);
        assert_eq!(grown[5], PAUSE_MOST);
        assert_eq!(rest.after(true), PAUSE);
    }
}
