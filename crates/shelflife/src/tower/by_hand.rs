//! The layer for who calls the service by himself: a binding, whose application is not a tower service until it is asked
//! for something.
//!
//! ```text
//! look ─┬─► Answer   the response, at once
//!       ├─► Pass     the application answers; what its answer invalidates is done before it goes out
//!       └─► Ask      a future of the response, which calls a service when the engine wants it
//! ```
//!
//! Not for users of the crate: behind the feature `binding`, and hidden.
//!
//! Must not: hold a rule; it is the service's own look and drive, one at a time.

use std::sync::Arc;

use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;

use super::answer::said;
use super::body::{BoxError, CacheBody};
use super::drive::Drive;
use super::facts::{Facts, Plan};
use super::invalidate::Unsafe;
use super::layer::{CacheLayer, Config};
use super::rule::VaryBy;
use super::service::{Look, look};
use crate::key::Tag;

pub use super::body::Origin;

/// What is done about a request.
pub enum Looked<B> {
    /// This is the response.
    Answer(Response<CacheBody<B>>),
    /// A cache has no part in it.
    Pass(Passing),
    /// It may be stored, or become so.
    Ask(Asking),
}

/// A request that the application answers for itself.
pub struct Passing {
    said: Option<HeaderValue>,
    changes: Option<Unsafe>,
}

impl Passing {
    /// The value of `Cache-Status` to add to the response.
    pub fn said(&self) -> Option<&HeaderValue> {
        self.said.as_ref()
    }

    /// Whether its success invalidates something: then [`answered`](Self::answered) is to be awaited before the response
    /// goes out. Dropped without it, the URL is invalidated.
    pub fn changes(&self) -> bool {
        self.changes.is_some()
    }

    /// Carries out what the response to an unsafe request invalidates.
    pub async fn answered(mut self, status: StatusCode, headers: HeaderMap) {
        if let Some(changes) = &mut self.changes {
            changes.answered(status, &headers).await;
        }
    }
}

/// A request that has to be asked for, or waited for.
pub struct Asking {
    config: Arc<Config>,
    plan: Box<Plan>,
}

impl Asking {
    /// Up to how many bytes of the request's content are part of the key: it is read before. `None`: it is not.
    pub fn wants_body(&self) -> Option<u64> {
        self.plan.body_key
    }

    /// Gives what may come to be stored tags of its own, beside those of its rule.
    pub fn tag(&mut self, tags: impl IntoIterator<Item = Tag>) {
        self.plan.tags.extend(tags);
    }

    /// The response: of the service, which is called at most once and only if nobody else's call will do, or stored.
    ///
    /// # Errors
    ///
    /// The service's own.
    ///
    /// # Cancel safety
    ///
    /// As [`ResponseFuture`](super::ResponseFuture).
    pub fn of<S, Q, B>(
        self,
        service: S,
        request: Request<Q>,
    ) -> impl Future<Output = Result<Response<CacheBody<B>>, S::Error>> + Send + 'static
    where
        S: Service<Request<Q>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        Q: Body + Send + 'static,
        Q::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Drive::new(self.config, *self.plan, service, request).run()
    }
}

/// What the layer says to a request at once.
pub fn look_at<B>(layer: &CacheLayer, parts: &Parts) -> Looked<B> {
    let config = layer.config();
    match look(config, parts) {
        Look::Answer(response) => Looked::Answer(response),
        Look::Bypass(why) => Looked::Pass(Passing {
            said: said(config.went(why)),
            changes: (!parts.method.is_safe())
                .then(|| Unsafe::begin(config.clone(), Facts::of(parts))),
        }),
        Look::Go(plan) => Looked::Ask(Asking {
            config: config.clone(),
            plan,
        }),
    }
}

/// Names what tells a request from others, for a rule that varies by [`named`].
pub fn name(parts: &mut Parts, name: String) {
    parts.extensions.insert(Name(name));
}

/// By the [`name`] of a request; one without is not for the cache. `tells_apart`: whether no two users share a name, so
/// that answers to requests with credentials may be kept under it.
pub fn named(tells_apart: bool) -> VaryBy {
    let name = |parts: &Parts| Some(parts.extensions.get::<Name>()?.0.clone());
    match tells_apart {
        true => VaryBy::principal(name),
        false => VaryBy::of_request(name),
    }
}

#[derive(Clone)]
struct Name(String);

/// In the extensions of a request that the service is called with for itself alone: nobody else waits for the answer.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

/// Tells apart what came by another scheme than `http`, where a server knows that: the key has it then, the tag of the URL does not.
pub fn by_scheme(parts: &mut Parts, scheme: Scheme) {
    if scheme != Scheme::HTTP {
        parts.extensions.insert(scheme);
    }
}

pub(crate) fn scheme_of(parts: &Parts) -> Option<&str> {
    parts.extensions.get::<Scheme>().map(Scheme::as_str)
}
