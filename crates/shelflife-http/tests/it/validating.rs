//! Asking the origin.

use shelflife_http::{Validated, fill_request, validated, validation_request};

use crate::said::{Asked, code, fields, get, kept, strict};

const CONDITIONS: &[&str] = &[
    "If-None-Match: \"c\"",
    "If-Modified-Since: {-7}",
    "If-Range: \"c\"",
    "Range: bytes=0-1",
    "Abc: 1",
];

fn sent(said: &[&str]) -> Asked {
    let mut lines = vec!["Cache-Control: max-age=1"];
    lines.extend(said);
    let stored = kept(&get("/a"), &lines, &strict()).unwrap();
    let mut asked = get("/a").with(CONDITIONS);
    validation_request(&mut asked.headers, &stored);
    asked
}

#[test]
fn a_fill_asks_for_the_whole() {
    let mut asked = get("/a").with(CONDITIONS);
    fill_request(&mut asked.headers);
    assert_eq!(asked.headers, fields(&["Host: example.com", "Abc: 1"]));
}

#[test]
fn a_validation_carries_the_stored_validators() {
    // RFC 9111 §4.3.1
    let rows: &[(&[&str], &[&str])] = &[
        (&["ETag: \"a\""], &["If-None-Match: \"a\""]),
        (&["ETag: W/\"a\""], &["If-None-Match: W/\"a\""]),
        (&["ETag: a"], &["If-None-Match: a"]),
        (&["Last-Modified: {-9}"], &["If-Modified-Since: {-9}"]),
        (
            &["ETag: \"a\"", "Last-Modified: {-9}"],
            &["If-None-Match: \"a\"", "If-Modified-Since: {-9}"],
        ),
        (
            &["ETag: \"a\"", "Last-Modified: once"],
            &["If-None-Match: \"a\""],
        ),
        (&["ETag:"], &[]),
    ];
    for (said, expected) in rows {
        let mut lines = vec!["Host: example.com", "Abc: 1"];
        lines.extend(*expected);
        assert_eq!(sent(said).headers, fields(&lines), "{said:?}");
    }
}

#[test]
fn what_the_origins_answer_means() {
    use Validated::{NotModified, Replaced, ServerError, Unusable};
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], u16, &[&str], Validated)] = &[
        ("RFC 9111 §4.3.3", &["ETag: \"a\""], 200, &[], Replaced),
        ("RFC 9111 §4.3.3", &["ETag: \"a\""], 404, &[], Replaced),
        ("RFC 9111 §4.3.3", &["ETag: \"a\""], 501, &[], Replaced),
        ("RFC 9111 §4.3.3", &["ETag: \"a\""], 500, &[], ServerError),
        ("RFC 9111 §4.3.3", &["ETag: \"a\""], 502, &[], ServerError),
        ("RFC 9111 §4.3.3", &["ETag: \"a\""], 503, &[], ServerError),
        ("RFC 9111 §4.3.3", &["ETag: \"a\""], 504, &[], ServerError),
        ("RFC 9111 §4.3.4", &["ETag: \"a\""], 304, &[], NotModified),
        ("RFC 9111 §4.3.4", &["ETag: \"a\""], 304, &["ETag: \"a\""], NotModified),
        ("RFC 9111 §4.3.4", &["ETag: \"a\""], 304, &["ETag: W/\"a\""], NotModified),
        ("RFC 9111 §4.3.4", &["ETag: W/\"a\""], 304, &["ETag: \"a\""], NotModified),
        ("RFC 9111 §4.3.4", &["ETag: \"a\""], 304, &["ETag: \"b\""], Unusable),
        ("RFC 9111 §4.3.4", &["ETag: \"a\""], 304, &["Last-Modified: {-3}"], NotModified),
        ("RFC 9111 §4.3.4", &["Last-Modified: {-9}"], 304, &["Last-Modified: {-9}"], NotModified),
        ("RFC 9111 §4.3.4", &["Last-Modified: {-9}"], 304, &["Last-Modified: {-3}"], Unusable),
        ("RFC 9111 §4.3.4", &["Last-Modified: {-9}"], 304, &["ETag: \"a\""], NotModified),
        ("RFC 9111 §4.3.4", &["Last-Modified: {-9}"], 304, &[], NotModified),
    ];
    for (section, said, status, came, expected) in rows {
        let mut lines = vec!["Cache-Control: max-age=1"];
        lines.extend(*said);
        let stored = kept(&get("/a"), &lines, &strict()).unwrap();
        let got = validated(&stored, code(*status), &fields(came));
        assert_eq!(got, *expected, "{section}: {said:?}; {status} {came:?}");
    }
}
