//! Results that the public collection has published for a cache: a JSON object of case to `true`, or to a fault.

use std::collections::BTreeMap;

use serde_json::Value;

/// Published results, to be compared with a run against the same cache.
#[derive(Clone, Debug)]
pub struct Published(BTreeMap<String, bool>);

impl Published {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// The text is not a JSON object.
    pub fn parse(text: &str) -> Result<Self, String> {
        let all: BTreeMap<String, Value> = serde_json::from_str(text)
            .map_err(|error| format!("not published results: {error}"))?;
        let passed = |(id, value): (String, Value)| (id, value == Value::Bool(true));
        Ok(Published(all.into_iter().map(passed).collect()))
    }

    pub(crate) fn passed(&self, id: &str) -> Option<bool> {
        self.0.get(id).copied()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
