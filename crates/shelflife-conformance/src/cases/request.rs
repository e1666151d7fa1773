//! Directives of the request.

use crate::case::{Case, Group};
use crate::step::{Served, Step};

const MAX_AGE: &str = "freshness-max-age";

pub(super) fn group() -> Group {
    let mut cases = lifetimes();
    cases.extend(validation());
    cases.push(
        Case::check(
            "ccreq-oic",
            "only-if-cached is answered with 504 when nothing is stored",
        )
        .steps([Step::get()
            .with("Cache-Control", "only-if-cached")
            .wants_status(504)
            .any_body()]),
    );
    Group {
        name: "request directives",
        about: "Directives of the request; a cache need not honour them.",
        rule: "RFC 9111 §5.2.1",
        cases,
    }
}

fn with_age(max_age: &str, age: &str) -> Step {
    let step = Step::get().sends("Cache-Control", max_age);
    step.sends("Age", age).given()
}

fn case(id: &str, after: &str, first: Step, directive: &'static str, then: Served) -> Case {
    let does = match then {
        Served::Store => "has a stored answer used",
        _ => "has the origin asked",
    };
    Case::check(id, format!("{directive} in the request {does}"))
        .after([after])
        .steps([
            first,
            Step::get().with("Cache-Control", directive).served(then),
        ])
}

fn lifetimes() -> Vec<Case> {
    vec![
        case(
            "ccreq-ma0",
            MAX_AGE,
            Step::fresh(),
            "max-age=0",
            Served::Origin,
        ),
        case(
            "ccreq-ma1",
            MAX_AGE,
            Step::fresh(),
            "max-age=1",
            Served::Origin,
        ),
        case(
            "ccreq-magreaterage",
            MAX_AGE,
            Step::fresh().sends("Age", "1800"),
            "max-age=600",
            Served::Origin,
        ),
        case(
            "ccreq-max-stale",
            "freshness-max-age-stale",
            Step::soon_stale(),
            "max-stale=1000",
            Served::Store,
        ),
        case(
            "ccreq-max-stale-age",
            MAX_AGE,
            with_age("max-age=1500", "2000"),
            "max-stale=1000",
            Served::Store,
        ),
        case(
            "ccreq-min-fresh",
            MAX_AGE,
            Step::get().sends("Cache-Control", "max-age=1500").given(),
            "min-fresh=2000",
            Served::Origin,
        ),
        case(
            "ccreq-min-fresh-age",
            MAX_AGE,
            with_age("max-age=1500", "1000"),
            "min-fresh=1000",
            Served::Origin,
        ),
    ]
}

fn validation() -> Vec<Case> {
    let hour = || Step::get().sends("Cache-Control", "max-age=3600");
    vec![
        case(
            "ccreq-no-cache",
            MAX_AGE,
            hour().given(),
            "no-cache",
            Served::Origin,
        ),
        case(
            "ccreq-no-cache-lm",
            MAX_AGE,
            hour()
                .sends("Last-Modified", -10_000)
                .sends("Date", 0)
                .given(),
            "no-cache",
            Served::ByDate,
        ),
        case(
            "ccreq-no-cache-etag",
            MAX_AGE,
            hour().sends("ETag", "\"alpha\"").given(),
            "no-cache",
            Served::ByEtag,
        ),
        case(
            "ccreq-no-store",
            MAX_AGE,
            Step::fresh(),
            "no-store",
            Served::Origin,
        ),
    ]
}
