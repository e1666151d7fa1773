//! The court: hears every process, brings what they tell into order, and has it judged.
//!
//! ```text
//! connections, a thread each ──frames──▶ court's thread: order ─▶ checker ─▶ tally
//! the hunt ─────joins, kills, faults───▶                    └───▶ history
//! ```

use std::collections::HashSet;
use std::io::BufReader;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::tally::Tally;
use crate::checker::{Checker, Violation};
use crate::excuse::Excuse;
use crate::history::History;
use crate::order::{Happened, Order};
use crate::record::{Frame, Process};
use crate::stamp::{nanos, now};
use crate::worker::Failure;

/// What binds a read is young within this.
const YOUNG: Duration = Duration::from_secs(10);
/// Of each promise, so many violations are printed in full.
const PRINTED: u64 = 2;
/// A process that tells nothing for so long hangs; none is frozen for nearly as long.
const HANGS: Duration = Duration::from_secs(45);
/// How long last words may take.
const LAST_WORDS: Duration = Duration::from_secs(20);

enum Told {
    /// From then on whatever it tells happens.
    Joins(Process, u64),
    Frame(Frame),
    /// Its connection has ended.
    Left(Process),
    /// It was killed; it may never have connected.
    Killed(Process),
    Fault(u64, String),
    /// What an upheaval, by its number, excuses.
    Excuses(u32, Vec<Excuse>),
    End,
}

/// What the hunt may look at while the court sits.
#[derive(Debug, Default)]
struct Board {
    reads: AtomicU64,
    invalidations: AtomicU64,
    violations: AtomicU64,
    hung: Mutex<Option<String>>,
}

/// See the module.
pub(super) struct Court {
    address: SocketAddr,
    tell: Sender<Told>,
    board: Arc<Board>,
    bench: JoinHandle<Tally>,
}

impl Court {
    /// Listens from now on.
    pub(super) fn open(delta: Duration) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (tell, told) = channel();
        let teller = tell.clone();
        // Ends with the program: nothing tells a listener that nobody will come any more.
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let teller = teller.clone();
                std::thread::spawn(move || hear(connection, &teller));
            }
        });
        let board = Arc::new(Board::default());
        let bench = Bench {
            order: Order::default(),
            checker: Checker::new(nanos(delta), nanos(YOUNG)),
            history: History::default(),
            tally: Tally::default(),
            heard: HashSet::new(),
            board: board.clone(),
        };
        Ok(Self {
            address,
            tell,
            board,
            bench: std::thread::spawn(move || bench.sit(&told)),
        })
    }

    /// Where processes tell what happens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A process is about to be started.
    pub(super) fn joins(&self, process: Process) {
        self.say(Told::Joins(process, now()));
    }

    /// A process was killed.
    pub(super) fn killed(&self, process: Process) {
        self.say(Told::Killed(process));
    }

    /// A fault was injected, or has ended.
    pub(super) fn fault(&self, what: String) {
        self.say(Told::Fault(now(), what));
    }

    /// What an upheaval excuses, as far as is known by now.
    pub(super) fn excuse(&self, upheaval: u32, excuses: Vec<Excuse>) {
        self.say(Told::Excuses(upheaval, excuses));
    }

    fn say(&self, what: Told) {
        // A court that has broken down is noticed when it is closed.
        let _ = self.tell.send(what);
    }

    /// Whether a violation was found.
    pub(super) fn violated(&self) -> bool {
        self.board.violations.load(Ordering::Relaxed) > 0
    }

    /// The process that has told nothing for too long.
    pub(super) fn hung(&self) -> Option<String> {
        let hung = self.board.hung.lock();
        hung.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A line for people.
    pub(super) fn progress(&self) -> String {
        let board = &self.board;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        format!(
            "{} reads checked, {} invalidations, {} violations",
            get(&board.reads),
            get(&board.invalidations),
            get(&board.violations)
        )
    }

    /// Waits for everyone's last words, then tells what was found.
    pub(super) fn close(self) -> Result<Tally, Failure> {
        self.say(Told::End);
        let tally = self.bench.join();
        tally.map_err(|_| "the checker's thread panicked".into())
    }
}

/// Passes on what one process tells.
fn hear(connection: TcpStream, teller: &Sender<Told>) {
    let mut from = BufReader::new(connection);
    let mut process = None;
    while let Ok(frame) = Frame::receive(&mut from) {
        process = Some(frame.process);
        if teller.send(Told::Frame(frame)).is_err() {
            return;
        }
    }
    if let Some(process) = process {
        let _ = teller.send(Told::Left(process));
    }
}

struct Bench {
    order: Order,
    checker: Checker,
    history: History,
    tally: Tally,
    /// Those that have told something: their connection's end will come.
    heard: HashSet<Process>,
    board: Arc<Board>,
}

impl Bench {
    /// Judges until the end; then nothing is to come that would change what is known of what was lost.
    fn sit(mut self, told: &Receiver<Told>) -> Tally {
        self.hear_all(told);
        self.tally.confirmed_while_held = self.checker.confirmed_while_held();
        self.tally
    }

    fn hear_all(&mut self, told: &Receiver<Told>) {
        const LOOK: Duration = Duration::from_millis(200);
        let mut ends: Option<Instant> = None;
        loop {
            match told.recv_timeout(LOOK) {
                Ok(Told::End) => ends = Some(Instant::now()),
                Ok(what) => {
                    self.take(what);
                    for what in told.try_iter().take(64) {
                        match what {
                            Told::End => ends = Some(Instant::now()),
                            what => self.take(what),
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.judge();
            let slowest = self.order.slowest();
            match (ends, slowest) {
                (Some(_), None) => return,
                (Some(since), Some((process, _))) if since.elapsed() > LAST_WORDS => {
                    self.tally.unheard = Some(process);
                    return;
                }
                _ => self.notice_silence(slowest),
            }
        }
    }

    fn take(&mut self, what: Told) {
        match what {
            Told::Joins(process, since) => self.order.join(process, since),
            Told::Frame(mut frame) => {
                self.heard.insert(frame.process);
                self.tally.counts.add(std::mem::take(&mut frame.counts));
                self.order.tell(frame);
            }
            Told::Left(process) => self.order.leave(process),
            Told::Killed(process) if self.heard.contains(&process) => {}
            Told::Killed(process) => self.order.leave(process),
            Told::Fault(at, what) => self.history.fault(at, what),
            Told::Excuses(upheaval, excuses) => self.checker.excuse(upheaval, excuses),
            Told::End => {}
        }
    }

    fn judge(&mut self) {
        while let Some((process, what)) = self.order.release() {
            self.history.note(process, &what);
            match what {
                Happened::Loaded(_) => self.tally.loads += 1,
                Happened::Unconfirmed(_) => self.tally.unconfirmed += 1,
                Happened::Confirmed(what) => {
                    self.checker.confirmed(process, &what);
                    self.tally.confirmed(&what);
                    self.board.invalidations.fetch_add(1, Ordering::Relaxed);
                }
                Happened::Read(read) => {
                    let verdict = self.checker.read(process, &read);
                    self.board.reads.fetch_add(1, Ordering::Relaxed);
                    let told = verdict.as_ref().map_err(AsRef::as_ref);
                    self.tally.read(&read, told);
                    if let Err(violation) = verdict {
                        self.report(&violation);
                    }
                }
            }
        }
    }

    /// The first few of each kind in full; the others are counted.
    fn report(&mut self, violation: &Violation) {
        self.board.violations.fetch_add(1, Ordering::Relaxed);
        if self.tally.violations(violation.promise) <= PRINTED {
            eprintln!("{}", self.history.explain(violation));
        }
    }

    fn notice_silence(&self, slowest: Option<(Process, u64)>) {
        if let Some((process, since)) = slowest
            && now().saturating_sub(since) > nanos(HANGS)
        {
            let mut hung = self
                .board
                .hung
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *hung = Some(format!(
                "process {process} hangs: for {HANGS:?} a read has not ended, or nothing was told"
            ));
        }
    }
}
