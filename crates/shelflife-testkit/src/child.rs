//! Another process of the code under test: what it prints is waited for, never slept for.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process::Process;

/// How long a process that has closed its output may take to end, when that is being reported.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A process whose lines can be awaited and answered. Killed and reaped on drop (itself, not the
/// processes that it may have started).
///
/// ```no_run
/// use std::{process::Command, time::Duration};
/// use shelflife_testkit::Child;
///
/// let mut child = Child::spawn(Command::new("my-server").args(["--port", "0"]));
/// let line = child.expect_line("listening on ", Duration::from_secs(10));
/// child.terminate();
/// assert!(child.wait(Duration::from_secs(10)).success());
/// ```
#[derive(Debug)]
pub struct Child {
    process: Process,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// All that has been taken from both streams, to be shown when something fails.
    transcript: Vec<String>,
}

impl Child {
    /// Starts the command; its three standard streams become pipes.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(command)
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let child = process.child_mut();
        Self {
            stdin: child.stdin.take(),
            stdout: lines(child.stdout.take()),
            stderr: lines(child.stderr.take()),
            process,
            transcript: Vec::new(),
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The next line of standard output that starts with `prefix`, whole but for its end. Lines
    /// before it are passed over.
    ///
    /// # Panics
    ///
    /// When there is none within `timeout` or before the output ends, with all that was printed.
    pub fn expect_line(&mut self, prefix: &str, timeout: Duration) -> String {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.stdout.recv_timeout(left) {
                Ok(line) => {
                    self.transcript.push(line.clone());
                    if line.starts_with(prefix) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.fail(&format!("no line {prefix:?} within {timeout:?}"))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.fail(&format!("the output ended without a line {prefix:?}"))
                }
            }
        }
    }

    /// The same of what has been printed by now; `None` when there is no such line yet.
    pub fn printed_line(&mut self, prefix: &str) -> Option<String> {
        while let Ok(line) = self.stdout.try_recv() {
            self.transcript.push(line.clone());
            if line.starts_with(prefix) {
                return Some(line);
            }
        }
        None
    }

    /// Writes a line to standard input.
    ///
    /// # Panics
    ///
    /// When nobody reads it.
    pub fn send_line(&mut self, line: &str) {
        let Some(stdin) = &mut self.stdin else {
            panic!("cannot send {line:?}: standard input has been closed");
        };
        if let Err(error) = stdin.write_all(format!("{line}\n").as_bytes()) {
            self.fail(&format!("cannot send {line:?}: {error}"));
        }
    }

    /// Ends standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Freezes the process (SIGSTOP); it runs nothing after this has returned.
    ///
    /// # Panics
    ///
    /// When it has ended, as all that signal.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Lets a frozen process go on (SIGCONT).
    pub fn resume(&mut self) {
        self.process.resume();
    }

    /// Asks the process to end (SIGTERM).
    pub fn terminate(&mut self) {
        self.process.signal(Signal::TERM);
    }

    /// What Ctrl-C does (SIGINT).
    pub fn interrupt(&mut self) {
        self.process.signal(Signal::INT);
    }

    /// Kills the process (SIGKILL), frozen or not, and reaps it. One that has already ended
    /// reports how it did.
    pub fn kill(&mut self) -> ExitStatus {
        let killed = self.process.kill();
        killed.unwrap_or_else(|error| panic!("cannot kill process {}: {error}", self.pid()))
    }

    /// Whether the process has not ended.
    pub fn is_running(&mut self) -> bool {
        self.process.exited().is_none()
    }

    /// Waits for the process to end by itself.
    ///
    /// # Panics
    ///
    /// When it is still running after `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> ExitStatus {
        match self.process.wait(timeout) {
            Some(status) => status,
            None => self.fail(&format!("still running after {timeout:?}")),
        }
    }

    /// All that was printed by a process that has ended, on both streams.
    pub fn printed(&mut self) -> String {
        while let Ok(line) = self.stdout.recv_timeout(LAST_WORDS) {
            self.transcript.push(line);
        }
        self.gather_errors();
        self.transcript.join("\n")
    }

    fn gather_errors(&mut self) {
        while let Ok(line) = self.stderr.recv_timeout(LAST_WORDS) {
            self.transcript.push(format!("stderr: {line}"));
        }
    }

    fn fail(&mut self, what: &str) -> ! {
        let state = match self.process.wait(LAST_WORDS) {
            Some(status) => format!("ended: {status}"),
            None => "still running".to_owned(),
        };
        self.transcript.extend(self.stdout.try_iter());
        self.gather_errors();
        let printed = self.transcript.join("\n");
        panic!(
            "process {} ({state}): {what}; it printed:\n{printed}",
            self.pid()
        )
    }
}

/// Reads a pipe to its end on a thread of its own, so that the process never waits for a reader.
fn lines(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(pipe) = pipe {
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                let line = line.strip_suffix('\r').unwrap_or(&line).to_owned();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    }
    receiver
}
