//! Following the log: its entries, beats, resync (PROTOCOL §8).

use std::sync::Arc;
use std::time::Duration;

use shelflife::protocol::{BeatSeen, Follower, Moment, Next, Verdict};

use crate::guard::Guard;
use crate::process::{Beat, BeatAnswer, Tail};
use crate::rules::Rules;
use crate::server::Logged;
use crate::world::World;

/// The window, in units of the model's time.
pub(crate) const DELTA: u8 = 1;

/// Δ as the follower takes it.
pub(crate) fn delta() -> Duration {
    Duration::from_nanos(DELTA.into())
}

impl World {
    /// The next step of a process with its log; `false` when there is none.
    pub(crate) fn tail(&mut self, rules: &Rules, p: usize) -> bool {
        match self.procs[p].tail {
            Tail::Idle => self.next_entry(rules, p),
            Tail::First(entry) => {
                let process = &mut self.procs[p];
                if rules.has(Guard::MemoryFirst) {
                    process.apply(rules, entry.epoch, entry.what);
                } else {
                    process.has_applied(entry.epoch);
                }
                process.tail = Tail::Second(entry);
                true
            }
            Tail::Second(entry) => {
                let process = &mut self.procs[p];
                process.tail = Tail::Idle;
                if rules.has(Guard::MemoryFirst) {
                    process.has_applied(entry.epoch);
                } else {
                    process.note(rules, entry.epoch, entry.what);
                }
                self.knows(p, entry);
                true
            }
            Tail::Lost => self.ask_position(rules, p),
            Tail::Position(answer, sent) => {
                let process = &mut self.procs[p];
                if rules.has(Guard::ResyncOrder) {
                    process.begin_memory(answer.clock);
                } else {
                    process.drop_local();
                }
                process.tail = Tail::Begun(answer, sent);
                true
            }
            Tail::Begun(answer, sent) => {
                let process = &mut self.procs[p];
                if rules.has(Guard::ResyncOrder) {
                    process.drop_local();
                } else {
                    process.begin_memory(answer.clock);
                }
                process.tail = Tail::Dropped(answer, sent);
                true
            }
            Tail::Dropped(answer, sent) => {
                self.follow_from(rules, p, answer, sent);
                true
            }
        }
    }

    fn next_entry(&mut self, rules: &Rules, p: usize) -> bool {
        let process = &mut self.procs[p];
        let Some(follower) = &process.follower else {
            return false;
        };
        // A stream is read from a tick: it knows no incs.
        let position = follower.applied().tick;
        let log = &self.server.control.log;
        let Some(&entry) = log.iter().find(|entry| entry.epoch.tick > position) else {
            return false;
        };
        let next = follower.entry(entry.prev, entry.epoch);
        let same_inc = entry.epoch.inc == follower.applied().inc;
        match next {
            Next::Skip => return false,
            Next::Gap if rules.has(Guard::PrevGap) || !same_inc => process.lose_log(),
            Next::Gap | Next::Apply => {
                if rules.has(Guard::MemoryFirst) {
                    process.note(rules, entry.epoch, entry.what);
                } else {
                    process.apply(rules, entry.epoch, entry.what);
                }
                process.tail = Tail::First(entry);
            }
        }
        true
    }

    /// For the promise: what a process has applied, it honours.
    fn knows(&mut self, p: usize, entry: Logged) {
        let Some(number) = entry.call else {
            return;
        };
        let call = &self.calls[usize::from(number)];
        // What a primary that is lost had logged is not what the call was repeated with.
        if !call.is_lost() && call.epoch == Some(entry.epoch) {
            self.procs[p].known |= 1 << number;
        }
    }

    /// A beat as *none* tells the position.
    fn ask_position(&mut self, rules: &Rules, p: usize) -> bool {
        if self.left.resyncs == 0 {
            return false;
        }
        self.left.resyncs -= 1;
        let answer = self.carry_out_beat(rules, p, None);
        self.procs[p].tail = Tail::Position(answer, self.now);
        true
    }

    fn carry_out_beat(
        &mut self,
        rules: &Rules,
        p: usize,
        applied: Option<shelflife::Epoch>,
    ) -> BeatAnswer {
        let control = &mut self.server.control;
        let clock = control.beat(rules, &mut self.ids, p, applied, self.now);
        BeatAnswer {
            clock,
            last_logged: control.last_logged(),
            primary: control.primary,
        }
    }

    fn follow_from(&mut self, rules: &Rules, p: usize, answer: BeatAnswer, sent: u8) {
        let process = &mut self.procs[p];
        process.primary = answer.primary;
        let replid = answer.primary.to_string();
        process.follower = Some(Arc::new(Follower::at(answer.clock, replid, delta())));
        process.applied = Some(answer.clock);
        process.tail = Tail::Idle;
        for (i, call) in self.calls.iter().enumerate() {
            let up_to = call.epoch.is_some_and(|epoch| answer.clock.at_least(epoch));
            if up_to && !call.is_lost() {
                process.known |= 1 << i;
            }
        }
        self.judge_beat(rules, p, answer, sent);
    }

    pub(crate) fn send_beat(&mut self, p: usize) -> bool {
        let process = &mut self.procs[p];
        let (Some(applied), None, true) = (process.applied, process.beat, self.left.beats[p] > 0)
        else {
            return false;
        };
        self.left.beats[p] -= 1;
        process.beat = Some(Beat {
            sent: self.now,
            applied,
            generation: process.memory.generation(),
            answer: None,
        });
        true
    }

    /// The beat is carried out on the primary.
    pub(crate) fn serve_beat(&mut self, rules: &Rules, p: usize) -> bool {
        let Some(beat) = self.procs[p].beat.filter(|beat| beat.answer.is_none()) else {
            return false;
        };
        let answer = self.carry_out_beat(rules, p, Some(beat.applied));
        self.procs[p].beat = Some(Beat {
            answer: Some(answer),
            ..beat
        });
        true
    }

    /// The process has the answer to its beat.
    pub(crate) fn use_beat(&mut self, rules: &Rules, p: usize) -> bool {
        let process = &mut self.procs[p];
        let Some((beat, answer)) = process.beat.and_then(|b| Some((b, b.answer?))) else {
            return false;
        };
        process.beat = None;
        if beat.generation == process.memory.generation() {
            self.judge_beat(rules, p, answer, beat.sent);
        }
        true
    }

    fn judge_beat(&mut self, rules: &Rules, p: usize, answer: BeatAnswer, sent: u8) {
        let process = &mut self.procs[p];
        let Some(follower) = &mut process.follower else {
            return;
        };
        if !rules.has(Guard::WindowNeedsClock) {
            return process.open_until(Moment((sent + DELTA).into()));
        }
        let primary = if rules.has(Guard::NewReplid) {
            answer.primary
        } else {
            process.primary
        };
        let seen = BeatSeen {
            clock: answer.clock,
            last_logged: if rules.has(Guard::LogEnd) {
                answer.last_logged
            } else {
                answer.clock.tick
            },
            replid: &primary.to_string(),
            sent: Moment(sent.into()),
        };
        match Arc::make_mut(follower).beat(&seen) {
            Verdict::Open(end) => process.open_until(end),
            Verdict::Wait => {}
            Verdict::Resync => process.lose_log(),
        }
    }
}
