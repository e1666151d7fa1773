//! What came of a run: a verdict for each case, counts, and two ways to show them.

mod text;

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::case::{Group, Kind};
use crate::judge::Fault;
use crate::known::{Known, known};

/// What a case showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// As it should be; for a [`Kind::Check`], "yes".
    Passed,
    /// Not as it should be; for a [`Kind::Check`], "no".
    Failed,
    /// Nothing: its preparation went wrong.
    Unprepared,
    /// Nothing: a case on which it depends has not passed.
    Dependent,
    /// Nothing: a request was sent twice.
    Retried,
    /// Nothing: no answer came in time.
    Late,
}

impl Verdict {
    /// The word for it in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::Unprepared => "unprepared",
            Verdict::Dependent => "dependent",
            Verdict::Retried => "retried",
            Verdict::Late => "late",
        }
    }
}

pub(crate) struct Outcome {
    pub(crate) fault: Option<Fault>,
    pub(crate) messages: String,
}

/// A case and what came of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The case's name.
    pub id: String,
    /// The name of its group.
    pub group: &'static str,
    /// What it checks.
    pub says: String,
    /// How much it weighs.
    pub kind: Kind,
    /// Whether it is one of the public collection.
    pub public: bool,
    /// What it showed, its dependencies considered.
    pub verdict: Verdict,
    /// What was wrong with the case itself.
    pub fault: Option<Fault>,
    /// The messages, if they were kept.
    pub messages: String,
}

/// How many of how many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Those that passed.
    pub passed: usize,
    /// All.
    pub total: usize,
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Report {
    cases: Vec<Judged>,
}

impl Report {
    pub(crate) fn new(groups: &[Group], outcomes: Vec<(usize, Outcome)>) -> Self {
        let mut outcomes: HashMap<usize, Outcome> = outcomes.into_iter().collect();
        let all = groups
            .iter()
            .flat_map(|group| group.cases.iter().map(move |case| (group, case)));
        let mut after = HashMap::new();
        let mut cases = Vec::new();
        for (at, (group, case)) in all.enumerate() {
            let outcome = outcomes.remove(&at).unwrap_or_else(|| Outcome {
                fault: Some(Fault::Broken("the case itself has panicked".to_owned())),
                messages: String::new(),
            });
            after.insert(case.id().to_owned(), case.depends_on().to_vec());
            cases.push(Judged {
                id: case.id().to_owned(),
                group: group.name,
                says: case.says().to_owned(),
                kind: case.kind(),
                public: case.public().is_some(),
                verdict: verdict(outcome.fault.as_ref()),
                fault: outcome.fault,
                messages: outcome.messages,
            });
        }
        depend(&mut cases, &after);
        Report { cases }
    }

    /// All cases, in the order of the table.
    #[must_use]
    pub fn cases(&self) -> &[Judged] {
        &self.cases
    }

    /// One case.
    #[must_use]
    pub fn case(&self, id: &str) -> Option<&Judged> {
        self.cases.iter().find(|case| case.id == id)
    }

    /// How many of that kind have passed, among the cases of the public collection or among our own.
    #[must_use]
    pub fn count(&self, kind: Kind, public: bool) -> Count {
        let of = self
            .cases
            .iter()
            .filter(|case| case.kind == kind && case.public == public);
        of.fold(Count::default(), |count, case| Count {
            passed: count.passed + usize::from(case.verdict == Verdict::Passed),
            total: count.total + 1,
        })
    }

    /// The required cases that have not passed, without those that no cache can be expected to pass.
    #[must_use]
    pub fn violations(&self) -> Vec<&Judged> {
        let required = self.cases.iter().filter(|case| case.kind == Kind::Required);
        required
            .filter(|case| case.verdict != Verdict::Passed && known(&case.id).is_none())
            .collect()
    }

    /// The whole report for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let cases = self.cases.iter().map(|case| {
            json!({
                "id": case.id,
                "public": case.public,
                "group": case.group,
                "kind": case.kind.as_str(),
                "verdict": case.verdict.as_str(),
                "fault": case.fault.as_ref().map(ToString::to_string),
                "known": known(&case.id).map(|Known { why, .. }| why),
            })
        });
        let count = |kind, public| {
            let Count { passed, total } = self.count(kind, public);
            json!({ "passed": passed, "total": total })
        };
        let counts = |public| {
            json!({
                "required": count(Kind::Required, public),
                "optional": count(Kind::Optional, public),
                "check": count(Kind::Check, public),
            })
        };
        json!({
            "public": counts(true),
            "own": counts(false),
            "violations": self.violations().len(),
            "cases": cases.collect::<Vec<_>>(),
        })
    }
}

fn verdict(fault: Option<&Fault>) -> Verdict {
    match fault {
        None => Verdict::Passed,
        Some(Fault::Wrong(_) | Fault::Broken(_)) => Verdict::Failed,
        Some(Fault::Unprepared(_)) => Verdict::Unprepared,
        Some(Fault::Retried) => Verdict::Retried,
        Some(Fault::Late) => Verdict::Late,
    }
}

/// A case counts only if those on which it depends have passed. One that was not run says nothing against it.
fn depend(cases: &mut [Judged], after: &HashMap<String, Vec<String>>) {
    let mut passed: HashMap<String, bool> = cases
        .iter()
        .map(|case| (case.id.clone(), case.verdict == Verdict::Passed))
        .collect();
    // Once for each link of the longest chain; a table with a ring of dependencies ends here, too.
    for _ in 0..cases.len() {
        let mut settled = true;
        for case in cases.iter_mut() {
            let holds = |id: &String| passed.get(id).copied().unwrap_or(true);
            let all = after.get(&case.id).is_none_or(|ids| ids.iter().all(holds));
            if !all && case.verdict != Verdict::Dependent {
                case.verdict = Verdict::Dependent;
                passed.insert(case.id.clone(), false);
                settled = false;
            }
        }
        if settled {
            return;
        }
    }
}
