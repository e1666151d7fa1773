//! Requests that look alike and are not: other URLs, other users, other methods.

use crate::case::Case;
use crate::step::Step;

const FRESH: &str = "freshness-max-age";

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = PATHS.iter().map(|row| paths(*row)).collect();
    cases.extend(QUERIES.iter().map(|row| queries(*row)));
    cases.extend(users());
    cases.extend(methods());
    cases
}

/// A name, and two URLs below that of the case.
type Row = (&'static str, &'static str, &'static str);

// RFC 3986 §6.2: only what is equivalent by rule may be taken for the same; RFC 9111 §2: the key is the URI.
const PATHS: &[Row] = &[
    ("own-path-encoded-slash", "/a/b", "/a%2Fb"),
    ("own-path-double-slash", "/a/b", "/a//b"),
    ("own-path-case", "/a/b", "/a/B"),
    ("own-path-trailing-slash", "/a/b", "/a/b/"),
];

const QUERIES: &[Row] = &[
    ("own-query-repeated", "id=1&id=2", "id=2"),
    ("own-query-order", "a=1&b=2", "b=2&a=1"),
    ("own-query-empty-value", "a=", "a"),
    ("own-query-encoded", "a=1%262", "a=1&2"),
];

fn differ(id: &str, one: &str, other: &str, first: Step, then: Step) -> Case {
    Case::required(id, format!("{one} and {other} are two URLs"))
        .after([FRESH])
        .steps([first, then.by_origin()])
}

fn paths((id, one, other): Row) -> Case {
    let (first, then) = (Step::fresh().tail(one), Step::get().tail(other));
    differ(id, one, other, first, then)
}

fn queries((id, one, other): Row) -> Case {
    let (first, then) = (Step::fresh().query(one), Step::get().query(other));
    differ(id, one, other, first, then)
}

fn users() -> Vec<Case> {
    let varying = |step: Step| {
        let step = step.sends("Cache-Control", "max-age=3600");
        step.sends("Vary", "Cookie")
    };
    vec![
        Case::required(
            "own-vary-cookie",
            "with Vary: Cookie, nobody gets the answer to another one's cookie",
        )
        .steps([
            varying(Step::get().with("Cookie", "user=alice")).given(),
            varying(Step::get().with("Cookie", "user=bob")).by_origin(),
            varying(Step::get()).by_origin(),
        ]),
        Case::required(
            "own-authorization-after-public",
            "the answer to one user's Authorization is not another one's",
        )
        .after([FRESH])
        .steps([
            Step::fresh().with("Authorization", "alice"),
            Step::get().with("Authorization", "bob").by_origin(),
        ]),
    ]
}

fn methods() -> Vec<Case> {
    vec![
        Case::optional(
            "own-head",
            "a HEAD is answered from the stored answer to a GET",
        )
        .after([FRESH])
        .steps([Step::fresh(), Step::asks("HEAD").by_store()]),
        // RFC 9110 §9.3.2: it has no content that could be the answer to a GET.
        Case::required(
            "own-head-first",
            "the answer to a HEAD is not that to a GET",
        )
        .steps([
            Step::asks("HEAD")
                .sends("Cache-Control", "max-age=3600")
                .given(),
            Step::get().wants_status(200),
        ]),
    ]
}
