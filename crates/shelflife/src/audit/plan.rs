//! What an audit is asked to do.

use crate::pattern::Pattern;

/// What an audit looks at, and how fast.
#[derive(Clone, Debug)]
pub struct AuditPlan {
    pub(super) rate: u32,
    pub(super) keys: Pattern,
    pub(super) once: bool,
    pub(super) keep: usize,
}

impl Default for AuditPlan {
    fn default() -> Self {
        Self::new()
    }
}

impl AuditPlan {
    /// Every key, 200 looks a second, until it is dropped.
    pub fn new() -> Self {
        Self {
            rate: 200,
            keys: Pattern::new("*"),
            once: false,
            keep: 5_000,
        }
    }

    /// How many looks a second. A look at a key is up to five commands, two of which read its value; a look at
    /// names is a `SCAN` with `COUNT 100`, and two small commands for each tag on the page. Default 200.
    pub fn rate(mut self, looks: u32) -> Self {
        self.rate = looks.clamp(1, 100_000);
        self
    }

    /// Only keys that match a glob.
    pub fn keys(mut self, pattern: impl Into<Pattern>) -> Self {
        self.keys = pattern.into();
        self
    }

    /// Ends when every key has been looked at, and those that are kept once more.
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// How many keys are kept in L1 and looked at again and again. Default 5,000.
    pub fn keep(mut self, keys: usize) -> Self {
        self.keep = keys.max(1);
        self
    }
}
