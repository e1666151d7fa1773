//! The scenarios: small worlds, each with a budget within which everything that can happen is explored.

use crate::what::What;
use crate::world::Left;

mod all;

pub use all::ALL;

/// What a read asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Level {
    /// G(Δ).
    Bounded,
    /// G(0).
    Strict,
    /// Everything up to that call's receipt.
    Session(usize),
}

/// What a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The source is written, then this is invalidated.
    Invalidate(What),
    /// The source is written, then a glob is.
    Scan,
    /// An announced write.
    Set,
}

/// A call, by which process, and after which other has returned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallSpec {
    /// The process that makes it.
    pub(crate) process: usize,
    /// What it does.
    pub(crate) kind: Kind,
    /// It begins when that one has returned.
    pub(crate) after: Option<usize>,
}

/// What Redis can lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Loss {
    Clock,
    Tag(usize),
    Log,
    /// The oldest entry of the log.
    LogFront,
    /// Of the members: the mark, what each has applied, the list with the beats.
    Mark,
    Applied,
    Beats,
    Entry,
    Lease,
    /// FLUSHALL.
    All,
}

/// Which shards get a new primary, with what the replica has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Failover {
    Whole,
    Control,
    Entries,
}

/// A small world.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// The reads: which process, which level.
    pub(crate) readers: &'static [(usize, Level)],
    /// The calls.
    pub(crate) calls: &'static [CallSpec],
    /// Whether callers wait for everybody.
    pub(crate) everywhere: bool,
    /// Whether version 0 is in Redis to begin with.
    pub(crate) stored: bool,
    /// In whose L1 it is.
    pub(crate) resident: [bool; 2],
    /// Who follows the log to begin with, its window open; others have not begun to.
    pub(crate) follows: [bool; 2],
    /// Whether reads may take the local path.
    pub(crate) local_path: bool,
    /// Whether they ask memory before the table, and count from the newest epoch that memory has noted.
    pub(crate) memory_first: bool,
    /// Whether the tag tables hold the tags to begin with.
    pub(crate) table: bool,
    /// What may be lost.
    pub(crate) losses: &'static [Loss],
    /// What may fail over.
    pub(crate) failovers: &'static [Failover],
    /// Whether it takes long: not explored in full by `make test`.
    pub long: bool,
    /// How much of everything.
    pub(crate) left: Left,
}

impl Scenario {
    /// The scenario of that name.
    pub fn of(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|scenario| scenario.name == name)
    }
}
