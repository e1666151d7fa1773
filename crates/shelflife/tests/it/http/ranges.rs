//! Parts of what is stored whole (RFC 9110 §14).

use axum::http::{Method, StatusCode};

use super::origin::{Origin, get, get_with, layer, reply, reply_with, request, send};
use crate::gate::until;
use crate::on_both_stores;

const ETAG: &str = "\"v1\"";
const BODY: &str = "0123456789";

fn whole_with_etag() -> Origin {
    Origin::new(|parts, _| match parts.headers.contains_key("range") {
        true => reply_with(
            StatusCode::PARTIAL_CONTENT,
            &[
                ("cache-control", "max-age=60"),
                ("content-range", "bytes 0-1/10"),
            ],
            "01",
        ),
        false => reply(&[("cache-control", "max-age=60"), ("etag", ETAG)], BODY),
    })
}

on_both_stores! {
    async fn a_part_is_cut_from_the_stored_whole(bench) {
        let cache = bench.long_windowed().await;
        let origin = whole_with_etag();
        let app = origin.behind(&layer(&cache));
        get(&app, "/").await;
        until(|| async { get(&app, "/").await.is_hit() }).await;
        for (range, part, field) in [
            ("bytes=0-3", "0123", "bytes 0-3/10"),
            ("bytes=4-", "456789", "bytes 4-9/10"),
            ("bytes=-2", "89", "bytes 8-9/10"),
            ("bytes=9-99", "9", "bytes 9-9/10"),
        ] {
            let got = get_with(&app, "/", &[("range", range)]).await;
            assert_eq!(
                (got.status, got.text()),
                (StatusCode::PARTIAL_CONTENT, part),
                "{range}"
            );
            assert_eq!(got.field("content-range"), field);
            assert_eq!(got.field("content-length"), part.len().to_string());
        }
        let none = get_with(&app, "/", &[("range", "bytes=10-")]).await;
        assert_eq!(
            (none.status, none.text()),
            (StatusCode::RANGE_NOT_SATISFIABLE, "")
        );
        assert_eq!(none.field("content-range"), "bytes */10");
        for ignored in ["lines=0-3", "bytes=3-1", "bytes=a-b", "bytes=0-1,3-4"] {
            let got = get_with(&app, "/", &[("range", ignored)]).await;
            assert_eq!(
                (got.status, got.text()),
                (StatusCode::OK, BODY),
                "{ignored}"
            );
        }
        // RFC 9110 §13.1.5
        let same = get_with(&app, "/", &[("range", "bytes=0-1"), ("if-range", ETAG)]).await;
        assert_eq!(same.status, StatusCode::PARTIAL_CONTENT);
        let other = get_with(&app, "/", &[("range", "bytes=0-1"), ("if-range", "\"v0\"")]).await;
        assert_eq!((other.status, other.text()), (StatusCode::OK, BODY));
        let head = send(&app, request(&Method::HEAD, "/", &[("range", "bytes=0-1")])).await;
        assert_eq!(
            (head.status, head.field("content-length")),
            (StatusCode::OK, "10")
        );
        assert_eq!(origin.calls(), 1);
    }

    async fn a_part_is_passed_on_and_not_stored(bench) {
        let cache = bench.cache().await;
        let origin = whole_with_etag();
        let app = origin.behind(&layer(&cache));
        for calls in 1..4 {
            let got = get_with(&app, "/", &[("range", "bytes=0-1")]).await;
            assert_eq!(
                (got.status, got.text()),
                (StatusCode::PARTIAL_CONTENT, "01")
            );
            assert_eq!(origin.calls(), calls);
            assert!(
                origin.last().contains_key("range"),
                "the origin sends no more than was asked for"
            );
        }
        let whole = get(&app, "/").await;
        assert_eq!((whole.status, whole.text()), (StatusCode::OK, BODY));
    }
}
