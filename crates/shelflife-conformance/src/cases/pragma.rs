//! `Pragma`, which is deprecated.

use crate::case::{Case, Group};
use crate::step::Step;

pub(super) fn group() -> Group {
    let asked = |id: &str, value: &'static str| {
        let says = format!("a stored answer is used for a request with Pragma: {value}");
        let again = Step::get().with("Pragma", value).by_store();
        Case::check(id, says)
            .after(["freshness-max-age"])
            .steps([Step::fresh(), again])
    };
    let answered = |id: &str, after: &str, first: Step, value: &str| {
        let says = format!("an answer with Pragma: {value} is reused");
        let first = first.sends("Pragma", value).given();
        Case::check(id, says)
            .after([after])
            .steps([first, Step::get().by_store()])
    };
    let hour = || Step::get().sends("Cache-Control", "max-age=3600");
    let old = || Step::get().sends("Date", 0).sends("Last-Modified", -10_000);
    let cases = vec![
        asked("pragma-request-no-cache", "no-cache"),
        asked("pragma-request-extension", "unrecognised-extension"),
        answered(
            "pragma-response-no-cache",
            "freshness-max-age",
            hour(),
            "no-cache",
        ),
        answered(
            "pragma-response-no-cache-heuristic",
            "heuristic-200-cached",
            old(),
            "no-cache",
        ),
        answered(
            "pragma-response-extension",
            "freshness-max-age",
            hour(),
            "unrecognised-extension",
        ),
    ];
    Group {
        name: "pragma",
        about: "Pragma, which is deprecated and need not be supported.",
        rule: "RFC 9111 §5.4",
        cases,
    }
}
