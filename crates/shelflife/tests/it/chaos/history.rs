//! The promise under faults: small random histories of one key, with whatever befalls the steps. What has been
//! confirmed as invalidated is not read again, and what the cache could not do it does not say that it has done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use shelflife::chaos::{Faults, Guard, Target};
use shelflife::{Builder, Cache, Invalidation};
use shelflife_testkit::RedisServer;

use crate::gate::{soon, until};

const KEY: &str = "users:42";
const TAG: &str = "user:42";

#[derive(Clone, Copy, Debug)]
enum Act {
    /// Reads and checks, strictly or not, in one of two processes.
    Read(bool, usize),
    /// Writes the source, and invalidates by key or by tag.
    Invalidate(bool, usize),
    /// Writes the source, and sets what it holds.
    Set(usize),
    /// Begins a read that ends when it ends, while other things happen.
    ReadMeanwhile(usize),
    Fault(usize, Target, What),
    Heal,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Error,
    Delay,
    Freeze,
    Lose,
}

fn act() -> impl Strategy<Value = Act> {
    let what = prop_oneof![
        Just(What::Error),
        Just(What::Delay),
        Just(What::Freeze),
        Just(What::Lose)
    ];
    let target = prop::sample::select(&Target::ALL[..]);
    prop_oneof![
        5 => (any::<bool>(), 0..2_usize).prop_map(|(strict, who)| Act::Read(strict, who)),
        3 => (any::<bool>(), 0..2_usize).prop_map(|(key, who)| Act::Invalidate(key, who)),
        2 => (0..2_usize).prop_map(Act::Set),
        2 => (0..2_usize).prop_map(Act::ReadMeanwhile),
        4 => (0..2_usize, target, what).prop_map(|(who, target, what)| Act::Fault(who, target, what)),
        1 => Just(Act::Heal),
    ]
}

struct World {
    processes: Vec<(Cache, Faults)>,
    /// What the source holds.
    source: Arc<AtomicU64>,
    /// What it held when the last invalidation was called that has been confirmed.
    confirmed: u64,
    guards: Vec<Guard>,
    meanwhile: Vec<tokio::task::JoinHandle<()>>,
}

/// Reads, and checks that it is no older than what was confirmed before it began. A read may fail: its load may.
async fn read(cache: Cache, source: Arc<AtomicU64>, floor: u64, strict: bool) {
    let load = move || async move { Ok::<_, String>(source.load(Ordering::SeqCst)) };
    let entry = cache.entry(KEY).tag(TAG);
    let entry = if strict { entry.strict() } else { entry };
    if let Ok(read) = soon(entry.lookup_or_load(load)).await {
        assert!(
            read.value >= floor,
            "read {}, {} was confirmed: {}",
            read.value,
            floor,
            read.status
        );
    }
}

impl World {
    fn of(&self, who: usize) -> &(Cache, Faults) {
        &self.processes[who % self.processes.len()]
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Read(strict, who) => {
                // Another process's word holds at once for strict reads only.
                let strict = strict || self.processes.len() > 1;
                let cache = self.of(who).0.clone();
                read(cache, self.source.clone(), self.confirmed, strict).await;
            }
            Act::ReadMeanwhile(who) => {
                let cache = self.of(who).0.clone();
                let reading = read(cache, self.source.clone(), self.confirmed, true);
                self.meanwhile.push(tokio::spawn(reading));
            }
            Act::Invalidate(key, who) => {
                let now = self.source.fetch_add(1, Ordering::SeqCst) + 1;
                let what = match key {
                    true => Invalidation::new().key(KEY),
                    false => Invalidation::new().tag(TAG),
                };
                if soon(self.of(who).0.invalidate(what)).await.is_ok() {
                    self.confirmed = now;
                }
            }
            Act::Set(who) => {
                let now = self.source.fetch_add(1, Ordering::SeqCst) + 1;
                let entry = self.of(who).0.entry(KEY).tag(TAG);
                if soon(entry.set(now)).await.is_ok() {
                    self.confirmed = now;
                }
            }
            Act::Fault(who, target, what) => {
                let fault = self.of(who).1.on(target).chance(0.5);
                let guard = match what {
                    What::Error => fault.error(),
                    What::Delay => fault.delay(Duration::from_millis(2)),
                    // Ended by a timeout, or by healing; loads have none.
                    What::Freeze if target != Target::Loads => fault.freeze(),
                    What::Freeze | What::Lose => fault.lose(),
                };
                self.guards.push(guard);
            }
            Act::Heal => self.guards.clear(),
        }
    }

    /// Everything ends well once the faults have ended.
    async fn settle(mut self) {
        self.guards.clear();
        for reading in self.meanwhile.drain(..) {
            soon(reading).await.unwrap();
        }
        for (cache, _) in &self.processes {
            until(async || {
                let stats = cache.stats();
                (stats.unconfirmed, stats.flights, stats.loads_running) == (0, 0, 0)
            })
            .await;
        }
        // All that was written has been invalidated or made up for by now.
        let now = self.source.load(Ordering::SeqCst);
        for (cache, _) in &self.processes {
            read(cache.clone(), self.source.clone(), now, true).await;
        }
    }
}

async fn live(processes: usize, seed: u64, builder: impl Fn() -> Builder, acts: Vec<Act>) {
    let mut world = World {
        processes: Vec::new(),
        source: Arc::new(AtomicU64::new(1)),
        confirmed: 0,
        guards: Vec::new(),
        meanwhile: Vec::new(),
    };
    for n in 0..processes {
        let faults = Faults::seeded(seed + n as u64);
        let builder = builder().jitter(0.0).timeout(Duration::from_millis(40));
        let cache = builder.chaos(&faults).build().await.unwrap();
        world.processes.push((cache, faults));
    }
    for act in acts {
        world.act(act).await;
    }
    world.settle().await;
}

fn check(cases: u32, processes: usize, builder: impl Fn() -> Builder) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut config = ProptestConfig::with_cases(cases);
    config.failure_persistence = None;
    let history = (any::<u32>(), prop::collection::vec(act(), 1..25));
    proptest!(config, |((seed, acts) in history)| {
        runtime.block_on(live(processes, seed.into(), &builder, acts));
    });
}

#[test]
fn the_promise_holds_under_faults_in_one_process() {
    check(64, 1, Cache::builder);
}

#[test]
fn the_promise_holds_under_faults_in_two_processes() {
    let server = RedisServer::start();
    let next = AtomicU64::new(0);
    // Each history has a namespace of its own, which its two processes share.
    let namespace = || format!("h{}", next.fetch_add(1, Ordering::SeqCst) / 2);
    check(24, 2, || {
        Cache::builder().url(server.url()).namespace(&namespace())
    });
}
