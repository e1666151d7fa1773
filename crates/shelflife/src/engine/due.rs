//! What a read is due: what it must honour, and whether an offer is good enough for it (PROTOCOL §1, §4).

use super::Engine;
use super::ask::Level;
use super::flight::Offer;
use crate::clock::Moment;
use crate::epoch::Receipt;
use crate::validity::{Floor, Touched, good_for};

/// What a read must honour, fixed when it begins and kept through its retries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) floor: Floor,
    pub(super) began: Moment,
    /// Whether the window was open then, or a clock was read since: this process knows all that it has to.
    pub(super) window_open: bool,
    /// Whether it can't do without a clock read after it began. While none can be had, L1 is not enough
    /// though its window is open.
    pub(super) needs_clock: bool,
}

impl Due {
    /// What a read of the primary must honour that was sent at `sent`: its clock was read after that,
    /// so every floor is reached, and what this process knows is left to ask.
    pub(super) fn of_primary(sent: Moment) -> Self {
        Self {
            floor: Floor::LOCAL,
            began: sent,
            window_open: true,
            needs_clock: false,
        }
    }
}

impl Engine {
    /// What a read at this level must honour. When it can't do with what this process knows, and the
    /// clock can't be had either, the read loads, and shares only a load that is younger than itself. A
    /// receipt is no clock: it says nothing of what has been invalidated since it was given.
    pub(super) async fn due(&self, level: Level) -> Due {
        if let Some(due) = self.due_at_once(level) {
            return due;
        }
        let due = Due {
            needs_clock: level != Level::Bounded,
            ..self.due_of_knowledge()
        };
        self.floored(due).await
    }

    /// With the clock on the primary as its floor.
    async fn floored(&self, mut due: Due) -> Due {
        due.window_open = false;
        if let Ok(clock) = self.store.clock().await {
            due.floor = Floor::at(clock);
        }
        due
    }

    /// Whether what a flight landed with is good for a read. One that began while the window was closed
    /// gets its floor only now: a clock that is read later asks for more, not less.
    pub(super) async fn question(&self, due: &mut Due, key: &str, offer: &Offer) -> Touched {
        if !due.window_open && due.floor.epoch.is_none() {
            *due = self.floored(*due).await;
        }
        self.good_for_read(key, offer, *due)
    }

    /// The same where no clock is needed.
    pub(super) fn due_at_once(&self, level: Level) -> Option<Due> {
        let due = self.due_of_knowledge();
        match level {
            Level::Bounded => Some(due),
            // There is no other process: what this one knows is all.
            _ if self.store.is_private() => Some(due),
            Level::Session(receipt) if due.window_open && self.has_come_to(receipt) => Some(Due {
                floor: Floor {
                    local: true,
                    epoch: Some(receipt.epoch()),
                },
                ..due
            }),
            Level::Session(_) | Level::Strict => None,
        }
    }

    /// Whether the log has been followed up to a receipt. One that it has not brought may still come, or be
    /// of a life that is over, or nobody's: as a floor that would be one which no result ever reaches. The
    /// clock on the primary tells, and does for the receipt, which was given before the read began.
    fn has_come_to(&self, receipt: Receipt) -> bool {
        self.applied()
            .is_some_and(|applied| applied.at_least(receipt.epoch()))
    }

    /// What a read must honour that is content with what this process knows.
    pub(super) fn due_of_knowledge(&self) -> Due {
        let began = self.clock.now();
        Due {
            floor: Floor::LOCAL,
            began,
            window_open: began < self.window(),
            needs_clock: false,
        }
    }

    /// Whether an offer may be handed to a read.
    pub(super) fn good_for_read(&self, key: &str, result: &Offer, due: Due) -> Touched {
        let Some(good) = result.good else {
            // No clock could be read, so nothing tells what has happened since the load began: it is shared
            // only with reads that began before it did. Not even one that is younger than Δ may be taken:
            // `everywhere()` does not wait for a process whose window has closed.
            let began_since = due.began < result.known_at;
            return if due.floor.epoch.is_none() && began_since {
                Touched::No
            } else {
                Touched::Hard
            };
        };
        if due.floor.epoch.is_none() && !due.window_open {
            return Touched::Hard;
        }
        good_for(due.floor, good, self.applied(), |since| {
            self.touched(key, &result.tags, since)
        })
    }
}
