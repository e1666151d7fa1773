//! What is wrong with a server, or a namespace, for a cache: a pure function of what was asked.
//!
//! ```text
//! facts.rs      what was asked and seen: INFO, CONFIG, rights, pings, names
//! mend.rs       the lines for a shell
//! memory.rs · disk.rs · replicas.rs · rights.rs · serving.rs · stored.rs     one rule a function
//! unchecked.rs  what could not be asked
//! ```
//!
//! Must not: do I/O, read a clock.

mod disk;
mod facts;
mod memory;
mod mend;
mod replicas;
mod rights;
mod serving;
mod stored;
#[cfg(test)]
mod tests;
mod unchecked;

pub(crate) use facts::{Facts, Survey};
pub(super) use facts::{Hot, Place, Slow};
pub(super) use rights::{Checks, Rights};

use crate::doctor::{Diagnosis, Severity};
use mend::Mend;

impl Facts {
    /// Everything that is to be told.
    pub(crate) fn diagnose(&self) -> Vec<Diagnosis> {
        let mend = Mend::of(&self.place, &self.namespace);
        let rules = [
            memory::rules,
            disk::rules,
            replicas::rules,
            rights::rules,
            serving::rules,
            stored::rules,
            unchecked::rules,
        ];
        let mut found = Vec::new();
        for rule in rules {
            rule(self, &mend, &mut found);
        }
        found
    }
}

fn diagnosis(
    check: &'static str,
    severity: Severity,
    found: impl Into<String>,
    consequence: impl Into<String>,
    mend: Vec<String>,
) -> Diagnosis {
    Diagnosis {
        check,
        severity,
        found: found.into(),
        consequence: consequence.into(),
        mend,
    }
}

/// A number of bytes for a person.
fn size(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, one) in units {
        if bytes >= one {
            return format!("{}.{} {unit}", bytes / one, bytes % one * 10 / one);
        }
    }
    format!("{bytes} bytes")
}
