//! What matches, what is taken, what is told of bad patterns; that nothing panics.

use proptest::prelude::*;

use super::*;

fn pattern(text: &str) -> PathPattern {
    PathPattern::parse(text).unwrap()
}

#[test]
fn patterns_match_raw_segments_as_axum_does() {
    for (text, matched, unmatched) in [
        ("/", &["/"][..], &["//", "/a", ""][..]),
        (
            "/users",
            &["/users"],
            &[
                "/users/", "/Users", "//users", "/user", "/users2", "/%75sers",
            ],
        ),
        ("/users/", &["/users/"], &["/users", "/users//"]),
        (
            "/users/{id}",
            &["/users/42", "/users/a%2Fb", "/users/é", "/users/{id}"],
            &[
                "/users/",
                "/users",
                "/users/42/",
                "/users/42/orders",
                "//users/42",
                "/users//42",
            ],
        ),
        (
            "/users/{id}/orders/{order}",
            &["/users/1/orders/2"],
            &["/users/1/orders", "/users//orders/2", "/users/1/orders/2/3"],
        ),
        (
            "/files/{*rest}",
            &["/files/a", "/files/a/b", "/files/a/", "/files//"],
            &["/files/", "/files", "/file/a"],
        ),
        ("/{*rest}", &["/a", "//", "/a/b"], &["/", ""]),
        ("/{{x}}/a:b", &["/{x}/a:b"], &["/{{x}}/a:b"]),
    ] {
        let pattern = pattern(text);
        assert_eq!(pattern.as_str(), text);
        for path in matched {
            assert!(pattern.matches(path), "{text} should match {path}");
        }
        for path in unmatched {
            assert!(!pattern.matches(path), "{text} should not match {path}");
        }
    }
}

#[test]
fn placeholders_take_what_stands_in_their_place() {
    let two = pattern("/a/{x}/{y}");
    assert_eq!(two.names().collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(two.taken("/a/1/2%20", "x"), Some("1"));
    assert_eq!(two.taken("/a/1/2%20", "y"), Some("2%20"));
    assert_eq!(two.taken("/a/1/2", "z"), None);
    assert_eq!(two.taken("/a/1", "x"), None);
    assert_eq!(pattern("/f/{*rest}").taken("/f/a/b/", "rest"), Some("a/b/"));
}

#[test]
fn bad_patterns_are_told_with_what_would_be_valid() {
    for (text, hint) in [
        ("", "begins with \"/\""),
        ("users", "begins with \"/\""),
        ("/users/:id", "{id} instead of \":id\""),
        ("/files/*", "{*rest} at the end instead of \"*\""),
        ("/files/*path", "{*path} at the end"),
        ("/{*rest}/x", "nothing after \"{*rest}\""),
        ("/{id}/{id}", "{id} comes twice"),
        ("/{id}.json", "a whole segment"),
        ("/v{id}", "a whole segment"),
        ("/{id", "a whole segment"),
        ("/id}", "a whole segment"),
        ("/{}", "a name of letters"),
        ("/{*}", "a name of letters"),
        ("/{user id}", "a name of letters"),
        ("/{a/b}", "a whole segment"),
        ("/a b", "\"%20\" instead of ' '"),
        ("/é", "\"%C3%A9\""),
        ("/a?b=1", "\"%3F\""),
    ] {
        let error = PathPattern::parse(text).unwrap_err();
        let told = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(told.contains(&format!("{text:?}")), "{told}");
        assert!(told.contains(hint), "{told} should say {hint}");
    }
}

#[test]
fn a_wider_pattern_covers_a_narrower_one() {
    for (wide, narrow, covers) in [
        ("/users/{id}", "/users/{name}", true),
        ("/users/{id}", "/users/me", true),
        ("/users/me", "/users/{id}", false),
        ("/{*rest}", "/users/{id}", true),
        ("/{*rest}", "/", false),
        ("/{*rest}", "/{*other}", true),
        ("/{a}", "/{*rest}", false),
        ("/a/{*rest}", "/a/", false),
        ("/a/{*rest}", "/a/b/", true),
        ("/a/{*rest}", "/a//", true),
        ("/{a}", "/", false),
        ("/a", "/a/b", false),
        ("/a/b", "/a", false),
    ] {
        assert_eq!(
            pattern(wide).covers(&pattern(narrow)),
            covers,
            "{wide} {narrow}"
        );
    }
}

#[test]
fn dot_segments_are_seen_however_they_are_written() {
    for path in [
        "/static/../account",
        "/static/..%2faccount",
        "/static/%2e%2e/account",
        "/static/.%2E/account",
        "/static/..%5Caccount",
        "/static/..\\account",
        "/static/..;/account",
        "/static/..;v=1/account",
        "/static/%252e%252e/account",
        "/static/.",
        "/./a",
        "/..",
    ] {
        assert!(has_dot_segment(path), "{path}");
    }
    for path in [
        "/",
        "/a.b/..c",
        "/.well-known/x",
        "/a%2Fb",
        "/...",
        "/a;../b",
        "/100%",
        "/%",
    ] {
        assert!(!has_dot_segment(path), "{path}");
    }
}

#[test]
fn decoding_keeps_what_is_no_text() {
    // RFC 3986 §2.1
    for (raw, text) in [
        ("42", "42"),
        ("a%20b%2Fc", "a b/c"),
        ("%C3%A9", "é"),
        ("%c3%a9", "é"),
        ("%FF", "%FF"),
        ("%4", "%4"),
        ("100%", "100%"),
        ("%zz%41", "%zzA"),
    ] {
        assert_eq!(decode(raw), text, "{raw}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_the_matcher_panic(text in ".{0,30}", path in ".{0,30}") {
        let _ = has_dot_segment(&path);
        let _ = decode(&path);
        if let Ok(pattern) = PathPattern::parse(&text) {
            let _ = pattern.matches(&path);
            let _ = pattern.taken(&path, "a");
        }
    }

    #[test]
    fn what_is_put_into_a_pattern_is_taken_out_again(
        id in "[^/]{1,12}", rest in ".{1,12}",
    ) {
        let pattern = pattern("/u/{id}/f/{*rest}");
        let path = format!("/u/{id}/f/{rest}");
        prop_assert_eq!(pattern.taken(&path, "id"), Some(id.as_str()));
        prop_assert_eq!(pattern.taken(&path, "rest"), Some(rest.as_str()));
    }

    #[test]
    fn a_covered_pattern_matches_nothing_more(
        wide in "(/([ab]|\\{x\\}|)){1,3}(/\\{\\*z\\})?",
        narrow in "(/([ab]|\\{y\\}|)){1,3}(/\\{\\*z\\})?",
        path in "(/[ab]?){1,4}",
    ) {
        if let (Ok(wide), Ok(narrow)) = (PathPattern::parse(&wide), PathPattern::parse(&narrow))
            && wide.covers(&narrow) && narrow.matches(&path) {
            prop_assert!(wide.matches(&path));
        }
    }
}
