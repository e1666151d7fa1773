//! What this process owes the store: invalidations and events that could not be confirmed, and those of
//! the last minute, in case the primary that confirmed them is lost (PROTOCOL §5, §9).
//!
//! ```text
//! not confirmed ─► unconfirmed ──► asked for again, until confirmed
//! confirmed ─────► recent, 60 s ─► asked for again, of a new primary, before the window opens
//! ```
//!
//! The 60 s end when the primary answered last, not when its successor is met: a takeover may take longer,
//! and so may it until the successor can be told. Where keys lie apart, any primary may be the one that is lost:
//! there they end when all answered last.
//!
//! Both are idempotent: asking again costs a new tick, what it names is loaded once more, and a handler may
//! see an event twice. Names are bundled. An event stays with the names that were asked for with it: who
//! hears it goes by them.
//!
//! Must not: wait, or ask the store.

use std::collections::VecDeque;
use std::sync::Arc;

use super::bundle::{Bundle, names, weight};
use crate::invalidation::Invalidation;
use crate::store::LoggedEvent;

/// How many events are kept, and how much they may weigh together.
pub(super) const EVENTS: usize = 1024;
pub(super) const EVENT_BYTES: usize = 4 << 20;

/// What the store is asked for in one step: names, and the event that goes into the log with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) what: Arc<Invalidation>,
    pub(super) event: Option<Arc<LoggedEvent>>,
}

impl Request {
    fn names(what: Invalidation) -> Self {
        Self {
            what: Arc::new(what),
            event: None,
        }
    }

    pub(super) fn weight(&self) -> usize {
        let event = self.event.as_ref();
        event.map_or(0, |event| event.name.len() + event.payload.len()) + weight(&self.what)
    }
}

/// Once so many were refused in a round nothing that comes meanwhile is begun in it: it would have no end while names are owed as fast as
/// they are refused, and what is bundled no longer could grow without bound.
const PASSED_OVER: usize = 8;

/// What has not been confirmed, asked for in rounds: what is refused in one is passed over until the next,
/// so that nothing waits behind what never succeeds. What is being asked for stays until it is confirmed, so
/// that whoever asks may be cut short.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed {
    waiting: Bundle,
    /// The names of this round.
    asked: VecDeque<Request>,
    /// In the order in which they were emitted.
    events: VecDeque<Request>,
    /// Of the events.
    weight: usize,
    /// How many of either were refused in this round.
    refused_names: usize,
    refused_events: usize,
}

impl Unconfirmed {
    /// Adds what was asked for. Gives whether all of it is kept: of too many events, the names alone are.
    pub(super) fn add(&mut self, request: &Request) -> bool {
        if request.event.is_none() {
            self.waiting.add(&request.what);
            return true;
        }
        let weight = self.weight + request.weight();
        if self.events.len() == EVENTS || weight > EVENT_BYTES {
            self.waiting.add(&request.what);
            return false;
        }
        self.weight = weight;
        self.events.push_back(request.clone());
        true
    }

    /// How many names and events there are.
    pub(super) fn len(&self) -> usize {
        let asked = self.asked.iter().map(|request| names(&request.what));
        let events = self.events.iter().map(|request| names(&request.what) + 1);
        self.waiting.len() + asked.chain(events).sum::<usize>()
    }

    /// Begins a round: what was refused in the last one is asked for again, bundled with what came since.
    pub(super) fn begin_round(&mut self) {
        for request in self.asked.drain(..) {
            self.waiting.add(&request.what);
        }
        (self.refused_names, self.refused_events) = (0, 0);
    }

    /// What to ask for next in this round: names before events. It stays the next until it is
    /// [`confirmed`](Self::confirmed) or [`refused`](Self::refused).
    pub(super) fn next(&mut self) -> Option<Request> {
        if self.asked.len() == self.refused_names && self.refused_names < PASSED_OVER {
            let parts = self.waiting.take().into_iter();
            self.asked.extend(parts.map(Request::names));
        }
        let names = self.asked.get(self.refused_names);
        names.or(self.events.get(self.refused_events)).cloned()
    }

    /// What was next has been confirmed.
    pub(super) fn confirmed(&mut self) {
        if self.asked.remove(self.refused_names).is_some() {
            return;
        }
        if let Some(told) = self.events.remove(self.refused_events) {
            self.weight -= told.weight();
        }
    }

    /// What was next has been confirmed but for these names, which are passed over for the rest of this round.
    pub(super) fn confirmed_but(&mut self, left: Invalidation) {
        self.confirmed();
        self.asked.insert(self.refused_names, Request::names(left));
        self.refused_names += 1;
    }

    /// What was next has failed: it is passed over for the rest of this round.
    pub(super) fn refused(&mut self) {
        if self.refused_names < self.asked.len() {
            self.refused_names += 1;
        } else {
            self.refused_events += 1;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::engine) fn key(n: usize) -> Invalidation {
        Invalidation::new().key(n.to_string())
    }

    pub(in crate::engine) fn event(n: usize, payload: &str) -> Request {
        Request {
            what: Arc::new(key(n)),
            event: Some(Arc::new(LoggedEvent {
                name: n.to_string(),
                payload: payload.to_owned(),
            })),
        }
    }

    #[test]
    fn what_is_asked_for_stays_until_it_is_confirmed() {
        let mut unconfirmed = Unconfirmed::default();
        let names = Request::names;
        assert!(unconfirmed.add(&event(9, "{}")));
        assert!(unconfirmed.add(&names(key(1))));
        assert!(unconfirmed.add(&names(key(2).soft())));
        assert_eq!(unconfirmed.next(), Some(names(key(1))));
        assert!(unconfirmed.add(&names(key(3))));
        assert_eq!(unconfirmed.next(), Some(names(key(1))), "cut short");
        assert_eq!(unconfirmed.len(), 5);
        for next in [names(key(1)), names(key(2).soft()), names(key(3))] {
            assert_eq!(unconfirmed.next(), Some(next));
            unconfirmed.confirmed();
        }
        assert_eq!(unconfirmed.next(), Some(event(9, "{}")), "with its names");
        unconfirmed.confirmed();
        assert_eq!((unconfirmed.len(), unconfirmed.next()), (0, None));
    }

    #[test]
    fn a_round_ends_though_as_much_is_owed_as_is_refused_in_it() {
        let mut unconfirmed = Unconfirmed::default();
        for round in 0..3 {
            unconfirmed.begin_round();
            let mut refused = 0;
            unconfirmed.add(&Request::names(key(0)));
            while unconfirmed.next().is_some() {
                unconfirmed.refused();
                unconfirmed.add(&Request::names(key(refused % 3)));
                refused += 1;
                assert!(refused < 100, "round {round} does not end");
            }
            assert!(unconfirmed.asked.len() <= PASSED_OVER);
        }
        unconfirmed.begin_round();
        assert_eq!(unconfirmed.len(), 3, "each name once");
    }

    #[test]
    fn what_is_refused_is_passed_over_until_the_next_round() {
        let mut unconfirmed = Unconfirmed::default();
        let names = Request::names;
        let scan = Invalidation::new().pattern("a*b");
        unconfirmed.add(&names(scan.clone()));
        unconfirmed.add(&event(8, "{}"));
        unconfirmed.add(&event(9, "{}"));
        let mut round = |refused: &[Request]| {
            let mut asked = Vec::new();
            unconfirmed.begin_round();
            while let Some(next) = unconfirmed.next() {
                match refused.contains(&next) {
                    true => unconfirmed.refused(),
                    false => unconfirmed.confirmed(),
                }
                if asked.is_empty() {
                    unconfirmed.add(&names(key(1)));
                }
                asked.push(next);
            }
            asked
        };
        let never = [names(scan), event(8, "{}")];
        let [scan, first] = never.clone();
        assert_eq!(
            round(&never),
            [scan.clone(), names(key(1)), first.clone(), event(9, "{}")]
        );
        assert_eq!(
            round(&never),
            [scan.clone(), names(key(1)), first.clone()],
            "each once a round"
        );
        assert_eq!(round(&[]), [scan, names(key(1)), first]);
        assert_eq!(unconfirmed.len(), 0);
    }

    #[test]
    fn of_what_is_confirmed_in_part_the_rest_is_passed_over_until_the_next_round() {
        let mut unconfirmed = Unconfirmed::default();
        let names = Request::names;
        let both = event(1, "{}");
        unconfirmed.add(&both);
        unconfirmed.add(&event(2, "{}"));
        unconfirmed.begin_round();
        assert_eq!(unconfirmed.next(), Some(both));
        unconfirmed.confirmed_but(key(1));
        assert_eq!(unconfirmed.next(), Some(event(2, "{}")));
        unconfirmed.confirmed();
        assert_eq!((unconfirmed.next(), unconfirmed.len()), (None, 1));
        unconfirmed.add(&names(key(3)));
        unconfirmed.begin_round();
        let next = unconfirmed.next().unwrap();
        assert_eq!(next.what.keys.len(), 2);
        unconfirmed.confirmed_but(key(1));
        assert_eq!((unconfirmed.next(), unconfirmed.len()), (None, 1));
        unconfirmed.begin_round();
        assert_eq!(unconfirmed.next(), Some(names(key(1))));
        unconfirmed.confirmed();
        assert_eq!((unconfirmed.next(), unconfirmed.len()), (None, 0));
    }

    #[test]
    fn what_is_refused_again_and_again_is_bundled_with_what_comes() {
        let mut unconfirmed = Unconfirmed::default();
        for n in 0..100 {
            unconfirmed.add(&Request::names(key(n)));
            unconfirmed.begin_round();
            while unconfirmed.next().is_some() {
                unconfirmed.refused();
            }
        }
        assert_eq!((unconfirmed.len(), unconfirmed.asked.len()), (100, 1));
    }

    #[test]
    fn of_too_many_events_that_are_not_confirmed_the_names_are_left() {
        let mut unconfirmed = Unconfirmed::default();
        for n in 0..EVENTS {
            assert!(unconfirmed.add(&event(n, "{}")));
        }
        assert!(!unconfirmed.add(&event(EVENTS, "{}")));
        assert_eq!(unconfirmed.next(), Some(Request::names(key(EVENTS))));
        let mut unconfirmed = Unconfirmed::default();
        let large = "x".repeat(EVENT_BYTES / 2);
        assert!(unconfirmed.add(&event(1, &large)));
        assert!(!unconfirmed.add(&event(2, &large)), "they weigh too much");
        unconfirmed.confirmed();
        assert!(unconfirmed.add(&event(3, &large)));
    }
}
