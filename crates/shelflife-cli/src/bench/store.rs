//! The cache itself on a server: what its steps cost, beside a bare GET of the same bytes.
//!
//! All in a namespace of its own, which is removed at the end. The steps take turns, a slice of time each, so
//! that what a machine does meanwhile falls on all alike.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::{Value, json};
use shelflife::{Cache, Error, Invalidation};

use super::may_load;
use super::side::Times;
use super::told::{QUANTILES, latencies, ns};
use crate::args::BenchArgs;
use crate::connect::{self, Store};
use crate::failure::Failure;
use crate::output;
use crate::signals;
use crate::units;

/// How many entries there are: more than the small memory holds.
const ENTRIES: u64 = 2_000;
/// The memory of the reader that is to go to the server.
const SMALL: u64 = 64 << 10;
/// One turn.
const SLICE: Duration = Duration::from_millis(200);
/// How many hits in memory are timed as one: a clock costs as much as they do.
const BATCH: u32 = 64;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Bare,
    L1,
    L2,
    Miss,
    Invalidate,
}

impl Step {
    const ALL: [Self; 5] = [Self::L1, Self::Bare, Self::L2, Self::Miss, Self::Invalidate];

    fn as_str(self) -> &'static str {
        match self {
            Self::Bare => "bare_get",
            Self::L1 => "l1_hit",
            Self::L2 => "l2_hit",
            Self::Miss => "miss",
            Self::Invalidate => "invalidate",
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::Bare => "bare GET",
            Self::L1 => "hit in memory (L1)",
            Self::L2 => "hit in the store (L2)",
            Self::Miss => "miss: lease, load of nothing, fill",
            Self::Invalidate => "invalidation of a tag",
        }
    }
}

/// The caches that are measured.
#[derive(Clone)]
struct Bench {
    near: Cache,
    far: Cache,
    bare: Cache,
    value: Arc<str>,
    /// Makes keys that nobody has asked for, and spreads those that are asked for.
    next: Arc<AtomicU64>,
}

pub(super) async fn run(args: &BenchArgs) -> Result<(), Failure> {
    let length = connect::duration("--duration", &args.duration)?;
    let store = Store::new(&args.store);
    let (host, port) = store.place().ok_or_else(|| {
        Failure::new("nothing is named that could be loaded")
            .hint("a URL, as in shelflife bench http://127.0.0.1:8080/, or --redis redis://127.0.0.1:6379")
    })?;
    if let Some(host) = host {
        may_load(&host, port, args.yes)?;
    }
    let bench = Bench::open(&store, usize::try_from(args.size).unwrap_or(usize::MAX)).await?;
    let measured = bench.fill_and_measure(args, length).await;
    // Whatever came of it, nothing is left behind.
    bench.near.close().await;
    bench.far.close().await;
    let erased = bench.bare.erase_namespace().await;
    bench.bare.close().await;
    let measured = measured?;
    erased.map_err(|error| {
        Failure::new(format!(
            "cannot remove the namespace {}: {error}",
            bench.bare.namespace()
        ))
    })?;
    tell(&measured, args)
}

/// A step's name with its times, and for how long it was measured.
type Measured = Vec<(Step, Times, Duration)>;

impl Bench {
    async fn open(store: &Store, size: usize) -> Result<Self, Failure> {
        let namespace = format!("bench-{:08x}", fastrand::u32(..));
        let near = store.named(&namespace, |b| b).await?;
        let far = store.named(&namespace, |b| b.memory_limit(SMALL)).await?;
        let bare = store.named(&namespace, |b| b.without_tail()).await?;
        let value = (0..size)
            .map(|_| fastrand::alphanumeric())
            .collect::<String>();
        Ok(Self {
            near,
            far,
            bare,
            value: value.into(),
            next: Arc::default(),
        })
    }

    async fn fill_and_measure(
        &self,
        args: &BenchArgs,
        length: Duration,
    ) -> Result<Measured, Failure> {
        let failed = |error: Error| Failure::new(format!("the server failed: {error}"));
        for id in 0..ENTRIES {
            let set = self
                .far
                .entry(key(id))
                .ttl(Duration::from_secs(600))
                .tag(tag(id));
            set.set(self.value.to_string()).await.map_err(failed)?;
        }
        self.open_window().await?;
        let ended = signals::end()?;
        tokio::pin!(ended);
        let mut all: Measured = Step::ALL
            .iter()
            .map(|step| (*step, Times::new(), Duration::ZERO))
            .collect();
        let rounds = (length.as_millis() / SLICE.as_millis() / Step::ALL.len() as u128).max(1);
        let bar = ProgressBar::new(u64::try_from(rounds).unwrap_or(u64::MAX));
        for round in 0..=rounds {
            for (step, times, took) in &mut all {
                let began = Instant::now();
                let slice = tokio::select! {
                    biased;
                    () = &mut ended => {
                        bar.finish_and_clear();
                        return Ok(all);
                    }
                    slice = self.slice(*step, usize::from(args.connections)) => slice.map_err(failed)?,
                };
                // The first round warms up.
                if round > 0 {
                    times.add(&slice);
                    *took += began.elapsed();
                }
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(all)
    }

    /// Waits until memory may answer: a hit there is to be measured, and nothing else.
    async fn open_window(&self) -> Result<(), Failure> {
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            let before = self.near.stats().l1_hits;
            self.read(&self.near, 0).await;
            if self.near.stats().l1_hits > before {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(
            Failure::new("memory answers nothing: the log cannot be followed")
                .hint("shelflife doctor says why"),
        )
    }

    async fn read(&self, cache: &Cache, id: u64) -> Option<String> {
        cache.entry(key(id)).tag(tag(id)).get::<String>().await
    }

    /// All callers at one step, for one slice.
    async fn slice(&self, step: Step, callers: usize) -> Result<Times, Error> {
        let end = Instant::now() + SLICE;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..callers {
            let bench = self.clone();
            tasks.spawn(async move {
                let mut times = Times::new();
                while Instant::now() < end {
                    let began = Instant::now();
                    let times_done = bench.once(step).await?;
                    times.record(began.elapsed() / times_done);
                }
                Ok::<_, Error>(times)
            });
        }
        let mut all = Times::new();
        while let Some(finished) = tasks.join_next().await {
            if let Ok(times) = finished {
                all.add(&times?);
            }
        }
        Ok(all)
    }

    /// The step, once or as often as it says.
    async fn once(&self, step: Step) -> Result<u32, Error> {
        let nth = self.next.fetch_add(1, Ordering::Relaxed);
        // Far apart, one after the other: nobody shares another's flight.
        let id = nth.wrapping_mul(997) % ENTRIES;
        match step {
            Step::Bare => {
                self.bare.bare_get(key(id)).await?;
            }
            Step::L1 => {
                for _ in 0..BATCH {
                    self.read(&self.near, 0).await;
                }
                return Ok(BATCH);
            }
            Step::L2 => {
                self.read(&self.far, id).await;
            }
            Step::Miss => {
                let value = self.value.clone();
                let entry = self.near.entry(format!("miss:{nth}"));
                let entry = entry.ttl(Duration::from_secs(60)).tag(tag(id));
                let load = || async move { Ok::<_, Infallible>(value.to_string()) };
                // A load of nothing does not fail.
                let _ = entry.get_or_load(load).await;
            }
            Step::Invalidate => {
                let what = Invalidation::new().tag(format!("nobody:{id}"));
                self.near.invalidate(what).await?;
            }
        }
        Ok(1)
    }
}

fn key(id: u64) -> String {
    format!("user:{id}")
}

fn tag(id: u64) -> String {
    format!("group:{}", id % 50)
}

fn tell(measured: &Measured, args: &BenchArgs) -> Result<(), Failure> {
    // Of hits in memory a whole batch is one time.
    let count = |step: Step, times: &Times| match step {
        Step::L1 => times.len() * u64::from(BATCH),
        _ => times.len(),
    };
    let rate = |step: Step, times: &Times, took: &Duration| {
        count(step, times) as f64 / took.as_secs_f64().max(1e-9)
    };
    if args.json {
        let steps: serde_json::Map<String, Value> = measured
            .iter()
            .map(|(step, times, took)| {
                let it = json!({
                    "count": count(*step, times),
                    "per_second": rate(*step, times, took).round(),
                    "latency_us": latencies(times),
                });
                (step.as_str().to_owned(), it)
            })
            .collect();
        return output::json(&json!({
            "callers": args.connections, "size": args.size, "steps": steps,
        }));
    }
    output::line(format!(
        "{} callers, values of {}, one process; a mean of {BATCH} for each time in memory\n",
        args.connections,
        units::bytes(args.size)
    ))?;
    let mut rows = vec![vec![String::new(), "a second".to_owned()]];
    rows[0].extend(QUANTILES.iter().map(|(name, _)| (*name).to_owned()));
    for (step, times, took) in measured {
        let mut row = vec![
            step.told().to_owned(),
            units::short(rate(*step, times, took)),
        ];
        row.extend(
            QUANTILES
                .iter()
                .map(|(_, quantile)| ns(times.at(*quantile))),
        );
        rows.push(row);
    }
    output::table(&rows, &[1, 2, 3, 4, 5, 6])
}
