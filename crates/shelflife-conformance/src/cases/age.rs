//! How `Age` is read.

use crate::case::{Case, Group, Kind};
use crate::cases::twice;
use crate::step::{Served, Step};

pub(super) fn group() -> Group {
    let cases = ROWS.iter().map(|(kind, id, lifetime, ages, then)| {
        let does = match then {
            Served::Origin => "stale",
            _ => "fresh",
        };
        let says = format!("with {lifetime}, an answer with Age {ages:?} is {does}");
        let case = Case::new(*kind, *id, says).after(["freshness-max-age-age"]);
        let answer = Step::get().sends("Date", 0);
        let answer = answer.sends("Cache-Control", *lifetime);
        let answer = ages
            .iter()
            .fold(answer, |step, age| step.sends_loosely("Age", *age));
        twice(case, answer, *then)
    });
    Group {
        name: "age parsing",
        about: "How the Age of an answer is read.",
        rule: "RFC 9111 §5.1, §1.2.2",
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

const HOUR: &str = "max-age=3600";

// RFC 9111 §5.1: the first of several values counts, and what is no non-negative number is ignored.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    (Kind::Required, "age-parse-nonnumeric", HOUR, &["abc"], Served::Store),
    (Kind::Required, "age-parse-negative", HOUR, &["-7200"], Served::Store),
    (Kind::Required, "age-parse-float", HOUR, &["7200.0"], Served::Store),
    (Kind::Required, "age-parse-large-minus-one", HOUR, &["2147483647"], Served::Origin),
    (Kind::Required, "age-parse-large", HOUR, &["2147483648"], Served::Origin),
    (Kind::Required, "age-parse-larger", HOUR, &["2147483649"], Served::Origin),
    (Kind::Required, "age-parse-suffix", HOUR, &["7200, 0"], Served::Origin),
    (Kind::Required, "age-parse-prefix", HOUR, &["0, 7200"], Served::Store),
    (Kind::Required, "age-parse-suffix-twoline", HOUR, &["7200", "0"], Served::Origin),
    (Kind::Required, "age-parse-prefix-twoline", HOUR, &["0", "7200"], Served::Store),
    (Kind::Required, "age-parse-dup-0", HOUR, &["0, 0"], Served::Store),
    (Kind::Required, "age-parse-dup-0-twoline", HOUR, &["0", "0"], Served::Store),
    (Kind::Required, "age-parse-dup-old", "max-age=10000", &["3600", "3600"], Served::Store),
    (Kind::Check, "age-parse-parameter", HOUR, &["7200;foo=bar"], Served::Origin),
    (Kind::Check, "age-parse-numeric-parameter", HOUR, &["7200;foo=111"], Served::Origin),
];
