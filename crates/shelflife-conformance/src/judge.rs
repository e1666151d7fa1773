//! Whether what came is what was to come. Pure: answers and what the origin saw, in; the first fault, out.
//!
//! The order of the checks is that of the public collection, since the first fault decides whether a case has
//! failed or could not be shown.

use std::collections::HashSet;
use std::fmt;

use crate::client::{Answer, Broken, now_of};
use crate::date;
use crate::origin::{Seen, UNCONDITIONAL};
use crate::step::{Aspect, Refusal, Served, Step, Value, Want};

/// Why a case has not passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// What the case is about is not so.
    Wrong(String),
    /// A preparation went wrong, so that the case says nothing.
    Unprepared(String),
    /// The cache has sent one request twice.
    Retried,
    /// The exchange failed where it must not.
    Broken(String),
    /// No answer in time.
    Late,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Wrong(what) => write!(f, "{what}"),
            Fault::Unprepared(what) => write!(f, "in its preparation: {what}"),
            Fault::Retried => write!(f, "the origin got one request twice"),
            Fault::Broken(what) => write!(f, "the exchange failed: {what}"),
            Fault::Late => write!(f, "no answer in time"),
        }
    }
}

type Verdict = Result<(), Fault>;

fn ensure(given: bool, holds: bool, what: impl FnOnce() -> String) -> Verdict {
    match (holds, given) {
        (true, _) => Ok(()),
        (false, true) => Err(Fault::Unprepared(what())),
        (false, false) => Err(Fault::Wrong(what())),
    }
}

/// Judges an answer as the client got it; `n` counts from 1.
pub(crate) fn answer(step: &Step, n: usize, token: &str, answer: &Answer) -> Verdict {
    let seen = answer.fields.joined("Case-Seen").unwrap_or_default();
    let mut once = HashSet::new();
    if !seen.split(' ').all(|number| once.insert(number)) {
        return Err(Fault::Retried);
    }
    match step.expect.refusal {
        Refusal::No => {}
        Refusal::Allowed if is_refusal(answer) => return Ok(()),
        Refusal::Allowed => {}
        Refusal::Demanded => {
            return ensure(false, is_refusal(answer), || {
                format!("answer {n} is passed on as if all were well")
            });
        }
    }
    served(step, n, answer)?;
    status(step, n, answer)?;
    fields(step, n, answer)?;
    interim(step, n, answer)?;
    body(step, n, token, answer)
}

/// The cache says so itself, or the answer ends early. What is no HTTP is no refusal: it was passed on.
fn is_refusal(answer: &Answer) -> bool {
    match &answer.body {
        Ok(_) => answer.status >= 500 && !answer.fields.has("Case-Count"),
        Err(broken) => !broken.malformed,
    }
}

/// Judges an exchange that brought no answer at all.
pub(crate) fn no_answer(step: &Step, n: usize, broken: &Broken) -> Verdict {
    match step.expect.refusal {
        Refusal::Allowed | Refusal::Demanded if !broken.malformed => Ok(()),
        _ => Err(Fault::Broken(format!("request {n}: {}", broken.why))),
    }
}

fn served(step: &Step, n: usize, answer: &Answer) -> Verdict {
    let given = step.is_given(Aspect::Served);
    let count = answer.fields.joined("Case-Count");
    let count: Option<usize> = count.and_then(|count| count.parse().ok());
    match step.expect.served {
        // A 304 out of a store need not carry fields that only the origin's answer has.
        Some(Served::Store) if answer.status == 304 && count.is_none() => Ok(()),
        Some(Served::Store) => ensure(given, count.is_some_and(|count| count < n), || {
            format!("answer {n} does not come from the store")
        }),
        Some(Served::Origin) => ensure(given, count == Some(n), || {
            format!("answer {n} comes from the store")
        }),
        Some(Served::ByEtag | Served::ByDate) | None => Ok(()),
    }
}

fn status(step: &Step, n: usize, answer: &Answer) -> Verdict {
    let is = answer.status;
    let must = |given: bool, status: u16| {
        ensure(given, is == status, || {
            format!("answer {n} has status {is}, not {status}")
        })
    };
    match (step.expect.status, step.reply.status) {
        (Some(None), _) => Ok(()),
        (Some(Some(status)), _) => must(step.is_given(Aspect::Status), status),
        (None, Some((status, _))) => must(true, status),
        (None, None) if is == UNCONDITIONAL => {
            let given = step.is_given(Aspect::Served);
            ensure(given, false, || {
                format!("request {n} should have been conditional and was not")
            })
        }
        (None, None) => must(true, 200),
    }
}

fn fields(step: &Step, n: usize, answer: &Answer) -> Verdict {
    let given = step.is_given(Aspect::Fields);
    for want in &step.expect.fields {
        match want {
            Want::Present(name) => ensure(given, answer.fields.has(name), || {
                format!("answer {n} has no {name}")
            })?,
            Want::Is(name, value) => {
                let value = settled(value, answer);
                let is = answer.fields.joined(name);
                ensure(given, is.as_deref() == Some(value.as_str()), || {
                    format!("answer {n} has {name} {}, not {value:?}", shown(is))
                })?;
            }
            Want::Spaced(name, value) => {
                let is = answer.fields.joined(name);
                let same = is.as_deref().is_some_and(|is| {
                    let words = is.split(' ').filter(|word| !word.is_empty());
                    words.eq(value.split(' '))
                });
                ensure(given, same, || {
                    format!("answer {n} has {name} {}, not {value:?}", shown(is))
                })?;
            }
            Want::Not(name, value) => {
                let has = answer.fields.all(name).any(|is| is == *value);
                ensure(given, !has, || format!("answer {n} has {name}: {value}"))?;
            }
            Want::Above(name, floor) => {
                let is = answer.fields.joined(name);
                let number = is.as_deref().and_then(leading_number);
                ensure(given, number.is_some_and(|number| number > *floor), || {
                    format!("answer {n} has {name} {}, not above {floor}", shown(is))
                })?;
            }
        }
    }
    let given = step.is_given(Aspect::Absent);
    step.expect.absent.iter().try_for_each(|name| {
        let is = answer.fields.joined(name);
        ensure(given, is.is_none(), || {
            format!("answer {n} has {name} {} and should not", shown(is))
        })
    })
}

/// Dates of an answer are told from the clock of the origin when it made it.
fn settled(value: &Value, answer: &Answer) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Date(seconds) => date::imf(now_of(answer).unwrap_or_default(), *seconds),
        Value::Place(place) => (*place).to_owned(),
    }
}

fn shown(value: Option<String>) -> String {
    value.map_or_else(|| "missing".to_owned(), |value| format!("{value:?}"))
}

/// The number with which the text begins, whatever follows.
fn leading_number(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.get(..end.unwrap_or(text.len()))?.parse().ok()
}

fn interim(step: &Step, n: usize, answer: &Answer) -> Verdict {
    let given = step.is_given(Aspect::Interim);
    let wanted = step.expect.interim.iter().flatten();
    for (at, (status, fields)) in wanted.enumerate() {
        let came = answer.interim.get(at);
        ensure(given, came.is_some_and(|(is, _)| is == status), || {
            format!("answer {n} came without the interim response {status}")
        })?;
        for (name, _) in fields {
            let has = came.is_some_and(|(_, fields)| fields.has(name));
            ensure(given, has, || {
                format!("answer {n} came with an interim response {status} that has no {name}")
            })?;
        }
    }
    Ok(())
}

fn body(step: &Step, n: usize, token: &str, answer: &Answer) -> Verdict {
    let is = match &answer.body {
        Ok(body) => body,
        Err(Broken { why, .. }) => {
            return Err(Fault::Broken(format!("the body of answer {n}: {why}")));
        }
    };
    let must = |given: bool, body: &str| {
        ensure(given, is == body, || {
            format!("answer {n} has the body {is:?}, not {body:?}")
        })
    };
    match (&step.expect.body, &step.reply.body) {
        (Some(None), _) => Ok(()),
        (Some(Some(body)), _) => must(step.is_given(Aspect::Body), body),
        (None, Some(body)) => must(true, body),
        (None, None) if step.ask.method == "HEAD" || matches!(answer.status, 204 | 304) => Ok(()),
        (None, None) => must(true, token),
    }
}

/// Judges, after the last step, what the origin has seen of each.
pub(crate) fn origin(steps: &[Step], answers: &[Option<Answer>], seen: &[Seen]) -> Verdict {
    let mut seen = seen.iter();
    for (at, (step, answer)) in steps.iter().zip(answers).enumerate() {
        // What came from the store, the origin has not seen.
        if step.expect.served != Some(Served::Store) {
            request(step, at + 1, answer.as_ref(), seen.next())?;
        }
    }
    Ok(())
}

fn request(step: &Step, n: usize, answer: Option<&Answer>, seen: Option<&Seen>) -> Verdict {
    let given = step.is_given(Aspect::Served);
    let unseen = || Fault::Broken(format!("the origin has not seen request {n}"));
    let condition = match step.expect.served {
        Some(Served::Origin) => {
            let step = seen.ok_or_else(unseen)?.step;
            ensure(given, step == Some(n), || {
                format!("the origin has seen request {step:?} instead of {n}")
            })?;
            None
        }
        Some(Served::ByEtag) => Some("If-None-Match"),
        Some(Served::ByDate) => Some("If-Modified-Since"),
        Some(Served::Store) | None => None,
    };
    if let Some(condition) = condition {
        let has = seen.is_some_and(|seen| seen.fields.has(condition));
        ensure(given, has, || {
            format!("request {n} came to the origin without {condition}, or not at all")
        })?;
    }
    let given = step.is_given(Aspect::Request);
    for (name, value) in &step.expect.reaches {
        let is = seen.ok_or_else(unseen)?.fields.joined(name);
        ensure(given, is.as_deref() == Some(*value), || {
            format!("request {n} has {name} {}, not {value:?}", shown(is))
        })?;
    }
    if let (Some(seen), Some(answer)) = (seen, answer) {
        unchanged(n, answer, seen)?;
    }
    let Some(method) = step.expect.method else {
        return Ok(());
    };
    let is = &seen.ok_or_else(unseen)?.method;
    ensure(step.is_given(Aspect::Method), is == method, || {
        format!("request {n} came to the origin as {is}, not {method}")
    })
}

/// The client has to get the origin's fields as they were sent; all of them are preparation.
fn unchanged(n: usize, answer: &Answer, seen: &Seen) -> Verdict {
    seen.unchanged.iter().try_for_each(|(name, value)| {
        // Intermediaries may correct the date, and do.
        if name.eq_ignore_ascii_case("Date") {
            return Ok(());
        }
        let is = answer.fields.joined(name);
        ensure(true, is.as_deref() == Some(value.as_str()), || {
            format!("answer {n} has {name} {}, not {value:?}", shown(is))
        })
    })
}

#[cfg(test)]
mod tests;
