//! What may be stored, and what of it.

use http::{Method, StatusCode};
use shelflife_http::{Policy, Reason, SetCookie, store};

use crate::said::{T0, ask, code, fields, get, kept, strict};

type Row = (
    &'static str,
    u16,
    &'static [&'static str],
    &'static [&'static str],
    Result<(), Reason>,
);

/// Section, status, request, response, whether it may be stored.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Freshness or leave.
    ("RFC 9111 §3", 200, &[], &["Cache-Control: max-age=5"], Ok(())),
    ("RFC 9111 §3", 200, &[], &["Cache-Control: s-maxage=5"], Ok(())),
    ("RFC 9111 §3", 200, &[], &["Expires: {+5}"], Ok(())),
    ("RFC 9111 §3", 200, &[], &[], Err(Reason::NoExplicitFreshness)),
    ("RFC 9111 §3", 200, &[], &["ETag: \"a\"", "Last-Modified: {-9}"], Err(Reason::NoExplicitFreshness)),
    ("RFC 9111 §3", 200, &[], &["Cache-Control: public"], Err(Reason::NoExplicitFreshness)),
    ("RFC 9111 §5.2.2.4", 200, &[], &["Cache-Control: no-cache", "ETag: \"a\""], Ok(())),
    ("RFC 9111 §5.2.2.4", 599, &[], &["Cache-Control: no-cache", "ETag: \"a\""], Err(Reason::NoExplicitFreshness)),
    ("RFC 9111 §5.2.2.4", 200, &[], &["Cache-Control: no-cache"], Err(Reason::NeverFresh)),
    ("RFC 9111 §4.2", 200, &[], &["Cache-Control: max-age=0"], Err(Reason::NeverFresh)),
    ("RFC 9111 §4.2", 200, &[], &["Cache-Control: max-age=0", "ETag: \"a\""], Ok(())),
    ("RFC 9111 §4.2", 200, &[], &["Cache-Control: max-age=0", "Last-Modified: {-9}"], Ok(())),
    ("RFC 5861 §3", 200, &[], &["Cache-Control: max-age=0, stale-while-revalidate=5"], Ok(())),
    ("RFC 5861 §4", 200, &[], &["Cache-Control: max-age=0, stale-if-error=5"], Ok(())),
    ("RFC 9111 §4.2.3", 200, &[], &["Cache-Control: max-age=5", "Age: 5"], Err(Reason::NeverFresh)),
    // Statuses.
    ("RFC 9111 §3", 100, &[], &["Cache-Control: max-age=5"], Err(Reason::StatusNotFinal)),
    ("RFC 9111 §3", 103, &[], &["Cache-Control: max-age=5"], Err(Reason::StatusNotFinal)),
    ("RFC 9111 §3.3", 206, &[], &["Cache-Control: max-age=5"], Err(Reason::PartialContent)),
    ("RFC 9111 §4.3.3", 304, &[], &["Cache-Control: max-age=5"], Err(Reason::NotModifiedUnasked)),
    ("RFC 9110 §15.5.13", 412, &[], &["Cache-Control: max-age=5"], Err(Reason::Precondition)),
    ("RFC 9110 §15.5.17", 416, &[], &["Cache-Control: max-age=5"], Err(Reason::RangeRequest)),
    ("RFC 9110 §14.2", 200, &["Range: bytes=0-1"], &["Cache-Control: max-age=5"], Ok(())),
    ("RFC 9110 §14.2", 400, &["Range: bytes=x"], &["Cache-Control: max-age=5"], Err(Reason::RangeRequest)),
    ("RFC 9111 §3", 299, &[], &["Cache-Control: max-age=5"], Ok(())),
    ("RFC 9111 §3", 302, &[], &["Cache-Control: max-age=5"], Ok(())),
    ("RFC 9111 §3", 404, &[], &["Cache-Control: max-age=5"], Ok(())),
    ("RFC 9111 §3", 503, &[], &["Cache-Control: max-age=5"], Ok(())),
    ("RFC 9111 §3", 599, &[], &["Cache-Control: max-age=5"], Ok(())),
    // Directives of the response.
    ("RFC 9111 §5.2.2.5", 200, &[], &["Cache-Control: max-age=5, no-store"], Err(Reason::NoStoreResponse)),
    ("RFC 9111 §5.2.2.5", 200, &[], &["Cache-Control: max-age=5", "Cache-Control: No-StOrE"], Err(Reason::NoStoreResponse)),
    ("RFC 9111 §5.2.2.5", 200, &[], &["Cache-Control: max-age=5, no-store=\"x\""], Err(Reason::NoStoreResponse)),
    ("RFC 9111 §5.2.2.7", 200, &[], &["Cache-Control: private, max-age=5"], Err(Reason::Private)),
    ("RFC 9111 §5.2.2.7", 200, &[], &["Cache-Control: private, public, s-maxage=5"], Err(Reason::Private)),
    ("RFC 9111 §5.2.2.7", 200, &[], &["Cache-Control: private=\"a\", max-age=5"], Ok(())),
    ("RFC 9111 §5.2.2.7", 200, &[], &["Cache-Control: private=\"\", max-age=5"], Err(Reason::Private)),
    ("RFC 9111 §5.2.2.3", 200, &[], &["Cache-Control: max-age=5, no-store, must-understand"], Ok(())),
    ("RFC 9111 §5.2.2.3", 599, &[], &["Cache-Control: max-age=5, no-store, must-understand"], Err(Reason::StatusNotUnderstood)),
    ("RFC 9111 §5.2.2.3", 599, &[], &["Cache-Control: max-age=5, must-understand"], Err(Reason::StatusNotUnderstood)),
    ("RFC 9111 §5.2.2.3", 200, &[], &["Cache-Control: max-age=5, private, must-understand"], Err(Reason::Private)),
    // Directives of the request.
    ("RFC 9111 §5.2.1.5", 200, &["Cache-Control: no-store"], &["Cache-Control: max-age=5"], Err(Reason::NoStoreRequest)),
    // Authorization.
    ("RFC 9111 §3.5", 200, &["Authorization: x"], &["Cache-Control: max-age=5"], Err(Reason::Authorization)),
    ("RFC 9111 §3.5", 200, &["Authorization: x"], &["Expires: {+5}"], Err(Reason::Authorization)),
    ("RFC 9111 §3.5", 200, &["Authorization: x"], &["Cache-Control: max-age=5, proxy-revalidate"], Err(Reason::Authorization)),
    ("RFC 9111 §3.5", 200, &["Authorization: x"], &["Cache-Control: max-age=5, public"], Ok(())),
    ("RFC 9111 §3.5", 200, &["Authorization: x"], &["Cache-Control: max-age=5, must-revalidate"], Ok(())),
    ("RFC 9111 §3.5", 200, &["Authorization: x"], &["Cache-Control: s-maxage=5"], Ok(())),
    // Cookies: the policy's.
    ("policy", 200, &["Cookie: a=b"], &["Cache-Control: max-age=5"], Err(Reason::Cookie)),
    ("policy", 200, &["Cookie: a=b"], &["Cache-Control: max-age=5, must-revalidate"], Err(Reason::Cookie)),
    ("policy", 200, &["Cookie: a=b"], &["Cache-Control: max-age=5, public"], Ok(())),
    ("policy", 200, &["Cookie: a=b"], &["Cache-Control: s-maxage=5"], Ok(())),
    // Vary.
    ("RFC 9111 §4.1", 200, &[], &["Cache-Control: max-age=5", "Vary: Foo"], Ok(())),
    ("RFC 9111 §4.1", 200, &[], &["Cache-Control: max-age=5", "Vary: Foo, *"], Err(Reason::VaryStar)),
    ("RFC 9111 §4.1", 200, &[], &["Cache-Control: max-age=5", "Vary: a b"], Err(Reason::VaryStar)),
];

#[test]
fn responses_that_are_stored() {
    for (section, status, asked, said, expected) in ROWS {
        let asked = get("/a").with(asked);
        let stored = store(
            asked.request(),
            code(*status),
            &fields(said),
            &strict(),
            T0,
            T0,
        );
        assert_eq!(
            stored.map(|_| ()),
            *expected,
            "{section}: {status} {asked:?} {said:?}"
        );
    }
}

#[test]
fn only_get_and_the_policys_methods_are_stored() {
    // RFC 9111 §3
    let policy = Policy {
        methods: vec![Method::POST],
        ..strict()
    };
    for (method, expected) in [
        ("HEAD", Err(Reason::Head)),
        ("POST", Ok(())),
        ("PUT", Err(Reason::MethodNotCacheable)),
    ] {
        let stored = kept(&ask(method, "/a"), &["Cache-Control: max-age=5"], &policy);
        assert_eq!(stored.map(|_| ()), expected, "{method}");
    }
}

#[test]
fn a_rule_gives_lifetimes_and_shares() {
    let minute = Some(std::time::Duration::from_secs(60));
    let silent = Policy {
        ttl: minute,
        ..strict()
    };
    assert_eq!(kept(&get("/a"), &[], &silent).unwrap().lifetime, 60_000);
    // What the response says of itself comes before the rule's word for those that don't.
    assert_eq!(
        kept(&get("/a"), &["Cache-Control: max-age=5"], &silent)
            .unwrap()
            .lifetime,
        5_000
    );
    let refused = store(
        get("/a").request(),
        code(500),
        &fields(&[]),
        &silent,
        T0,
        T0,
    );
    assert_eq!(refused, Err(Reason::NoExplicitFreshness));

    let any = Policy {
        override_ttl: minute,
        ..strict()
    };
    assert_eq!(
        kept(&get("/a"), &["Cache-Control: max-age=5", "Age: 7"], &any)
            .unwrap()
            .fresh_left(T0),
        60_000
    );
    assert_eq!(
        kept(&get("/a"), &["Cache-Control: no-store"], &any),
        Err(Reason::NoStoreResponse)
    );
    assert_eq!(
        kept(&get("/a"), &["Cache-Control: private"], &any),
        Err(Reason::Private)
    );

    let shared = Policy {
        share_authorization: true,
        share_cookies: true,
        ..strict()
    };
    let asked = get("/a").with(&["Authorization: x", "Cookie: a=b"]);
    assert!(kept(&asked, &["Cache-Control: max-age=5"], &shared).is_ok());
}

#[test]
fn fields_of_one_hop_or_one_user_are_not_stored() {
    // RFC 9111 §3.1
    let said = [
        "Cache-Control: max-age=5, no-cache=\"nc, x-nc\", private=\"pr\"",
        "Connection: close, named",
        "Named: 1",
        "Keep-Alive: x",
        "Proxy-Connection: x",
        "Proxy-Authenticate: x",
        "Proxy-Authentication-Info: x",
        "Proxy-Authorization: x",
        "TE: x",
        "Trailer: x",
        "Transfer-Encoding: chunked",
        "Upgrade: x",
        "Set-Cookie: a=b",
        "Set-Cookie: c=d",
        "NC: 1",
        "X-NC: 1",
        "PR: 1",
        "Age: 1",
        "Cache-Status: Before; hit",
        "Other: 1",
        "Other: 2",
        "Content-Type: text/plain",
    ];
    let stored = kept(&get("/a"), &said, &strict()).unwrap();
    let mut names: Vec<&str> = stored
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["cache-control", "content-type", "date", "other"]);
    assert_eq!(stored.headers.get_all("other").iter().count(), 2);
}

#[test]
fn connection_takes_away_nothing_that_is_for_every_recipient() {
    // RFC 9110 §7.6.1
    let said = [
        "Connection: cache-control, vary, x",
        "Cache-Control: max-age=5",
        "Vary: foo",
        "X: 1",
    ];
    let stored = kept(&get("/a"), &said, &strict()).unwrap();
    assert!(stored.headers.contains_key("vary") && stored.headers.contains_key("cache-control"));
    assert!(!stored.headers.contains_key("x"));
}

#[test]
fn set_cookie_is_the_policys() {
    // RFC 9111 §7.3
    let said = |more: &'static str| ["Set-Cookie: a=b", more];
    let of = |set_cookie, more| {
        kept(
            &get("/a"),
            &said(more),
            &Policy {
                set_cookie,
                ..strict()
            },
        )
    };
    let plain = "Cache-Control: max-age=5";
    assert!(
        !of(SetCookie::Strip, plain)
            .unwrap()
            .headers
            .contains_key("set-cookie")
    );
    assert!(
        of(SetCookie::Keep, plain)
            .unwrap()
            .headers
            .contains_key("set-cookie")
    );
    assert_eq!(of(SetCookie::Refuse, plain), Err(Reason::SetCookie));
    let public = of(SetCookie::Refuse, "Cache-Control: max-age=5, public").unwrap();
    assert!(!public.headers.contains_key("set-cookie"));
}

#[test]
fn a_date_is_always_stored() {
    // RFC 9110 §6.6.1
    for (line, expected) in [("Date: {-3}", -3), ("Date: foo", 0), ("X: no date", 0)] {
        let stored = kept(&get("/a"), &["Cache-Control: max-age=5", line], &strict()).unwrap();
        assert_eq!(
            stored.headers.get("date").unwrap(),
            &crate::said::http_date(expected),
            "{line}"
        );
    }
}

#[test]
fn content_that_must_not_be_transformed_is_marked() {
    // RFC 9111 §5.2.2.6
    for (said, expected) in [
        (&["Cache-Control: max-age=5"][..], false),
        (&["Cache-Control: max-age=5, No-Transform"], true),
        (&["CDN-Cache-Control: max-age=5, no-transform"], true),
        (
            &[
                "CDN-Cache-Control: max-age=5",
                "Cache-Control: no-store, no-transform",
            ],
            true,
        ),
    ] {
        let stored = kept(&get("/a"), said, &strict()).unwrap();
        assert_eq!(stored.no_transform, expected, "{said:?}");
    }
}

#[test]
fn tags_and_groups_are_kept() {
    // RFC 9875 §2
    let said = [
        "Cache-Control: max-age=5",
        "Cache-Tag: a, b",
        "Surrogate-Key: c b",
        "Cache-Groups: \"g\", \"h i\"",
    ];
    let stored = kept(&get("/a"), &said, &strict()).unwrap();
    assert_eq!(stored.tags, ["a", "b", "c"]);
    assert_eq!(stored.groups, ["example.com g", "example.com h i"]);
}

#[test]
fn the_application_is_careful_with_cookies() {
    let policy = Policy::application();
    let asked = get("/a").with(&["Cookie: a=b"]);
    assert_eq!(
        kept(&asked, &["Cache-Control: max-age=5"], &policy),
        Err(Reason::Cookie)
    );
    assert_eq!(
        kept(
            &get("/a"),
            &["Cache-Control: max-age=5", "Set-Cookie: a=b"],
            &policy
        ),
        Err(Reason::SetCookie)
    );
    assert_eq!(
        store(
            get("/a").request(),
            StatusCode::OK,
            &fields(&["Last-Modified: {-90000}"]),
            &policy,
            T0,
            T0
        ),
        Err(Reason::NoExplicitFreshness)
    );
}
