//! How a server comes up: its command line, its file, and whether it is this very process that answers.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::options::{Kind, Options};
use crate::port::free_port;
use crate::process::{Process, poll};
use crate::resp::{Connection, Reply};
use crate::scratch::Scratch;

/// How long a server may take to answer its first `PING`.
const START: Duration = Duration::from_secs(10);

/// How long one probe of a starting server may take: somebody else may sit on the port, silent.
const PROBE: Duration = Duration::from_secs(1);

/// Its file, in its own directory.
const CONF: &str = "server.conf";

const LOG: &str = "server.log";

/// Where a server that speaks TLS alone can be asked, too, in its own directory.
const SOCKET: &str = "kit.sock";

/// Where a server runs, and with what: the same after a restart.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) scratch: Scratch,
    pub(super) binary: PathBuf,
    pub(super) options: Options,
    pub(super) port: u16,
    /// Of the cluster's bus.
    bus: u16,
}

impl Site {
    /// # Panics
    ///
    /// When its file can't be written.
    pub(super) fn new(binary: PathBuf, options: Options) -> Self {
        let scratch = Scratch::new();
        if options.kind != Kind::Server {
            let text = options.conf.join("\n") + "\n";
            fs::write(scratch.path().join(CONF), text)
                .unwrap_or_else(|error| panic!("cannot write a server's file: {error}"));
        }
        Self {
            scratch,
            binary,
            options,
            port: 0,
            bus: 0,
        }
    }

    /// Takes other ports.
    pub(super) fn moves(&mut self) {
        self.port = free_port();
        self.bus = free_port();
    }

    pub(super) fn bus(&self) -> u16 {
        self.bus
    }

    pub(super) fn launch(&self) -> Result<Process, Failure> {
        let mut process = self.spawn().map_err(|error| Failure {
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
            log: self.log(),
        })
    }

    pub(super) fn log(&self) -> String {
        let log = fs::read(self.scratch.path().join(LOG)).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// A connection, authenticated if that is asked for.
    pub(super) fn connect(&self, timeout: Duration) -> io::Result<Connection> {
        let mut connection = match self.options.tls() {
            None => Connection::open(([127, 0, 0, 1], self.port).into(), timeout)?,
            Some(_) => {
                let socket = self.options.socket().unwrap_or(SOCKET);
                Connection::open_unix(&self.scratch.path().join(socket), timeout)?
            }
        };
        if let Some(credentials) = self.options.credentials() {
            let words: Vec<&[u8]> = std::iter::once(b"AUTH".as_slice())
                .chain(credentials.words())
                .collect();
            let reply = connection.command(&words)?;
            if reply != Reply::Simple("OK".to_owned()) {
                return Err(io::Error::other(format!("AUTH: {reply}")));
            }
        }
        Ok(connection)
    }

    fn spawn(&self) -> io::Result<Process> {
        // The log comes by the standard streams: a refused option is reported there too.
        let out = File::create(self.scratch.path().join(LOG))?;
        let mut command = Command::new(&self.binary);
        if self.options.kind != Kind::Server {
            command.arg(self.scratch.path().join(CONF));
        }
        match self.options.kind {
            Kind::Sentinel => command.arg("--sentinel"),
            // The default waits 5 s for further replicas before a copy begins.
            _ => command
                .args(["--save", "", "--appendonly", "no"])
                .args(["--repl-diskless-sync-delay", "0"]),
        };
        if self.options.kind == Kind::Node {
            command
                .args(["--cluster-enabled", "yes"])
                .args(["--cluster-port", &self.bus.to_string()]);
        }
        let port = self.port.to_string();
        match self.options.tls() {
            None => command.args(["--port", &port]),
            Some(certificates) => command
                .args(["--port", "0", "--tls-port", &port, "--unixsocket", SOCKET])
                .args(certificates.server_args()),
        };
        command
            .args(["--bind", "127.0.0.1"])
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
            let mut connection = self.connect(PROBE)?;
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
pub(super) struct Failure {
    what: String,
    log: String,
}

impl Failure {
    pub(super) fn port_taken(&self) -> bool {
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
