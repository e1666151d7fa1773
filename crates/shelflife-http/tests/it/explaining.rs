//! The story of storing is the story of what `store` does.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use proptest::prelude::*;
use shelflife_http::{Policy, Reason, Request, explain_store, store};

const NOW: u64 = 1_790_000_000_000;

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect()
}

#[test]
fn each_question_up_to_the_one_that_refuses_is_told_with_its_clause() {
    let (method, uri) = (Method::GET, Uri::from_static("http://a.example/x"));
    let asked = headers(&[("authorization", "Bearer x")]);
    let request = Request {
        method: &method,
        uri: &uri,
        headers: &asked,
    };
    let said = headers(&[("cache-control", "max-age=60")]);
    let (steps, verdict) =
        explain_store(request, StatusCode::OK, &said, &Policy::proxy(), NOW, NOW);
    assert_eq!(verdict.unwrap_err(), Reason::Authorization);
    let last = steps.last().unwrap();
    assert_eq!(
        (last.refused, last.section),
        (Some(Reason::Authorization), "RFC 9111 §3.5")
    );
    assert!(
        steps
            .iter()
            .rev()
            .skip(1)
            .all(|step| step.refused.is_none())
    );

    let said = headers(&[
        (
            "cache-control",
            "public, max-age=60, stale-while-revalidate=9",
        ),
        ("vary", "accept-language"),
        ("etag", "\"a\""),
    ]);
    let (steps, verdict) =
        explain_store(request, StatusCode::OK, &said, &Policy::proxy(), NOW, NOW);
    assert!(verdict.is_ok());
    let told: Vec<&str> = steps.iter().map(|step| step.found.as_str()).collect();
    for words in [
        "accept-language",
        "60 s by max-age",
        "served for 9 s",
        "validated",
    ] {
        assert!(told.iter().any(|t| t.contains(words)), "{words}: {told:?}");
    }
}

proptest! {
    /// Whatever comes: the story ends with a refusal if and only if `store` refuses, with the same reason.
    #[test]
    fn the_story_ends_as_store_does(
        method in prop::sample::select(vec!["GET", "HEAD", "POST"]),
        status in prop::sample::select(vec![200_u16, 204, 206, 304, 404, 412, 416, 500, 599]),
        control in prop::sample::subsequence(
            vec!["no-store", "private", "max-age=9", "s-maxage=0", "no-cache", "public", "must-understand"], 0..5),
        other in prop::sample::subsequence(
            vec![("vary", "*"), ("vary", "accept"), ("set-cookie", "a=b"), ("etag", "\"x\""), ("expires", "0"),
                 ("cdn-cache-control", "max-age=3"), ("cache-tag", "a,b")], 0..5),
        asked in prop::sample::subsequence(
            vec![("authorization", "x"), ("cookie", "x"), ("cache-control", "no-store"), ("range", "bytes=0-1")], 0..3),
        application in any::<bool>(),
    ) {
        let method: Method = method.parse().unwrap();
        let uri = Uri::from_static("http://a.example/x");
        let asked = headers(&asked);
        let request = Request { method: &method, uri: &uri, headers: &asked };
        let mut said = headers(&other);
        said.insert("cache-control", control.join(",").parse().unwrap());
        let policy = if application { Policy::application() } else { Policy::proxy() };
        let status = StatusCode::from_u16(status).unwrap();
        let (steps, verdict) = explain_store(request, status, &said, &policy, NOW, NOW);
        let stored = store(request, status, &said, &policy, NOW, NOW);
        prop_assert_eq!(verdict.as_ref().err(), stored.as_ref().err());
        prop_assert_eq!(steps.last().and_then(|step| step.refused), stored.err());
    }
}
