//! Flights: one load per key per process, shared by its callers.
//!
//! ```text
//! board(key) ── nobody flies ──► Lead: the caller flies, and must land or let the guard drop
//!            └─ somebody flies ► Join: wait for the landing, then ask whether it is good for this read
//! ```
//!
//! A leader that is dropped without landing leaves `Landing::Abandoned`, and one of those who waited
//! leads next. A flight is off the board before its landing is told, so nobody boards it afterwards.
//!
//! A read inside a load that joins says so: its leader, should it wait for a place, is not to wait for
//! the very load that waits for it.
//!
//! Must not: load, judge, know what a landing is worth.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::{Arc, OnceLock, PoisonError};

use super::load::Failure;
use crate::clock::Moment;
use crate::epoch::Epoch;
use crate::key::Tag;
use crate::record::Token;
use crate::status::Status;
use crate::sync::{Mutex, MutexGuard, Notify, RandomState};
use crate::value::Live;

const SHARDS: usize = 32;

/// A result in the protocol's sense (PROTOCOL §1), offered to a read: a value with what is needed to ask
/// whether it is good for that read.
#[derive(Clone)]
pub(crate) struct Offer {
    pub(crate) live: Live,
    pub(crate) tags: Arc<[Tag]>,
    /// Up to which epoch nothing has invalidated it; `None` when no clock could be read.
    pub(crate) good: Option<Epoch>,
    /// When that was read, or when the load began: by the process's clock. It is asked for what has no
    /// clock: a load that is younger than the read needs none.
    pub(crate) known_at: Moment,
    pub(crate) status: Status,
}

/// How a flight ended.
#[derive(Clone)]
pub(crate) enum Landing {
    Landed(Offer),
    /// The load failed; `cut_off` when it ran because the store was away.
    Failed {
        failure: Failure,
        cut_off: bool,
    },
    /// The leader went away.
    Abandoned,
    /// There was no place for its load, and nobody who would have waited for one.
    Shed,
}

/// The load of a flight, once it is under way with the right to fill.
pub(crate) struct Underway {
    /// The epoch from which it counts.
    pub(crate) since: Epoch,
    pub(crate) tags: Arc<[Tag]>,
    pub(crate) token: Token,
}

/// How far a flight is.
enum Progress {
    Boarding,
    /// A load is under way that replaces a value which may still be served.
    Refreshing,
    Ended(Landing),
}

impl Progress {
    fn landing(&self) -> Option<&Landing> {
        match self {
            Self::Ended(landing) => Some(landing),
            Self::Boarding | Self::Refreshing => None,
        }
    }
}

/// A flight under way, as those who wait see it.
#[derive(Clone)]
pub(crate) struct Flight(Arc<Shared>);

struct State {
    progress: Progress,
    /// Whether a load waits for it.
    needed_inside: bool,
}

/// What the leader and those who wait share. One allocation: most flights carry nobody but their leader.
struct Shared {
    /// Held for a look or a step, never across a wait.
    state: Mutex<State>,
    /// Told of each step.
    stepped: Notify,
    /// Set by the leader when the load begins.
    underway: OnceLock<Underway>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, to: Progress) {
        self.state().progress = to;
        self.stepped.notify_waiters();
    }

    /// Waits until `seen` finds what it looks for.
    async fn wait_for<T>(&self, mut seen: impl FnMut(&State) -> Option<T>) -> T {
        loop {
            // Made before the look: a step after the look wakes it.
            let stepped = self.stepped.notified();
            let found = seen(&self.state());
            if let Some(found) = found {
                return found;
            }
            stepped.await;
        }
    }
}

impl Flight {
    /// The load, once it is under way with the right to fill.
    pub(crate) fn underway(&self) -> Option<&Underway> {
        self.0.underway.get()
    }

    /// Waits until it has landed. Dropping the future leaves the flight as it is.
    pub(crate) async fn landed(self) -> Landing {
        self.0.wait_for(|s| s.progress.landing().cloned()).await
    }

    /// Tells the leader that a load waits for it. A leader that looks later sees it, too.
    pub(crate) fn needed_inside(&self) {
        let before = std::mem::replace(&mut self.0.state().needed_inside, true);
        if !before {
            self.0.stepped.notify_waiters();
        }
    }

    /// Waits until it has landed or is known to refresh a value that may still be served; tells whether
    /// it is the latter.
    pub(crate) async fn refreshes(&self) -> bool {
        self.0
            .wait_for(|s| match s.progress {
                Progress::Boarding => None,
                Progress::Refreshing => Some(true),
                Progress::Ended(_) => Some(false),
            })
            .await
    }
}

pub(crate) enum Boarding {
    Lead(Leader),
    Join(Flight),
}

type Board = HashMap<Arc<str>, Flight>;

/// The flights under way.
pub(crate) struct Flights {
    /// Each lock guards the board of its shard; held for one look-up.
    shards: Arc<[Mutex<Board>; SHARDS]>,
    hasher: RandomState,
}

impl Default for Flights {
    fn default() -> Self {
        Self {
            shards: Arc::new(std::array::from_fn(|_| Mutex::default())),
            hasher: RandomState::new(),
        }
    }
}

fn lock(shard: &Mutex<Board>) -> MutexGuard<'_, Board> {
    shard
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Flights {
    pub(crate) fn board(&self, key: &Arc<str>) -> Boarding {
        let at = self.hasher.hash_one(key) as usize % SHARDS;
        let mut board = lock(&self.shards[at]);
        if let Some(flight) = board.get(key) {
            return Boarding::Join(flight.clone());
        }
        let flight = Flight(Arc::new(Shared {
            state: Mutex::new(State {
                progress: Progress::Boarding,
                needed_inside: false,
            }),
            stepped: Notify::new(),
            underway: OnceLock::new(),
        }));
        board.insert(key.clone(), flight.clone());
        Boarding::Lead(Leader {
            shards: self.shards.clone(),
            at,
            key: key.clone(),
            flight,
        })
    }

    /// Takes a flight off the board before it has landed: nobody boards it any more. Whether it was
    /// still there.
    pub(crate) fn strike(&self, key: &Arc<str>, flight: &Flight) -> bool {
        let at = self.hasher.hash_one(key) as usize % SHARDS;
        strike(&mut lock(&self.shards[at]), key, flight)
    }

    /// How many flights are under way.
    pub(crate) fn count(&self) -> usize {
        self.shards.iter().map(|s| lock(s).len()).sum()
    }
}

/// The duty to land a flight.
pub(crate) struct Leader {
    shards: Arc<[Mutex<Board>; SHARDS]>,
    at: usize,
    key: Arc<str>,
    flight: Flight,
}

fn strike(board: &mut Board, key: &Arc<str>, flight: &Flight) -> bool {
    let there = board
        .get(key)
        .is_some_and(|there| Arc::ptr_eq(&there.0, &flight.0));
    if there {
        board.remove(key);
    }
    there
}

impl Leader {
    /// Tells that the load is under way.
    pub(crate) fn begun(&self, load: Underway) {
        let _ = self.flight.0.underway.set(load);
    }

    /// Tells that the load replaces a value which may still be served.
    pub(crate) fn refreshing(&self) {
        self.flight.0.step(Progress::Refreshing);
    }

    /// Waits until a load waits for this flight, if ever.
    pub(crate) async fn is_needed_inside(&self) {
        let needed = |s: &State| s.needed_inside.then_some(());
        self.flight.0.wait_for(needed).await;
    }

    /// Ends the flight.
    pub(crate) fn land(self, landing: Landing) {
        self.leave_board();
        self.flight.0.step(Progress::Ended(landing));
    }

    /// A place among those who wait for this flight.
    pub(crate) fn passenger(&self) -> Flight {
        self.flight.clone()
    }

    fn leave_board(&self) {
        strike(&mut lock(&self.shards[self.at]), &self.key, &self.flight);
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if self.flight.0.state().progress.landing().is_none() {
            self.leave_board();
            self.flight.0.step(Progress::Ended(Landing::Abandoned));
        }
    }
}

#[cfg(test)]
#[cfg(shelflife_shuttle)]
mod interleavings;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;

    fn lead(flights: &Flights, key: &Arc<str>) -> Leader {
        match flights.board(key) {
            Boarding::Lead(leader) => leader,
            Boarding::Join(_) => panic!("somebody flies already"),
        }
    }

    fn join(flights: &Flights, key: &Arc<str>) -> Flight {
        match flights.board(key) {
            Boarding::Join(flight) => flight,
            Boarding::Lead(_) => panic!("nobody flies"),
        }
    }

    #[tokio::test]
    async fn those_who_wait_get_the_landing_and_later_callers_fly_anew() {
        let flights = Flights::default();
        let key: Arc<str> = "k".into();
        let leader = lead(&flights, &key);
        let waiting = [join(&flights, &key), join(&flights, &key)];
        let result = Offer {
            live: Arc::new(7_u8),
            tags: [].into(),
            good: None,
            known_at: Moment(0),
            status: Status::miss(Reason::Absent),
        };
        leader.land(Landing::Landed(result));
        for flight in waiting {
            assert!(matches!(flight.landed().await, Landing::Landed(_)));
        }
        assert_eq!(flights.count(), 0);
        drop(lead(&flights, &key));
    }

    #[tokio::test]
    async fn a_struck_flight_lands_for_those_on_board_and_leaves_its_successor_alone() {
        let flights = Flights::default();
        let key: Arc<str> = "k".into();
        let old = lead(&flights, &key);
        let on_board = join(&flights, &key);
        assert!(flights.strike(&key, &on_board));
        let new = lead(&flights, &key);
        assert!(!flights.strike(&key, &on_board), "only once");
        drop(old);
        assert!(matches!(on_board.landed().await, Landing::Abandoned));
        assert_eq!(flights.count(), 1, "the successor still flies");
        drop(new);
        assert_eq!(flights.count(), 0);
    }

    #[tokio::test]
    async fn a_leader_hears_of_a_load_that_waits_for_it_whenever_it_looks() {
        let flights = Flights::default();
        let key: Arc<str> = "k".into();
        let leader = lead(&flights, &key);
        let waiting = join(&flights, &key);
        let mut early = std::pin::pin!(leader.is_needed_inside());
        assert!(futures_util::poll!(&mut early).is_pending());
        waiting.needed_inside();
        assert!(futures_util::poll!(&mut early).is_ready());
        let late = std::pin::pin!(leader.is_needed_inside());
        assert!(futures_util::poll!(late).is_ready());
    }

    #[tokio::test]
    async fn a_dropped_leader_abandons_and_the_next_one_leads() {
        let flights = Flights::default();
        let key: Arc<str> = "k".into();
        let leader = lead(&flights, &key);
        let waiting = join(&flights, &key);
        drop(leader);
        assert!(matches!(waiting.landed().await, Landing::Abandoned));
        drop(lead(&flights, &key));
    }
}
