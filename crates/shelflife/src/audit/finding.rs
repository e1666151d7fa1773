//! What an audit has to tell.

use serde::Serialize;

use crate::watch::Logged;

/// What a disagreement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Class {
    /// The invalidation is younger than Δ: allowed.
    Within,
    /// The invalidation is older than Δ: the promise is broken.
    Violation,
    /// Somebody changed or deleted something outside the protocol, which promises nothing about that.
    Foreign,
}

/// A tier that would not answer as a strict read did just before.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Disagreement {
    /// The key, as canonical text.
    pub key: String,
    /// `l1`, or `l2` for what the store holds as judged by this process without asking the primary.
    pub tier: &'static str,
    /// What it is.
    pub class: Class,
    /// What the tier would have answered: `fresh`, or `stale` and why.
    pub said: String,
    /// What the strict read gave, and why.
    pub strict: String,
    /// What makes the tier's answer wrong.
    pub cause: String,
    /// The epoch before the load of what the tier holds: whatever is newer and names it makes it dead.
    pub epoch: String,
    /// Names the fill that the tier holds.
    pub fill: String,
    /// When the tier would have answered, by the server's clock, in µs.
    pub asked_us: u64,
    /// When the oldest invalidation was made that the answer does not honour, in µs.
    pub invalidated_us: Option<u64>,
    /// How old that was then, in ms.
    pub age_ms: Option<u64>,
    /// The last entries of the log that name the key or one of its tags and are newer than the load.
    pub history: Vec<Logged>,
}

/// Something stored that should not be as it is. It costs misses or memory, never staleness.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// Its name: a key, a tag, or for what is neither its name in the server.
    pub name: String,
    /// `entry`, `tag` or `name`.
    pub of: &'static str,
    /// What is wrong, in a word: the reason why it is a miss, `tag_missing`, `no_expiry` or `unknown`.
    pub fault: String,
    /// The same in a sentence.
    pub detail: String,
}

/// What an audit has to tell.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Finding {
    /// Two answers that are not the same.
    Disagreement(Box<Disagreement>),
    /// Something that is not in order.
    Fault(Fault),
    /// Every key of the namespace has been looked at, for the n-th time.
    Round(u64),
    /// That was all: only with [`AuditPlan::once`](crate::AuditPlan::once).
    Done,
}

/// What an audit has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditSummary {
    /// How often every key of the namespace has been looked at.
    pub rounds: u64,
    /// How many looks at a key there were.
    pub looks: u64,
    /// How many keys are kept and looked at again and again.
    pub kept: u64,
    /// Answers of L1 that were compared.
    pub l1: u64,
    /// Answers of the store, judged without asking the primary, that were compared.
    pub l2: u64,
    /// Looks at which L1 would have answered nothing because its window was closed.
    pub window_closed: u64,
    /// Entries of the log that were seen.
    pub logged: u64,
    /// Disagreements that are allowed.
    pub within: u64,
    /// Disagreements that break the promise.
    pub violations: u64,
    /// Disagreements that somebody made outside the protocol.
    pub foreign: u64,
    /// Answers of which it could not be told, because entries of the log were missed.
    pub untold: u64,
    /// Looks at values of another incarnation than the clock's: dead, as all are that were stored before it was lost.
    pub other_incarnation: u64,
    /// Things that are not in order.
    pub faults: u64,
}
