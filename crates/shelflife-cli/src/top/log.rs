//! Entries of the log as lines.

use serde::Serialize;
use serde_json::Value;

use crate::operate::{utc, watch};

/// An entry, as far as one line shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    /// The server's time of the day.
    pub(super) time: String,
    pub(super) what: String,
    pub(super) by: Option<String>,
}

impl Line {
    /// Something about the log itself.
    pub(super) fn remark(what: impl Into<String>) -> Self {
        Self {
            time: "--".to_owned(),
            what: what.into(),
            by: None,
        }
    }

    /// By the fields of the library's `Logged`.
    pub(super) fn of(entry: &Value) -> Option<Self> {
        let epoch = entry["epoch"].as_str()?;
        let tick = epoch.rsplit(':').next()?.parse().ok()?;
        let by = entry["origin"].as_str();
        Some(Self {
            time: utc::time(tick),
            what: what(entry),
            by: by.map(|by| by.rsplit_once('@').map_or(by, |(name, _)| name).to_owned()),
        })
    }
}

fn what(entry: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(event) = entry["event"].as_str() {
        parts.push(match &entry["payload"] {
            Value::String(payload) => format!("event {event} {payload}"),
            Value::Null => format!("event {event}"),
            payload => format!("event {event} {payload}"),
        });
    }
    for (kind, field) in [
        ("key", "keys"),
        ("tag", "tags"),
        ("scan", "patterns"),
        ("soft key", "soft_keys"),
        ("soft tag", "soft_tags"),
    ] {
        let names = entry[field]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        parts.extend(names.map(|name| format!("{kind} {name}")));
    }
    parts.extend(entry["note"].as_str().map(watch::noted));
    match parts.is_empty() {
        true => "nothing that this version can read".to_owned(),
        false => parts.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn entries_are_told_in_a_line() {
        let entry = json!({
            "epoch": "82aecc8e088796d5:1767225599000007", "origin": "12-ab@1000",
            "event": "user_updated", "payload": "{\"id\":1}", "keys": ["a"], "soft_tags": ["b"],
        });
        let line = Line::of(&entry).unwrap();
        assert_eq!(line.time, "23:59:59.000007");
        assert_eq!(
            line.what,
            "event user_updated {\"id\":1}, key a, soft tag b"
        );
        assert_eq!(line.by.as_deref(), Some("12-ab"));
        assert_eq!(Line::of(&json!({"epoch": "x"})), None);
        let empty = Line::of(&json!({"epoch": "1:5"})).unwrap();
        assert!(empty.what.contains("nothing that this version"));
    }
}
