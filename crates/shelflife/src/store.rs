//! What the engine asks of a store, whichever it is.
//!
//! A store keeps the clock, the records of tags, the log, and the entries; it carries out the steps of
//! the protocol that must be atomic. It does not judge: validity and `good` are the engine's to ask.
//! Two stores keep this contract, the embedded one and Redis; one suite of tests runs on both.
//!
//! Must not: decide whether an entry may be served.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::codec;
use crate::counters::{Step, StepStats};
use crate::embedded::Embedded;
use crate::epoch::Epoch;
use crate::error::{Error, ErrorKind};
use crate::invalidation::Invalidation;
use crate::key::Tag;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::record::{Lease, Payload, Token};
#[cfg(feature = "redis")]
pub(crate) use crate::redis::LogLine;
use crate::stretches::Stretches;
use crate::validity::{Meta, TagRecord};
use crate::value::{Kind, Live};

/// A value as a store keeps it.
#[derive(Clone)]
pub(crate) enum Body {
    /// As it is: the embedded store.
    Live(Live, usize),
    /// As bytes: a shared store.
    Packed(Payload),
}

impl Body {
    /// The value as the wanted type, and its weight in bytes.
    pub(crate) fn open(&self, kind: Kind) -> Result<(Live, usize), Reason> {
        match self {
            Self::Live(live, bytes) => Ok((kind.adopt(live)?, *bytes)),
            Self::Packed(payload) => {
                let (codec, bytes) = codec::unpack(payload)?;
                Ok((kind.decode(codec, &bytes)?, bytes.len()))
            }
        }
    }

    /// A value as a store of this kind keeps it, its weight, and whether it says *nothing*.
    pub(crate) fn of(
        live: &Live,
        policy: &Policy,
        private: bool,
    ) -> Result<(Self, usize, bool), Reason> {
        let unencodable = |error: codec::EncodeError| {
            tracing::warn!(%error, "a value can't be stored");
            Reason::Unencodable
        };
        if private {
            let weighed = live.weigh().map_err(unencodable)?;
            return Ok((
                Self::Live(live.clone(), weighed.bytes),
                weighed.bytes,
                weighed.nil,
            ));
        }
        let bytes = live.encode(policy.codec).map_err(unencodable)?;
        let (len, nil) = (bytes.len(), codec::is_nil(policy.codec, &bytes));
        let payload = codec::pack(
            policy.codec,
            policy.compression,
            policy.compress_over,
            bytes,
        )?;
        Ok((Self::Packed(payload), len, nil))
    }
}

/// An entry that holds a value, with the records of its tags, in their order.
pub(crate) struct Held {
    pub(crate) meta: Meta,
    pub(crate) lease: Option<Lease>,
    pub(crate) body: Body,
    pub(crate) tags: Vec<Option<TagRecord>>,
}

impl Held {
    /// The record of one of its tags.
    pub(crate) fn tag(&self, name: &Tag) -> Option<TagRecord> {
        let at = self.meta.tags.iter().position(|t| t == name)?;
        *self.tags.get(at)?
    }
}

/// What stands under a key.
pub(crate) enum Slot {
    Empty,
    /// A lease, no value.
    Leased,
    /// Something that is no entry of this key. `seen` is what stands where a fill id would.
    Bad {
        reason: Reason,
        seen: u64,
    },
    Value(Box<Held>),
}

impl Slot {
    /// The fill id that `begin` is to compare.
    pub(crate) fn seen(&self) -> u64 {
        match self {
            Self::Empty | Self::Leased => 0,
            Self::Bad { seen, .. } => *seen,
            Self::Value(held) => held.meta.fill,
        }
    }
}

/// What a read on the primary path saw: the clock first, then the slot, then the tags.
pub(crate) struct Snapshot {
    pub(crate) clock: Epoch,
    /// When the read was sent, by the process's clock: the clock is at least as young as this.
    pub(crate) sent: Moment,
    pub(crate) slot: Slot,
    /// Whether the lease that was asked for is placed: only ever on an empty slot.
    pub(crate) granted: bool,
    /// Whether the records of all hinted tags exist: else a load must have them made before it begins,
    /// or its fill would find them newer than itself.
    pub(crate) tags_known: bool,
}

/// What one command found under a key: tags are the reader's to know.
pub(crate) struct Fetched {
    /// A value comes without the records of its tags.
    pub(crate) slot: Slot,
    /// When the command was sent, by the process's clock.
    pub(crate) sent: Moment,
    /// Whether the lease that was asked for is placed: only ever on an empty slot.
    pub(crate) granted: bool,
}

/// A lease that is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) token: Token,
    pub(crate) lease: Duration,
}

/// What `begin` said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// The lease is ours.
    Granted,
    /// The lease is ours; what stood there was no string.
    Replaced,
    /// Another fill stands there than the one that was judged.
    Changed,
    /// Another's lease is live.
    Held,
}

/// What `fill` said, with the clock that it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// Stored, and nothing newer than its epoch by the records of its tags.
    Stored(Epoch),
    /// Not stored: something newer names it. The lease is released.
    Overtaken(Epoch),
    /// Not stored: the token is gone.
    LeaseLost(Epoch),
}

/// An entry to be stored. `meta.epoch` is set by the store for a write.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: Arc<str>,
    pub(crate) meta: Meta,
    pub(crate) body: Body,
    /// How long the store must keep it: to the end of its stale window.
    pub(crate) keep: Duration,
}

/// How many entries one step stores.
pub(crate) const SET_AT_ONCE: usize = 200;

/// When the caller of a set handed its value over: from then on it counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) at: Moment,
    /// A clock that is known to have been before; `None` if none is known now.
    pub(crate) known: Option<Epoch>,
    /// Whether this process has never known one.
    pub(crate) is_first: bool,
}

/// What a set did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Put {
    /// The clock before it: between the two there was nothing.
    pub(crate) before: Epoch,
    /// The epoch of the invalidation that it is.
    pub(crate) epoch: Epoch,
    /// Of each entry whether it stands now; else nothing does.
    pub(crate) stored: Vec<bool>,
    /// Which entries could not be stored, and why: where keys lie apart, a node that is out of reach has some of them.
    pub(crate) failed: Vec<(usize, StoreError)>,
    /// Whether entries, clock and log changed in one step: nothing lies between.
    pub(crate) at_once: bool,
}

/// What goes into the log beside an invalidation: a name and a JSON payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoggedEvent {
    pub(crate) name: String,
    pub(crate) payload: String,
}

/// An entry of the log.
#[derive(Clone, Debug)]
pub(crate) struct LogEntry {
    pub(crate) epoch: Epoch,
    /// The epoch before it; `None` for the first of an incarnation.
    pub(crate) prev: Option<Epoch>,
    pub(crate) hard: Invalidation,
    pub(crate) soft: Invalidation,
    /// The process that wrote it, as among the members; `None` for what the server noted by itself.
    pub(crate) origin: Option<String>,
    /// What happened, if the entry tells of an event.
    pub(crate) event: Option<LoggedEvent>,
    /// Whether somebody waits until everyone has applied it.
    pub(crate) awaited: bool,
    /// Whether it names nothing but keys that were set, of which other sets take no notice.
    pub(crate) only_sets: bool,
    /// Why the clock jumped or began anew: `jump`, `new`.
    pub(crate) note: Option<String>,
}

/// What a beat is answered.
#[derive(Clone, Debug)]
pub(crate) struct BeatAnswer {
    pub(crate) clock: Epoch,
    /// The tick of the log's last entry, 0 for none.
    pub(crate) last_logged: u64,
    /// Which primary answered.
    pub(crate) replid: String,
    /// Its time in ms.
    pub(crate) server_ms: u64,
}

/// A process that follows the log.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Its Δ.
    pub(crate) window: Duration,
    /// What it has applied; `None` while it resyncs, or of another incarnation.
    pub(crate) applied: Option<u64>,
    /// When it last beat, server time in ms.
    pub(crate) beat: u64,
}

/// The processes that follow the log, as the server knows them.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    pub(crate) clock: Epoch,
    /// Server time in ms.
    pub(crate) now: u64,
    /// Since when the list is kept, server time in ms; `None` when there is none.
    pub(crate) since: Option<u64>,
    pub(crate) all: Vec<Member>,
}

/// Somebody waits until what this process invalidates is applied everywhere.
pub(crate) struct Awaited(Arc<AtomicUsize>);

impl Awaited {
    #[cfg(feature = "redis")]
    fn of(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a store could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct StoreError {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    /// The server doesn't know the script: send its text.
    pub(crate) no_script: bool,
}

impl StoreError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            no_script: false,
        }
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Error::new(error.kind, error.message)
    }
}

pub(crate) type StoreResult<T> = Result<T, StoreError>;

/// One key of a listing.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Its canonical text, or for a long key its head and digest as the store names it.
    pub(crate) name: String,
}

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
    pub(crate) async fn read_many(&self, keys: &[Arc<str>]) -> StoreResult<Vec<Snapshot>> {
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

    /// Carries out an invalidation and logs it, with an event if there is one; gives its epoch.
    pub(crate) async fn invalidate(
        &self,
        what: &Arc<Invalidation>,
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Epoch> {
        befalls!(
            self,
            Step::Invalidate,
            match self {
                Self::Embedded(s) => s.invalidate(what, event),
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
