//! Sending the request as it is: no redirects are followed, nothing is added but what HTTP needs.

use std::time::{Duration, Instant};

use axum::http::header::HOST;
use axum::http::{self, HeaderMap, StatusCode};
use bytes::Bytes;
use http_body_util::Empty;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use shelflife_http::Request;

use crate::failure::Failure;
use crate::web;

/// How long an answer may take, content included.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Fetcher {
    http: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

/// An answer: its head, and what is worth telling of the rest.
#[derive(Debug, Serialize)]
pub(super) struct Reply {
    status: u16,
    /// Name and value, in the order in which they came.
    pub(super) fields: Vec<(String, String)>,
    pub(super) bytes: u64,
    pub(super) took_ms: f64,
    #[serde(skip)]
    head: (StatusCode, HeaderMap),
}

impl Reply {
    pub(super) fn head(&self) -> (StatusCode, &HeaderMap) {
        (self.head.0, &self.head.1)
    }

    pub(super) fn status(&self) -> StatusCode {
        self.head.0
    }
}

impl Fetcher {
    pub(super) fn new() -> Self {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .build();
        Self {
            http: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    pub(super) async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let answered = tokio::time::timeout(PATIENCE, self.exchange(request)).await;
        answered.unwrap_or_else(|_| {
            Err(Failure::new(format!(
                "{} gave no whole answer in {} s",
                request.uri,
                PATIENCE.as_secs()
            )))
        })
    }

    async fn exchange(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let failed = |error: &dyn std::error::Error| {
            let mut text = format!("{} gave no answer: {error}", request.uri);
            let mut source = error.source();
            while let Some(error) = source {
                text += &format!(": {error}");
                source = error.source();
            }
            Failure::new(text).hint("is the server up, and is this its address?")
        };
        let mut asked = http::Request::new(Empty::new());
        *asked.method_mut() = request.method.clone();
        *asked.uri_mut() = request.uri.clone();
        *asked.headers_mut() = request.headers.clone();
        if let Some(host) = request.headers.get(HOST) {
            asked.headers_mut().insert(HOST, host.clone());
        }
        let began = Instant::now();
        let response = self.http.request(asked).await.map_err(|e| failed(&e))?;
        let (head, mut body) = response.into_parts();
        let drained = web::drained(&mut body).await;
        let bytes = drained.map_err(|error| Failure::new(format!("{}: {error}", request.uri)))?;
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let fields = head.headers.iter();
        Ok(Reply {
            status: head.status.as_u16(),
            fields: fields.map(|(n, v)| (n.to_string(), text(v))).collect(),
            bytes,
            took_ms: began.elapsed().as_secs_f64() * 1000.0,
            head: (head.status, head.headers),
        })
    }
}
