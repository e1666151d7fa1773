//! What requests add to keys: readable cases first, then that no two sets of values share a text.

use http::Request;
use proptest::prelude::*;

use super::*;

fn parts(uri: &str, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn text(by: &[VaryBy], parts: &Parts) -> String {
    Varies::compile(by, &[])
        .unwrap()
        .text(parts)
        .unwrap()
        .unwrap_or_default()
}

#[test]
fn nothing_varies_without_a_rule_that_says_so() {
    let varies = Varies::compile(&[], &[]).unwrap();
    assert_eq!(varies.text(&parts("/", &[("x", "1")])), Ok(None));
}

#[test]
fn missing_empty_and_bare_are_three_values() {
    let page = [VaryBy::query("page")];
    for (uri, expected) in [
        ("/", "q.page!"),
        ("/?x=1", "q.page!"),
        ("/?page", "q.page"),
        ("/?page=", "q.page="),
        ("/?page=2", "q.page=2"),
        ("/?page=%32", "q.page=%32"),
        ("/?page=1&x=0&page=2", "q.page=1&q.page=2"),
        // A name is what a handler reads it as.
        ("/?%70age=2", "q.page=2"),
    ] {
        assert_eq!(text(&page, &parts(uri, &[])), expected, "{uri}");
    }
    let spaced = [VaryBy::query("a b")];
    assert_eq!(
        text(&spaced, &parts("/?a+b=1&a%20b=2", &[])),
        "q.a b=1&q.a b=2"
    );
    let header = [VaryBy::header("X-Tenant")];
    assert_eq!(text(&header, &parts("/", &[])), "h.x-tenant!");
    assert!(text(&header, &parts("/", &[("x-tenant", "")])).starts_with("h.x-tenant="));
}

#[test]
fn credentials_never_stand_in_the_key() {
    let by = [VaryBy::header("authorization"), VaryBy::cookie("session")];
    let request = parts(
        "/",
        &[
            ("authorization", "Bearer t0ps3cret"),
            ("cookie", "session=0xfeed"),
        ],
    );
    let text = text(&by, &request);
    assert!(
        !text.contains("t0ps3cret") && !text.contains("feed"),
        "{text}"
    );
    assert_eq!(
        text.len(),
        "h.authorization=".len() + 32 + "&c.session=".len() + 32
    );
}

#[test]
fn the_same_value_is_another_key_when_it_comes_another_way() {
    let request = parts("/?x=1", &[("x", "1"), ("cookie", "x=1")]);
    let all = [
        VaryBy::header("x"),
        VaryBy::query("x"),
        VaryBy::cookie("x"),
        VaryBy::principal(|_| Some("1".to_owned())),
    ];
    let texts: std::collections::HashSet<_> = all
        .iter()
        .map(|by| text(std::slice::from_ref(by), &request))
        .collect();
    assert_eq!(texts.len(), all.len());
}

#[test]
fn lines_and_cookies_are_delimited() {
    let header = [VaryBy::header("x")];
    let of = |values: &[&str]| {
        let fields: Vec<_> = values.iter().map(|value| ("x", *value)).collect();
        text(&header, &parts("/", &fields))
    };
    assert_ne!(of(&["a", "b"]), of(&["ab"]));
    assert_ne!(of(&["a", "b"]), of(&["a,b"]));
    assert_ne!(of(&["a", ""]), of(&["a"]));
    let cookie = [VaryBy::cookie("a")];
    let of = |line: &str| text(&cookie, &parts("/", &[("cookie", line)]));
    assert_ne!(of("a=1; a=2"), of("a=12"));
    assert_ne!(of("a="), of("b=1"));
    assert_eq!(of("a=1"), of("b=2; a=1"));
}

#[test]
fn a_principal_that_is_missing_is_no_principal() {
    let by = [VaryBy::principal(|parts| {
        parts
            .extensions
            .get::<&'static str>()
            .map(|name| (*name).to_owned())
    })];
    let varies = Varies::compile(&by, &[]).unwrap();
    let mut request = parts("/", &[]);
    assert_eq!(varies.text(&request), Err(NoPrincipal));
    request.extensions.insert("a&p=b");
    assert_eq!(varies.text(&request), Ok(Some("p=a%26p%3Db".to_owned())));
}

#[test]
fn only_what_is_in_the_key_makes_cookies_harmless() {
    let compile = |by: &[VaryBy], ignored: &[&str]| {
        let ignored: Vec<_> = ignored.iter().map(|name| (*name).to_owned()).collect();
        Varies::compile(by, &ignored).unwrap()
    };
    let two = parts("/", &[("cookie", "theme=dark; sid=1")]);
    let one = parts("/", &[("cookie", "theme=dark")]);
    let theme = compile(&[VaryBy::cookie("theme")], &[]);
    assert!(theme.covers_cookies(&one.headers));
    // `sid` may say who asks: answers by theme alone aren't for all.
    assert!(!theme.covers_cookies(&two.headers));
    assert!(compile(&[VaryBy::cookie("theme")], &["sid"]).covers_cookies(&two.headers));
    assert!(compile(&[VaryBy::header("Cookie")], &[]).covers_cookies(&two.headers));
    assert!(compile(&[VaryBy::principal(|_| None)], &[]).covers_cookies(&two.headers));
    assert!(!compile(&[], &[]).covers_cookies(&one.headers));
    assert!(compile(&[VaryBy::header("Authorization")], &[]).by_authorization());
    assert!(!compile(&[VaryBy::header("x-user")], &[]).by_authorization());
}

#[test]
fn bad_names_are_told() {
    for (by, hint) in [
        (
            VaryBy::header("x y"),
            "\"x y\"; expected the name of a header field",
        ),
        (
            VaryBy::cookie("a=b"),
            "\"a=b\"; expected the name of a cookie",
        ),
        (VaryBy::query(""), "the name of a query parameter"),
    ] {
        let told = Varies::compile(&[by], &[]).unwrap_err().to_string();
        assert!(told.contains(hint), "{told}");
    }
    let told = "principal".parse::<VaryBy>().unwrap_err().to_string();
    assert!(
        told.contains("\"principal\"") && told.contains("\"header:NAME\""),
        "{told}"
    );
    assert_eq!(
        format!("{:?}", "header:x".parse::<VaryBy>().unwrap()),
        "header:x"
    );
}

/// What one request has of each thing that the rule below varies by.
type Values = (Vec<String>, Vec<Option<String>>, Vec<String>, String);

fn of(values: &Values) -> String {
    let (lines, parameters, cookies, principal) = values;
    let query: Vec<String> = parameters
        .iter()
        .map(|value| match value {
            Some(value) => format!("q={value}"),
            None => "q".to_owned(),
        })
        .collect();
    let cookies: Vec<String> = cookies.iter().map(|value| format!("c={value}")).collect();
    let cookies = cookies.join("; ");
    let mut fields: Vec<(&str, &str)> = lines.iter().map(|line| ("h", line.as_str())).collect();
    fields.push(("cookie", &cookies));
    let mut request = parts(&format!("/?{}", query.join("&")), &fields);
    request.extensions.insert(principal.clone());
    let by = [
        VaryBy::header("h"),
        VaryBy::query("q"),
        VaryBy::cookie("c"),
        VaryBy::principal(|parts| parts.extensions.get::<String>().cloned()),
    ];
    text(&by, &request)
}

fn values() -> impl Strategy<Value = Values> {
    (
        prop::collection::vec("[ab=&!,]{0,3}", 0..3),
        prop::collection::vec(prop::option::of("[ab=!.,cp%]{0,3}"), 0..3),
        prop::collection::vec("[ab=&!]{0,3}", 0..3),
        "[ab=&!%p.é@]{0,4}",
    )
}

proptest! {
    #[test]
    fn two_sets_of_values_never_share_a_text(one in values(), other in values()) {
        prop_assert_eq!(one == other, of(&one) == of(&other), "{} {}", of(&one), of(&other));
    }

    #[test]
    fn a_change_of_one_value_changes_the_text(one in values(), at in 0..4_u8, line in "[ab]{1,2}") {
        let mut other = one.clone();
        match at {
            0 => other.0.push(line),
            1 => other.1.push(Some(line)),
            2 => other.2.push(line),
            _ => other.3.push_str(&line),
        }
        prop_assert_ne!(of(&one), of(&other));
    }

    #[test]
    fn no_request_panics(uri in "/[!-~]{0,20}", cookie in prop::collection::vec(32..127_u8, 0..30)) {
        let Ok(uri) = uri.parse::<http::Uri>() else { return Ok(()) };
        let mut request = parts("/", &[]);
        request.uri = uri;
        request.headers.insert("cookie", http::HeaderValue::from_bytes(&cookie).unwrap());
        let by = [VaryBy::cookie("a"), VaryBy::query("a"), VaryBy::header("cookie")];
        prop_assert!(text(&by, &request).starts_with("c.a"));
    }
}
