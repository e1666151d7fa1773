//! Conditions, ranges and interim responses in more of their forms.

use crate::case::Case;
use crate::step::Step;

const FRESH: &str = "freshness-max-age";
const TEXT: &str = "0123456789";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = conditions();
    cases.extend(ranges());
    cases.push(many_interim());
    cases
}

fn conditions() -> Vec<Case> {
    let case = |id: &str, says: &str, tag: &'static str, condition: &'static str| {
        let again = Step::get().with("If-None-Match", condition);
        Case::optional(id, says).after([FRESH]).steps([
            Step::fresh().sends("ETag", tag),
            again.by_store().wants_status(304),
        ])
    };
    let other = Step::get().with("If-None-Match", "\"other\"");
    vec![
        // RFC 9110 §13.1.2: the comparison is the weak one, and a star is any.
        case(
            "own-none-match-weak",
            "304 when the entity tags only differ in being weak",
            "\"abc\"",
            "W/\"abc\"",
        ),
        case(
            "own-none-match-star",
            "304 to a star when an answer is stored",
            "\"abc\"",
            "*",
        ),
        Case::required(
            "own-none-match-other",
            "no 304 when the entity tag is another one, whatever the date",
        )
        .steps([
            Step::fresh()
                .sends("ETag", "\"abc\"")
                .sends("Last-Modified", -5000),
            other.with("If-Modified-Since", -1).wants_status(200),
        ]),
    ]
}

fn ranges() -> Vec<Case> {
    let whole = |tag: &'static str| Step::fresh().sends("ETag", tag).body(TEXT);
    let asks = |condition: &'static str| {
        let step = Step::get().with("Range", "bytes=0-1");
        step.with("If-Range", condition).body(TEXT)
    };
    let range = |range: &'static str| Step::get().with("Range", range).body(TEXT);
    // RFC 9110 §13.1.5: the comparison is the strong one.
    let all = |id: &str, says: &str, tag: &'static str, condition: &'static str| {
        Case::required(id, says).steps([whole(tag), asks(condition).wants_status(200)])
    };
    vec![
        Case::optional(
            "own-if-range",
            "a range when If-Range has the stored entity tag",
        )
        .after(["partial-store-complete-reuse-partial"])
        .steps([
            whole("\"abc\""),
            asks("\"abc\"")
                .by_store()
                .wants_status(206)
                .wants_body("01"),
        ]),
        all(
            "own-if-range-other",
            "everything when If-Range has another entity tag",
            "\"abc\"",
            "\"other\"",
        ),
        all(
            "own-if-range-weak",
            "everything when If-Range has a weak entity tag",
            "W/\"abc\"",
            "W/\"abc\"",
        ),
        // RFC 9110 §14.2: a unit that is not known is ignored.
        Case::required(
            "own-range-unit",
            "everything when the unit of the range is unknown",
        )
        .steps([whole("\"abc\""), range("lines=0-1").wants_status(200)]),
        Case::check(
            "own-range-beyond",
            "416 when the range is beyond the stored answer",
        )
        .after(["partial-store-complete-reuse-partial"])
        .steps([
            whole("\"abc\""),
            range("bytes=100-").by_store().wants_status(416).any_body(),
        ]),
    ]
}

fn many_interim() -> Case {
    const LINK: (&str, &str) = ("link", "</styles.css>; rel=preload; as=style");
    let mut step = Step::get();
    for _ in 0..10 {
        step = step.interim(103, &[LINK]).wants_interim(103, &[LINK]);
    }
    Case::optional(
        "own-many-interim",
        "each of several interim responses is passed on",
    )
    .after(["interim-103"])
    .steps([step])
}
