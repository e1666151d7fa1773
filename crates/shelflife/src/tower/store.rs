//! What a handler says of its own response: how long this cache keeps it, and under which tags.
//!
//! It travels in the response's extensions, so a client never sees it and an upstream can't send it.
//!
//! Must not: outlast the response; what is stored has the policy that it made.

#[cfg(feature = "axum")]
mod parts;

use std::time::Duration;

use http::StatusCode;
use shelflife_http::{Policy, SetCookie, Stored};

use super::rule::IntoDuration;
use crate::key::Tag;
use crate::policy::LONGEST;

/// A handler's word on its own response, put into the response's extensions. It tells *this* cache; what
/// browsers and other caches are told stands in `Cache-Control` as before.
///
/// ```
/// use http::Response;
/// use shelflife::tower::Store;
///
/// let mut response = Response::new("42");
/// response.extensions_mut().insert(Store::ttl("5m").stale("1h").tag("user:42"));
/// ```
///
/// With axum it is a part of a response: `(Store::ttl("5m").tag("user:42"), Json(user))`.
///
/// Its `ttl` counts before the response's own freshness and before a rule's; `no-store`, `private` and `no-cache` in the
/// response still hold. Whether answers to requests with credentials are shared stays as it was, unless it says
/// [`public`](Self::public).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it has no effect until it is in the extensions of a response"]
pub struct Store {
    ttl: Option<Duration>,
    stale: Option<Duration>,
    tags: Vec<Tag>,
    public: bool,
    forbids: bool,
}

impl Store {
    /// Keeps the response for so long, whatever its status.
    ///
    /// A handler has nowhere to send an error: text that is no duration keeps the response out of the cache, and is logged.
    pub fn ttl(ttl: impl IntoDuration) -> Self {
        let mut store = Self::as_said();
        store.ttl = store.read("ttl", ttl);
        store
    }

    /// Keeps the response as its fields and the rules say; to add tags.
    ///
    /// ```
    /// # use shelflife::tower::Store;
    /// let store = Store::as_said().tags(["users", "user:42"]);
    /// ```
    pub fn as_said() -> Self {
        Self {
            ttl: None,
            stale: None,
            tags: Vec::new(),
            public: false,
            forbids: false,
        }
    }

    /// Doesn't keep the response, whatever its fields and the rules say.
    pub fn no_store() -> Self {
        Self {
            forbids: true,
            ..Self::as_said()
        }
    }

    /// For so long after that it may be served once more, while it is refreshed behind or when that fails.
    pub fn stale(mut self, stale: impl IntoDuration) -> Self {
        self.stale = self.read("stale", stale);
        self
    }

    /// A name to invalidate the response by.
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Names to invalidate the response by.
    pub fn tags<T: Into<Tag>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// The response is the same for everybody, whoever asks; `Set-Cookie` is left out of what is kept.
    ///
    /// Said of one that depends on who asks, it shows one user's answer to another.
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// The policy for the response that carries this.
    pub(crate) fn apply(&self, policy: &Policy, status: StatusCode) -> Policy {
        let mut policy = policy.clone();
        if self.ttl.is_some() {
            policy.override_ttl = self.ttl;
            if !policy.heuristic_statuses.contains(&status) {
                policy.heuristic_statuses.push(status);
            }
        }
        policy.stale_while_revalidate = self.stale.or(policy.stale_while_revalidate);
        policy.stale_if_error = self.stale.or(policy.stale_if_error);
        if self.public {
            policy.share_authorization = true;
            policy.share_cookies = true;
            if policy.set_cookie == SetCookie::Refuse {
                policy.set_cookie = SetCookie::Strip;
            }
        }
        policy
    }

    /// Writes down in what is stored that it is for all: those who find it later ask there.
    pub(crate) fn mark(&self, stored: &mut Stored) {
        stored.public |= self.public;
        stored.shared |= self.public;
    }

    /// Whether it says how long the response is kept; then a rule's statuses aren't asked.
    pub(crate) fn has_ttl(&self) -> bool {
        self.ttl.is_some()
    }

    /// The tags it adds.
    pub(crate) fn named(&self) -> &[Tag] {
        &self.tags
    }

    /// Whether the response is not kept.
    pub(crate) fn forbids(&self) -> bool {
        self.forbids
    }

    fn read(&mut self, what: &'static str, time: impl IntoDuration) -> Option<Duration> {
        match time.into_duration() {
            Ok(time) => Some(time.min(LONGEST)),
            Err(error) => {
                tracing::warn!(%error, setting = what, "a response is not kept: its handler's word can't be read");
                self.forbids = true;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, Uri};
    use shelflife_http::{Reason, Request, Reuse, reuse};

    use super::*;

    fn kept(
        store: &Store,
        asked: &[(&'static str, &str)],
        status: u16,
        said: &[(&'static str, &str)],
    ) -> Result<Stored, Reason> {
        let status = StatusCode::from_u16(status).unwrap();
        let policy = store.apply(&Policy::application(), status);
        let asked = fields(asked);
        let request = Request {
            method: &Method::GET,
            uri: &Uri::from_static("/"),
            headers: &asked,
        };
        let mut stored = shelflife_http::store(request, status, &fields(said), &policy, 0, 0)?;
        store.mark(&mut stored);
        Ok(stored)
    }

    fn fields(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_handlers_word_counts_before_what_clients_are_told() {
        let store = Store::ttl("1m").stale(Duration::from_secs(7));
        let for_browsers = [("cache-control", "max-age=1")];
        let stored = kept(&store, &[], 200, &for_browsers).unwrap();
        assert_eq!(
            (stored.lifetime, stored.stale_while_revalidate),
            (60_000, 7000)
        );
        assert_eq!(kept(&store, &[], 404, &[]).unwrap().lifetime, 60_000);
        let as_said = kept(&Store::as_said(), &[], 200, &for_browsers);
        assert_eq!(as_said.unwrap().lifetime, 1000);
        for (said, reason) in [
            ("no-store", Reason::NoStoreResponse),
            ("private", Reason::Private),
        ] {
            assert_eq!(
                kept(&store, &[], 200, &[("cache-control", said)]).unwrap_err(),
                reason
            );
        }
    }

    #[test]
    fn only_public_shares_answers_to_those_with_credentials() {
        let asked = [("authorization", "Bearer a"), ("cookie", "sid=1")];
        let store = Store::ttl("1m");
        assert_eq!(
            kept(&store, &asked, 200, &[]).unwrap_err(),
            Reason::Authorization
        );
        let stored = kept(&store.public(), &asked, 200, &[("set-cookie", "a=1")]).unwrap();
        assert!(!stored.headers.contains_key("set-cookie"));
        // Another user finds it under the layer's own policy.
        let other = fields(&[("authorization", "Bearer b"), ("cookie", "sid=2")]);
        let request = Request {
            method: &Method::GET,
            uri: &Uri::from_static("/"),
            headers: &other,
        };
        let found = reuse(request, &stored, &Policy::application(), false, 1);
        assert_eq!(found, Reuse::Fresh);
    }

    #[test]
    fn a_word_that_can_not_be_read_keeps_the_response_out() {
        assert!(Store::no_store().forbids());
        assert!(Store::ttl("five minutes").forbids());
        assert!(Store::ttl("5m").stale("x").forbids());
        assert!(!Store::ttl("5m").forbids() && Store::ttl("5m").has_ttl());
        assert!(!Store::as_said().has_ttl());
        let tagged = Store::as_said().tags(["a", "b"]).tag("c");
        let named: Vec<_> = tagged.named().iter().map(Tag::as_str).collect();
        assert_eq!(named, ["a", "b", "c"]);
    }
}
