//! The tour's own HTTP client: it asks the API the way anybody else would, and takes the time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::http::{HeaderName, Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::api::{CACHE_STATUS, RECEIPT};
use crate::failure::Failure;

/// Clones share their connections.
#[derive(Clone, Debug)]
pub(crate) struct ApiClient {
    base: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// What the API has answered, and after how long.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) cache_status: String,
    pub(crate) receipt: Option<String>,
    pub(crate) body: Value,
    pub(crate) took: Duration,
}

impl ApiClient {
    pub(crate) fn new(address: SocketAddr) -> Self {
        ApiClient {
            base: format!("http://{address}"),
            http: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.send(Method::PUT, path, body.to_string().into()).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, Failure> {
        let failed = |error: &dyn std::error::Error| {
            Failure::new(format!("{method} {path} got no answer: {error}"))
        };
        let request = Request::builder()
            .method(&method)
            .uri(format!("{}{path}", self.base))
            .body(Full::new(body))
            .map_err(|error| failed(&error))?;
        let began = Instant::now();
        let response = self
            .http
            .request(request)
            .await
            .map_err(|error| failed(&error))?;
        let (head, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| failed(&error))?
            .to_bytes();
        let took = began.elapsed();
        let field = |name: &HeaderName| Some(head.headers.get(name)?.to_str().ok()?.to_owned());
        Ok(Answer {
            status: head.status,
            cache_status: field(&CACHE_STATUS).unwrap_or_default(),
            receipt: field(&RECEIPT),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            took,
        })
    }
}

impl Answer {
    /// Whether a stored and fresh value was the answer.
    pub(crate) fn is_hit(&self) -> bool {
        self.cache_status.contains("; hit") && !self.is_stale()
    }

    /// Whether a stored value past its time was the answer: RFC 9211 §2.3, a negative ttl, or the
    /// reason says that a soft invalidation named it.
    pub(crate) fn is_stale(&self) -> bool {
        self.cache_status.contains("; hit")
            && (self.cache_status.contains("ttl=-")
                || self.cache_status.contains("soft_invalidated"))
    }

    /// Whether the value had to be loaded.
    pub(crate) fn is_miss(&self) -> bool {
        // As a value is missed, and as a response is (RFC 9211 §2.2).
        self.cache_status.contains("fwd=miss") || self.cache_status.contains("fwd=uri-miss")
    }
}
