//! Fields that are odd, and fields that belong to one connection.

use crate::case::Case;
use crate::cases::fields::{FIELDS, Field, Rule};
use crate::step::{Aspect, Step};

pub(super) fn cases() -> Vec<Case> {
    // A transfer coding that nobody knows is no field to be kept or dropped: it says what the bytes are.
    let hop = FIELDS
        .iter()
        .filter(|field| field.rule == Rule::Hop && field.name != "Transfer-Encoding");
    let mut cases: Vec<Case> = hop.map(not_stored).collect();
    cases.extend(odd_lines());
    cases.extend(kept());
    cases
}

/// RFC 9111 §3.1; RFC 9110 §7.6.1. The public cases do not look for the field.
fn not_stored(field: &Field) -> Case {
    let mut first = Step::get().sends("Cache-Control", "max-age=3600");
    first = first.sends_loosely(field.name, field.later);
    let again = Step::get().by_store();
    let again = again.wants_not(field.name, field.later);
    Case::required(
        format!("own-hop-{}", field.name),
        format!("{} is not stored with an answer", field.name),
    )
    .after([format!("headers-store-{}", field.name)])
    .steps([first.given(), again.given_only(&[Aspect::Served])])
}

fn odd_lines() -> Vec<Case> {
    let odd = |lines: &'static str| {
        let step = Step::get().raw_then_close(lines, "{token}");
        step.may_be_refused()
    };
    vec![
        // RFC 9112 §5.2: a gateway replaces the fold by spaces.
        Case::required(
            "own-folded",
            "a folded field is unfolded, or the answer is refused",
        )
        .steps([odd("Cache-Control: no-store\r\nA: one\r\n two\r\n").wants_spaced("A", "one two")]),
        // RFC 9112 §5.1: a proxy removes it.
        Case::required(
            "own-space-before-colon",
            "a space before a colon is not passed on",
        )
        .steps([odd("Cache-Control: no-store\r\nA : 1\r\n").any_body()]),
        // RFC 9110 §5.5: replaced by a space, or the answer is refused.
        Case::required("own-nul", "a NUL in a field is not passed on")
            .steps([odd("Cache-Control: no-store\r\nA: 1\u{0}2\r\n").any_body()]),
        // RFC 9112 §2.2: a bare CR is no end of a line.
        Case::required(
            "own-bare-cr",
            "a bare CR in a field does not begin a new one",
        )
        .steps([odd("Cache-Control: no-store\r\nA: 1\rB: 2\r\n")
            .wants_no("B")
            .any_body()]),
        Case::required("own-no-colon", "a line without a colon is not passed on")
            .steps([odd("Cache-Control: no-store\r\nno colon here\r\n").any_body()]),
    ]
}

fn kept() -> Vec<Case> {
    let stored = |id: &str, says: &str, first: Step, value: &str| {
        let first = first.sends("Cache-Control", "max-age=3600");
        let again = Step::get().by_store().wants("A", value);
        Case::required(id, says)
            .after(["freshness-max-age"])
            .steps([first.given(), again.given_only(&[Aspect::Served])])
    };
    vec![
        stored(
            "own-two-lines",
            "two lines of one field come out of the store in their order",
            Step::get().sends("A", "1").sends("B", "x").sends("A", "2"),
            "1, 2",
        ),
        // RFC 9110 §5.5: opaque.
        stored(
            "own-bytes",
            "bytes beyond ASCII come out of the store as they went in",
            Step::get().sends("A", "\u{e9}\u{80}\u{ff}"),
            "\u{e9}\u{80}\u{ff}",
        ),
        Case::check(
            "own-no-cookie-replayed",
            "an answer out of the store sets no cookie",
        )
        .after(["other-set-cookie"])
        .steps([
            Step::fresh().sends("Set-Cookie", "a=b"),
            Step::get().by_store().wants_no("Set-Cookie"),
        ]),
    ]
}
