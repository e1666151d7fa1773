//! When a stored response may be used.

use std::time::Duration;

use shelflife_http::{Policy, Reason, Reuse, reuse};

use crate::said::{after, get, kept, strict};

const FRESH: Reuse = Reuse::Fresh;

const fn stale(reason: Reason, refresh: bool) -> Reuse {
    Reuse::Stale { reason, refresh }
}

const fn validate(reason: Reason, asked: bool, if_error: bool) -> Reuse {
    Reuse::Validate {
        reason,
        asked,
        if_error,
    }
}

/// Section, response, request, seconds later, what is done.
type Row = (
    &'static str,
    &'static str,
    &'static [&'static str],
    u64,
    Reuse,
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("RFC 9111 §4.2", "max-age=10", &[], 9, FRESH),
    ("RFC 9111 §4.2", "max-age=10", &[], 10, validate(Reason::PastFresh, false, false)),
    ("RFC 9111 §4", "max-age=10, no-cache", &[], 1, validate(Reason::ResponseNoCache, false, false)),
    ("RFC 9111 §5.2.2.4", "max-age=10, no-cache", &["Cache-Control: max-stale"], 1, validate(Reason::ResponseNoCache, false, false)),
    ("RFC 9111 §5.2.2.4", "max-age=10, no-cache, stale-if-error=99", &[], 1, validate(Reason::ResponseNoCache, false, false)),
    // Staleness that the response forbids.
    ("RFC 9111 §5.2.2.2", "max-age=10, must-revalidate", &[], 9, FRESH),
    ("RFC 9111 §5.2.2.2", "max-age=10, must-revalidate, stale-if-error=99", &[], 11, validate(Reason::MustRevalidate, false, false)),
    ("RFC 9111 §5.2.2.2", "max-age=10, must-revalidate", &["Cache-Control: max-stale"], 11, validate(Reason::MustRevalidate, false, false)),
    ("RFC 9111 §5.2.2.2", "max-age=10, must-revalidate, stale-while-revalidate=99", &[], 11, validate(Reason::MustRevalidate, false, false)),
    ("RFC 9111 §5.2.2.8", "max-age=10, proxy-revalidate", &["Cache-Control: max-stale"], 11, validate(Reason::MustRevalidate, false, false)),
    ("RFC 9111 §5.2.2.10", "s-maxage=10", &["Cache-Control: max-stale"], 11, validate(Reason::MustRevalidate, false, false)),
    // RFC 5861.
    ("RFC 5861 §3", "max-age=10, stale-while-revalidate=5", &[], 9, FRESH),
    ("RFC 5861 §3", "max-age=10, stale-while-revalidate=5", &[], 15, stale(Reason::StaleWhileRevalidate, true)),
    ("RFC 5861 §3", "max-age=10, stale-while-revalidate=5", &[], 16, validate(Reason::PastFresh, false, false)),
    ("RFC 5861 §4", "max-age=10, stale-if-error=5", &[], 15, validate(Reason::PastFresh, false, true)),
    ("RFC 5861 §4", "max-age=10, stale-if-error=5", &[], 16, validate(Reason::PastFresh, false, false)),
    ("RFC 5861 §4", "max-age=10", &["Cache-Control: stale-if-error=5"], 15, validate(Reason::PastFresh, false, true)),
    ("RFC 5861 §4", "max-age=10, must-revalidate", &["Cache-Control: stale-if-error=5"], 12, validate(Reason::MustRevalidate, false, false)),
    // What the client wants.
    ("RFC 9111 §5.2.1.4", "max-age=10", &["Cache-Control: no-cache"], 1, validate(Reason::RequestNoCache, true, true)),
    ("RFC 9111 §5.2.1.4", "max-age=10", &["Cache-Control: No-Cache=x"], 1, validate(Reason::RequestNoCache, true, true)),
    ("RFC 9111 §5.2.1.1", "max-age=10", &["Cache-Control: max-age=0"], 0, validate(Reason::RequestMaxAge, true, true)),
    ("RFC 9111 §5.2.1.1", "max-age=10", &["Cache-Control: max-age=5"], 5, FRESH),
    ("RFC 9111 §5.2.1.1", "max-age=10", &["Cache-Control: max-age=5"], 6, validate(Reason::RequestMaxAge, true, true)),
    ("RFC 9111 §5.2.1.1", "max-age=10", &["Cache-Control: max-age=x"], 1, validate(Reason::RequestMaxAge, true, true)),
    ("RFC 9111 §5.2.1.1", "max-age=10, stale-while-revalidate=99", &["Cache-Control: max-age=99"], 11, validate(Reason::PastFresh, false, false)),
    ("RFC 9111 §5.2.1.3", "max-age=10", &["Cache-Control: min-fresh=5"], 5, FRESH),
    ("RFC 9111 §5.2.1.3", "max-age=10", &["Cache-Control: min-fresh=5"], 6, validate(Reason::RequestMinFresh, true, true)),
    ("RFC 9111 §5.2.1.2", "max-age=10", &["Cache-Control: max-stale"], 999, stale(Reason::MaxStale, false)),
    ("RFC 9111 §5.2.1.2", "max-age=10", &["Cache-Control: max-stale=5"], 15, stale(Reason::MaxStale, false)),
    ("RFC 9111 §5.2.1.2", "max-age=10", &["Cache-Control: max-stale=5"], 16, validate(Reason::PastFresh, false, false)),
    ("RFC 9111 §5.2.1.2", "max-age=10", &["Cache-Control: max-stale=x"], 11, validate(Reason::PastFresh, false, false)),
    ("RFC 9111 §5.2.1.1", "max-age=10", &["Cache-Control: max-stale=5, max-age=8"], 12, stale(Reason::MaxStale, false)),
    ("RFC 9111 §5.2.1.1", "max-age=10", &["Cache-Control: max-stale=5, max-age=8"], 14, validate(Reason::PastFresh, false, false)),
    ("RFC 9111 §5.2.1.3", "max-age=10", &["Cache-Control: max-stale=5, min-fresh=1"], 12, validate(Reason::PastFresh, false, false)),
    // RFC 9111 §5.2.1.5: it is about storing; what is stored may be used.
    ("RFC 9111 §5.2.1.5", "max-age=10", &["Cache-Control: no-store"], 1, FRESH),
    ("RFC 9111 §5.2.3", "max-age=10", &["Cache-Control: nothing-to-see-here"], 1, FRESH),
    ("RFC 9111 §5.4", "max-age=10", &["Pragma: no-cache"], 1, validate(Reason::RequestPragma, true, true)),
    ("RFC 9111 §5.4", "max-age=10", &["Pragma: other"], 1, FRESH),
    ("RFC 9111 §5.4", "max-age=10", &["Pragma: no-cache", "Cache-Control: x"], 1, FRESH),
    ("RFC 9111 §5.2.1.7", "max-age=10", &["Cache-Control: only-if-cached"], 1, FRESH),
    ("RFC 9111 §5.2.1.7", "max-age=10", &["Cache-Control: only-if-cached"], 11, Reuse::Unsatisfiable(Reason::OnlyIfCached)),
    ("RFC 9111 §5.2.1.7", "max-age=10", &["Cache-Control: only-if-cached, max-stale"], 11, stale(Reason::MaxStale, false)),
    ("RFC 9111 §5.2.1.7", "max-age=10", &["Cache-Control: only-if-cached, no-cache"], 1, Reuse::Unsatisfiable(Reason::OnlyIfCached)),
    // Credentials: what is not said to be for all.
    ("RFC 9111 §3.5", "max-age=10", &["Authorization: x"], 1, Reuse::Bypass {reason: Reason::Authorization, if_error: false, }),
    ("RFC 9111 §3.5", "max-age=10, public", &["Authorization: x"], 1, FRESH),
    ("RFC 9111 §3.5", "max-age=10, must-revalidate", &["Authorization: x"], 1, FRESH),
    ("RFC 9111 §3.5", "s-maxage=10", &["Authorization: x"], 1, FRESH),
    ("policy", "max-age=10", &["Cookie: a=b"], 1, FRESH),
    ("policy", "max-age=10, stale-if-error=9", &["Cookie: a=b"], 11, Reuse::Bypass {reason: Reason::Cookie, if_error: true, }),
    ("policy", "max-age=10, stale-while-revalidate=9", &["Cookie: a=b"], 11, stale(Reason::StaleWhileRevalidate, false)),
    ("policy", "max-age=10, public", &["Cookie: a=b"], 11, validate(Reason::PastFresh, false, false)),
];

#[test]
fn stored_responses_are_used_as_response_and_request_say() {
    for (section, said, asked, later, expected) in ROWS {
        let stored = kept(
            &get("/a"),
            &["ETag: \"a\"", &format!("Cache-Control: {said}")],
            &strict(),
        )
        .unwrap();
        let asked = get("/a").with(asked);
        let got = reuse(asked.request(), &stored, &strict(), false, after(*later));
        assert_eq!(
            got, *expected,
            "{section}: {said}; {asked:?}; after {later} s"
        );
    }
}

#[test]
fn a_policy_may_be_deaf_to_clients() {
    let policy = Policy {
        honour_client: false,
        ..strict()
    };
    let stored = kept(&get("/a"), &["Cache-Control: max-age=10"], &policy).unwrap();
    for line in ["no-cache", "max-age=0", "min-fresh=99"] {
        let asked = get("/a").with(&[&format!("Cache-Control: {line}"), "Pragma: no-cache"]);
        assert_eq!(
            reuse(asked.request(), &stored, &policy, false, after(1)),
            FRESH,
            "{line}"
        );
    }
    let asked = get("/a").with(&["Cache-Control: max-stale"]);
    let got = reuse(asked.request(), &stored, &policy, false, after(11));
    assert_eq!(got, validate(Reason::PastFresh, false, false));
    // RFC 9111 §5.2.1.7: this one costs the origin nothing.
    let asked = get("/a").with(&["Cache-Control: only-if-cached"]);
    let got = reuse(asked.request(), &stored, &policy, false, after(11));
    assert_eq!(got, Reuse::Unsatisfiable(Reason::OnlyIfCached));
}

#[test]
fn softly_invalidated_is_stale_from_now_on() {
    let soft = |said: &str, asked: &[&str]| {
        let stored = kept(&get("/a"), &[&format!("Cache-Control: {said}")], &strict()).unwrap();
        reuse(
            get("/a").with(asked).request(),
            &stored,
            &strict(),
            true,
            after(1),
        )
    };
    assert_eq!(
        soft("max-age=10", &[]),
        validate(Reason::SoftInvalidated, false, false)
    );
    assert_eq!(
        soft("max-age=10, stale-if-error=9", &[]),
        validate(Reason::SoftInvalidated, false, true)
    );
    assert_eq!(
        soft("max-age=10, stale-while-revalidate=9", &[]),
        stale(Reason::StaleWhileRevalidate, true)
    );
    assert_eq!(
        soft("max-age=10", &["Cache-Control: max-stale"]),
        stale(Reason::MaxStale, false)
    );
    assert_eq!(
        soft("max-age=10, must-revalidate", &[]),
        validate(Reason::MustRevalidate, false, false)
    );
}

#[test]
fn the_proxy_bridges_a_failing_origin_for_a_while() {
    // RFC 9111 §4.2.4
    let policy = Policy::proxy();
    let of = |said: &str, later| {
        let stored = kept(
            &get("/a"),
            &["ETag: \"a\"", &format!("Cache-Control: {said}")],
            &policy,
        )
        .unwrap();
        reuse(get("/a").request(), &stored, &policy, false, after(later))
    };
    assert_eq!(of("max-age=2", 5), validate(Reason::PastFresh, false, true));
    assert_eq!(
        of("max-age=2", 900),
        validate(Reason::PastFresh, false, false)
    );
    for forbids in ["must-revalidate", "proxy-revalidate", "s-maxage=2"] {
        assert_eq!(
            of(&format!("max-age=2, {forbids}"), 5),
            validate(Reason::MustRevalidate, false, false)
        );
    }
    assert_eq!(
        of("max-age=2, no-cache", 5),
        validate(Reason::ResponseNoCache, false, false)
    );
    assert_eq!(
        of("max-age=0", 5),
        validate(Reason::PastFresh, false, false)
    );
}

#[test]
fn the_application_shares_nothing_with_credentials_unasked() {
    let policy = Policy::application();
    let of = |said: &str, line: &str| {
        let stored = kept(&get("/a"), &[&format!("Cache-Control: {said}")], &policy).unwrap();
        reuse(
            get("/a").with(&[line]).request(),
            &stored,
            &policy,
            false,
            after(1),
        )
    };
    let cookie = Reuse::Bypass {
        reason: Reason::Cookie,
        if_error: false,
    };
    assert_eq!(of("max-age=10", "Cookie: a=b"), cookie);
    assert_eq!(of("max-age=10, must-revalidate", "Cookie: a=b"), cookie);
    assert_eq!(of("max-age=10, public", "Cookie: a=b"), FRESH);
    let window = Policy {
        stale_while_revalidate: Some(Duration::from_secs(9)),
        ..policy.clone()
    };
    let stored = kept(&get("/a"), &["Cache-Control: max-age=10"], &window).unwrap();
    let got = reuse(get("/a").request(), &stored, &window, false, after(11));
    assert_eq!(got, stale(Reason::StaleWhileRevalidate, true));
}
