//! How long it took, after each blow, until the store served everybody again.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::stamp::{Stamp, ms};

/// By the name of the blow.
#[derive(Clone, Debug, Default)]
pub(in crate::hunt) struct Times(BTreeMap<&'static str, Vec<Stamp>>);

#[derive(Clone, Copy, Debug, Serialize)]
struct Spread {
    times: usize,
    median_ms: f64,
    max_ms: f64,
}

impl Times {
    pub(super) fn add(&mut self, blow: &'static str, took: Stamp) {
        self.0.entry(blow).or_default().push(took);
    }

    /// How often each was dealt.
    pub(in crate::hunt) fn counts(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.iter();
        counts
            .map(|(name, all)| (*name, all.len() as u64))
            .collect()
    }

    fn spreads(&self) -> BTreeMap<&'static str, Spread> {
        let spread = |(name, all): (&&'static str, &Vec<Stamp>)| {
            let mut all = all.clone();
            all.sort_unstable();
            let spread = Spread {
                times: all.len(),
                median_ms: ms(all[all.len() / 2]),
                max_ms: ms(all[all.len() - 1]),
            };
            (*name, spread)
        };
        self.0.iter().map(spread).collect()
    }
}

impl Serialize for Times {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.spreads().serialize(serializer)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n| after | times | L2 serves every process again, ms: median | max |"
        )?;
        writeln!(f, "|---|--:|--:|--:|")?;
        for (name, spread) in self.spreads() {
            writeln!(
                f,
                "| {name} | {} | {:.0} | {:.0} |",
                spread.times, spread.median_ms, spread.max_ms
            )?;
        }
        Ok(())
    }
}
