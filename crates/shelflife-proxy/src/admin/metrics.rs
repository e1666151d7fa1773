//! What the cache and the proxy count, for Prometheus: to operators, and on a listener that tells nothing else.
//!
//! Names no key, tag or URL, and needs no token: who scrapes need not be who may invalidate.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use shelflife::Cache;

use crate::answer;
use crate::body::{RequestBody, ResponseBody};
use crate::figures::Figures;
use crate::front::Answer;

/// The service of the listener that tells nothing else.
#[derive(Clone)]
pub(crate) struct MetricsAnswer {
    pub(crate) cache: Cache,
    pub(crate) figures: Arc<Figures>,
}

impl Answer for MetricsAnswer {
    fn answer(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send + use<> {
        let this = self.clone();
        async move {
            let response = match request.uri().path() {
                "/metrics" => respond(&this.cache, &this.figures, request.method()).await,
                _ => answer::problem(StatusCode::NOT_FOUND, "there is nothing here but /metrics"),
            };
            response.map(ResponseBody::full)
        }
    }
}

pub(super) async fn respond(cache: &Cache, figures: &Figures, method: &Method) -> Response<Bytes> {
    if ![Method::GET, Method::HEAD].contains(method) {
        return answer::method_not_allowed("GET, HEAD", "metrics are asked for with GET");
    }
    let kind = HeaderValue::from_static(shelflife::metrics::CONTENT_TYPE);
    answer::text(kind, cache.scrape().await + &figures.text())
}
