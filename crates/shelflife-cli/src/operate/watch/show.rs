//! The lines of `shelflife watch`, for a person or a program.

use serde::Serialize;
use serde_json::{Value, json};
use shelflife::{Error, Logged, Members, Spread};

use super::took_ms;
use crate::failure::Failure;
use crate::operate::utc;
use crate::output;

/// How wide what was invalidated is set, where it is not wider.
const WHAT: usize = 44;

pub(super) struct Show {
    json: bool,
    /// When the command began, by the server's clock in ms.
    began: u64,
}

/// An entry as a line of JSON.
#[derive(Serialize)]
struct EntryLine<'a> {
    r#type: &'static str,
    at: String,
    #[serde(flatten)]
    entry: &'a Logged,
    applied: Option<Spread>,
    applied_ms: Option<u64>,
}

impl Show {
    pub(super) fn new(json: bool, began: u64) -> Self {
        Self { json, began }
    }

    pub(super) fn begin(&self, namespace: &str, members: &Members) -> Result<(), Failure> {
        let clock = members.clock.map(|clock| clock.to_string());
        if self.json {
            return output::json(
                &json!({"type": "watching", "namespace": namespace, "clock": clock}),
            );
        }
        let followed = match members.len() {
            _ if clock.is_none() => "nobody has used it yet".to_owned(),
            0 => "nobody follows it now".to_owned(),
            1 => "1 process follows it".to_owned(),
            n => format!("{n} processes follow it"),
        };
        output::note(format!(
            "watching {namespace}: {followed}; times are the server's, UTC; Ctrl-C ends this"
        ));
        Ok(())
    }

    pub(super) fn entry(
        &self,
        entry: &Logged,
        spread: Option<Spread>,
        members: Option<&Members>,
    ) -> Result<(), Failure> {
        let took = members
            .filter(|_| spread.is_some_and(Spread::is_complete))
            .and_then(|members| took_ms(entry, members, self.began));
        if self.json {
            let line = EntryLine {
                r#type: "entry",
                at: utc::rfc3339(entry.epoch.tick),
                entry,
                applied: spread,
                applied_ms: took,
            };
            let mut line = serde_json::to_value(&line)
                .map_err(|error| Failure::new(format!("cannot write JSON: {error}")))?;
            // The payload is JSON in a text; here it is what it says.
            if let Some(payload) = entry.payload.as_deref().and_then(parsed) {
                line["payload"] = payload;
            }
            return output::json(&line);
        }
        let origin = entry.origin.as_deref().map(|origin| {
            // The Δ behind the name is of no use here.
            format!(
                "by {}",
                origin.rsplit_once('@').map_or(origin, |(name, _)| name)
            )
        });
        let applied = match members {
            Some(_) => applied(spread, took),
            None => "applied by: not known".to_owned(),
        };
        output::line(format!(
            "{}  {:WHAT$}  {}{}{applied}",
            utc::time(entry.epoch.tick),
            what(entry),
            origin.as_deref().unwrap_or_default(),
            if origin.is_some() { ", " } else { "" },
        ))
    }

    /// The second line of an entry: now everybody has applied it.
    pub(super) fn complete(
        &self,
        entry: &Logged,
        spread: Option<Spread>,
        members: &Members,
    ) -> Result<(), Failure> {
        let took = took_ms(entry, members, self.began);
        if self.json {
            return output::json(&json!({
                "type": "applied", "epoch": entry.epoch.to_string(), "applied": spread, "applied_ms": took,
            }));
        }
        let applied = applied(spread, took);
        output::line(format!("{}  └ now {applied}", utc::time(entry.epoch.tick)))
    }

    pub(super) fn gap(&self) -> Result<(), Failure> {
        if self.json {
            return output::json(&json!({"type": "gap"}));
        }
        output::line("-- entries are missing here: trimmed from the log, or lost by the server")
    }

    pub(super) fn lost(&self, error: &Error) -> Result<(), Failure> {
        if self.json {
            return output::json(&json!({"type": "lost", "error": error.to_string()}));
        }
        output::line(format!(
            "-- the server is out of reach, trying again: {error}"
        ))
    }

    pub(super) fn back(&self) -> Result<(), Failure> {
        if self.json {
            return output::json(&json!({"type": "back"}));
        }
        output::line("-- the server is back")
    }
}

fn parsed(payload: &str) -> Option<Value> {
    serde_json::from_str(payload).ok()
}

/// What an entry says, in the order in which a reader asks.
pub(in crate::operate) fn what(entry: &Logged) -> String {
    let mut parts = Vec::new();
    parts.extend(entry.event.as_ref().map(|name| match &entry.payload {
        Some(payload) => format!("event {name} {payload}"),
        None => format!("event {name}"),
    }));
    for (kind, names) in [
        ("key", &entry.keys),
        ("tag", &entry.tags),
        ("scan", &entry.patterns),
        ("soft key", &entry.soft_keys),
        ("soft tag", &entry.soft_tags),
    ] {
        parts.extend(names.iter().map(|name| match name.as_str() {
            "*" if kind.ends_with("tag") => format!("everything ({kind} *)"),
            _ => format!("{kind} {name}"),
        }));
    }
    parts.extend(entry.note.as_deref().map(noted));
    match parts.is_empty() {
        true => "nothing that this version can read".to_owned(),
        false => parts.join(", "),
    }
}

/// What an entry says of itself.
pub(crate) fn noted(note: &str) -> String {
    match note {
        "new" => "a new incarnation begins: everything older is dead".to_owned(),
        "jump" => "another primary took over: the clock jumps ahead".to_owned(),
        other => other.to_owned(),
    }
}

fn applied(spread: Option<Spread>, took: Option<u64>) -> String {
    let within = took.map_or(String::new(), |ms| format!(" within {ms} ms"));
    match spread {
        None => "of another incarnation".to_owned(),
        Some(Spread { of: 0, .. }) => "nobody to apply it".to_owned(),
        Some(spread) if spread.is_complete() => format!("applied by all {}{within}", spread.of),
        Some(Spread { by, of, .. }) => format!("applied by {by} of {of}"),
    }
}
