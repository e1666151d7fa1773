//! What the engine asks of a store, whichever it is.
//!
//! A store keeps the clock, the records of tags, the log, and the entries; it carries out the steps of
//! the protocol that must be atomic. It does not judge: validity and `good` are the engine's to ask.
//! Two stores keep this contract, the embedded one and Redis; one suite of tests runs on both.
//!
//! ```text
//! facts.rs   what a store is told, and what it answers
//! error.rs   why it could not do what it was asked
//! ```
//!
//! Must not: decide whether an entry may be served.

mod error;
mod facts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::counters::{NodeStats, Step, StepStats};
use crate::embedded::Embedded;
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::key::Tag;
use crate::record::Token;
#[cfg(feature = "redis")]
pub(crate) use crate::redis::LogLine;
use crate::stretches::Stretches;

pub(crate) use error::{StoreError, StoreResult};
#[cfg(feature = "redis")]
pub(crate) use facts::BeatAnswer;
pub(crate) use facts::{
    Awaited, Begun, Body, Call, Entry, Fetched, Filled, Held, Invalidated, Left, Listed, LogEntry,
    LoggedEvent, Member, Members, Put, SET_AT_ONCE, Slot, Snapshot, Wanted,
};

/// The store of a cache.
pub(crate) enum Store {
    Embedded(Embedded),
    #[cfg(feature = "redis")]
    Redis(crate::redis::RedisStore),
}

macro_rules! each {
    ($self:ident, $store:ident => $call:expr) => {
        match $self {
            Self::Embedded($store) => $call,
            #[cfg(feature = "redis")]
            Self::Redis($store) => $call,
        }
    };
}

macro_rules! each_async {
    ($self:ident, $store:ident => $call:expr) => {
        match $self {
            Self::Embedded($store) => $call,
            #[cfg(feature = "redis")]
            Self::Redis($store) => $call.await,
        }
    };
}

/// The same, and notes how a shared store's answer went.
macro_rules! each_noted {
    ($self:ident, $step:expr, $store:ident => $call:expr) => {
        befalls!(
            $self,
            $step,
            match $self {
                Self::Embedded($store) => $call,
                #[cfg(feature = "redis")]
                Self::Redis($store) => $store.calls.note($step, std::pin::pin!($call)).await,
            }
        )
    };
}

/// A step, with the faults that strike it.
#[cfg(feature = "chaos")]
macro_rules! befalls {
    ($self:ident, $step:expr, $call:expr) => {
        $self
            .faults()
            .around($step.into(), std::pin::pin!(async { $call }))
            .await
    };
}

#[cfg(not(feature = "chaos"))]
macro_rules! befalls {
    ($self:ident, $step:expr, $call:expr) => {
        $call
    };
}

impl Store {
    /// What a shared store was asked, and how that went.
    pub(crate) fn calls(&self) -> BTreeMap<Step, StepStats> {
        match self {
            Self::Embedded(_) => BTreeMap::new(),
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.calls.read(),
        }
    }

    /// Waits until all nodes are connected to, no longer than an answer may take.
    pub(crate) async fn come_up(&self) {
        match self {
            Self::Embedded(_) => {}
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.come_up().await,
        }
    }

    /// How the nodes of a shared store are doing, as this process is connected to them.
    pub(crate) fn nodes(&self) -> Vec<NodeStats> {
        match self {
            Self::Embedded(_) => Vec::new(),
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.nodes(),
        }
    }

    /// The faults that it was built with.
    #[cfg(feature = "chaos")]
    fn faults(&self) -> &crate::chaos::Installed {
        each!(self, s => &s.faults)
    }

    /// Whether it answers now.
    pub(crate) async fn ping(&self) -> StoreResult<()> {
        befalls!(
            self,
            Step::Clock,
            match self {
                Self::Embedded(_) => Ok(()),
                #[cfg(feature = "redis")]
                Self::Redis(store) => store.ping().await,
            }
        )
    }

    /// Whether this process sees every invalidation at once, because there is no other.
    pub(crate) fn is_private(&self) -> bool {
        // Interleavings are explored on an embedded one that stands in for a shared one.
        !cfg!(all(test, shelflife_shuttle)) && matches!(self, Self::Embedded(_))
    }

    /// Server time in ms, estimated from the process's clock.
    pub(crate) fn server_ms(&self, now: Moment) -> u64 {
        each!(self, s => s.server_ms(now))
    }

    /// The process's moment of a server time in ms, as things stand at `now`.
    pub(crate) fn moment_of(&self, server_ms: u64, now: Moment) -> Moment {
        let ahead = server_ms as i128 - self.server_ms(now) as i128;
        let ns = now.0 as i128 + ahead * 1_000_000;
        Moment(u64::try_from(ns.max(0)).unwrap_or(u64::MAX))
    }

    /// The clock, from the primary; creates it when there is none.
    pub(crate) async fn clock(&self) -> StoreResult<Epoch> {
        each_noted!(self, Step::Clock, s => s.clock())
    }

    /// Clock, slot and tags, in that order; places the lease if the slot is empty and one is wanted.
    /// `hints` are tags that the entry probably has.
    pub(crate) async fn read(
        &self,
        key: &str,
        hints: &[Tag],
        wanted: Option<Wanted>,
    ) -> StoreResult<Snapshot> {
        each_noted!(self, Step::Read, s => s.read(key, hints, wanted))
    }

    /// The slot alone, in one command; places the lease if it is empty and one is wanted.
    pub(crate) async fn fetch(&self, key: &str, wanted: Option<Wanted>) -> StoreResult<Fetched> {
        befalls!(
            self,
            Step::Read,
            match self {
                Self::Embedded(s) => {
                    let Snapshot {
                        slot,
                        sent,
                        granted,
                        ..
                    } = s.read(key, &[], wanted)?;
                    Ok(Fetched {
                        slot,
                        sent,
                        granted,
                    })
                }
                #[cfg(feature = "redis")]
                Self::Redis(s) =>
                    s.calls
                        .note(Step::Read, std::pin::pin!(s.fetch(key, wanted)))
                        .await,
            }
        )
    }

    /// The slots of several keys, in one round trip.
    pub(crate) async fn read_many(
        &self,
        keys: &[Arc<str>],
    ) -> StoreResult<Vec<StoreResult<Snapshot>>> {
        each_noted!(self, Step::ReadMany, s => s.read_many(keys))
    }

    /// Places our lease, if the fill that was judged still stands and no other lease is live.
    pub(crate) async fn begin(&self, key: &str, seen: u64, wanted: Wanted) -> StoreResult<Begun> {
        each_noted!(self, Step::Lease, s => s.begin(key, seen, wanted))
    }

    /// Extends our lease; `false` when the token is gone. Never recreates it.
    pub(crate) async fn extend(&self, key: &str, wanted: Wanted) -> StoreResult<bool> {
        each_noted!(self, Step::Lease, s => s.extend(key, wanted))
    }

    /// Gives the lease back, if it is still ours.
    pub(crate) async fn release(&self, key: &str, token: Token) -> StoreResult<()> {
        each_noted!(self, Step::Lease, s => s.release(key, token))
    }

    /// Creates the records of tags that are missing; gives the clock.
    pub(crate) async fn ensure_tags(&self, tags: &[Tag], keep: Duration) -> StoreResult<Epoch> {
        each_noted!(self, Step::Tags, s => s.ensure_tags(tags, keep))
    }

    /// Stores a loaded value under our lease: `ensure_tags`, then the fill.
    pub(crate) async fn fill(&self, entry: Entry, token: Token) -> StoreResult<Filled> {
        each_noted!(self, Step::Fill, s => s.fill(entry, token))
    }

    /// Stores up to [`SET_AT_ONCE`] values whatever is there, each as an invalidation of its key; not those
    /// that something has named since their call began. No two have the same key. Where the log is known to hold
    /// sets only, it need not be looked at.
    pub(crate) async fn set(
        &self,
        values: Vec<(Entry, Call)>,
        only_sets: &Stretches,
    ) -> StoreResult<Put> {
        befalls!(
            self,
            Step::Write,
            match self {
                Self::Embedded(s) => {
                    let _ = only_sets;
                    s.set(values)
                }
                #[cfg(feature = "redis")]
                Self::Redis(s) =>
                    s.calls
                        .note(Step::Write, std::pin::pin!(s.set(values, only_sets)))
                        .await,
            }
        )
    }

    /// Places a write token, stealing any lease; gives the epoch from which the value counts.
    pub(crate) async fn begin_write(
        &self,
        key: &str,
        tags: &[Tag],
        keep: Duration,
        wanted: Wanted,
    ) -> StoreResult<Epoch> {
        each_noted!(self, Step::Write, s => s.begin_write(key, tags, keep, wanted))
    }

    /// Stores a value while the write token stands, else removes the entry; either way the key counts
    /// as invalidated. Gives that epoch and whether the value was stored.
    pub(crate) async fn write(&self, entry: Entry, token: Token) -> StoreResult<(Epoch, bool)> {
        each_noted!(self, Step::Write, s => s.write(entry, token))
    }

    /// Carries out an invalidation and logs it, with an event if there is one; gives its epoch, and what a node
    /// that is out of reach has left undone.
    pub(crate) async fn invalidate(
        &self,
        what: &Arc<Invalidation>,
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Invalidated> {
        befalls!(
            self,
            Step::Invalidate,
            match self {
                Self::Embedded(s) => s.invalidate(what, event).map(Invalidated::whole),
                #[cfg(feature = "redis")]
                Self::Redis(s) => {
                    let invalidating = async {
                        s.announce_scan(&what.patterns).await?;
                        s.invalidate(what, event).await
                    };
                    s.calls
                        .note(Step::Invalidate, std::pin::pin!(invalidating))
                        .await
                }
            }
        )
    }

    /// Up to a page of the log's entries behind the tick `after`, up to and with `last`. The embedded store
    /// has no log: nobody else writes to it.
    pub(crate) async fn logged(&self, after: u64, last: u64) -> StoreResult<Vec<LogEntry>> {
        befalls!(
            self,
            Step::Log,
            match self {
                Self::Embedded(_) => {
                    let _ = (after, last);
                    Ok(Vec::new())
                }
                #[cfg(feature = "redis")]
                Self::Redis(s) =>
                    s.calls
                        .note(Step::Log, std::pin::pin!(s.logged(after, last)))
                        .await,
            }
        )
    }

    /// Whether the log holds the entry of this epoch.
    pub(crate) async fn has_logged(&self, epoch: Epoch) -> StoreResult<bool> {
        let found = self
            .logged(epoch.tick.saturating_sub(1), epoch.tick)
            .await?;
        Ok(found.iter().any(|entry| entry.epoch == epoch))
    }

    /// Asks of all processes that they tell at once when they have applied what this one invalidates,
    /// until what is returned is dropped.
    pub(crate) fn await_all(&self) -> Option<Awaited> {
        match self {
            Self::Embedded(_) => None,
            #[cfg(feature = "redis")]
            Self::Redis(s) => Some(Awaited::of(s.awaited())),
        }
    }

    /// The names of up to about `page` keys that may match, from `cursor` on; the next cursor, or
    /// `None` at the end.
    pub(crate) async fn list(
        &self,
        literal_prefix: &str,
        cursor: u64,
        page: usize,
    ) -> StoreResult<(Vec<Listed>, Option<u64>)> {
        befalls!(
            self,
            Step::ReadMany,
            each_async!(self, s => s.list(literal_prefix, cursor, page))
        )
    }

    /// The processes that follow the log. The embedded store has none but this one.
    pub(crate) async fn members(&self) -> StoreResult<Members> {
        befalls!(
            self,
            Step::Log,
            match self {
                Self::Embedded(s) => {
                    let clock = s.clock()?;
                    Ok(Members {
                        clock,
                        now: 0,
                        since: None,
                        all: Vec::new(),
                    })
                }
                #[cfg(feature = "redis")]
                Self::Redis(s) => s.calls.note(Step::Log, std::pin::pin!(s.members())).await,
            }
        )
    }

    /// Frees what has expired in this process, without its being read.
    pub(crate) fn sweep(&self) {
        match self {
            Self::Embedded(s) => s.sweep(),
            #[cfg(feature = "redis")]
            Self::Redis(_) => {}
        }
    }
}
