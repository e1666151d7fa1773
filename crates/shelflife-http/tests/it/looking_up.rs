//! Which requests a cache has a part in.

use http::Method;
use shelflife_http::{Policy, Reason, may_collapse, may_look_up, only_if_cached};

use crate::said::{ask, get, strict};

#[test]
fn requests_that_are_looked_up() {
    #[rustfmt::skip]
    let rows: &[(&str, &str, &[&str], Result<(), Reason>)] = &[
        ("RFC 9111 §3", "GET", &[], Ok(())),
        ("RFC 9111 §4", "HEAD", &[], Ok(())),
        ("RFC 9111 §3", "POST", &[], Err(Reason::MethodNotCacheable)),
        ("RFC 9111 §3", "OPTIONS", &[], Err(Reason::MethodNotCacheable)),
        ("RFC 9111 §3", "M-SEARCH", &[], Err(Reason::MethodNotCacheable)),
        ("RFC 9110 §9.3.1", "GET", &["Content-Length: 3"], Err(Reason::RequestBody)),
        ("RFC 9110 §9.3.1", "GET", &["Content-Length: 0"], Ok(())),
        ("RFC 9110 §9.3.1", "GET", &["Content-Length: 0", "Content-Length: 3"], Err(Reason::RequestBody)),
        ("RFC 9110 §9.3.1", "GET", &["Transfer-Encoding: chunked"], Err(Reason::RequestBody)),
        ("RFC 9110 §7.8", "GET", &["Connection: upgrade", "Upgrade: websocket"], Err(Reason::Upgrade)),
        ("RFC 9113 §3.1", "GET", &["Connection: upgrade, http2-settings", "Upgrade: h2c"], Ok(())),
        ("RFC 9110 §7.8", "GET", &["Upgrade: h2c, websocket"], Err(Reason::Upgrade)),
        ("RFC 9111 §4.3.2", "GET", &["If-Match: \"a\""], Err(Reason::Precondition)),
        ("RFC 9111 §4.3.2", "GET", &["If-Unmodified-Since: {+0}"], Err(Reason::Precondition)),
        ("RFC 9110 §7.2", "GET", &["Host: other.example"], Err(Reason::Host)),
        ("RFC 9111 §4.3.2", "GET", &["If-None-Match: \"a\"", "Range: bytes=0-1"], Ok(())),
        ("RFC 9111 §5.2.1.5", "GET", &["Cache-Control: no-store"], Ok(())),
        ("RFC 9111 §3.5", "GET", &["Authorization: x"], Ok(())),
    ];
    for (section, method, lines, expected) in rows {
        let asked = ask(method, "/a").with(lines);
        assert_eq!(
            may_look_up(asked.request(), &strict()),
            *expected,
            "{section}: {method} {lines:?}"
        );
    }
}

#[test]
fn further_methods_are_the_policys_and_may_have_content() {
    let policy = Policy {
        methods: vec![Method::POST],
        ..strict()
    };
    let asked = ask("POST", "/a").with(&["Content-Length: 3"]);
    assert_eq!(may_look_up(asked.request(), &policy), Ok(()));
}

#[test]
fn what_wants_less_than_the_whole_fetches_for_itself() {
    for (section, method, line, expected) in [
        ("RFC 9111 §4", "GET", "Accept: a/b", Ok(())),
        (
            "RFC 9111 §3.3",
            "GET",
            "Range: bytes=0-1",
            Err(Reason::RangeRequest),
        ),
        ("RFC 9110 §9.3.2", "HEAD", "Accept: a/b", Err(Reason::Head)),
        (
            "RFC 9111 §5.2.1.5",
            "GET",
            "Cache-Control: No-Store",
            Err(Reason::NoStoreRequest),
        ),
    ] {
        let asked = ask(method, "/a").with(&[line]);
        assert_eq!(
            may_collapse(asked.request(), &strict()),
            expected,
            "{section}: {method} {line}"
        );
    }
}

#[test]
fn only_if_cached_is_heard_under_every_policy() {
    // RFC 9111 §5.2.1.7
    let asked = get("/a").with(&["Cache-Control: max-stale, Only-If-Cached"]);
    assert!(only_if_cached(asked.request(), &Policy::proxy()));
    assert!(only_if_cached(asked.request(), &Policy::application()));
    assert!(!only_if_cached(get("/a").request(), &Policy::proxy()));
}
