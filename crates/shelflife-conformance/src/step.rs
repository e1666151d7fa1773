//! One step of a case: a request, the origin's answer should it be asked, and what is expected.
//!
//! The table is written with the builder methods below, in the order in which things happen: what the client
//! `asks`, what the origin `sends`, `by` whom the answer comes, what the client `wants` and what `reaches` the
//! origin. A step that only prepares is `given`: should a check of it fail, the case has not been shown.

mod build;

use std::time::Duration;

/// Where the answer to a step has to come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Served {
    /// From the store: the origin is not asked.
    Store,
    /// From the origin, with this request.
    Origin,
    /// From the store after the origin was asked with `If-None-Match`.
    ByEtag,
    /// From the store after the origin was asked with `If-Modified-Since`.
    ByDate,
}

impl Served {
    pub(crate) fn is_validated(self) -> bool {
        matches!(self, Served::ByEtag | Served::ByDate)
    }
}

/// What a check is about, for steps of which only some checks are preparation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Aspect {
    Served,
    Status,
    Fields,
    Absent,
    Body,
    Interim,
    Request,
    Method,
}

/// A field value, or what it is made of when the message is written.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// As it stands; characters up to U+00FF, each one byte.
    Text(String),
    /// So many seconds from now, as an HTTP date.
    Date(i64),
    /// The path of the request, and this below it unless it is empty.
    Place(&'static str),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(seconds: i64) -> Self {
        Value::Date(seconds)
    }
}

/// A field of the origin's answer.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) name: String,
    pub(crate) value: Value,
    /// Whether the client that caused this answer must see the value unchanged.
    pub(crate) unchanged: bool,
}

/// A 1xx response: status and fields.
pub(crate) type Interim = (u16, Vec<(&'static str, &'static str)>);

/// How the origin ends its answer.
#[derive(Clone, Debug, Default)]
pub(crate) enum Manner {
    #[default]
    Proper,
    /// The connection is closed instead of an answer.
    Silent,
    /// These lines of the head and these bytes after it, exactly; then the connection is closed, or kept.
    Raw {
        lines: &'static str,
        rest: &'static str,
        close: bool,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) fields: Vec<(&'static str, Value)>,
    pub(crate) body: Option<&'static str>,
    pub(crate) query: Option<&'static str>,
    /// What follows the path of the case.
    pub(crate) tail: Option<&'static str>,
    pub(crate) rfc850: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: Option<(u16, &'static str)>,
    pub(crate) fields: Vec<Sent>,
    pub(crate) body: Option<String>,
    pub(crate) interim: Vec<Interim>,
    pub(crate) hold: Duration,
    pub(crate) manner: Manner,
}

/// What a field of the answer has to be.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    Present(&'static str),
    Is(String, Value),
    Above(&'static str, i64),
    /// The value is this, but for the length of its spaces.
    Spaced(&'static str, &'static str),
    /// No line of that name has this value.
    Not(&'static str, &'static str),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Expect {
    pub(crate) served: Option<Served>,
    /// `Some(None)`: any will do.
    pub(crate) status: Option<Option<u16>>,
    /// `Some(None)`: any will do.
    pub(crate) body: Option<Option<String>>,
    pub(crate) fields: Vec<Want>,
    pub(crate) absent: Vec<&'static str>,
    pub(crate) interim: Option<Vec<Interim>>,
    pub(crate) reaches: Vec<(&'static str, &'static str)>,
    pub(crate) method: Option<&'static str>,
    pub(crate) refusal: Refusal,
}

/// Whether the cache may refuse to pass on what the origin sent: by a status of its own from 500 up, or by
/// closing the connection before the answer is whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Refusal {
    #[default]
    No,
    /// It may; if it does not, the rest of the step has to hold.
    Allowed,
    /// It must.
    Demanded,
}

/// One step of a case.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) ask: Ask,
    pub(crate) reply: Reply,
    pub(crate) expect: Expect,
    given_all: bool,
    given: Vec<Aspect>,
    /// Three seconds pass before the next step.
    pub(crate) rests: bool,
}

impl Step {
    pub(crate) fn is_given(&self, aspect: Aspect) -> bool {
        self.given_all || self.given.contains(&aspect)
    }
}
