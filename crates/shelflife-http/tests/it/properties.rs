//! What holds for any bytes in any field.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;
use shelflife_http::{
    Answer, Policy, QueryRule, Received, Reuse, Stored, answer, answer_headers, freshen,
    head_update, invalidates, may_collapse, may_look_up, only_if_cached, remove_hop_by_hop, reuse,
    store, url_key, validated, validation_request,
};

use crate::said::{Asked, T0, ask};

const NAMES: &[&str] = &[
    "age",
    "authorization",
    "cache-control",
    "cache-group-invalidation",
    "cache-groups",
    "cache-tag",
    "cdn-cache-control",
    "connection",
    "content-length",
    "content-location",
    "cookie",
    "date",
    "etag",
    "expires",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "last-modified",
    "location",
    "pragma",
    "range",
    "set-cookie",
    "shelflife-cache-control",
    "surrogate-key",
    "upgrade",
    "vary",
    "xkey",
    "foo",
];

/// Words that the rules know, so that what is made of them is often nearly right.
const WORDS: &[&str] = &[
    "max-age",
    "s-maxage",
    "no-cache",
    "no-store",
    "private",
    "public",
    "must-revalidate",
    "must-understand",
    "stale-while-revalidate",
    "stale-if-error",
    "max-stale",
    "min-fresh",
    "only-if-cached",
    "=",
    ",",
    ";",
    "\"",
    " ",
    "*",
    "0",
    "5",
    "60",
    "99999999999999999999",
    "-1",
    "W/",
    "\"a\"",
    "bytes=",
    "-",
    "foo",
    "cookie",
    "/",
    "?",
    "http://h/",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Fri, 21 Nov 2286 04:46:39 GMT",
    "\\",
    "\u{e9}",
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => prop::collection::vec(prop::sample::select(WORDS), 0..8).prop_map(|words| words.concat().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..30),
    ]
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    prop::collection::vec((prop::sample::select(NAMES), value()), 0..10).prop_map(|lines| {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            // Control characters never get this far: whoever reads the connection refuses them.
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        headers
    })
}

fn asked() -> impl Strategy<Value = Asked> {
    let method = prop::sample::select(vec!["GET", "GET", "GET", "HEAD", "POST"]);
    let uri = prop::sample::select(vec!["/a", "/a?b", "http://h/a", "//a/b"]);
    (method, uri, headers()).prop_map(|(method, uri, headers)| {
        let mut asked = ask(method, uri);
        asked.headers = headers;
        asked
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    prop::sample::select(vec![Policy::proxy(), Policy::application()])
}

/// A response that is stored more often than not.
fn said() -> impl Strategy<Value = HeaderMap> {
    (headers(), any::<bool>()).prop_map(|(mut headers, plain)| {
        if plain {
            headers.insert(
                "cache-control",
                HeaderValue::from_static("public, max-age=60"),
            );
            headers.remove("cdn-cache-control");
            headers.remove("shelflife-cache-control");
        }
        headers
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(
        first in asked(), second in asked(), said in said(), update in headers(), policy in policy(),
        status in 100u16..600, sent: u64, now: u64, later: u64, soft: bool, length: u64,
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        for request in [first.request(), second.request()] {
            let _ = (may_look_up(request, &policy), may_collapse(request, &policy), only_if_cached(request, &policy));
            let _ = url_key(request, &QueryRule { sort: true, drop: vec!["b*".to_owned()] });
            let _ = invalidates(request, status, &said);
        }
        remove_hop_by_hop(&mut said.clone());
        if let Ok(stored) = store(first.request(), status, &said, &policy, sent, now) {
            exercise(&stored, &second, &update, &policy, status, (later, length, soft));
        }
    }

    #[test]
    fn what_is_stored_selects_its_own_request(first in asked(), second in asked(), said in said(), policy in policy()) {
        if let Ok(stored) = store(first.request(), StatusCode::OK, &said, &policy, T0, T0) {
            prop_assert!(stored.selects(first.request()));
            // Two requests have one name exactly where both select the same.
            let same = stored.variant_of(first.request()) == stored.variant_of(second.request());
            prop_assert_eq!(same, stored.selects(second.request()));
        }
    }

    #[test]
    fn what_is_stored_has_no_field_of_one_hop_or_user(first in asked(), said in said(), policy in policy()) {
        if let Ok(stored) = store(first.request(), StatusCode::OK, &said, &policy, T0, T0) {
            for name in ["connection", "upgrade", "set-cookie", "age"] {
                prop_assert!(!stored.headers.contains_key(name), "{}", name);
            }
            prop_assert!(stored.headers.contains_key("date"));
        }
    }

    #[test]
    fn no_store_and_private_are_never_stored(first in asked(), mut said in headers(), policy in policy(), word in "no-store|private") {
        said.remove("cdn-cache-control");
        said.remove("shelflife-cache-control");
        said.append("cache-control", HeaderValue::try_from(word).unwrap());
        let understood = said.get_all("cache-control").iter().any(|line| line.as_bytes().windows(15).any(|w| w == b"must-understand"));
        let stored = store(first.request(), StatusCode::OK, &said, &policy, T0, T0);
        prop_assert!(understood || stored.is_err());
    }

    #[test]
    fn credentials_are_shared_only_where_the_response_says_so(
        mut first in asked(), second in asked(), said in said(), policy in policy(), name in "authorization|cookie",
    ) {
        first.headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_static("x"));
        if let Ok(stored) = store(first.request(), StatusCode::OK, &said, &policy, T0, T0) {
            prop_assert!(stored.shared || stored.public);
        }
        if let Ok(stored) = store(second.request(), StatusCode::OK, &said, &policy, T0, T0) {
            let got = reuse(first.request(), &stored, &policy, false, T0);
            let authorized = first.headers.contains_key("authorization");
            let bypass = matches!(got, Reuse::Bypass { .. });
            prop_assert!(!authorized || stored.shared || bypass);
        }
    }

    #[test]
    fn fresh_is_served_only_within_its_lifetime(first in asked(), second in asked(), said in said(), policy in policy(), later in 0u64..200_000) {
        if let Ok(stored) = store(first.request(), StatusCode::OK, &said, &policy, T0, T0) {
            match reuse(second.request(), &stored, &policy, false, T0 + later) {
                Reuse::Fresh => prop_assert!(stored.fresh_left(T0 + later) > 0 && !stored.no_cache),
                Reuse::Stale { .. } => prop_assert!(!stored.must_revalidate && !stored.no_cache),
                Reuse::Validate { if_error, .. } | Reuse::Bypass { if_error, .. } => prop_assert!(!(if_error && stored.no_cache)),
                Reuse::Unsatisfiable(_) => {}
            }
        }
    }

    #[test]
    fn heads_survive_being_written(first in asked(), said in said(), policy in policy()) {
        if let Ok(stored) = store(first.request(), StatusCode::OK, &said, &policy, T0, T0) {
            let bytes = rmp_serde::to_vec_named(&stored).unwrap();
            prop_assert_eq!(rmp_serde::from_slice::<Stored>(&bytes).unwrap(), stored);
        }
    }

    #[test]
    fn any_bytes_are_no_head_or_one(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = rmp_serde::from_slice::<Stored>(&bytes);
    }
}

fn exercise(
    stored: &Stored,
    asked: &Asked,
    update: &HeaderMap,
    policy: &Policy,
    status: StatusCode,
    (now, length, soft): (u64, u64, bool),
) {
    let request = asked.request();
    let _ = (
        stored.selects(request),
        stored.variant_of(request),
        stored.keep(policy),
        stored.fresh_left(now),
    );
    let _ = reuse(request, stored, policy, soft, now);
    let answer = answer(request, stored, length, now);
    if let Answer::Range {
        start,
        end_inclusive,
    } = answer
    {
        assert!(start <= end_inclusive && end_inclusive < length);
    }
    let sent = answer_headers(stored, &answer, length, now);
    assert!(sent.contains_key("age"));
    let _ = validated(stored, status, update);
    let _ = freshen(stored, request, update, policy, now, now);
    let received = Received {
        status,
        headers: update,
        sent: now,
        now,
    };
    let _ = head_update(request, stored, length, received, policy);
    validation_request(&mut asked.headers.clone(), stored);
}
