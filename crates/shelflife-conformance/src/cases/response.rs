//! Directives of the answer that are not about lifetimes.

use crate::case::{Case, Group};
use crate::step::{Aspect, Step};

pub(super) fn group() -> Group {
    let mut cases = not_stored();
    cases.extend(older_ones());
    cases.extend(no_cache());
    cases.extend(listed_fields());
    cases.extend(must_revalidate());
    Group {
        name: "response directives",
        about: "Directives of the answer that are not about lifetimes.",
        rule: "RFC 9111 §5.2.2",
        cases,
    }
}

fn says(value: &str) -> Step {
    Step::get().sends("Cache-Control", value)
}

/// Also with an `Expires` in the future, to tempt.
fn tempting(value: &str) -> Step {
    says(value).sends("Expires", 10_000).sends("Date", 0)
}

fn not_stored() -> Vec<Case> {
    let case = |id: &str, after: &[&str], step: Step, value: &str| {
        let case = Case::required(id, format!("an answer with {value} is not stored"));
        case.after(after.iter().copied())
            .steps([step.given(), Step::get().by_origin()])
    };
    let private = "private, max-age=3600";
    vec![
        case("cc-resp-private-shared", &[], says(private), private),
        case("cc-resp-no-store", &[], says("no-store"), "no-store"),
        case(
            "cc-resp-no-store-case-insensitive",
            &["cc-resp-no-store"],
            says("No-StOrE"),
            "No-StOrE",
        ),
        case(
            "cc-resp-no-store-fresh",
            &["cc-resp-no-store"],
            tempting("max-age=10000, no-store"),
            "max-age and no-store",
        ),
    ]
}

fn older_ones() -> Vec<Case> {
    let case = |id: &str, newer: &str| {
        let says = format!("what is stored is still used after a newer answer came with {newer}");
        let older = tempting("max-age=10000").sends("A", "1");
        let newer = Step::get().sends("Cache-Control", newer);
        let newer = newer.sends("Date", 0).sends("A", "2");
        Case::check(id, says).after(["cc-resp-no-store"]).steps([
            older.given().rest(),
            newer.given().rest(),
            Step::get().by_store().wants("a", "1"),
        ])
    };
    vec![
        case("cc-resp-no-store-old-new", "no-store"),
        case("cc-resp-no-store-old-max-age", "no-store, max-age=0"),
    ]
}

fn no_cache() -> Vec<Case> {
    let reused = |id: &str, after: &[&str], value: &str| {
        let case = Case::required(id, format!("an answer with {value} is not reused unasked"));
        case.after(after.iter().copied())
            .steps([tempting(value).given(), Step::get().by_origin()])
    };
    let validated = |id: &str, step: Step| {
        let case = Case::optional(
            id,
            "an answer with no-cache is stored, and validated on use",
        );
        let step = step.sends("ETag", "\"abcd\"").given();
        case.after(["cc-resp-no-cache"])
            .steps([step, Step::get().by_etag()])
    };
    vec![
        reused("cc-resp-no-cache", &[], "max-age=10000, no-cache"),
        reused(
            "cc-resp-no-cache-case-insensitive",
            &["cc-resp-no-cache"],
            "max-age=10000, No-CaChE",
        ),
        validated("cc-resp-no-cache-revalidate", says("no-cache")),
        validated(
            "cc-resp-no-cache-revalidate-fresh",
            tempting("max-age=10000, no-cache"),
        ),
    ]
}

fn listed_fields() -> Vec<Case> {
    let case = |id: &str, directive: &str, listed: &[&'static str], other: &'static str| {
        let says = format!("the fields that {directive} lists are not reused with the answer");
        let mut answer = Step::get().sends("Cache-Control", directive);
        for (name, value) in [("a", "1"), ("b", "2"), ("c", "3")] {
            if listed.contains(&name) || name == other {
                answer = answer.sends(name, value);
            }
        }
        let answer = answer.sends("Cache-Control", "max-age=3600");
        let answer = answer.sends("Date", 0).given().rest();
        let value = if other == "b" { "2" } else { "3" };
        let again = Step::get().by_store().wants(other, value);
        let again = listed.iter().fold(again, |step, name| step.wants_no(name));
        Case::check(id, says)
            .after(["cc-resp-no-cache-revalidate"])
            .steps([answer, again.given_only(&[Aspect::Served])])
    };
    vec![
        case(
            "headers-omit-headers-listed-in-Cache-Control-no-cache-single",
            "no-cache=\"a\"",
            &["a"],
            "b",
        ),
        case(
            "headers-omit-headers-listed-in-Cache-Control-no-cache",
            "no-cache=\"a, b\"",
            &["a", "b"],
            "c",
        ),
    ]
}

fn must_revalidate() -> Vec<Case> {
    let answer = |value: &str| says(value).sends("ETag", "\"abcd\"");
    let fresh = Case::optional(
        "cc-resp-must-revalidate-fresh",
        "a fresh answer with must-revalidate is reused",
    );
    let fresh = fresh.after(["freshness-none"]).steps([
        answer("max-age=10000, must-revalidate").given(),
        Step::get().by_store(),
    ]);
    let stale = Case::required(
        "cc-resp-must-revalidate-stale",
        "a stale answer with must-revalidate is validated",
    );
    let stale = stale.after(["freshness-none"]).steps([
        answer("max-age=2, must-revalidate").given(),
        answer("max-age=2, must-revalidate")
            .by_store()
            .given()
            .rest(),
        Step::get().by_etag(),
    ]);
    vec![fresh, stale]
}
