//! What is wrong with a server, or a namespace, for a cache: a pure function of what was asked.
//!
//! ```text
//! facts.rs      what was asked and seen: INFO, CONFIG, rights, pings, names
//! mend.rs       the lines for a shell
//! version.rs · memory.rs · disk.rs · replicas.rs · rights.rs · serving.rs · stored.rs     one rule a function
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
mod version;

pub(super) use facts::{Certificates, Hot, Place, Slow};
pub(crate) use facts::{Facts, Replica, Survey};
pub(super) use rights::{Checks, Rights};

use crate::doctor::{Diagnosis, Severity};
use mend::Mend;
use rights::Beside;

impl Facts {
    /// Everything that is to be told.
    pub(crate) fn diagnose(&self) -> Vec<Diagnosis> {
        let (mend, beside) = (Mend::of(&self.place, &self.namespace), Beside::of(self));
        let mut found = self.server(&beside);
        for other in &self.others {
            found.extend(other.server(&beside));
        }
        for rule in [stored::rules, unchecked::of_a_namespace] {
            rule(self, &mend, &mut found);
        }
        found.extend(unchecked::nodes(self));
        found
    }

    /// What is to be told of one server. In a cluster its findings say which one it is.
    fn server(&self, beside: &Beside) -> Vec<Diagnosis> {
        let mend = Mend::with_replicas(self);
        let mut found = Vec::new();
        version::rules(self, &mut found);
        for rule in [memory::rules, disk::rules, replicas::rules] {
            rule(self, &mend, &mut found);
        }
        rights::rules(self, &mend, beside, &mut found);
        for rule in [serving::rules, unchecked::of_a_server] {
            rule(self, &mend, &mut found);
        }
        if self.place.of_a_cluster {
            for it in &mut found {
                it.found = format!("{}: {}", self.place.shown, it.found);
            }
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
