//! The hunt itself: starts everything, injects faults for a while, and tells what was found.
//!
//! Must not: outlive its time, or leave a process behind.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the command's output"
)]

mod court;
mod faults;
mod figures;
mod fleet;
mod tally;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use shelflife_testkit::RedisServer;

pub use self::faults::Fault;
pub use self::tally::Found;

use self::court::Court;
use self::faults::Storm;
use self::fleet::Fleet;
use crate::worker::{Failure, Sabotage};

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);
/// Between two looks at what is due.
const STEP: Duration = Duration::from_millis(10);
/// After the last fault, so that what it broke is read once more.
const CALM_END: Duration = Duration::from_secs(3);

/// What a hunt can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// For how long to hunt.
    #[arg(long, default_value_t = 2.0)]
    pub minutes: f64,
    /// Where the order of faults begins; printed, so that a hunt can be repeated (not its timing).
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many processes use the cache.
    #[arg(long, default_value_t = 8)]
    pub processes: usize,
    /// Which faults to inject.
    #[arg(long, value_delimiter = ',', default_value = "all")]
    pub faults: Vec<Fault>,
    /// Δ, in ms.
    #[arg(long, default_value_t = 1000)]
    pub window: u64,
    /// How many bounded reads a second to try for, all processes together.
    #[arg(long, default_value_t = 60_000)]
    pub rate: u32,
    /// How many invalidations to time before the faults begin; 0 for none.
    #[arg(long, default_value_t = 300)]
    pub samples: usize,
    /// Keeps the figures in a file.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Goes on after a violation.
    #[arg(long)]
    pub keep_going: bool,
    /// Gives one process a defect, to see that it is found.
    #[arg(long, hide = true)]
    pub sabotage: Option<Sabotage>,
}

/// Hunts, prints what was found, and returns it.
///
/// # Errors
///
/// When the hunt itself can't be carried out.
pub fn run(options: &Options) -> Result<Found, Failure> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut server = RedisServer::start();
    let source = RedisServer::start();
    let court = Court::open(Duration::from_millis(options.window))?;
    let mut fleet = Fleet::start(options, &runtime, &server, &source, &court)?;
    let figures = match options.samples {
        0 => None,
        samples => Some(figures::measure(&mut fleet, samples)?),
    };
    eprintln!(
        "hunting for {} minutes with seed {seed}: {} processes, Δ = {} ms",
        options.minutes, options.processes, options.window
    );
    let began = Instant::now();
    fleet.hunt();
    let mut storm = Storm::new(&options.faults, seed);
    let end = began + Duration::from_secs_f64(options.minutes * 60.0);
    let mut told = began;
    while Instant::now() < end && (options.keep_going || !court.violated()) {
        if Instant::now() + CALM_END < end {
            storm.step(&mut fleet, &mut server, &court);
        } else {
            storm.calm(&mut fleet, &mut server, &court);
        }
        fleet.must_live();
        if let Some(hung) = court.hung() {
            return Err(hung.into());
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            eprintln!("{:>4} s  {}", began.elapsed().as_secs(), court.progress());
        }
        std::thread::sleep(STEP);
    }
    storm.calm(&mut fleet, &mut server, &court);
    let took = began.elapsed();
    fleet.end();
    let found = Found {
        seed,
        processes: options.processes,
        window_ms: options.window,
        seconds: took.as_secs_f64(),
        tally: court.close()?,
        faults: storm.injected(),
        figures,
    };
    println!("{found}");
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&found)?)?;
    }
    Ok(found)
}
