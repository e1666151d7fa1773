//! `CDN-Cache-Control`: directives for the caches in front of the origin.

use crate::case::{Case, Group, Kind};
use crate::step::{Served, Step, Value};

const NONE: &str = "freshness-none";
const MAX_AGE: &str = "cdn-max-age";
const TARGETED: &str = "CDN-Cache-Control";

pub(super) fn group() -> Group {
    let mut cases: Vec<Case> = ROWS.iter().map(case).collect();
    cases.extend(unlike_the_others());
    cases.extend(sent_on());
    Group {
        name: "targeted fields",
        about: "CDN-Cache-Control, for the caches in front of the origin.",
        rule: "RFC 9213",
        cases,
    }
}

struct Row(
    Kind,
    &'static str,
    &'static str,
    /// What it sends as CDN-Cache-Control.
    &'static str,
    &'static [(&'static str, Field)],
    Served,
);

/// A field beside it.
#[derive(Clone, Copy)]
enum Field {
    Text(&'static str),
    Date(i64),
}

use Field::{Date, Text};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row(Kind::Optional, MAX_AGE, NONE, "max-age=3600", &[], Served::Store),
    Row(Kind::Optional, "cdn-max-age-max", NONE, "max-age=2147483648", &[], Served::Store),
    Row(Kind::Optional, "cdn-max-age-max-plus", NONE, "max-age=99999999999", &[], Served::Store),
    Row(Kind::Required, "cdn-max-age-age", MAX_AGE, "max-age=3600",
        &[("Age", Text("7200")), ("Date", Date(0))], Served::Origin),
    Row(Kind::Check, "cdn-max-age-space-before-equals", MAX_AGE, "max-age =100",
        &[("Cache-Control", Text("max-age=1"))], Served::Origin),
    Row(Kind::Check, "cdn-max-age-space-after-equals", MAX_AGE, "max-age= 100",
        &[("Cache-Control", Text("max-age=1"))], Served::Origin),
    Row(Kind::Required, "cdn-max-age-0", MAX_AGE, "max-age=0", &[], Served::Origin),
    Row(Kind::Optional, "cdn-max-age-extension", MAX_AGE, "foobar, max-age=3600", &[], Served::Store),
    Row(Kind::Check, "cdn-max-age-case-insensitive", MAX_AGE, "MaX-aGe=3600", &[], Served::Store),
    Row(Kind::Optional, "cdn-max-age-expires", MAX_AGE, "max-age=3600",
        &[("Expires", Date(-10_000)), ("Date", Date(0))], Served::Store),
    Row(Kind::Required, "cdn-max-age-0-expires", MAX_AGE, "max-age=0",
        &[("Expires", Date(10_000)), ("Date", Date(0))], Served::Origin),
    Row(Kind::Optional, "cdn-max-age-short-cc-max-age", MAX_AGE, "max-age=3600",
        &[("Cache-Control", Text("max-age=1"))], Served::Store),
    Row(Kind::Required, "cdn-max-age-long-cc-max-age", MAX_AGE, "max-age=1",
        &[("Cache-Control", Text("max-age=3600"))], Served::Origin),
    Row(Kind::Required, "cdn-no-store-cc-fresh", NONE, "no-store",
        &[("Cache-Control", Text("max-age=10000")), ("Expires", Date(10_000)), ("Date", Date(0))], Served::Origin),
    Row(Kind::Required, "cdn-fresh-cc-nostore", NONE, "max-age=10000",
        &[("Cache-Control", Text("no-store"))], Served::Store),
    // RFC 9213 §2.1, §2.2: a structured dictionary; if it is none, it is as if it were not there.
    Row(Kind::Required, "cdn-cc-invalid-sh-type-unknown", MAX_AGE, "max-age=10000, &&&&&",
        &[("Cache-Control", Text("no-store"))], Served::Origin),
    Row(Kind::Required, "cdn-cc-invalid-sh-type-wrong", MAX_AGE, "max-age=\"10000\"",
        &[("Cache-Control", Text("no-store"))], Served::Origin),
];

fn case(row: &Row) -> Case {
    let Row(kind, id, after, targeted, beside, then) = row;
    let does = match then {
        Served::Store => "is reused",
        _ => "is not reused",
    };
    let beside: Vec<(&str, Value)> = beside
        .iter()
        .map(|&(name, field)| match field {
            Text(text) => (name, text.into()),
            Date(seconds) => (name, seconds.into()),
        })
        .collect();
    let says = format!("an answer with {TARGETED}: {targeted} and {beside:?} {does}");
    let answer = Step::get().sends_loosely(TARGETED, *targeted);
    let answer = beside
        .into_iter()
        .fold(answer, |step, (name, value)| step.sends(name, value));
    Case::new(*kind, *id, says)
        .after([*after])
        .steps([answer.given().rest(), Step::get().served(*then)])
}

fn unlike_the_others() -> Vec<Case> {
    let invalid = Step::get().sends_loosely(TARGETED, "max-age=3600");
    let invalid = invalid.sends_loosely("Expires", "0").sends("Date", 0);
    let at_once = |id: &str, value: &str| {
        let first = Step::get().sends(TARGETED, value);
        let first = first.sends("Cache-Control", "max-age=10000");
        let first = first.sends("Expires", 10_000).sends("Date", 0);
        Case::required(id, format!("{TARGETED}: {value} goes before Cache-Control"))
            .steps([first.given(), Step::get().by_origin()])
    };
    vec![
        Case::optional(
            "cdn-max-age-cc-max-age-invalid-expires",
            "a targeted max-age goes before an Expires that is no date",
        )
        .after([MAX_AGE])
        .steps([invalid.given().rest(), Step::get().by_store()]),
        at_once("cdn-private", "private"),
        at_once("cdn-no-cache", "no-cache"),
    ]
}

fn sent_on() -> Vec<Case> {
    let removed = Step::get().sends("Cache-Control", "max-age=10000");
    let removed = removed.sends_loosely(TARGETED, "foo");
    let removed = removed.sends("Expires", 10_000).sends("Date", 0);
    let longer = |expires: Option<i64>| {
        let mut step = Step::get().sends("Cache-Control", "max-age=1");
        if let Some(expires) = expires {
            step = step.sends("Expires", expires);
        }
        let step = step.sends(TARGETED, "max-age=10000");
        step.sends("Date", 0).given().rest()
    };
    let case = |id: &str, what: &str, first: Step, again: Step| {
        let says = format!("{what} comes with an answer whose targeted lifetime is the longer one");
        Case::check(id, says).after([MAX_AGE]).steps([first, again])
    };
    vec![
        Case::check(
            "cdn-remove-header",
            "CDN-Cache-Control is passed on to the client",
        )
        .steps([removed.wants(TARGETED, "foo")]),
        case(
            "cdn-remove-age-exceed",
            "an Age",
            longer(None),
            Step::get().wants_some("Age"),
        ),
        case(
            "cdn-date-update-exceed",
            "the Date of the origin",
            longer(None),
            Step::get().wants("Date", 0),
        ),
        case(
            "cdn-expires-update-exceed",
            "the Expires of the origin",
            longer(Some(1)),
            Step::get().wants("Expires", 1),
        ),
    ]
}
