//! Lifetimes that the cache makes up from `Last-Modified`.

use crate::case::{Case, Group};
use crate::step::{Served, Step};

const DAY: i64 = 24 * 60 * 60;

pub(super) fn group() -> Group {
    let mut cases: Vec<Case> = STATUSES
        .iter()
        .map(|&(status, reason, reused)| of_status(status, reason, reused, None))
        .collect();
    // RFC 9111 §5.2.2.9: public allows it for any status.
    let public = ("Cache-Control", "public");
    cases.push(of_status(599, "Unknown", true, Some(public)));
    cases.extend(SECONDS.iter().map(|&seconds| of_distance(seconds)));
    Group {
        name: "heuristic freshness",
        about: "Lifetimes that the cache makes up from Last-Modified.",
        rule: "RFC 9111 §4.2.2",
        cases,
    }
}

/// Statuses, and whether a lifetime may be made up for them (RFC 9110 §15.1).
const STATUSES: &[(u16, &str, bool)] = &[
    (200, "OK", true),
    (201, "Created", false),
    (202, "Accepted", false),
    (203, "Non-Authoritative Information", true),
    (204, "No Content", true),
    (403, "Forbidden", false),
    (404, "Not Found", true),
    (405, "Method Not Allowed", true),
    (410, "Gone", true),
    (414, "URI Too Long", true),
    (501, "Not Implemented", true),
    (502, "Bad Gateway", false),
    (503, "Service Unavailable", false),
    (504, "Gateway Timeout", false),
    (599, "Unknown", false),
];

const SECONDS: &[i64] = &[5, 10, 30, 60, 300, 600, 1200, 1800, 3600, 12 * 3600, DAY];

fn of_status(status: u16, reason: &'static str, reused: bool, field: Option<(&str, &str)>) -> Case {
    let answer = |mut step: Step| {
        step = step.status(status, reason);
        if status == 204 {
            step
        } else {
            step.body("what the status is about")
        }
    };
    let mut first = Step::get().sends("Last-Modified", -DAY).sends("Date", 0);
    if let Some((name, value)) = field {
        first = first.sends(name, value);
    }
    let (case, then) = if reused {
        let id = format!("heuristic-{status}-cached");
        let says = format!("a {status} with Last-Modified is reused");
        (Case::optional(id, says), Served::Store)
    } else {
        let id = format!("heuristic-{status}-not_cached");
        let says = format!("a {status} without lifetime is not reused");
        (Case::required(id, says), Served::Origin)
    };
    case.steps([answer(first).given(), answer(Step::get()).served(then)])
}

fn of_distance(seconds: i64) -> Case {
    let says = format!("an answer that was modified {seconds} s ago is reused after 3 s");
    let answer = Step::get()
        .sends("Last-Modified", -seconds)
        .sends("Date", 0);
    Case::check(format!("heuristic-delta-{seconds}"), says)
        .steps([answer.given().rest(), Step::get().by_store()])
}
