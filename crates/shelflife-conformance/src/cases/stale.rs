//! Stale answers: served when the origin fails, served while they are refreshed, and when neither may be.

use crate::case::{Case, Group};
use crate::step::{Aspect, Step};

const STALE: &str = "freshness-max-age-stale";
const CLOSE: &str = "stale-close";

pub(super) fn group() -> Group {
    let mut cases = when_the_origin_fails();
    cases.extend(while_revalidating());
    cases.extend(when_prohibited());
    cases.extend(warnings());
    Group {
        name: "serving stale",
        about: "Stale answers, served when the origin fails or while they are refreshed.",
        rule: "RFC 9111 §4.2.4; RFC 5861",
        cases,
    }
}

fn when_the_origin_fails() -> Vec<Case> {
    let closing = |id: &str, says: &str, first: Step| {
        let again = Step::get().silent().by_store();
        Case::check(id, says).after([STALE]).steps([first, again])
    };
    let allowed = || {
        let step = Step::get().sends("Cache-Control", "max-age=2, stale-if-error=60");
        step.given().rest()
    };
    let failing = Case::check(
        "stale-503",
        "a stale answer is served when the origin sends 503",
    );
    let failing = failing.after([STALE]).steps([
        Step::soon_stale(),
        Step::get()
            .status(503, "Service Unavailable")
            .wants_status(200)
            .by_store(),
    ]);
    vec![
        closing(
            CLOSE,
            "a stale answer is served when the origin closes the connection",
            Step::soon_stale(),
        ),
        failing,
        closing(
            "stale-sie-close",
            "a stale answer with stale-if-error is served when the origin closes the connection",
            allowed(),
        ),
        // The public case of this name speaks of 503; it closes the connection, too.
        closing(
            "stale-sie-503",
            "a stale answer with stale-if-error is served when the origin fails",
            allowed(),
        ),
    ]
}

fn while_revalidating() -> Vec<Case> {
    let answer = |value: &str| {
        let step = Step::get().sends("Cache-Control", value);
        step.sends("ETag", "\"abc\"").given().rest()
    };
    let within = Case::optional(
        "stale-while-revalidate",
        "a stale answer is served inside the window of stale-while-revalidate",
    );
    let within = within.after([STALE]).steps([
        answer("max-age=1, stale-while-revalidate=3600"),
        Step::get().by_store(),
    ]);
    let beyond = Case::required(
        "stale-while-revalidate-window",
        "no stale answer is served after the window of stale-while-revalidate",
    );
    let beyond = beyond.after(["stale-while-revalidate"]).steps([
        answer("max-age=1, stale-while-revalidate=4"),
        Step::get()
            .by_store()
            .sends_loosely("Cache-Control", "no-cache")
            .sends_loosely("ETag", "\"def\"")
            .given()
            .rest(),
        Step::get().wants("Case-Step", "3"),
    ]);
    vec![within, beyond]
}

fn when_prohibited() -> Vec<Case> {
    [
        "must-revalidate",
        "proxy-revalidate",
        "no-cache",
        "s-maxage=2",
    ]
    .map(|directive| {
        let says = format!("{directive} prohibits a stale answer when the origin fails");
        let answer = Step::get().sends("Cache-Control", format!("max-age=2, {directive}"));
        let failing = Step::get().silent().any_status().any_body();
        Case::required(format!("stale-close-{directive}"), says)
            .after([CLOSE])
            .steps([answer.given().rest(), failing.wants_no("Case-Count")])
    })
    .into()
}

fn warnings() -> Vec<Case> {
    let case = |id: &str, says: &str, first: Step| {
        let again = Step::get().silent().by_store().wants_some("Warning");
        Case::check(id, says)
            .after([CLOSE])
            .steps([first, again.given_only(&[Aspect::Served])])
    };
    vec![
        case(
            "stale-warning-stored",
            "an answer that was stale when it was stored is served with a Warning",
            Step::stale(),
        ),
        case(
            "stale-warning-become",
            "an answer that became stale is served with a Warning",
            Step::soon_stale(),
        ),
    ]
}
