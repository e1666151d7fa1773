//! What Redis itself may have lost, and for how long that excuses an answer that is too old: the exceptions of PROTOCOL §9 that a hunt can
//! bring about, and no others.
//!
//! ```text
//! replication lags ─┐        ┌─ the fault         ┌─ every process has repeated what it had confirmed
//! ──────────────────┴────────┴────────────────────┴───────┬──▶
//!   confirmed in here: may be lost                        └ + Δ: and everybody has applied it
//!                            └ read in here: excused ─────┘
//! ```
//!
//! Where the replicas were held back before, it is known what was lost, too: all that was confirmed meanwhile. Who reads that when it has
//! been repeated shows that it was (`Excuse::shows`).
//!
//! Of a cluster's node that has neither clock nor tags, only its own keys are excused.
//!
//! Must not: excuse a read for an invalidation that was confirmed at any other time, or one that sees less than what is not excused.

use serde::Serialize;

use crate::checker::{Floor, Promise};
use crate::record::Read;
use crate::stamp::Stamp;
use crate::world::ALL_KEYS;

/// Redis replicates after it has answered. A replica that is further behind than this when its primary is well is not what a hunt makes.
pub const LAG: Stamp = 1_000_000_000;

/// Which exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exception {
    /// What a primary had confirmed, and no replica had got when it was lost.
    Lost,
    /// Two primaries at a time, of which one must not have been believed: `min-replicas-to-write` was not set.
    SplitBrain,
}

impl Exception {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Lost, Self::SplitBrain];

    /// Its words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost at a failover",
            Self::SplitBrain => "split brain",
        }
    }
}

/// Some of the hunt's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys(u128);

const _: () = assert!(ALL_KEYS as u32 <= u128::BITS, "a bit for each key");

impl Keys {
    /// All of them.
    pub const ALL: Self = Self(u128::MAX);

    fn has(self, key: u8) -> bool {
        self.0 & (1 << key) != 0
    }
}

impl FromIterator<u8> for Keys {
    fn from_iter<I: IntoIterator<Item = u8>>(keys: I) -> Self {
        Self(keys.into_iter().fold(0, |all, key| all | 1 << key))
    }
}

/// One time in which an exception holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excuse {
    /// Which.
    pub exception: Exception,
    /// What was confirmed since then may be lost: replication lags.
    pub since: Stamp,
    /// When the fault began.
    pub from: Stamp,
    /// From then on the lost primary confirmed nothing any more. The end of time, as long as it may.
    pub over: Stamp,
    /// When every process had repeated what it had confirmed. The end of time, as long as one has not.
    pub mended: Stamp,
    /// For which keys: in a cluster a node that is lost takes nothing along of what is on others.
    pub keys: Keys,
    /// How the replicas were held back, if they were.
    pub held: Option<Held>,
}

/// Before a primary was lost its replicas got nothing of what it confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// From then on.
    pub since: Stamp,
    /// Until then nothing else has happened that would have everything loaded again. The end of time, as long as that lasts.
    pub quiet: Stamp,
}

impl Excuse {
    /// Whether an invalidation was asked for when the replicas were already held back, and confirmed while the primary was there.
    pub(crate) fn lost_for_sure(&self, called: Stamp, confirmed: Stamp) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| called >= held.since) && confirmed <= self.over
    }

    /// Whether a read that kept this floor's promise did so because what was lost for sure had been repeated: nothing else would keep it from
    /// the old value, which is there again.
    pub(crate) fn shows(&self, promise: Promise, floor: &Floor, read: &Read, delta: Stamp) -> bool {
        let due = self.mended.saturating_add(grace(promise, delta));
        let quiet = self.held.is_some_and(|held| read.ended <= held.quiet);
        self.lost_for_sure(floor.called, floor.confirmed) && read.began > due && quiet
    }

    /// Whether a read that broke this floor's promise is excused.
    pub(crate) fn covers(
        &self,
        promise: Promise,
        floor: &Floor,
        read: &Read,
        delta: Stamp,
    ) -> bool {
        if promise == Promise::RightKey || !self.keys.has(read.key) {
            return false;
        }
        // Who had asked before and was confirmed long after was confirmed by the successor.
        let late = self.over.saturating_add(delta).saturating_add(LAG);
        let lost =
            floor.confirmed >= self.since && floor.called <= self.over && floor.confirmed <= late;
        let until = self.mended.saturating_add(grace(promise, delta));
        let in_time = read.ended >= self.from && read.began <= until;
        lost && in_time
    }
}

/// The repetition is an invalidation like any other: others may take Δ to apply it, and who reads strictly may not.
fn grace(promise: Promise, delta: Stamp) -> Stamp {
    match promise {
        // Nor may who has repeated it itself.
        Promise::Strict | Promise::Own => 0,
        _ => delta,
    }
}
