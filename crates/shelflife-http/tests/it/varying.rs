//! Several variants of one URL.

use shelflife_http::Reason;

use crate::said::{Asked, get, kept, strict};

fn variant(asked: &Asked, vary: &str) -> shelflife_http::Stored {
    kept(asked, &["Cache-Control: max-age=5", vary], &strict()).unwrap()
}

#[test]
fn a_response_is_selected_by_the_fields_its_vary_names() {
    // RFC 9111 §4.1
    let rows: &[(&[&str], &str, &[&str], bool)] = &[
        (&[], "X: no vary", &["Foo: 1"], true),
        (&["Foo: 1"], "Vary: Foo", &["foo: 1", "Other: 2"], true),
        (&["Foo: 1"], "Vary: Foo", &["Foo: 2"], false),
        (&["Foo: 1"], "Vary: Foo", &[], false),
        (&[], "Vary: Foo", &["Foo: 1"], false),
        (&[], "Vary: Foo", &[], true),
        (
            &["Foo: 1", "Bar: a"],
            "Vary: Foo, Bar",
            &["Bar: a", "Foo: 1"],
            true,
        ),
        (
            &["Foo: 1", "Bar: a"],
            "Vary: foo,bar,",
            &["Bar: b", "Foo: 1"],
            false,
        ),
        (&["Foo: 1", "Bar: a"], "Vary: Foo, Bar", &["Foo: 1"], false),
        (
            &["Foo: 1", "Baz: 7"],
            "Vary: Foo, Bar, Baz",
            &["Foo: 1", "Baz: 7"],
            true,
        ),
        (&["Foo: 1, 2"], "Vary: Foo", &["Foo: 1", "Foo: 2"], true),
        (
            &["Accept-Language: en, de"],
            "Vary: Accept-Language",
            &["Accept-Language: De,  eN"],
            true,
        ),
        (
            &["Accept-Language: en, de"],
            "Vary: Accept-Language",
            &["Accept-Language: fr;q=0.5, de"],
            false,
        ),
        (&["Cookie: a=b"], "Vary: Cookie", &["Cookie: a=B"], false),
    ];
    for (stored, vary, asked, expected) in rows {
        let stored = kept(
            &get("/a").with(stored),
            &["Cache-Control: max-age=5, public", vary],
            &strict(),
        )
        .unwrap();
        let asked = get("/a").with(asked);
        assert_eq!(
            stored.selects(asked.request()),
            *expected,
            "{vary}: {asked:?}"
        );
        // The variant's name says the same.
        let own = stored.variant_of(asked.request());
        assert_eq!(own == stored_name(&stored), *expected, "{vary}: {own}");
    }
}

/// The name of the stored variant itself, from what selects it.
fn stored_name(stored: &shelflife_http::Stored) -> String {
    let mut asked = get("/a");
    asked.headers.clear();
    for (name, value) in &stored.selected_by {
        if let Some(value) = value {
            asked
                .headers
                .append(name, http::HeaderValue::from_bytes(value).unwrap());
        }
    }
    stored.variant_of(asked.request())
}

#[test]
fn variants_have_names_that_cannot_be_mistaken() {
    let asked = |lines: &[&str]| get("/a").with(lines);
    let stored = variant(&get("/a"), "Vary: b, a");
    let name = |lines: &[&str]| stored.variant_of(asked(lines).request());
    assert_eq!(name(&[]), "a!&b!");
    assert_eq!(name(&["A: 1", "B:"]), "a=1&b=");
    assert_eq!(name(&["A: 1&b=2"]), "a=1%26b%3D2&b!");
    assert_eq!(name(&["A: 1", "B: 2"]), "a=1&b=2");
    assert_eq!(name(&["A: x%", "B: \"ü\""]), "a=x%25&b=%22%C3%BC%22");
}

#[test]
fn vary_star_is_never_selected_again() {
    // RFC 9111 §4.1
    for vary in [
        "Vary: *",
        "Vary: *, *",
        "Vary: , *",
        "Vary: Foo, *",
        "Vary: *, Foo",
    ] {
        let stored = kept(&get("/a"), &["Cache-Control: max-age=5", vary], &strict());
        assert_eq!(stored, Err(Reason::VaryStar), "{vary}");
    }
    let lines = ["Cache-Control: max-age=5", "Vary:", "Vary: *"];
    assert_eq!(kept(&get("/a"), &lines, &strict()), Err(Reason::VaryStar));
}
