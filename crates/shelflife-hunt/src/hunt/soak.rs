//! The soak: full load and no faults, for long. What a process takes must not grow.
//!
//! Judged by the middle of the first third after the warm-up against the middle of the last one: what comes and goes is in both.
//!
//! Must not: judge answers; the court does, all the while.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::fleet::Fleet;
use super::stage::Stage;
use crate::worker::Failure;

/// Memory may be this much more in the end: the allocator's own, and what a busy moment took. By part, and at least so much each.
const PART: f64 = 0.05;
const BYTES: f64 = (4 << 20) as f64;
/// Of connections, tasks and files so many may be under way by chance, in each process.
const CHANCE: f64 = 3.0;
/// The warm-up, by part of the whole: L1 fills, every code path is gone once.
const WARM: f64 = 0.2;

/// All processes together, at one moment.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Gauge {
    second: f64,
    rss: f64,
    tasks: f64,
    files: f64,
    connections: f64,
}

/// What was measured.
#[derive(Debug, Default, Serialize)]
pub(super) struct Soak {
    gauges: Vec<Gauge>,
    processes: usize,
    /// What was more in the end than in the beginning.
    grown: Vec<String>,
}

impl Soak {
    /// Takes the measure of everyone.
    pub(super) fn look(
        &mut self,
        fleet: &mut Fleet<'_>,
        stage: &mut Stage,
        began: Instant,
    ) -> Result<String, Failure> {
        let mut gauge = Gauge {
            second: began.elapsed().as_secs_f64(),
            connections: stage.connections().unwrap_or_default() as f64,
            ..Gauge::default()
        };
        self.processes = fleet.len();
        for place in 0..fleet.len() {
            let said = fleet.ask(place, "gauge", "gauge ");
            match said.split(' ').collect::<Vec<_>>()[..] {
                [_, rss, tasks, files] => {
                    gauge.rss += rss.parse::<f64>()?;
                    gauge.tasks += tasks.parse::<f64>()?;
                    gauge.files += files.parse::<f64>()?;
                }
                _ => return Err(format!("not what was asked for: {said:?}").into()),
            }
        }
        self.gauges.push(gauge);
        Ok(gauge.to_string())
    }

    /// Judges what was measured in `all` of the time.
    pub(super) fn judge(&mut self, all: Duration) {
        let warm = all.as_secs_f64() * WARM;
        let after: Vec<Gauge> = self
            .gauges
            .iter()
            .copied()
            .filter(|g| g.second >= warm)
            .collect();
        let third = (after.len() / 3).max(1);
        let (Some(first), Some(last)) = (after.get(..third), after.len().checked_sub(third)) else {
            self.grown.push("nothing was measured".to_owned());
            return;
        };
        let last = &after[last..];
        let each = self.processes as f64;
        let kinds: [(&str, Reading, f64); 4] = [
            ("memory", |g| g.rss, BYTES * each),
            ("tasks", |g| g.tasks, CHANCE * each),
            ("files", |g| g.files, CHANCE * each),
            ("connections", |g| g.connections, CHANCE * each),
        ];
        for (name, of, least) in kinds {
            let (before, after) = (middle(first, of), middle(last, of));
            let may = match name {
                "memory" => least.max(before * PART),
                _ => least,
            };
            if after > before + may {
                self.grown
                    .push(format!("{name}: {before:.0} first, {after:.0} in the end"));
            }
        }
    }

    /// Whether nothing has grown.
    pub(super) fn is_flat(&self) -> bool {
        self.grown.is_empty()
    }
}

/// One of the figures of a gauge.
type Reading = fn(&Gauge) -> f64;

fn middle(gauges: &[Gauge], of: Reading) -> f64 {
    let mut values: Vec<f64> = gauges.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl fmt::Display for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "memory {:.1} MiB, tasks {}, files {}, connections {}",
            self.rss / f64::from(1 << 20),
            self.tasks,
            self.files,
            self.connections
        )
    }
}

impl fmt::Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(first), Some(last)) = (self.gauges.first(), self.gauges.last()) {
            writeln!(f, "soak, {} processes together", self.processes)?;
            writeln!(f, "  after {:>5.0} s: {first}", first.second)?;
            writeln!(f, "  after {:>5.0} s: {last}", last.second)?;
        }
        match self.is_flat() {
            true => write!(f, "  nothing has grown"),
            false => write!(f, "  GROWN: {}", self.grown.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soak(of: impl Fn(f64) -> Gauge) -> Soak {
        let mut soak = Soak {
            gauges: (0..=100).map(|s| of(f64::from(s))).collect(),
            processes: 2,
            grown: Vec::new(),
        };
        soak.judge(Duration::from_secs(100));
        soak
    }

    fn flat(second: f64) -> Gauge {
        Gauge {
            second,
            rss: 1e8,
            tasks: 60.0,
            files: 40.0,
            connections: 6.0,
        }
    }

    #[test]
    fn what_comes_and_goes_and_what_the_warm_up_takes_is_no_growth() {
        let soak = soak(|s| Gauge {
            rss: if s < 20.0 { s * 5e6 } else { 1e8 },
            tasks: 60.0 + s % 9.0,
            ..flat(s)
        });
        assert!(soak.is_flat(), "{soak}");
    }

    #[test]
    fn what_grows_slowly_is_found_whatever_it_is() {
        let grows: [(&str, fn(f64) -> Gauge); 4] = [
            ("memory", |s| Gauge {
                rss: 1e8 + s * 3e5,
                ..flat(s)
            }),
            ("tasks", |s| Gauge {
                tasks: 60.0 + s / 5.0,
                ..flat(s)
            }),
            ("files", |s| Gauge {
                files: 40.0 + s / 5.0,
                ..flat(s)
            }),
            ("connections", |s| Gauge {
                connections: 6.0 + s / 5.0,
                ..flat(s)
            }),
        ];
        for (name, of) in grows {
            let soak = soak(of);
            assert_eq!(soak.grown.len(), 1, "{name}: {soak}");
            assert!(soak.grown[0].starts_with(name), "{soak}");
        }
    }

    #[test]
    fn nothing_measured_is_not_flat() {
        let mut soak = Soak::default();
        soak.judge(Duration::from_secs(1));
        assert!(!soak.is_flat());
    }
}
