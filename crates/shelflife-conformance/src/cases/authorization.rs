//! Answers to requests with `Authorization`.

use crate::case::{Case, Group};
use crate::step::Step;

const KEPT_APART: &str = "other-authorization";

pub(super) fn group() -> Group {
    let asking = |step: Step| {
        let step = step.with("Authorization", "FOO");
        step.reaches("Authorization", "FOO")
    };
    let mut cases = vec![
        Case::required(
            KEPT_APART,
            "an answer to a request with Authorization is not reused, however fresh",
        )
        .after(["freshness-max-age"])
        .steps([asking(Step::fresh()), Step::get().by_origin()]),
    ];
    let allowed = [
        ("public", "max-age=3600, public"),
        ("must-revalidate", "max-age=3600, must-revalidate"),
        ("smaxage", "s-maxage=3600"),
    ];
    cases.extend(allowed.map(|(name, value)| {
        let first = asking(Step::get()).sends("Cache-Control", value);
        let says = format!("an answer to a request with Authorization is reused if it has {value}");
        Case::optional(format!("{KEPT_APART}-{name}"), says)
            .after([KEPT_APART])
            .steps([
                first.sends("Date", 0).given().rest(),
                Step::get().by_store(),
            ])
    }));
    Group {
        name: "authorization",
        about: "Answers to requests with Authorization.",
        rule: "RFC 9111 §3.5",
        cases,
    }
}
