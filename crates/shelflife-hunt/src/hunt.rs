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
mod soak;
mod stage;
mod tally;
mod upheaval;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use shelflife_testkit::RedisServer;

pub use self::faults::Fault;
pub use self::stage::Topology;
pub use self::tally::Found;

use self::court::Court;
use self::faults::Storm;
use self::fleet::Fleet;
use self::soak::Soak;
use self::stage::Stage;
use self::upheaval::Upheavals;
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
    /// What the processes share.
    #[arg(long, value_enum, default_value_t = Topology::Single)]
    pub topology: Topology,
    /// `min-replicas-to-write` of every server with replicas; with sentinels 1 unless told otherwise, in a cluster 0.
    #[arg(long)]
    pub min_replicas: Option<u32>,
    /// For how long a server is silent until it is thought to be down, in ms: shorter than a busy machine may be, another takes over that
    /// nobody has struck, which ends the hunt with an error.
    #[arg(long, default_value_t = 3000)]
    pub down_after: u64,
    /// Instead of hunting: full load without faults for so many minutes; what a process takes must not grow.
    #[arg(long, value_name = "MINUTES")]
    pub soak: Option<f64>,
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

impl Options {
    fn min_replicas(&self) -> u32 {
        let usual = u32::from(self.topology == Topology::Sentinel);
        self.min_replicas.unwrap_or(usual)
    }

    /// A soak has no faults; the figures are those of a hunt.
    fn faults(&self) -> &[Fault] {
        match self.soak {
            Some(_) => &[Fault::None],
            None => &self.faults,
        }
    }
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
    let down_after = Duration::from_millis(options.down_after);
    let mut stage = Stage::start(options.topology, options.min_replicas(), down_after);
    let source = RedisServer::start();
    let court = Court::open(Duration::from_millis(options.window))?;
    let mut fleet = Fleet::start(options, &runtime, &stage, &source, &court)?;
    let figures = match options.samples {
        _ if options.soak.is_some() => None,
        0 => None,
        samples => Some(figures::measure(&mut fleet, samples)?),
    };
    let minutes = options.soak.unwrap_or(options.minutes);
    eprintln!(
        "{} for {minutes} minutes with seed {seed}: {}, {} processes, Δ = {} ms",
        if options.soak.is_some() {
            "soaking"
        } else {
            "hunting"
        },
        options.topology.name(),
        options.processes,
        options.window
    );
    let began = Instant::now();
    let all = Duration::from_secs_f64(minutes * 60.0);
    let mut hunt = Hunt {
        storm: Storm::new(options.faults(), options.topology, seed),
        upheavals: Upheavals::new(
            options.faults(),
            options.topology,
            options.min_replicas(),
            seed,
            &stage,
            &mut fleet,
            all,
        ),
        soak: options.soak.map(|_| Soak::default()),
        began,
        all,
        told: began,
    };
    fleet.hunt();
    let went = hunt.go_on(options, &mut fleet, &mut stage, &court);
    if went.is_err() || court.violated() {
        eprintln!("{}", stage.said());
    }
    went?;
    let took = began.elapsed();
    fleet.end();
    let mut faults = hunt.storm.injected();
    faults.extend(hunt.upheavals.times().counts());
    let found = Found {
        seed,
        topology: options.topology,
        min_replicas: options.min_replicas(),
        times: hunt.upheavals.times(),
        held: hunt.upheavals.held(),
        processes: options.processes,
        window_ms: options.window,
        seconds: took.as_secs_f64(),
        tally: court.close()?,
        faults,
        figures,
        soak: hunt.soak,
    };
    println!("{found}");
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&found)?)?;
    }
    Ok(found)
}

/// What happens meanwhile.
struct Hunt {
    storm: Storm,
    upheavals: Upheavals,
    soak: Option<Soak>,
    began: Instant,
    all: Duration,
    told: Instant,
}

impl Hunt {
    fn go_on(
        &mut self,
        options: &Options,
        fleet: &mut Fleet<'_>,
        stage: &mut Stage,
        court: &Court,
    ) -> Result<(), Failure> {
        let end = self.began + self.all;
        while Instant::now() < end && (options.keep_going || !court.violated()) {
            let goes_on = Instant::now() + CALM_END < end;
            self.upheavals.step(fleet, stage, court, goes_on)?;
            match (goes_on, self.upheavals.is_calm()) {
                (true, true) => self.storm.step(fleet, stage.server(), court),
                (true, false) => self.storm.ends_due(fleet, stage.server(), court),
                (false, _) => self.storm.calm(fleet, stage.server(), court),
            }
            fleet.must_live();
            if let Some(hung) = court.hung() {
                return Err(hung.into());
            }
            self.tell(fleet, stage, court)?;
            std::thread::sleep(STEP);
        }
        self.storm.calm(fleet, stage.server(), court);
        self.upheavals.finish(fleet, stage, court)?;
        // After a violation nobody waits for more.
        if !court.violated() {
            fleet.pay()?;
        }
        if let Some(soak) = &mut self.soak {
            soak.judge(self.all);
        }
        Ok(())
    }

    fn tell(
        &mut self,
        fleet: &mut Fleet<'_>,
        stage: &mut Stage,
        court: &Court,
    ) -> Result<(), Failure> {
        // A soak has to be looked at often enough to be judged, however short it is.
        let every = match self.soak {
            Some(_) => PROGRESS.min(self.all / 30),
            None => PROGRESS,
        };
        if self.told.elapsed() < every {
            return Ok(());
        }
        self.told = Instant::now();
        let taken = match &mut self.soak {
            Some(soak) => format!("; {}", soak.look(fleet, stage, self.began)?),
            None => String::new(),
        };
        let seconds = self.began.elapsed().as_secs();
        eprintln!("{seconds:>4} s  {}{taken}", court.progress());
        Ok(())
    }
}
