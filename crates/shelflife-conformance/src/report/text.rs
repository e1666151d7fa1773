//! The report for people.

use std::fmt::Write as _;

use super::{Count, Judged, Report, Verdict};
use crate::case::Kind;
use crate::known::known;
use crate::published::Published;

impl Report {
    /// A table of the groups, what was wrong, and the counts.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.table(&mut text);
        self.faults(&mut text);
        self.sums(&mut text);
        text
    }

    /// Where this run and published results of the same cache disagree.
    #[must_use]
    pub fn differences(&self, published: &Published) -> String {
        let mut text = String::new();
        for case in self.cases.iter().filter(|case| case.public) {
            let passed = case.fault.is_none();
            let Some(theirs) = published.passed(&case.id) else {
                let _ = writeln!(text, "{:60} not among the published", case.id);
                continue;
            };
            if theirs != passed {
                let ours = case.fault.as_ref();
                let ours = ours.map_or_else(|| "passed".to_owned(), ToString::to_string);
                let theirs = if theirs { "passed" } else { "not passed" };
                let _ = writeln!(text, "{:60} published: {theirs}; here: {ours}", case.id);
            }
        }
        for id in published.ids() {
            if self.case(id).is_none() {
                let _ = writeln!(text, "{id:60} published, not in the table");
            }
        }
        text
    }

    fn table(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "{:24} {:>9} {:>9} {:>9}",
            "", "required", "optional", "check"
        );
        let mut groups: Vec<&str> = self.cases.iter().map(|case| case.group).collect();
        groups.dedup();
        for group in groups {
            let of = |kind| {
                let in_group = |case: &&Judged| case.group == group && case.kind == kind;
                let (all, passed) =
                    self.cases
                        .iter()
                        .filter(in_group)
                        .fold((0, 0), |(all, passed), case| {
                            (
                                all + 1,
                                passed + usize::from(case.verdict == Verdict::Passed),
                            )
                        });
                match all {
                    0 => "-".to_owned(),
                    _ => format!("{passed}/{all}"),
                }
            };
            let _ = writeln!(
                text,
                "{group:24} {:>9} {:>9} {:>9}",
                of(Kind::Required),
                of(Kind::Optional),
                of(Kind::Check)
            );
        }
    }

    fn faults(&self, text: &mut String) {
        for kind in [Kind::Required, Kind::Optional, Kind::Check] {
            let not = self
                .cases
                .iter()
                .filter(|case| case.kind == kind && case.verdict != Verdict::Passed);
            let not: Vec<&Judged> = not.collect();
            if not.is_empty() {
                continue;
            }
            let _ = writeln!(text, "\n{}, not passed:", kind.as_str());
            for case in not {
                let fault = case.fault.as_ref().map(ToString::to_string);
                let fault = match (case.verdict, fault) {
                    (Verdict::Dependent, None) => {
                        "passed, but a case on which it depends has not".to_owned()
                    }
                    (Verdict::Dependent, Some(fault)) => format!("{fault} (and it depends)"),
                    (_, fault) => fault.unwrap_or_default(),
                };
                let _ = writeln!(text, "  {}\n      {}\n      {fault}", case.id, case.says);
                if let Some(known) = known(&case.id) {
                    let _ = writeln!(text, "      known: {}", known.why);
                }
            }
        }
    }

    fn sums(&self, text: &mut String) {
        let _ = writeln!(text);
        for (public, whose) in [(true, "public collection"), (false, "our own")] {
            let [required, optional, check] = [Kind::Required, Kind::Optional, Kind::Check]
                .map(|kind| self.count(kind, public))
                .map(|Count { passed, total }| format!("{passed}/{total}"));
            let _ = writeln!(
                text,
                "{whose}: required {required}, optional {optional}, check {check}"
            );
        }
    }
}
