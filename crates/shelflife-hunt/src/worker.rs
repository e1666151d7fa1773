//! A process that uses the cache and tells what it sees.
//!
//! Driven by lines on standard input, ended by their end: then it closes its cache, while it still reads
//! and writes. Answers by lines on standard output. What it reads and invalidates goes to the hunt by a
//! connection of its own.
//!
//! ```text
//! hunt                     reads at every level and writes from now on, until the input ends
//! quiet N                  → "quiet N" once its writers have ended what they do, and do nothing further
//! loud                     they go on
//! watch KEY                → "watching" once L1 answers, then "dropped STAMP" when it no longer does
//! invalidate KEY           → "invalidated CALLED RETURNED RECEIPT"
//! everywhere KEY           the same, waiting for everyone
//! strict KEY               → "read BEGAN ENDED VERSION"
//! session KEY RECEIPT      the same
//! bounded KEY              the same
//! notice N                 → "noticed N": how often it has begun to follow anew is kept in mind
//! back N serve             → "back N SERVED REPEATED" once the store has served it, on every node; both are moments
//! back N resync            the same, and it has begun to follow anew since `notice`, and L1 answers
//! spare N                  → "spared N" once nothing invalidates everything, here, and nothing will
//! unspare                  everything may be invalidated again
//! store N KEY              → "stored N" once the store holds what the source has of this key
//! lose N SOFT TARGET       → "lost N yes" once that has been changed and invalidated, "lost N no" if it was not confirmed
//! owes                     → "owes N": how many invalidations have not been confirmed so far
//! gauge                    → "gauge RSS HEAP TASKS FILES": bytes, bytes in use, and how many
//! ```
//!
//! Must not: judge what it sees.
#![allow(
    clippy::print_stdout,
    reason = "its lines are what the hunt reads and answers"
)]

mod back;
mod gauge;
mod probe;
mod reader;
mod recorder;
mod source;
mod witness;
mod writer;

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use shelflife::{Cache, ManualClock};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::RwLock;

use self::recorder::Recorder;
use self::source::Source;
use crate::record::Process;
use crate::world::{Changed, policy};

/// What may go wrong with a worker itself.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The cache's namespace.
pub const NAMESPACE: &str = "hunt";

/// How long what is under way may take when the cache has been closed.
const LAST: Duration = Duration::from_secs(20);

/// A lie or a defect that a worker is given on purpose, to see that the hunt finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sabotage {
    /// It says that its invalidations are confirmed, and makes none.
    Forget,
    /// Its clock stands still: its window never closes.
    Clock,
    /// It keeps memory that nobody needs, and connections.
    Leak,
    /// A task of it panics.
    Panic,
    /// What is to be lost with a primary it has confirmed to a cache of its own, which is closed then: nobody is left who would repeat it.
    Depart,
}

/// What a worker is told when it is started.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where the cache's Redis is, for this process.
    #[arg(long)]
    pub cache: String,
    /// Where the source is.
    #[arg(long)]
    pub source: String,
    /// Where to tell what happens.
    #[arg(long)]
    pub tell: SocketAddr,
    /// Which process of the hunt this is.
    #[arg(long)]
    pub process: Process,
    /// Δ, in ms.
    #[arg(long)]
    pub window: u64,
    /// How many bounded reads a second to try for.
    #[arg(long)]
    pub rate: u32,
    /// What is wrong with it.
    #[arg(long)]
    pub sabotage: Option<Sabotage>,
}

/// A value of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Whose value it is.
    pub(crate) of: u8,
    pub(crate) version: u64,
}

/// What all tasks of a worker share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) cache: Cache,
    pub(crate) source: Source,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) sabotage: Option<Sabotage>,
    options: Options,
    /// How often it had begun to follow anew when that was to be noticed.
    pub(crate) noticed: AtomicU64,
    /// Held by who writes, each time; and as a whole by who wants nothing written.
    pub(crate) writing: Arc<RwLock<()>>,
    /// Whether its writers leave it alone to invalidate everything.
    pub(crate) spares: AtomicBool,
    ends: AtomicBool,
}

impl Worker {
    pub(crate) fn goes_on(&self) -> bool {
        !self.ends.load(Ordering::Relaxed)
    }

    /// The entry of a key, as everyone reads it.
    pub(crate) fn entry(&self, key: u8) -> shelflife::Entry<'_> {
        self.cache
            .entry(crate::world::key(key))
            .policy(policy(key))
            .tag(crate::world::tag(key))
    }
}

/// Runs a worker until its standard input ends.
///
/// # Errors
///
/// When the source or the hunt can't be reached, or the cache refuses to start.
pub fn run(options: &Options) -> Result<(), Failure> {
    // Frozen when its parent dies, it would stay for ever.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    dies_of_panics();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(work(options))
}

async fn work(options: &Options) -> Result<(), Failure> {
    let source = Source::connect(&options.source).await?;
    let recorder = Arc::new(Recorder::new(options.process));
    let teller = recorder.tell(TcpStream::connect(options.tell)?);
    let cache = start(options, &recorder).await?;
    cache.on(Changed::invalidates);
    println!("ready");
    let worker = Arc::new(Worker {
        cache,
        source,
        recorder,
        sabotage: options.sabotage,
        options: options.clone(),
        noticed: AtomicU64::new(0),
        writing: Arc::default(),
        spares: AtomicBool::new(false),
        ends: AtomicBool::new(false),
    });
    let mut tasks = Vec::new();
    let mut quiet = None;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["hunt"] => {
                tasks.extend(reader::start(&worker, options.rate));
                tasks.extend(writer::start(&worker));
                match worker.sabotage {
                    Some(Sabotage::Leak) => drop(tokio::spawn(gauge::leak())),
                    Some(Sabotage::Panic) => drop(tokio::spawn(async { panic!("on purpose") })),
                    _ => {}
                }
            }
            ["quiet", _] => {
                drop(quiet.take());
                quiet = Some(worker.writing.clone().write_owned().await);
                println!("{line}");
            }
            ["loud"] => quiet = None,
            ["notice", number] => back::notice(&worker, number),
            ["back", number, until] => drop(tokio::spawn(back::tell(
                worker.clone(),
                number.to_owned(),
                until == "resync",
            ))),
            ["spare", number] => drop(tokio::spawn(witness::spare(
                worker.clone(),
                number.to_owned(),
            ))),
            ["unspare"] => worker.spares.store(false, Ordering::SeqCst),
            ["store", number, key] => drop(tokio::spawn(witness::store(
                worker.clone(),
                number.to_owned(),
                key.parse()?,
            ))),
            ["lose", number, soft, target] => drop(tokio::spawn(witness::lose(
                worker.clone(),
                number.to_owned(),
                soft.parse()?,
                serde_json::from_str(target)?,
            ))),
            ["owes"] => println!("owes {}", worker.cache.stats().unconfirmed),
            ["gauge"] => gauge::tell()?,
            _ => probe::answer(&worker, &words).await?,
        }
    }
    drop(quiet);
    worker.cache.close().await;
    worker.ends.store(true, Ordering::Relaxed);
    let ended = futures_util::future::join_all(tasks);
    let ended = tokio::time::timeout(LAST, ended).await;
    worker.recorder.end();
    teller.join().map_err(|_| "the teller panicked")?;
    match ended {
        Ok(_) => Ok(()),
        Err(_) => Err(format!(
            "a read or an invalidation has not ended {LAST:?} after the cache was closed"
        )
        .into()),
    }
}

/// A panic ends the process, which the hunt notices: in a task of its own it would only be missing.
fn dies_of_panics() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
}

/// A server that is being killed may refuse for a moment.
async fn start(options: &Options, recorder: &Recorder) -> Result<Cache, Failure> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let began = Instant::now();
    loop {
        let mut builder = Cache::builder()
            .url(&options.cache)
            .namespace(NAMESPACE)
            .window(Duration::from_millis(options.window))
            .timeout(Duration::from_millis(300))
            .connect_timeout(Duration::from_millis(500))
            // With several connections, what is sent first need not be executed first.
            .connections(if options.process.is_multiple_of(2) {
                1
            } else {
                3
            });
        if options.sabotage == Some(Sabotage::Clock) {
            builder = builder.clock(&ManualClock::new());
        }
        match builder.build().await {
            Ok(cache) => return Ok(cache),
            Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => {
                recorder.count(|counts| counts.refused += 1);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
