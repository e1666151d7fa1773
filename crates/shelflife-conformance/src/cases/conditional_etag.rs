//! Conditions with `If-None-Match`.

use crate::case::{Case, Group, Kind};
use crate::step::{Aspect, Step};

const RESPOND: &str = "conditional-etag-strong-respond";
const TAG: &str = "\"abcdef\"";

pub(super) fn group() -> Group {
    let mut cases = answered();
    cases.extend(ROWS.iter().map(|&row| responds(row)));
    cases.extend(with_vary());
    cases.extend(generated());
    cases.extend(forwarded());
    Group {
        name: "conditions: etag",
        about: "Requests with If-None-Match, answered and generated.",
        rule: "RFC 9111 §4.3; RFC 9110 §13.1.2, §8.8.3",
        cases,
    }
}

fn answered() -> Vec<Case> {
    let first = || Step::fresh().sends("ETag", TAG);
    let again = || {
        let step = Step::get().with("If-None-Match", TAG);
        step.by_store().wants_status(304)
    };
    let dated = Step::fresh().sends("Last-Modified", -5000);
    vec![
        Case::optional(
            RESPOND,
            "304 when the entity tag is that of a fresh stored answer",
        )
        .after(["freshness-max-age"])
        .steps([first(), again()]),
        Case::required("conditional-304-etag", "a 304 carries the entity tag")
            .after([RESPOND])
            .steps([first(), again().wants("ETag", TAG)]),
        Case::required(
            "conditional-etag-precedence",
            "If-None-Match goes before If-Modified-Since",
        )
        .after([RESPOND])
        .steps([
            dated.sends("ETag", TAG),
            again().with("If-Modified-Since", -1),
        ]),
    ]
}

/// The entity tag of the stored answer, and an If-None-Match that is answered with 304.
type Row = (Kind, &'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (Kind::Check, "conditional-etag-strong-respond-obs-text", RESPOND, "\"abcdef\u{fc}\"", "\"abcdef\u{fc}\""),
    (Kind::Check, "conditional-etag-quoted-respond-unquoted", RESPOND, TAG, "abcdef"),
    (Kind::Check, "conditional-etag-unquoted-respond-unquoted", RESPOND, "abcdef", "abcdef"),
    (Kind::Check, "conditional-etag-unquoted-respond-quoted", RESPOND, "abcdef", TAG),
    (Kind::Optional, WEAK, "freshness-max-age", "W/\"abcdef\"", "W/\"abcdef\""),
    (Kind::Check, "conditional-etag-weak-respond-lowercase", WEAK, "w/\"abcdef\"", "w/\"abcdef\""),
    (Kind::Check, "conditional-etag-weak-respond-backslash", WEAK, "W\\\"abcdef\"", "W\\\"abcdef\""),
    (Kind::Check, "conditional-etag-weak-respond-omit-slash", WEAK, "W\"abcdef\"", "W\"abcdef\""),
    (Kind::Optional, "conditional-etag-strong-respond-multiple-first", RESPOND, TAG, "\"abcdef\", \"1234\", \"5678\""),
    (Kind::Optional, "conditional-etag-strong-respond-multiple-second", RESPOND, TAG, "\"1234\", \"abcdef\", \"5678\""),
    (Kind::Optional, "conditional-etag-strong-respond-multiple-last", RESPOND, TAG, "\"1234\", \"5678\", \"abcdef\""),
];
const WEAK: &str = "conditional-etag-weak-respond";

fn responds((kind, id, after, tag, condition): Row) -> Case {
    let says = format!("304 to If-None-Match: {condition} when the stored entity tag is {tag}");
    let again = Step::get().with("If-None-Match", condition);
    let mut again = again.by_store().wants_status(304);
    if !tag.is_ascii() {
        again = again.wants("ETag", tag);
    }
    Case::new(kind, id, says)
        .after([after])
        .steps([Step::fresh().sends("ETag", tag), again])
}

fn with_vary() -> Vec<Case> {
    let first = |expires: i64| {
        let step = Step::get().with("Abc", "123").sends("Expires", expires);
        let step = step.sends("ETag", TAG).sends("Date", 0);
        step.sends("Vary", "Abc").given().rest()
    };
    let same = Step::get().with("Abc", "123").by_etag();
    let same = same.reaches("Abc", "123").given_only(&[Aspect::Served]);
    let other = Step::get().with("Abc", "456");
    vec![
        Case::required(
            "conditional-etag-vary-headers",
            "a validation carries the fields that select the stored answer",
        )
        .steps([first(1), same]),
        Case::check(
            "conditional-etag-vary-headers-mismatch",
            "a request that selects no stored answer is sent with the entity tags of those there are",
        )
        .after(["conditional-etag-vary-headers", "vary-no-match"])
        .steps([first(10_000), other.reaches("If-None-Match", TAG)]),
    ]
}

fn generated() -> Vec<Case> {
    let case = |kind, id: &str, after: &str, tag: &'static str, sent: &'static str| {
        let says = format!("a stale answer with the entity tag {tag} is validated with {sent}");
        let again = Step::get().reaches("If-None-Match", sent).by_etag();
        Case::new(kind, id, says)
            .after([after])
            .steps([Step::soon_stale().sends("ETag", tag), again])
    };
    let (stale, strong) = (
        "freshness-max-age-stale",
        "conditional-etag-strong-generate",
    );
    let weak = "W/\"abcdef\"";
    vec![
        case(Kind::Optional, strong, stale, TAG, TAG),
        case(
            Kind::Optional,
            "conditional-etag-weak-generate-weak",
            stale,
            weak,
            weak,
        ),
        case(
            Kind::Check,
            "conditional-etag-strong-generate-unquoted",
            strong,
            "abcdef",
            TAG,
        ),
    ]
}

fn forwarded() -> Vec<Case> {
    let step = |value: &'static str| {
        let step = Step::get().with("If-None-Match", value);
        step.reaches("If-None-Match", TAG)
    };
    vec![
        Case::check(
            "conditional-etag-forward",
            "If-None-Match is passed on when nothing is stored",
        )
        .steps([step(TAG)]),
        Case::check(
            "conditional-etag-forward-unquoted",
            "an If-None-Match without quotes gets some when it is passed on",
        )
        .after(["conditional-etag-forward"])
        .steps([step("abcdef")]),
    ]
}
