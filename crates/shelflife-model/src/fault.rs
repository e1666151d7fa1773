//! What goes wrong: time, losses, failovers.

use std::sync::Arc;

use crate::call::Step;
use crate::rules::Rules;
use crate::scenario::{Failover, Loss};
use crate::server::{Calls, Members};
use crate::world::World;

impl World {
    pub(crate) fn tick(&mut self) -> bool {
        if self.left.ticks == 0 {
            return false;
        }
        self.left.ticks -= 1;
        self.now += 1;
        true
    }

    /// Redis loses something: evicted, expired, deleted, flushed.
    pub(crate) fn lose(&mut self, loss: Loss) -> bool {
        if self.left.losses == 0 {
            return false;
        }
        self.left.losses -= 1;
        let (control, entries) = (&mut self.server.control, &mut self.server.entries);
        match loss {
            Loss::Clock => control.clock.take().is_some(),
            Loss::Tag(tag) => control.tags[tag].take().is_some(),
            Loss::Log => {
                let any = !control.log.is_empty();
                control.log.clear();
                any
            }
            Loss::LogFront => {
                let any = !control.log.is_empty();
                if any {
                    control.log.remove(0);
                }
                any
            }
            Loss::Mark => control.members.mark.take().is_some(),
            Loss::Beats => control.members.beats.take().is_some(),
            Loss::Applied => {
                let applied = std::mem::take(&mut control.members.applied);
                applied.iter().any(Option::is_some)
            }
            Loss::Entry => entries.record.take().is_some(),
            Loss::Lease => {
                let held = entries.record.is_some_and(|record| record.lease.is_some());
                entries.release(None);
                held
            }
            Loss::All => {
                (control.clock, control.tags) = (None, [None; 2]);
                control.members = Members::NONE;
                control.log.clear();
                entries.record = None;
                true
            }
        }
    }

    /// The replica has all that the primary has.
    pub(crate) fn replicate(&mut self) -> bool {
        if self.left.replications == 0 || self.replica.as_deref() == Some(&self.server) {
            return false;
        }
        self.left.replications -= 1;
        self.replica = Some(Arc::new(self.server.clone()));
        true
    }

    /// The replica becomes primary: what it has not seen is lost.
    pub(crate) fn fail_over(&mut self, rules: &Rules, kind: Failover) -> bool {
        let (Some(replica), true) = (self.replica.clone(), self.left.failovers > 0) else {
            return false;
        };
        self.left.failovers -= 1;
        self.ids.primary += 1;
        let (mut log, mut keys): (Calls, Calls) = (0, 0);
        if kind != Failover::Entries {
            log = self.server.control.logged & !replica.control.logged;
            self.server.control = replica.control.clone();
            self.server.control.primary = self.ids.primary;
        }
        if kind != Failover::Control {
            keys = self.server.entries.unlinked & !replica.entries.unlinked;
            self.server.entries = replica.entries.clone();
            self.server.entries.primary = self.ids.primary;
        }
        self.excuse(rules, log, keys);
        true
    }

    /// PROTOCOL §9 (1): what Redis lost need not be honoured until it has been repeated. A step on an
    /// entry that was lost before anybody looked is the caller's to notice.
    fn excuse(&mut self, rules: &Rules, log: Calls, keys: Calls) {
        let lost = log | keys;
        for (c, call) in self.calls.iter_mut().enumerate() {
            let looks = rules.steps[c].iter().position(|s| *s == Step::Memory);
            let looked = looks.is_none_or(|at| at < usize::from(call.done));
            let excused = log & (1 << c) != 0 || (looked && keys & (1 << c) != 0);
            call.excused |= excused;
            call.lost |= lost & (1 << c) != 0;
        }
        self.readers.iter_mut().for_each(|r| r.must &= !lost);
        self.procs.iter_mut().for_each(|p| p.known &= !lost);
    }
}
