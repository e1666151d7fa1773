//! Plain sets of this process that wait go as one step (PROTOCOL §7).
//!
//! ```text
//! set ─► line ─► is a step under way? ── no ──► one begins, with whatever waits
//!                        └── yes ─► waits for its end, and goes with all that came meanwhile
//! ```
//!
//! A lone set is sent at once. Each value counts from its own call, and its caller is told of it alone. Who
//! goes away meanwhile takes nothing along: a set that is in the line is carried out, or owed as invalidated. What
//! may wait is bounded, in values and in bytes; beyond, callers wait for room.
//!
//! There are two lines: what is called on a runtime that may stand still is carried out there, and nobody from
//! elsewhere waits for it (see `duty.rs`).
//!
//! Must not: decide what a set may keep (that is the store's step).

mod line;

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use self::line::{Job, Line, Queue, bytes_of, fitting};
use super::Engine;
use super::ask::Ask;
use super::duty::UnderWay;
use super::fill::Prepared;
use super::invalidate::finished;
use super::judge::Candidate;
use super::write::keys_of;
use crate::epoch::Epoch;
use crate::error::{Error, ErrorKind};
use crate::reason::Reason;
use crate::store::{Call, Entry, Put, StoreError, StoreResult};
use crate::stretches::Stretches;
use crate::sync::{Mutex, MutexGuard};
use crate::value::Live;

/// A value to be stored.
pub(super) struct Item {
    pub(super) ask: Ask,
    pub(super) live: Live,
    pub(super) prepared: Prepared,
}

impl Item {
    fn entry(&self) -> Entry {
        Entry {
            key: self.ask.key.clone(),
            meta: self.prepared.meta.clone(),
            body: self.prepared.body.clone(),
            keep: self.prepared.keep,
        }
    }
}

/// What a step did.
struct Done {
    epoch: Epoch,
    /// What could not be stored, by key.
    failed: HashMap<Arc<str>, StoreError>,
}

impl Done {
    /// For the caller who set these.
    fn of(&self, keys: &[Arc<str>]) -> StoreResult<Epoch> {
        match keys.iter().find_map(|key| self.failed.get(key)) {
            Some(error) => Err(error.clone()),
            None => Ok(self.epoch),
        }
    }
}

/// The plain sets of this process.
#[derive(Default)]
pub(crate) struct Sets {
    /// What is carried out on the cache's own runtime.
    at_home: Queue,
    /// What is carried out on a thread for that.
    apart: Queue,
    /// Where the log holds nothing but sets. Held to add or to ask.
    stretches: Mutex<Stretches>,
}

impl Sets {
    fn queue(&self, apart: bool) -> &Queue {
        match apart {
            true => &self.apart,
            false => &self.at_home,
        }
    }

    fn line(&self, apart: bool) -> MutexGuard<'_, Line> {
        self.queue(apart).line()
    }

    fn stretches(&self) -> MutexGuard<'_, Stretches> {
        self.stretches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// All that the log holds behind `before`, up to and with `epoch`, are sets.
    pub(super) fn only_sets_between(&self, before: Epoch, epoch: Epoch) {
        self.stretches().add(before, epoch);
    }

    /// How many values are in the lines.
    pub(crate) fn waiting(&self) -> usize {
        self.at_home.waiting() + self.apart.waiting()
    }
}

impl Engine {
    /// Stores values that were handed over by `call`, in as many steps as it takes. The epoch of the last
    /// one covers all.
    pub(super) async fn set_prepared(
        self: &Arc<Self>,
        call: Call,
        items: Vec<Item>,
    ) -> Result<Epoch, Error> {
        if items.is_empty() {
            return Ok(self.store.clock().await?);
        }
        if self.store.is_private() {
            // It does not wait for anything.
            let engine = self.clone();
            let values = items.into_iter().map(|item| (call, item)).collect();
            let work = async move { Ok(engine.put(values).await?.epoch) };
            return finished(self.see_through(work).await);
        }
        let mut unsent = Unsent {
            engine: self,
            items: items.into(),
        };
        let mut told = Vec::new();
        while !unsent.items.is_empty() {
            told.push(unsent.line_up(call).await?);
        }
        let mut last = Epoch::new(0, 0);
        for told in told {
            last = told.await.unwrap_or_else(|_| Err(dropped()))?;
        }
        Ok(last)
    }

    /// Carries out what waits in a line, one step after the other, until nothing does.
    async fn carry_out_sets(mut carrying: Carrying) {
        loop {
            let (engine, apart) = (&carrying.engine, carrying.apart);
            let jobs = engine.sets.line(apart).next();
            if jobs.is_empty() {
                carrying.ended = true;
                return;
            }
            // Values have code of their own for when they are dropped: what panics in one step ends no other.
            let step = AssertUnwindSafe(engine.carry_out_jobs(jobs, apart));
            if step.catch_unwind().await.is_err() {
                tracing::error!(
                    "a set panicked, as the drop of a value may: its keys are invalidated"
                );
            }
        }
    }

    async fn carry_out_jobs(self: &Arc<Self>, jobs: Vec<Job>, apart: bool) {
        let mut values = Vec::new();
        let mut callers = Vec::with_capacity(jobs.len());
        for job in jobs {
            let keys: Vec<_> = job.items.iter().map(|item| item.ask.key.clone()).collect();
            values.extend(job.items.into_iter().map(|item| (job.call, item)));
            callers.push((job.told, keys, job.room));
        }
        let outcome = self.put(values).await;
        for (told, keys, _room) in callers {
            let of_these = match &outcome {
                Ok(done) => done.of(&keys),
                Err(error) => Err(error.clone()),
            };
            // Whoever went away does not want to know.
            let _ = told.send(of_these.map_err(Error::from));
        }
        if let Err(error) = outcome {
            self.give_up_sets(&error, apart);
        }
    }

    /// A step has failed: who has waited for longer than an answer may take does not wait for another one.
    fn give_up_sets(self: &Arc<Self>, error: &StoreError, apart: bool) {
        let now = self.clock.now();
        let late: VecDeque<Job> = {
            let mut line = self.sets.line(apart);
            let waiting = std::mem::take(&mut line.waiting).into_iter();
            let (late, rest) =
                waiting.partition(|job| now.since(job.call.at) >= self.settings.timeout);
            line.waiting = rest;
            late
        };
        if late.is_empty() {
            return;
        }
        // Of all of them first: to drop a value may panic.
        self.were_not_set(late.iter().flat_map(|job| &job.items));
        for job in late {
            let _ = job.told.send(Err(error.clone().into()));
        }
    }

    /// The old values may stand where new ones were to be.
    fn were_not_set<'a>(self: &Arc<Self>, items: impl Iterator<Item = &'a Item>) {
        let what = Arc::new(keys_of(items.map(|item| &item.ask.key)));
        self.was_not_confirmed(&what);
    }

    /// One step of the store, and what this process does about it. Of several values for one key the last call's
    /// counts, as if it had come right behind the others.
    async fn put(self: &Arc<Self>, mut values: Vec<(Call, Item)>) -> StoreResult<Done> {
        let all: HashSet<_> = values.iter().map(|(_, item)| &item.ask.key).collect();
        let what = Arc::new(keys_of(all.into_iter()));
        let under_way = UnderWay::new(self, &what, None);
        let mut seen = HashSet::new();
        values.reverse();
        values.retain(|(_, item)| seen.insert(item.ask.key.clone()));
        let entries = values.iter().map(|(call, item)| (item.entry(), *call));
        let only_sets = self.sets.stretches().clone();
        let Put {
            before,
            epoch,
            stored,
            failed,
            at_once,
        } = match self.store.set(entries.collect(), &only_sets).await {
            Ok(put) => put,
            // Owed by who goes out of scope.
            Err(error) => return Err(error),
        };
        self.sets.only_sets_between(before, epoch);
        let failed: HashMap<_, _> = failed
            .into_iter()
            .map(|(at, error)| (values[at].1.ask.key.clone(), error))
            .collect();
        self.apply_own(epoch, &what).await;
        if !failed.is_empty() {
            self.was_not_confirmed(&Arc::new(keys_of(failed.keys())));
        }
        under_way.end();
        for ((_, item), stored) in values.into_iter().zip(stored) {
            if failed.contains_key(&item.ask.key) {
                continue;
            }
            if !stored {
                self.counters.because(Reason::Overtaken);
            } else if at_once {
                self.keep_set(item, epoch);
            }
        }
        Ok(Done { epoch, failed })
    }

    fn keep_set(&self, item: Item, epoch: Epoch) {
        let Item {
            ask,
            live,
            prepared,
        } = item;
        let Prepared {
            bytes, mut meta, ..
        } = prepared;
        // Value, clock and log changed in one step: nothing lies between.
        meta.epoch = epoch;
        let candidate = Candidate { live, bytes, meta };
        self.keep_local(&ask.key, &candidate, |_| Duration::ZERO, epoch);
    }
}

/// What a caller has not got into the line yet. Dropped, it leaves open whether the source has changed.
struct Unsent<'a> {
    engine: &'a Arc<Engine>,
    items: VecDeque<Item>,
}

impl Unsent<'_> {
    /// Puts as much into the line as fits one step, when there is room.
    async fn line_up(
        &mut self,
        call: Call,
    ) -> Result<oneshot::Receiver<Result<Epoch, Error>>, Error> {
        let count = fitting(&self.items);
        let sets = &self.engine.sets;
        let bytes = bytes_of(self.items.iter().take(count));
        let ground = self.engine.ground();
        let room = sets.queue(ground.is_apart).room_for(count, bytes).await?;
        let (told, answer) = oneshot::channel();
        let job = Job {
            call,
            items: self.items.drain(..count).collect(),
            told,
            room,
        };
        let begins = {
            let mut line = sets.line(ground.is_apart);
            line.waiting.push_back(job);
            !std::mem::replace(&mut line.under_way, true)
        };
        if begins {
            let carrying = Carrying {
                engine: self.engine.clone(),
                apart: ground.is_apart,
                ended: false,
            };
            let carried = Engine::carry_out_sets(carrying);
            self.engine.see_through_on(&ground, carried);
        }
        Ok(answer)
    }
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if !self.items.is_empty() {
            self.engine.were_not_set(self.items.iter());
        }
    }
}

/// The duty to carry out what waits in a line. Dropped before the end (its runtime is gone) it leaves nobody
/// waiting, and what waited owed.
struct Carrying {
    engine: Arc<Engine>,
    apart: bool,
    ended: bool,
}

impl Drop for Carrying {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // Dropped when the lock is not held: values have code of their own for that.
        let left = {
            let mut line = self.engine.sets.line(self.apart);
            line.under_way = false;
            std::mem::take(&mut line.waiting)
        };
        if !left.is_empty() {
            self.engine
                .were_not_set(left.iter().flat_map(|job| &job.items));
        }
    }
}

fn dropped() -> Error {
    Error::new(ErrorKind::Closed, "the set was dropped before its end")
}

#[cfg(all(test, feature = "redis", feature = "chaos"))]
mod tests {
    use std::time::Duration;

    use futures_util::poll;
    use shelflife_testkit::RedisServer;

    use super::line::{BYTES_AT_ONCE, ROOM_IN_BYTES};
    use super::*;
    use crate::cache::Cache;
    use crate::chaos::{Faults, Target};

    const MEBIBYTE: usize = 1 << 20;
    const PATIENT: Duration = Duration::from_secs(60);

    async fn until(mut holds: impl AsyncFnMut() -> bool) {
        let waited = tokio::time::timeout(PATIENT, async {
            while !holds().await {
                tokio::task::yield_now().await;
            }
        });
        waited.await.expect("it should have come long ago");
    }

    /// Text that no compression makes smaller than a MiB.
    fn noise() -> String {
        let mut random = fastrand::Rng::with_seed(7);
        std::iter::repeat_with(|| random.alphanumeric())
            .take(MEBIBYTE * 3 / 2)
            .collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_left_in_the_line_is_bounded_in_bytes_and_carried_out() {
        let server = RedisServer::start();
        let faults = Faults::new();
        let builder = Cache::builder().url(server.url()).namespace("test");
        let builder = builder.timeout(PATIENT).window(PATIENT).chaos(&faults);
        let cache = builder.build().await.unwrap();
        let held = faults.on(Target::Writes).freeze();
        let (called, noise) = (80_u32, noise());
        for n in 0..called {
            let mut set = Box::pin(cache.set(format!("k:{n}"), format!("{n} {noise}")));
            // Polled once it is in the line, or waits for room; then its caller goes away.
            let _ = poll!(tokio::task::unconstrained(&mut set));
        }
        until(async || held.struck() > 0).await;
        let in_line = bytes_of(
            cache
                .engine
                .sets
                .line(false)
                .waiting
                .iter()
                .flat_map(|job| &job.items),
        );
        let kept = u32::try_from(cache.engine.sets.waiting()).unwrap();
        assert!(in_line <= ROOM_IN_BYTES, "{in_line} bytes");
        assert!((32..called).contains(&kept), "{kept} sets have room");
        drop(held);
        until(async || cache.engine.sets.waiting() == 0).await;
        for n in 0..kept {
            let found: Option<String> = cache.entry(format!("k:{n}")).strict().get().await;
            assert!(found == Some(format!("{n} {noise}")), "{n}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_call_of_much_goes_in_several_steps() {
        let server = RedisServer::start();
        let faults = Faults::new();
        let builder = Cache::builder().url(server.url()).namespace("test");
        let builder = builder.timeout(PATIENT).window(PATIENT).chaos(&faults);
        let cache = builder.build().await.unwrap();
        let held = faults.on(Target::Writes).freeze();
        let quarter = noise()[..MEBIBYTE / 4].to_owned();
        let values = (0..8_u32).map(|n| (format!("k:{n}"), quarter.clone()));
        let mut sets = Box::pin(cache.set_many(values));
        assert!(poll!(tokio::task::unconstrained(&mut sets)).is_pending());
        until(async || held.struck() > 0).await;
        let largest = cache
            .engine
            .sets
            .line(false)
            .waiting
            .iter()
            .map(Job::bytes)
            .max();
        assert!(
            largest.is_some_and(|bytes| bytes <= BYTES_AT_ONCE),
            "{largest:?}"
        );
        drop(held);
        sets.await.unwrap();
        for n in 0..8 {
            assert!(cache.get::<String>(format!("k:{n}")).await.is_some());
        }
    }
}
