//! What a store is told, and what it answers.
//!
//! Must not: ask the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::StoreError;
use crate::clock::Moment;
use crate::codec;
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::key::Tag;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::record::{Lease, Payload, Token};
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
    /// The value as the wanted type, and what it weighs in memory.
    pub(crate) fn open(&self, kind: Kind, policy: &Policy) -> Result<(Live, usize), Reason> {
        match self {
            Self::Live(live, bytes) => Ok((kind.adopt(live)?, *bytes)),
            Self::Packed(payload) => {
                let (codec, bytes) = codec::unpack(payload)?;
                let live = kind.decode(codec, &bytes)?;
                let weight = bytes.len() + live.beside(policy.objects);
                Ok((live, weight))
            }
        }
    }

    /// What a value weighs in memory that is `bytes` when it is encoded: from then on the store that keeps it as it is knows too.
    pub(crate) fn weigh(&mut self, live: &Live, bytes: usize, policy: &Policy) -> usize {
        let weight = bytes + live.beside(policy.objects);
        if let Self::Live(_, known) = self {
            *known = weight;
        }
        weight
    }

    /// A value as a store of this kind keeps it, its size when it is encoded, and whether it says *nothing*.
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

/// What an invalidation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalidated {
    pub(crate) epoch: Epoch,
    /// What is not done: where keys lie apart, what a node has that is out of reach.
    pub(crate) left: Option<Left>,
}

/// What of an invalidation is not done, and why. The rest is, its event included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) what: Invalidation,
    pub(crate) error: StoreError,
    /// Whether a node that has some of it was met, and failed only then: others may read what it has.
    pub(crate) was_met: bool,
}

impl Invalidated {
    pub(crate) fn whole(epoch: Epoch) -> Self {
        Self { epoch, left: None }
    }
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
    /// How often another primary had been met, wherever.
    pub(crate) changes: u64,
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
    pub(super) fn of(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One key of a listing.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Its canonical text, or for a long key its head and digest as the store names it.
    pub(crate) name: String,
}
