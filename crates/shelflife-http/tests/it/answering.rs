//! Answering from a complete stored response: conditions, ranges, fields.

use shelflife_http::{Answer, Stored, answer, answer_headers, store};

use crate::said::{T0, after, ask, code, fields, get, kept, strict};

fn stored(said: &[&str]) -> Stored {
    let mut lines = vec!["Cache-Control: max-age=100"];
    lines.extend(said);
    kept(&get("/a"), &lines, &strict()).unwrap()
}

const fn range(start: u64, end_inclusive: u64) -> Answer {
    Answer::Range {
        start,
        end_inclusive,
    }
}

/// Section, stored, method, request, answer.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static [&'static str],
    Answer,
);

const TAGGED: &[&str] = &["ETag: \"a\""];
const WEAK: &[&str] = &["ETag: W/\"a\""];
const DATED: &[&str] = &["Last-Modified: {-50}", "Date: {-1}"];
const BOTH: &[&str] = &["ETag: \"a\"", "Last-Modified: {-50}"];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("RFC 9111 §4.3.2", TAGGED, "GET", &[], Answer::Full),
    ("RFC 9110 §13.1.2", TAGGED, "GET", &["If-None-Match: \"a\""], Answer::NotModified),
    ("RFC 9110 §13.1.2", TAGGED, "HEAD", &["If-None-Match: \"a\""], Answer::NotModified),
    ("RFC 9110 §13.1.2", TAGGED, "GET", &["If-None-Match: W/\"a\""], Answer::NotModified),
    ("RFC 9110 §13.1.2", WEAK, "GET", &["If-None-Match: \"a\""], Answer::NotModified),
    ("RFC 9110 §13.1.2", TAGGED, "GET", &["If-None-Match: \"b\""], Answer::Full),
    ("RFC 9110 §13.1.2", TAGGED, "GET", &["If-None-Match: \"1\", \"a\" ,\"2\""], Answer::NotModified),
    ("RFC 9110 §13.1.2", TAGGED, "GET", &["If-None-Match: \"1\"", "If-None-Match: \"a\""], Answer::NotModified),
    ("RFC 9110 §13.1.2", TAGGED, "GET", &["If-None-Match: *"], Answer::NotModified),
    ("RFC 9110 §13.1.2", &[], "GET", &["If-None-Match: *"], Answer::NotModified),
    ("RFC 9110 §13.1.2", &[], "GET", &["If-None-Match: \"a\""], Answer::Full),
    ("RFC 9110 §13.1.2", &["ETag: \"a,b\""], "GET", &["If-None-Match: \"a,b\""], Answer::NotModified),
    ("RFC 9110 §13.1.2", &["ETag: \"a,b\""], "GET", &["If-None-Match: \"a\", \"b\""], Answer::Full),
    ("RFC 9110 §13.1.3", BOTH, "GET", &["If-None-Match: \"b\"", "If-Modified-Since: {-1}"], Answer::Full),
    ("RFC 9110 §13.1.3", BOTH, "GET", &["If-None-Match: \"a\"", "If-Modified-Since: {-90}"], Answer::NotModified),
    ("RFC 9110 §13.1.3", DATED, "GET", &["If-Modified-Since: {-50}"], Answer::NotModified),
    ("RFC 9110 §13.1.3", DATED, "GET", &["If-Modified-Since: {-49}"], Answer::NotModified),
    ("RFC 9110 §13.1.3", DATED, "GET", &["If-Modified-Since: {-51}"], Answer::Full),
    ("RFC 9110 §13.1.3", DATED, "GET", &["If-Modified-Since: now"], Answer::Full),
    ("RFC 9110 §13.1.3", DATED, "GET", &["If-Modified-Since: {-50}", "If-Modified-Since: {-90}"], Answer::Full),
    ("RFC 9110 §5.6.7", &["Last-Modified: Thu, 18 Aug 2005 02:01:18 GMT"], "GET", &["If-Modified-Since: Thursday, 18-Aug-05 02:01:18 GMT"], Answer::NotModified),
    ("RFC 9111 §4.3.2", &["Date: {-5}"], "GET", &["If-Modified-Since: {-5}"], Answer::NotModified),
    ("RFC 9111 §4.3.2", &["Date: {-5}"], "GET", &["If-Modified-Since: {-6}"], Answer::Full),
    ("RFC 9111 §4.3.2", &[], "GET", &["If-Modified-Since: {+0}"], Answer::NotModified),
    // Ranges, after the conditions.
    ("RFC 9110 §14.2", TAGGED, "GET", &["Range: bytes=0-1"], range(0, 1)),
    ("RFC 9110 §14.2", TAGGED, "GET", &["Range: bytes=1-"], range(1, 9)),
    ("RFC 9110 §14.2", TAGGED, "GET", &["Range: bytes=-1"], range(9, 9)),
    ("RFC 9110 §14.2", TAGGED, "HEAD", &["Range: bytes=0-1"], Answer::Full),
    ("RFC 9110 §14.2", TAGGED, "GET", &["Range: bytes=0-1, 3-4"], Answer::Full),
    ("RFC 9110 §14.2", TAGGED, "GET", &["Range: bytes=0-1", "Range: bytes=3-4"], Answer::Full),
    ("RFC 9110 §14.2", TAGGED, "GET", &["Range: lines=0-1"], Answer::Full),
    ("RFC 9110 §15.5.17", TAGGED, "GET", &["Range: bytes=10-"], Answer::RangeNotSatisfiable),
    ("RFC 9110 §13.2.2", TAGGED, "GET", &["Range: bytes=0-1", "If-None-Match: \"a\""], Answer::NotModified),
    ("RFC 9110 §13.2.2", TAGGED, "GET", &["Range: bytes=0-1", "If-None-Match: \"b\""], range(0, 1)),
    ("RFC 9110 §13.1.5", TAGGED, "GET", &["Range: bytes=0-1", "If-Range: \"a\""], range(0, 1)),
    ("RFC 9110 §13.1.5", TAGGED, "GET", &["Range: bytes=0-1", "If-Range: \"b\""], Answer::Full),
    ("RFC 9110 §13.1.5", TAGGED, "GET", &["Range: bytes=99-", "If-Range: \"b\""], Answer::Full),
    ("RFC 9110 §13.1.5", WEAK, "GET", &["Range: bytes=0-1", "If-Range: W/\"a\""], Answer::Full),
    ("RFC 9110 §13.1.5", TAGGED, "GET", &["Range: bytes=0-1", "If-Range: W/\"a\""], Answer::Full),
    ("RFC 9110 §13.1.5", DATED, "GET", &["Range: bytes=0-1", "If-Range: {-50}"], range(0, 1)),
    ("RFC 9110 §13.1.5", DATED, "GET", &["Range: bytes=0-1", "If-Range: {-49}"], Answer::Full),
    ("RFC 9110 §8.8.2.2", &["Last-Modified: {-1}", "Date: {-1}"], "GET", &["Range: bytes=0-1", "If-Range: {-1}"], Answer::Full),
    ("RFC 9110 §13.1.5", TAGGED, "GET", &["If-Range: \"a\""], Answer::Full),
];

#[test]
fn requests_are_answered_by_their_conditions_and_ranges() {
    for (section, said, method, asked, expected) in ROWS {
        let asked = ask(method, "/a").with(asked);
        let got = answer(asked.request(), &stored(said), 10, after(1));
        assert_eq!(got, *expected, "{section}: {said:?}; {method} {asked:?}");
    }
}

#[test]
fn conditions_are_about_a_200() {
    // RFC 9111 §4.3.2
    for status in [203, 204, 301, 404] {
        let asked = get("/a").with(&["If-None-Match: \"a\"", "Range: bytes=0-1"]);
        let headers = fields(&["Cache-Control: max-age=9", "ETag: \"a\""]);
        let stored = store(
            get("/a").request(),
            code(status),
            &headers,
            &strict(),
            T0,
            T0,
        )
        .unwrap();
        assert_eq!(
            answer(asked.request(), &stored, 10, T0),
            Answer::Full,
            "{status}"
        );
        assert_eq!(Answer::Full.status(&stored), code(status));
    }
}

const WHOLE: &[&str] = &[
    "Date: {+0}",
    "ETag: \"a\"",
    "Last-Modified: {-50}",
    "Vary: foo",
    "Content-Location: /b",
    "Expires: {+99}",
    "Content-Type: text/plain",
    "Content-Language: en",
    "Content-Encoding: gzip",
    "Content-Length: 10",
    "Access-Control-Allow-Origin: *",
];

fn sent(answer: Answer, lines: &[&str]) {
    let stored = stored(WHOLE);
    let mut expected = lines.to_vec();
    expected.extend(["Cache-Control: max-age=100", "Age: 7"]);
    assert_eq!(
        answer_headers(&stored, &answer, 10, T0 + 7_999),
        fields(&expected),
        "{answer:?}"
    );
}

#[test]
fn a_full_answer_has_every_stored_field_and_its_age() {
    // RFC 9111 §4, §5.1
    sent(Answer::Full, WHOLE);
}

#[test]
fn a_304_has_what_guides_caches() {
    // RFC 9110 §15.4.5
    let kept: Vec<&str> = WHOLE
        .iter()
        .filter(|line| {
            ![
                "Content-Type",
                "Content-Language",
                "Content-Encoding",
                "Content-Length",
            ]
            .iter()
            .any(|name| line.starts_with(name))
        })
        .copied()
        .collect();
    sent(Answer::NotModified, &kept);
}

#[test]
fn a_206_says_which_part_it_is() {
    // RFC 9110 §15.3.7
    let mut lines: Vec<&str> = WHOLE
        .iter()
        .filter(|line| !line.starts_with("Content-Length"))
        .copied()
        .collect();
    lines.extend(["Content-Length: 3", "Content-Range: bytes 2-4/10"]);
    sent(range(2, 4), &lines);
}

#[test]
fn a_416_says_how_long_the_whole_is() {
    // RFC 9110 §15.5.17
    let mut lines: Vec<&str> = WHOLE
        .iter()
        .filter(|line| {
            ![
                "Content-Type",
                "Content-Language",
                "Content-Encoding",
                "Content-Length",
            ]
            .iter()
            .any(|name| line.starts_with(name))
        })
        .copied()
        .collect();
    lines.extend(["Content-Length: 0", "Content-Range: bytes */10"]);
    sent(Answer::RangeNotSatisfiable, &lines);
}

#[test]
fn each_answer_has_its_status() {
    let stored = stored(&[]);
    for (answer, status) in [
        (Answer::Full, 200),
        (Answer::NotModified, 304),
        (range(0, 1), 206),
        (Answer::RangeNotSatisfiable, 416),
    ] {
        assert_eq!(answer.status(&stored), status);
    }
}
