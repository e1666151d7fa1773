//! Following the log: what its entries and the answers to beats mean (PROTOCOL §8).
//!
//! A state machine without sockets and without a clock. Entries are applied in the order of the log,
//! each only onto the epoch before it; a beat opens the window only as far as everything up to its
//! clock has been applied.
//!
//! Must not: do I/O, apply anything itself.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Moment;
use crate::epoch::Epoch;

/// How many beats may wait for the log to catch up: more are of no use.
const WAITING: usize = 16;

/// What to do with an entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Apply it, then say so.
    Apply,
    /// It has been applied already.
    Skip,
    /// Something is missing before it: resync.
    Gap,
}

/// What an answer to a beat means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// L1 may be trusted until then.
    Open(Moment),
    /// The log has more than was applied: it is on its way.
    Wait,
    /// The log can't bring us there: another incarnation, another primary, or its end is missing.
    Resync,
}

/// An answer to a beat.
#[derive(Clone, Debug)]
pub struct BeatSeen<'a> {
    /// The clock on the primary when the beat was carried out.
    pub clock: Epoch,
    /// The tick of the last entry of the log then; 0 if there was none.
    pub last_logged: u64,
    /// Names the primary.
    pub replid: &'a str,
    /// When the beat was sent, by this process's clock.
    pub sent: Moment,
}

/// How far this process has followed the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Follower {
    delta: Duration,
    applied: Epoch,
    replid: String,
    /// Beats whose clock has not been applied yet, the oldest first.
    waiting: VecDeque<(Epoch, Moment)>,
}

impl Follower {
    /// Begins at the position that a resync gave.
    pub fn at(position: Epoch, replid: String, delta: Duration) -> Self {
        Self {
            delta,
            applied: position,
            replid,
            waiting: VecDeque::new(),
        }
    }

    /// Up to where everything has been applied.
    pub fn applied(&self) -> Epoch {
        self.applied
    }

    /// What to do with the entry of `epoch`, which the log puts right behind `prev`.
    pub fn entry(&self, prev: Option<Epoch>, epoch: Epoch) -> Next {
        if self.applied.at_least(epoch) {
            Next::Skip
        } else if prev == Some(self.applied) && epoch.inc == self.applied.inc {
            Next::Apply
        } else {
            Next::Gap
        }
    }

    /// The entry of `epoch` has been applied. Gives the end of the window that beats were waiting for.
    pub fn has_applied(&mut self, epoch: Epoch) -> Option<Moment> {
        self.applied = epoch;
        let mut end = None;
        while let Some(&(clock, sent)) = self.waiting.front() {
            if !self.applied.at_least(clock) {
                break;
            }
            end = Some(sent.plus(self.delta));
            self.waiting.pop_front();
        }
        end
    }

    /// What an answer to a beat means.
    pub fn beat(&mut self, seen: &BeatSeen<'_>) -> Verdict {
        if seen.clock.inc != self.applied.inc || seen.replid != self.replid {
            return Verdict::Resync;
        }
        if self.applied.at_least(seen.clock) {
            return Verdict::Open(seen.sent.plus(self.delta));
        }
        if seen.last_logged < seen.clock.tick {
            return Verdict::Resync;
        }
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((seen.clock, seen.sent));
        Verdict::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELTA: Duration = Duration::from_secs(1);

    fn at(tick: u64) -> Epoch {
        Epoch::new(1, tick)
    }

    fn follower() -> Follower {
        Follower::at(at(10), "primary".to_owned(), DELTA)
    }

    fn beat(clock: Epoch, last_logged: u64, sent: u64) -> BeatSeen<'static> {
        BeatSeen {
            clock,
            last_logged,
            replid: "primary",
            sent: Moment(sent),
        }
    }

    #[test]
    fn entries_are_applied_only_onto_the_epoch_before_them() {
        let mut f = follower();
        assert_eq!(f.entry(Some(at(10)), at(12)), Next::Apply);
        f.has_applied(at(12));
        assert_eq!(f.entry(Some(at(10)), at(12)), Next::Skip, "an echo");
        assert_eq!(f.entry(Some(at(13)), at(14)), Next::Gap, "13 is missing");
        assert_eq!(
            f.entry(None, at(14)),
            Next::Gap,
            "the first of an incarnation"
        );
        assert_eq!(f.entry(Some(at(12)), Epoch::new(2, 14)), Next::Gap);
    }

    #[test]
    fn a_beat_opens_the_window_from_when_it_was_sent_not_answered() {
        let verdict = follower().beat(&beat(at(10), 10, 500));
        assert_eq!(verdict, Verdict::Open(Moment(500).plus(DELTA)));
    }

    #[test]
    fn a_beat_whose_clock_is_ahead_waits_for_the_log() {
        let mut f = follower();
        assert_eq!(f.beat(&beat(at(12), 12, 500)), Verdict::Wait);
        assert_eq!(f.has_applied(at(11)), None);
        assert_eq!(f.has_applied(at(12)), Some(Moment(500).plus(DELTA)));
        assert_eq!(f.has_applied(at(13)), None, "only once");
    }

    #[test]
    fn what_the_log_can_not_bring_is_a_resync() {
        assert_eq!(
            follower().beat(&beat(at(12), 11, 0)),
            Verdict::Resync,
            "its end is lost"
        );
        assert_eq!(
            follower().beat(&beat(Epoch::new(2, 5), 5, 0)),
            Verdict::Resync
        );
        let elsewhere = BeatSeen {
            replid: "another",
            ..beat(at(10), 10, 0)
        };
        assert_eq!(follower().beat(&elsewhere), Verdict::Resync);
    }
}
