//! What a request asks for: its head, the rule that it is under, and the names of what may answer it.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use shelflife_http::{Policy, Request};

use super::key::{Named, tag_of_url};
use super::layer::Config;
use super::rule::Matched;
use crate::key::Tag;

/// The head of a request as the rules of HTTP look at it. In a nested router the URI is the one that came.
pub(crate) fn request_of(parts: &Parts) -> Request<'_> {
    Request {
        method: &parts.method,
        uri: target(parts),
        headers: &parts.headers,
    }
}

/// A router that nests another strips the prefix before a layer inside sees the request. By what is left, the same
/// paths of two nested routers would be one resource.
fn target(parts: &Parts) -> &Uri {
    #[cfg(feature = "axum")]
    if let Some(::axum::extract::OriginalUri(uri)) = parts.extensions.get() {
        return uri;
    }
    &parts.uri
}

/// The same, on its own: for when the request has gone to the service.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

impl Facts {
    pub(crate) fn of(parts: &Parts) -> Self {
        let Request {
            method,
            uri,
            headers,
        } = request_of(parts);
        Self {
            method: method.clone(),
            uri: uri.clone(),
            headers: headers.clone(),
        }
    }

    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            uri: &self.uri,
            headers: &self.headers,
        }
    }
}

/// A request that L1 did not answer at once, and under what it goes on.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) named: Named,
    pub(crate) policy: Arc<Policy>,
    /// Those of the rule, and the URL's.
    pub(crate) tags: Vec<Tag>,
    pub(crate) max_body: u64,
    pub(crate) collapse_wait: Duration,
    /// Up to so many bytes of the request's content are part of the key.
    pub(crate) body_key: Option<u64>,
}

impl Plan {
    pub(crate) fn new(
        config: &Config,
        named: &Named,
        matched: Option<Matched<'_, '_>>,
        policy: &Arc<Policy>,
        parts: &Parts,
    ) -> Self {
        let mut tags = matched.map_or_else(Vec::new, |rule| rule.tags(parts));
        tags.push(tag_of_url(&named.url));
        let limits = matched.map(|rule| rule.limits()).unwrap_or_default();
        Self {
            named: named.clone(),
            policy: policy.clone(),
            tags,
            max_body: limits.max_body.unwrap_or(config.max_body).min(config.most),
            collapse_wait: limits.collapse_wait.unwrap_or(config.collapse_wait),
            body_key: matched.and_then(|rule| rule.body_key()),
        }
    }
}
