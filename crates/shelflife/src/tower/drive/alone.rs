//! Answers that need no flight: from what is stored, from the service alone, or none.

use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use shelflife_http::{self as rules, Forwarded, Reason as Rule};
use tower_service::Service;

use super::{Context, Drive, Fallback, Found, Step};
use crate::tower::answer::{from_stored, own, said, through};
use crate::tower::body::{BoxError, CacheBody};
use crate::tower::kept::{Kept, Whole};
use crate::tower::load::Ready;
use crate::tower::why::Why;

impl<S, Q, B> Drive<S, Q>
where
    S: Service<Request<Q>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    Q: Body + Send + 'static,
    Q::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// From what was found, as it is; `why` it may be, if it is stale.
    pub(super) fn from(
        &self,
        found: &Found,
        whole: &Whole,
        forwarded: Forwarded,
        why: Option<Rule>,
    ) -> Step<B> {
        if !found.was_fetched() {
            let detail = why.map_or_else(|| found.tier(), Rule::as_str);
            return Step::Done(self.stored(whole, detail));
        }
        let Context { config, facts, .. } = &*self.context;
        let now = config.now();
        let mut status = config.forwarded(forwarded);
        if let Some(status) = &mut status {
            status.collapsed = true;
            status.ttl = Some(whole.head.fresh_left(now).div_euclid(1000));
        }
        Step::Done(from_stored(config, whole, facts.request(), now, status))
    }

    pub(super) fn stored(&self, whole: &Whole, detail: &'static str) -> Response<CacheBody<B>> {
        let Context { config, facts, .. } = &*self.context;
        let now = config.now();
        let status = config.hit(whole.head.fresh_left(now), detail);
        from_stored(config, whole, facts.request(), now, status)
    }

    /// The request goes to the service by itself, as the client sent it.
    pub(super) async fn alone(
        &self,
        why: Why,
        fallback: Fallback,
    ) -> Result<Response<CacheBody<B>>, S::Error> {
        let config = &self.context.config;
        #[cfg_attr(not(feature = "binding"), expect(unused_mut))]
        let Some(Ready {
            mut service,
            mut request,
        }) = self.slot.take()
        else {
            return Ok(self.given_up());
        };
        #[cfg(feature = "binding")]
        request
            .extensions_mut()
            .insert(crate::tower::by_hand::Alone);
        let sent = config.now();
        let stored = fallback.0.as_deref().and_then(Kept::whole);
        let response = match (service.call(request).await, stored) {
            (Err(_), Some(whole)) => {
                return Ok(self.stored(whole, Rule::StaleIfError.as_str()));
            }
            (response, _) => response?,
        };
        if let Some(whole) = stored
            && rules::validated(&whole.head, response.status(), response.headers())
                == rules::Validated::ServerError
        {
            return Ok(self.stored(whole, Rule::StaleIfError.as_str()));
        }
        if why == Why::Passed && self.could_be_stored(&response, sent) {
            config.passed.forget(&self.key, &self.context.facts.headers);
        }
        Ok(through(response, said(config.went(why))))
    }

    /// Whether the next request should be waited for again. The load that it begins decides in full.
    fn could_be_stored(&self, response: &Response<B>, sent: u64) -> bool {
        let Context {
            config,
            plan,
            facts,
        } = &*self.context;
        let too_large = response.body().size_hint().lower() > plan.max_body
            || response
                .headers()
                .get(CONTENT_LENGTH)
                .and_then(|len| len.to_str().ok()?.parse::<u64>().ok())
                .is_some_and(|len| len > plan.max_body);
        let (status, headers) = (response.status(), response.headers());
        !too_large
            && rules::store(
                facts.request(),
                status,
                headers,
                &plan.policy,
                sent,
                config.now(),
            )
            .is_ok()
    }

    pub(super) fn unsatisfiable(&self, reason: Rule) -> Response<CacheBody<B>> {
        let config = &self.context.config;
        let mut status = config.hit(0, reason.as_str());
        if let Some(status) = &mut status {
            // Neither a hit nor forwarded.
            (status.hit, status.ttl) = (false, None);
        }
        own(StatusCode::GATEWAY_TIMEOUT, said(status))
    }

    /// As many requests are with the service as may be, and as many wait: what is stored, where it may stand in for an
    /// error; else a 503 at once (RFC 9110 §15.6.4), for the service must not be asked.
    pub(super) fn overloaded(&self, fallback: &Fallback) -> Response<CacheBody<B>> {
        if let Some(whole) = fallback.0.as_deref().and_then(Kept::whole) {
            return self.stored(whole, Why::Overloaded.as_str());
        }
        let status = self.context.config.went(Why::Overloaded);
        let mut response = own(StatusCode::SERVICE_UNAVAILABLE, said(status));
        let soon = HeaderValue::from_static("1");
        response.headers_mut().insert(RETRY_AFTER, soon);
        response
    }

    /// The load took the request and came to no end: the process is about to.
    pub(super) fn given_up(&self) -> Response<CacheBody<B>> {
        let status = self.context.config.went(Why::GivenUp);
        let code = match self.context.facts.method {
            Method::GET | Method::HEAD => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        own(code, said(status))
    }
}
