//! Probes: places where a test stops the engine, to act between two steps that are otherwise out of reach.
//!
//! ```text
//! test    stop_at(point) ─► reached().await ─► … act … ─► go()
//! engine  ──────────── pause(point) / reach(point) ─────────►
//! ```
//!
//! Each cache has its own, with its settings. Nothing of this is in a normal build: the lines that
//! reach a point are compiled for unit tests only.
//!
//! Must not: change what the engine does, other than when.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

/// Longer than anything takes on a loaded machine.
const SOON: Duration = Duration::from_secs(30);

/// A place in the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Point {
    /// A flight is about to ask the store.
    Departing,
    /// The store has answered a flight; nothing has been judged.
    Answered,
    /// A flight that the store has answered is about to land.
    Landing,
    /// A read has joined a flight.
    Joined,
    /// Memory was asked; the entry is not in L1.
    BeforeInsert,
    /// The entry is in L1, not ready.
    Inserted,
    /// The log has answered the tail; beats go on.
    Logged,
    /// An entry of the log is about to be applied; beats wait, too.
    Applying,
    /// Memory has an entry of the log, L1 has not.
    HalfApplied,
    /// A beat is about to be sent, with what has been applied.
    Beating,
    /// A beat has been answered; the tail's thread does not know yet.
    Beaten,
    /// An answer to a beat has been judged, and not found lost.
    Judged,
    /// A resync knows its position; nothing begins there yet.
    Positioned,
    /// Memory begins at the position of a resync; L1 holds what it held.
    Restarted,
    /// The members were looked at, and somebody has not applied it.
    Looked,
    /// A scan has removed what was on one page, where keys lie apart.
    Paged,
    /// The store has confirmed an invalidation; this process has done nothing about it yet.
    Confirmed,
    /// Entries are removed, by a scan or one by one; that is not in the log.
    Scanned,
    /// A plain set has been called; nothing has been asked yet, where keys lie apart.
    SetCalled,
    /// The log has been looked at for a plain set; nothing is stored yet, where keys lie apart.
    SetLooked,
}

#[derive(Default)]
struct Points {
    stops: HashMap<Point, VecDeque<Arc<Gate>>>,
    passed: HashMap<Point, usize>,
}

/// The probes of one cache.
#[derive(Clone, Default)]
pub(crate) struct Probes(Arc<Mutex<Points>>);

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Probes")
    }
}

struct Gate {
    reached: watch::Sender<bool>,
    open: watch::Sender<bool>,
}

impl Gate {
    async fn pass(&self) {
        self.reached.send_replace(true);
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }

    /// The same where nothing can be awaited: the thread waits.
    fn pass_blocking(&self) {
        use tokio::runtime::{Builder, Handle, RuntimeFlavor};
        let elsewhere = || {
            let runtime = Builder::new_current_thread().build().unwrap();
            runtime.block_on(self.pass());
        };
        let wait = || std::thread::scope(|scope| scope.spawn(elsewhere).join().unwrap());
        match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
            _ => wait(),
        }
    }
}

impl Probes {
    /// Stops the next one that comes to `point`. Stops at one point are taken in order, one each.
    pub(crate) fn stop_at(&self, point: Point) -> Stop {
        let gate = Arc::new(Gate {
            reached: watch::Sender::new(false),
            open: watch::Sender::new(false),
        });
        let mut points = self.0.lock().unwrap();
        points
            .stops
            .entry(point)
            .or_default()
            .push_back(gate.clone());
        Stop { gate, point }
    }

    /// How often `point` has been reached.
    pub(crate) fn count(&self, point: Point) -> usize {
        let points = self.0.lock().unwrap();
        points.passed.get(&point).copied().unwrap_or_default()
    }

    fn next(&self, point: Point) -> Option<Arc<Gate>> {
        let mut points = self.0.lock().unwrap();
        *points.passed.entry(point).or_default() += 1;
        points.stops.get_mut(&point)?.pop_front()
    }

    /// Somebody is at `point`, and can be made to wait there.
    pub(crate) async fn pause(&self, point: Point) {
        if let Some(gate) = self.next(point) {
            gate.pass().await;
        }
    }

    /// Somebody is at `point`, and its thread can be made to wait there.
    pub(crate) fn reach(&self, point: Point) {
        if let Some(gate) = self.next(point) {
            gate.pass_blocking();
        }
    }
}

/// A stop at a point. Dropped, it lets go: a test that fails leaves nobody waiting.
pub(crate) struct Stop {
    gate: Arc<Gate>,
    point: Point,
}

impl Stop {
    /// Waits until somebody stands there.
    pub(crate) async fn reached(&self) {
        let mut reached = self.gate.reached.subscribe();
        let waited = tokio::time::timeout(SOON, reached.wait_for(|reached| *reached)).await;
        assert!(waited.is_ok(), "nobody came to {:?}", self.point);
    }

    /// Lets go who stands there, or will.
    pub(crate) fn go(self) {}
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.gate.open.send_replace(true);
    }
}
