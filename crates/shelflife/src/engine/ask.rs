//! What is asked of the engine, and what it answers.

use std::sync::Arc;

use super::flight::Offer;
use super::load::Chain;
use crate::epoch::Receipt;
use crate::key::Tag;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::status::Status;
use crate::validity::Touched;
use crate::value::{Kind, Live};

/// What a read must honour beyond what this process knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Level {
    /// G(Δ).
    #[default]
    Bounded,
    /// G(0): the clock is read from the primary.
    Strict,
    /// Everything up to a given invalidation.
    Session(Receipt),
}

/// A read: which key, as what, under which policy.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) key: Arc<str>,
    /// All tags, implicit ones included.
    pub(crate) tags: Arc<[Tag]>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) level: Level,
    pub(crate) kind: Kind,
    /// What a load must replace, though it may be fresh.
    pub(crate) replace: Replace,
    /// What does when there is nothing fresh.
    pub(crate) takes: Takes,
    /// The loads inside which this read runs: it can't wait for one of them.
    pub(crate) inside: Option<Arc<Chain>>,
}

/// Which stored value does not satisfy a read, though it may be fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replace {
    /// None: a fresh value is the answer.
    Nothing,
    /// This fill: an early refresh replaces it, unless another process has.
    Fill(u64),
    /// Any.
    Anything,
}

impl Replace {
    pub(super) fn replaces(self, fill: u64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Fill(known) => known == fill,
            Self::Anything => true,
        }
    }
}

/// What a read that loads takes when nothing fresh is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// A stale value within its window, while it is refreshed or when its load fails; as the last resort a
    /// load for itself alone.
    Stale,
    /// Whatever is stored, fresh or stale: it loads only where there is nothing. Its caller judges by more
    /// than time, and asks again for a landing. Never a load for itself alone: its caller has the source at
    /// hand, and is told [`Alone`](super::load::Failure::Alone).
    Stored,
    /// What is fresh, or the landing of a load; otherwise as `Stored`.
    Landings,
}

/// What a read gave.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) live: Live,
    pub(crate) status: Status,
}

pub(super) fn answer_of(offer: &Offer) -> Answer {
    Answer {
        live: offer.live.clone(),
        status: offer.status,
    }
}

pub(super) fn as_stale_if(touched: Touched, mut answer: Answer) -> Answer {
    if touched == Touched::Soft {
        answer.status = answer.status.stale(Reason::SoftInvalidated);
    }
    answer
}
