//! One line of the table: what is checked, how much it weighs, and the steps that show it.

use crate::step::Step;

/// How much a case weighs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A failure is (likely) against the specification.
    Required,
    /// A failure costs performance: a stored response was not used though it could have been.
    Optional,
    /// A question without a wrong answer.
    Check,
}

impl Kind {
    /// The word for it in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Required => "required",
            Kind::Optional => "optional",
            Kind::Check => "check",
        }
    }
}

/// A few requests for one URL, and what has to come of them.
#[derive(Clone, Debug)]
pub struct Case {
    id: String,
    says: String,
    kind: Kind,
    public: bool,
    after: Vec<String>,
    steps: Vec<Step>,
}

impl Case {
    pub(crate) fn new(kind: Kind, id: impl Into<String>, says: impl Into<String>) -> Self {
        Case {
            id: id.into(),
            says: says.into(),
            kind,
            public: true,
            after: Vec::new(),
            steps: Vec::new(),
        }
    }

    pub(crate) fn required(id: impl Into<String>, says: impl Into<String>) -> Self {
        Case::new(Kind::Required, id, says)
    }

    pub(crate) fn optional(id: impl Into<String>, says: impl Into<String>) -> Self {
        Case::new(Kind::Optional, id, says)
    }

    pub(crate) fn check(id: impl Into<String>, says: impl Into<String>) -> Self {
        Case::new(Kind::Check, id, says)
    }

    /// The case says nothing unless these have passed.
    pub(crate) fn after<I: IntoIterator<Item = S>, S: Into<String>>(mut self, ids: I) -> Self {
        self.after.extend(ids.into_iter().map(Into::into));
        self
    }

    pub(crate) fn steps<I: IntoIterator<Item = Step>>(mut self, steps: I) -> Self {
        self.steps.extend(steps);
        self
    }

    /// The case is ours alone.
    pub(crate) fn own(mut self) -> Self {
        self.public = false;
        self
    }

    /// Its name in the table; for a case of the public collection, the name that it has there.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it checks, in one sentence.
    #[must_use]
    pub fn says(&self) -> &str {
        &self.says
    }

    /// How much it weighs.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name in the public collection, if it is there.
    #[must_use]
    pub fn public(&self) -> Option<&str> {
        self.public.then_some(self.id.as_str())
    }

    /// The cases that must have passed for this one to say anything.
    #[must_use]
    pub fn depends_on(&self) -> &[String] {
        &self.after
    }

    pub(crate) fn all_steps(&self) -> &[Step] {
        &self.steps
    }
}

/// Cases about one thing.
#[derive(Clone, Debug)]
pub struct Group {
    /// A short name.
    pub name: &'static str,
    /// What the cases are about.
    pub about: &'static str,
    /// Where it is specified.
    pub rule: &'static str,
    /// The cases.
    pub cases: Vec<Case>,
}
