//! What happened of late to each key, and to the world: what a violation is explained by.
//!
//! Must not: judge.

use std::collections::VecDeque;
use std::fmt;

use crate::checker::Violation;
use crate::order::Happened;
use crate::record::{Confirmed, Load, Process, Read};
use crate::stamp::{Stamp, ms};
use crate::world::{ALL_KEYS, key};

/// Of each key, and of the faults, so much is kept.
const KEPT: usize = 1024;
/// A violation's history begins so long before the invalidation that was not honoured.
const BEFORE: Stamp = 1_500_000_000;
/// And ends so long after the read.
const AFTER: Stamp = 20_000_000;

/// See the module.
#[derive(Debug)]
pub struct History {
    keys: Vec<VecDeque<Event>>,
    faults: VecDeque<(Stamp, String)>,
}

#[derive(Clone, Debug)]
struct Event {
    at: Stamp,
    process: Process,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Load(Load),
    /// The first of several reads of one process that all saw the same, in the same way; and how many.
    Reads(Read, u64),
    Confirmed(Confirmed),
    Unconfirmed(Confirmed),
}

impl Default for History {
    fn default() -> Self {
        Self {
            keys: (0..ALL_KEYS).map(|_| VecDeque::new()).collect(),
            faults: VecDeque::new(),
        }
    }
}

impl History {
    /// A fault, or the end of one.
    pub fn fault(&mut self, at: Stamp, what: String) {
        push(&mut self.faults, (at, what));
    }

    /// What a process told.
    pub fn note(&mut self, process: Process, what: &Happened) {
        match what {
            Happened::Loaded(load) => self.add(load.key, process, load.ended, What::Load(*load)),
            Happened::Read(read) => self.read(process, read),
            Happened::Confirmed(what) => self.each(process, what, What::Confirmed),
            Happened::Unconfirmed(what) => self.each(process, what, What::Unconfirmed),
        }
    }

    /// To every key that an invalidation names.
    fn each(&mut self, process: Process, what: &Confirmed, as_what: fn(Confirmed) -> What) {
        for &(key, version) in &what.named {
            let of_this_key = Confirmed {
                named: vec![(key, version)],
                ..what.clone()
            };
            self.add(key, process, what.confirmed, as_what(of_this_key));
        }
    }

    fn add(&mut self, key: u8, process: Process, at: Stamp, what: What) {
        if let Some(events) = self.keys.get_mut(usize::from(key)) {
            push(events, Event { at, process, what });
        }
    }

    /// A read like its process's last one is only counted, for thousands are.
    fn read(&mut self, process: Process, read: &Read) {
        let Some(events) = self.keys.get_mut(usize::from(read.key)) else {
            return;
        };
        let last = events.iter_mut().rev().take(32);
        let last = last
            .filter(|event| event.process == process)
            .find_map(|event| match &mut event.what {
                What::Reads(first, count) => Some((first, count)),
                _ => None,
            });
        let same = |a: &Read| {
            (a.version, a.tier, a.stale, a.level)
                == (read.version, read.tier, read.stale, read.level)
        };
        match last {
            Some((first, count)) if same(first) => *count += 1,
            _ => self.add(read.key, process, read.began, What::Reads(*read, 1)),
        }
    }

    /// The violation, and what led to it.
    pub fn explain<'a>(&'a self, violation: &'a Violation) -> impl fmt::Display + 'a {
        Explained {
            history: self,
            violation,
        }
    }
}

fn push<T>(events: &mut VecDeque<T>, event: T) {
    if events.len() == KEPT {
        events.pop_front();
    }
    events.push_back(event);
}

struct Explained<'a> {
    history: &'a History,
    violation: &'a Violation,
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation {
            process,
            read,
            promise,
            floor,
        } = self.violation;
        writeln!(
            f,
            "VIOLATION of {promise:?}: process {process} read {} at the level {} and saw version {} \
             where {} is the least",
            key(read.key),
            read.level.name(),
            read.version,
            floor.version,
        )?;
        writeln!(
            f,
            "  confirmed to process {} {:.3} ms before the read began; times are ms from that beginning",
            floor.by,
            ms(read.began.saturating_sub(floor.confirmed)),
        )?;
        let from = floor.confirmed.min(read.began).saturating_sub(BEFORE);
        let keys = self.history.keys.get(usize::from(read.key));
        // What came later explains nothing, but that it went on.
        let span = from..=read.ended.saturating_add(AFTER);
        let events = keys.into_iter().flatten().filter(|e| span.contains(&e.at));
        let mut lines: Vec<(Stamp, String)> = events.map(|e| (e.at, e.to_string())).collect();
        let faults = self.history.faults.iter();
        let faults = faults.filter(|(at, _)| span.contains(at));
        lines.extend(faults.map(|(at, what)| (*at, format!("     FAULT {what}"))));
        let this = Event {
            at: read.began,
            process: *process,
            what: What::Reads(*read, 1),
        };
        lines.push((read.began, format!("{this}  ◀── this read")));
        lines.sort_by_key(|(at, _)| *at);
        for (at, line) in lines {
            let relative = (i128::from(at) - i128::from(read.began)) as f64 / 1e6;
            writeln!(f, "  {relative:>11.3}  {line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{:<3} ", self.process)?;
        match &self.what {
            What::Load(load) => write!(
                f,
                "loaded version {} (took {:.3})",
                load.version,
                ms(load.ended - load.began)
            ),
            What::Reads(read, count) => {
                write!(
                    f,
                    "read {} version {} from {}{} (took {:.3})",
                    read.level.name(),
                    read.version,
                    read.tier.name(),
                    if read.stale { ", stale" } else { "" },
                    ms(read.ended.saturating_sub(read.began)),
                )?;
                if let Some(held) = read.held {
                    write!(f, " holding {:016x}:{}", held.inc, held.tick)?;
                }
                match count {
                    1 => Ok(()),
                    _ => write!(f, " and {} more like it", count - 1),
                }
            }
            What::Unconfirmed(what) => write!(f, "tried in vain: {}", told(what)),
            What::Confirmed(what) => {
                write!(f, "{}, {:016x}:{}", told(what), what.inc, what.tick)
            }
        }
    }
}

/// An invalidation as it is told of one of its keys.
fn told(what: &Confirmed) -> String {
    format!(
        "{}invalidated {:?}{}, called {:.3} before; version {} from there on",
        if what.soft { "softly " } else { "" },
        what.target,
        if what.everywhere { " everywhere" } else { "" },
        ms(what.confirmed - what.called),
        what.named.first().map_or(0, |(_, version)| *version),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::{Floor, Promise};
    use crate::record::{Level, Tier};
    use crate::world::Target;

    #[test]
    fn a_violation_is_shown_with_all_that_led_to_it() {
        let mut history = History::default();
        let second = 1_000_000_000;
        let read = |began| Read {
            key: 9,
            level: Level::Bounded,
            stale: false,
            tier: Tier::L1,
            began,
            ended: began + 1000,
            of: 9,
            version: 6,
            held: None,
        };
        history.note(
            2,
            &Happened::Loaded(Load {
                key: 9,
                began: 9 * second,
                ended: 9 * second,
                version: 6,
            }),
        );
        for at in 0..3 {
            history.note(2, &Happened::Read(read(9 * second + at)));
        }
        let confirmed = Confirmed {
            target: Target::Tag(1),
            soft: false,
            everywhere: false,
            called: 10 * second - 5,
            confirmed: 10 * second,
            inc: 5,
            tick: 77,
            named: vec![(9, 7)],
        };
        history.note(1, &Happened::Confirmed(confirmed));
        history.fault(10 * second, "p2 frozen".to_owned());
        history.fault(second, "long ago".to_owned());
        let violation = Violation {
            process: 2,
            read: read(12 * second),
            promise: Promise::Bound,
            floor: Floor {
                version: 7,
                since: 11 * second,
                by: 1,
                confirmed: 10 * second,
                called: 10 * second - 5,
            },
        };
        let text = history.explain(&violation).to_string();
        for part in [
            "VIOLATION of Bound: process 2 read g1:item:1",
            "saw version 6 where 7 is the least",
            "2000.000 ms before",
            "loaded version 6",
            "and 2 more like it",
            "invalidated Tag(1)",
            "FAULT p2 frozen",
            "◀── this read",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
        assert!(!text.contains("long ago"), "{text}");
    }
}
