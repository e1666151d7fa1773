//! Responses before the response.

use crate::case::{Case, Group};
use crate::step::Step;

const LINK: (&str, &str) = ("link", "</styles.css>; rel=preload; as=style");
const OTHER: (&str, &str) = ("x-my-header", "test");

pub(super) fn group() -> Group {
    let passed = |status: u16, fields: &[(&'static str, &'static str)]| {
        let step = Step::get().interim(status, fields);
        let step = step.wants_interim(status, fields);
        step.sends("Cache-Control", "max-age=100000")
            .sends("Date", 0)
            .rest()
    };
    let cases = vec![
        Case::optional(
            "interim-102",
            "a 102 is passed on, and the final answer is stored",
        )
        .steps([passed(102, &[]), Step::get().by_store()]),
        Case::optional(
            "interim-103",
            "a 103 is passed on, and the final answer is stored",
        )
        .steps([passed(103, &[LINK, OTHER]), Step::get().by_store()]),
        Case::required("interim-not-cached", "a 103 is passed on and not stored")
            .steps([passed(103, &[LINK]), Step::get().by_store()]),
        Case::optional(
            "interim-no-header-reuse",
            "fields of a 103 do not get into the final answer",
        )
        .steps([
            passed(103, &[LINK, OTHER]).wants_no("x-my-header"),
            Step::get().by_store().wants_no("x-my-header"),
        ]),
    ];
    Group {
        name: "interim responses",
        about: "1xx responses before the final one.",
        rule: "RFC 9111 §3; RFC 9110 §15.2",
        cases,
    }
}
