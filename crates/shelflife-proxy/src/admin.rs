//! What operators ask for: health, PURGE of one URL, invalidation.
//!
//! | request | token | answer |
//! |---|---|---|
//! | `GET /_shelflife/health/live` | no | 200 while the process serves |
//! | `GET /_shelflife/health/ready` | no | 200, or 503 when it is ending |
//! | `GET /_shelflife/health` | no | both |
//! | `GET /metrics` | no | what the cache and the proxy count, for Prometheus |
//! | `PURGE http://host/path` | yes | what is stored for this URL is dead, in every variant |
//! | `POST /_shelflife/invalidate` | yes | the same for keys, tags, patterns, URLs, or everything |
//! | `GET /_shelflife/` | yes | the page that shows what the cache does, and its API: `shelflife-admin` |
//!
//! Must not: be reachable by clients. It has a listener of its own.

mod metrics;
mod page;
mod purge;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde_json::json;
use shelflife::{Cache, Invalidation};
use tokio_util::sync::CancellationToken;

pub(crate) use self::metrics::MetricsAnswer;
pub(crate) use self::page::{Page, PageBody};
use self::purge::Purge;
use crate::answer;
use crate::body::{RequestBody, ResponseBody};
use crate::figures::Figures;
use crate::front::Answer;

/// How long an invalidation's JSON may be.
const DOCUMENT: usize = 1 << 20;

/// The operators' service.
#[derive(Clone)]
pub(crate) struct AdminAnswer {
    cache: Cache,
    figures: Arc<Figures>,
    token: Arc<str>,
    page: Page,
    ending: CancellationToken,
}

impl AdminAnswer {
    pub(crate) fn new(
        cache: Cache,
        figures: Arc<Figures>,
        token: Arc<str>,
        page: Page,
        ending: CancellationToken,
    ) -> Self {
        AdminAnswer {
            cache,
            figures,
            token,
            page,
            ending,
        }
    }

    async fn respond(self, request: Request<RequestBody>) -> Response<Bytes> {
        let path = request.uri().path();
        if request.method().as_str() == "PURGE" {
            return match self.authorize(request.headers()) {
                Ok(()) => self.purge(&request).await,
                Err(refused) => *refused,
            };
        }
        match (path, request.method()) {
            (
                "/_shelflife/health" | "/_shelflife/health/live" | "/_shelflife/health/ready",
                method,
            ) => match *method {
                Method::GET | Method::HEAD => self.health(path),
                _ => answer::method_not_allowed("GET, HEAD", "health is asked for with GET"),
            },
            ("/metrics", method) => metrics::respond(&self.cache, &self.figures, method).await,
            ("/_shelflife/invalidate", method) => match self.authorize(request.headers()) {
                Ok(()) if *method == Method::POST => self.invalidate(request).await,
                Ok(()) => answer::method_not_allowed("POST", "an invalidation is a POST"),
                Err(refused) => *refused,
            },
            _ => answer::problem(
                StatusCode::NOT_FOUND,
                "there is nothing here; see docs/proxy.md",
            ),
        }
    }

    fn health(&self, path: &str) -> Response<Bytes> {
        let ready = !self.ending.is_cancelled();
        let status = match ready || path.ends_with("/live") {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        answer::json(status, &json!({ "live": true, "ready": ready }))
    }

    /// RFC 6750 §2.1. Compared by digests of equal length, in a time that says nothing of where they differ.
    fn authorize(&self, headers: &HeaderMap) -> Result<(), Box<Response<Bytes>>> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let token = match (given.next(), given.next()) {
            (Some(field), None) => bearer(field),
            _ => None,
        };
        let expected = blake3::hash(self.token.as_bytes());
        // blake3's equality takes constant time.
        if token.is_some_and(|token| blake3::hash(token) == expected) {
            return Ok(());
        }
        let detail = "this needs the token of the configuration: Authorization: Bearer …";
        let mut refused = answer::problem(StatusCode::UNAUTHORIZED, detail);
        let scheme = HeaderValue::from_static("Bearer realm=\"shelflife\"");
        refused.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        Err(Box::new(refused))
    }

    async fn purge(&self, request: &Request<RequestBody>) -> Response<Bytes> {
        match Purge::of_request(request) {
            Ok(purge) => self.carry_out(purge).await,
            Err(detail) => answer::problem(StatusCode::BAD_REQUEST, &detail),
        }
    }

    async fn invalidate(&self, request: Request<RequestBody>) -> Response<Bytes> {
        let document = match Limited::new(request.into_body(), DOCUMENT).collect().await {
            Ok(document) => document.to_bytes(),
            Err(error) => {
                let status = match error.is::<http_body_util::LengthLimitError>() {
                    true => StatusCode::PAYLOAD_TOO_LARGE,
                    false => StatusCode::BAD_REQUEST,
                };
                return answer::problem(status, "the document could not be read, or is over 1 MiB");
            }
        };
        match Purge::of_document(&document) {
            Ok(purge) => self.carry_out(purge).await,
            Err(detail) => answer::problem(StatusCode::BAD_REQUEST, &detail),
        }
    }

    async fn carry_out(&self, purge: Purge) -> Response<Bytes> {
        let Purge {
            invalidation,
            everywhere,
        } = purge;
        let invalidating = self.cache.invalidate(invalidation);
        let done = match everywhere {
            true => invalidating.everywhere().await,
            false => invalidating.await,
        };
        match done {
            Ok(receipt) => answer::json(StatusCode::OK, &json!({ "receipt": receipt.to_string() })),
            Err(error) => {
                tracing::warn!(%error, "an invalidation was not confirmed");
                let detail = "not confirmed: entries may still be served; send it again";
                answer::problem(StatusCode::SERVICE_UNAVAILABLE, detail)
            }
        }
    }
}

fn bearer(field: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = field.as_bytes().split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

impl Answer for AdminAnswer {
    fn answer(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send + use<> {
        let this = self.clone();
        async move {
            match is_own(&request) || !page::is_below(request.uri().path()) {
                true => this.respond(request).await.map(ResponseBody::full),
                false => this.page.respond(request, this.ending).await,
            }
        }
    }
}

/// Whether a request is answered here rather than by the page.
fn is_own(request: &Request<RequestBody>) -> bool {
    let path = request.uri().path();
    request.method().as_str() == "PURGE"
        || path == "/_shelflife/invalidate"
        || path == "/_shelflife/health"
        || path.starts_with("/_shelflife/health/")
}

/// Nothing named is a mistake, not an empty success.
fn named(invalidation: Invalidation) -> Result<Invalidation, String> {
    match invalidation.is_empty() {
        true => Err("nothing is named: valid are keys, tags, patterns, urls, all".to_owned()),
        false => Ok(invalidation),
    }
}
