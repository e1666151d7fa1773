//! What this process owes the store: invalidations and events that could not be confirmed, and those of
//! the last minute, in case the primary that confirmed them is lost (PROTOCOL §5, §9).
//!
//! ```text
//! not confirmed ─► unconfirmed ──► asked for again, until confirmed
//! confirmed ─────► recent, 60 s ─► asked for again, of a new primary, before the window opens
//! ```
//!
//! The 60 s end when the primary answered last, not when its successor is met: a takeover may take longer,
//! and so may it until the successor can be told.
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

/// For how long before its last answer a primary may have confirmed what no replica got: its successor is
/// told of that.
const RECENT: Duration = Duration::from_secs(60);
/// How many names are kept one by one, and how much they may weigh together; of more, only that everything
/// is meant.
const NAMES: usize = 8192;
const BYTES: usize = 8 << 20;

/// How many events are kept, and how much they may weigh together.
const EVENTS: usize = 1024;
const EVENT_BYTES: usize = 4 << 20;
/// What a name weighs beside its text.
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
        event.map_or(0, |event| event.name.len() + event.payload.len()) + weight(&self.what)
    }
}

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
        if self.asked.len() == self.refused_names {
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

    /// What was next has failed: it is passed over for the rest of this round.
    pub(super) fn refused(&mut self) {
        if self.refused_names < self.asked.len() {
            self.refused_names += 1;
        } else {
            self.refused_events += 1;
        }
    }
}

/// Several invalidations as few, each name once: what is hard, what is soft, and each scan for itself.
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
    weight: usize,
}

impl Names {
    fn len(&self) -> usize {
        self.keys.len() + self.tags.len() + self.patterns.len()
    }

    fn add(&mut self, keys: &[Key<'static>], tags: &[Tag], patterns: &[Pattern]) {
        for key in keys.iter().filter(|key| !self.keys.contains(*key)) {
            self.weight += weigh(key.as_str());
        }
        self.keys.extend(keys.iter().cloned());
        for tag in tags.iter().filter(|tag| !self.tags.contains(*tag)) {
            self.weight += weigh(tag.as_str());
        }
        self.tags.extend(tags.iter().cloned());
        for pattern in patterns.iter().filter(|it| !self.patterns.contains(*it)) {
            self.weight += weigh(pattern.as_str());
        }
        self.patterns.extend(patterns.iter().cloned());
        if self.len() > NAMES || self.weight > BYTES {
            *self = Self::default();
            self.tags.insert(Tag::root());
        }
    }

    fn take(&mut self, soft: bool) -> (Option<Invalidation>, HashSet<Pattern>) {
        let Self {
            keys,
            tags,
            patterns,
            ..
        } = std::mem::take(self);
        let what = Invalidation {
            keys: keys.into_iter().collect(),
            tags: tags.into_iter().collect(),
            patterns: Vec::new(),
            soft,
        };
        ((!what.is_empty()).then_some(what), patterns)
    }
}

impl Bundle {
    pub(super) fn add(&mut self, what: &Invalidation) {
        let names = match what.soft {
            true => &mut self.soft,
            false => &mut self.hard,
        };
        names.add(&what.keys, &what.tags, &[]);
        // A scan is hard whatever was asked.
        self.hard.add(&[], &[], &what.patterns);
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.hard.len() + self.soft.len()
    }

    /// What it holds, the hard part first, and each scan for itself behind the names: it takes long, and may
    /// be what the user of the store has no right to. It is empty then.
    pub(super) fn take(&mut self) -> Vec<Invalidation> {
        let (hard, patterns) = self.hard.take(false);
        let (soft, _) = self.soft.take(true);
        let scans = patterns.into_iter().map(|pattern| Invalidation {
            patterns: vec![pattern],
            ..Invalidation::new()
        });
        hard.into_iter().chain(soft).chain(scans).collect()
    }
}

/// What was confirmed of late.
#[derive(Debug, Default)]
pub(super) struct Recent {
    all: VecDeque<(Moment, Arc<Invalidation>)>,
    names: usize,
    /// Of those, without the events.
    weight: usize,
    /// When the youngest of those was confirmed that had to be dropped before their time.
    dropped: Option<Moment>,
    /// Events, with the epoch of their entry in the log.
    events: VecDeque<(Moment, Epoch, Request)>,
    events_weight: usize,
    /// When the primary that is followed answered last. `None` before the first.
    answered: Option<Moment>,
    /// The clock of the last primary that took over, beyond every tick that its predecessor can have handed
    /// out: what was confirmed before it was confirmed by the one that is lost.
    successor: Option<Epoch>,
}

impl Recent {
    /// The primary that is followed has answered what was asked of it at that moment.
    pub(super) fn answered(&mut self, at: Moment) {
        self.answered = self.answered.max(Some(at));
    }

    /// Whether what was confirmed at a moment may be missing on the successor of who confirmed it.
    fn may_be_lost(&self, now: Moment) -> impl Fn(Moment) -> bool + use<> {
        let last = self.answered.unwrap_or(now);
        move |at| last <= at.plus(RECENT)
    }

    pub(super) fn add(&mut self, now: Moment, what: &Arc<Invalidation>) {
        let count = names(what);
        if count == 0 {
            // Nothing to be told again: it would only take room from what has names.
            return;
        }
        self.names += count;
        self.weight += weight(what);
        self.all.push_back((now, what.clone()));
        let recent = self.may_be_lost(now);
        while let Some(&(at, _)) = self.all.front() {
            if recent(at) {
                if self.names <= NAMES && self.weight <= BYTES {
                    break;
                }
                self.dropped = self.dropped.max(Some(at));
            }
            if let Some((_, what)) = self.all.pop_front() {
                self.names -= names(&what);
                self.weight -= weight(&what);
            }
        }
    }

    /// Keeps an event that was confirmed with the names beside it; of too many, the youngest.
    pub(super) fn add_event(&mut self, now: Moment, epoch: Epoch, request: &Request) {
        self.events_weight += request.weight();
        self.events.push_back((now, epoch, request.clone()));
        let recent = self.may_be_lost(now);
        while let Some(&(at, ..)) = self.events.front() {
            let fit = self.events.len() <= EVENTS && self.events_weight <= EVENT_BYTES;
            if recent(at) && fit {
                break;
            }
            if let Some((.., told)) = self.events.pop_front() {
                self.events_weight -= told.weight();
            }
        }
    }

    /// The events that were confirmed within the last minute, in their order.
    pub(super) fn events(&self, now: Moment) -> Vec<(Epoch, Request)> {
        let recent = self.may_be_lost(now);
        let events = self.events.iter().filter(|(at, ..)| recent(*at));
        events
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

    /// Another primary has taken over at `clock`. What it is to be told again: [`bundle`](Self::bundle). When
    /// all of that has been confirmed, it has been [`carried_out`](Self::carried_out).
    pub(super) fn succeeded(&mut self, clock: Epoch, now: Moment) -> Bundle {
        self.successor = Some(clock);
        self.bundle(now)
    }

    /// What [`succeeded`](Self::succeeded) gave at `begun` has been confirmed again, by the successor: it is as
    /// young as that. It is kept once: kept twice it would soon be more than is kept, which means everything.
    pub(super) fn carried_out(&mut self, begun: Moment, now: Moment) {
        let recent = self.may_be_lost(begun);
        let again = |at: &Moment| *at <= begun && recent(*at);
        for (at, _) in self.all.iter_mut().filter(|(at, _)| again(at)) {
            *at = now;
        }
        self.dropped = self.dropped.map(|at| if again(&at) { now } else { at });
    }

    /// All that was confirmed within the last minute; everything, if that was more than is kept.
    fn bundle(&self, now: Moment) -> Bundle {
        let recent = self.may_be_lost(now);
        let mut bundle = Bundle::default();
        if self.dropped.is_some_and(&recent) {
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

fn weigh(name: &str) -> usize {
    name.len() + NAME_BYTES
}

fn weight(what: &Invalidation) -> usize {
    let keys = what.keys.iter().map(Key::as_str);
    let tags = what.tags.iter().map(Tag::as_str);
    let patterns = what.patterns.iter().map(Pattern::as_str);
    keys.chain(tags).chain(patterns).map(weigh).sum()
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
        assert_eq!(parts[0], key(1));
        assert!(parts[1].soft);
        assert_eq!((parts[1].keys.len(), parts[1].tags.len()), (2, 1));
        let scan = Invalidation::new().pattern("a*b");
        assert_eq!(parts[2..], [scan], "hard, whatever was asked");
        assert_eq!((bundle.len(), bundle.take()), (0, vec![]));
    }

    #[test]
    fn of_too_many_names_everything_is_left() {
        let mut bundle = Bundle::default();
        for n in 0..=NAMES {
            bundle.add(&key(n));
        }
        assert_eq!(bundle.take(), [Invalidation::new().all()]);
        for n in 0..=NAMES {
            bundle.add(&Invalidation::new().pattern(format!("{n}*b")).soft());
            assert!(bundle.len() <= NAMES);
        }
        assert_eq!(bundle.take(), [Invalidation::new().all()], "soft scans");
    }

    #[test]
    fn of_names_that_are_too_long_everything_is_left() {
        let long = |n: usize| Invalidation::new().key(format!("{n}{}", "x".repeat(BYTES / 8)));
        let (mut bundle, mut recent) = (Bundle::default(), Recent::default());
        for n in 0..9 {
            bundle.add(&long(n));
            bundle.add(&long(n));
            recent.add(Moment(0), &Arc::new(long(n)));
            assert_eq!(bundle.len(), if n < 7 { n + 1 } else { n - 5 });
        }
        assert!(recent.weight <= BYTES);
        let all = recent.bundle(Moment(0)).take();
        assert_eq!(all, [Invalidation::new().all()]);
    }

    #[test]
    fn the_minute_ends_when_the_primary_answered_last_however_late_its_successor_is_met() {
        let at = |s| Moment(0).plus(Duration::from_secs(s));
        let mut recent = Recent::default();
        recent.add(at(0), &Arc::new(key(1)));
        recent.add_event(at(0), Epoch::new(1, 1), &event(1, "{}"));
        recent.add(at(30), &Arc::new(key(2)));
        recent.answered(at(60));
        recent.answered(at(59));
        for met in [at(91), at(106)] {
            // Meanwhile the successor confirms what it is asked for.
            recent.add(met, &Arc::new(key(3)));
            recent.add_event(met, Epoch::new(1, 9), &event(3, "{}"));
            let bundle = recent.succeeded(Epoch::new(1, 5), met);
            assert_eq!(bundle.len(), 3, "also at the second attempt");
            assert_eq!(recent.events(met)[0], (Epoch::new(1, 1), event(1, "{}")));
        }
        recent.answered(at(107));
        let bundle = recent.succeeded(Epoch::new(1, 9), at(500)).take();
        assert_eq!(bundle, [key(3)]);
    }

    #[test]
    fn what_was_carried_out_again_is_kept_once_and_for_another_minute() {
        const MANY: usize = 5000;
        let at = |s| Moment(0).plus(Duration::from_secs(s));
        let mut recent = Recent::default();
        recent.add(at(0), &Arc::new(key(MANY)));
        let keys = Invalidation::new().keys((0..MANY).map(|n| n.to_string()));
        recent.add(at(30), &Arc::new(keys));
        recent.answered(at(80));
        for begun in [90, 100] {
            let mut bundle = recent.succeeded(Epoch::new(1, begun), at(begun));
            let parts = bundle.take();
            assert_eq!((parts.len(), parts[0].keys.len()), (1, MANY));
            recent.carried_out(at(begun), at(begun + 2));
        }
        recent.answered(at(160));
        assert_eq!(recent.bundle(at(160)).len(), MANY, "as young as that");
        recent.answered(at(163));
        assert_eq!(recent.bundle(at(163)).len(), 0);
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
