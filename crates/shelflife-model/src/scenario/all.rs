//! Every scenario: who reads and calls, what is there, and what may happen how often.

use super::Level::{Bounded, Session, Strict};
use super::{CallSpec, Failover, Kind, Loss, Scenario};
use crate::what::What;
use crate::world::Left;

/// Nothing may happen.
const NONE: Left = Left {
    loads: 0,
    ticks: 0,
    beats: [0, 0],
    resyncs: 0,
    losses: 0,
    replications: 0,
    failovers: 0,
    reissues: 0,
    lost_fills: 0,
};

const QUIET: Scenario = Scenario {
    name: "",
    about: "",
    readers: &[],
    calls: &[],
    everywhere: false,
    stored: false,
    resident: [false, false],
    follows: [true, true],
    local_path: false,
    memory_first: false,
    table: false,
    losses: &[],
    failovers: &[],
    long: false,
    left: NONE,
};

const fn call(process: usize, kind: Kind) -> CallSpec {
    CallSpec {
        process,
        kind,
        after: None,
    }
}

const fn inv(process: usize, what: What) -> CallSpec {
    call(process, Kind::Invalidate(what))
}

const fn then(mut spec: CallSpec, before: usize) -> CallSpec {
    spec.after = Some(before);
    spec
}

/// All scenarios.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "load-key",
        about: "two processes load while the key is invalidated, and one of them reads strictly after",
        readers: &[(0, Bounded), (1, Strict)],
        calls: &[inv(1, What::Key)],
        left: Left {
            loads: 2,
            lost_fills: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "load-tag",
        about: "the same with a tag; its record may be lost once",
        readers: &[(0, Bounded), (1, Strict)],
        calls: &[inv(1, What::Tag)],
        losses: &[Loss::Tag(1), Loss::Entry],
        follows: [true, false],
        left: Left {
            loads: 2,
            losses: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "follow-key",
        about: "L1 follows the log while the key is invalidated elsewhere; reads after Δ",
        readers: &[(0, Bounded), (0, Bounded)],
        calls: &[inv(1, What::Key)],
        stored: true,
        resident: [true, false],
        left: Left {
            loads: 1,
            ticks: 1,
            beats: [1, 0],
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "own-tag",
        about: "both processes invalidate a tag; each honours its own at once",
        readers: &[(0, Bounded), (0, Session(0))],
        calls: &[inv(0, What::Tag), inv(1, What::Tag)],
        stored: true,
        resident: [true, false],
        left: Left { loads: 1, ..NONE },
        ..QUIET
    },
    Scenario {
        name: "waiters",
        about: "reads of three kinds wait for one flight while a tag is invalidated",
        readers: &[(0, Bounded), (0, Strict), (0, Session(0))],
        calls: &[inv(0, What::Tag)],
        left: Left { loads: 1, ..NONE },
        ..QUIET
    },
    Scenario {
        name: "session-key",
        about: "a load in one process, the key invalidated by the other, whose receipt a session brings",
        readers: &[(0, Bounded), (0, Session(0))],
        calls: &[inv(1, What::Key)],
        left: Left {
            loads: 1,
            lost_fills: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "strict-joins",
        about: "a strict read joins a flight that reads L2 while the key is invalidated elsewhere",
        readers: &[(0, Bounded), (0, Strict)],
        calls: &[inv(1, What::Key)],
        stored: true,
        left: Left { loads: 1, ..NONE },
        ..QUIET
    },
    Scenario {
        name: "own-and-other",
        about: "a process makes an invalidation of its own before it has applied another's",
        readers: &[(0, Session(0))],
        calls: &[inv(1, What::Key), inv(0, What::Other)],
        stored: true,
        resident: [true, false],
        left: Left {
            loads: 1,
            beats: [1, 0],
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "new-inc",
        about: "the clock is lost, or everything, while L2 is read; the key is invalidated after",
        readers: &[(0, Bounded), (0, Session(0))],
        calls: &[inv(1, What::Key)],
        stored: true,
        losses: &[Loss::Clock, Loss::All],
        left: Left {
            beats: [1, 0],
            resyncs: 1,
            losses: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "new-inc-load",
        about: "the clock is lost while a load runs; a tag is invalidated",
        readers: &[(0, Bounded), (1, Strict)],
        calls: &[inv(1, What::Tag)],
        stored: true,
        losses: &[Loss::Clock],
        follows: [true, false],
        left: Left {
            loads: 1,
            losses: 2,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "log-lost",
        about: "the log is lost, or its front, before a process has applied it",
        readers: &[(0, Bounded), (0, Session(1))],
        calls: &[inv(1, What::Key), then(inv(1, What::Other), 0)],
        stored: true,
        resident: [true, false],
        losses: &[Loss::Log, Loss::LogFront],
        left: Left {
            beats: [1, 0],
            resyncs: 1,
            losses: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "everywhere",
        about: "an invalidation waits for everywhere while the list of members is lost",
        readers: &[(0, Bounded)],
        calls: &[inv(1, What::Key)],
        everywhere: true,
        stored: true,
        resident: [true, false],
        losses: &[Loss::Mark, Loss::Applied, Loss::Beats],
        long: true,
        left: Left {
            ticks: 1,
            beats: [1, 1],
            losses: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "everywhere-inc",
        about: "an invalidation waits for everywhere while the clock is lost, or the log",
        readers: &[(0, Bounded)],
        calls: &[inv(1, What::Key)],
        everywhere: true,
        stored: true,
        follows: [true, false],
        resident: [true, false],
        losses: &[Loss::Clock, Loss::Log],
        left: Left {
            beats: [1, 0],
            resyncs: 1,
            losses: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "everywhere-failover",
        about: "an invalidation waits for everywhere while the server fails over, or starts again from its disk",
        readers: &[(0, Bounded)],
        calls: &[inv(1, What::Key)],
        everywhere: true,
        follows: [true, false],
        resident: [true, false],
        failovers: &[Failover::Whole],
        left: Left {
            ticks: 2,
            beats: [1, 0],
            failovers: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "joiner-failover",
        about: "a process begins to follow, and the replica that takes over has not heard of it; then everywhere",
        readers: &[(0, Bounded), (0, Bounded)],
        calls: &[inv(1, What::Key)],
        everywhere: true,
        stored: true,
        follows: [false, false],
        failovers: &[Failover::Whole],
        long: true,
        left: Left {
            resyncs: 1,
            failovers: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "joiner",
        about: "a process begins to follow while another waits for everywhere",
        readers: &[(0, Bounded), (0, Bounded)],
        calls: &[inv(1, What::Key)],
        everywhere: true,
        stored: true,
        follows: [false, false],
        left: Left {
            beats: [1, 0],
            resyncs: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "scan-load",
        about: "a glob is scanned while a load runs; then a strict read",
        readers: &[(0, Bounded), (1, Strict)],
        calls: &[call(1, Kind::Scan)],
        follows: [true, false],
        left: Left { loads: 2, ..NONE },
        ..QUIET
    },
    Scenario {
        name: "scan-stored",
        about: "a glob is scanned while L2 is read into L1; a session brings its receipt",
        readers: &[(0, Bounded), (0, Session(0))],
        calls: &[call(1, Kind::Scan)],
        stored: true,
        left: Left { loads: 1, ..NONE },
        ..QUIET
    },
    Scenario {
        name: "set",
        about: "a value is set while the key is invalidated; then a strict read",
        readers: &[(1, Strict)],
        calls: &[call(0, Kind::Set), inv(1, What::Key)],
        follows: [true, false],
        left: Left { loads: 1, ..NONE },
        ..QUIET
    },
    Scenario {
        name: "set-load",
        about: "a value is set while a load runs; then a strict read",
        readers: &[(0, Bounded), (1, Strict)],
        calls: &[call(0, Kind::Set)],
        left: Left { loads: 1, ..NONE },
        ..QUIET
    },
    Scenario {
        name: "failover-control",
        about: "the control slot fails over to what its replica has seen; a tag is invalidated before and after",
        readers: &[(0, Bounded), (1, Strict)],
        calls: &[inv(1, What::Other), then(inv(1, What::Tag), 0)],
        failovers: &[Failover::Control],
        follows: [true, false],
        long: true,
        left: Left {
            loads: 1,
            failovers: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "failover-entries",
        about: "the shard of the key fails over while the key is invalidated",
        readers: &[(1, Strict)],
        calls: &[inv(1, What::Key)],
        stored: true,
        failovers: &[Failover::Entries, Failover::Whole],
        follows: [true, false],
        left: Left {
            loads: 1,
            replications: 1,
            failovers: 1,
            reissues: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "failover-set",
        about: "the shard of the key fails over while it is set",
        readers: &[(1, Strict)],
        calls: &[call(1, Kind::Set)],
        stored: true,
        failovers: &[Failover::Entries, Failover::Whole],
        follows: [true, false],
        left: Left {
            replications: 1,
            failovers: 1,
            reissues: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "soft",
        about: "a soft invalidation of the tag, then of the key: served as stale, refreshed in the background",
        readers: &[(0, Bounded), (0, Session(0)), (1, Strict)],
        calls: &[inv(1, What::SoftTag)],
        stored: true,
        resident: [true, false],
        left: Left { loads: 1, ..NONE },
        ..QUIET
    },
    Scenario {
        name: "local-path",
        about: "reads by the local path while a tag is invalidated and the log is lost",
        readers: &[(0, Bounded), (0, Session(0))],
        calls: &[inv(1, What::Tag)],
        stored: true,
        local_path: true,
        table: true,
        losses: &[Loss::Log],
        left: Left {
            beats: [1, 0],
            resyncs: 1,
            losses: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "local-path-resync",
        about: "tags are read for the table while the log is lost; then a read by the local path",
        readers: &[(0, Bounded), (0, Session(0))],
        calls: &[inv(1, What::Tag)],
        stored: true,
        follows: [true, false],
        local_path: true,
        losses: &[Loss::Log],
        left: Left {
            beats: [1, 0],
            resyncs: 1,
            losses: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "log-lost-read",
        about: "the log is lost while L2 is read into L1",
        readers: &[(0, Bounded), (0, Session(0))],
        calls: &[inv(1, What::Key)],
        stored: true,
        follows: [true, false],
        losses: &[Loss::Log],
        left: Left {
            beats: [1, 0],
            resyncs: 1,
            losses: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "failover-whole",
        about: "the server fails over; what it lost is repeated",
        readers: &[(0, Bounded)],
        calls: &[inv(1, What::Key)],
        stored: true,
        resident: [true, false],
        follows: [true, false],
        failovers: &[Failover::Whole],
        long: true,
        left: Left {
            loads: 1,
            ticks: 1,
            beats: [1, 0],
            resyncs: 1,
            failovers: 1,
            reissues: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "all-lease",
        about: "everything is invalidated while two processes load, and a lease ends by its time",
        readers: &[(0, Bounded), (1, Strict)],
        calls: &[inv(1, What::All)],
        follows: [true, false],
        losses: &[Loss::Lease],
        left: Left {
            loads: 2,
            losses: 1,
            ..NONE
        },
        ..QUIET
    },
    Scenario {
        name: "soft-key",
        about: "a soft invalidation of the key, then a hard one",
        readers: &[(0, Bounded), (0, Session(1))],
        calls: &[inv(1, What::SoftKey), then(inv(1, What::Key), 0)],
        stored: true,
        resident: [true, false],
        follows: [true, false],
        left: Left { loads: 1, ..NONE },
        ..QUIET
    },
    Scenario {
        name: "memory-first",
        about: "reads by the local path, judged by memory (decision 0008), while both processes invalidate",
        readers: &[(0, Session(0)), (1, Strict)],
        calls: &[inv(1, What::Tag), inv(0, What::Key)],
        stored: true,
        follows: [true, false],
        local_path: true,
        memory_first: true,
        long: true,
        left: Left { loads: 1, ..NONE },
        ..QUIET
    },
    Scenario {
        name: "memory-first-load",
        about: "what was loaded after an own invalidation is read by the local path, judged by memory",
        readers: &[(0, Bounded), (0, Session(1))],
        calls: &[inv(0, What::Tag), inv(1, What::Key)],
        follows: [true, false],
        local_path: true,
        memory_first: true,
        left: Left { loads: 2, ..NONE },
        ..QUIET
    },
    Scenario {
        name: "memory-first-resync",
        about: "a read by the local path, judged by memory, while the log is lost",
        readers: &[(0, Bounded), (0, Session(0))],
        calls: &[inv(1, What::Tag)],
        stored: true,
        follows: [true, false],
        local_path: true,
        memory_first: true,
        losses: &[Loss::Log, Loss::Clock],
        left: Left {
            loads: 1,
            beats: [1, 0],
            resyncs: 1,
            losses: 1,
            ..NONE
        },
        ..QUIET
    },
];
