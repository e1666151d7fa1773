//! What the origin has to answer, case by case, and what it has seen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::date;
use crate::step::{Step, Value};
use crate::trace::Trace;
use crate::wire::Fields;

/// A request for a case, as it came.
pub(crate) struct Turn<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) fields: &'a Fields,
    pub(crate) body: &'a str,
}

/// What the origin saw of one request, and which of its fields the client must see.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The client's own number, if the cache has passed it on.
    pub(crate) step: Option<usize>,
    pub(crate) method: String,
    pub(crate) fields: Fields,
    pub(crate) unchanged: Vec<(String, String)>,
}

/// What to send.
pub(crate) struct Lines {
    pub(crate) status: (u16, &'static str),
    pub(crate) fields: Fields,
}

/// The scripts of all cases that are running.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scripts(Arc<Mutex<HashMap<String, Script>>>);

#[derive(Debug)]
struct Script {
    steps: Arc<[Step]>,
    trace: Trace,
    seen: Vec<Seen>,
    /// Values of each step as they were first sent: a second answer for the step repeats its dates.
    settled: HashMap<usize, Vec<String>>,
}

impl Scripts {
    /// Guards the map; nothing waits inside, and each change is one call, so a poisoned one is whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Script>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, token: &str, steps: Arc<[Step]>, trace: Trace) {
        let script = Script {
            steps,
            trace,
            seen: Vec::new(),
            settled: HashMap::new(),
        };
        self.lock().insert(token.to_owned(), script);
    }

    /// Ends the case: what was seen.
    pub(crate) fn end(&self, token: &str) -> Vec<Seen> {
        let script = self.lock().remove(token);
        script.map(|script| script.seen).unwrap_or_default()
    }

    /// The step that a request asks for, and the record of the case.
    pub(crate) fn step(&self, token: &str, turn: &Turn<'_>) -> Option<(Step, Trace)> {
        let map = self.lock();
        let script = map.get(token)?;
        let at = script.place(turn);
        Some((script.steps.get(at - 1)?.clone(), script.trace.clone()))
    }

    /// Counts the request, and says what to send.
    pub(crate) fn answer(&self, token: &str, turn: &Turn<'_>) -> Option<Lines> {
        self.lock().get_mut(token)?.answer(turn)
    }
}

impl Script {
    /// The number of the step: as the client has numbered it, else as they come.
    fn place(&self, turn: &Turn<'_>) -> usize {
        number(turn.fields).unwrap_or(self.seen.len() + 1)
    }

    fn answer(&mut self, turn: &Turn<'_>) -> Option<Lines> {
        let at = self.place(turn);
        let step = self.steps.get(at - 1)?.clone();
        let now = date::now_ms();
        let values = self
            .settled
            .entry(at)
            .or_insert_with(|| settle(&step, turn.target, now))
            .clone();
        let status = match step.expect.served {
            Some(served) if served.is_validated() => self.validation(at, turn),
            _ => step.reply.status.unwrap_or((200, "OK")),
        };

        let mut fields = Fields::default();
        fields.push("Case-Path", turn.target);
        fields.push("Case-Count", (self.seen.len() + 1).to_string());
        fields.push("Case-Step", at.to_string());
        fields.push("Case-Now", now.to_string());
        for (sent, value) in step.reply.fields.iter().zip(&values) {
            fields.push(&sent.name, value);
        }
        let unchanged = step.reply.fields.iter().filter(|sent| sent.unchanged);
        let unchanged = unchanged.filter_map(|s| Some((s.name.clone(), fields.joined(&s.name)?)));
        self.seen.push(Seen {
            step: number(turn.fields),
            method: turn.method.to_owned(),
            fields: turn.fields.clone(),
            unchanged: unchanged.collect(),
        });
        let steps: Vec<String> = self.seen.iter().map(named).collect();
        fields.push("Case-Seen", steps.join(" "));
        Some(Lines { status, fields })
    }

    /// 304 if the request carries the validator that the step before was sent with; else a status that tells the
    /// judge that the origin expected a condition.
    fn validation(&self, at: usize, turn: &Turn<'_>) -> (u16, &'static str) {
        let before = at.checked_sub(2).and_then(|before| self.steps.get(before));
        let values = self.settled.get(&(at - 1));
        let carries = |condition: &str, validator: &str| {
            let mut fields = before
                .into_iter()
                .flat_map(|b| b.reply.fields.iter().enumerate());
            let sent = fields.rfind(|(_, sent)| sent.name.eq_ignore_ascii_case(validator));
            let value = sent.and_then(|(at, sent)| match &sent.value {
                Value::Text(text) => Some(text),
                // A date is only known once it was sent.
                Value::Date(_) | Value::Place(_) => values?.get(at),
            });
            value.is_some() && turn.fields.joined(condition).as_ref() == value
        };
        // Either will do: which one it was, the judge asks.
        if carries("If-Modified-Since", "Last-Modified") || carries("If-None-Match", "ETag") {
            return (304, "Not Modified");
        }
        (UNCONDITIONAL, "Not Conditional")
    }
}

/// The status of an answer to a request that should have been conditional and was not.
pub(crate) const UNCONDITIONAL: u16 = 999;

fn settle(step: &Step, target: &str, now: i64) -> Vec<String> {
    let value = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        Value::Date(seconds) => date::imf(now, *seconds),
        Value::Place("") => target.to_owned(),
        Value::Place(below) => format!("{target}/{below}"),
    };
    step.reply.fields.iter().map(|s| value(&s.value)).collect()
}

/// The client's number of a request.
fn number(fields: &Fields) -> Option<usize> {
    let number = fields.joined("Case-Step")?.parse().ok()?;
    (number > 0).then_some(number)
}

fn named(seen: &Seen) -> String {
    seen.step.map_or_else(|| "?".to_owned(), |n| n.to_string())
}
