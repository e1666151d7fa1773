//! Freshness by `Expires`, and how it is read.

use crate::case::{Case, Group, Kind};
use crate::cases::twice;
use crate::step::{Served, Step};

const FUTURE: &str = "freshness-expires-future";
const MONTH: i64 = 30 * 24 * 60 * 60;

pub(super) fn group() -> Group {
    let case = |kind, id: &str, after: &str, says: &str| Case::new(kind, id, says).after([after]);
    let answer =
        |expires: i64, date: i64| Step::get().sends("Expires", expires).sends("Date", date);
    // Some are asked again at once: a second later they would be stale anyway.
    let at_once =
        |case: Case, first: Step, then| case.steps([first.given(), Step::get().served(then)]);
    let cases = vec![
        twice(
            case(
                Kind::Optional,
                FUTURE,
                "freshness-none",
                "an Expires in the future makes fresh",
            ),
            answer(MONTH, 0),
            Served::Store,
        ),
        twice(
            case(
                Kind::Required,
                "freshness-expires-past",
                FUTURE,
                "an Expires in the past makes stale",
            ),
            answer(-MONTH, 0),
            Served::Origin,
        ),
        at_once(
            case(
                Kind::Required,
                "freshness-expires-present",
                "freshness-none",
                "an Expires of now makes stale",
            ),
            answer(0, 0),
            Served::Origin,
        ),
        twice(
            case(
                Kind::Required,
                "freshness-expires-old-date",
                FUTURE,
                "Expires is compared with Date, though both are in the future",
            ),
            answer(300, 400),
            Served::Origin,
        ),
        twice(
            case(
                Kind::Required,
                "freshness-expires-invalid",
                FUTURE,
                "an Expires of 0 makes stale",
            ),
            Step::get().sends_loosely("Expires", "0").sends("Date", 0),
            Served::Origin,
        ),
        at_once(
            case(
                Kind::Optional,
                "freshness-expires-invalid-date",
                FUTURE,
                "Expires counts though the Date is none",
            ),
            Step::get()
                .sends_loosely("Date", "foo")
                .sends("Expires", 10),
            Served::Store,
        ),
        at_once(
            case(
                Kind::Required,
                "freshness-expires-age-slow-date",
                FUTURE,
                "an Age above Expires minus Date makes stale, with a Date in the past",
            ),
            answer(10, -10).sends("Age", "25"),
            Served::Origin,
        ),
        at_once(
            case(
                Kind::Required,
                "freshness-expires-age-fast-date",
                FUTURE,
                "an Age above Expires minus Date makes stale, with a Date in the future",
            ),
            answer(20, 10).sends("Age", "15"),
            Served::Origin,
        ),
    ];
    Group {
        name: "expires",
        about: "How long an answer with Expires is fresh.",
        rule: "RFC 9111 §4.2.1, §5.3",
        cases,
    }
}

pub(super) fn parsing() -> Group {
    let rested = RESTED.iter().map(|&row| (row, true));
    let at_once = AT_ONCE.iter().map(|&row| (row, false));
    let cases = rested.chain(at_once).map(|((kind, id, lines), rests)| {
        let (does, then) = match kind {
            Kind::Optional => ("fresh", Served::Store),
            _ => ("stale", Served::Origin),
        };
        let case = Case::new(kind, id, format!("an Expires of {lines:?} makes {does}"));
        let mut answer = Step::get();
        for line in lines {
            answer = answer.sends_loosely("Expires", *line);
        }
        let mut answer = answer.sends("Date", 0).given();
        if rests {
            answer = answer.rest();
        }
        case.after([FUTURE])
            .steps([answer, Step::get().served(then)])
    });
    Group {
        name: "expires parsing",
        about: "How the Expires of an answer is read.",
        rule: "RFC 9111 §5.3, §4.2; RFC 9110 §5.6.7",
        cases: cases.collect(),
    }
}

type Row = (Kind, &'static str, &'static [&'static str]);

#[rustfmt::skip]
const RESTED: &[Row] = &[
    (Kind::Optional, "freshness-expires-32bit", &["Tue, 19 Jan 2038 14:14:08 GMT"]),
    (Kind::Optional, "freshness-expires-far-future", &["Sun, 21 Nov 2286 04:46:39 GMT"]),
    (Kind::Optional, "freshness-expires-rfc850", &["Thursday, 18-Aug-50 02:01:18 GMT"]),
    (Kind::Optional, "freshness-expires-ansi-c", &["Thu Aug  8 02:01:18 2050"]),
    (Kind::Optional, "freshness-expires-wrong-case-weekday", &["THU, 18 Aug 2050 02:01:18 GMT"]),
    (Kind::Optional, "freshness-expires-wrong-case-month", &["Thu, 18 AUG 2050 02:01:18 GMT"]),
    (Kind::Optional, "freshness-expires-wrong-case-tz", &["Thu, 18 Aug 2050 02:01:18 gMT"]),
    (Kind::Required, "freshness-expires-invalid-utc", &["Thu, 18 Aug 2050 02:01:18 UTC"]),
    (Kind::Required, "freshness-expires-invalid-aest", &["Thu, 18 Aug 2050 02:01:18 AEST"]),
    (Kind::Required, "freshness-expires-invalid-2-digit-year", &["Thu, 18 Aug 50 02:01:18 GMT"]),
    (Kind::Required, "freshness-expires-invalid-no-comma", &["Thu 18 Aug 2050 02:01:18 GMT"]),
];

#[rustfmt::skip]
const AT_ONCE: &[Row] = &[
    (Kind::Required, "freshness-expires-invalid-multiple-spaces", &["Thu, 18  Aug  2050 02:01:18 GMT"]),
    (Kind::Required, "freshness-expires-invalid-date-dashes", &["Thu, 18-Aug-2050 02:01:18 GMT"]),
    (Kind::Required, "freshness-expires-invalid-time-periods", &["Thu, 18 Aug 2050 02.01.18 GMT"]),
    (Kind::Required, "freshness-expires-invalid-1-digit-hour", &["Thu, 18 Aug 2050 2:01:18 GMT"]),
    (Kind::Required, "freshness-expires-invalid-multiple-lines",
        &["Thu, 18 Aug 2050 2:01:18 GMT", "Thu, 18 Aug 2050 2:01:19 GMT"]),
];
