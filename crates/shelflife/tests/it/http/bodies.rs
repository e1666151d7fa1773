//! Bodies: streamed as they come, stored only when they are whole, never held beyond the limit.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response};
use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full, StreamBody};
use shelflife::Cache;
use shelflife::tower::CacheLayer;
use tower::{Layer as _, ServiceExt as _};

use super::origin::{Origin, get, layer, open, reply, request, whole};
use crate::gate::{Gate, soon, until};
use crate::on_both_stores;

const MINUTE: &[(&str, &str)] = &[("cache-control", "max-age=60")];

type Piece = Result<Bytes, std::io::Error>;

fn piece(text: &'static str) -> Piece {
    Ok(Bytes::from_static(text.as_bytes()))
}

/// "one", then whatever comes once the gate is open.
fn gated(gate: &Gate, then: fn() -> Piece) -> Body {
    let gate = gate.clone();
    let rest = stream::once(async move {
        gate.pass().await;
        then()
    });
    Body::from_stream(stream::iter([piece("one")]).chain(rest))
}

fn limited(cache: &Cache, most: u64) -> CacheLayer {
    CacheLayer::builder(cache).max_body(most).build().unwrap()
}

on_both_stores! {
    async fn the_first_byte_is_not_delayed_by_the_last(bench) {
        let cache = bench.long_windowed().await;
        let gate = Gate::closed();
        let origin = {
            let gate = gate.clone();
            Origin::new(move |_, _| reply(MINUTE, gated(&gate, || piece("two"))))
        };
        let app = origin.behind(&layer(&cache));
        let response = open(&app, request(&Method::GET, "/", &[])).await;
        let mut body = response.into_body();
        let first = soon(body.frame()).await.unwrap().unwrap();
        assert_eq!(
            first.into_data().unwrap(),
            "one",
            "while the origin still holds back the rest"
        );
        gate.release();
        assert_eq!(soon(body.collect()).await.unwrap().to_bytes(), "two");
        until(|| async { get(&app, "/").await.is_hit() }).await;
        assert_eq!((get(&app, "/").await.text(), origin.calls()), ("onetwo", 1));
    }

    async fn a_body_that_breaks_off_ends_in_an_error_and_is_not_stored(bench) {
        let cache = bench.cache().await;
        let origin = Origin::new(|parts, _| {
            let broken = || stream::iter([piece("one"), Err(std::io::Error::other("reset"))]);
            match parts.uri.path() {
                "/reset" => reply(MINUTE, Body::from_stream(broken())),
                "/panic" => {
                    let panics = stream::once(async { panic!("a body's own") });
                    reply(
                        MINUTE,
                        Body::from_stream(stream::iter([piece("one")]).chain(panics)),
                    )
                }
                // RFC 9112 §8: not as long as it said.
                "/short" => reply(
                    &[MINUTE[0], ("content-length", "4")],
                    Body::from_stream(stream::iter([piece("one")])),
                ),
                "/long" => reply(
                    &[MINUTE[0], ("content-length", "2")],
                    Body::from_stream(stream::iter([piece("one")])),
                ),
                _ => reply(
                    &[("cache-control", "no-store")],
                    Body::from_stream(broken()),
                ),
            }
        });
        let app = origin.behind(&layer(&cache));
        // A panic only once: who comes while the flight ends asks by itself, and then it is its own.
        for (target, times) in [
            ("/reset", 2),
            ("/short", 2),
            ("/long", 2),
            ("/panic", 1),
            ("/passed", 2),
        ] {
            for _ in 0..times {
                let before = origin.calls();
                let response = open(&app, request(&Method::GET, target, &[])).await;
                assert!(whole(response).await.is_err(), "{target}");
                assert_eq!(origin.calls(), before + 1, "{target}");
            }
        }
        assert_eq!(cache.stats().fills, 0);
    }

    async fn a_body_over_the_limit_streams_on_and_is_not_stored(bench) {
        let cache = bench.cache().await;
        for length in [None, Some("4000")] {
            let origin = Origin::new(move |_, _| {
                let pieces =
                    stream::iter((0..40).map(|_| Ok::<_, Infallible>(Bytes::from(vec![7; 100]))));
                let mut response = reply(MINUTE, Body::from_stream(pieces));
                if let Some(length) = length {
                    response
                        .headers_mut()
                        .insert("content-length", HeaderValue::from_static(length));
                }
                response
            });
            let app = origin.behind(&limited(&cache, 1000));
            for calls in 1..4 {
                let got = get(&app, "/").await;
                assert_eq!(
                    (got.body.len(), origin.calls()),
                    (4000, calls),
                    "{length:?}"
                );
            }
        }
        assert_eq!(cache.stats().fills, 0);
        let origin = Origin::new(|_, _| reply(MINUTE, vec![7; 1000]));
        let app = origin.behind(&limited(&cache, 1000));
        get(&app, "/exact").await;
        until(|| async { get(&app, "/exact").await.is_hit() }).await;
    }

    async fn a_fill_within_the_limit_goes_on_when_its_client_goes_away(bench) {
        let cache = bench.long_windowed().await;
        let gate = Gate::closed();
        let origin = {
            let gate = gate.clone();
            Origin::new(move |_, _| reply(MINUTE, gated(&gate, || piece("two"))))
        };
        let app = origin.behind(&layer(&cache));
        let response = open(&app, request(&Method::GET, "/", &[])).await;
        gate.entered().await;
        drop(response);
        gate.release();
        until(|| async { get(&app, "/").await.is_hit() }).await;
        assert_eq!((get(&app, "/").await.text(), origin.calls()), ("onetwo", 1));
    }

    async fn trailers_are_stored_with_their_body(bench) {
        let cache = bench.long_windowed().await;
        let origin = Origin::new(|_, _| {
            let trailers =
                HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("7"))]);
            let frames = [
                http_body::Frame::data(Bytes::from_static(b"body")),
                http_body::Frame::trailers(trailers),
            ];
            reply(
                MINUTE,
                Body::new(StreamBody::new(stream::iter(
                    frames.map(Ok::<_, Infallible>),
                ))),
            )
        });
        let app = origin.behind(&layer(&cache));
        let first = get(&app, "/").await;
        until(|| async { get(&app, "/").await.is_hit() }).await;
        for got in [first, get(&app, "/").await] {
            assert_eq!(
                (
                    got.text(),
                    got.trailers.as_ref().unwrap()["x-sum"].to_str().unwrap()
                ),
                ("body", "7")
            );
        }
    }

    async fn events_are_passed_on_as_they_come_and_never_stored(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let origin = {
            let gate = gate.clone();
            Origin::new(move |_, _| {
                let fields = [
                    ("cache-control", "max-age=60"),
                    ("content-type", "text/event-stream; charset=utf-8"),
                ];
                reply(&fields, gated(&gate, || piece("two")))
            })
        };
        let app = origin.behind(&layer(&cache));
        // Two clients at once: neither waits for the other's stream to end, which it never does.
        for calls in 1..3 {
            let response = open(
                &app,
                request(&Method::GET, "/", &[("accept", "text/event-stream")]),
            )
            .await;
            let mut body = response.into_body();
            assert_eq!(
                soon(body.frame())
                    .await
                    .unwrap()
                    .unwrap()
                    .into_data()
                    .unwrap(),
                "one"
            );
            assert_eq!(origin.calls(), calls);
        }
        assert_eq!(cache.stats().fills, 0);
    }
}

/// A body whose pieces tell how many of their bytes are held by anybody.
fn counted(
    held: &Arc<AtomicUsize>,
    most: &Arc<AtomicUsize>,
    pieces: usize,
) -> impl Stream<Item = Piece> + use<> {
    let (held, most) = (held.clone(), most.clone());
    stream::iter((0..pieces).map(move |_| {
        let now = held.fetch_add(PIECE, Ordering::SeqCst) + PIECE;
        most.fetch_max(now, Ordering::SeqCst);
        Ok(Bytes::from_owner(Held {
            bytes: vec![7; PIECE],
            held: held.clone(),
        }))
    }))
}

const PIECE: usize = 64 * 1024;

struct Held {
    bytes: Vec<u8>,
    held: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes.len(), Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_body_of_one_gib_passes_in_constant_memory() {
    const PIECES: usize = (1 << 30) / PIECE;
    const LIMIT: usize = 1 << 20;
    let cache = Cache::memory();
    let (held, most) = (Arc::default(), Arc::default());
    let origin = {
        let (held, most) = (Arc::clone(&held), Arc::clone(&most));
        Origin::new(move |_, _| reply(MINUTE, Body::from_stream(counted(&held, &most, PIECES))))
    };
    let app = origin.behind(&limited(&cache, LIMIT as u64));
    let mut body = open(&app, request(&Method::GET, "/", &[]))
        .await
        .into_body();
    let mut read = 0;
    while let Some(frame) = soon(body.frame()).await {
        read += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(read, 1 << 30);
    let most = most.load(Ordering::SeqCst);
    assert!(most <= LIMIT + 4 * PIECE, "{most} bytes were held at once");
    until(|| async { held.load(Ordering::SeqCst) == 0 }).await;
}

#[tokio::test]
async fn beyond_the_limit_the_client_sets_the_pace() {
    const LIMIT: usize = 4 * PIECE;
    let cache = Cache::memory();
    let (held, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let origin = {
        let (held, most) = (held.clone(), most.clone());
        Origin::new(move |_, _| reply(MINUTE, Body::from_stream(counted(&held, &most, 1000))))
    };
    let app = origin.behind(&limited(&cache, LIMIT as u64));
    let mut body = open(&app, request(&Method::GET, "/", &[]))
        .await
        .into_body();
    soon(body.frame()).await.unwrap().unwrap();
    // The client reads no more. Whoever reads on without it has all the turns it could want.
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    let read_ahead = most.load(Ordering::SeqCst);
    assert!(
        read_ahead <= LIMIT + 2 * PIECE,
        "{read_ahead} bytes were read ahead"
    );
    // And one that goes away frees them.
    drop(body);
    until(|| async { held.load(Ordering::SeqCst) == 0 }).await;
}

#[tokio::test]
async fn any_body_will_do() {
    let cache = Cache::memory();
    let service = tower::service_fn(|_: Request<Full<Bytes>>| async {
        // Its data is not `Bytes`, and it is no axum body.
        let mut response = Response::new(Full::new(VecDeque::from(*b"ring")));
        response
            .headers_mut()
            .insert("cache-control", HeaderValue::from_static("max-age=60"));
        Ok::<_, Infallible>(response)
    });
    let app = CacheLayer::new(&cache).layer(service);
    let ask = || async {
        let request = Request::builder()
            .uri("/")
            .header("host", "a.test")
            .body(Full::default())
            .unwrap();
        let Ok(response) = soon(app.clone().oneshot(request)).await;
        whole(response).await.unwrap()
    };
    assert_eq!(ask().await.text(), "ring");
    until(|| async { ask().await.is_hit() }).await;
    assert_eq!(ask().await.text(), "ring");
}

#[tokio::test]
async fn an_empty_body_is_a_body() {
    let cache = Cache::memory();
    let origin = Origin::new(|_, _| reply(MINUTE, Body::empty()));
    let app = origin.behind(&layer(&cache));
    get(&app, "/").await;
    until(|| async { get(&app, "/").await.is_hit() }).await;
    let got = get(&app, "/").await;
    assert_eq!(
        (got.status.as_u16(), got.text(), origin.calls()),
        (200, "", 1)
    );
}
