//! `Age` and `Date` of answers out of the store, query strings, and fields that change nothing.

use crate::case::{Case, Group};
use crate::cases::twice;
use crate::step::{Served, Step};

const FRESH: &str = "freshness-max-age";
const EXPIRES: &str = "freshness-expires-future";
const MONTH: i64 = 30 * 24 * 60 * 60;

pub(super) fn group() -> Group {
    let mut cases = ages();
    cases.extend(dates());
    cases.extend(queries());
    cases.extend(indifferent());
    Group {
        name: "other",
        about: "Age and Date of answers out of the store, query strings, fields that change nothing.",
        rule: "RFC 9111 §4, §5.1; RFC 9110 §6.6.1",
        cases,
    }
}

fn month() -> Step {
    Step::get().sends("Expires", MONTH).sends("Date", 0)
}

fn ages() -> Vec<Case> {
    let case = |id: &str, after: &str, says: &str, first: Step, floor: i64| {
        let again = Step::get().by_store().wants_above("Age", floor);
        Case::required(id, says)
            .after([after])
            .steps([first.given().rest(), again])
    };
    let slow = Step::get().sends("Cache-Control", "max-age=3600");
    let slow = slow.sends("Date", 0).hold(5);
    vec![
        case(
            "other-age-gen",
            FRESH,
            "an answer out of the store has an Age",
            Step::fresh(),
            2,
        ),
        Case::check(
            "other-age-delay",
            "an answer for which the origin took its time has an Age",
        )
        .steps([slow.wants_above("age", 0)]),
        case(
            "other-age-update-expires",
            EXPIRES,
            "the Age of an answer with Expires grows in the store",
            month().sends("Age", "30"),
            32,
        ),
        case(
            "other-age-update-max-age",
            FRESH,
            "the Age of an answer with max-age grows in the store",
            Step::fresh().sends("Age", "30"),
            32,
        ),
    ]
}

fn dates() -> Vec<Case> {
    let same_date = || Step::get().by_store().wants("Date", 0);
    vec![
        Case::required("other-date-update", "the Date of a stored answer stays")
            .after([FRESH])
            .steps([Step::fresh(), same_date()]),
        Case::required(
            "other-date-update-expires",
            "the Date of a stored answer with Expires stays",
        )
        .after([EXPIRES])
        .steps([month().given().rest(), same_date()]),
        Case::check(
            "other-date-update-expires-update",
            "the Expires of a stored answer stays",
        )
        .after([EXPIRES])
        .steps([
            month().given().rest(),
            Step::get().by_store().wants("Expires", MONTH),
        ]),
    ]
}

fn queries() -> Vec<Case> {
    let (one, two) = ("test=alpha", "test=bravo");
    vec![
        Case::required("query-args-different", "another query is another URL")
            .after([FRESH])
            .steps([Step::fresh().query(one), Step::get().query(two).by_origin()]),
        Case::optional(
            "query-args-same",
            "a URL with a query is stored like any other",
        )
        .after([FRESH])
        .steps([Step::fresh().query(one), Step::get().query(one).by_store()]),
    ]
}

fn indifferent() -> Vec<Case> {
    let attached =
        |step: Step| step.sends("Content-Disposition", "attachment; filename=example.txt");
    let old = Step::get().sends("Last-Modified", -100_000);
    let old = attached(old.sends("Date", 0));
    vec![
        Case::check(
            "other-heuristic-content-disposition-attachment",
            "an attachment that was modified long ago is reused",
        )
        .after(["heuristic-200-cached"])
        .steps([old.given(), Step::get().by_store()]),
        twice(
            Case::check(
                "other-fresh-content-disposition-attachment",
                "a fresh attachment is reused",
            )
            .after([FRESH]),
            attached(Step::fresh()),
            Served::Store,
        ),
        twice(
            Case::optional(
                "other-set-cookie",
                "a fresh answer with Set-Cookie is reused",
            )
            .after([FRESH]),
            Step::fresh().sends("Set-Cookie", "a=b"),
            Served::Store,
        ),
        Case::optional(
            "other-cookie",
            "a fresh answer is reused for a request with a Cookie",
        )
        .after([FRESH])
        .steps([Step::fresh(), Step::get().with("Cookie", "a=b").by_store()]),
    ]
}
