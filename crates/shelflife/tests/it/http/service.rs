//! The layer as a `tower` service: readiness, errors, and what a hit costs.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use shelflife::Cache;
use shelflife::tower::CacheLayer;
use tower::{Layer as _, Service, ServiceExt as _};

use super::origin::{Origin, get, layer, reply, request};
use crate::gate::{soon, until};

const MINUTE: &[(&str, &str)] = &[("cache-control", "max-age=60")];

/// Panics when it is called without having said that it is ready.
struct Particular {
    ready: bool,
}

impl Clone for Particular {
    fn clone(&self) -> Self {
        // Readiness is one instance's own.
        Self { ready: false }
    }
}

impl Service<Request<Body>> for Particular {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(self.ready, "called without having been polled ready");
        self.ready = false;
        std::future::ready(Ok(reply(MINUTE, "ready")))
    }
}

#[tokio::test]
async fn the_instance_that_was_polled_ready_is_the_one_that_is_called() {
    let cache = Cache::memory();
    let mut app = CacheLayer::new(&cache).layer(Particular { ready: false });
    for target in ["/a", "/b", "/a", "/c"] {
        for method in [Method::GET, Method::POST, Method::HEAD] {
            let Ok(()) = app.ready().await.map(drop);
            let Ok(response) = soon(app.call(request(&method, target, &[]))).await;
            assert_eq!(response.status(), StatusCode::OK);
        }
    }
}

#[derive(Debug, PartialEq)]
struct Own(&'static str);

#[tokio::test]
async fn the_error_of_the_service_comes_back_as_it_is() {
    let cache = Cache::memory();
    let failing =
        tower::service_fn(|_: Request<Body>| async { Err::<Response<Body>, Own>(Own("gone")) });
    let app = CacheLayer::new(&cache).layer(failing);
    for method in [Method::GET, Method::HEAD, Method::POST] {
        let failed = soon(app.clone().oneshot(request(&method, "/", &[]))).await;
        assert_eq!(failed.err(), Some(Own("gone")), "{method}");
    }
}

#[tokio::test]
async fn a_hit_is_there_when_the_call_returns() {
    use futures_util::FutureExt as _;
    let cache = Cache::memory();
    let origin = Origin::numbered(MINUTE);
    let mut app = origin.behind(&layer(&cache));
    get(&app, "/").await;
    until(|| async { get(&app, "/").await.is_hit() }).await;
    let answered = app.call(request(&Method::GET, "/", &[])).now_or_never();
    assert!(answered.is_some(), "without waiting for anything");
}

#[tokio::test]
async fn a_hit_allocates_no_more_for_more_fields() {
    use futures_util::FutureExt as _;
    let cache = Cache::memory();
    let origin = Origin::new(|parts, _| {
        let mut response = reply(MINUTE, "body");
        let count: usize = parts.uri.path()[1..].parse().unwrap();
        for at in 0..count {
            let name = axum::http::HeaderName::try_from(format!("x-{at}")).unwrap();
            response
                .headers_mut()
                .insert(name, format!("value {at}").parse().unwrap());
        }
        response
    });
    let mut app = origin.behind(&layer(&cache));
    let mut allocations = Vec::new();
    for target in ["/4", "/80"] {
        until(|| async { get(&app, target).await.is_hit() }).await;
        let request = request(&Method::GET, target, &[]);
        let mut answer = None;
        let counted = allocation_counter::measure(|| {
            answer = app.call(request).now_or_never();
        });
        assert!(answer.is_some());
        allocations.push(counted.count_total);
    }
    assert!(allocations[1] <= allocations[0] + 2, "{allocations:?}");
    assert!(allocations[0] <= 10, "{allocations:?}");
}
