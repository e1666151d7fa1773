//! Storing, told step by step: the questions of [`store`](fn@crate::store), each with its clause and its answer.
//!
//! The answers are given by the functions that `store` asks, in its order; here are only the words.

use http::{HeaderMap, StatusCode};

use crate::control::{RequestControl, ResponseControl};
use crate::freshness::{FreshBy, Times, lifetime};
use crate::{Policy, Reason, Request, Stored, store, targeted, vary};

/// One question that was asked on the way to storing a response, and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The clause that asks it; `policy` where no RFC does.
    pub section: &'static str,
    /// What is asked.
    pub question: &'static str,
    /// Why the response may not be stored; `None`: this does not stand in the way.
    pub refused: Option<Reason>,
    /// What was found, in words.
    pub found: String,
}

/// Asks what [`store`](fn@crate::store) asks, and tells each question with its answer, up to the first that refuses.
/// With it what `store` says.
pub fn explain_store(
    request: Request<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    policy: &Policy,
    sent: u64,
    now: u64,
) -> (Vec<Step>, Result<Stored, Reason>) {
    let verdict = store(request, status, headers, policy, sent, now);
    let asked = Asked {
        request,
        status,
        headers,
        policy,
        times: Times::read(headers, sent, now),
    };
    let mut steps = Vec::new();
    for step in asked.steps(&verdict) {
        let ends = step.refused.is_some();
        steps.push(step);
        if ends {
            break;
        }
    }
    (steps, verdict)
}

struct Asked<'a> {
    request: Request<'a>,
    status: StatusCode,
    headers: &'a HeaderMap,
    policy: &'a Policy,
    times: Times,
}

impl Asked<'_> {
    fn steps(&self, verdict: &Result<Stored, Reason>) -> Vec<Step> {
        let (request, policy) = (self.request, self.policy);
        let (control, by_target) = targeted::control(self.headers, &policy.targeted);
        let no_store = match RequestControl::read(request.headers).no_store {
            true => Err(Reason::NoStoreRequest),
            false => Ok(()),
        };
        vec![
            step(
                "RFC 9111 §3",
                "Is the method one whose responses are kept?",
                store::may_store_method(request, policy),
                || format!("{} is.", request.method),
            ),
            step(
                "RFC 9111 §3",
                "Is it a whole, final response?",
                store::may_store_status(request, self.status),
                || format!("{} is.", self.status.as_u16()),
            ),
            step(
                "RFC 9111 §5.2.1.5",
                "Does the request forbid it?",
                no_store,
                || "It has no no-store.".to_owned(),
            ),
            step("RFC 9213 §2.2", "Which fields rule?", Ok(()), || {
                self.ruling(by_target)
            }),
            step(
                "RFC 9111 §5.2.2.5",
                "Does the response forbid it?",
                store::may_store_at_all(self.status, &control),
                || no_store_ignored(&control).to_owned(),
            ),
            step(
                "RFC 9111 §5.2.2.7",
                "Is it for one user only?",
                store::may_store_for_others(&control),
                || "It is not private.".to_owned(),
            ),
            step(
                "RFC 9111 §3.5",
                "May an answer to a request with Authorization be shared?",
                store::may_share_authorized(request, &control, policy),
                || self.shared("authorization", "Authorization"),
            ),
            step(
                "policy",
                "May an answer to a request with cookies be shared?",
                store::may_share_cookies(request, &control, policy),
                || self.shared("cookie", "Cookie"),
            ),
            step(
                "RFC 9111 §7.3",
                "Does it set a cookie?",
                store::may_share_cookie_setting(self.headers, &control, policy),
                || self.sets_cookie(),
            ),
            step(
                "RFC 9111 §4.1",
                "Can it be told which requests it answers?",
                vary::fields(self.headers)
                    .map(|_| ())
                    .ok_or(Reason::VaryStar),
                || self.varies(),
            ),
            step(
                "RFC 9111 §4.2.1",
                "How long is it fresh?",
                lifetime(
                    request,
                    self.status,
                    self.headers,
                    &control,
                    by_target,
                    self.times,
                    policy,
                )
                .map(|_| ())
                .ok_or(Reason::NoExplicitFreshness),
                || verdict.as_ref().map(lives).unwrap_or_default(),
            ),
            step(
                "RFC 9111 §4.2",
                "Will it be of any use?",
                verdict.as_ref().map(|_| ()).map_err(|reason| *reason),
                || {
                    verdict
                        .as_ref()
                        .map(|stored| useful(stored, self.policy))
                        .unwrap_or_default()
                },
            ),
        ]
    }

    fn ruling(&self, by_target: bool) -> String {
        let present = |name: &&http::HeaderName| self.headers.contains_key(*name);
        match self.policy.targeted.iter().find(present) {
            Some(name) if by_target => format!("{name}: Cache-Control and Expires are not asked."),
            Some(name) => format!("Cache-Control and Expires: {name} is not a valid one."),
            None => "Cache-Control and Expires: there is no targeted field.".to_owned(),
        }
    }

    fn shared(&self, field: &str, name: &str) -> String {
        match self.request.headers.contains_key(field) {
            true => "The response or the policy says that it may.".to_owned(),
            false => format!("The request has no {name}."),
        }
    }

    fn sets_cookie(&self) -> String {
        match self.headers.contains_key(http::header::SET_COOKIE) {
            true => "It does: this client gets the cookie; it is not stored for others.".to_owned(),
            false => "It does not.".to_owned(),
        }
    }

    fn varies(&self) -> String {
        match vary::fields(self.headers) {
            Some(fields) if !fields.is_empty() => {
                let names: Vec<&str> = fields.iter().map(|name| name.as_str()).collect();
                format!("Those that are alike in {}.", names.join(", "))
            }
            _ => "All for this URL: there is no Vary.".to_owned(),
        }
    }
}

fn step(
    section: &'static str,
    question: &'static str,
    answer: Result<(), Reason>,
    found: impl FnOnce() -> String,
) -> Step {
    match answer {
        Ok(()) => Step {
            section,
            question,
            refused: None,
            found: found(),
        },
        Err(reason) => Step {
            section: reason.section(),
            question,
            refused: Some(reason),
            found: reason.sentence().to_owned(),
        },
    }
}

fn no_store_ignored(control: &ResponseControl) -> &'static str {
    match control.must_understand && control.no_store {
        true => "It has must-understand, and the status is understood: its no-store is for others.",
        false => "It has no no-store.",
    }
}

fn lives(stored: &Stored) -> String {
    let (lifetime, age) = (stored.lifetime / 1000, stored.initial_age / 1000);
    match stored.fresh_by {
        FreshBy::Nothing => "Not at all: no-cache wants it validated before each use.".to_owned(),
        by => format!(
            "{lifetime} s by {} ({}); it was {age} s old when it came.",
            by.as_str(),
            by.section()
        ),
    }
}

fn useful(stored: &Stored, policy: &Policy) -> String {
    let mut uses = Vec::new();
    if !stored.no_cache && stored.fresh_left(stored.received) > 0 {
        uses.push("it is fresh".to_owned());
    }
    if stored.stale_while_revalidate > 0 {
        let seconds = stored.stale_while_revalidate / 1000;
        uses.push(format!(
            "then served for {seconds} s while it is refreshed (RFC 5861 §3)"
        ));
    }
    if stored.stale_if_error > 0 {
        let seconds = stored.stale_if_error / 1000;
        uses.push(format!(
            "for {seconds} s when the origin fails (RFC 5861 §4)"
        ));
    }
    if stored.has_validator() && !policy.keep_for_validation.is_zero() {
        uses.push("it can be validated (RFC 9111 §4.3)".to_owned());
    }
    format!("Yes: {}.", uses.join("; "))
}
