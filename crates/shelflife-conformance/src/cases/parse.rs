//! How `Cache-Control` is read when it is written oddly.

use crate::case::{Case, Group, Kind};
use crate::cases::twice;
use crate::step::{Served, Step};

pub(super) fn group() -> Group {
    let cases = ROWS.iter().map(|(kind, id, after, values, then)| {
        let does = match then {
            Served::Origin => "is not reused",
            _ => "is reused",
        };
        let case = Case::new(*kind, *id, format!("an answer with {values:?} {does}"));
        let answer = values.iter().fold(Step::get(), |step, value| {
            step.sends_loosely("Cache-Control", *value)
        });
        twice(case.after([*after]), answer, *then)
    });
    Group {
        name: "cache-control parsing",
        about: "How Cache-Control is read when it is written oddly.",
        rule: "RFC 9111 §5.2, §4.2.1",
        cases: cases.collect(),
    }
}

type Row = (
    Kind,
    &'static str,
    &'static str,
    &'static [&'static str],
    Served,
);

const NONE: &str = "freshness-none";
const MAX_AGE: &str = "freshness-max-age";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (Kind::Check, "freshness-max-age-two-fresh-stale-sameline", NONE, &["max-age=1800, max-age=1"], Served::Store),
    (Kind::Check, "freshness-max-age-two-fresh-stale-sepline", NONE, &["max-age=1800", "max-age=1"], Served::Store),
    (Kind::Check, "freshness-max-age-two-stale-fresh-sameline", NONE, &["max-age=1, max-age=1800"], Served::Store),
    (Kind::Check, "freshness-max-age-two-stale-fresh-sepline", NONE, &["max-age=1", "max-age=1800"], Served::Store),
    (Kind::Check, "freshness-max-age-quoted", MAX_AGE, &["max-age=\"3600\""], Served::Store),
    (Kind::Required, "freshness-max-age-ignore-quoted", MAX_AGE, &["extension=\"max-age=3600\", max-age=1"], Served::Origin),
    (Kind::Required, "freshness-max-age-ignore-quoted-rev", MAX_AGE, &["max-age=1, extension=\"max-age=3600\""], Served::Origin),
    (Kind::Check, "freshness-max-age-space-before-equals", NONE, &["max-age =3600"], Served::Origin),
    (Kind::Check, "freshness-max-age-space-after-equals", NONE, &["max-age= 3600"], Served::Origin),
    (Kind::Required, "freshness-max-age-leading-zero", NONE, &["max-age=003600"], Served::Store),
    (Kind::Required, "freshness-max-age-single-quoted", NONE, &["max-age='3600'"], Served::Origin),
    (Kind::Check, "freshness-max-age-decimal-zero", NONE, &["max-age=3600.0"], Served::Store),
    (Kind::Check, "freshness-max-age-decimal-five", NONE, &["max-age=3600.5"], Served::Store),
    (Kind::Check, "freshness-max-age-a100", NONE, &["max-age=a3600"], Served::Store),
    (Kind::Check, "freshness-max-age-100a", NONE, &["max-age=3600a"], Served::Store),
];
