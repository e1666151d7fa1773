//! What unsafe requests make invalid.

use shelflife_http::{QueryRule, invalidates, url_key};

use crate::said::{ask, code, fields, get};

#[test]
fn an_unsafe_request_that_succeeds_invalidates_its_target() {
    // RFC 9111 §4.4
    for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "UNKNOWN"] {
        for (status, expected) in [
            (200, true),
            (201, true),
            (204, true),
            (303, true),
            (400, false),
            (404, false),
            (500, false),
            (103, false),
        ] {
            let asked = ask(method, "/a?b");
            let got = invalidates(asked.request(), code(status), &fields(&[]));
            assert_eq!(
                got.urls == ["example.com/a?b"],
                expected,
                "{method} {status}"
            );
            assert_eq!(got.is_empty(), !expected, "{method} {status}");
        }
    }
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND"] {
        assert!(
            invalidates(ask(method, "/a").request(), code(200), &fields(&[])).is_empty(),
            "{method}"
        );
    }
}

#[test]
fn what_is_invalidated_is_what_a_get_would_find() {
    let asked = ask("POST", "/a?b");
    let got = invalidates(asked.request(), code(200), &fields(&[]));
    assert_eq!(
        got.urls,
        [url_key(get("/a?b").request(), &QueryRule::default())]
    );
}

#[test]
fn locations_of_the_same_host_are_invalidated_too() {
    // RFC 9111 §4.4
    let rows: &[(&[&str], &[&str])] = &[
        (&["Location: b"], &["example.com/x/b"]),
        (
            &["Location: /b", "Content-Location: /c?d"],
            &["example.com/b", "example.com/c?d"],
        ),
        (&["Location: http://example.com/b"], &["example.com/b"]),
        (&["Location: https://EXAMPLE.com/b#f"], &["example.com/b"]),
        (&["Location: /x/a", "Content-Location: a"], &[]),
        (&["Location: http://other.example/b"], &[]),
        (&["Location: //other.example/b"], &[]),
        (&["Location: http://example.com:8080/b"], &[]),
        (&["Location: http://example.com@other.example/b"], &[]),
        (&["Location: http://example.com.other.example/b"], &[]),
        (&["Location: javascript:x"], &[]),
    ];
    for (said, more) in rows {
        let got = invalidates(ask("POST", "/x/a").request(), code(201), &fields(said));
        let mut expected = vec!["example.com/x/a"];
        expected.extend(*more);
        assert_eq!(got.urls, expected, "{said:?}");
    }
}

#[test]
fn groups_are_invalidated_by_unsafe_requests_only() {
    // RFC 9875 §3
    let said = fields(&["Cache-Group-Invalidation: \"a\", \"b c\""]);
    let got = invalidates(ask("POST", "/a").request(), code(200), &said);
    assert_eq!(got.groups, ["example.com a", "example.com b c"]);
    assert!(invalidates(get("/a").request(), code(200), &said).is_empty());
    assert!(invalidates(ask("POST", "/a").request(), code(500), &said).is_empty());
    let odd = fields(&["Cache-Group-Invalidation: a, b"]);
    assert!(
        invalidates(ask("POST", "/a").request(), code(200), &odd)
            .groups
            .is_empty()
    );
}
