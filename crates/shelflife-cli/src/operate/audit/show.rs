//! The lines of `shelflife audit`, for a person or a program.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use shelflife::{AuditSummary, Class, Disagreement, Error, Fault, Finding, Logged};

use crate::failure::Failure;
use crate::operate::utc;
use crate::operate::watch;
use crate::output;

pub(super) struct Show {
    json: bool,
    began: Instant,
    length: Option<Duration>,
    /// On stderr, and only where that is a terminal.
    bar: ProgressBar,
}

impl Show {
    pub(super) fn new(json: bool, length: Option<Duration>) -> Self {
        let bar = match json {
            true => ProgressBar::hidden(),
            false => ProgressBar::new_spinner(),
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        Self {
            json,
            began: Instant::now(),
            length,
            bar,
        }
    }

    pub(super) fn begin(&self, namespace: &str) -> Result<(), Failure> {
        if self.json {
            return output::json(&json!({"type": "auditing", "namespace": namespace}));
        }
        let until = self
            .length
            .map_or(String::new(), |length| format!(" for {length:?}"));
        output::note(format!(
            "auditing {namespace}{until}; Ctrl-C ends it and tells the sum"
        ));
        Ok(())
    }

    pub(super) fn finding(&self, it: &Finding, summary: &AuditSummary) -> Result<(), Failure> {
        match it {
            Finding::Disagreement(it) if self.json => typed("disagreement", &**it),
            Finding::Fault(it) if self.json => typed("fault", it),
            Finding::Round(_) if self.json => typed("round", summary),
            Finding::Disagreement(it) => self.lines(disagreement(it)),
            Finding::Fault(it) => self.lines(vec![fault(it)]),
            // The progress shows it.
            _ => Ok(()),
        }
    }

    pub(super) fn lost(&self, error: &Error) -> Result<(), Failure> {
        match self.json {
            true => output::json(&json!({"type": "lost", "error": error.to_string()})),
            false => self.lines(vec![format!(
                "-- the server is out of reach, trying again: {error}"
            )]),
        }
    }

    pub(super) fn back(&self) -> Result<(), Failure> {
        match self.json {
            true => output::json(&json!({"type": "back"})),
            false => self.lines(vec!["-- the server is back".to_owned()]),
        }
    }

    pub(super) fn progress(&self, sum: &AuditSummary) {
        let elapsed = self.began.elapsed().as_secs();
        let of = self
            .length
            .map_or(String::new(), |length| format!(" of {}", length.as_secs()));
        self.bar.set_message(format!(
            "{elapsed}{of} s: round {}, {} looks, {} answers compared, {} violations, {} within, {} foreign",
            sum.rounds + 1,
            sum.looks,
            sum.l1 + sum.l2,
            sum.violations,
            sum.within,
            sum.foreign
        ));
        self.bar.tick();
    }

    pub(super) fn end(&self, sum: &AuditSummary) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        let seconds = self.began.elapsed().as_secs_f64();
        if self.json {
            let mut line = tagged("summary", sum)?;
            line["seconds"] = json!((seconds * 1000.0).round() / 1000.0);
            return output::json(&line);
        }
        let closed = match sum.window_closed {
            0 => String::new(),
            n => format!("; at {n} looks the window was closed, and l1 silent"),
        };
        let rows = [
            (
                "looks",
                format!(
                    "{} in {seconds:.1} s, {} whole rounds, {} keys kept",
                    sum.looks, sum.rounds, sum.kept
                ),
            ),
            (
                "compared",
                format!("{} answers of l1, {} of l2{closed}", sum.l1, sum.l2),
            ),
            ("log", format!("{} entries seen", sum.logged)),
            ("violations", sum.violations.to_string()),
            ("within \u{394}", sum.within.to_string()),
            ("foreign", sum.foreign.to_string()),
            (
                "not told",
                format!("{} (entries of the log were missed)", sum.untold),
            ),
            (
                "dead",
                format!(
                    "{} looks at values from before the clock was lost (shelflife doctor)",
                    sum.other_incarnation
                ),
            ),
            ("faults", sum.faults.to_string()),
        ];
        let shown = rows
            .iter()
            .filter(|(name, _)| *name != "not told" || sum.untold > 0)
            .filter(|(name, _)| *name != "dead" || sum.other_incarnation > 0);
        let rows: Vec<_> = shown
            .map(|(name, text)| vec![(*name).to_owned(), text.clone()])
            .collect();
        output::table(&rows, &[])?;
        match sum.l1 + sum.l2 {
            0 => output::line(
                "nothing could be compared: no key was looked at twice while it was kept",
            ),
            _ => Ok(()),
        }
    }

    fn lines(&self, lines: Vec<String>) -> Result<(), Failure> {
        self.bar
            .suspend(|| lines.into_iter().try_for_each(output::line))
    }
}

fn tagged(kind: &str, it: &impl serde::Serialize) -> Result<Value, Failure> {
    let mut line = serde_json::to_value(it)
        .map_err(|error| Failure::new(format!("cannot write JSON: {error}")))?;
    line["type"] = kind.into();
    Ok(line)
}

fn typed(kind: &str, it: &impl serde::Serialize) -> Result<(), Failure> {
    output::json(&tagged(kind, it)?)
}

fn disagreement(it: &Disagreement) -> Vec<String> {
    let class = match it.class {
        Class::Within => "within",
        Class::Violation => "VIOLATION",
        Class::Foreign => "foreign",
        _ => "other",
    };
    let age = it
        .age_ms
        .map_or(String::new(), |ms| format!("{ms} ms before: "));
    let mut lines = vec![
        format!(
            "{}  {class}  {}  {} said {}, a strict read {}",
            utc::time(it.asked_us),
            it.key,
            it.tier,
            it.said,
            it.strict
        ),
        format!(
            "    {age}{}; loaded at {}, fill {}",
            it.cause, it.epoch, it.fill
        ),
    ];
    if it.history.is_empty() {
        lines.push("    the log has nothing about it since it was loaded".to_owned());
    }
    lines.extend(it.history.iter().map(logged));
    lines
}

fn logged(entry: &Logged) -> String {
    let by = entry.origin.as_deref();
    let by = by.map_or(String::new(), |origin| format!(", by {origin}"));
    format!(
        "    log  {}  {}{by}",
        utc::time(entry.epoch.tick),
        watch::what(entry)
    )
}

fn fault(it: &Fault) -> String {
    format!("fault  {}  {} {}: {}", it.fault, it.of, it.name, it.detail)
}
