//! Conditions with `If-Modified-Since`.

use crate::case::{Case, Group};
use crate::step::{Aspect, Step};

pub(super) fn group() -> Group {
    let modified = |step: Step| step.sends("Last-Modified", -3000);
    let since = |seconds: i64| {
        let step = Step::get().with("If-Modified-Since", seconds);
        step.wants_status(304)
    };
    let fresh = "freshness-max-age";
    let case = |id: &str, after: &str, says: &str, steps: [Step; 2]| {
        Case::optional(id, says).after([after]).steps(steps)
    };
    let cases = vec![
        case(
            "conditional-lm-fresh",
            fresh,
            "304 when the date is that of a fresh stored answer",
            [modified(Step::fresh()), since(-3000).by_store()],
        ),
        case(
            "conditional-lm-fresh-earlier",
            fresh,
            "304 when the date is later than that of a fresh stored answer",
            [modified(Step::fresh()), since(-2000).by_store()],
        ),
        case(
            "conditional-lm-stale",
            "freshness-max-age-stale",
            "304 when the date is that of a stale stored answer, once it was validated",
            [modified(Step::soon_stale()), since(-3000).by_date()],
        ),
        case(
            "conditional-lm-fresh-no-lm",
            fresh,
            "304 to a date before the Date of a stored answer that has no date of modification",
            [
                Step::fresh(),
                since(-3000).by_store().given_only(&[Aspect::Served]),
            ],
        ),
        case(
            "conditional-lm-fresh-rfc850",
            fresh,
            "304 when the date is that of a fresh stored answer, in the format of RFC 850",
            [
                modified(Step::fresh()),
                since(-3000)
                    .rfc850()
                    .by_store()
                    .given_only(&[Aspect::Served]),
            ],
        ),
    ];
    Group {
        name: "conditions: date",
        about: "Requests with If-Modified-Since, answered and generated.",
        rule: "RFC 9111 §4.3; RFC 9110 §13.1.3",
        cases,
    }
}
