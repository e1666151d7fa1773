//! What is coded, what its fields say, and that it is made once.

use http::{Method, Uri};
use shelflife_http::{Policy, store};

use super::*;

fn stored(fields: &[(&'static str, &str)]) -> Stored {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("max-age=60"),
    );
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    let request = Request {
        method: &Method::GET,
        uri: &Uri::from_static("/"),
        headers: &HeaderMap::new(),
    };
    store(
        request,
        http::StatusCode::OK,
        &headers,
        &Policy::proxy(),
        0,
        0,
    )
    .unwrap()
}

#[test]
fn only_text_that_is_not_coded_yet_is_worth_it() {
    let worth = |fields: &[(&'static str, &str)], len| {
        let head = stored(fields);
        is_compressible(&head.headers, len, 1000)
    };
    for of_text in [
        "application/json",
        "text/html; charset=utf-8",
        "TEXT/CSS",
        "application/problem+json ; x=1",
        "image/svg+xml",
    ] {
        assert!(worth(&[("content-type", of_text)], 1000), "{of_text}");
    }
    for other in [
        "image/png",
        "application/zip",
        "text/event-stream",
        "font/woff2",
        "",
        "json",
    ] {
        assert!(!worth(&[("content-type", other)], 1000), "{other}");
    }
    let json = ("content-type", "application/json");
    assert!(!worth(&[json], 999));
    assert!(!worth(&[], 1000));
    assert!(!worth(&[json, ("content-encoding", "gzip")], 1000));
    // RFC 9111 §5.2.2.6
    assert!(!worth(&[json, ("cache-control", "no-transform")], 1000));
}

#[test]
fn each_coding_has_a_strong_tag_of_its_own() {
    // RFC 9110 §8.8.3.3
    for (tag, expected) in [
        ("\"a\"", Some("\"a-br\"")),
        ("\"\"", Some("\"-br\"")),
        ("W/\"a\"", None),
        ("a", Some("a-br")),
        ("\"", Some("\"-br")),
    ] {
        let tag = HeaderValue::from_str(tag).unwrap();
        let coded = coded_tag(&tag, Coding::Brotli);
        assert_eq!(
            coded.as_ref().map(|tag| tag.to_str().unwrap()),
            expected,
            "{tag:?}"
        );
    }
}

#[test]
fn the_fields_of_a_coded_body_are_its_own() {
    let mut headers = stored(&[
        ("content-type", "application/json"),
        ("content-length", "1000"),
        ("content-digest", "sha-256=:AA==:"),
        ("accept-ranges", "bytes"),
        ("vary", "accept-language"),
        ("etag", "\"v1\""),
    ])
    .headers;
    coded_headers(&mut headers, Coding::Gzip, 99);
    let line = |name| {
        let values = headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap());
        values.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(line("content-encoding"), "gzip");
    assert_eq!(line("content-length"), "99");
    assert_eq!(line("etag"), "\"v1-gzip\"");
    assert_eq!(line("vary"), "accept-language, accept-encoding");
    assert_eq!(line("content-digest"), "");
    assert_eq!(line("accept-ranges"), "");
}

#[test]
fn vary_names_the_field_once() {
    for (vary, expected) in [
        ("Accept-Encoding", 1),
        ("*", 1),
        ("a, accept-encoding", 1),
        ("a", 2),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::VARY, HeaderValue::from_static(vary));
        varies(&mut headers);
        varies(&mut headers);
        assert_eq!(
            headers.get_all(header::VARY).iter().count(),
            expected,
            "{vary}"
        );
    }
}

#[cfg(feature = "compression")]
mod made {
    use std::io::Read as _;

    use shelflife_http::answer_headers;

    use super::*;

    fn decoded(coding: Coding, coded: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match coding {
            Coding::Gzip => {
                flate2::read::GzDecoder::new(coded)
                    .read_to_end(&mut plain)
                    .unwrap();
            }
            Coding::Brotli => {
                brotli::Decompressor::new(coded, 4096)
                    .read_to_end(&mut plain)
                    .unwrap();
            }
            Coding::Zstd => plain = zstd::decode_all(coded).unwrap(),
        }
        plain
    }

    fn body() -> Bytes {
        "{\"name\":\"Ada\",\"id\":42},".repeat(500).into()
    }

    const ENCODER: Encoder = Encoder { over: 1000 };

    /// The form that a request with these fields gets.
    fn form<'a>(
        fields: &[(&'static str, &str)],
        (head, body, encodings): (&'a Stored, &'a Bytes, &'a Encodings),
    ) -> Form<'a> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let request = Request {
            method: &Method::GET,
            uri: &Uri::from_static("/"),
            headers: &headers,
        };
        ENCODER.form(request, head, body, encodings, 1)
    }

    fn coding(form: Form<'_>) -> &str {
        let name = form.head.headers.get(header::CONTENT_ENCODING);
        name.map_or("identity", |name| name.to_str().unwrap())
    }

    fn json(more: &[(&'static str, &str)]) -> Stored {
        let mut fields = vec![("content-type", "application/json")];
        fields.extend(more);
        stored(&fields)
    }

    #[test]
    fn every_coding_is_smaller_and_reads_back() {
        let (head, body, encodings) = (json(&[]), body(), Encodings::default());
        let all = (&head, &body, &encodings);
        for coding in OFFERED {
            let form = form(&[("accept-encoding", coding.as_str())], all);
            assert_eq!(self::coding(form), coding.as_str());
            assert!(
                !form.varies && form.body.len() * 4 < body.len(),
                "{coding:?}"
            );
            assert_eq!(decoded(*coding, form.body), body, "{coding:?}");
        }
        // Made once: the next request gets the same bytes.
        let again = |accepted| form(&[("accept-encoding", accepted)], all).body.as_ptr();
        assert_eq!(again("gzip"), again("gzip;q=0.5"));
        let plain = form(&[], all);
        assert_eq!((coding(plain), plain.varies), ("identity", true));
    }

    #[test]
    fn what_is_not_to_be_coded_does_not_vary() {
        let encodings = Encodings::default();
        let accepted = [("accept-encoding", "gzip")];
        let (image, small, coded) = (
            stored(&[("content-type", "image/png")]),
            json(&[]),
            json(&[("content-encoding", "br")]),
        );
        for (head, body) in [
            (&image, body()),
            (&small, Bytes::from_static(b"{}")),
            (&coded, body()),
        ] {
            let form = form(&accepted, (head, &body, &encodings));
            assert!(!form.varies && form.body == &body);
        }
        assert!(encodings.0.get().is_none());
    }

    #[test]
    fn large_bodies_read_back_too() {
        let mut random = fastrand::Rng::with_seed(7);
        let words: Vec<String> = (0..300).map(|_| format!("{:x} ", random.u32(..))).collect();
        let text: String = (0..200_000)
            .map(|_| words[random.usize(..300)].as_str())
            .collect();
        for coding in OFFERED {
            let coded = coder::code(*coding, text.as_bytes()).unwrap();
            assert!(coded.len() < text.len() / 2, "{coding:?}");
            assert!(decoded(*coding, &coded) == text.as_bytes(), "{coding:?}");
        }
    }

    #[tokio::test]
    async fn a_large_body_is_coded_behind_the_request_that_asks_first() {
        let text = Bytes::from("{\"name\":\"Ada\"},".repeat(20_000));
        let (head, encodings) = (json(&[]), Encodings::default());
        let accepted = [("accept-encoding", "gzip")];
        // One thread runs this test: it has not yielded, so whatever is made is made behind.
        let first = form(&accepted, (&head, &text, &encodings));
        assert_eq!((coding(first), first.varies), ("identity", true));
        let slots = encodings.0.get().unwrap().clone();
        let made =
            tokio::task::spawn_blocking(move || slots[Coding::Gzip.index()].made.wait().is_some());
        assert!(made.await.unwrap());
        assert_eq!(coding(form(&accepted, (&head, &text, &encodings))), "gzip");
    }

    #[test]
    fn what_would_not_be_smaller_is_not_tried_again() {
        let mut random = fastrand::Rng::with_seed(7);
        let noise: Bytes = (0..2000).map(|_| random.u8(..)).collect::<Vec<u8>>().into();
        let (head, encodings) = (json(&[]), Encodings::default());
        for _ in 0..2 {
            let form = form(&[("accept-encoding", "gzip")], (&head, &noise, &encodings));
            assert_eq!((coding(form), form.varies), ("identity", true));
        }
        let slot = &encodings.0.get().unwrap()[Coding::Gzip.index()];
        assert!(matches!(slot.made.get(), Some(None)));
    }

    #[test]
    fn one_of_many_makes_it() {
        let (head, body, encodings) = (json(&[]), body(), Encodings::default());
        // Somebody is at it: nobody waits, nobody does the same.
        let slots = encodings.0.get_or_init(Arc::default);
        slots[Coding::Gzip.index()]
            .claimed
            .store(true, Ordering::Relaxed);
        let all = (&head, &body, &encodings);
        assert_eq!(
            coding(form(&[("accept-encoding", "gzip")], all)),
            "identity"
        );
        assert!(slots[Coding::Gzip.index()].made.get().is_none());
        assert_eq!(coding(form(&[("accept-encoding", "br")], all)), "br");
    }

    #[test]
    fn conditions_are_judged_by_the_tag_of_the_form() {
        // RFC 9110 §8.8.3.3, §13.1.2
        let (head, body, encodings) = (json(&[("etag", "\"v1\"")]), body(), Encodings::default());
        let asked = |accepted: &str, tag: &str| {
            let fields = [("accept-encoding", accepted), ("if-none-match", tag)];
            let form = form(&fields, (&head, &body, &encodings));
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, tag.parse().unwrap());
            let request = Request {
                method: &Method::GET,
                uri: &Uri::from_static("/"),
                headers: &headers,
            };
            let answer = answer(request, form.head, form.body.len() as u64, 1);
            let fields = answer_headers(form.head, &answer, form.body.len() as u64, 1);
            (answer, fields[header::ETAG].to_str().unwrap().to_owned())
        };
        let not_modified = |tag: &str| (Answer::NotModified, tag.to_owned());
        let full = |tag: &str| (Answer::Full, tag.to_owned());
        assert_eq!(asked("br", "\"v1-br\""), not_modified("\"v1-br\""));
        // It got the identity when there was nothing else, and that still holds.
        assert_eq!(asked("br", "\"v1\""), not_modified("\"v1\""));
        assert_eq!(asked("br", "\"v0-br\""), full("\"v1-br\""));
        assert_eq!(asked("gzip", "\"v1-br\""), full("\"v1-gzip\""));
        assert_eq!(asked("identity", "\"v1-br\""), full("\"v1\""));
    }
}
