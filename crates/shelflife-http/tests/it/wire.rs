//! A stored head, written and read.

use shelflife_http::Stored;

use crate::said::{get, kept, strict};

fn whole() -> Stored {
    let asked = get("/a").with(&["Foo: 1, 2"]);
    let said = [
        "Cache-Control: max-age=10, stale-if-error=5",
        "Vary: Foo, Bar",
        "ETag: \"ü\"",
        "Last-Modified: {-9}",
        "X: 1",
        "X: 2",
        "Cache-Tag: a",
        "Cache-Groups: \"g\"",
    ];
    kept(&asked, &said, &strict()).unwrap()
}

#[test]
fn a_head_comes_back_as_it_was() {
    let stored = whole();
    let bytes = rmp_serde::to_vec_named(&stored).unwrap();
    assert_eq!(rmp_serde::from_slice::<Stored>(&bytes).unwrap(), stored);
}

#[test]
fn values_are_bytes_and_names_are_text() {
    // Readable in any language: ["etag", bin] and not a list of numbers.
    let bytes = rmp_serde::to_vec_named(&whole()).unwrap();
    let needle = b"\x92\xa4etag\xc4\x04\"\xc3\xbc\"";
    assert!(bytes.windows(needle.len()).any(|window| window == needle));
}

#[test]
fn damaged_bytes_are_an_error() {
    let bytes = rmp_serde::to_vec_named(&whole()).unwrap();
    for length in 0..bytes.len() {
        assert!(rmp_serde::from_slice::<Stored>(&bytes[..length]).is_err());
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let _ = rmp_serde::from_slice::<Stored>(&damaged);
    }
}
