//! The storm: faults at random moments, many at a time, with calm in between.
//!
//! A fault that lasts is followed by its end, which waits in a queue of its own. The order is drawn from
//! the seed; the timing is the machine's.

pub(super) mod disk;
mod kinds;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use shelflife_testkit::{RedisServer, Reply};

pub use self::kinds::Fault;

use self::disk::Disk;
use self::kinds::OFTEN;
use super::court::Court;
use super::fleet::Fleet;
use super::stage::Topology;
use crate::stamp::{Stamp, nanos, now};
use crate::worker::NAMESPACE;

/// Storms, and the calm between them.
const STORM: Duration = Duration::from_secs(7);
const CALM: Duration = Duration::from_secs(4);
/// Between two faults of a storm, at most.
const GAP_MS: u64 = 500;

/// The end of a fault that lasts. Those of a place name the process, which may be another by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Pause(usize, u32),
    Freeze,
    Restart,
    Disk,
    Memory,
    Slow(usize),
    Hold(usize),
    Refuse(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Up,
    Frozen,
    Down,
}

/// See the module.
pub(super) struct Storm {
    chance: fastrand::Rng,
    /// What may happen, once for each part in which it does.
    may: Vec<usize>,
    /// What has not happened yet: first of all, everything happens once.
    first: Vec<usize>,
    injected: [u64; OFTEN.len()],
    ends: BinaryHeap<Reverse<(Stamp, End)>>,
    server: Server,
    /// How far a restart from disk has come.
    disk: Disk,
    began: Stamp,
    next: Stamp,
}

impl Storm {
    pub(super) fn new(faults: &[Fault], topology: Topology, seed: u64) -> Self {
        let all = faults.contains(&Fault::All);
        let may = OFTEN.iter().enumerate();
        let may = may.filter(|(_, (fault, ..))| fault.is_of(topology));
        let may = may.filter(|(_, (fault, ..))| all || faults.contains(fault));
        let may: Vec<usize> = may
            .flat_map(|(index, (_, parts, _))| std::iter::repeat_n(index, *parts as usize))
            .collect();
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut first = may.clone();
        first.dedup();
        chance.shuffle(&mut first);
        Self {
            chance,
            may,
            first,
            injected: [0; OFTEN.len()],
            ends: BinaryHeap::new(),
            server: Server::Up,
            disk: Disk::default(),
            began: now(),
            next: now(),
        }
    }

    /// How often each fault that there is was injected.
    pub(super) fn injected(&self) -> Vec<(&'static str, u64)> {
        let all = OFTEN.iter().zip(self.injected).enumerate();
        let there = all.filter(|(index, (_, n))| *n > 0 || self.may.contains(index));
        there.map(|(_, ((_, _, name), n))| (*name, n)).collect()
    }

    /// Ends what is due to end.
    pub(super) fn ends_due(
        &mut self,
        fleet: &mut Fleet<'_>,
        server: &mut RedisServer,
        court: &Court,
    ) {
        let time = now();
        while let Some(Reverse((at, end))) = self.ends.peek().copied() {
            if at > time {
                break;
            }
            self.ends.pop();
            self.end(end, fleet, server, court);
        }
    }

    /// Does what is due.
    pub(super) fn step(&mut self, fleet: &mut Fleet<'_>, server: &mut RedisServer, court: &Court) {
        self.ends_due(fleet, server, court);
        let time = now();
        self.save_when_quiet(fleet, server, court);
        let round = (time - self.began) % nanos(STORM + CALM);
        if round > nanos(STORM) || time < self.next || self.may.is_empty() {
            return;
        }
        self.next = time + nanos(Duration::from_millis(self.chance.u64(..GAP_MS)));
        let any = self.may[self.chance.usize(..self.may.len())];
        let index = self.first.pop().unwrap_or(any);
        let place = self.chance.usize(..fleet.len());
        match self.inject(OFTEN[index].0, place, fleet, server) {
            Some(what) => {
                self.count(OFTEN[index].0);
                court.fault(what);
            }
            // Not now; but once it shall be.
            None if self.injected[index] == 0 => self.first.insert(0, index),
            None => {}
        }
    }

    fn count(&mut self, what: Fault) {
        let all = OFTEN.iter().zip(&mut self.injected);
        let of = all.filter(|((fault, ..), _)| *fault == what);
        of.for_each(|(_, times)| *times += 1);
    }

    /// Ends everything that lasts.
    pub(super) fn calm(&mut self, fleet: &mut Fleet<'_>, server: &mut RedisServer, court: &Court) {
        self.give_up_saving(fleet);
        while let Some(Reverse((_, end))) = self.ends.pop() {
            self.end(end, fleet, server, court);
        }
    }

    /// Lets a fault end after a while, a short one mostly.
    fn ends(&mut self, end: End, longest_ms: u64) -> u64 {
        let ms = self
            .chance
            .u64(..longest_ms)
            .min(self.chance.u64(20..longest_ms));
        let at = now() + nanos(Duration::from_millis(ms));
        self.ends.push(Reverse((at, end)));
        ms
    }

    /// What was done, if it could be.
    fn inject(
        &mut self,
        fault: Fault,
        place: usize,
        fleet: &mut Fleet<'_>,
        server: &mut RedisServer,
    ) -> Option<String> {
        match fault {
            Fault::Cut | Fault::Slow | Fault::Hold | Fault::Refuse => {
                return Some(self.disturb(fault, place, fleet));
            }
            // Nobody may come, go or be lost while everyone is to be quiet.
            _ if self.disk.is_under_way() => return None,
            Fault::Pause | Fault::Kill | Fault::Close => return self.strike(fault, place, fleet),
            _ if self.server != Server::Up => return None,
            Fault::Freeze => {
                server.stop();
                self.server = Server::Frozen;
                let ms = self.ends(End::Freeze, 3_000);
                return Some(format!("Redis frozen for {ms} ms"));
            }
            Fault::Restart => {
                server.kill();
                self.server = Server::Down;
                let ms = self.ends(End::Restart, 1_500);
                return Some(format!("Redis killed, back after {ms} ms, empty"));
            }
            Fault::Disk => {
                // Counted when it has come to its end.
                self.hush(fleet);
                return None;
            }
            _ => {}
        }
        self.order(fault, server)
    }

    fn strike(&mut self, fault: Fault, place: usize, fleet: &mut Fleet<'_>) -> Option<String> {
        if fault == Fault::Kill {
            let (killed, process) = fleet.replace(place);
            return Some(format!("p{killed} killed; p{process} in its place"));
        }
        if fleet.posts()[place].frozen {
            return None;
        }
        if fault == Fault::Close {
            let (closed, process) = fleet.relieve(place);
            return Some(format!("p{closed} closes; p{process} in its place"));
        }
        let post = &mut fleet.posts()[place];
        post.child.stop();
        post.frozen = true;
        let process = post.process;
        let ms = self.ends(End::Pause(place, process), 3_000);
        Some(format!("p{process} frozen for {ms} ms"))
    }

    fn disturb(&mut self, fault: Fault, place: usize, fleet: &mut Fleet<'_>) -> String {
        let post = &mut fleet.posts()[place];
        let process = post.process;
        match fault {
            Fault::Slow => {
                let delay = Duration::from_millis(self.chance.u64(1..150));
                post.wires.iter().for_each(|wire| wire.delay(delay));
                let ms = self.ends(End::Slow(place), 2_000);
                format!("p{process}'s wire slow by {delay:?} for {ms} ms")
            }
            Fault::Hold => {
                post.hold(true);
                let ms = self.ends(End::Hold(place), 2_500);
                format!("p{process}'s wire held for {ms} ms")
            }
            Fault::Refuse => {
                fleet.refuse(place, true);
                fleet.posts()[place].cut();
                let ms = self.ends(End::Refuse(place), 2_500);
                format!("p{process} refused for {ms} ms")
            }
            _ => {
                post.cut();
                format!("p{process}'s connections cut")
            }
        }
    }

    /// What the server is told to do. It may be too busy to answer: then nothing is counted.
    fn order(&mut self, fault: Fault, server: &RedisServer) -> Option<String> {
        let mut connection = server.connect().ok()?;
        let mut tell = |words: &[&str]| {
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            connection.command(&words).ok()
        };
        let control = |name: &str| format!("sl1:{{{NAMESPACE}}}:{name}");
        match fault {
            Fault::Clients => {
                tell(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])?;
                Some("all connections closed by Redis".to_owned())
            }
            Fault::Scripts => {
                tell(&["SCRIPT", "FLUSH"])?;
                Some("scripts flushed".to_owned())
            }
            Fault::Flush => {
                tell(&["FLUSHALL"])?;
                Some("everything flushed".to_owned())
            }
            Fault::Trim => {
                let keep = self.chance.u8(..4).to_string();
                tell(&["XTRIM", &control("log"), "MAXLEN", &keep])?;
                Some(format!("log trimmed to {keep}"))
            }
            Fault::Memory => {
                let policy = [
                    "allkeys-random",
                    "allkeys-lru",
                    "noeviction",
                    "volatile-ttl",
                ];
                let policy = policy[self.chance.usize(..policy.len())];
                tell(&["CONFIG", "SET", "maxmemory-policy", policy])?;
                tell(&["CONFIG", "SET", "maxmemory", "900kb"])?;
                let ms = self.ends(End::Memory, 2_000);
                Some(format!("out of memory for {ms} ms, {policy}"))
            }
            _ => {
                // The clock is one of hundreds: by chance alone it would hardly be lost. So are the others.
                let key = match self.chance.u8(..8) {
                    0 => control("clock"),
                    1 => control("log"),
                    2 => control("members:beats"),
                    _ => tell(&["RANDOMKEY"])?.to_string(),
                };
                match tell(&["DEL", &key])? {
                    Reply::Int(1) => Some(format!("{key} deleted")),
                    _ => None,
                }
            }
        }
    }

    fn end(&mut self, end: End, fleet: &mut Fleet<'_>, server: &mut RedisServer, court: &Court) {
        let process = |fleet: &mut Fleet<'_>, place: usize| fleet.posts()[place].process;
        let what = match end {
            End::Pause(place, frozen) => {
                let post = &mut fleet.posts()[place];
                if post.process != frozen {
                    return;
                }
                post.child.resume();
                post.frozen = false;
                format!("p{frozen} goes on")
            }
            End::Freeze => {
                server.resume();
                self.server = Server::Up;
                "Redis goes on".to_owned()
            }
            End::Restart => {
                server.restart();
                self.server = Server::Up;
                "Redis is back, empty".to_owned()
            }
            End::Disk => self.come_back(fleet, server),
            End::Memory => {
                // Down or frozen, it can't be told; a restarted one has memory again.
                if self.server == Server::Up
                    && let Ok(mut connection) = server.connect()
                {
                    let _ = connection.command(&[b"CONFIG", b"SET", b"maxmemory", b"0"]);
                } else if self.server == Server::Frozen {
                    self.ends(End::Memory, 1_000);
                    return;
                }
                "memory again".to_owned()
            }
            End::Slow(place) => {
                let wires = &fleet.posts()[place].wires;
                wires.iter().for_each(|wire| wire.delay(Duration::ZERO));
                format!("p{}'s wire is quick again", process(fleet, place))
            }
            End::Hold(place) => {
                fleet.posts()[place].hold(false);
                format!("p{}'s wire passes on again", process(fleet, place))
            }
            End::Refuse(place) => {
                fleet.refuse(place, false);
                format!("p{} let in again", process(fleet, place))
            }
        };
        court.fault(what);
    }
}
