//! What the layer asks for and stores when it codes: the plain content, once, whoever comes first (and see `codings`).

use std::io::Read as _;

use shelflife::Cache;
use shelflife::tower::CacheLayer;

use super::origin::{App, Got, Origin, filled, get_with, reply};
use crate::gate::until;
use crate::on_both_stores;

const JSON: [(&str, &str); 3] = [
    ("content-type", "application/json"),
    ("cache-control", "max-age=60"),
    ("etag", "\"v1\""),
];

fn text() -> String {
    "{\"name\":\"Ada\",\"id\":42},".repeat(500)
}

fn origin() -> Origin {
    Origin::new(|_, _| reply(&JSON, text()))
}

fn compressing(cache: &Cache) -> CacheLayer {
    CacheLayer::builder(cache).compress(1000).build().unwrap()
}

async fn accepting(app: &App, accepted: &str) -> Got {
    get_with(app, "/", &[("accept-encoding", accepted)]).await
}

fn plain(got: &Got) -> String {
    let mut plain = String::new();
    match got.field("content-encoding") {
        "" => return got.text().to_owned(),
        "br" => brotli::Decompressor::new(&*got.body, 4096).read_to_string(&mut plain),
        "gzip" => flate2::read::GzDecoder::new(&*got.body).read_to_string(&mut plain),
        "zstd" => zstd::Decoder::new(&*got.body)
            .unwrap()
            .read_to_string(&mut plain),
        other => panic!("{other} was not asked for"),
    }
    .unwrap();
    plain
}

on_both_stores! {
    async fn one_stored_body_is_sent_in_the_form_that_each_client_takes(bench) {
        let cache = bench.long_windowed().await;
        let origin = origin();
        let app = origin.behind(&compressing(&cache));
        // Whoever comes first, whatever it takes: what is stored is plain, and is not asked for again.
        accepting(&app, "br").await;
        filled(&cache, 1).await;
        assert!(!origin.last().contains_key("accept-encoding"));
        let mut tags = std::collections::HashSet::new();
        for (accepted, coding) in [
            ("gzip, deflate", "gzip"),
            ("gzip, deflate, br, zstd", "br"),
            ("zstd", "zstd"),
            ("br;q=0, gzip;q=0.5", "gzip"),
            ("identity", ""),
            ("deflate", ""),
        ] {
            for _ in 0..2 {
                let got = accepting(&app, accepted).await;
                assert_eq!(got.field("content-encoding"), coding, "{accepted}");
                assert_eq!(plain(&got), text(), "{accepted}");
                assert_eq!(got.field("vary"), "accept-encoding", "{accepted}");
                assert!(got.is_hit(), "{}", got.said());
                if !coding.is_empty() {
                    assert_eq!(got.field("content-length"), got.body.len().to_string());
                }
                tags.insert(got.field("etag").to_owned());
            }
        }
        // RFC 9110 §8.8.3.3: the plain one's, and one of each coding.
        assert_eq!(tags.len(), 4, "{tags:?}");
        assert_eq!(origin.calls(), 1);
    }
}

#[tokio::test]
async fn a_tag_of_one_form_is_none_of_another() {
    let cache = Cache::memory();
    let app = origin().behind(&compressing(&cache));
    accepting(&app, "gzip").await;
    filled(&cache, 1).await;
    let coded = accepting(&app, "gzip").await.field("etag").to_owned();
    // RFC 9110 §8.8.3.3, §13.1.2
    let other = get_with(&app, "/", &[("if-none-match", &coded)]).await;
    assert_eq!(
        (other.status.as_u16(), other.field("etag")),
        (200, "\"v1\"")
    );
    // It got the plain one when there was nothing else, and that still holds.
    let first = [("accept-encoding", "gzip"), ("if-none-match", "\"v1\"")];
    let same = get_with(&app, "/", &first).await;
    assert_eq!((same.status.as_u16(), same.field("etag")), (304, "\"v1\""));
    // RFC 9110 §13.1.5: the rest of a coded one can't be had: the whole plain one is sent.
    let rest = [
        ("accept-encoding", "gzip"),
        ("range", "bytes=2-5"),
        ("if-range", &coded),
    ];
    let whole = get_with(&app, "/", &rest).await;
    assert_eq!((whole.status.as_u16(), whole.text()), (200, &*text()));
}

#[tokio::test]
async fn what_comes_coded_is_passed_on_and_not_stored() {
    let cache = Cache::memory();
    let origin = Origin::new(|_, _| {
        let mut response = reply(&JSON, text());
        response
            .headers_mut()
            .insert("content-encoding", "x-own".parse().unwrap());
        response
    });
    let app = origin.behind(&compressing(&cache));
    for _ in 0..2 {
        let got = accepting(&app, "gzip").await;
        assert_eq!(
            (got.field("content-encoding"), got.text()),
            ("x-own", &*text())
        );
        assert!(!got.is_hit());
    }
}

#[tokio::test]
async fn a_large_body_is_sent_plain_until_it_is_coded() {
    let cache = Cache::memory();
    let large = text().repeat(20);
    let body = large.clone();
    let origin = Origin::new(move |_, _| reply(&JSON, body.clone()));
    let app = origin.behind(&compressing(&cache));
    accepting(&app, "gzip").await;
    filled(&cache, 1).await;
    let first = accepting(&app, "gzip").await;
    assert_eq!(
        (first.field("content-encoding"), first.field("vary")),
        ("", "accept-encoding")
    );
    assert_eq!(first.text(), large);
    until(|| async { accepting(&app, "gzip").await.field("content-encoding") == "gzip" }).await;
    assert_eq!(plain(&accepting(&app, "gzip").await), large);
    assert_eq!(origin.calls(), 1);
}

#[tokio::test]
async fn nothing_is_coded_unless_the_layer_is_told() {
    let cache = Cache::memory();
    let app = origin().behind(&CacheLayer::new(&cache));
    accepting(&app, "gzip").await;
    filled(&cache, 1).await;
    let got = accepting(&app, "gzip").await;
    assert!(got.is_hit());
    assert_eq!((got.field("content-encoding"), got.field("vary")), ("", ""));
}
