//! The load: wrk, on the last core.

use std::process::Command;
use std::time::Duration;

use crate::Outcome;
use crate::measure::Turn;

pub(crate) struct Load {
    connections: usize,
    turn: Duration,
}

impl Load {
    /// `None` when wrk is not installed.
    pub(crate) fn find(connections: usize, turn: Duration) -> Option<Self> {
        Command::new("wrk").arg("--version").output().ok()?;
        Some(Self { connections, turn })
    }

    /// A turn against this URL: the time of one request in ns.
    pub(crate) fn turn(&self, url: &str) -> Turn<'_> {
        let url = url.to_owned();
        Box::new(move || self.requests(&url).map(|a_second| 1e9 / a_second))
    }

    fn requests(&self, url: &str) -> Outcome<f64> {
        let mut wrk = pinned("wrk", last_core());
        wrk.args(["-t1", &format!("-c{}", self.connections)])
            .arg(format!("-d{}s", self.turn.as_secs().max(1)))
            .arg(url);
        let output = wrk.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        // Answers that are errors are fast, too.
        if !output.status.success() || text.contains("Non-2xx") || text.contains("Socket errors") {
            return Err(format!("the load failed on {url}: {text}").into());
        }
        let line = text.lines().find_map(|l| l.strip_prefix("Requests/sec:"));
        let number = line.ok_or_else(|| format!("wrk printed no rate: {text}"))?;
        Ok(number.trim().parse()?)
    }
}

/// A command that stays on one core, where the machine has several and can say so.
pub(crate) fn pinned(program: impl AsRef<std::ffi::OsStr>, core: Option<usize>) -> Command {
    match core {
        Some(core) => {
            let mut command = Command::new("taskset");
            command.args(["-c", &core.to_string()]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn can_pin() -> bool {
    cores() > 1 && Command::new("taskset").arg("--version").output().is_ok()
}

/// Where servers stay.
pub(crate) fn first_core() -> Option<usize> {
    can_pin().then_some(0)
}

/// Where the load stays.
fn last_core() -> Option<usize> {
    can_pin().then(|| cores() - 1)
}
