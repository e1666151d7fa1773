//! A process that ends with the value that started it, and the signals it can be sent.
//!
//! Must not signal a process that has been reaped: its id may belong to somebody else by then.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// How often a condition that gives no notice is looked at.
const POLL: Duration = Duration::from_millis(2);

/// Looks until `probe` finds something or the time is up.
pub(crate) fn poll<T>(timeout: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(POLL);
    }
}

/// A child process, killed and reaped on drop.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    frozen: bool,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        Ok(Self {
            child: command.spawn()?,
            frozen: false,
        })
    }

    /// The child as the standard library knows it, for its pipes.
    pub(crate) fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it has.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .unwrap_or_else(|error| panic!("cannot wait for process {}: {error}", self.pid()))
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Option<ExitStatus> {
        poll(timeout, || self.exited())
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// When the process has ended.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if let Some(status) = self.exited() {
            panic!("process {} has already ended: {status}", self.pid());
        }
        if let Err(error) = kill_process(self.id(), signal) {
            panic!("cannot send {signal:?} to process {}: {error}", self.pid());
        }
    }

    /// Freezes the process; it runs no instruction after this has returned.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::STOP);
        // The signal only asks. `NOWAIT` leaves an exit to be reaped by `exited`.
        let states = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::Pid(self.id()), states) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("cannot wait for process {} to stop: {error}", self.pid()),
                Ok(_) => break,
            }
        }
        if let Some(status) = self.exited() {
            panic!("process {} ended instead of stopping: {status}", self.pid());
        }
        self.frozen = true;
    }

    /// Whether it was frozen, and has not been let go on.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Lets a frozen process go on.
    pub(crate) fn resume(&mut self) {
        self.signal(Signal::CONT);
        self.frozen = false;
    }

    /// Ends the process at once, frozen or not, and reaps it. The status of one that has already
    /// ended is returned as it is.
    pub(crate) fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A panic here would hide the test's own.
        let _ = self.kill();
    }
}
