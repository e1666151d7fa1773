//! What the processes tell: reads, invalidations, loads. And how it travels.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use serde::{Deserialize, Serialize};

use crate::stamp::Stamp;
use crate::world::Target;

/// A process of one hunt. A number is never given again.
pub type Process = u32;

/// What a read was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Nothing older than what was confirmed more than Δ ago.
    Bounded,
    /// Nothing older than what was confirmed.
    Strict,
    /// As bounded, and nothing older than a given invalidation and those before it.
    Session,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bounded, Self::Strict, Self::Session];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bounded => "bounded",
            Self::Strict => "strict",
            Self::Session => "session",
        }
    }
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Tier {
    /// The process itself.
    L1,
    /// The shared store.
    L2,
    /// A load, its own or a shared one.
    Load,
    /// Not told: several keys were read at once.
    Untold,
}

impl Tier {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::L1, Self::L2, Self::Load, Self::Untold];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
            Self::Load => "load",
            Self::Untold => "untold",
        }
    }
}

/// The receipt that a session read held, and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The version of the read's key that the invalidation was about.
    pub version: u64,
    /// Whether it only marked.
    pub soft: bool,
    /// Its epoch: the incarnation.
    pub inc: u64,
    /// Its epoch: the tick.
    pub tick: u64,
    /// When the receipt was given.
    pub given: Stamp,
}

/// One answered read of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// Which key was asked for.
    pub key: u8,
    /// At which level.
    pub level: Level,
    /// Whether the answer said of itself that it is stale.
    pub stale: bool,
    /// Where it came from.
    pub tier: Tier,
    /// Before the cache was called.
    pub began: Stamp,
    /// After it had answered.
    pub ended: Stamp,
    /// The key that the value is of.
    pub of: u8,
    /// The source's version that the value holds.
    pub version: u64,
    /// The receipt of a session read.
    pub held: Option<Held>,
}

#[cfg(test)]
impl Read {
    /// A bounded read of the first key that L1 has answered at once, with the first version.
    pub(crate) fn at(began: Stamp) -> Self {
        Self {
            key: 0,
            level: Level::Bounded,
            stale: false,
            tier: Tier::L1,
            began,
            ended: began,
            of: 0,
            version: 1,
            held: None,
        }
    }
}

/// An invalidation that the cache has confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// What was changed.
    pub target: Target,
    /// Whether it only marks: answers may be older, if they say so.
    pub soft: bool,
    /// Whether every process was waited for.
    pub everywhere: bool,
    /// Before the cache was called, after the source had changed.
    pub called: Stamp,
    /// After the cache had returned.
    pub confirmed: Stamp,
    /// The receipt's incarnation.
    pub inc: u64,
    /// The receipt's tick.
    pub tick: u64,
    /// The keys that it names, each with the version that the source had from then on.
    pub named: Vec<(u8, u64)>,
}

/// A load: what the source was asked, for the history only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Of which key.
    pub key: u8,
    /// When the loader was called.
    pub began: Stamp,
    /// When it returned.
    pub ended: Stamp,
    /// What it found.
    pub version: u64,
}

/// What happened too often to be told one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Reads that found nothing and were not to load.
    pub nothing: u64,
    /// Reads that ended with the error of their load.
    pub failed_reads: u64,
    /// Reads that ended with any other error, by its text: none should.
    pub broken_reads: BTreeMap<String, u64>,
    /// Loads that were made to fail.
    pub failed_loads: u64,
    /// Starts that the cache refused.
    pub refused: u64,
}

impl Counts {
    /// Adds what another process counted.
    pub fn add(&mut self, other: Self) {
        self.nothing += other.nothing;
        self.failed_reads += other.failed_reads;
        for (error, times) in other.broken_reads {
            *self.broken_reads.entry(error).or_default() += times;
        }
        self.failed_loads += other.failed_loads;
        self.refused += other.refused;
    }
}

/// What a process tells at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Who tells.
    pub process: Process,
    /// What is told later began, or was confirmed, no earlier than this.
    pub watermark: Stamp,
    /// Reads that have been answered.
    pub reads: Vec<Read>,
    /// Invalidations that have been confirmed.
    pub confirmed: Vec<Confirmed>,
    /// Invalidations that the cache did not confirm, with the moment when it said so.
    pub unconfirmed: Vec<Confirmed>,
    /// Loads that have ended.
    pub loads: Vec<Load>,
    /// What else there was since the last frame.
    pub counts: Counts,
}

/// A frame longer than this is damage.
const LONGEST: u32 = 64 << 20;

impl Frame {
    /// Writes it: its length, then itself.
    ///
    /// # Errors
    ///
    /// When nobody reads.
    pub fn send(&self, to: &mut TcpStream) -> io::Result<()> {
        let body = rmp_serde::to_vec(self).map_err(io::Error::other)?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        to.write_all(&length.to_be_bytes())?;
        to.write_all(&body)
    }

    /// Reads the next one.
    ///
    /// # Errors
    ///
    /// When there is none any more; a frame that was cut short is lost with its process.
    pub fn receive(from: &mut impl io::Read) -> io::Result<Self> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > LONGEST {
            return Err(io::Error::other(format!("a frame of {length} bytes")));
        }
        let mut body = Vec::new();
        from.take(u64::from(length)).read_to_end(&mut body)?;
        rmp_serde::from_slice(&body).map_err(io::Error::other)
    }
}
