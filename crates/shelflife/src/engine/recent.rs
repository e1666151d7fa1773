//! What was confirmed of late, in case the primary that confirmed it is lost: see [`owed`](super::owed).
//!
//! Must not: wait, or ask the store.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::bundle::{BYTES, Bundle, NAMES, names, weight};
use super::owed::{EVENT_BYTES, EVENTS, Request};
use crate::clock::Moment;
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;

/// For how long before its last answer a primary may have confirmed what no replica got: its successor is
/// told of that.
const RECENT: Duration = Duration::from_secs(60);

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
    /// When the primary that is followed answered last, or following began; where keys lie apart, when all
    /// primaries did. `None` before.
    answered: Option<Moment>,
    /// The clock of the last primary that took over, beyond every tick that its predecessor can have handed
    /// out: what was confirmed before it was confirmed by the one that is lost.
    successor: Option<Epoch>,
}

impl Recent {
    /// Following begins at that moment, though a primary may be away.
    pub(super) fn followed(&mut self, from: Moment) {
        self.answered.get_or_insert(from);
    }

    /// The primary that is followed (where keys lie apart, each) has answered what was asked of it at that moment.
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

    /// Whether a primary that has been replaced confirmed this. At the clock of its successor, too: where another node than the
    /// clock's was replaced, the clock has not jumped. What is confirmed since has a tick of its own.
    pub(super) fn is_lost(&self, epoch: Epoch) -> bool {
        self.successor.is_some_and(|clock| clock.at_least(epoch))
    }

    /// The same of an event, which is where the clock is: what that node had at its clock it has.
    pub(super) fn is_lost_from_log(&self, epoch: Epoch) -> bool {
        self.successor.is_some_and(|clock| clock != epoch) && self.is_lost(epoch)
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

#[cfg(test)]
mod tests {
    use super::super::owed::tests::{event, key};
    use super::*;

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
    fn more_than_may_be_weighed_becomes_everything() {
        let long = |n: usize| Invalidation::new().key(format!("{n}{}", "x".repeat(BYTES / 8)));
        let mut recent = Recent::default();
        for n in 0..9 {
            recent.add(Moment(0), &Arc::new(long(n)));
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
    fn following_begins_the_minute_once_and_answers_move_it() {
        let at = |s| Moment(0).plus(Duration::from_secs(s));
        let mut recent = Recent::default();
        recent.followed(at(0));
        recent.add(at(10), &Arc::new(key(1)));
        recent.followed(at(500));
        assert_eq!(recent.bundle(at(500)).len(), 1, "nobody has answered");
        recent.answered(at(71));
        assert_eq!(recent.bundle(at(500)).len(), 0);
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
        assert!(recent.is_lost(at(10)), "another node than the clock's");
        assert!(recent.is_lost_from_log(at(9)) && !recent.is_lost_from_log(at(10)));
        assert!(!recent.is_lost(at(11)));
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
