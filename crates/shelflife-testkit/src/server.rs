//! A real Redis or Valkey server for one test.
//!
//! Must not use a Redis client, nor keep anything on disk beyond the server's own directory.

mod binary;
mod options;

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use self::options::Options;
use crate::port::free_port;
use crate::process::{Process, poll};
use crate::resp::{Connection, Reply};
use crate::scratch::Scratch;

/// How long a server may take to answer its first `PING`.
const START: Duration = Duration::from_secs(10);

/// How long one probe of a starting server may take: somebody else may sit on the port, silent.
const PROBE: Duration = Duration::from_secs(1);

/// How long a running server may take over a command.
const ANSWER: Duration = Duration::from_secs(5);

/// Ports lost in a row to somebody else before that is taken for a fault of its own.
const PORTS: usize = 10;

/// A server process of its own: a free port of 127.0.0.1, a directory of its own, nothing kept.
/// Killed, reaped and tidied up on drop.
///
/// The binary is the one that `SHELFLIFE_TEST_REDIS_SERVER` names, else the `redis-server`, else
/// the `valkey-server` in `PATH`. All methods block, shortly; they may be called in async tests.
///
/// ```no_run
/// use shelflife_testkit::{RedisServer, Reply};
///
/// let mut server = RedisServer::start_with(&["--maxmemory", "16mb"]);
/// server.cli(&["SET", "user:1", "Ada"]);
/// server.restart();
/// assert_eq!(server.command(&[b"GET", b"user:1"]), Reply::Nil);
/// ```
#[derive(Debug)]
pub struct RedisServer {
    // Before `scratch`: fields are dropped in this order, and the process writes to the directory.
    process: Option<Process>,
    scratch: Scratch,
    binary: PathBuf,
    options: Options,
    port: u16,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    ///
    /// When there is no server binary (saying how to get one), or the server does not answer
    /// within 10 seconds (with the end of its log).
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further options, as on its command line: `&["--maxmemory", "1mb"]`.
    /// With `--requirepass` the URLs carry the password; `--unixsocket` may be relative, to the
    /// server's own directory.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`], and when the options set the port, which is chosen here.
    pub fn start_with(extra: &[&str]) -> Self {
        let mut server = Self {
            process: None,
            scratch: Scratch::new(),
            binary: binary::find().unwrap_or_else(|missing| panic!("{missing}")),
            options: Options::new(extra),
            port: 0,
        };
        for _ in 0..PORTS {
            server.port = free_port();
            match server.launch() {
                Ok(process) => {
                    server.process = Some(process);
                    return server;
                }
                Err(failure) if failure.port_taken() => {}
                Err(failure) => panic!("{failure}"),
            }
        }
        panic!(
            "{PORTS} free ports in a row were taken by somebody else before the server had them"
        );
    }

    /// `redis://127.0.0.1:port`, with the password if there is one.
    pub fn url(&self) -> String {
        format!("redis://{}{}", self.options.userinfo(), self.address())
    }

    /// `unix:///path/of/the/socket`, with the password if there is one; none without `--unixsocket`.
    pub fn unix_url(&self) -> Option<String> {
        self.options.unix_url(self.scratch.path())
    }

    /// The TCP port; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The TCP address, for a [`Proxy`](crate::Proxy).
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The process id.
    ///
    /// # Panics
    ///
    /// When the server has been killed.
    pub fn pid(&self) -> u32 {
        match &self.process {
            Some(process) => process.pid(),
            None => self.gone(),
        }
    }

    /// Freezes the server (SIGSTOP). Its port still accepts connections and bytes, and answers
    /// nothing. It executes nothing after this has returned.
    ///
    /// # Panics
    ///
    /// When the server is not running.
    pub fn stop(&mut self) {
        self.running().stop();
    }

    /// Lets a frozen server go on (SIGCONT); it executes what has arrived meanwhile.
    ///
    /// # Panics
    ///
    /// When the server is not running.
    pub fn resume(&mut self) {
        self.running().resume();
    }

    /// Kills the server (SIGKILL), frozen or not. Connections are gone and the port refuses new
    /// ones when this returns.
    ///
    /// # Panics
    ///
    /// When the server has already been killed.
    pub fn kill(&mut self) -> ExitStatus {
        let mut process = self.process.take().unwrap_or_else(|| self.gone());
        process
            .kill()
            .unwrap_or_else(|error| panic!("cannot kill {}: {error}", self.binary.display()))
    }

    /// Starts the server anew on the same port, empty, killing it first if it runs.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`].
    pub fn restart(&mut self) {
        // Dropping the process kills and reaps it.
        self.process = None;
        match self.launch() {
            Ok(process) => self.process = Some(process),
            Err(failure) => panic!("restart on port {}: {failure}", self.port),
        }
    }

    /// Runs one command of text and shows the reply as text (see [`Reply`]'s `Display`).
    ///
    /// # Panics
    ///
    /// When the server reports an error, or as [`RedisServer::command`].
    pub fn cli(&self, words: &[&str]) -> String {
        let bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        match self.command(&bytes) {
            Reply::Error(error) => panic!("{}: {error}", words.join(" ")),
            reply => reply.to_string(),
        }
    }

    /// Runs one command of any bytes, on a connection of its own. For thousands of commands use
    /// one [`RedisServer::connect`]: each connection holds a port for a while after it has closed.
    ///
    /// # Panics
    ///
    /// When the server does not answer within 5 seconds.
    pub fn command(&self, words: &[&[u8]]) -> Reply {
        self.connect()
            .and_then(|mut connection| connection.command(words))
            .unwrap_or_else(|error| {
                let name = words.first().copied().unwrap_or_default();
                let name = String::from_utf8_lossy(name);
                panic!("{name}: no answer from {}: {error}", self.address())
            })
    }

    /// Opens a connection, authenticated if there is a password.
    ///
    /// # Errors
    ///
    /// When the server does not accept, or is silent for 5 seconds.
    pub fn connect(&self) -> io::Result<Connection> {
        self.connect_within(ANSWER)
    }

    fn connect_within(&self, timeout: Duration) -> io::Result<Connection> {
        let mut connection = Connection::open(self.address(), timeout)?;
        if let Some(password) = self.options.password() {
            let reply = connection.command(&[b"AUTH", password.as_bytes()])?;
            if reply != Reply::Simple("OK".to_owned()) {
                return Err(io::Error::other(format!("AUTH: {reply}")));
            }
        }
        Ok(connection)
    }

    fn running(&mut self) -> &mut Process {
        match self.process {
            Some(ref mut process) => process,
            None => panic!("the server on port {} has been killed", self.port),
        }
    }

    fn gone(&self) -> ! {
        panic!("the server on port {} has been killed", self.port)
    }

    fn launch(&self) -> Result<Process, Failure> {
        let log = self.scratch.path().join("server.log");
        let mut process = self.spawn(&log).map_err(|error| Failure {
            what: format!("cannot start {}: {error}", self.binary.display()),
            log: String::new(),
        })?;
        let pid = process.pid();
        let outcome = poll(START, || match process.exited() {
            Some(status) => Some(Err(format!("ended at once: {status}"))),
            None => self.answers_as(pid).then_some(Ok(())),
        });
        let wrong = match outcome {
            Some(Ok(())) => return Ok(process),
            Some(Err(ended)) => ended,
            None => format!("process {pid} did not answer PING within {START:?}"),
        };
        Err(Failure {
            what: format!("{}: {wrong}", self.binary.display()),
            log: std::fs::read_to_string(&log).unwrap_or_default(),
        })
    }

    fn spawn(&self, log: &Path) -> io::Result<Process> {
        // The log comes by the standard streams: a refused option is reported there too.
        let out = File::create(log)?;
        let mut command = Command::new(&self.binary);
        command
            .args(["--port", &self.port.to_string()])
            .args(["--bind", "127.0.0.1"])
            .args(["--save", ""])
            .args(["--appendonly", "no"])
            .arg("--dir")
            .arg(self.scratch.path())
            .args(self.options.args())
            .current_dir(self.scratch.path())
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        Process::spawn(&mut command)
    }

    /// Whether it is this very process that answers: the port may have been lost to another
    /// server, which would answer just as well.
    fn answers_as(&self, pid: u32) -> bool {
        let ask = || -> io::Result<bool> {
            let mut connection = self.connect_within(PROBE)?;
            let pong = connection.command(&[b"PING"])? == Reply::Simple("PONG".to_owned());
            let info = connection.command(&[b"INFO", b"server"])?.to_string();
            let expected = format!("process_id:{pid}");
            Ok(pong && info.lines().any(|line| line == expected))
        };
        ask().unwrap_or(false)
    }
}

/// Why a server did not come up.
#[derive(Debug)]
struct Failure {
    what: String,
    log: String,
}

impl Failure {
    fn port_taken(&self) -> bool {
        self.log.contains("Address already in use")
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<&str> = self.log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(20)..];
        write!(f, "{}\nits log ends with:\n{}", self.what, tail.join("\n"))
    }
}
