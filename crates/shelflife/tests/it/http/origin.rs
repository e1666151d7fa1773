//! A handler behind the layer: what it answers is scripted, what it is asked is kept.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use shelflife::Cache;
use shelflife::tower::{CacheBody, CacheLayer, CacheService};
use tower::{Layer as _, Service, ServiceExt as _};

use crate::gate::{Gate, soon, until};

pub type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
type Script = dyn Fn(Parts, usize) -> Answering + Send + Sync;

/// A service that answers by a script.
#[derive(Clone)]
pub struct Origin {
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<Parts>>>,
}

impl Origin {
    /// One that may take its time. The script gets the request and how many came before it.
    pub fn waiting<Fut>(script: impl Fn(Parts, usize) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        Self {
            script: Arc::new(move |parts, before| Box::pin(script(parts, before))),
            seen: Arc::default(),
        }
    }

    /// One that answers at once.
    pub fn new(script: impl Fn(&Parts, usize) -> Response<Body> + Send + Sync + 'static) -> Self {
        Self::waiting(move |parts, before| std::future::ready(script(&parts, before)))
    }

    /// One that answers everything with these fields, and with its number as the body: 0, 1, 2.
    pub fn numbered(fields: &'static [(&'static str, &'static str)]) -> Self {
        Self::new(move |_, before| reply(fields, before.to_string()))
    }

    /// The same; each request stops at a gate.
    pub fn gated(gate: &Gate, fields: &'static [(&'static str, &'static str)]) -> Self {
        let gate = gate.clone();
        Self::waiting(move |_, before| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                reply(fields, before.to_string())
            }
        })
    }

    /// How many requests came.
    pub fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The fields of the request that came at last.
    pub fn last(&self) -> HeaderMap {
        let seen = self.seen.lock().unwrap();
        seen.last().expect("a request came").headers.clone()
    }

    /// Behind a layer.
    pub fn behind(&self, layer: &CacheLayer) -> App {
        layer.layer(self.clone())
    }
}

impl Service<Request<Body>> for Origin {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (parts, _) = request.into_parts();
        let before = {
            let mut seen = self.seen.lock().unwrap();
            seen.push(parts.clone());
            seen.len() - 1
        };
        let answering = (self.script)(parts, before);
        Box::pin(async { Ok(answering.await) })
    }
}

pub type App = CacheService<Origin>;

/// A response of status 200.
pub fn reply(fields: &[(&str, &str)], body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::builder();
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

/// The same with a status.
pub fn reply_with(
    status: StatusCode,
    fields: &[(&str, &str)],
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = reply(fields, body);
    *response.status_mut() = status;
    response
}

pub fn request(method: &Method, target: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(target);
    if !fields.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "api.test");
    }
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

/// An answer that came whole.
#[derive(Debug)]
pub struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Got {
    pub fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// What this cache says it did.
    pub fn said(&self) -> &str {
        self.field("cache-status")
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn is_hit(&self) -> bool {
        self.said().contains("; hit")
    }
}

/// The response's head, its body still to come.
pub async fn open(app: &App, request: Request<Body>) -> Response<CacheBody<Body>> {
    let Ok(response) = soon(app.clone().oneshot(request)).await;
    response
}

pub async fn send(app: &App, request: Request<Body>) -> Got {
    whole(open(app, request).await).await.unwrap()
}

/// Reads a response to its end, or tells how it broke off.
pub async fn whole<B>(response: Response<B>) -> Result<Got, B::Error>
where
    B: axum::body::HttpBody<Data = Bytes>,
{
    let (parts, body) = response.into_parts();
    let collected = soon(body.collect()).await?;
    let trailers = collected.trailers().cloned();
    Ok(Got {
        status: parts.status,
        headers: parts.headers,
        body: collected.to_bytes(),
        trailers,
    })
}

pub async fn get(app: &App, target: &str) -> Got {
    send(app, request(&Method::GET, target, &[])).await
}

pub async fn get_with(app: &App, target: &str, fields: &[(&str, &str)]) -> Got {
    send(app, request(&Method::GET, target, fields)).await
}

/// Waits until so many responses have been stored since the cache was made, and nothing is under way.
pub async fn filled(cache: &Cache, times: u64) {
    until(|| async {
        let stats = cache.stats();
        stats.fills >= times && stats.flights == 0
    })
    .await;
}

/// A layer with the defaults of an application.
pub fn layer(cache: &Cache) -> CacheLayer {
    CacheLayer::new(cache)
}

/// A layer that follows RFC 9111 and nothing else, as a proxy does.
pub fn strict_layer(cache: &Cache) -> CacheLayer {
    CacheLayer::builder(cache)
        .policy(shelflife_http::Policy::proxy())
        .build()
        .unwrap()
}
