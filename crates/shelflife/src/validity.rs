//! The two questions of the protocol, as pure functions.
//!
//! [`validity`]: what is a record worth against a view of the clock and its tags (PROTOCOL §3)?
//! [`good_for`]: is a result, known good up to some epoch, good enough for this read (PROTOCOL §1)?
//!
//! Every hand-over asks them: L1 insert, waiter, L2 hit, session. Time is an argument.
//!
//! Must not: do I/O, read a clock, lock.

use std::sync::Arc;

use crate::epoch::Epoch;
use crate::key::Tag;
use crate::reason::Reason;

/// The record of a tag: when it was last invalidated, hard and soft, in which incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TagRecord {
    /// The incarnation that wrote it.
    pub inc: u64,
    /// The tick of the last hard invalidation, or of its creation.
    pub hard: u64,
    /// The tick of the last soft invalidation.
    pub soft: u64,
}

/// What validity asks of a record: the facts of its fill.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Meta {
    /// Names this fill. Random; 0 for a record that holds no value.
    pub fill: u64,
    /// An epoch read before the load began.
    pub epoch: Epoch,
    /// When the value was stored, server time in ms.
    pub created: u64,
    /// Until when it is fresh, server time in ms.
    pub fresh_until: u64,
    /// Until when it may be served stale, server time in ms.
    pub stale_until: u64,
    /// What the load cost, in µs.
    pub cost: u32,
    /// The schema of the value; 0 for unspecified.
    pub schema: u32,
    /// Whether a soft invalidation of the key has marked it.
    pub softened: bool,
    /// All its tags, implicit ones included.
    pub tags: Arc<[Tag]>,
}

/// What a record is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// To be served as it is.
    Fresh,
    /// To be served while a refresh goes on, and as stale.
    Stale(Reason),
    /// Not to be served.
    Dead(Reason),
}

/// What a record is worth against the incarnation `inc`, the records of its tags and the time `now`
/// (server time in ms). PROTOCOL §3.
pub fn validity(
    meta: &Meta,
    inc: u64,
    tag: impl Fn(&Tag) -> Option<TagRecord>,
    now: u64,
) -> Validity {
    if meta.epoch.inc != inc {
        return Validity::Dead(Reason::OtherIncarnation);
    }
    let mut softened = meta.softened;
    for name in &*meta.tags {
        match tag(name) {
            None => return Validity::Dead(Reason::TagMissing),
            Some(t) if t.inc != inc => return Validity::Dead(Reason::TagMissing),
            Some(t) if t.hard > meta.epoch.tick => return Validity::Dead(Reason::TagNewer),
            Some(t) => softened |= t.soft > meta.epoch.tick,
        }
    }
    by_time(meta.fresh_until, meta.stale_until, softened, now)
}

/// The part of validity that is time: fresh, stale or past both.
pub(crate) fn by_time(fresh_until: u64, stale_until: u64, softened: bool, now: u64) -> Validity {
    if now >= stale_until.max(fresh_until) {
        Validity::Dead(Reason::PastStale)
    } else if softened {
        Validity::Stale(Reason::SoftInvalidated)
    } else if now >= fresh_until {
        Validity::Stale(Reason::PastFresh)
    } else {
        Validity::Fresh
    }
}

/// Whether an invalidation newer than some epoch names a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Touched {
    /// None does.
    No,
    /// Only soft ones do: it may be handed over as stale.
    Soft,
    /// A hard one does, or it can't be told.
    Hard,
}

/// What a read must honour, fixed when it begins and kept through its retries. PROTOCOL §1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Floor {
    /// It must honour what this process knows.
    pub local: bool,
    /// It must honour everything up to this epoch.
    pub epoch: Option<Epoch>,
}

impl Floor {
    /// A read that honours what this process knows.
    pub const LOCAL: Self = Self {
        local: true,
        epoch: None,
    };

    /// A read that honours everything up to `epoch`.
    pub const fn at(epoch: Epoch) -> Self {
        Self {
            local: false,
            epoch: Some(epoch),
        }
    }
}

/// Whether a result known good up to `good` may be handed to a read with this floor: `No` means that
/// it may, `Soft` that it may as stale, `Hard` that it may not. PROTOCOL §1.
///
/// `applied` is how far this process has followed the log; `touched` asks its memory whether anything
/// newer than an epoch names the result.
pub fn good_for(
    floor: Floor,
    good: Epoch,
    applied: Option<Epoch>,
    touched: impl Fn(Epoch) -> Touched,
) -> Touched {
    let local = if floor.local {
        touched(good)
    } else {
        Touched::No
    };
    let epoch = match floor.epoch {
        None => Touched::No,
        Some(f) if good.at_least(f) => Touched::No,
        Some(f) if applied.is_some_and(|a| a.at_least(f)) => touched(good),
        Some(_) => Touched::Hard,
    };
    local.max(epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INC: u64 = 7;

    fn meta(tick: u64) -> Meta {
        Meta {
            fill: 1,
            epoch: Epoch::new(INC, tick),
            created: 0,
            fresh_until: 100,
            stale_until: 200,
            cost: 0,
            schema: 0,
            softened: false,
            tags: [Tag::from("a"), Tag::from("b")].into(),
        }
    }

    fn tag(hard: u64, soft: u64) -> Option<TagRecord> {
        Some(TagRecord {
            inc: INC,
            hard,
            soft,
        })
    }

    #[test]
    fn validity_table() {
        use Reason::{PastFresh, PastStale, SoftInvalidated, TagMissing, TagNewer};
        use Validity::*;
        type Tags = [Option<TagRecord>; 2];
        let other = Some(TagRecord {
            inc: 8,
            hard: 0,
            soft: 0,
        });
        let table: [(&str, Tags, u64, Validity); 11] = [
            ("nothing newer", [tag(5, 0), tag(0, 5)], 99, Fresh),
            ("hard at the epoch itself", [tag(5, 0), tag(5, 0)], 0, Fresh),
            ("hard after it", [tag(0, 0), tag(6, 0)], 0, Dead(TagNewer)),
            (
                "soft after it",
                [tag(0, 6), tag(0, 0)],
                0,
                Stale(SoftInvalidated),
            ),
            (
                "hard wins over soft",
                [tag(0, 6), tag(6, 0)],
                0,
                Dead(TagNewer),
            ),
            ("a tag is missing", [tag(0, 0), None], 0, Dead(TagMissing)),
            (
                "a tag of another life",
                [other, tag(0, 0)],
                0,
                Dead(TagMissing),
            ),
            ("past fresh", [tag(0, 0), tag(0, 0)], 100, Stale(PastFresh)),
            (
                "last stale moment",
                [tag(0, 0), tag(0, 0)],
                199,
                Stale(PastFresh),
            ),
            ("past stale", [tag(0, 0), tag(0, 0)], 200, Dead(PastStale)),
            (
                "soft and past stale",
                [tag(0, 6), tag(0, 0)],
                200,
                Dead(PastStale),
            ),
        ];
        for (case, tags, now, expected) in table {
            let view = |t: &Tag| if t.as_str() == "a" { tags[0] } else { tags[1] };
            assert_eq!(validity(&meta(5), INC, view, now), expected, "{case}");
        }
    }

    #[test]
    fn another_incarnation_is_dead_however_young() {
        let dead = validity(&meta(5), INC + 1, |_| tag(0, 0), 0);
        assert_eq!(dead, Validity::Dead(Reason::OtherIncarnation));
    }

    #[test]
    fn good_for_table() {
        let at = |tick| Epoch::new(INC, tick);
        let touched_after = |tick: u64, how: Touched| {
            move |since: Epoch| if since.tick < tick { how } else { Touched::No }
        };
        let both = Floor {
            local: true,
            epoch: Some(at(5)),
        };
        // floor, good, applied, the tick and kind of an invalidation that names it, verdict
        let table = [
            (Floor::LOCAL, at(5), None, (5, Touched::Hard), Touched::No),
            (Floor::LOCAL, at(4), None, (5, Touched::Hard), Touched::Hard),
            (Floor::LOCAL, at(4), None, (5, Touched::Soft), Touched::Soft),
            (
                Floor::at(at(5)),
                at(5),
                None,
                (9, Touched::Hard),
                Touched::No,
            ),
            (
                Floor::at(at(5)),
                at(4),
                None,
                (0, Touched::No),
                Touched::Hard,
            ),
            (
                Floor::at(at(5)),
                at(4),
                Some(at(4)),
                (0, Touched::No),
                Touched::Hard,
            ),
            (
                Floor::at(at(5)),
                at(4),
                Some(at(5)),
                (0, Touched::No),
                Touched::No,
            ),
            (
                Floor::at(at(5)),
                at(4),
                Some(at(5)),
                (5, Touched::Hard),
                Touched::Hard,
            ),
            (both, at(5), None, (6, Touched::Hard), Touched::Hard),
            (both, at(6), None, (6, Touched::Hard), Touched::No),
        ];
        for (i, (floor, good, applied, (tick, how), expected)) in table.into_iter().enumerate() {
            let verdict = good_for(floor, good, applied, touched_after(tick, how));
            assert_eq!(verdict, expected, "row {i}");
        }
    }

    #[test]
    fn a_floor_of_another_incarnation_is_never_reached() {
        let f = Floor::at(Epoch::new(INC + 1, 1));
        let verdict = good_for(f, Epoch::new(INC, 9), Some(Epoch::new(INC, 9)), |_| {
            Touched::No
        });
        assert_eq!(verdict, Touched::Hard);
    }
}
