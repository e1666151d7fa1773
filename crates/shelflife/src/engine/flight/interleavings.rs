//! Flights: one leader, a landing for everyone who joined, and nobody who joins after it.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use shuttle::future::block_on;
use shuttle::thread::{scope, yield_now};

use super::*;
use crate::interleavings::{exhaust, explore, finds};
use crate::reason::Reason;

/// A landing that names its flight.
fn landing(flight: usize) -> Landing {
    Landing::Landed(Offer {
        live: Arc::new(flight as u64),
        tags: [].into(),
        good: None,
        known_at: Moment(flight as u64),
        status: Status::miss(Reason::Absent),
    })
}

fn lead(flights: &Flights, key: &Arc<str>) -> Leader {
    match flights.board(key) {
        Boarding::Lead(leader) => leader,
        Boarding::Join(_) => panic!("somebody flies already"),
    }
}

/// The steps of a flight, each the real one or a wrong one.
#[derive(Clone, Copy)]
struct Steps {
    board: fn(&Flights, &Arc<str>) -> Boarding,
    land: fn(Leader, Landing),
    landed: fn(Flight) -> Landing,
}

const REAL: Steps = Steps {
    board: Flights::board,
    land: Leader::land,
    landed: |flight| block_on(flight.landed()),
};

/// What the callers of a scene have seen; std's, for it must not add steps.
#[derive(Default)]
struct Seen {
    leading: AtomicUsize,
    led: AtomicUsize,
    /// Flights up to this one are known to have landed.
    landed: AtomicUsize,
}

/// Boards, and leads or waits. Every second flight is abandoned.
fn call(steps: Steps, flights: &Flights, key: &Arc<str>, seen: &Seen) {
    let landed_before = seen.landed.load(SeqCst);
    match (steps.board)(flights, key) {
        Boarding::Lead(leader) => {
            assert_eq!(seen.leading.fetch_add(1, SeqCst), 0, "two leaders");
            let flight = seen.led.fetch_add(1, SeqCst) + 1;
            leader.refreshing();
            seen.leading.fetch_sub(1, SeqCst);
            if flight.is_multiple_of(2) {
                drop(leader);
            } else {
                (steps.land)(leader, landing(flight));
                seen.landed.fetch_max(flight, SeqCst);
            }
        }
        Boarding::Join(flight) => {
            // Either may be waited for.
            block_on(flight.refreshes());
            if let Landing::Landed(offer) = (steps.landed)(flight) {
                let flight = offer.known_at.0 as usize;
                assert!(flight > landed_before, "joined after the landing");
                seen.landed.fetch_max(flight, SeqCst);
            }
        }
    }
}

fn calls(steps: Steps, callers: usize) -> impl Fn() + Clone + Send + Sync {
    move || {
        let (flights, key, seen) = (Flights::default(), Arc::from("k"), Seen::default());
        scope(|s| {
            for _ in 0..callers {
                s.spawn(|| {
                    call(steps, &flights, &key, &seen);
                    call(steps, &flights, &key, &seen);
                });
            }
        });
        assert_eq!(flights.count(), 0, "left on the board");
    }
}

#[test]
fn everyone_lands_and_one_leads_at_a_time() {
    explore(calls(REAL, 2));
    explore(calls(REAL, 4));
}

#[test]
fn everyone_lands_in_any_order() {
    exhaust(|| {
        let (flights, key) = (Flights::default(), Arc::from("k"));
        let leader = lead(&flights, &key);
        let flight = leader.passenger();
        scope(|s| {
            s.spawn(|| leader.land(landing(1)));
            s.spawn(|| assert!(matches!(block_on(flight.landed()), Landing::Landed(_))));
        });
    });
}

#[test]
fn telling_the_landing_before_leaving_the_board_is_found() {
    fn wrong(leader: Leader, landing: Landing) {
        leader.flight.0.step(Progress::Ended(landing));
        leader.leave_board();
    }
    let steps = Steps {
        land: wrong,
        ..REAL
    };
    finds("joined after the landing", calls(steps, 3));
}

#[test]
fn looking_before_listening_is_found() {
    fn wrong(flight: Flight) -> Landing {
        block_on(async {
            loop {
                let found = flight.0.state().progress.landing().cloned();
                if let Some(found) = found {
                    return found;
                }
                flight.0.stepped.notified().await;
            }
        })
    }
    let steps = Steps {
        landed: wrong,
        ..REAL
    };
    finds("deadlock", calls(steps, 3));
}

#[test]
fn a_leader_that_goes_without_a_word_is_found() {
    fn wrong(leader: Leader, _: Landing) {
        std::mem::forget(leader);
    }
    let steps = Steps {
        land: wrong,
        ..REAL
    };
    finds("deadlock", calls(steps, 2));
}

#[test]
fn boarding_in_two_steps_is_found() {
    fn wrong(flights: &Flights, key: &Arc<str>) -> Boarding {
        let at = flights.hasher.hash_one(key) as usize % SHARDS;
        if let Some(flight) = lock(&flights.shards[at]).get(key) {
            return Boarding::Join(flight.clone());
        }
        let mut leader = lead(&Flights::default(), key);
        leader.shards = flights.shards.clone();
        lock(&flights.shards[at]).insert(key.clone(), leader.passenger());
        Boarding::Lead(leader)
    }
    let steps = Steps {
        board: wrong,
        ..REAL
    };
    finds("two leaders", calls(steps, 3));
}

/// A flight is struck while it lands: whoever comes next leads or joins one that is not the old one, and
/// one leads at a time.
fn struck(strike: fn(&Flights, &Arc<str>, &Flight) -> bool) -> impl Fn() + Clone + Send + Sync {
    move || {
        let (flights, key, leading) = (Flights::default(), Arc::from("k"), AtomicUsize::new(0));
        let old = lead(&flights, &key);
        let outdated = old.passenger();
        let start_over = || {
            strike(&flights, &key, &outdated);
            match flights.board(&key) {
                Boarding::Lead(leader) => {
                    assert_eq!(leading.fetch_add(1, SeqCst), 0, "two leaders");
                    yield_now();
                    leading.fetch_sub(1, SeqCst);
                    leader.land(landing(2));
                }
                Boarding::Join(flight) => {
                    assert!(!Arc::ptr_eq(&flight.0, &outdated.0), "joined a struck one");
                    block_on(flight.landed());
                }
            }
        };
        scope(|s| {
            s.spawn(|| old.land(landing(1)));
            for _ in 0..3 {
                s.spawn(start_over);
            }
            let waiting = outdated.clone();
            s.spawn(|| assert!(matches!(block_on(waiting.landed()), Landing::Landed(_))));
        });
        assert_eq!(flights.count(), 0, "left on the board");
    }
}

#[test]
fn whoever_strikes_a_flight_leaves_its_successor_alone() {
    explore(struck(Flights::strike));
}

#[test]
fn striking_whatever_flies_is_found() {
    fn wrong(flights: &Flights, key: &Arc<str>, _: &Flight) -> bool {
        let at = flights.hasher.hash_one(key) as usize % SHARDS;
        lock(&flights.shards[at]).remove(key).is_some()
    }
    finds("two leaders", struck(wrong));
}
