//! Brings what the processes tell into the order of time.
//!
//! Each process says now and then: what I shall tell from here on began, or was confirmed, no earlier than this
//! moment (its *watermark*). What lies before the least watermark of all is complete, and is released in
//! order. So a process that is frozen holds everything up, and nothing is judged too early.
//!
//! Must not: read a clock.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use crate::record::{Confirmed, Frame, Load, Process, Read};
use crate::stamp::Stamp;

/// Something at its moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A load ended.
    Loaded(Load),
    /// A read began (this is its answer).
    Read(Read),
    /// An invalidation was confirmed.
    Confirmed(Confirmed),
    /// An invalidation was tried and not confirmed: it binds nobody.
    Unconfirmed(Confirmed),
}

impl Happened {
    fn at(&self) -> Stamp {
        match self {
            Self::Loaded(load) => load.ended,
            Self::Read(read) => read.began,
            Self::Confirmed(what) | Self::Unconfirmed(what) => what.confirmed,
        }
    }

    /// Of what happened at one moment, what comes first: a read is not bound by what was confirmed in the
    /// same instant.
    fn rank(&self) -> u8 {
        match self {
            Self::Loaded(_) => 0,
            Self::Read(_) => 1,
            Self::Confirmed(_) | Self::Unconfirmed(_) => 2,
        }
    }
}

#[derive(Debug)]
struct Waiting {
    at: (Stamp, u8),
    process: Process,
    what: Happened,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Order {
    watermarks: HashMap<Process, Stamp>,
    waiting: BinaryHeap<Reverse<Waiting>>,
}

impl Order {
    /// A process is about to be started: whatever it tells happens from `now` on.
    pub fn join(&mut self, process: Process, now: Stamp) {
        self.watermarks.insert(process, now);
    }

    /// A process is gone: it will tell nothing more.
    pub fn leave(&mut self, process: Process) {
        self.watermarks.remove(&process);
    }

    /// Takes in what a process told.
    pub fn tell(&mut self, frame: Frame) {
        let process = frame.process;
        let told = frame.loads.into_iter().map(Happened::Loaded);
        let told = told.chain(frame.reads.into_iter().map(Happened::Read));
        let told = told.chain(frame.confirmed.into_iter().map(Happened::Confirmed));
        let told = told.chain(frame.unconfirmed.into_iter().map(Happened::Unconfirmed));
        self.waiting.extend(told.map(|what| {
            Reverse(Waiting {
                at: (what.at(), what.rank()),
                process,
                what,
            })
        }));
        if let Some(watermark) = self.watermarks.get_mut(&process) {
            *watermark = frame.watermark.max(*watermark);
        }
    }

    /// The process that holds everything up, and since when.
    pub fn slowest(&self) -> Option<(Process, Stamp)> {
        let slowest = self.watermarks.iter().min_by_key(|(_, mark)| **mark);
        slowest.map(|(process, mark)| (*process, *mark))
    }

    /// The next that nothing can come before any more.
    pub fn release(&mut self) -> Option<(Process, Happened)> {
        let complete = self.slowest().map_or(Stamp::MAX, |(_, mark)| mark);
        let Reverse(next) = self.waiting.peek()?;
        if next.at.0 >= complete {
            return None;
        }
        let Reverse(next) = self.waiting.pop()?;
        Some((next.process, next.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Target;

    fn frame(process: Process, watermark: Stamp, reads: &[Stamp]) -> Frame {
        Frame {
            process,
            watermark,
            reads: reads.iter().map(|&began| Read::at(began)).collect(),
            ..Frame::default()
        }
    }

    fn released(order: &mut Order) -> Vec<(Process, Stamp)> {
        std::iter::from_fn(|| order.release())
            .map(|(process, what)| (process, what.at()))
            .collect()
    }

    #[test]
    fn nothing_is_released_before_everyone_has_told_what_came_before_it() {
        let mut order = Order::default();
        order.join(1, 0);
        order.join(2, 0);
        order.tell(frame(1, 50, &[10, 30]));
        assert_eq!(released(&mut order), []);
        order.tell(frame(2, 25, &[20]));
        assert_eq!(released(&mut order), [(1, 10), (2, 20)]);
        order.tell(frame(2, 40, &[]));
        assert_eq!(released(&mut order), [(1, 30)]);
    }

    #[test]
    fn who_is_gone_holds_nothing_up() {
        let mut order = Order::default();
        order.join(1, 0);
        order.join(2, 0);
        order.tell(frame(1, 50, &[10]));
        order.leave(2);
        assert_eq!(order.slowest(), Some((1, 50)));
        assert_eq!(released(&mut order), [(1, 10)]);
        order.leave(1);
        order.tell(frame(1, 90, &[60]));
        assert_eq!(released(&mut order), [(1, 60)], "last words count");
    }

    #[test]
    fn in_one_instant_reads_come_before_what_is_confirmed() {
        let mut order = Order::default();
        let mut told = frame(1, 50, &[10]);
        told.confirmed.push(Confirmed {
            target: Target::All,
            soft: false,
            everywhere: false,
            called: 5,
            confirmed: 10,
            inc: 1,
            tick: 1,
            named: Vec::new(),
        });
        order.tell(told);
        let kinds: Vec<_> = std::iter::from_fn(|| order.release())
            .map(|(_, what)| matches!(what, Happened::Confirmed(_)))
            .collect();
        assert_eq!(kinds, [false, true]);
    }
}
