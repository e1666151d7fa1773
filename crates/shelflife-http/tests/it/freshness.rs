//! How long a response is fresh, and how old it is.

use std::time::Duration;

use shelflife_http::{FreshBy, Heuristic, Policy, Reason, store};

use crate::said::{T0, after, code, fields, get, kept, strict};

#[test]
fn lifetime_is_from_the_first_that_says_it() {
    use FreshBy::{Expires, MaxAge, SMaxage};
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], u64, FreshBy)] = &[
        ("RFC 9111 §4.2.1", &["Cache-Control: max-age=9"], 9, MaxAge),
        ("RFC 9111 §4.2.1", &["Cache-Control: max-age=9, s-maxage=5"], 5, SMaxage),
        ("RFC 9111 §4.2.1", &["Cache-Control: s-maxage=5, max-age=9"], 5, SMaxage),
        ("RFC 9111 §4.2.1", &["Cache-Control: max-age=9", "Cache-Control: s-maxage=5"], 5, SMaxage),
        ("RFC 9111 §4.2.1", &["Cache-Control: max-age=0, s-maxage=5", "Expires: {-10}"], 5, SMaxage),
        ("RFC 9111 §5.3", &["Cache-Control: max-age=9", "Expires: {-10}"], 9, MaxAge),
        ("RFC 9111 §5.3", &["Cache-Control: max-age=9", "Expires: 0"], 9, MaxAge),
        ("RFC 9111 §5.3", &["Expires: {+9}", "Date: {+0}"], 9, Expires),
        ("RFC 9111 §5.3", &["Expires: {+9}", "Date: {-1}"], 10, Expires),
        ("RFC 9111 §5.3", &["Expires: {+9}", "Date: foo"], 9, Expires),
        ("RFC 9111 §5.3", &["Expires: {+9}"], 9, Expires),
        ("RFC 9111 §5.3", &["Expires: {+9}", "Expires: {+9}"], 9, Expires),
        ("RFC 9111 §5.2", &["Cache-Control: foobar, MaX-aGe=9"], 9, MaxAge),
        ("RFC 9111 §5.2", &["Cache-Control: max-age=\"9\""], 9, MaxAge),
        ("RFC 9111 §5.2", &["Cache-Control: x=\"max-age=100\", max-age=9"], 9, MaxAge),
        ("RFC 9111 §1.2.2", &["Cache-Control: max-age=003600"], 3600, MaxAge),
        ("RFC 9111 §1.2.2", &["Cache-Control: max-age=99999999999999999999999"], 1 << 31, MaxAge),
        ("RFC 9111 §4.2.1", &["Cache-Control: max-age=9, max-age=5"], 5, MaxAge),
        ("RFC 9111 §5.4", &["Cache-Control: max-age=9", "Pragma: no-cache"], 9, MaxAge),
        ("RFC 9110 §5.6.7", &["Expires: Thursday, 18-Aug-50 02:01:18 GMT", "Date: Thu, 18 Aug 2050 02:01:09 GMT"], 9, Expires),
    ];
    for (section, said, seconds, by) in rows {
        let stored = kept(&get("/a"), said, &strict())
            .unwrap_or_else(|reason| panic!("{section}: {said:?}: {reason}"));
        assert_eq!(
            (stored.lifetime, stored.fresh_by),
            (seconds * 1000, *by),
            "{section}: {said:?}"
        );
    }
}

#[test]
fn what_makes_no_sense_is_stale() {
    for (section, line) in [
        ("RFC 9111 §4.2.1", "Cache-Control: max-age=-5"),
        ("RFC 9111 §4.2.1", "Cache-Control: max-age='5'"),
        ("RFC 9111 §4.2.1", "Cache-Control: max-age=5.0"),
        ("RFC 9111 §4.2.1", "Cache-Control: max-age =5"),
        ("RFC 9111 §4.2.1", "Cache-Control: max-age= 5"),
        ("RFC 9111 §4.2.1", "Cache-Control: max-age=5, max-age=x"),
        ("RFC 9111 §4.2.1", "Cache-Control: max-age=5, s-maxage=x"),
        ("RFC 9111 §5.3", "Expires: 0"),
        ("RFC 9111 §5.3", "Expires: {+0}"),
        ("RFC 9111 §5.3", "Expires: {-5}"),
        ("RFC 9111 §5.3", "Expires: Thu, 18 Aug 2050 02:01:18 UTC"),
    ] {
        assert_eq!(
            kept(&get("/a"), &[line], &strict()),
            Err(Reason::NeverFresh),
            "{section}: {line}"
        );
    }
    // RFC 9111 §4.2.1: two that differ.
    assert_eq!(
        kept(&get("/a"), &["Expires: {+5}", "Expires: {+9}"], &strict()),
        Err(Reason::NeverFresh)
    );
    // RFC 9111 §4.2.1: Expires before Date, both of a clock that runs ahead.
    assert_eq!(
        kept(&get("/a"), &["Expires: {+300}", "Date: {+400}"], &strict()),
        Err(Reason::NeverFresh)
    );
}

#[test]
fn age_is_the_larger_of_what_clocks_and_caches_say() {
    // RFC 9111 §4.2.3, §5.1: response, when the request was sent before T0, the age then.
    let rows: &[(&[&str], u64, u64)] = &[
        (&[], 0, 0),
        (&[], 3, 3),
        (&["Age: 30"], 0, 30),
        (&["Age: 30"], 3, 33),
        (&["Date: {-50}"], 0, 50),
        (&["Date: {-50}", "Age: 30"], 3, 50),
        (&["Date: {-20}", "Age: 30"], 3, 33),
        (&["Date: {+50}"], 0, 0),
        (&["Age: 30, 0"], 0, 30),
        (&["Age: 0, 30"], 0, 0),
        (&["Age: 30", "Age: 0"], 0, 30),
        (&["Age: 0", "Age: 30"], 0, 0),
        (&["Age: abc"], 0, 0),
        (&["Age: -30"], 0, 0),
        (&["Age: 30.0"], 0, 0),
        (&["Age: 99999999999"], 0, 1 << 31),
    ];
    for (said, before, expected) in rows {
        let mut headers = fields(said);
        headers.extend(fields(&["Cache-Control: max-age=100", "ETag: \"a\""]));
        let stored = store(
            get("/a").request(),
            code(200),
            &headers,
            &strict(),
            T0 - before * 1000,
            T0,
        )
        .unwrap();
        assert_eq!(stored.age(T0), expected * 1000, "{said:?}");
        assert_eq!(stored.age(after(7)), (expected + 7) * 1000, "{said:?}");
    }
}

#[test]
fn a_response_is_fresh_while_its_age_is_below_its_lifetime() {
    // RFC 9111 §4.2
    let stored = kept(
        &get("/a"),
        &["Cache-Control: max-age=5", "Age: 2"],
        &strict(),
    )
    .unwrap();
    assert_eq!(stored.fresh_left(T0), 3_000);
    assert_eq!(stored.fresh_left(after(3)), 0);
    assert_eq!(stored.fresh_left(after(10)), -7_000);
    // A clock that goes back doesn't make it younger than it was.
    assert_eq!(stored.fresh_left(T0 - 60_000), 3_000);
}

#[test]
fn guessing_is_bounded_and_only_for_what_is_the_same_for_all() {
    // RFC 9111 §4.2.2
    let hour = Heuristic {
        fraction: 0.1,
        at_most: Duration::from_secs(3600),
    };
    let policy = Policy {
        heuristic: Some(hour),
        ..strict()
    };
    let of = |uri: &str, asked: &[&str], status: u16, said: &[&str]| {
        let asked = get(uri).with(asked);
        let stored = store(
            asked.request(),
            code(status),
            &fields(said),
            &policy,
            T0,
            T0,
        )?;
        Ok((stored.lifetime / 1000, stored.fresh_by))
    };
    let guessed = |seconds| Ok((seconds, FreshBy::Heuristic));
    let modified = ["Last-Modified: {-1000}"];
    assert_eq!(of("/a", &[], 200, &modified), guessed(100));
    assert_eq!(
        of(
            "/a",
            &[],
            200,
            &["Last-Modified: {-1000}", "Date: {-500}", "Age: 1"]
        ),
        guessed(50)
    );
    assert_eq!(
        of("/a", &[], 200, &["Last-Modified: {-90000}"]),
        guessed(3600)
    );
    for status in [203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        assert_eq!(of("/a", &[], status, &modified), guessed(100), "{status}");
    }
    for status in [201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599] {
        assert_eq!(
            of("/a", &[], status, &modified),
            Err(Reason::NoExplicitFreshness),
            "{status}"
        );
    }
    // RFC 9111 §5.2.2.9: public says that it may be stored.
    assert_eq!(
        of(
            "/a",
            &[],
            599,
            &["Last-Modified: {-1000}", "Cache-Control: public"]
        ),
        guessed(100)
    );
    let none = Err(Reason::NoExplicitFreshness);
    assert_eq!(of("/a?b", &[], 200, &modified), none);
    assert_eq!(
        of(
            "/a",
            &["Cookie: a=b"],
            200,
            &["Last-Modified: {-1000}", "Cache-Control: public"]
        ),
        none
    );
    assert_eq!(
        of(
            "/a",
            &["Authorization: x"],
            200,
            &["Last-Modified: {-1000}", "Cache-Control: public"]
        ),
        none
    );
    assert_eq!(
        of(
            "/a",
            &[],
            200,
            &["Last-Modified: {-1000}", "Set-Cookie: a=b"]
        ),
        none
    );
    assert_eq!(
        of(
            "/a",
            &[],
            200,
            &["Last-Modified: {-1000}", "Pragma: no-cache"]
        ),
        none
    );
    assert_eq!(
        of(
            "/a",
            &[],
            200,
            &["Last-Modified: {-1000}", "CDN-Cache-Control: none"]
        ),
        none
    );
    assert_eq!(of("/a", &[], 200, &["Last-Modified: {+1000}"]), none);
    assert_eq!(of("/a", &[], 200, &["Last-Modified: {+0}"]), none);
    assert_eq!(of("/a", &[], 200, &["ETag: \"a\""]), none);
}

#[test]
fn guessing_never_replaces_what_is_said() {
    // RFC 9111 §4.2.2
    let policy = Policy {
        heuristic: Some(Heuristic::default()),
        ..strict()
    };
    let stored = kept(
        &get("/a"),
        &["Last-Modified: {-1000}", "Cache-Control: max-age=5"],
        &policy,
    )
    .unwrap();
    assert_eq!(stored.fresh_by, FreshBy::MaxAge);
}

#[test]
fn windows_are_the_responses_or_the_policys() {
    let minute = Some(Duration::from_secs(60));
    let policy = Policy {
        stale_while_revalidate: minute,
        stale_if_error: minute,
        ..strict()
    };
    let of = |line: &str| {
        let stored = kept(&get("/a"), &[line, "ETag: \"a\""], &policy).unwrap();
        (
            stored.stale_while_revalidate / 1000,
            stored.stale_if_error / 1000,
        )
    };
    // RFC 5861 §3, §4
    assert_eq!(
        of("Cache-Control: max-age=5, stale-while-revalidate=7, stale-if-error=9"),
        (7, 9)
    );
    assert_eq!(of("Cache-Control: max-age=5"), (60, 60));
    assert_eq!(
        of("Cache-Control: max-age=5, stale-while-revalidate=x"),
        (0, 60)
    );
    // RFC 9111 §5.2.2.2, §5.2.2.8, §5.2.2.10, §5.2.2.4
    for line in [
        "must-revalidate",
        "proxy-revalidate",
        "s-maxage=5",
        "no-cache",
    ] {
        assert_eq!(
            of(&format!(
                "Cache-Control: max-age=5, stale-if-error=9, {line}"
            )),
            (0, 0),
            "{line}"
        );
    }
    // What was never fresh wasn't meant to be reused: only its own word opens a window.
    assert_eq!(of("Cache-Control: max-age=0"), (0, 0));
    assert_eq!(of("Cache-Control: max-age=0, stale-if-error=9"), (0, 9));
}

#[test]
fn a_stale_response_is_kept_as_long_as_it_is_of_use() {
    let policy = Policy {
        keep_for_validation: Duration::from_secs(100),
        ..strict()
    };
    let keep = |lines: &[&str]| {
        kept(&get("/a"), lines, &policy)
            .unwrap()
            .keep(&policy)
            .as_secs()
    };
    assert_eq!(keep(&["Cache-Control: max-age=5"]), 0);
    assert_eq!(keep(&["Cache-Control: max-age=5, stale-if-error=9"]), 9);
    assert_eq!(
        keep(&["Cache-Control: max-age=5, stale-if-error=9", "ETag: \"a\""]),
        100
    );
    assert_eq!(
        keep(&["Cache-Control: max-age=5", "Last-Modified: {-9}"]),
        100
    );
    assert_eq!(
        keep(&["Cache-Control: max-age=5", "Last-Modified: yesterday"]),
        0
    );
}
