//! What this process owes the store: invalidations and events that could not be confirmed, and those of
//! the last minute, in case the primary that confirmed them is lost (PROTOCOL §5, §9).
//!
//! ```text
//! not confirmed ─► unconfirmed ──► asked for again, until confirmed
//! confirmed ─────► recent, 60 s ─► asked for again, of a new primary, before the window opens
//! ```
//!
//! Both are idempotent: asking again costs a new tick, what it names is loaded once more, and a handler may
//! see an event twice. Names are bundled. An event stays with the names that were asked for with it: who
//! hears it goes by them.
//!
//! Must not: wait, or ask the store.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::key::{Key, Tag};
use crate::pattern::Pattern;
use crate::store::LoggedEvent;

/// How long a primary's death may take to be noticed by all: its successor is told of what it confirmed since.
const RECENT: Duration = Duration::from_secs(60);
/// How many names are kept one by one; of more, only that everything is meant.
const NAMES: usize = 8192;

/// How many events are kept, and how much they may weigh together.
const EVENTS: usize = 1024;
const EVENT_BYTES: usize = 4 << 20;
/// What a name weighs that was asked for with an event.
const NAME_BYTES: usize = 128;

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

    fn weight(&self) -> usize {
        let event = self.event.as_ref();
        event.map_or(0, |event| event.name.len() + event.payload.len())
            + names(&self.what) * NAME_BYTES
    }
}

/// What has not been confirmed. What is being asked for stays until it is, so that whoever asks may be
/// cut short.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed {
    waiting: Bundle,
    asked: VecDeque<Request>,
    /// In the order in which they were emitted.
    events: VecDeque<Request>,
    /// Of the events.
    weight: usize,
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

    /// What to ask for next: names before events. It stays the next until it is
    /// [`confirmed`](Self::confirmed).
    pub(super) fn next(&mut self) -> Option<Request> {
        if self.asked.is_empty() {
            let parts = self.waiting.take().into_iter();
            self.asked.extend(parts.map(Request::names));
        }
        self.asked.front().or(self.events.front()).cloned()
    }

    /// What was next has been confirmed.
    pub(super) fn confirmed(&mut self) {
        if self.asked.pop_front().is_some() {
            return;
        }
        if let Some(told) = self.events.pop_front() {
            self.weight -= told.weight();
        }
    }
}

/// Several invalidations as two, each name once: what is hard, and what is soft.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    hard: Names,
    soft: Names,
}

#[derive(Debug, Default)]
struct Names {
    keys: HashSet<Key<'static>>,
    tags: HashSet<Tag>,
    patterns: HashSet<Pattern>,
}

impl Names {
    fn len(&self) -> usize {
        self.keys.len() + self.tags.len() + self.patterns.len()
    }

    fn add(&mut self, what: &Invalidation) {
        self.keys.extend(what.keys.iter().cloned());
        self.tags.extend(what.tags.iter().cloned());
        self.patterns.extend(what.patterns.iter().cloned());
        if self.len() > NAMES {
            *self = Self::default();
            self.tags.insert(Tag::root());
        }
    }

    fn take(&mut self, soft: bool) -> Option<Invalidation> {
        let Self {
            keys,
            tags,
            patterns,
        } = std::mem::take(self);
        let what = Invalidation {
            keys: keys.into_iter().collect(),
            tags: tags.into_iter().collect(),
            patterns: patterns.into_iter().collect(),
            soft,
        };
        (!what.is_empty()).then_some(what)
    }
}

impl Bundle {
    pub(super) fn add(&mut self, what: &Invalidation) {
        if !what.soft {
            return self.hard.add(what);
        }
        self.soft.add(what);
        // A scan is hard whatever was asked.
        self.hard.patterns.extend(self.soft.patterns.drain());
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.hard.len() + self.soft.len()
    }

    /// What it holds, the hard part first; it is empty then.
    pub(super) fn take(&mut self) -> Vec<Invalidation> {
        let parts = [self.hard.take(false), self.soft.take(true)];
        parts.into_iter().flatten().collect()
    }
}

/// What was confirmed of late.
#[derive(Debug, Default)]
pub(super) struct Recent {
    all: VecDeque<(Moment, Arc<Invalidation>)>,
    names: usize,
    /// When the youngest of those was confirmed that had to be dropped before their time.
    dropped: Option<Moment>,
    /// Events, with the epoch of their entry in the log.
    events: VecDeque<(Moment, Epoch, Request)>,
    /// Of the events.
    weight: usize,
    /// The clock of the last primary that took over, beyond every tick that its predecessor can have handed
    /// out: what was confirmed before it was confirmed by the one that is lost.
    successor: Option<Epoch>,
}

impl Recent {
    pub(super) fn add(&mut self, now: Moment, what: &Arc<Invalidation>) {
        let count = names(what);
        if count == 0 {
            // Nothing to be told again: it would only take room from what has names.
            return;
        }
        self.names += count;
        self.all.push_back((now, what.clone()));
        while let Some((at, _)) = self.all.front() {
            let (at, old) = (*at, at.plus(RECENT) < now);
            if !old && self.names <= NAMES {
                break;
            }
            if !old {
                self.dropped = Some(at);
            }
            if let Some((_, what)) = self.all.pop_front() {
                self.names -= names(&what);
            }
        }
    }

    /// Keeps an event that was confirmed with the names beside it; of too many, the youngest.
    pub(super) fn add_event(&mut self, now: Moment, epoch: Epoch, request: &Request) {
        self.weight += request.weight();
        self.events.push_back((now, epoch, request.clone()));
        while let Some((at, ..)) = self.events.front() {
            let old = at.plus(RECENT) < now;
            if !old && self.events.len() <= EVENTS && self.weight <= EVENT_BYTES {
                break;
            }
            if let Some((.., told)) = self.events.pop_front() {
                self.weight -= told.weight();
            }
        }
    }

    /// The events that were confirmed within the last minute, in their order.
    pub(super) fn events(&self, now: Moment) -> Vec<(Epoch, Request)> {
        let recent = self.events.iter().filter(|(at, ..)| now <= at.plus(RECENT));
        recent
            .map(|(_, epoch, request)| (*epoch, request.clone()))
            .collect()
    }

    /// The event of `before` is in the log of another primary now, at `epoch`.
    pub(super) fn told_again(&mut self, before: Epoch, now: Moment, epoch: Epoch) {
        let mut events = self.events.iter_mut();
        if let Some(told) = events.find(|(_, known, _)| *known == before) {
            (told.0, told.1) = (now, epoch);
        }
    }

    /// Whether a primary that has been replaced confirmed this.
    pub(super) fn is_lost(&self, epoch: Epoch) -> bool {
        self.successor
            .is_some_and(|clock| clock.inc == epoch.inc && !epoch.at_least(clock))
    }

    /// Another primary has taken over at `clock`. What it is to be told again: [`bundle`](Self::bundle).
    pub(super) fn succeeded(&mut self, clock: Epoch, now: Moment) -> Bundle {
        self.successor = Some(clock);
        self.bundle(now)
    }

    /// All that was confirmed within the last minute; everything, if that was more than is kept.
    fn bundle(&self, now: Moment) -> Bundle {
        let recent = |at: Moment| now <= at.plus(RECENT);
        let mut bundle = Bundle::default();
        if self.dropped.is_some_and(recent) {
            bundle.add(&Invalidation::new().all());
            return bundle;
        }
        for (_, what) in self.all.iter().filter(|(at, _)| recent(*at)) {
            bundle.add(what);
        }
        bundle
    }
}

fn names(what: &Invalidation) -> usize {
    what.keys.len() + what.tags.len() + what.patterns.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Invalidation {
        Invalidation::new().key(n.to_string())
    }

    fn event(n: usize, payload: &str) -> Request {
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

    #[test]
    fn events_are_kept_for_a_minute_the_youngest_of_too_many() {
        let at = |s| Moment(0).plus(Duration::from_secs(s));
        let epoch = |n| Epoch::new(1, n);
        let mut recent = Recent::default();
        recent.add_event(at(0), epoch(1), &event(1, "{}"));
        recent.add_event(at(50), epoch(2), &event(2, "{}"));
        assert_eq!(recent.events(at(60)).len(), 2);
        assert_eq!(recent.events(at(61)), [(epoch(2), event(2, "{}"))]);
        recent.told_again(epoch(2), at(100), epoch(7));
        assert_eq!(recent.events(at(160)), [(epoch(7), event(2, "{}"))]);
        for n in 0..=EVENTS {
            recent.add_event(at(100), epoch(10), &event(n, "{}"));
        }
        let kept = recent.events(at(100));
        assert_eq!((kept.len(), &kept[0].1), (EVENTS, &event(1, "{}")));
        assert_eq!(recent.all.len(), 0, "names are kept for themselves");
    }

    #[test]
    fn what_names_nothing_takes_no_room() {
        let mut recent = Recent::default();
        for _ in 0..100 {
            recent.add(Moment(0), &Arc::new(Invalidation::new()));
        }
        assert_eq!((recent.all.len(), recent.names), (0, 0));
    }

    #[test]
    fn a_bundle_names_each_thing_once_and_hard_apart_from_soft() {
        let mut bundle = Bundle::default();
        for what in [key(1), key(1), key(1).soft(), key(2).tag("t").soft()] {
            bundle.add(&what);
        }
        bundle.add(&Invalidation::new().pattern("a*b").soft());
        assert_eq!(bundle.len(), 5);
        let parts = bundle.take();
        assert_eq!(parts[0], key(1).pattern("a*b"));
        assert!(parts[1].soft);
        assert_eq!((parts[1].keys.len(), parts[1].tags.len()), (2, 1));
        assert_eq!((bundle.len(), bundle.take()), (0, vec![]));
    }

    #[test]
    fn of_too_many_names_everything_is_left() {
        let mut bundle = Bundle::default();
        for n in 0..=NAMES {
            bundle.add(&key(n));
        }
        assert_eq!(bundle.take(), [Invalidation::new().all()]);
    }

    #[test]
    fn what_was_confirmed_is_kept_for_a_minute() {
        let mut recent = Recent::default();
        let at = |s| Moment(0).plus(Duration::from_secs(s));
        recent.add(at(0), &Arc::new(key(1)));
        recent.add(at(50), &Arc::new(key(2)));
        assert_eq!(recent.bundle(at(60)).len(), 2);
        assert_eq!(recent.bundle(at(61)).take(), [key(2)]);
        recent.add(at(100), &Arc::new(key(3)));
        assert_eq!(recent.all.len(), 2);
        assert_eq!(recent.bundle(at(200)).len(), 0);
    }

    #[test]
    fn what_is_confirmed_late_by_a_replaced_primary_is_lost() {
        let mut recent = Recent::default();
        let at = |tick| Epoch::new(1, tick);
        assert!(!recent.is_lost(at(5)));
        let _ = recent.succeeded(at(10), Moment(0));
        assert!(recent.is_lost(at(9)));
        assert!(!recent.is_lost(at(10)));
        assert!(!recent.is_lost(Epoch::new(2, 1)), "another life");
    }

    #[test]
    fn more_than_is_kept_becomes_everything_for_as_long() {
        let mut recent = Recent::default();
        let at = |s| Moment(0).plus(Duration::from_secs(s));
        for n in 0..=NAMES {
            recent.add(at(1), &Arc::new(key(n)));
        }
        assert!(recent.names <= NAMES);
        assert_eq!(recent.bundle(at(61)).take(), [Invalidation::new().all()]);
        recent.add(at(62), &Arc::new(key(1)));
        assert_eq!(recent.bundle(at(62)).take(), [key(1)]);
    }
}
