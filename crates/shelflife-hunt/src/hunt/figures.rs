//! How fast it is when nothing fails: until the last process's L1 has dropped what was invalidated, and
//! what waiting for that costs.

use std::fmt;

use serde::Serialize;

use super::fleet::Fleet;
use crate::stamp::{Stamp, ms};
use crate::worker::Failure;
use crate::world::KEYS;

/// See the module.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    /// From `invalidate` returning in one process until no other process's L1 answers.
    last_drop: Spread,
    /// `invalidate` itself.
    invalidate: Spread,
    /// `invalidate(…).everywhere()`, as a whole.
    everywhere: Spread,
    /// A strict read of what L1 holds.
    strict_read: Spread,
    /// A read of what L1 holds, with the receipt.
    session_read: Spread,
}

/// In ms.
#[derive(Debug, Serialize)]
struct Spread {
    samples: usize,
    p50: f64,
    p99: f64,
    max: f64,
}

impl Spread {
    fn of(mut samples: Vec<Stamp>) -> Self {
        samples.sort_unstable();
        let at = |part: f64| {
            let index =
                ((samples.len() as f64 * part) as usize).min(samples.len().saturating_sub(1));
            samples.get(index).map_or(0.0, |n| ms(*n))
        };
        Self {
            samples: samples.len(),
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| without faults, ms | samples | p50 | p99 | max |")?;
        writeln!(f, "|---|--:|--:|--:|--:|")?;
        let rows = [
            ("invalidate", &self.invalidate),
            ("… returned → last L1 has dropped it", &self.last_drop),
            ("invalidate(…).everywhere()", &self.everywhere),
            ("strict read of what L1 holds", &self.strict_read),
            ("session read of what L1 holds", &self.session_read),
        ];
        for (name, spread) in rows {
            let Spread {
                samples,
                p50,
                p99,
                max,
            } = spread;
            writeln!(f, "| {name} | {samples} | {p50:.2} | {p99:.2} | {max:.2} |")?;
        }
        Ok(())
    }
}

/// Times so many invalidations by key, plain and everywhere in turn, with every process watching.
pub(super) fn measure(fleet: &mut Fleet<'_>, samples: usize) -> Result<Figures, Failure> {
    let (mut last_drop, mut invalidate, mut everywhere) = (Vec::new(), Vec::new(), Vec::new());
    let (mut strict, mut session) = (Vec::new(), Vec::new());
    // The list of members is taken for complete once it is older than Δ.
    std::thread::sleep(fleet.window() * 2);
    for sample in 0..samples * 2 {
        let key = sample % usize::from(KEYS / 6);
        let writer = sample % fleet.len();
        // Its own L1 has dropped it before it returns.
        let others = (0..fleet.len()).filter(|place| *place != writer);
        let plain = sample % 2 == 0;
        // Who watches looks ten thousand times a second. What `everywhere` costs is measured without that: the others
        // have the key in L1, and wait.
        let (how, before, ready) = match plain {
            true => ("invalidate", "watch", "watching"),
            false => ("everywhere", "bounded", "read "),
        };
        for place in others.clone() {
            fleet.ask(place, &format!("{before} {key}"), ready);
        }
        let said = fleet.ask(writer, &format!("{how} {key}"), "invalidated ");
        let (called, returned, receipt) = times(&said)?;
        if plain {
            let mut last = returned;
            for place in others {
                let dropped = fleet.hear(place, "dropped ");
                last = last.max(dropped.trim_start_matches("dropped ").parse()?);
            }
            invalidate.push(returned - called);
            last_drop.push(last - returned);
        } else {
            everywhere.push(returned - called);
        }
        let other = (writer + 1) % fleet.len();
        fleet.ask(other, &format!("bounded {key}"), "read ");
        let said = fleet.ask(other, &format!("strict {key}"), "read ");
        strict.push(took(&said)?);
        let said = fleet.ask(other, &format!("session {key} {receipt}"), "read ");
        session.push(took(&said)?);
    }
    Ok(Figures {
        last_drop: Spread::of(last_drop),
        invalidate: Spread::of(invalidate),
        everywhere: Spread::of(everywhere),
        strict_read: Spread::of(strict),
        session_read: Spread::of(session),
    })
}

/// `invalidated CALLED RETURNED RECEIPT`
fn times(said: &str) -> Result<(Stamp, Stamp, String), Failure> {
    match said.split(' ').collect::<Vec<_>>()[..] {
        [_, called, returned, receipt] => {
            Ok((called.parse()?, returned.parse()?, receipt.to_owned()))
        }
        _ => Err(format!("not what was asked for: {said:?}").into()),
    }
}

/// `read BEGAN ENDED VERSION`
fn took(said: &str) -> Result<Stamp, Failure> {
    match said.split(' ').collect::<Vec<_>>()[..] {
        [_, began, ended, _] => Ok(ended.parse::<Stamp>()? - began.parse::<Stamp>()?),
        _ => Err(format!("not what was asked for: {said:?}").into()),
    }
}
