//! One stored body, and what is made of it once for clients that take it smaller (RFC 9110 §8.4, §12.5.3).

use std::io::Read as _;

use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use shelflife::Cache;
use shelflife::tower::CacheLayer;

use super::origin::{App, Got, Origin, get, get_with, reply, request, send};
use crate::gate::until;

const TEXT: &[(&str, &str)] = &[
    ("cache-control", "max-age=60"),
    ("content-type", "application/json"),
    ("etag", "\"v1\""),
];

fn body() -> String {
    "{\"name\": \"Ada\", \"likes\": \"engines\"}\n".repeat(200)
}

fn compressing(cache: &Cache) -> CacheLayer {
    CacheLayer::builder(cache).compress(1000).build().unwrap()
}

async fn stored(app: &App) {
    until(|| async { get(app, "/").await.is_hit() }).await;
}

async fn coded(app: &App, accepts: &str) -> Got {
    get_with(app, "/", &[("accept-encoding", accepts)]).await
}

fn plain(coding: &str, bytes: &Bytes) -> String {
    let mut text = String::new();
    let mut reader: Box<dyn std::io::Read + '_> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(&bytes[..])),
        "br" => Box::new(brotli::Decompressor::new(&bytes[..], 4096)),
        "" => Box::new(&bytes[..]),
        other => panic!("nobody asked for {other}"),
    };
    reader.read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn each_client_gets_the_coding_it_prefers_of_one_stored_body() {
    let cache = Cache::memory();
    let origin = Origin::new(|_, _| reply(TEXT, body()));
    let app = origin.behind(&compressing(&cache));
    stored(&app).await;
    for (accepts, coding) in [
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("gzip;q=0.5, br", "br"),
        ("gzip;q=0", ""),
        ("identity", ""),
        ("bzip2", ""),
    ] {
        let got = coded(&app, accepts).await;
        assert!(got.is_hit(), "{accepts}: {}", got.said());
        assert_eq!(got.field("content-encoding"), coding, "{accepts}");
        assert_eq!(plain(coding, &got.body), body(), "{accepts}");
        if !coding.is_empty() {
            assert_eq!(got.field("content-length"), got.body.len().to_string());
        }
        // RFC 9110 §12.5.5: other caches must know what it depended on.
        assert_eq!(got.field("vary").to_ascii_lowercase(), "accept-encoding");
        // RFC 9110 §8.8.3.3: another representation, another tag.
        assert_eq!(
            got.field("etag") == "\"v1\"",
            coding.is_empty(),
            "{accepts}"
        );
        assert!(coding.is_empty() || got.body.len() < body().len() / 4);
    }
    assert_eq!((origin.calls(), cache.stats().fills), (1, 1));
}

#[tokio::test]
async fn a_coding_is_made_once() {
    let cache = Cache::memory();
    let origin = Origin::new(|_, _| reply(TEXT, body()));
    let app = origin.behind(&compressing(&cache));
    stored(&app).await;
    let (first, second) = (coded(&app, "gzip").await, coded(&app, "gzip").await);
    assert_eq!(first.field("content-encoding"), "gzip");
    assert_eq!(
        first.body.as_ptr(),
        second.body.as_ptr(),
        "the same bytes, not equal ones"
    );
}

#[tokio::test]
async fn conditions_and_ranges_hold_for_codings() {
    let cache = Cache::memory();
    let origin = Origin::new(|_, _| reply(TEXT, body()));
    let app = origin.behind(&compressing(&cache));
    stored(&app).await;
    let tag = coded(&app, "gzip").await.field("etag").to_owned();
    let fields = [("accept-encoding", "gzip"), ("if-none-match", &*tag)];
    let same = get_with(&app, "/", &fields).await;
    assert_eq!(
        (same.status, same.field("etag")),
        (StatusCode::NOT_MODIFIED, &*tag)
    );
    // A part of what was coded is of no use beside parts that were not.
    let fields = [("accept-encoding", "gzip"), ("range", "bytes=0-3")];
    let part = get_with(&app, "/", &fields).await;
    assert_eq!(
        (part.status, part.text()),
        (StatusCode::PARTIAL_CONTENT, "{\"na")
    );
    assert_eq!(part.field("content-encoding"), "");
    let head = send(
        &app,
        request(&Method::HEAD, "/", &[("accept-encoding", "gzip")]),
    )
    .await;
    assert_eq!((head.field("content-encoding"), head.text()), ("gzip", ""));
}

#[tokio::test]
async fn what_must_not_be_coded_is_not() {
    for fields in [
        &[("content-type", "image/png")][..],
        &[
            ("content-type", "text/plain"),
            ("cache-control", "max-age=60, no-transform"),
        ],
        &[("content-type", "text/plain"), ("x-large", "no")],
    ] {
        let cache = Cache::memory();
        let origin = Origin::new(move |_, _| {
            let large = !fields.iter().any(|(name, _)| *name == "x-large");
            let text = if large { body() } else { "small".to_owned() };
            let mut response = reply(fields, text);
            let control = "max-age=60".parse().unwrap();
            response
                .headers_mut()
                .entry("cache-control")
                .or_insert(control);
            response
        });
        let app = origin.behind(&compressing(&cache));
        stored(&app).await;
        let got = coded(&app, "gzip, br").await;
        assert_eq!(
            (got.is_hit(), got.field("content-encoding")),
            (true, ""),
            "{fields:?}"
        );
    }
}
