//! Stretches of the log that hold nothing but sets.
//!
//! Other sets take no notice of those, so what is asked of a set that began before such a stretch (whether
//! something has named it since) needs no look at it. Else many sets of one process would each have to be
//! shown all that went before them.
//!
//! Must not: be told of an entry without the clock that was right before it.

use crate::epoch::Epoch;

/// How many are remembered, the newest ones.
const MOST: usize = 64;

/// Stretches of one incarnation, in their order, none of which touches the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stretches {
    inc: u64,
    /// From a clock to a later one, as ticks: what the log holds behind the first, up to and with the second.
    all: Vec<(u64, u64)>,
}

impl Stretches {
    /// All that came after the clock `before`, up to and with `epoch`, were sets.
    pub(crate) fn add(&mut self, before: Epoch, epoch: Epoch) {
        if before.inc != epoch.inc || before.tick >= epoch.tick {
            return;
        }
        if self.inc != epoch.inc {
            self.all.clear();
            self.inc = epoch.inc;
        }
        let (mut from, mut to) = (before.tick, epoch.tick);
        let first = self.all.partition_point(|&(_, end)| end < from);
        let behind = self.all.partition_point(|&(start, _)| start <= to);
        if let Some(&(start, _)) = self.all[first..behind].first() {
            from = from.min(start);
        }
        if let Some(&(_, end)) = self.all[first..behind].last() {
            to = to.max(end);
        }
        self.all.splice(first..behind, [(from, to)]);
        if self.all.len() > MOST {
            self.all.remove(0);
        }
    }

    /// Those of an incarnation that end behind a tick, in their order.
    #[cfg(feature = "redis")]
    pub(crate) fn behind(&self, inc: u64, tick: u64) -> &[(u64, u64)] {
        let first = self.all.partition_point(|&(_, end)| end <= tick);
        if self.inc == inc {
            &self.all[first..]
        } else {
            &[]
        }
    }
}

#[cfg(test)]
#[cfg(feature = "redis")]
mod tests {
    use super::*;

    fn at(tick: u64) -> Epoch {
        Epoch::new(1, tick)
    }

    fn with(stretches: &[(u64, u64)]) -> Stretches {
        let mut all = Stretches::default();
        for &(from, to) in stretches {
            all.add(at(from), at(to));
        }
        all
    }

    #[test]
    fn what_ends_before_a_tick_is_of_no_use_behind_it() {
        let all = with(&[(10, 20), (30, 40)]);
        for (tick, count) in [(9, 2), (15, 2), (20, 1), (35, 1), (40, 0)] {
            assert_eq!(all.behind(1, tick).len(), count, "{tick}");
        }
        assert_eq!(all.behind(2, 0), []);
    }

    #[test]
    fn stretches_that_meet_are_one_in_whatever_order_they_come() {
        let parts = [(10, 20), (20, 30), (30, 40), (12, 18)];
        for first in 0..4 {
            for second in 0..4 {
                let mut order = parts.to_vec();
                order.swap(0, first);
                order.swap(1, second);
                let all = with(&order);
                assert_eq!(all.all, [(10, 40)], "{order:?}");
            }
        }
    }

    #[test]
    fn what_lies_between_belongs_to_none() {
        let all = with(&[(30, 40), (10, 20), (41, 50)]);
        assert_eq!(all.behind(1, 0), [(10, 20), (30, 40), (41, 50)]);
    }

    #[test]
    fn the_newest_are_kept_of_the_newest_incarnation() {
        let many: Vec<_> = (0..100).map(|n| (n * 10, n * 10 + 5)).collect();
        let mut all = with(&many);
        assert_eq!(all.all.len(), MOST);
        assert_eq!(all.all.last(), Some(&(990, 995)));
        all.add(at(7), at(7));
        all.add(Epoch::new(2, 1), at(9));
        assert_eq!(all.all.len(), MOST, "no stretches");
        all.add(Epoch::new(2, 1), Epoch::new(2, 3));
        assert_eq!(all.all, [(1, 3)]);
    }
}
