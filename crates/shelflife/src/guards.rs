//! The guards of the protocol (PROTOCOL §10): for each a test with barriers, named for it, that fails
//! when the guard is removed. `make guards` removes them, one after the other, and sees to that.
//!
//! The engine and the server are real. `a` is the process under test, `b` another one, `c` a third that
//! holds nothing of its own: it tells what L2 would give anybody.
//!
//! Must not: wait for luck. Who is to be overtaken stands at a [`Point`] meanwhile.

use std::convert::Infallible;
use std::time::Duration;

use shelflife_testkit::{RedisServer, Reply};
use tokio::task::JoinHandle;

use crate::builder::Builder;
use crate::cache::Cache;
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::probe::{Point, Stop};
use crate::status::{Loaded, Tier};

mod apart;
mod control;
mod everywhere;
mod failover;
mod foreign;
#[path = "../tests/it/gate.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with another test binary")]
mod gate;
mod l1;
mod loads;
mod memory;
mod reads;
mod scan;
mod set;
mod table;
mod tags;
mod tail;

use gate::{Gate, soon, until};

const KEY: &str = "users:42";
const TAG: &str = "user:42";
const GLOB: &str = "us*:4?";

const CLOCK: &str = "sl1:{test}:clock";
const LOG: &str = "sl1:{test}:log";
const ROOT: &str = "sl1:{test}:t:*";
const PREFIX: &str = "sl1:{test}:t:users:*";
const TAG_RECORD: &str = "sl1:{test}:t:user:42";
const MEMBERS_SINCE: &str = "sl1:{test}:members:since";
const ENTRY: &str = "sl1:test:e:users:42";

const HOUR: u64 = 3600 * 1_000_000;

/// A busy machine is no store that is away: what is not about timeouts waits so long for an answer.
const PATIENT: Duration = Duration::from_secs(10);
/// For what asks who never answers.
const TIMEOUT: Duration = Duration::from_millis(500);

/// A server, and the processes on it.
struct Bench {
    server: RedisServer,
}

impl Bench {
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(options: &[&str]) -> Self {
        Self {
            server: RedisServer::start_with(options),
        }
    }

    /// A process whose window stays open for as long as a test may take.
    fn builder(&self) -> Builder {
        Cache::builder()
            .url(self.server.url())
            .namespace("test")
            .jitter(0.0)
            .setting("early", "0")
            .ttl(Duration::from_secs(3600))
            .window(Duration::from_secs(60))
            .timeout(PATIENT)
    }

    async fn process(&self) -> Cache {
        let cache = soon(self.builder().build()).await.unwrap();
        until(async || trusted(&cache)).await;
        cache
    }

    async fn two(&self) -> (Cache, Cache) {
        (self.process().await, self.process().await)
    }

    /// What L2 gives a process that holds nothing of its own.
    async fn l2(&self) -> Option<u32> {
        let c = self.builder().without_tail().build().await.unwrap();
        c.get(KEY).await
    }

    fn raw(&self, words: &[&str]) -> String {
        self.server.cli(words)
    }

    fn clock(&self) -> Epoch {
        let text = self.raw(&["GET", CLOCK]);
        let mut words = text.split(' ');
        let inc = u64::from_str_radix(words.next().unwrap(), 16).unwrap();
        Epoch::new(inc, words.next().unwrap().parse().unwrap())
    }

    fn set_tick(&self, tick: u64) {
        let text = self.raw(&["GET", CLOCK]);
        let words: Vec<&str> = text.split(' ').collect();
        self.raw(&[
            "SET",
            CLOCK,
            &format!("{} {tick} {}", words[0], words.get(2).unwrap_or(&"")),
        ]);
    }

    /// Makes the clock, as a server whose time is ahead by so many µs would have.
    async fn run_ahead(&self, by: u64) {
        let c = self.builder().without_tail().build().await.unwrap();
        c.engine.store.clock().await.unwrap();
        self.set_tick(self.clock().tick + by);
    }
}

/// What a server has under a name, as it is now.
fn saved(server: &RedisServer, name: &str) -> Vec<u8> {
    match server.command(&[b"DUMP", name.as_bytes()]) {
        Reply::Bulk(bytes) => bytes,
        other => panic!("{name}: {other:?}"),
    }
}

/// Puts what was saved in the place of what there is.
fn bring_back(server: &RedisServer, name: &str, saved: &[u8]) {
    let restore: [&[u8]; 5] = [b"RESTORE", name.as_bytes(), b"0", saved, b"REPLACE"];
    server.command(&restore);
}

/// Whether L1 may answer.
fn trusted(cache: &Cache) -> bool {
    cache.engine.clock.now() < cache.engine.window()
}

/// Waits until a process has applied everything up to `epoch`.
async fn applied(cache: &Cache, epoch: Epoch) {
    until(async || cache.engine.applied().is_some_and(|a| a.at_least(epoch))).await;
}

fn stop(cache: &Cache, point: Point) -> Stop {
    cache.engine.settings.probes.stop_at(point)
}

fn tag(name: &str) -> Invalidation {
    Invalidation::new().tag(name)
}

async fn invalidate(cache: &Cache, what: Invalidation) -> Epoch {
    soon(cache.invalidate(what)).await.unwrap().epoch()
}

/// A read that loads `value` through a gate, if it loads.
fn read(cache: &Cache, gate: &Gate, value: u32) -> JoinHandle<Loaded<u32>> {
    let (cache, loader) = (cache.clone(), gate.loader(value));
    tokio::spawn(async move {
        let entry = cache.entry(KEY).tag(TAG);
        soon(entry.lookup_or_load(loader)).await.unwrap()
    })
}

/// The same, without a gate.
fn read_through(cache: &Cache, value: u32) -> JoinHandle<Loaded<u32>> {
    read(cache, &Gate::open(), value)
}

/// Stores `value` under the tag, as a load does: it counts from the clock as it is.
async fn store(cache: &Cache, value: u32) {
    assert!(read_through(cache, value).await.unwrap().status.stored());
}

/// Stores 1 and has it in the L1 of `a`.
async fn warm(a: &Cache, b: &Cache) {
    store(b, 1).await;
    until(async || {
        let seen = a.entry(KEY).tag(TAG).lookup::<u32>().await;
        seen.value == Some(1) && seen.status.tier() == Some(Tier::L1)
    })
    .await;
}

/// Makes `a` lose an invalidation of the tag from the log. Its tail is held meanwhile, and let go at
/// the end; gives the epoch that it will find beyond the gap.
async fn lose_from_log(bench: &Bench, a: &Cache, b: &Cache) -> Epoch {
    let tail = stop(a, Point::Applying);
    invalidate(b, tag("before")).await;
    tail.reached().await;
    invalidate(b, tag(TAG)).await;
    bench.raw(&["DEL", LOG]);
    let beyond = invalidate(b, tag("after")).await;
    tail.go();
    beyond
}
