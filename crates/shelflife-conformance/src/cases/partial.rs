//! Ranges: out of what is stored whole, and out of what is stored in part.

use crate::case::{Case, Group};
use crate::step::{Aspect, Step};

const FRESH: &str = "freshness-max-age";
const WHOLE: &str = "partial-store-complete-reuse-partial";

pub(super) fn group() -> Group {
    let mut cases = out_of_a_whole();
    cases.extend(out_of_a_part());
    cases.extend(fields());
    Group {
        name: "ranges",
        about: "Requests for ranges, answered from what is stored whole or in part.",
        rule: "RFC 9111 §3.3, §3.4; RFC 9110 §14",
        cases,
    }
}

/// Asks for a range and gets this part of what is stored.
fn range(range: &'static str, part: &str) -> Step {
    let step = Step::get().with("Range", range).by_store();
    step.wants_status(206).wants_body(part)
}

fn hour() -> Step {
    Step::get().sends("Cache-Control", "max-age=3600")
}

fn out_of_a_whole() -> Vec<Case> {
    let case = |id: &str, body: &str, again: Step| {
        Case::optional(id, "a range is served from an answer that is stored whole")
            .after([FRESH])
            .steps([hour().body(body).given(), again])
    };
    vec![
        case(WHOLE, "01234567890", range("bytes=0-1", "01")),
        case(
            "partial-store-complete-reuse-partial-no-last",
            "01234567890",
            range("bytes=1-", "1234567890"),
        ),
        case(
            "partial-store-complete-reuse-partial-suffix",
            "0123456789A",
            range("bytes=-1", "A"),
        ),
    ]
}

/// The last bytes of ten, or the first, asked for as the last five.
fn part(content_range: &str) -> Step {
    let step = hour().with("Range", "bytes=-5");
    step.status(206, "Partial Content")
        .sends("Content-Range", content_range)
        .body("01234")
        .given()
}

fn out_of_a_part() -> Vec<Case> {
    let last = || part("bytes 4-9/10");
    let case = |id: &str, first: Step, again: Step| {
        Case::optional(id, "a part is stored, and what it holds is served from it")
            .after([FRESH])
            .steps([first, again])
    };
    let complete = Case::optional(
        "partial-store-partial-complete",
        "a stored part is completed by asking for the rest",
    );
    vec![
        case(
            "partial-store-partial-reuse-partial",
            last().reaches("Range", "bytes=-5"),
            range("bytes=-5", "01234"),
        ),
        case(
            "partial-store-partial-reuse-partial-byterange",
            last(),
            range("bytes=6-8", "234"),
        ),
        case(
            "partial-store-partial-reuse-partial-absent",
            last(),
            range("bytes=6-", "234"),
        ),
        case(
            "partial-store-partial-reuse-partial-suffix",
            last(),
            range("bytes=-1", "4"),
        ),
        complete.after([FRESH]).steps([
            part("bytes 0-4/10"),
            Step::get().reaches("range", "bytes=5-"),
        ]),
    ]
}

fn fields() -> Vec<Case> {
    let first = || hour().sends("A", "1").body("01234567890").given();
    let given = [Aspect::Served, Aspect::Status, Aspect::Body];
    let again = || range("bytes=0-1", "01").given_only(&given);
    vec![
        Case::required(
            "partial-use-headers",
            "a range out of the store is served though the origin's fields have changed",
        )
        .after([WHOLE])
        .steps([first(), again().sends("A", "2")]),
        Case::required(
            "partial-use-stored-headers",
            "a range out of the store comes with the stored fields",
        )
        .after([WHOLE])
        .steps([first(), again().wants("A", "1")]),
    ]
}
