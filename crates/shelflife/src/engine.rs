//! The engine: reads, loads, fills and invalidations, by the protocol.
//!
//! ```text
//! ask.rs         what is asked and answered
//! due.rs         what a read must honour, and what is good enough for it
//! read.rs        the life of a read: L1, flight, landing
//! look.rs        reads that never load
//! near.rs        what L1 has for a read
//! fly.rs         a flight: the store, the lease, the load
//! lease.rs       the right to load
//! path.rs        from a read to what the store holds: one command, or with clock and tags
//! judge.rs       from what a store saw to what a read may have
//! flight.rs      one load per key per process
//! bulkhead.rs    how many loads may be under way at once, and wait
//! load.rs        running a loader: timeouts, panics, the lease kept alive
//! fill.rs        from a loaded value to L2 and L1
//! many.rs        several keys at once
//! batch.rs       those that are missing, in one load
//! write.rs       set
//! sets.rs        plain sets that wait go as one; sets/line.rs has the line, and its room
//! invalidate.rs  invalidations, and what this process does about its own
//! duty.rs        what is finished even if its caller goes away, and where
//! owed.rs        what has not been confirmed
//! recent.rs      what was confirmed of late, in case who confirmed it is lost
//! bundle.rs      several invalidations as few
//! retry.rs       asking for those again
//! events.rs      handlers that turn events into invalidations
//! heard.rs       events of other processes, as the log tells them
//! resync.rs      which incarnation memory belongs to, and the window
//! tail.rs        following the log, on a thread of its own
//! audit.rs       what each tier would answer, without a value
//! everywhere.rs  waiting until every process has applied an invalidation
//! ```
//!
//! Must not: know HTTP, Redis, codecs.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::clock::Clock;
use crate::counters::{Counters, Stats};
use crate::epoch::Epoch;
use crate::hot::Heat;
use crate::key::Tag;
use crate::local::Local;
use crate::memory::Memory;
use crate::server::LastSeen;
use crate::settings::Settings;
use crate::store::Store;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::validity::Touched;

pub(crate) mod ask;
#[cfg(feature = "redis")]
pub(crate) mod audit;
mod batch;
pub(crate) mod bulkhead;
mod bundle;
mod due;
mod duty;
pub(crate) mod events;
mod everywhere;
mod fill;
pub(crate) mod flight;
mod fly;
mod heard;
#[cfg(test)]
#[cfg(shelflife_shuttle)]
mod interleavings;
mod invalidate;
mod judge;
mod lease;
pub(crate) mod load;
mod look;
mod many;
pub(crate) mod near;
mod owed;
mod path;
pub(crate) mod read;
mod recent;
mod resync;
mod retry;
mod sets;
#[cfg(feature = "redis")]
pub(crate) mod tail;
mod throttle;
mod write;

pub(crate) use ask::{Answer, Ask, Level};
pub(crate) use batch::Batch;
pub(crate) use duty::UnderWay;
pub(crate) use invalidate::finished;
pub(crate) use write::Writing;

pub(crate) struct Engine {
    pub(crate) store: Store,
    pub(crate) local: Local,
    /// What this process knows of invalidations. Held for a question or a note, never across a wait.
    memory: RwLock<Memory>,
    pub(crate) flights: flight::Flights,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) counters: Counters,
    pub(crate) heat: Heat,
    /// How the server was when it was asked last.
    pub(crate) server: LastSeen,
    pub(crate) events: events::Handlers,
    throttle: throttle::Throttle,
    pub(crate) bulkhead: bulkhead::Bulkhead,
    /// The faults that strike loads.
    #[cfg(feature = "chaos")]
    befalls: crate::chaos::Installed,
    pub(crate) sets: sets::Sets,
    /// Whether the local path is likely to decide about records whose tags it doesn't know.
    guess: path::Guess,
    /// What has not been confirmed. Held to add or to take.
    unconfirmed: Mutex<owed::Unconfirmed>,
    /// One at a time asks for it again.
    asking: tokio::sync::Mutex<()>,
    /// Held by the task that does so in the background, if there is one.
    retrying: Arc<tokio::sync::Mutex<()>>,
    /// What was confirmed of late. Held to add or to copy.
    recent: Mutex<recent::Recent>,
    /// One resync at a time.
    resync: tokio::sync::Mutex<()>,
    /// Until when L1 may be trusted, as ns of the clock. Stored under memory's lock, read without.
    window: AtomicU64,
    /// Up to where the tail has applied the log. Held for a copy.
    applied: RwLock<Option<Epoch>>,
    /// The longest window of all that this process has seen listed, in ns.
    longest_window: AtomicU64,
    /// Loads and refreshes that outlive their callers; closing waits for them.
    pub(crate) tasks: TaskTracker,
    /// What the cache was built on: where duties go on that are no caller's. `None` for one that was built
    /// outside of any, which has no store that can fail.
    runtime: Option<Handle>,
    own_thread: duty::OwnThread,
    closed: AtomicBool,
}

impl Engine {
    pub(crate) fn new(store: Store, clock: Clock, settings: Settings) -> Self {
        // The embedded store takes its half of the limit: values are shared, overheads are not.
        let share = if store.is_private() {
            settings.memory / 2
        } else {
            settings.memory
        };
        Self {
            local: Local::with_limit(share),
            memory: RwLock::default(),
            flights: flight::Flights::default(),
            counters: Counters::new(clock.now(), store.is_private()),
            heat: Heat::default(),
            server: LastSeen::default(),
            events: events::Handlers::default(),
            throttle: throttle::Throttle::default(),
            bulkhead: bulkhead::Bulkhead::new(settings.loads, settings.loads_waiting),
            #[cfg(feature = "chaos")]
            befalls: settings.installed(),
            sets: sets::Sets::default(),
            guess: path::Guess::default(),
            unconfirmed: Mutex::default(),
            asking: tokio::sync::Mutex::new(()),
            retrying: Arc::default(),
            recent: Mutex::default(),
            resync: tokio::sync::Mutex::new(()),
            window: AtomicU64::new(if store.is_private() { u64::MAX } else { 0 }),
            applied: RwLock::new(None),
            longest_window: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            runtime: Handle::try_current().ok(),
            own_thread: duty::OwnThread::default(),
            closed: AtomicBool::new(false),
            store,
            clock,
            settings,
        }
    }

    /// Memory, to be asked.
    fn memory(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory, to be told.
    fn memory_mut(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn touched(&self, key: &str, tags: &[Tag], since: Epoch) -> Touched {
        self.memory().touched(key, tags, since)
    }

    /// What was counted, and what is there now.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.counters.read(self.clock.now());
        stats.l1_entries = self.local.len() as u64;
        stats.l1_bytes = self.local.bytes();
        stats.l1_limit = self.local.limit();
        stats.l1_evictions = self.local.evictions();
        stats.l1_expiries = self.local.expiries();
        stats.unconfirmed = self.owes() as u64;
        stats.flights = self.flights.count() as u64;
        stats.sets_waiting = self.sets.waiting() as u64;
        stats.loads_running = self.bulkhead.running() as u64;
        stats.loads_waiting = self.bulkhead.waiting() as u64;
        stats.timings.store = self.store.calls();
        stats.nodes = self.store.nodes();
        stats
    }

    /// Frees what has expired, without its being read.
    pub(crate) fn sweep(&self) {
        self.local.sweep(self.clock.now());
        self.store.sweep();
        self.heat.cool(Instant::now());
    }

    /// Refuses new background work and waits for what is under way, up to the close timeout.
    pub(crate) async fn close(self: &Arc<Self>) {
        self.closed.store(true, Ordering::SeqCst);
        self.tasks.close();
        if tokio::time::timeout(self.settings.close_timeout, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                loads = self.tasks.len(),
                "closed with loads still under way"
            );
        }
        self.settle_up_for_good().await;
        #[cfg(feature = "redis")]
        if let Store::Redis(store) = &self.store {
            // First this process stops answering from L1, then it is no longer waited for.
            self.close_window();
            if let Err(error) = store.leave(store.member()).await {
                tracing::debug!(%error, "still listed, until it has been silent for its window");
            }
            store.close();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Runs what may take as long as an outage, and is nobody's. Outside of any runtime it is dropped.
    pub(crate) fn spawn_for_good(&self, work: impl Future<Output = ()> + Send + 'static) {
        let here = || Handle::try_current().ok();
        if let Some(runtime) = self.runtime.clone().or_else(here) {
            runtime.spawn(work);
        }
    }

    /// Runs what is the application's on its caller's runtime, whether the caller waits for it or not.
    pub(crate) fn detach<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.tasks.spawn(work.in_current_span())
    }
}
