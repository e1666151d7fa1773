//! Which of several stored answers a request selects.

use crate::case::{Case, Group};
use crate::step::{Served, Step};

type Ask = &'static [(&'static str, &'static str)];

const FOO: Ask = &[("Foo", "1")];
const TWO: Ask = &[("Foo", "1"), ("Bar", "abc")];
const THREE: Ask = &[("Foo", "1"), ("Bar", "abc"), ("Baz", "789")];
const FOO_BAZ: Ask = &[("Foo", "1"), ("Baz", "789")];
const MATCH: &str = "vary-match";

pub(super) fn group() -> Group {
    let mut cases = by_one_field();
    cases.extend(by_several_fields());
    cases.push(required(
        "vary-star",
        &[],
        varying(FOO_BAZ).sends("Vary", "*"),
        FOO_BAZ,
    ));
    cases.extend(variants());
    cases.extend(normalised());
    Group {
        name: "vary",
        about: "Which of several stored answers a request selects.",
        rule: "RFC 9111 §4.1",
        cases,
    }
}

pub(super) fn parsing() -> Group {
    let rows: [(&str, &[&str]); 7] = [
        ("vary-syntax-star", &["*"]),
        ("vary-syntax-star-star", &["*, *"]),
        ("vary-syntax-star-star-lines", &["*", "*"]),
        ("vary-syntax-empty-star", &[", *"]),
        ("vary-syntax-empty-star-lines", &["", "*"]),
        ("vary-syntax-star-foo", &["*, Foo"]),
        ("vary-syntax-foo-star", &["Foo, *"]),
    ];
    let cases = rows.map(|(id, lines)| {
        let first = lines.iter().fold(varying(FOO_BAZ), |step, line| {
            step.sends_loosely("Vary", *line)
        });
        required(id, &[MATCH], first, FOO_BAZ)
    });
    Group {
        name: "vary parsing",
        about: "How Vary is read: a star anywhere means that no request selects the answer.",
        rule: "RFC 9111 §4.1; RFC 9110 §12.5.5",
        cases: cases.into(),
    }
}

fn asking(ask: Ask) -> Step {
    ask.iter()
        .fold(Step::get(), |step, (name, value)| step.with(name, *value))
}

/// A request, and an answer that only lacks its Vary.
fn varying(ask: Ask) -> Step {
    let step = asking(ask).sends("Cache-Control", "max-age=5000");
    step.sends("Last-Modified", -3000).sends("Date", 0)
}

fn by(ask: Ask, vary: &str) -> Step {
    varying(ask).sends_loosely("Vary", vary)
}

fn case(case: Case, after: &[&str], first: Step, ask: Ask, then: Served) -> Case {
    case.after(after.iter().copied())
        .steps([first.given(), asking(ask).served(then)])
}

fn optional(id: &str, after: &[&str], first: Step, ask: Ask) -> Case {
    let says = format!("a request with {ask:?} selects the stored answer");
    case(Case::optional(id, says), after, first, ask, Served::Store)
}

fn required(id: &str, after: &[&str], first: Step, ask: Ask) -> Case {
    let says = format!("a request with {ask:?} does not select the stored answer");
    case(Case::required(id, says), after, first, ask, Served::Origin)
}

fn by_one_field() -> Vec<Case> {
    let one = || varying(FOO).sends("Vary", "Foo");
    let other: Ask = &[("Foo", "1"), ("Other", "3")];
    vec![
        optional(MATCH, &["freshness-max-age"], one(), FOO),
        required("vary-no-match", &[MATCH], one(), &[("Foo", "2")]),
        required(
            "vary-omit-stored",
            &[MATCH],
            varying(&[]).sends("Vary", "Foo"),
            FOO,
        ),
        required("vary-omit", &[MATCH], one(), &[]),
        optional("vary-cache-key", &[MATCH], one().with("Other", "2"), other),
    ]
}

fn by_several_fields() -> Vec<Case> {
    let two = || by(TWO, "Foo, Bar");
    let three = || by(THREE, "Foo, Bar, Baz");
    let matched = "vary-2-match";
    vec![
        optional(matched, &[MATCH], two(), TWO),
        required(
            "vary-2-no-match",
            &[matched],
            two(),
            &[("Foo", "2"), ("Bar", "abc")],
        ),
        required("vary-2-match-omit", &[matched], two(), &[]),
        optional("vary-3-match", &[matched], three(), THREE),
        required(
            "vary-3-no-match",
            &["vary-3-match"],
            three(),
            &[("Foo", "2"), ("Bar", "abc"), ("Baz", "789")],
        ),
        required(
            "vary-3-order",
            &["vary-3-match"],
            three(),
            &[("Foo", "1"), ("Baz", "789"), ("Bar", "abcde")],
        ),
        optional(
            "vary-3-omit",
            &["vary-3-match"],
            by(FOO_BAZ, "Foo, Bar, Baz"),
            FOO_BAZ,
        ),
    ]
}

fn variants() -> Vec<Case> {
    let one = varying(FOO).sends("Vary", "Foo").body("variant one");
    let two = varying(&[("Foo", "2")]).sends("Vary", "Foo");
    let two = two.by_origin().body("variant two").given();
    let again = asking(FOO).body("variant one").by_store();
    vec![
        Case::optional("vary-invalidate", "two variants are stored side by side")
            .after([MATCH])
            .steps([one.given(), two, again]),
    ]
}

fn normalised() -> Vec<Case> {
    let language = |ask: Ask| varying(ask).sends("Vary", "Accept-Language");
    let case = |id: &str, says: &str, first: Step, again: Step| {
        Case::optional(id, says)
            .after([MATCH])
            .steps([first.given(), again.by_store()])
    };
    let en_de: Ask = &[("Accept-Language", "en, de")];
    vec![
        case(
            "vary-normalise-combine",
            "two lines select what one line with both values does",
            varying(&[("Foo", "1, 2")]).sends("Vary", "Foo"),
            asking(&[("Foo", "1"), ("Foo", "2")]),
        ),
        case(
            "vary-normalise-lang-order",
            "the order of languages without weights does not matter",
            language(en_de),
            asking(&[("Accept-Language", "de, en")]),
        ),
        case(
            "vary-normalise-lang-case",
            "the case of languages does not matter",
            language(en_de),
            asking(&[("Accept-Language", "eN, De")]),
        ),
        case(
            "vary-normalise-lang-space",
            "space between languages does not matter",
            language(en_de),
            asking(&[("Accept-Language", " en ,   de")]),
        ),
        case(
            "vary-normalise-lang-select",
            "a stored answer is chosen by its Content-Language and the request's weights",
            language(en_de).sends("Content-Language", "de"),
            asking(&[("Accept-Language", "fr;q=0.5, de;q=1.0")]),
        ),
        case(
            "vary-normalise-space",
            "space after a comma in an unknown field does not matter",
            varying(&[("Foo", "1,2")]).sends("Vary", "Foo"),
            asking(&[("Foo", " 1, 2 ")]),
        ),
    ]
}
