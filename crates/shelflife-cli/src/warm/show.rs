//! How far it is, and the sum.

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::tally::Tally;
use crate::cache_status::Served;
use crate::failure::Failure;
use crate::output;
use crate::units;

/// How many failures are shown to a person.
const SHOWN: usize = 20;

pub(super) struct Show {
    json: bool,
    /// On stderr, and only where that is a terminal.
    bar: ProgressBar,
}

impl Show {
    pub(super) fn new(json: bool, known: Option<u64>) -> Self {
        let (bar, template) = match known {
            Some(n) => (
                ProgressBar::new(n),
                "{bar:30} {human_pos} of {human_len}, {eta} left  {wide_msg}",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{spinner} {human_pos}  {wide_msg}",
            ),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { json, bar }
    }

    pub(super) fn progress(&self, tally: &Tally) {
        self.bar.set_position(tally.asked + tally.skipped);
        self.bar.set_message(format!(
            "{}/s: {} hits, {} misses, {} failed",
            units::short(tally.rate()),
            tally.of(Served::Hit),
            tally.of(Served::Miss),
            tally.failed
        ));
    }

    pub(super) fn end(&self, tally: &Tally, interrupted: bool) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        let seconds = tally.elapsed().as_secs_f64();
        if self.json {
            let served: Map<String, Value> = Served::ALL
                .iter()
                .map(|it| (it.as_str().to_owned(), tally.of(*it).into()))
                .collect();
            return output::json(&json!({
                "asked": tally.asked,
                "ok": tally.asked - tally.failed,
                "failed": tally.failed,
                "skipped": tally.skipped,
                "retried": tally.retried,
                "stored": tally.stored,
                "served": served,
                "bytes": tally.bytes,
                "seconds": (seconds * 1000.0).round() / 1000.0,
                "interrupted": interrupted,
                "failures": tally.failures,
            }));
        }
        for it in tally.failures.iter().take(SHOWN) {
            output::line(format!("failed  {}: {}", it.url, it.error))?;
        }
        if tally.failures.len() > SHOWN {
            let told = tally.failures.len() as u64;
            let which = match tally.failed > told {
                true => format!("the first {told}"),
                false => "them".to_owned(),
            };
            let more = tally.failed - SHOWN as u64;
            output::line(format!("failed  and {more} more: --json tells {which}"))?;
        }
        let counted = Served::ALL.iter().filter(|it| tally.of(**it) > 0);
        let counted: Vec<String> = counted
            .map(|it| format!("{} {}", tally.of(*it), it.as_str()))
            .collect();
        let mut rows = vec![
            (
                "asked",
                format!(
                    "{} in {seconds:.1} s, {}/s, {}",
                    tally.asked,
                    units::short(tally.rate()),
                    units::bytes(tally.bytes)
                ),
            ),
            ("served", counted.join(", ")),
            ("stored", tally.stored.to_string()),
        ];
        let further = [
            ("skipped", tally.skipped),
            ("retried", tally.retried),
            ("failed", tally.failed),
        ];
        rows.extend(
            further
                .into_iter()
                .filter(|(_, n)| *n > 0)
                .map(|(name, n)| (name, n.to_string())),
        );
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(name, text)| vec![name.to_owned(), text])
            .collect();
        output::table(&rows, &[])?;
        if tally.of(Served::Untold) > 0 && tally.of(Served::Untold) == tally.asked - tally.failed {
            output::note("no cache on the way says anything (Cache-Status): is there one?");
        }
        Ok(())
    }
}
