//! The processes that use the cache, each behind a wire of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use shelflife_testkit::{Child, Proxy, RedisServer};
use tokio::runtime::Handle;

use super::Options;
use super::court::Court;
use super::stage::Stage;
use crate::record::Process;
use crate::worker::{Failure, Sabotage};

/// How long a process may take to start or to answer.
const SOON: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Fleet<'a> {
    posts: Vec<Post>,
    /// Those that were told to end, and have not yet.
    leaving: Vec<Child>,
    runtime: Handle,
    binary: PathBuf,
    source: String,
    options: &'a Options,
    court: &'a Court,
    /// The number of the next process.
    next: Process,
    /// Whether writers leave it alone to invalidate everything.
    spares: bool,
}

/// A place in the fleet: when its process is killed, another takes it.
pub(super) struct Post {
    /// To the server, or to each sentinel.
    pub(super) wires: Vec<Proxy>,
    /// By which its process reaches the cache.
    url: String,
    pub(super) process: Process,
    pub(super) child: Child,
    pub(super) frozen: bool,
}

impl Post {
    /// Breaks its connections.
    pub(super) fn cut(&self) {
        self.wires.iter().for_each(Proxy::cut);
    }

    /// Lets nothing through, or goes on.
    pub(super) fn hold(&self, hold: bool) {
        self.wires.iter().for_each(|wire| wire.freeze(hold));
    }
}

impl<'a> Fleet<'a> {
    /// Starts all processes and waits until each has started its cache.
    pub(super) fn start(
        options: &'a Options,
        runtime: &tokio::runtime::Runtime,
        stage: &Stage,
        source: &RedisServer,
        court: &'a Court,
    ) -> Result<Self, Failure> {
        let mut fleet = Self {
            posts: Vec::new(),
            leaving: Vec::new(),
            runtime: runtime.handle().clone(),
            binary: std::env::current_exe()?,
            source: source.url(),
            options,
            court,
            next: 1,
            spares: false,
        };
        for _ in 0..options.processes {
            let ends = stage.behind_wires().into_iter();
            let start = |end| runtime.block_on(Proxy::start(end));
            let wires: Vec<Proxy> = ends.map(start).collect();
            let addresses: Vec<_> = wires.iter().map(Proxy::address).collect();
            let url = stage.url(&addresses);
            let (process, child) = fleet.spawn(&url);
            fleet.posts.push(Post {
                wires,
                url,
                process,
                child,
                frozen: false,
            });
        }
        for post in &mut fleet.posts {
            post.child.expect_line("ready", SOON);
        }
        Ok(fleet)
    }

    fn spawn(&mut self, cache: &str) -> (Process, Child) {
        let process = self.next;
        self.next += 1;
        let options = self.options;
        let each = options.rate / u32::try_from(options.processes).unwrap_or(1).max(1);
        let mut command = Command::new(&self.binary);
        command
            .arg("worker")
            .args(["--cache", cache])
            .args(["--source", &self.source])
            .args(["--tell", &self.court.address().to_string()])
            .args(["--process", &process.to_string()])
            .args(["--window", &options.window.to_string()])
            .args(["--rate", &each.max(1).to_string()]);
        match options.sabotage {
            // Who lies is the first, or everyone would.
            Some(Sabotage::Forget) if process == 1 => {
                command.args(["--sabotage", "forget"]);
            }
            Some(Sabotage::Leak) if process == 1 => {
                command.args(["--sabotage", "leak"]);
            }
            Some(Sabotage::Panic) if process == 1 => {
                command.args(["--sabotage", "panic"]);
            }
            Some(Sabotage::Clock) => {
                command.args(["--sabotage", "clock"]);
            }
            Some(Sabotage::Depart) => {
                command.args(["--sabotage", "depart"]);
            }
            _ => {}
        }
        self.court.joins(process);
        (process, Child::spawn(&mut command))
    }

    /// Lets everyone read and write from now on.
    pub(super) fn hunt(&mut self) {
        self.tell("hunt");
    }

    pub(super) fn posts(&mut self) -> &mut [Post] {
        &mut self.posts
    }

    /// How many places there are.
    pub(super) fn len(&self) -> usize {
        self.posts.len()
    }

    /// Δ.
    pub(super) fn window(&self) -> Duration {
        Duration::from_millis(self.options.window)
    }

    /// Kills the process at a place and starts another there.
    pub(super) fn replace(&mut self, place: usize) -> (Process, Process) {
        let killed = self.posts[place].process;
        self.posts[place].child.kill();
        self.court.killed(killed);
        let (process, _) = self.succeed(place);
        (killed, process)
    }

    /// Lets the process at a place end as it should, and starts another there at once.
    pub(super) fn relieve(&mut self, place: usize) -> (Process, Process) {
        let relieved = self.posts[place].process;
        self.posts[place].child.close_stdin();
        let (process, child) = self.succeed(place);
        self.leaving.push(child);
        (relieved, process)
    }

    /// Another process takes the place; gives its number, and who had it before.
    fn succeed(&mut self, place: usize) -> (Process, Child) {
        let url = self.posts[place].url.clone();
        let (process, mut child) = self.spawn(&url);
        if self.spares {
            child.send_line("spare 0");
        }
        child.send_line("hunt");
        let post = &mut self.posts[place];
        (post.process, post.frozen) = (process, false);
        (process, std::mem::replace(&mut post.child, child))
    }

    /// Whether every process is at its place, and goes on.
    pub(super) fn is_complete(&mut self) -> bool {
        self.leaving.is_empty() && self.posts.iter().all(|post| !post.frozen)
    }

    /// Says a line to everyone.
    pub(super) fn tell(&mut self, line: &str) {
        for post in &mut self.posts {
            post.child.send_line(line);
        }
    }

    /// Has nobody invalidate everything from now on. Each answers `spared NUMBER`, once nothing of that kind is under way.
    pub(super) fn spare(&mut self, number: u32) {
        self.spares = true;
        self.tell(&format!("spare {number}"));
    }

    /// Lets everything be invalidated again, if it was spared.
    pub(super) fn unspare(&mut self) {
        if std::mem::take(&mut self.spares) {
            self.tell("unspare");
        }
    }

    /// Refuses connections at a place, or accepts them again.
    pub(super) fn refuse(&self, place: usize, refuse: bool) {
        for wire in &self.posts[place].wires {
            self.runtime.block_on(wire.refuse(refuse));
        }
    }

    /// Whether the process at a place is on the side of the old primary when the network splits.
    pub(super) fn is_minority(place: usize) -> bool {
        place % 2 == 1
    }

    /// Parts those processes from the sentinels, or lets them in again.
    pub(super) fn part(&self, apart: bool) {
        for place in (0..self.posts.len()).filter(|place| Self::is_minority(*place)) {
            self.refuse(place, apart);
            if apart {
                self.posts[place].cut();
            }
        }
    }

    /// A process that ends by itself has crashed: shows what it printed, and gives up.
    pub(super) fn must_live(&mut self) {
        for post in &mut self.posts {
            if !post.child.is_running() {
                post.child.expect_line("nothing: it has crashed", SOON);
            }
        }
        for mut child in std::mem::take(&mut self.leaving) {
            match child.is_running() {
                true => self.leaving.push(child),
                false => ended_well(&mut child),
            }
        }
    }

    /// Lets everyone end, and waits for it.
    pub(super) fn end(&mut self) {
        for post in &mut self.posts {
            post.child.close_stdin();
        }
        let posts = self.posts.iter_mut().map(|post| &mut post.child);
        for child in posts.chain(&mut self.leaving) {
            ended_well(child);
        }
    }

    /// Waits until every invalidation is confirmed that could not be while the store was away.
    ///
    /// # Errors
    ///
    /// When one is not, in time.
    pub(super) fn pay(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        for place in 0..self.len() {
            while self.ask(place, "owes", "owes ") != "owes 0" {
                if began.elapsed() > SOON {
                    let process = self.posts[place].process;
                    return Err(format!(
                        "process {process} owes an invalidation {SOON:?} after the last fault"
                    )
                    .into());
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    /// Asks the process at a place, and waits for a line that begins like `answer`.
    pub(super) fn ask(&mut self, place: usize, question: &str, answer: &str) -> String {
        let child = &mut self.posts[place].child;
        child.send_line(question);
        child.expect_line(answer, SOON)
    }

    /// Waits for a line of the process at a place.
    pub(super) fn hear(&mut self, place: usize, answer: &str) -> String {
        self.posts[place].child.expect_line(answer, SOON)
    }
}

/// One that was told to end has ended as it should, or shows what it printed.
fn ended_well(child: &mut Child) {
    if !child.wait(SOON).success() {
        child.expect_line("nothing: it has failed", SOON);
    }
}
