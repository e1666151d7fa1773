//! A hit allocates nothing before its header map is copied.

use allocation_counter::measure;
use shelflife_http::{
    Answer, Policy, QueryRule, Reuse, answer, may_look_up, reuse, store, url_key_into,
};

use crate::said::{T0, after, code, fields, get};

#[test]
fn a_plain_hit_allocates_nothing() {
    let policy = Policy::proxy();
    let query = QueryRule::default();
    let asked = get("/users/42?x=1").with(&[
        "Accept: application/json",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Accept-Language: en-US,en;q=0.9,de;q=0.8",
        "User-Agent: test",
    ]);
    let said = fields(&[
        "Cache-Control: max-age=60",
        "Vary: Accept-Encoding, Accept-Language, Origin",
        "ETag: \"a\"",
    ]);
    let stored = store(asked.request(), code(200), &said, &policy, T0, T0).unwrap();
    let mut key = String::with_capacity(256);
    let counted = measure(|| {
        let request = asked.request();
        assert!(may_look_up(request, &policy).is_ok());
        url_key_into(&mut key, request, &query);
        assert!(stored.selects(request));
        assert_eq!(
            reuse(request, &stored, &policy, false, after(1)),
            Reuse::Fresh
        );
        assert_eq!(answer(request, &stored, 10, after(1)), Answer::Full);
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn conditions_and_directives_allocate_nothing_either() {
    let policy = Policy::proxy();
    let asked = get("/a").with(&[
        "Cache-Control: max-age=30, min-fresh=\"5\"",
        "If-None-Match: \"1\", \"2\", \"a\"",
        "If-Modified-Since: {-1}",
        "Range: bytes=0-1",
    ]);
    let stored = store(
        get("/a").request(),
        code(200),
        &fields(&["Cache-Control: max-age=60", "ETag: \"a\""]),
        &policy,
        T0,
        T0,
    );
    let stored = stored.unwrap();
    let counted = measure(|| {
        assert_eq!(
            reuse(asked.request(), &stored, &policy, false, after(1)),
            Reuse::Fresh
        );
        assert_eq!(
            answer(asked.request(), &stored, 10, after(1)),
            Answer::NotModified
        );
    });
    assert_eq!(counted.count_total, 0);
}
