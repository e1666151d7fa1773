//! What happens to a request between its connection and the cache.
//!
//! ```text
//!   admit (method, target, loops, fields of this hop) ─► upgrade? ─► upstream
//!                                                     └─► cache ─► upstream
//! ```

mod admit;

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};

use http::{HeaderValue, Request, Response};
use shelflife::tower::CacheService;
use tower_service::Service;

use crate::answer::{self, PROXY_STATUS};
use crate::body::{RequestBody, ResponseBody};
use crate::front::Answer;
use crate::live::{Live, Site};
use crate::upstream::{Upstream, UpstreamError};

/// The cache before the upstream.
pub(crate) type Cached = CacheService<Upstream>;

/// A connection's way to the answers. Takes up a new configuration between two requests.
#[derive(Clone)]
pub(crate) struct Pipeline {
    live: Arc<Live>,
    /// Which configuration `site` is.
    version: u64,
    site: Arc<Site>,
    cached: Cached,
}

/// What a request turned out to need.
enum Way<D, C> {
    Done(admit::Refused),
    Direct(D),
    Cached(C),
}

impl Pipeline {
    pub(crate) fn new(live: Arc<Live>) -> Self {
        let (version, site) = live.current();
        Pipeline {
            cached: site.cached.clone(),
            live,
            version,
            site,
        }
    }

    fn refresh(&mut self) {
        if self.live.version() != self.version {
            *self = Pipeline::new(self.live.clone());
        }
    }
}

impl Answer for Pipeline {
    fn answer(
        &mut self,
        mut request: Request<RequestBody>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send + use<> {
        self.refresh();
        let via = self.site.name.via.clone();
        let live = self.live.clone();
        let way = match admit::admit(&mut request, &self.site.name) {
            Err(refused) => Way::Done(refused),
            Ok(()) if request.body().upgrade.is_some() => {
                Way::Direct(self.site.upstream.clone().call(request))
            }
            Ok(()) => {
                // Both are always ready; it is asked because a service may count on it.
                let _ = self
                    .cached
                    .poll_ready(&mut Context::from_waker(Waker::noop()));
                Way::Cached(self.cached.call(request))
            }
        };
        async move {
            let response = match way {
                Way::Done(refused) => refused.map(ResponseBody::full),
                Way::Direct(answering) => match answering.await {
                    Ok(response) => response.map(ResponseBody::Upstream),
                    Err(error) => failed(&error, &via),
                },
                Way::Cached(answering) => match answering.await {
                    Ok(response) => response.map(ResponseBody::Cached),
                    Err(error) => failed(&error, &via),
                },
            };
            live.figures.responded(response.status());
            response
        }
    }
}

/// No answer from the upstream, and nothing stored that could do.
fn failed(error: &UpstreamError, via: &str) -> Response<ResponseBody> {
    let status = error.status();
    let source = std::error::Error::source(error).map(ToString::to_string);
    let source = source.unwrap_or_default();
    match status.is_server_error() {
        true => tracing::warn!(%error, source, "no answer from the upstream"),
        false => tracing::debug!(%error, source, "a request broke off"),
    }
    let mut response = answer::problem(status, &error.to_string());
    // RFC 9209 §2: for whoever looks for the fault.
    let status = format!("{via}; error={}", error.proxy_status());
    if let Ok(status) = HeaderValue::try_from(status) {
        response.headers_mut().insert(PROXY_STATUS, status);
    }
    response.map(ResponseBody::full)
}
