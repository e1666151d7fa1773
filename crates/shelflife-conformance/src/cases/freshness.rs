//! Freshness by `Cache-Control`.

use crate::case::{Case, Group};
use crate::cases::twice;
use crate::step::{Served, Step, Value};

const NONE: &str = "freshness-none";
const MAX_AGE: &str = "freshness-max-age";
const SHARED: &str = "freshness-s-maxage-shared";

pub(super) fn group() -> Group {
    let mut cases = vec![without_any()];
    cases.extend(lifetimes());
    cases.extend(with_other_fields());
    cases.extend(for_shared_caches());
    Group {
        name: "freshness",
        about: "How long an answer with Cache-Control is fresh.",
        rule: "RFC 9111 §4.2, §5.2.2",
        cases,
    }
}

fn without_any() -> Case {
    let says = "an answer without lifetime and validator is not reused";
    let case = Case::check(NONE, says);
    case.steps([Step::get().given().rest(), Step::get().by_origin()])
}

/// An answer with these values of Cache-Control, each a line of its own.
fn lines(values: &[&str]) -> Step {
    values.iter().fold(Step::get(), |step, value| {
        step.sends("Cache-Control", *value)
    })
}

fn lifetimes() -> Vec<Case> {
    let soon = Case::required(
        "freshness-max-age-stale",
        "an answer past its max-age is not reused",
    );
    let soon = soon
        .after([MAX_AGE])
        .steps([Step::soon_stale(), Step::get().by_origin()]);
    let optional = |id: &str, after: &str, value: &str| {
        let case = Case::optional(id, format!("an answer with {value} is reused"));
        twice(case.after([after]), lines(&[value]), Served::Store)
    };
    let required = |id: &str, after: &str, value: &str| {
        let case = Case::required(id, format!("an answer with {value} is not reused"));
        twice(case.after([after]), lines(&[value]), Served::Origin)
    };
    vec![
        optional(MAX_AGE, NONE, "max-age=3600"),
        soon,
        required("freshness-max-age-0", NONE, "max-age=0"),
        // Around 2³¹, and far beyond: RFC 9111 §1.2.2 has too large a number be the largest that is known.
        optional("freshness-max-age-max-minus-1", NONE, "max-age=2147483647"),
        optional("freshness-max-age-max", NONE, "max-age=2147483648"),
        optional("freshness-max-age-max-plus-1", NONE, "max-age=2147483649"),
        optional("freshness-max-age-max-plus", NONE, "max-age=99999999999"),
        optional(
            "freshness-max-age-extension",
            MAX_AGE,
            "foobar, max-age=3600",
        ),
        optional("freshness-max-age-case-insenstive", MAX_AGE, "MaX-aGe=3600"),
        required("freshness-max-age-negative", NONE, "max-age=-3600"),
    ]
}

fn with_other_fields() -> Vec<Case> {
    let answer = |max_age: &str, name: &str, value: Value| {
        let step = Step::get().sends("Cache-Control", max_age);
        step.sends(name, value)
    };
    let aged = Case::required(
        "freshness-max-age-age",
        "an answer whose Age is above its max-age is not reused",
    );
    let aged = twice(
        aged.after([MAX_AGE]),
        answer("max-age=3600", "Age", "7200".into()).sends("Date", 0),
        Served::Origin,
    );
    let date = Case::check(
        "freshness-max-age-date",
        "an old Date counts as age when there is a max-age",
    );
    let date = twice(
        date.after([MAX_AGE]),
        answer("max-age=3600", "Date", (-7200).into()),
        Served::Origin,
    );
    let past = Case::optional(
        "freshness-max-age-expires",
        "max-age goes before an Expires in the past",
    );
    let past = twice(
        past.after([MAX_AGE]),
        answer("max-age=3600", "Expires", (-7200).into()).sends("Date", 0),
        Served::Store,
    );
    let invalid = Case::optional(
        "freshness-max-age-expires-invalid",
        "max-age goes before an Expires that is no date",
    );
    let invalid = twice(
        invalid.after([MAX_AGE]),
        Step::get()
            .sends("Cache-Control", "max-age=3600")
            .sends_loosely("Expires", "0")
            .sends("Date", 0),
        Served::Store,
    );
    let zero = Case::required(
        "freshness-max-age-0-expires",
        "max-age=0 goes before an Expires in the future",
    );
    let zero = twice(
        zero.after([NONE]),
        answer("max-age=0", "Expires", 3600.into()).sends("Date", 0),
        Served::Origin,
    );
    vec![aged, date, past, invalid, zero]
}

fn for_shared_caches() -> Vec<Case> {
    let positive = Case::required(SHARED, "an answer with a positive s-maxage is reused");
    let mut cases = vec![twice(
        positive.after([NONE]),
        lines(&["s-maxage=3600"]),
        Served::Store,
    )];
    let shorter: [(&str, &[&str]); 3] = [
        (
            "freshness-max-age-s-maxage-shared-longer",
            &["max-age=3600, s-maxage=1"],
        ),
        (
            "freshness-max-age-s-maxage-shared-longer-reversed",
            &["s-maxage=1, max-age=3600"],
        ),
        (
            "freshness-max-age-s-maxage-shared-longer-multiple",
            &["max-age=3600", "s-maxage=1"],
        ),
    ];
    cases.extend(shorter.map(|(id, values)| {
        let case = Case::required(id, format!("a short s-maxage goes first: {values:?}"));
        twice(case.after([SHARED]), lines(values), Served::Origin)
    }));
    let longer = Case::optional(
        "freshness-max-age-s-maxage-shared-shorter",
        "a long s-maxage goes before a short max-age",
    );
    cases.push(twice(
        longer.after([SHARED]),
        lines(&["max-age=1, s-maxage=3600"]),
        Served::Store,
    ));
    let expired = Case::optional(
        "freshness-max-age-s-maxage-shared-shorter-expires",
        "a long s-maxage goes before max-age=0 and an Expires in the past",
    );
    cases.push(twice(
        expired.after([SHARED]),
        Step::get()
            .sends("Expires", -10)
            .sends("Cache-Control", "max-age=0, s-maxage=3600"),
        Served::Store,
    ));
    cases
}
