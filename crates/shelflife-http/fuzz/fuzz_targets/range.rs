//! Ranges: whatever is asked for, what is answered lies within the content.
#![no_main]

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use libfuzzer_sys::fuzz_target;
use shelflife_http::{Answer, Policy, answer, answer_headers, store};
use shelflife_http_fuzz::{Asked, NOW};

fuzz_target!(|input: (u64, &[u8])| {
    let (length, value) = input;
    let Ok(value) = HeaderValue::from_bytes(value) else {
        return;
    };
    let mut said = HeaderMap::new();
    said.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("max-age=60"),
    );
    let mut headers = HeaderMap::new();
    headers.insert(header::RANGE, value);
    let asked = Asked::new(Method::GET, headers);
    let stored = store(
        asked.request(),
        StatusCode::OK,
        &said,
        &Policy::proxy(),
        NOW,
        NOW,
    )
    .expect("it is fresh");
    let what = answer(asked.request(), &stored, length, NOW);
    if let Answer::Range {
        start,
        end_inclusive,
    } = what
    {
        assert!(start <= end_inclusive && end_inclusive < length);
    }
    let sent = answer_headers(&stored, &what, length, NOW);
    assert_eq!(
        sent.contains_key(header::CONTENT_RANGE),
        !matches!(what, Answer::Full | Answer::NotModified)
    );
});
