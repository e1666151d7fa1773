//! What an unsafe request makes invalid; and the one unsafe answer that may be stored.

use crate::case::{Case, Group};
use crate::step::{Step, Value};

const METHODS: [&str; 4] = ["POST", "PUT", "DELETE", "M-SEARCH"];

pub(super) fn group() -> Group {
    let mut cases: Vec<Case> = METHODS.into_iter().flat_map(own_url).collect();
    cases.extend(
        METHODS.map(|method| elsewhere(method, "location", "Location", "/location_target")),
    );
    cases.extend(
        METHODS
            .map(|method| elsewhere(method, "cl", "Content-Location", "/content_location_target")),
    );
    Group {
        name: "invalidation",
        about: "What an unsafe request makes invalid.",
        rule: "RFC 9111 §4.4",
        cases,
    }
}

fn unsafe_request(method: &'static str) -> Step {
    Step::asks(method).with_body("abc").given()
}

fn own_url(method: &'static str) -> [Case; 2] {
    let id = format!("invalidate-{method}");
    let failed = unsafe_request(method).status(500, "Internal Server Error");
    [
        Case::required(
            &id,
            format!("a {method} that succeeds makes its URL invalid"),
        )
        .after(["freshness-max-age"])
        .steps([
            Step::fresh(),
            unsafe_request(method),
            Step::get().by_origin(),
        ]),
        Case::optional(
            format!("{id}-failed"),
            format!("a {method} that fails leaves what is stored"),
        )
        .after([id])
        .steps([Step::fresh(), failed, Step::get().by_store()]),
    ]
}

/// The unsafe request goes to the URL of the case and names one below it.
fn elsewhere(method: &'static str, what: &str, field: &'static str, target: &'static str) -> Case {
    let there = || {
        let step = Step::get().tail(target);
        let step = step.sends("Cache-Control", "max-age=100000");
        step.sends("Last-Modified", 0).sends("Date", 0)
    };
    let request = unsafe_request(method)
        .sends("Location", Value::Place("location_target"))
        .sends("Content-Location", Value::Place("content_location_target"));
    Case::check(
        format!("invalidate-{method}-{what}"),
        format!("a {method} that succeeds makes the URL in {field} invalid"),
    )
    .after([format!("invalidate-{method}")])
    .steps([there().given(), request, there().by_origin()])
}

pub(super) fn method() -> Group {
    let post = Step::asks("POST").with("Content-Type", "text/plain");
    let post = post
        .with_body("12345")
        .sends("Cache-Control", "max-age=3600");
    let post = post.sends("Content-Location", Value::Place(""));
    let case = Case::optional(
        "method-POST",
        "an answer to POST with a lifetime and its own URL as Content-Location is reused for GET",
    );
    let case = case.steps([post.sends("Date", 0).given().rest(), Step::get().by_store()]);
    Group {
        name: "methods",
        about: "Which methods have answers that are stored.",
        rule: "RFC 9110 §9.3.3",
        cases: vec![case],
    }
}
