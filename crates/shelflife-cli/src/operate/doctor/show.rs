//! What the doctor says, for a person or a program.

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use shelflife::{CheckupProgress, Diagnosis, Severity, Vitals};

use crate::failure::Failure;
use crate::output::{self, Tone};
use crate::units;

/// How far what belongs to a finding is set in.
const INDENT: &str = "    ";

pub(super) struct Show {
    json: bool,
    /// On stderr, and only where that is a terminal.
    bar: ProgressBar,
}

impl Show {
    pub(super) fn new(json: bool) -> Self {
        let bar = ProgressBar::new(0);
        let style = "looking at names {bar:30} {human_pos} of {human_len}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self { json, bar }
    }

    pub(super) fn progress(&self, it: CheckupProgress) {
        self.bar.set_length(it.of);
        self.bar.set_position(it.looked_at.min(it.of));
    }

    pub(super) fn end(&self, vitals: &Vitals, findings: &[Diagnosis]) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        if self.json {
            return output::json(&json!({"vitals": vitals, "findings": findings}));
        }
        summary(vitals)?;
        for it in findings {
            output::line("")?;
            finding(it)?;
        }
        output::line("")?;
        output::line(sum(findings))?;
        let changes = |word: &str| {
            let mut lines = findings.iter().flat_map(|it| &it.mend);
            lines.any(|line| line.contains(word))
        };
        if changes("CONFIG SET") || changes("ACL SETUSER") {
            output::note(
                "what CONFIG SET and ACL SETUSER change lasts until the server starts anew: CONFIG REWRITE and ACL SAVE keep it",
            );
        }
        if changes("$SHELFLIFE_URL") {
            output::note(
                "passwords are not printed: redis-cli takes its own from REDISCLI_AUTH, shelflife the URL from SHELFLIFE_URL",
            );
        }
        Ok(())
    }
}

fn summary(it: &Vitals) -> Result<(), Failure> {
    let memory = match (it.used_memory, it.max_memory) {
        (Some(used), Some(1..)) => format!(
            ", {} of {} used",
            units::bytes(used),
            units::bytes(it.max_memory.unwrap_or(0))
        ),
        (Some(used), _) => format!(", {} used", units::bytes(used)),
        _ => String::new(),
    };
    let up = it.uptime_s.map_or(String::new(), |s| {
        format!(", up {}", units::span(s * 1_000_000))
    });
    let clock = it.clock_ahead_ms.map_or(String::new(), |ms| {
        let apart = ms.unsigned_abs();
        let side = if ms < 0 { "behind" } else { "ahead of" };
        match apart {
            0..5 => ", its clock agrees with this machine's".to_owned(),
            _ => format!(", its clock is {apart} ms {side} this machine's"),
        }
    });
    let lines = [
        format!(
            "{} at {}, asked as {}{up}{memory}{clock}",
            it.version, it.server, it.user
        ),
        format!(
            "pings: half within {}, 99 of 100 within {}, all within {}",
            units::span(it.ping_p50_us),
            units::span(it.ping_p99_us),
            units::span(it.ping_max_us)
        ),
        format!(
            "namespace {}: entries {}, records of tags {}, log {}, processes {}; {} of {} names passed",
            it.namespace,
            it.entries,
            it.tags,
            it.log.map_or("?".to_owned(), |n| n.to_string()),
            it.members.map_or("?".to_owned(), |n| n.to_string()),
            it.looked_at.min(it.names),
            it.names
        ),
    ];
    for line in lines {
        for line in output::wrapped(&line, output::width()) {
            output::line(line)?;
        }
    }
    Ok(())
}

fn finding(it: &Diagnosis) -> Result<(), Failure> {
    let tone = match it.severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Warning,
        Severity::Info => Tone::Good,
        _ => Tone::Strong,
    };
    let (word, rest) = (it.severity.as_str(), output::width() - INDENT.len());
    output::toned(&[(tone, word), (Tone::Plain, "  "), (Tone::Strong, it.check)])?;
    for line in output::wrapped(&it.found, rest) {
        output::line(format!("{INDENT}{line}"))?;
    }
    for line in output::wrapped(&format!("→ {}", it.consequence), rest) {
        output::toned(&[(Tone::Dim, &format!("{INDENT}{line}"))])?;
    }
    // Never broken: they are to be copied.
    for line in &it.mend {
        output::line(format!("{INDENT}  {line}"))?;
    }
    Ok(())
}

/// How many findings of which severity.
fn sum(findings: &[Diagnosis]) -> String {
    let kinds = [
        (Severity::Error, "error", "errors"),
        (Severity::Warning, "warning", "warnings"),
        (Severity::Unchecked, "not checked", "not checked"),
        (Severity::Info, "to be known", "to be known"),
    ];
    let counted = kinds.iter().filter_map(|(severity, one, many)| {
        let count = findings
            .iter()
            .filter(|it| it.severity == *severity)
            .count();
        (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
    });
    let counted: Vec<String> = counted.collect();
    match counted.is_empty() {
        true => "nothing is wrong".to_owned(),
        false => counted.join(", "),
    }
}
