//! A real Redis or Valkey server for one test.
//!
//! Must not use a Redis client, nor keep anything on disk beyond the server's own directory.

mod binary;
mod launch;
mod options;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitStatus;
use std::time::Duration;

use self::launch::Site;
pub(crate) use self::options::{Kind, Options};
use crate::process::Process;
use crate::resp::{Connection, Reply};
use crate::tls::Certificates;

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
    // Before `site`: fields are dropped in this order, and the process writes to its directory.
    process: Option<Process>,
    site: Site,
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
        Self::start_as(Options::new(extra))
    }

    /// Starts a server that speaks TLS alone, and lets nobody in without a certificate of the same
    /// authority. [`RedisServer::command`] and its like ask it by a Unix socket of its own.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start_with`], and when the server was built without TLS.
    pub fn start_tls(certificates: &Certificates, extra: &[&str]) -> Self {
        Self::start_as(Options::new(extra).with_tls(certificates))
    }

    pub(crate) fn start_as(options: Options) -> Self {
        let binary = binary::find().unwrap_or_else(|missing| panic!("{missing}"));
        let mut server = Self {
            process: None,
            site: Site::new(binary, options),
        };
        for _ in 0..PORTS {
            server.site.moves();
            match server.site.launch() {
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

    /// `redis://127.0.0.1:port`, with the password if there is one; `rediss://` with the paths of the
    /// certificates if it speaks TLS.
    pub fn url(&self) -> String {
        self.site.options.url(&self.host())
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address().to_string()
    }

    /// `unix:///path/of/the/socket`, with the password if there is one; none without `--unixsocket`.
    pub fn unix_url(&self) -> Option<String> {
        self.site.options.unix_url(self.site.scratch.path())
    }

    /// The TCP port; the same after a restart.
    pub fn port(&self) -> u16 {
        self.site.port
    }

    /// The port of the cluster's bus.
    pub(crate) fn bus(&self) -> u16 {
        self.site.bus()
    }

    /// The TCP address, for a [`Proxy`](crate::Proxy).
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port()).into()
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

    /// Whether it runs, and is not frozen.
    pub fn is_awake(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| !process.is_frozen())
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
            .unwrap_or_else(|error| panic!("cannot kill {}: {error}", self.site.binary.display()))
    }

    /// Starts the server anew on the same port, empty, killing it first if it runs. A part of a group or a
    /// cluster remembers what it was.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`].
    pub fn restart(&mut self) {
        // Dropping the process kills and reaps it.
        self.process = None;
        match self.site.launch() {
            Ok(process) => self.process = Some(process),
            Err(failure) => panic!("restart on port {}: {failure}", self.port()),
        }
    }

    /// What it has logged since it was last started.
    pub fn log(&self) -> String {
        self.site.log()
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
        self.site.connect(ANSWER)
    }

    /// The same of a server that may not answer.
    pub(crate) fn connect_within(&self, timeout: Duration) -> io::Result<Connection> {
        self.site.connect(timeout)
    }

    fn running(&mut self) -> &mut Process {
        match self.process {
            Some(ref mut process) => process,
            None => panic!("the server on port {} has been killed", self.site.port),
        }
    }

    fn gone(&self) -> ! {
        panic!("the server on port {} has been killed", self.port())
    }
}
