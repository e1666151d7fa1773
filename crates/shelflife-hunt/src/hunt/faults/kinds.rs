//! What can go wrong, and how often it does.

use clap::ValueEnum;

use crate::hunt::stage::Topology;

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Fault {
    /// Every one of the others.
    All,
    /// None.
    None,
    /// A process is stopped for a while, up to three times Δ.
    Pause,
    /// A process is killed, and another started in its place.
    Kill,
    /// A process ends as it should while it reads and writes, and another is started in its place.
    Close,
    /// Redis is stopped for a while.
    Freeze,
    /// Redis is killed, and started again, empty.
    Restart,
    /// Redis is killed, and started again with what it had saved more than Δ before. Nothing was invalidated
    /// since then, but everyone has gone on.
    Disk,
    /// All connections are closed by the server.
    Clients,
    /// The server forgets all scripts.
    Scripts,
    /// The server is out of memory for a while: it evicts, or refuses writes.
    Memory,
    /// Everything is deleted.
    Flush,
    /// Some key is deleted, of whatever kind: an entry, a tag, the clock, the log, the members.
    Lose,
    /// The log is cut short.
    Trim,
    /// The connections of a process break.
    Cut,
    /// The wire of a process is slow for a while.
    Slow,
    /// The wire of a process passes nothing on for a while.
    Hold,
    /// A process is not let in for a while, and its connections break.
    Refuse,
    /// With sentinels or in a cluster: a primary is killed, and started again, empty, when another has taken over.
    Failover,
    /// The same: a primary is stopped, and wakes up when another has taken over.
    Stall,
    /// The same: another takes over on command, while all are well.
    Switch,
    /// With sentinels: one is killed, and started again.
    Watcher,
    /// With sentinels: the primary and half of the processes are cut off from all others.
    Split,
    /// With sentinels: the primary and the sentinel that everybody asks first are stopped, and wake up when another has taken over.
    Silence,
    /// In a cluster: a slot moves to another primary.
    Move,
    /// In a cluster: a primary whose replica is down is killed, and comes back with what it had saved before, when all thought it dead.
    Relapse,
}

impl Fault {
    /// Whether it happens to what the processes share like this. Wires lead to the server, or to sentinels; in a cluster there are none.
    pub(super) fn is_of(self, topology: Topology) -> bool {
        match self {
            Self::Freeze | Self::Restart | Self::Disk | Self::Memory => {
                topology == Topology::Single
            }
            Self::Cut | Self::Slow | Self::Hold | Self::Refuse => topology != Topology::Cluster,
            _ => true,
        }
    }
}

/// How often each, in parts of all.
pub(super) const OFTEN: [(Fault, u32, &str); 16] = [
    (Fault::Pause, 22, "pause"),
    (Fault::Kill, 5, "kill"),
    (Fault::Close, 4, "close"),
    (Fault::Freeze, 5, "freeze"),
    (Fault::Restart, 4, "restart"),
    (Fault::Disk, 6, "disk"),
    (Fault::Clients, 7, "clients"),
    (Fault::Scripts, 5, "scripts"),
    (Fault::Memory, 5, "memory"),
    (Fault::Flush, 3, "flush"),
    (Fault::Lose, 10, "lose"),
    (Fault::Trim, 5, "trim"),
    (Fault::Cut, 10, "cut"),
    (Fault::Slow, 7, "slow"),
    (Fault::Hold, 7, "hold"),
    (Fault::Refuse, 5, "refuse"),
];
