//! Updating what is stored, by a 304 and by HEAD.

use http::{HeaderMap, StatusCode};
use shelflife_http::{
    HeadUpdate, Policy, Reason, Received, SetCookie, freshen, head_update, pass_cookies,
};

use crate::said::{after, ask, code, fields, get, http_date, kept, strict};

#[test]
fn a_304_replaces_each_field_it_has_but_for_a_few() {
    // RFC 9111 §3.2: field, what was stored, what the 304 has, what is stored then.
    for (name, before, update, expected) in [
        ("Test-Header", "a", "b", "b"),
        ("X-Content-Foo", "a", "b", "b"),
        ("Content-Foo", "a", "b", "b"),
        (
            "Content-Type",
            "text/plain",
            "text/plain;charset=utf-8",
            "text/plain;charset=utf-8",
        ),
        ("Content-Location", "/foo", "/bar", "/bar"),
        ("Content-MD5", "a", "b", "b"),
        ("Content-Security-Policy", "a", "b", "b"),
        (
            "Expires",
            "Fri, 01 Jan 2038 01:01:01 GMT",
            "Mon, 11 Jan 2038 11:11:11 GMT",
            "Mon, 11 Jan 2038 11:11:11 GMT",
        ),
        ("Set-Cookie2", "a=b", "a=c", "a=c"),
        ("Content-Length", "36", "10", "36"),
        ("Content-Encoding", "gzip", "br", "gzip"),
        ("Content-Range", "a", "b", "a"),
        ("ETag", "\"e\"", "W/\"e\"", "\"e\""),
    ] {
        let stored = kept(
            &get("/a"),
            &[
                "Cache-Control: max-age=2",
                &format!("{name}: {before}"),
                "Keep: 1",
            ],
            &strict(),
        );
        let update = fields(&[&format!("{name}: {update}")]);
        let updated = freshen(
            &stored.unwrap(),
            get("/a").request(),
            &update,
            &strict(),
            after(5),
            after(5),
        )
        .unwrap();
        assert_eq!(updated.headers.get(name).unwrap(), expected, "{name}");
        assert_eq!(updated.headers.get("keep").unwrap(), "1", "{name}");
    }
}

#[test]
fn an_update_has_all_lines_of_a_field_and_none_of_one_hop() {
    let stored = kept(
        &get("/a"),
        &["Cache-Control: max-age=2", "A: 1", "A: 2"],
        &strict(),
    )
    .unwrap();
    let update = fields(&[
        "A: 3",
        "A: 4",
        "Connection: b",
        "B: 1",
        "Keep-Alive: x",
        "Set-Cookie: a=b",
        "C: 1",
    ]);
    let updated = freshen(
        &stored,
        get("/a").request(),
        &update,
        &strict(),
        after(5),
        after(5),
    )
    .unwrap();
    assert_eq!(
        updated.headers.get_all("a").iter().collect::<Vec<_>>(),
        ["3", "4"]
    );
    assert_eq!(updated.headers.get("c").unwrap(), "1");
    for name in ["b", "keep-alive", "set-cookie", "connection"] {
        assert!(!updated.headers.contains_key(name), "{name}");
    }
}

#[test]
fn an_updated_response_is_as_young_as_the_update() {
    // RFC 9111 §4.3.4, §4.2.3
    let said = [
        "Cache-Control: max-age=10",
        "Age: 8",
        "Date: {-8}",
        "ETag: \"a\"",
    ];
    let stored = kept(&get("/a"), &said, &strict()).unwrap();
    let update = |lines: &[&str]| {
        freshen(
            &stored,
            get("/a").request(),
            &fields(lines),
            &strict(),
            after(20),
            after(21),
        )
        .unwrap()
    };
    assert_eq!(update(&["Date: {+21}"]).age(after(21)), 1_000);
    assert_eq!(update(&["Date: {+21}", "Age: 3"]).age(after(21)), 4_000);
    let silent = update(&[]);
    assert_eq!(silent.age(after(21)), 1_000);
    assert_eq!(silent.headers.get("date").unwrap(), &http_date(21));
    assert_eq!(update(&["Cache-Control: max-age=99"]).lifetime, 99_000);
}

#[test]
fn an_update_may_end_the_storing() {
    // RFC 9111 §4.3.4: the constraints of storing hold for what it becomes.
    let stored = kept(
        &get("/a"),
        &["Cache-Control: max-age=10, public", "ETag: \"a\""],
        &strict(),
    )
    .unwrap();
    let update = |asked: &[&str], line: &str| {
        let asked = get("/a").with(asked);
        freshen(
            &stored,
            asked.request(),
            &fields(&[line]),
            &strict(),
            after(1),
            after(1),
        )
        .map(|_| ())
    };
    assert_eq!(
        update(&[], "Cache-Control: no-store"),
        Err(Reason::NoStoreResponse)
    );
    assert_eq!(update(&[], "Cache-Control: private"), Err(Reason::Private));
    assert_eq!(update(&[], "Vary: *"), Err(Reason::VaryStar));
    assert_eq!(
        update(&["Cookie: a=b"], "Cache-Control: max-age=5"),
        Err(Reason::Cookie)
    );
    assert_eq!(update(&["Cookie: a=b"], "X: 1"), Ok(()));
}

#[test]
fn an_update_may_change_what_selects() {
    let stored = kept(
        &get("/a"),
        &["Cache-Control: max-age=10", "ETag: \"a\""],
        &strict(),
    )
    .unwrap();
    let asked = get("/a").with(&["Foo: 1"]);
    let updated = freshen(
        &stored,
        asked.request(),
        &fields(&["Vary: Foo"]),
        &strict(),
        after(1),
        after(1),
    )
    .unwrap();
    assert!(updated.selects(asked.request()) && !updated.selects(get("/a").request()));
}

#[test]
fn the_304s_cookies_are_for_its_client() {
    let mut answer = fields(&["A: 1"]);
    pass_cookies(
        &fields(&["Set-Cookie: a=b", "Set-Cookie: c=d", "B: 1"]),
        &mut answer,
    );
    assert_eq!(
        answer,
        fields(&["A: 1", "Set-Cookie: a=b", "Set-Cookie: c=d"])
    );
    pass_cookies(&HeaderMap::new(), &mut answer);
    assert_eq!(answer.get_all("set-cookie").iter().count(), 2);

    let keep = Policy {
        set_cookie: SetCookie::Keep,
        ..strict()
    };
    let stored = kept(
        &get("/a"),
        &["Cache-Control: max-age=1", "Set-Cookie: a=b"],
        &keep,
    )
    .unwrap();
    let updated = freshen(
        &stored,
        get("/a").request(),
        &fields(&["Set-Cookie: a=c"]),
        &keep,
        after(1),
        after(1),
    );
    assert_eq!(updated.unwrap().headers.get("set-cookie").unwrap(), "a=c");
}

fn head(said: &[&str], status: u16, came: &[&str]) -> HeadUpdate {
    let mut lines = vec!["Cache-Control: max-age=2", "A: 1", "B: 1"];
    lines.extend(said);
    let stored = kept(&get("/a"), &lines, &strict()).unwrap();
    let headers = fields(came);
    let received = Received {
        status: code(status),
        headers: &headers,
        sent: after(5),
        now: after(5),
    };
    head_update(
        ask("HEAD", "/a").request(),
        &stored,
        11,
        received,
        &strict(),
    )
}

#[test]
fn head_updates_what_it_describes() {
    // RFC 9111 §4.3.5
    let HeadUpdate::Updated(updated) = head(&[], 200, &["Cache-Control: max-age=99", "A: 2"])
    else {
        panic!()
    };
    assert_eq!(updated.lifetime, 99_000);
    assert_eq!(updated.received, after(5));
    assert_eq!(updated.headers.get("a").unwrap(), "2");
    assert_eq!(updated.headers.get("b").unwrap(), "1");
}

#[test]
fn head_outdates_what_it_does_not_describe() {
    // RFC 9111 §4.3.5
    let differs = HeadUpdate::Outdated(Reason::HeadDiffers);
    let tag: &[&str] = &["ETag: \"a\""];
    assert_eq!(head(tag, 200, &["ETag: \"b\""]), differs);
    assert_eq!(head(&[], 200, &["ETag: \"b\""]), differs);
    assert_eq!(
        head(&["Last-Modified: {-9}"], 200, &["Last-Modified: {-3}"]),
        differs
    );
    assert_eq!(head(&[], 200, &["Content-Length: 12"]), differs);
    assert_eq!(
        head(&["Content-Length: 11"], 200, &["Content-Length: x"]),
        differs
    );
    assert_eq!(
        head(tag, 200, &["Cache-Control: no-store"]),
        HeadUpdate::Outdated(Reason::NoStoreResponse)
    );
    for came in [&["ETag: \"a\""][..], &["Content-Length: 11"], &[]] {
        assert!(
            matches!(head(tag, 200, came), HeadUpdate::Updated(_)),
            "{came:?}"
        );
    }
}

#[test]
fn head_of_another_status_says_nothing() {
    // RFC 9111 §4.3.5
    for status in [204, 301, 404, 410, 500] {
        assert_eq!(
            head(&[], status, &["A: 2"]),
            HeadUpdate::Nothing,
            "{status}"
        );
    }
    assert_eq!(StatusCode::OK, 200);
}
