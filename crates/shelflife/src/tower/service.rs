//! The service: what L1 can answer is answered at once, in `call` itself.
//!
//! The order of the questions is the security of the layer: first whether a cache has any part in the request,
//! then whose answer it may have (the key), then what is there.

use std::borrow::Cow;
use std::cell::Cell;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use shelflife_http::{Reuse, may_look_up, reuse};
use tower_service::Service;

use super::answer::{from_stored, said};
use super::body::{BoxError, CacheBody};
use super::drive::{DEEPEST, Drive};
use super::facts::{Facts, Plan, request_of};
use super::future::ResponseFuture;
use super::invalidate::Unsafe;
use super::kept::{Kept, SCHEMA};
use super::key::{Named, variant_key};
use super::layer::Config;
use super::why::Why;
use crate::engine::Level;
use crate::value::downcast_ref;

/// A service whose responses are cached: see [`CacheLayer`](super::CacheLayer).
#[derive(Clone, Debug)]
pub struct CacheService<S> {
    inner: S,
    config: Arc<Config>,
}

impl<S> CacheService<S> {
    pub(crate) fn new(inner: S, config: Arc<Config>) -> Self {
        Self { inner, config }
    }
}

impl<S, Q, B> Service<Request<Q>> for CacheService<S>
where
    S: Service<Request<Q>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    Q: Body + Send + 'static,
    Q::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<CacheBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, B, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let (parts, body) = request.into_parts();
        match look(&self.config, &parts) {
            Look::Answer(response) => ResponseFuture::ready(response),
            Look::Bypass(why) => {
                let said = said(self.config.went(why));
                if parts.method.is_safe() {
                    let request = Request::from_parts(parts, body);
                    return ResponseFuture::through(self.inner.call(request), said);
                }
                let begun = Unsafe::begin(self.config.clone(), Facts::of(&parts));
                let answering = self.inner.call(Request::from_parts(parts, body));
                ResponseFuture::driven(Box::pin(begun.before_return(answering, said)))
            }
            Look::Go(plan) => {
                // The instance that was polled ready is the one to call.
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                let request = Request::from_parts(parts, body);
                let drive = Drive::new(self.config.clone(), *plan, ready, request);
                ResponseFuture::driven(Box::pin(drive.run()))
            }
        }
    }
}

/// What can be done about a request at once.
pub(crate) enum Look<B> {
    Answer(Response<CacheBody<B>>),
    Bypass(Why),
    Go(Box<Plan>),
}

pub(crate) fn look<B>(config: &Config, parts: &Parts) -> Look<B> {
    let request = request_of(parts);
    let matched = config.rules.find(request.method, request.uri.path());
    let policy = matched.map_or(&config.policy, |rule| rule.policy(parts));
    if let Err(reason) = may_look_up(request, policy) {
        return Look::Bypass(reason.into());
    }
    thread_local! {
        /// Room for the names of one request, used again for the next.
        static NAMED: Cell<Named> = Cell::default();
    }
    let mut named = NAMED.take();
    let query = matched.map_or(&config.query, |rule| rule.query_rule());
    named.name(request, query);
    #[cfg(feature = "binding")]
    if let Some(scheme) = super::by_hand::scheme_of(parts) {
        named.push('s', scheme);
    }
    let part = match matched.map(|rule| rule.key_part(parts)).transpose() {
        Ok(part) => part.flatten(),
        Err(why) => {
            NAMED.set(named);
            return Look::Bypass(why);
        }
    };
    if let Some(part) = part {
        named.push('r', &part);
    }
    let by_content = matched.is_some_and(|rule| rule.body_key().is_some());
    let hit = (!by_content)
        .then(|| hit(config, &named, parts, policy))
        .flatten();
    let look = match hit {
        Some(response) => Look::Answer(response),
        None => Look::Go(Box::new(Plan::new(config, &named, matched, policy, parts))),
    };
    NAMED.set(named);
    look
}

/// What L1 has, if that is the answer as it is.
fn hit<B>(
    config: &Config,
    named: &Named,
    parts: &Parts,
    policy: &shelflife_http::Policy,
) -> Option<Response<CacheBody<B>>> {
    let (engine, request) = (&config.cache.engine, request_of(parts));
    let mut key = Cow::Borrowed(named.key.as_str());
    for _ in 0..DEEPEST {
        let (resident, at) = engine.hit(&key, Level::Bounded, SCHEMA)?;
        let whole = downcast_ref::<Kept>(&resident.live)?.whole()?;
        if !whole.head.selects(request) {
            key = Cow::Owned(variant_key(&key, &whole.head, request));
            continue;
        }
        let now = engine.store.server_ms(at);
        if reuse(request, &whole.head, policy, false, now) != Reuse::Fresh {
            return None;
        }
        let status = config.hit(whole.head.fresh_left(now), "l1");
        return Some(from_stored(config, whole, request, now, status));
    }
    None
}
