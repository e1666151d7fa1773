//! A counter that threads don't fight over, and whose turn it is to be looked at.
//!
//! Each thread adds to a line of its own. In the same place of its own it counts down to the next read that
//! is *looked at*: one in many, so that what is read most can be known ([`crate::hot`]) while a hit pays for
//! one decrement. The gap is short where little is read and grows with the rate; it varies at random, for
//! reads that come in a rhythm.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const STRIPES: usize = 16;
/// No more reads than so many go by unseen, on average: what is looked at costs some 300 ns.
const GAP_MOST: u32 = 1024;
/// After so many looks in a row the gap is judged: where they took less than this, it is doubled.
const ROW: u32 = 64;
const FAST: Duration = Duration::from_millis(10);
/// Whoever reads so seldom has each read seen.
const SLOW: Duration = Duration::from_secs(1);

/// Whether a read is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "whoever takes a read's turn looks at it"]
pub(crate) enum Turn {
    Pass,
    Look,
}

/// What a thread keeps for all caches.
struct Mine {
    /// Reads until the next one that is looked at.
    left: Cell<u32>,
    /// Which line it adds to; any until its first look.
    line: Cell<usize>,
    /// How many reads the one that is looked at stands for.
    gap: Cell<u32>,
    /// Their mean.
    stride: Cell<u32>,
    /// Looks in this row, when it began, and when the last one was.
    row: Cell<u32>,
    began: Cell<Option<Instant>>,
    looked: Cell<Option<Instant>>,
}

thread_local! {
    static MINE: Mine = const {
        Mine {
            left: Cell::new(1),
            line: Cell::new(0),
            gap: Cell::new(1),
            stride: Cell::new(1),
            row: Cell::new(0),
            began: Cell::new(None),
            looked: Cell::new(None),
        }
    };
}

impl Mine {
    #[inline]
    fn turn(&self) -> Turn {
        let left = self.left.get().wrapping_sub(1);
        self.left.set(left);
        if left == 0 { Turn::Look } else { Turn::Pass }
    }

    /// Takes a look: how many reads it stands for.
    fn look(&self, now: Instant) -> u32 {
        let stands_for = self.gap.get();
        let stride = self.judge(now);
        // From half of it to one and a half.
        let gap = (stride.div_ceil(2) + fastrand::u32(0..=stride)).clamp(1, 2 * GAP_MOST);
        let gap = if stride == 1 { 1 } else { gap };
        self.gap.set(gap);
        self.left.set(gap);
        stands_for
    }

    /// How far apart looks are to be from now on.
    fn judge(&self, now: Instant) -> u32 {
        let Some(last) = self.looked.replace(Some(now)) else {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            let line = NEXT.fetch_add(1, Relaxed) as usize % STRIPES;
            self.line.set(line);
            self.began.set(Some(now));
            return self.stride.get();
        };
        let (row, took) = (
            self.row.get() + 1,
            now.duration_since(self.began.get().unwrap_or(now)),
        );
        let stride = self.stride.get();
        let next = match row {
            _ if now.duration_since(last) > SLOW => 1,
            ..ROW => {
                self.row.set(row);
                return stride;
            }
            _ if took < FAST => (stride * 2).min(GAP_MOST),
            _ if took > 8 * FAST => (stride / 2).max(1),
            _ => stride,
        };
        self.row.set(0);
        self.began.set(Some(now));
        self.stride.set(next);
        next
    }
}

/// The line that this thread adds to.
pub(super) fn line() -> usize {
    MINE.with(|mine| mine.line.get())
}

/// Whether a read of this thread is looked at.
#[inline]
pub(super) fn turn() -> Turn {
    MINE.with(Mine::turn)
}

/// How many reads of this thread the one stands for whose turn it is; after this others' come.
pub(crate) fn stands_for() -> u32 {
    MINE.with(|mine| mine.look(Instant::now()))
}

/// A counter that threads don't fight over.
#[derive(Debug, Default)]
pub(crate) struct Stripes([Line; STRIPES]);

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(AtomicU64);

impl Stripes {
    /// Counts a read. Tells whether it is its turn to be looked at.
    #[inline]
    pub(crate) fn add(&self) -> Turn {
        MINE.with(|mine| {
            self.0[mine.line.get() % STRIPES].0.fetch_add(1, Relaxed);
            mine.turn()
        })
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.iter().map(|line| line.0.load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mine() -> Mine {
        Mine {
            left: Cell::new(1),
            line: Cell::new(0),
            gap: Cell::new(1),
            stride: Cell::new(1),
            row: Cell::new(0),
            began: Cell::new(None),
            looked: Cell::new(None),
        }
    }

    /// So many reads, `apart` from each other: how many were looked at, and for how many they stood.
    fn read(mine: &Mine, reads: u32, from: Instant, apart: Duration) -> (u32, u32) {
        let (mut looks, mut stood) = (0, 0);
        for n in 0..reads {
            if mine.turn() == Turn::Look {
                stood += mine.look(from + n * apart);
                looks += 1;
            }
        }
        (looks, stood)
    }

    #[test]
    fn few_reads_are_all_seen_and_many_one_in_a_thousand() {
        let (mine, began) = (mine(), Instant::now());
        assert_eq!(read(&mine, 50, began, Duration::from_micros(1)), (50, 50));
        let began = began + Duration::from_micros(50);
        let (looks, stood) = read(&mine, 1_000_000, began, Duration::from_nanos(100));
        assert!((1_000..3_000).contains(&looks), "{looks}");
        assert!((997_000..=1_000_000).contains(&stood), "{stood}");
    }

    #[test]
    fn after_a_storm_each_read_is_seen_again() {
        let (mine, began) = (mine(), Instant::now());
        read(&mine, 1_000_000, began, Duration::from_nanos(100));
        let calm = began + Duration::from_secs(10);
        read(&mine, 2 * GAP_MOST, calm, Duration::from_millis(100));
        let later = calm + Duration::from_secs(1000);
        assert_eq!(read(&mine, 50, later, Duration::from_millis(100)), (50, 50));
    }

    #[test]
    fn each_thread_has_a_line() {
        let stripes = Stripes::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        if stripes.add() == Turn::Look {
                            stands_for();
                        }
                    }
                });
            }
        });
        assert_eq!(stripes.sum(), 4000);
    }
}
