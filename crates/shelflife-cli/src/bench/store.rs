//! The cache itself on a server: what its steps cost, beside a bare GET of the same bytes.
//!
//! All in a namespace of its own, which is removed at the end. The steps take turns, a slice of time each, so
//! that what a machine does meanwhile falls on all alike.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use shelflife::{Cache, Error, Invalidation};

use super::may_load;
use super::plot::{self, Ink};
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
/// How the namespaces that a bench makes begin; nothing else is ever erased.
const MADE: &str = "bench-";
/// How much longer than the measurement entries last: none may go meanwhile.
const LASTS: Duration = Duration::from_secs(600);

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
    /// Reads that were to be hits and found nothing.
    missed: Arc<AtomicU64>,
}

pub(super) async fn run(args: &BenchArgs) -> Result<(), Failure> {
    let length = connect::duration("--duration", &args.duration)?;
    let store = Store::new(&args.store);
    let places = store.places().ok_or_else(|| {
        Failure::new("nothing is named that could be loaded")
            .hint("a URL, as in shelflife bench http://127.0.0.1:8080/, or --redis redis://127.0.0.1:6379")
    })?;
    for (host, port) in &places {
        may_load(host, *port, args.yes)?;
    }
    // From here on there is something to remove.
    let ended = signals::end()?;
    tokio::pin!(ended);
    let bench = Bench::open(&store, args).await?;
    let measured = bench.fill_and_measure(args, length, &mut ended).await;
    // Whatever came of it, nothing is left behind.
    bench.near.close().await;
    bench.far.close().await;
    let erased = erase(&bench.bare).await;
    bench.bare.close().await;
    let measured = measured?;
    erased?;
    tell(&measured, args)?;
    match (measured.interrupted, bench.missed.load(Ordering::Relaxed)) {
        (true, _) => Err(Failure::new(
            "interrupted: the figures are of what was measured until then",
        )),
        (false, 0) => Ok(()),
        (false, n) => Err(Failure::negative(format!(
            "{n} reads found nothing where something was stored: the figures are not those of hits"
        ))
        .hint("has the server evicted it? shelflife doctor tells its memory and its policy")),
    }
}

/// What was measured: each step with its times, and for how long.
struct Measured {
    steps: Vec<(Step, Times, Duration)>,
    interrupted: bool,
}

impl Bench {
    async fn open(store: &Store, args: &BenchArgs) -> Result<Self, Failure> {
        let namespace = format!("{MADE}{:08x}", fastrand::u32(..));
        let size = usize::try_from(args.size).unwrap_or(usize::MAX);
        let bare = store.named(&namespace, |b| b.without_tail()).await?;
        // Sentinels and nodes have told where the servers really are. This one has written nothing yet.
        let places = bare.places().map_err(|error| store.cannot_open(&error))?;
        for (host, port) in places {
            may_load(&host, port, args.yes)?;
        }
        let opened = async {
            let near = store.named(&namespace, |b| b).await?;
            let far = store.named(&namespace, |b| b.memory_limit(SMALL)).await?;
            Ok((near, far))
        };
        let (near, far) = match opened.await {
            Ok(both) => both,
            Err(failure) => {
                // Whoever takes part leaves a clock. That it was not removed is the lesser trouble.
                let _ = erase(&bare).await;
                return Err(failure);
            }
        };
        let value = (0..size)
            .map(|_| fastrand::alphanumeric())
            .collect::<String>();
        Ok(Self {
            near,
            far,
            bare,
            value: value.into(),
            next: Arc::default(),
            missed: Arc::default(),
        })
    }

    async fn fill_and_measure(
        &self,
        args: &BenchArgs,
        length: Duration,
        ended: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Measured, Failure> {
        let filled = || Failure::new("interrupted while it was filled: nothing was measured");
        let failed = |error: Error| Failure::new(format!("the server failed: {error}"));
        for id in 0..ENTRIES {
            // Between two of them: one that is under way must not come behind the end of the namespace.
            if (&mut *ended).now_or_never().is_some() {
                return Err(filled());
            }
            let set = self.far.entry(key(id)).ttl(length + LASTS).tag(tag(id));
            set.set(self.value.to_string()).await.map_err(failed)?;
        }
        tokio::select! {
            biased;
            () = &mut *ended => return Err(filled()),
            opened = self.open_window() => opened?,
        }
        let steps = Step::ALL.iter();
        let mut all = Measured {
            steps: steps
                .map(|step| (*step, Times::new(), Duration::ZERO))
                .collect(),
            interrupted: false,
        };
        let rounds = (length.as_millis() / SLICE.as_millis() / Step::ALL.len() as u128).max(1);
        let bar = ProgressBar::new(u64::try_from(rounds).unwrap_or(u64::MAX));
        for round in 0..=rounds {
            for (step, times, took) in &mut all.steps {
                if (&mut *ended).now_or_never().is_some() {
                    bar.finish_and_clear();
                    all.interrupted = true;
                    return Ok(all);
                }
                let began = Instant::now();
                let slice = self.slice(*step, usize::from(args.connections)).await;
                let slice = slice.map_err(failed)?;
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

    async fn read(&self, cache: &Cache, id: u64) {
        let found = cache.entry(key(id)).tag(tag(id)).get::<String>().await;
        self.missed
            .fetch_add(u64::from(found.is_none()), Ordering::Relaxed);
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
                let found = self.bare.bare_get(key(id)).await?;
                self.missed
                    .fetch_add(u64::from(found.is_none()), Ordering::Relaxed);
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

/// Removes what was made, and nothing that was not.
async fn erase(cache: &Cache) -> Result<(), Failure> {
    let namespace = cache.namespace();
    if !is_made(namespace) {
        return Err(Failure::new(format!(
            "the namespace {namespace} was not made by a bench: it is left as it is"
        )));
    }
    let erased = cache.erase_namespace().await;
    erased
        .map(|_| ())
        .map_err(|error| Failure::new(format!("cannot remove the namespace {namespace}: {error}")))
}

/// Whether a bench has made a namespace of this name.
fn is_made(namespace: &str) -> bool {
    namespace
        .strip_prefix(MADE)
        .is_some_and(|id| id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
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
            .steps
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
            "callers": args.connections, "size": args.size, "interrupted": measured.interrupted,
            "steps": steps,
        }));
    }
    output::line(format!(
        "{} callers, values of {}, one process; a mean of {BATCH} for each time in memory\n",
        args.connections,
        units::bytes(args.size)
    ))?;
    let mut rows = vec![vec![String::new(), "a second".to_owned()]];
    rows[0].extend(QUANTILES.iter().map(|(name, _)| (*name).to_owned()));
    for (step, times, took) in &measured.steps {
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
    output::table(&rows, &[1, 2, 3, 4, 5, 6])?;
    picture(&measured.steps, Ink::choose(args.ascii))
}

/// The medians beside each other: what a hit spares.
fn picture(steps: &[(Step, Times, Duration)], ink: Ink) -> Result<(), Failure> {
    let median = |times: &Times| times.at(0.5);
    let most = steps.iter().map(|(_, times, _)| median(times)).max();
    let most = most.unwrap_or(0);
    let columns = output::width().saturating_sub(48).clamp(8, 50);
    output::line("")?;
    for (step, times, _) in steps {
        let median = median(times);
        let bar = plot::bar(median, most, columns, ink);
        output::line(format!("{:<34}  {:>8}  {bar}", step.told(), ns(median)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_bench_made_may_be_erased() {
        assert!(is_made("bench-0123abcd"));
        for other in [
            "default",
            "shop",
            "bench-",
            "bench-shop",
            "bench-0123abcd9",
            "my-bench-0123abcd",
        ] {
            assert!(!is_made(other), "{other}");
        }
    }
}
