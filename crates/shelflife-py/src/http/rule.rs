//! Rules, as Python writes them: each setter gives a new one. What can't be used is told when a layer is made of it.

use pyo3::prelude::*;
use shelflife::tower::{Rule as HttpRule, VaryBy, by_hand};

use crate::error::to_err;

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Rule(pub(super) HttpRule);

impl Rule {
    fn with(&self, change: impl FnOnce(HttpRule) -> HttpRule) -> Self {
        Self(change(self.0.clone()))
    }
}

#[pymethods]
impl Rule {
    #[new]
    #[pyo3(signature = (path=None))]
    fn new(path: Option<&str>) -> Self {
        Self(path.map_or_else(HttpRule::any, HttpRule::path))
    }

    fn methods(&self, methods: Vec<String>) -> Self {
        self.with(|rule| rule.methods(methods))
    }

    fn statuses(&self, statuses: Vec<u16>) -> Self {
        self.with(|rule| rule.statuses(statuses))
    }

    fn ttl(&self, ttl: &str) -> Self {
        self.with(|rule| rule.ttl(ttl))
    }

    fn override_ttl(&self, ttl: &str) -> Self {
        self.with(|rule| rule.override_ttl(ttl))
    }

    fn stale(&self, stale: &str) -> Self {
        self.with(|rule| rule.stale(stale))
    }

    fn tags(&self, tags: Vec<String>) -> Self {
        self.with(|rule| rule.tags(tags))
    }

    fn vary_by(&self, py: Python<'_>, by: Vec<String>) -> PyResult<Self> {
        let by = by
            .iter()
            .map(|by| by.parse())
            .collect::<Result<Vec<VaryBy>, _>>()
            .map_err(|error| to_err(py, &error))?;
        Ok(self.with(|rule| by.into_iter().fold(rule, HttpRule::vary_by)))
    }

    fn by_name(&self, tells_apart: bool) -> Self {
        self.with(|rule| rule.vary_by(by_hand::named(tells_apart)))
    }

    fn ignore_cookies(&self, names: Vec<String>) -> Self {
        self.with(|rule| rule.ignore_cookies(names))
    }

    fn sort_query(&self) -> Self {
        self.with(HttpRule::sort_query)
    }

    fn drop_query(&self, names: Vec<String>) -> Self {
        self.with(|rule| rule.drop_query(names))
    }

    fn only_query(&self, names: Vec<String>) -> Self {
        self.with(|rule| rule.only_query(names))
    }

    fn public(&self) -> Self {
        self.with(HttpRule::public)
    }

    fn private(&self) -> Self {
        self.with(HttpRule::private)
    }

    fn no_store(&self) -> Self {
        self.with(HttpRule::no_store)
    }

    fn honour_client(&self, honour: bool) -> Self {
        self.with(|rule| rule.honour_client(honour))
    }

    fn max_body(&self, bytes: u64) -> Self {
        self.with(|rule| rule.max_body(bytes))
    }

    fn collapse_wait(&self, wait: &str) -> Self {
        self.with(|rule| rule.collapse_wait(wait))
    }

    fn by_body(&self, bytes: u64) -> Self {
        self.with(|rule| rule.by_body(bytes))
    }

    fn check(&self, py: Python<'_>) -> PyResult<()> {
        self.0.check().map_err(|error| to_err(py, &error))
    }
}
