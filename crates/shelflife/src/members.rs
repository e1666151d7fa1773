//! The processes that follow the log, as an onlooker sees them.

use serde::Serialize;

use crate::cache::Cache;
use crate::epoch::Epoch;
use crate::error::Error;
use crate::store::{self, Member, Store};

/// The processes that follow the log of a namespace, at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Members {
    /// The clock of the namespace; `None` where nobody has used it yet.
    pub clock: Option<Epoch>,
    /// The server's time in ms.
    pub now: u64,
    /// Each of them.
    pub all: Vec<MemberState>,
}

/// A process that follows the log of the namespace.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct MemberState {
    /// Its process id, a random part, and its Δ in ms.
    pub member: String,
    /// The tick up to which it has applied the log; `None` while it resyncs.
    pub applied: Option<u64>,
    /// By how many ticks (µs) that is behind the clock; 0 when it is up to date.
    pub lag: Option<u64>,
    /// How long ago it last beat, in ms.
    pub silent_ms: u64,
    /// Its Δ in ms: its L1 answers for no longer than that after a beat.
    pub window_ms: u64,
    /// Whether its L1 may be answering.
    pub window_open: bool,
    /// For how long its window has been closed, at least, in ms.
    pub closed_ms: Option<u64>,
}

/// How far an invalidation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Spread {
    /// How many processes have applied it.
    pub by: usize,
    /// Of how many that count: those, and those whose L1 may still be answering without it.
    pub of: usize,
}

impl Spread {
    /// Whether nobody's L1 answers without it.
    pub fn is_complete(self) -> bool {
        self.by == self.of
    }
}

impl Members {
    /// How many there are, silent ones included.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether nobody follows the log.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many processes have applied an invalidation; `None` for one of another incarnation.
    pub fn spread(&self, epoch: Epoch) -> Option<Spread> {
        if self.clock?.inc != epoch.inc {
            return None;
        }
        let has = |m: &&MemberState| m.applied.is_some_and(|tick| tick >= epoch.tick);
        let by = self.all.iter().filter(has).count();
        let waited_for = self.all.iter().filter(|m| m.window_open && !has(m));
        Some(Spread {
            by,
            of: by + waited_for.count(),
        })
    }
}

impl Cache {
    /// The processes that follow the log of this namespace. With the embedded store there are none.
    /// Nothing is written.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn members(&self) -> Result<Members, Error> {
        let members: Option<store::Members> = match &self.engine.store {
            Store::Embedded(_) => None,
            #[cfg(feature = "redis")]
            Store::Redis(store) => store.roster().await?,
        };
        let Some(members) = members else {
            return Ok(Members {
                clock: None,
                now: 0,
                all: Vec::new(),
            });
        };
        let (clock, now) = (members.clock, members.now);
        Ok(Members {
            clock: Some(clock),
            now,
            all: members.all.iter().map(|m| state(m, clock, now)).collect(),
        })
    }
}

fn state(member: &Member, clock: Epoch, now: u64) -> MemberState {
    let silent_ms = now.saturating_sub(member.beat);
    let window_ms = u64::try_from(member.window.as_millis()).unwrap_or(u64::MAX);
    MemberState {
        member: member.name.clone(),
        applied: member.applied,
        lag: member.applied.map(|tick| clock.tick.saturating_sub(tick)),
        silent_ms,
        window_ms,
        window_open: silent_ms <= window_ms,
        closed_ms: silent_ms.checked_sub(window_ms).filter(|ms| *ms > 0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn members(all: &[(Option<u64>, u64)]) -> Members {
        let clock = Epoch::new(1, 100);
        let member = |&(applied, beat): &(Option<u64>, u64)| Member {
            name: "7-aa@1000".to_owned(),
            window: Duration::from_secs(1),
            applied,
            beat,
        };
        Members {
            clock: Some(clock),
            now: 10_000,
            all: all
                .iter()
                .map(|m| state(&member(m), clock, 10_000))
                .collect(),
        }
    }

    #[test]
    fn a_spread_counts_those_whose_l1_may_still_be_answering() {
        let spread = |all: &[(Option<u64>, u64)]| {
            let spread = members(all).spread(Epoch::new(1, 90)).unwrap();
            (spread.by, spread.of, spread.is_complete())
        };
        assert_eq!(
            spread(&[(Some(90), 9_900), (Some(89), 9_900)]),
            (1, 2, false)
        );
        assert_eq!(
            spread(&[(Some(100), 9_900), (None, 9_900)]),
            (1, 2, false),
            "one resyncs"
        );
        assert_eq!(
            spread(&[(Some(100), 9_900), (Some(89), 8_999)]),
            (1, 1, true),
            "one is silent"
        );
        assert_eq!(spread(&[(Some(100), 1)]), (1, 1, true), "it had applied it");
        assert_eq!(spread(&[]), (0, 0, true));
        assert!(
            members(&[]).spread(Epoch::new(2, 90)).is_none(),
            "another incarnation"
        );
    }

    #[test]
    fn a_member_is_open_until_its_window_is_over() {
        let all = members(&[(Some(98), 9_000), (None, 8_900)]).all;
        assert_eq!(
            (all[0].lag, all[0].window_open, all[0].closed_ms),
            (Some(2), true, None)
        );
        assert_eq!(
            (all[1].lag, all[1].window_open, all[1].closed_ms),
            (None, false, Some(100))
        );
    }
}
