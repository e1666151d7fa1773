//! The table: rows with ratios, targets and verdicts, as text and as JSON.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::Outcome;

/// What a row counts.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Nanoseconds,
    Microseconds,
    Bytes,
    Allocations,
    RoundTrips,
    PerSecond,
}

impl Unit {
    fn show(self, number: f64) -> String {
        match self {
            Self::Nanoseconds => format!("{number:.1} ns"),
            Self::Microseconds => format!("{number:.2} µs"),
            Self::Bytes => format!("{number:.0} B"),
            Self::Allocations => format!("{number:.2}"),
            Self::RoundTrips => format!("{number:.2}"),
            Self::PerSecond => format!("{number:.0}/s"),
        }
    }
}

/// What a row's ratio should be; in a row without one, its figure.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    Between(f64, f64),
}

impl Target {
    /// By how much it is missed, as a fraction of the target; 0 when it is met.
    fn missed_by(self, got: f64) -> f64 {
        match self {
            Self::AtMost(most) => (got - most).max(0.0) / most.max(1.0),
            Self::AtLeast(least) => (least - got).max(0.0) / least,
            Self::Between(least, most) => Self::AtLeast(least)
                .missed_by(got)
                .max(Self::AtMost(most).missed_by(got)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::Between(least, most) => write!(f, "{least}–{most}"),
        }
    }
}

/// One line of the table.
#[derive(Serialize)]
pub(crate) struct Row {
    section: &'static str,
    what: String,
    ours: f64,
    beside: Option<f64>,
    ratio: Option<f64>,
    unit: Unit,
    target: Option<Target>,
    met: Option<bool>,
}

impl Row {
    pub(crate) fn new(
        section: &'static str,
        what: impl Into<String>,
        ours: f64,
        unit: Unit,
    ) -> Self {
        Self {
            section,
            what: what.into(),
            ours,
            beside: None,
            ratio: None,
            unit,
            target: None,
            met: None,
        }
    }

    /// Beside another's figure.
    pub(crate) fn beside(mut self, figure: f64, ratio: f64) -> Self {
        (self.beside, self.ratio) = (Some(figure), Some(ratio));
        self
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.met = Some(target.missed_by(self.judged()) == 0.0);
        self.target = Some(target);
        self
    }

    /// With a target, if there is one.
    pub(crate) fn maybe(self, target: Option<Target>) -> Self {
        match target {
            Some(target) => self.target(target),
            None => self,
        }
    }

    fn judged(&self) -> f64 {
        self.ratio.unwrap_or(self.ours)
    }

    fn verdict(&self) -> String {
        match (self.target, self.met) {
            (Some(_), Some(true)) => "PASS".into(),
            (Some(target), _) => {
                format!("short by {:.0} %", target.missed_by(self.judged()) * 100.0)
            }
            _ => String::new(),
        }
    }

    fn cells(&self) -> [String; 6] {
        [
            self.what.clone(),
            self.unit.show(self.ours),
            self.beside.map(|b| self.unit.show(b)).unwrap_or_default(),
            self.ratio.map(|r| format!("{r:.2}")).unwrap_or_default(),
            self.target.map(|t| t.to_string()).unwrap_or_default(),
            self.verdict(),
        ]
    }
}

/// Everything that a run found out.
#[derive(Serialize)]
pub(crate) struct Report {
    machine: Vec<(&'static str, String)>,
    seconds: f64,
    notes: Vec<(&'static str, &'static str)>,
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(machine: Vec<(&'static str, String)>) -> Self {
        Self {
            machine,
            seconds: 0.0,
            notes: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Says how the rows of a section were measured.
    pub(crate) fn note(&mut self, section: &'static str, note: &'static str) {
        self.notes.push((section, note));
    }

    pub(crate) fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(crate) fn took(&mut self, time: Duration) {
        self.seconds = time.as_secs_f64();
    }

    pub(crate) fn write(&self, file: &Path) -> Outcome<()> {
        Ok(std::fs::write(file, serde_json::to_vec_pretty(self)?)?)
    }

    #[expect(clippy::print_stdout, reason = "the room for output")]
    pub(crate) fn print(&self) {
        print!("{self}");
    }
}

const HEADS: [&str; 6] = ["", "shelflife", "beside", "ratio", "target", ""];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts: Vec<String> = self
            .machine
            .iter()
            .map(|(k, v)| format!("{k} {v}"))
            .collect();
        writeln!(f, "{}", facts.join(" · "))?;
        let lines: Vec<_> = self.rows.iter().map(Row::cells).collect();
        let widths: [usize; 6] = std::array::from_fn(|column| {
            let widest = lines
                .iter()
                .map(|cells| cells[column].chars().count())
                .max();
            widest.unwrap_or(0).max(HEADS[column].len())
        });
        let mut sections: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !sections.contains(&row.section) {
                sections.push(row.section);
            }
        }
        for section in sections {
            writeln!(f, "\n{section}")?;
            for (_, note) in self.notes.iter().filter(|(of, _)| *of == section) {
                writeln!(f, "  {note}")?;
            }
            line(f, &HEADS.map(String::from), &widths)?;
            let rows = self.rows.iter().zip(&lines);
            for (_, cells) in rows.filter(|(row, _)| row.section == section) {
                line(f, cells, &widths)?;
            }
        }
        let judged = self.rows.iter().filter_map(|row| row.met);
        let (met, all) = (judged.clone().filter(|met| *met).count(), judged.count());
        writeln!(f, "\n{met} of {all} targets met, in {:.0} s", self.seconds)
    }
}

fn line(f: &mut fmt::Formatter<'_>, cells: &[String; 6], widths: &[usize; 6]) -> fmt::Result {
    let mut text = format!("  {:<w$}", cells[0], w = widths[0]);
    for at in 1..5 {
        text += &format!("  {:>w$}", cells[at], w = widths[at]);
    }
    text += &format!("  {}", cells[5]);
    writeln!(f, "{}", text.trim_end())
}
