//! Statuses with a lifetime of their own.

use crate::case::{Case, Group};
use crate::step::Step;

const BODY: &str = "what the status is about";

pub(super) fn group() -> Group {
    let mut cases: Vec<Case> = STATUSES
        .iter()
        .flat_map(|&(status, reason)| [fresh(status, reason), stale(status, reason)])
        .collect();
    cases.extend(must_understand());
    Group {
        name: "status codes",
        about: "Statuses with a lifetime of their own.",
        rule: "RFC 9111 §3",
        cases,
    }
}

const STATUSES: &[(u16, &str)] = &[
    (200, "OK"),
    (203, "Non-Authoritative Information"),
    (204, "No Content"),
    (299, "Whatever"),
    (301, "Moved Permanently"),
    (302, "Found"),
    (303, "See Other"),
    (307, "Temporary Redirect"),
    (308, "Permanent Redirect"),
    (400, "Bad Request"),
    (404, "Not Found"),
    (410, "Gone"),
    (499, "Whatever"),
    (500, "Internal Server Error"),
    (502, "Bad Gateway"),
    (503, "Service Unavailable"),
    (504, "Gateway Timeout"),
    (599, "Whatever"),
];

fn with_body(step: Step, status: u16) -> Step {
    if status == 204 { step } else { step.body(BODY) }
}

fn fresh(status: u16, reason: &'static str) -> Case {
    let answer = |step: Step| with_body(step.status(status, reason), status);
    Case::optional(
        format!("status-{status}-fresh"),
        format!("a fresh {status} is reused"),
    )
    .after(["freshness-max-age"])
    .steps([answer(Step::fresh()), answer(Step::get()).by_store()])
}

/// The second answer of the origin is a 200: that it came is what is asked.
fn stale(status: u16, reason: &'static str) -> Case {
    let first = with_body(Step::stale().status(status, reason), status);
    let again = with_body(Step::get(), status).by_origin();
    Case::required(
        format!("status-{status}-stale"),
        format!("a stale {status} is not reused"),
    )
    .after([format!("status-{status}-fresh")])
    .steps([first, again])
}

fn must_understand() -> Vec<Case> {
    let answer = |status, reason| {
        let step = Step::get().status(status, reason);
        step.sends("Cache-Control", "max-age=3600, no-store, must-understand")
            .given()
    };
    vec![
        Case::required(
            "status-599-must-understand",
            "with must-understand, an unknown status is not stored",
        )
        .after(["status-599-fresh"])
        .steps([answer(599, "Whatever"), Step::get().by_origin()]),
        Case::optional(
            "status-200-must-understand",
            "with must-understand, a known status is stored despite no-store",
        )
        .after(["status-200-fresh", "cc-resp-no-store-fresh"])
        .steps([answer(200, "OK"), Step::get().by_store()]),
    ]
}
