//! What the public collections of cases check, told in a few words each, with the rules alone.
//!
//! A case is two exchanges and sometimes a third; what matters is whether the last one reached the origin, and how.

use shelflife_http::Policy;

use crate::said::{Asked, ask, fields};
use crate::small_cache::{Said, Seen, SmallCache};

/// How the last request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Without the origin.
    Cached,
    /// By the origin, without conditions.
    Origin,
    /// The origin was asked about what is stored, and said 304.
    Validated,
}
use Way::{Cached, Origin, Validated};

/// Clause, what the origin says first, seconds that pass, the second request, how it is answered.
type Row = (
    &'static str,
    &'static [&'static str],
    u64,
    &'static [&'static str],
    Way,
);

#[rustfmt::skip]
const TWO_REQUESTS: &[Row] = &[
    // Freshness.
    ("§4.2", &[], 0, &[], Origin),
    ("§4.2.1", &["Cache-Control: max-age=3600"], 3, &[], Cached),
    ("§4.2.1", &["Cache-Control: max-age=2"], 3, &[], Origin),
    ("§4.2.1", &["Cache-Control: max-age=1, s-maxage=3600"], 3, &[], Cached),
    ("§4.2.1", &["Expires: {+1000000}", "Date: {+0}"], 3, &[], Cached),
    ("§4.2.1", &["Expires: {-1000000}", "Date: {+0}"], 3, &[], Origin),
    ("§5.3", &["Expires: Sun, 21 Nov 2286 04:46:39 GMT"], 3, &[], Cached),
    ("§5.3", &["Expires: Thu Aug  8 02:01:18 2050"], 3, &[], Cached),
    ("§5.3", &["Expires: 0"], 0, &[], Origin),
    ("§4.2.3", &["Cache-Control: max-age=3600", "Age: 7200"], 0, &[], Origin),
    ("§5.1", &["Cache-Control: max-age=3600", "Age: 0, 7200"], 0, &[], Cached),
    ("§5.1", &["Cache-Control: max-age=3600", "Age: 7200, 0"], 0, &[], Origin),
    ("§5.1", &["Cache-Control: max-age=3600", "Age: abc"], 0, &[], Cached),
    // A guess, where one may be made.
    ("§4.2.2", &["Last-Modified: {-86400}", "Date: {+0}"], 0, &[], Cached),
    ("§4.2.2", &["Last-Modified: {-86400}", "Date: {+0}", "Cache-Control: public"], 0, &[], Cached),
    ("§4.2.2", &["Last-Modified: {-86400}", "Date: {+0}"], 61, &[], Validated),
    // Storing.
    ("§5.2.2.5", &["Cache-Control: no-store, max-age=10000"], 0, &[], Origin),
    ("§5.2.2.7", &["Cache-Control: private, max-age=3600"], 0, &[], Origin),
    ("§5.2.2.4", &["Cache-Control: no-cache", "ETag: \"abcd\""], 0, &[], Validated),
    ("§5.2.2.4", &["Cache-Control: no-cache, max-age=10000"], 0, &[], Origin),
    ("§5.2.2.2", &["Cache-Control: max-age=2, must-revalidate", "ETag: \"abcd\""], 3, &[], Validated),
    ("§7.3", &["Cache-Control: max-age=3600", "Set-Cookie: a=b"], 0, &[], Cached),
    ("§7.3", &["Cache-Control: max-age=3600"], 0, &["Cookie: a=b"], Cached),
    // Validation.
    ("§4.3.1", &["Cache-Control: max-age=2", "ETag: W/\"abcdef\""], 3, &[], Validated),
    ("§4.3.1", &["Cache-Control: max-age=2", "Last-Modified: {-3000}"], 3, &["If-Modified-Since: {-3000}"], Validated),
    ("§4.3.2", &["Cache-Control: max-age=3600", "ETag: \"abcdef\""], 3, &["If-None-Match: \"x\", \"abcdef\""], Cached),
    ("RFC 5861 §3", &["Cache-Control: max-age=1, stale-while-revalidate=3600"], 3, &[], Cached),
    ("RFC 5861 §3", &["Cache-Control: max-age=1, stale-while-revalidate=4"], 6, &[], Origin),
    // Selection.
    ("§4.1", &["Cache-Control: max-age=3600", "Vary: Foo"], 0, &["Foo: 1"], Origin),
    ("§4.1", &["Cache-Control: max-age=3600", "Vary: Foo"], 0, &["Bar: 1"], Cached),
    ("§4.1", &["Cache-Control: max-age=3600", "Vary: *"], 0, &[], Origin),
    // Ranges.
    ("RFC 9110 §14.2", &["Cache-Control: max-age=3600"], 0, &["Range: bytes=0-1"], Cached),
    // The client.
    ("§5.2.1.4", &["Cache-Control: max-age=3600", "ETag: \"a\""], 0, &["Cache-Control: no-cache"], Validated),
    ("§5.2.1.1", &["Cache-Control: max-age=3600"], 3, &["Cache-Control: max-age=1"], Origin),
    ("§5.2.1.2", &["Cache-Control: max-age=1"], 3, &["Cache-Control: max-stale=1000"], Cached),
    ("§5.2.1.3", &["Cache-Control: max-age=1500"], 0, &["Cache-Control: min-fresh=2000"], Origin),
    ("§3.5", &["Cache-Control: max-age=3600"], 0, &["Authorization: x"], Origin),
    // Targeted.
    ("RFC 9213", &["CDN-Cache-Control: max-age=10000", "Cache-Control: no-store"], 3, &[], Cached),
    ("RFC 9213", &["CDN-Cache-Control: no-store", "Cache-Control: max-age=10000"], 3, &[], Origin),
    ("RFC 9213", &["CDN-Cache-Control: max-age=1", "Cache-Control: max-age=3600"], 3, &[], Origin),
];

#[test]
fn second_requests_are_answered_as_the_collection_expects() {
    for (section, said, wait, asked, expected) in TWO_REQUESTS {
        let mut cache = SmallCache::new(Policy::proxy());
        let said = |_: &_| origin(200, said);
        cache.exchange(&get(&[]), &said);
        cache.now += wait * 1000;
        let seen = cache.exchange(&get(asked), &conditional(&said));
        assert_eq!(
            way(&seen),
            *expected,
            "{section}: {said:?}; {wait} s; {asked:?}",
            said = said(&Default::default())
        );
    }
}

#[test]
fn every_status_is_stored_with_explicit_freshness_and_not_without() {
    for status in [
        200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599,
    ] {
        for (line, expected) in [
            ("Cache-Control: max-age=3600", Cached),
            ("Expires: {-5000}", Origin),
        ] {
            let mut cache = SmallCache::new(Policy::proxy());
            let said = |_: &_| origin(status, &[line]);
            cache.exchange(&get(&[]), &said);
            let seen = cache.exchange(&get(&[]), &said);
            assert_eq!(
                (way(&seen), seen.status),
                (expected, status),
                "{status} {line}"
            );
        }
    }
}

#[test]
fn an_origin_that_fails_is_bridged_unless_the_response_forbids_it() {
    // RFC 9111 §4.2.4
    for (directives, expected) in [
        ("max-age=2", 200),
        ("max-age=2, stale-if-error=60", 200),
        ("max-age=2, must-revalidate", 502),
        ("max-age=2, proxy-revalidate", 502),
        ("max-age=2, s-maxage=2", 502),
        ("max-age=2, no-cache", 502),
    ] {
        let mut cache = SmallCache::new(Policy::proxy());
        let line = format!("Cache-Control: {directives}");
        cache.exchange(&get(&[]), &|_| origin(200, &[&line]));
        cache.now += 3_000;
        assert_eq!(
            cache.exchange(&get(&[]), &|_| None).status,
            expected,
            "{directives}"
        );
    }
}

#[test]
fn a_304_updates_what_is_answered_and_what_is_stored() {
    // RFC 9111 §4.3.4
    let mut cache = SmallCache::new(Policy::proxy());
    let first = [
        "Cache-Control: max-age=2",
        "ETag: \"a\"",
        "Test-Header: A",
        "Content-Length: 5",
        "Kept: A",
    ];
    cache.exchange(&get(&[]), &|_| origin(200, &first));
    cache.now += 3_000;
    let update = [
        "Cache-Control: max-age=3600",
        "ETag: \"a\"",
        "Test-Header: B",
        "Content-Length: 10",
    ];
    for way_expected in [Validated, Cached] {
        let seen = cache.exchange(&get(&[]), &|_| origin(304, &update));
        assert_eq!(
            (way(&seen), seen.status, seen.body.as_str()),
            (way_expected, 200, BODY)
        );
        for (name, expected) in [("test-header", "B"), ("content-length", "5"), ("kept", "A")] {
            assert_eq!(seen.headers.get(name).unwrap(), expected, "{name}");
        }
    }
}

#[test]
fn head_freshens_a_stored_get() {
    // RFC 9111 §4.3.5
    let mut cache = SmallCache::new(Policy::proxy());
    cache.exchange(&get(&[]), &|_| {
        origin(200, &["Cache-Control: max-age=2", "A: 1", "B: 1"])
    });
    cache.now += 3_000;
    let seen = cache.exchange(&ask("HEAD", "/a"), &|_| {
        origin(200, &["Cache-Control: max-age=1000", "A: 2"])
    });
    assert_eq!(
        (way(&seen), seen.headers.get("b").unwrap().as_bytes()),
        (Origin, &b"1"[..])
    );
    let seen = cache.exchange(&get(&[]), &|_| None);
    assert_eq!(
        (way(&seen), seen.headers.get("a").unwrap().as_bytes()),
        (Cached, &b"2"[..])
    );
}

#[test]
fn unsafe_methods_invalidate_when_they_succeed() {
    // RFC 9111 §4.4
    for method in ["POST", "PUT", "DELETE", "M-SEARCH"] {
        for (status, expected) in [(200, Origin), (500, Cached)] {
            let mut cache = SmallCache::new(Policy::proxy());
            let fresh = |_: &_| origin(200, &["Cache-Control: max-age=3600"]);
            cache.exchange(&get(&[]), &fresh);
            cache.exchange(&ask(method, "/a"), &|_| origin(status, &[]));
            assert_eq!(
                way(&cache.exchange(&get(&[]), &fresh)),
                expected,
                "{method} {status}"
            );
        }
    }
}

#[test]
fn variants_live_side_by_side() {
    // RFC 9111 §4.1
    let mut cache = SmallCache::new(Policy::proxy());
    let vary = |_: &_| origin(200, &["Cache-Control: max-age=3600", "Vary: Foo"]);
    for (foo, expected) in [
        ("Foo: 1", Origin),
        ("Foo: 2", Origin),
        ("Foo: 1", Cached),
        ("Foo: 2", Cached),
    ] {
        assert_eq!(way(&cache.exchange(&get(&[foo]), &vary)), expected, "{foo}");
    }
}

#[test]
fn only_if_cached_with_nothing_stored_is_504() {
    // RFC 9111 §5.2.1.7
    let mut cache = SmallCache::new(Policy::proxy());
    let seen = cache.exchange(&get(&["Cache-Control: only-if-cached"]), &|_| {
        origin(200, &[])
    });
    assert_eq!((seen.status, seen.forwarded.is_none()), (504, true));
}

#[test]
fn two_users_never_get_each_others_answer() {
    // RFC 9111 §3.5
    for credentials in [
        ["Authorization: A", "Authorization: B"],
        ["Cookie: s=A", "Cookie: s=B"],
    ] {
        for policy in [Policy::proxy(), Policy::application()] {
            let mut cache = SmallCache::new(policy);
            for user in credentials {
                let said = |_: &_| {
                    Some((
                        200,
                        fields(&["Cache-Control: max-age=3600", "Set-Cookie: s=1"]),
                        user.to_owned(),
                    ))
                };
                let seen = cache.exchange(&get(&[user]), &said);
                assert_eq!(seen.body, user);
                assert!(
                    cache
                        .exchange(&get(&[]), &|_| origin(200, &[]))
                        .headers
                        .get("set-cookie")
                        .is_none()
                );
            }
        }
    }
}

const BODY: &str = "0123456789";

fn get(lines: &[&str]) -> Asked {
    // Clients of the collection say this, so that nobody else caches.
    ask("GET", "/a").with(&["Pragma: foo"]).with(lines)
}

fn origin(status: u16, lines: &[&str]) -> Said {
    Some((status, fields(lines), BODY.to_owned()))
}

/// An origin that answers conditions with a 304.
fn conditional(said: &dyn Fn(&http::HeaderMap) -> Said) -> impl Fn(&http::HeaderMap) -> Said {
    |asked| {
        let (status, headers, body) = said(asked)?;
        let has_condition =
            asked.contains_key("if-none-match") || asked.contains_key("if-modified-since");
        Some(if has_condition {
            (304, headers, String::new())
        } else {
            (status, headers, body)
        })
    }
}

fn way(seen: &Seen) -> Way {
    match &seen.forwarded {
        None => Cached,
        Some(asked)
            if asked.contains_key("if-none-match") || asked.contains_key("if-modified-since") =>
        {
            Validated
        }
        Some(_) => Origin,
    }
}
