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

/// What a process has from the system may be this much more in the end: the allocator keeps what a busy moment took.
const RSS: f64 = (4 << 20) as f64;
/// What it has in use there may be this much more: loads and receipts that happen to be under way.
const HEAP: f64 = (256 << 10) as f64;
/// Of connections, tasks and files so many may be under way by chance, for each process.
const CHANCE: f64 = 3.0;
/// The warm-up, by part of the whole: L1 fills, every code path is gone once.
const WARM: f64 = 0.2;

/// All processes together, and each for itself, at one moment.
#[derive(Clone, Debug, Default, Serialize)]
struct Gauge {
    second: f64,
    rss: f64,
    heap: f64,
    tasks: f64,
    files: f64,
    /// Of all servers.
    connections: f64,
    each: Vec<One>,
}

/// What one process takes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct One {
    rss: f64,
    heap: f64,
    tasks: f64,
    files: f64,
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
            connections: stage.connections()? as f64,
            ..Gauge::default()
        };
        self.processes = fleet.len();
        for place in 0..fleet.len() {
            let said = fleet.ask(place, "gauge", "gauge ");
            match said.split(' ').collect::<Vec<_>>()[..] {
                [_, rss, heap, tasks, files] => {
                    let one = One {
                        rss: rss.parse()?,
                        heap: heap.parse()?,
                        tasks: tasks.parse()?,
                        files: files.parse()?,
                    };
                    gauge.rss += one.rss;
                    gauge.heap += one.heap;
                    gauge.tasks += one.tasks;
                    gauge.files += one.files;
                    gauge.each.push(one);
                }
                _ => return Err(format!("not what was asked for: {said:?}").into()),
            }
        }
        let told = gauge.to_string();
        self.gauges.push(gauge);
        Ok(told)
    }

    /// Judges what was measured in `all` of the time.
    pub(super) fn judge(&mut self, all: Duration) {
        let warm = all.as_secs_f64() * WARM;
        let after: Vec<&Gauge> = self.gauges.iter().filter(|g| g.second >= warm).collect();
        let third = (after.len() / 3).max(1);
        let (Some(first), Some(last)) = (after.get(..third), after.len().checked_sub(third)) else {
            self.grown.push("nothing was measured".to_owned());
            return;
        };
        let last = &after[last..];
        let mut grown = Vec::new();
        let mut judge = |name: &str, of: &dyn Fn(&Gauge) -> f64, may: f64| {
            let (before, after) = (middle(first, of), middle(last, of));
            if after > before + may {
                grown.push(format!("{name}: {before:.0} first, {after:.0} in the end"));
            }
        };
        for place in 0..self.processes {
            let one = |gauge: &Gauge| gauge.each.get(place).copied().unwrap_or_default();
            judge(&format!("memory of p{}", place + 1), &|g| one(g).rss, RSS);
            judge(
                &format!("bytes in use of p{}", place + 1),
                &|g| one(g).heap,
                HEAP,
            );
            judge(
                &format!("tasks of p{}", place + 1),
                &|g| one(g).tasks,
                CHANCE,
            );
            judge(
                &format!("files of p{}", place + 1),
                &|g| one(g).files,
                CHANCE,
            );
        }
        let each = self.processes as f64;
        judge("connections", &|g| g.connections, CHANCE * each);
        self.grown.extend(grown);
    }

    /// Whether nothing has grown.
    pub(super) fn is_flat(&self) -> bool {
        self.grown.is_empty()
    }
}

fn middle(gauges: &[&Gauge], of: &dyn Fn(&Gauge) -> f64) -> f64 {
    let mut values: Vec<f64> = gauges.iter().map(|gauge| of(gauge)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl fmt::Display for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "memory {:.1} MiB, in use {:.2} MiB, tasks {}, files {}, connections {}",
            self.rss / f64::from(1 << 20),
            self.heap / f64::from(1 << 20),
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

    fn soak(of: impl Fn(f64) -> (One, f64)) -> Soak {
        let gauge = |second| {
            let (one, connections) = of(second);
            Gauge {
                second,
                connections,
                // The other is as it always was: its leak must not be hidden by many.
                each: vec![FLAT, one],
                ..Gauge::default()
            }
        };
        let mut soak = Soak {
            gauges: (0..=100).map(|s| gauge(f64::from(s))).collect(),
            processes: 2,
            grown: Vec::new(),
        };
        soak.judge(Duration::from_secs(100));
        soak
    }

    const FLAT: One = One {
        rss: 1e8,
        heap: 1e7,
        tasks: 30.0,
        files: 20.0,
    };

    #[test]
    fn what_comes_and_goes_and_what_the_warm_up_takes_is_no_growth() {
        let soak = soak(|s| {
            let one = One {
                rss: if s < 20.0 {
                    s * 5e6
                } else {
                    1e8 + s % 9.0 * 1e5
                },
                heap: if s < 20.0 {
                    s * 5e5
                } else {
                    1e7 + s % 9.0 * 1e4
                },
                tasks: 30.0 + s % 9.0,
                ..FLAT
            };
            (one, 6.0 + s % 9.0)
        });
        assert!(soak.is_flat(), "{soak}");
    }

    #[test]
    fn what_grows_slowly_in_one_process_is_found_whatever_it_is() {
        type Grown = fn(f64) -> (One, f64);
        let grows: [(&str, Grown); 5] = [
            ("memory of p2", |s| {
                let rss = 1e8 + s * 3e5;
                (One { rss, ..FLAT }, 6.0)
            }),
            ("bytes in use of p2", |s| {
                let heap = 1e7 + s * 8e3;
                (One { heap, ..FLAT }, 6.0)
            }),
            ("tasks of p2", |s| {
                let tasks = 30.0 + s / 5.0;
                (One { tasks, ..FLAT }, 6.0)
            }),
            ("files of p2", |s| {
                let files = 20.0 + s / 5.0;
                (One { files, ..FLAT }, 6.0)
            }),
            ("connections", |s| (FLAT, 6.0 + s / 5.0)),
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
