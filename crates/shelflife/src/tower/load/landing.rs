//! From the head of a response to what the flight lands with: stored, passed on, freshened.
//!
//! Must not: decide what HTTP allows; the rules do.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use shelflife_http::{self as rules, Answer, HeadUpdate, Policy, Received, Stored as Head};
use tokio::sync::mpsc::unbounded_channel;

use super::{Asked, Handed, Landing, Load, failed, passed};
use crate::engine::load::{Adapted, adapted, current_load};
use crate::invalidation::Invalidation;
use crate::key::{Key, Tag};
use crate::tower::body::BoxError;
use crate::tower::drive::Context;
use crate::tower::encode::Encodings;
use crate::tower::kept::{Kept, Whole};
use crate::tower::key::tag_of_group;
use crate::tower::store::Store;
use crate::tower::tee::{Collected, Limits, pour};
use crate::tower::why::Why;

impl<S, Q, B, E> Load<S, Q, B, E>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    /// A response with content: stored if it may be, handed over as it comes.
    pub(super) async fn fill(mut self, asked: Asked<B>) -> Landing {
        let (head, tags) = match self.judge(&asked) {
            Ok(judged) => judged,
            Err(why) => return self.pass(asked.response, why).await,
        };
        let Asked {
            response, times, ..
        } = asked;
        let left = head.fresh_left(times.came);
        let limits = Limits {
            most: self.context.plan.max_body,
            linger: self.context.config.linger,
            announced: announced(response.headers()),
        };
        let (pieces, poured) = unbounded_channel();
        let (parts, body) = response.into_parts();
        let hint = body.size_hint();
        let len = hint.exact().unwrap_or(u64::MAX);
        let answer = rules::answer(self.context.facts.request(), &head, len, times.came);
        self.hand(match answer {
            Answer::NotModified => Handed::Unmodified {
                headers: rules::answer_headers(&head, &answer, 0, times.came),
                left,
            },
            // A range of what is not there yet: RFC 9110 §14.2 lets anybody send the whole.
            Answer::Full | Answer::Range { .. } | Answer::RangeNotSatisfiable => Handed::Poured {
                head: Box::new(parts),
                pieces: poured,
                hint,
                left,
            },
        });
        match pour(body, &pieces, limits).await {
            Ok(Collected { body, trailers }) => Ok(self.keep(Whole {
                head,
                body,
                trailers,
                tags,
                encodings: Encodings::default(),
            })),
            Err(why) => {
                if why == Why::TooLarge {
                    self.remember(why);
                }
                passed(why)
            }
        }
    }

    /// Hands over a response that is not to be shared, and releases those who wait.
    async fn pass(mut self, response: Response<B>, why: Why) -> Landing {
        let is_error = response.status().is_server_error();
        if !is_error {
            self.remember(why);
            if !why.is_of_request() {
                self.drop_stored().await;
            }
        }
        self.hand(Handed::Whole(response, Some(why)));
        if is_error {
            // Says nothing of what is stored, nor of how the URL is otherwise.
            return Err(failed("the service answered with an error"));
        }
        passed(why)
    }

    /// Whether a response is to be stored: its head as it would be, and the tags that come with it.
    fn judge(&self, asked: &Asked<B>) -> Result<(Head, Vec<Tag>), Why> {
        let Asked {
            facts,
            response,
            times,
        } = asked;
        let plan = &self.context.plan;
        let (status, headers) = (response.status(), response.headers());
        if is_endless(headers) {
            return Err(Why::Events);
        }
        let least = response.body().size_hint().lower();
        if least.max(announced(headers).unwrap_or(0)) > plan.max_body {
            return Err(Why::TooLarge);
        }
        let said = Said::in_response(response);
        if said.forbids() {
            return Err(Why::NoStore);
        }
        let config = &self.context.config;
        if !said.has_ttl()
            && let Some(rule) = config.rules.find(&facts.method, facts.uri.path())
            && !rule.stores(status)
        {
            return Err(Why::Status);
        }
        let policy = said.policy(&plan.policy, status);
        let request = facts.request();
        let mut head = rules::store(request, status, headers, &policy, times.sent, times.came)?;
        if config.encoder.is_some() {
            // Nobody's Accept-Encoding was sent: so none selects what came.
            if headers.contains_key(CONTENT_ENCODING) {
                return Err(Why::Coded);
            }
            head.selected_by
                .retain(|(name, _)| *name != ACCEPT_ENCODING);
        }
        said.mark(&mut head);
        let tags = said.tags(&head);
        Ok((head, tags))
    }

    /// What is stored, with the fields of the 304 that says that it still holds.
    pub(super) async fn freshen(mut self, whole: &Whole, asked: Asked<B>) -> Landing {
        let Asked {
            facts,
            response,
            times,
        } = asked;
        let said = Said::in_response(&response);
        let policy = said.policy(&self.context.plan.policy, whole.head.status);
        let (request, headers) = (facts.request(), response.headers());
        let fresh = rules::freshen(
            &whole.head,
            request,
            headers,
            &policy,
            times.sent,
            times.came,
        );
        let fresh = match fresh {
            Ok(_) if said.forbids() => Err(Why::NoStore),
            Ok(head) => Ok(head),
            Err(reason) => Err(reason.into()),
        };
        let origin = response.headers().clone();
        match fresh {
            Ok(mut head) => {
                said.mark(&mut head);
                let kept = self.updated(whole, head, &said);
                self.hand(Handed::Validated {
                    kept: kept.clone(),
                    origin,
                    stored: true,
                });
                Ok(kept)
            }
            Err(why) => {
                if !why.is_of_request() {
                    self.drop_stored().await;
                }
                // It answers this request all the same.
                if let Some(kept) = self.stored.clone() {
                    self.hand(Handed::Validated {
                        kept,
                        origin,
                        stored: false,
                    });
                }
                passed(why)
            }
        }
    }

    /// What a response to HEAD says of what is stored for GET. The client gets it as it came.
    pub(super) async fn head(mut self, whole: &Whole, asked: Asked<B>) -> Landing {
        let Asked {
            facts,
            response,
            times,
        } = asked;
        let received = Received {
            status: response.status(),
            headers: response.headers(),
            sent: times.sent,
            now: times.came,
        };
        let said = Said::in_response(&response);
        let policy = said.policy(&self.context.plan.policy, whole.head.status);
        let request = facts.request();
        let update = rules::head_update(request, &whole.head, whole.len(), received, &policy);
        // Says nothing of what a GET would get: who waited for that asks anew.
        let nothing = || passed(Why::Rule(rules::Reason::Head));
        let (landing, why) = match update {
            HeadUpdate::Updated(head) => (Ok(self.updated(whole, *head, &said)), None),
            HeadUpdate::Outdated(reason) => {
                self.soften_stored().await;
                (nothing(), Some(reason.into()))
            }
            HeadUpdate::Nothing => (nothing(), None),
        };
        self.hand(Handed::Whole(response, why));
        landing
    }

    /// The stored content under another head, to be stored again. It stays reachable by every tag that it had.
    fn updated(&self, whole: &Whole, mut head: Head, said: &Said) -> Arc<Kept> {
        if self.context.config.encoder.is_some() {
            head.selected_by
                .retain(|(name, _)| *name != ACCEPT_ENCODING);
        }
        let mut tags = whole.tags.clone();
        for tag in said.tags(&head) {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        self.keep(Whole {
            head,
            body: whole.body.clone(),
            trailers: whole.trailers.clone(),
            tags,
            encodings: Encodings::default(),
        })
    }

    /// Tells the engine how long and under which tags a response is kept. HTTP judges its freshness on each use;
    /// the engine's times bound that.
    fn keep(&self, whole: Whole) -> Arc<Kept> {
        let Context { config, plan, .. } = &*self.context;
        let left = match whole.head.no_cache {
            true => 0,
            false => whole.head.fresh_left(config.now()),
        };
        current_load()
            .ttl(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
            .stale(whole.head.keep(&plan.policy))
            .tags(&whole.tags);
        Arc::new(Kept::Whole(whole))
    }
}

impl<S, Q, B, E> Load<S, Q, B, E> {
    pub(super) fn hand(&mut self, handed: Handed<B, E>) {
        if let Some(hand) = self.hand.take() {
            let _ = hand.send(handed);
        }
    }

    /// Those who come next don't wait for one another.
    fn remember(&self, why: Why) {
        let config = &self.context.config;
        let now = config.cache.engine.clock.now();
        config.passed.note(&self.key, why, now);
    }

    /// What is stored under this key is no longer what the origin says: gone before anybody hears that.
    pub(super) async fn drop_stored(&self) {
        if self.stored.is_some() {
            self.invalidate(self.named()).await;
        }
    }

    async fn soften_stored(&self) {
        self.invalidate(self.named().soft()).await;
    }

    fn named(&self) -> Invalidation {
        Invalidation::new().key(Key::from_canonical(self.key.to_string()))
    }

    async fn invalidate(&self, what: Invalidation) {
        if let Err(error) = self.context.config.cache.invalidate(what).await {
            // It is tried again while the process lives.
            tracing::debug!(%error, "an outdated response could not be dropped yet");
        }
    }
}

/// What a handler said of its response, from inside: by the extension, or by [`current_load`].
///
/// [`current_load`]: crate::current_load
struct Said {
    store: Option<Store>,
    adapted: Adapted,
}

impl Said {
    fn in_response<B>(response: &Response<B>) -> Self {
        Self {
            store: response.extensions().get().cloned(),
            adapted: adapted(),
        }
    }

    fn forbids(&self) -> bool {
        self.adapted.no_store || self.store.as_ref().is_some_and(Store::forbids)
    }

    fn has_ttl(&self) -> bool {
        self.adapted.ttl.is_some() || self.store.as_ref().is_some_and(Store::has_ttl)
    }

    fn policy(&self, policy: &Policy, status: StatusCode) -> Policy {
        let mut policy = match &self.store {
            Some(store) => store.apply(policy, status),
            None => policy.clone(),
        };
        if let Some(ttl) = self.adapted.ttl {
            policy.override_ttl = Some(ttl);
            if !policy.heuristic_statuses.contains(&status) {
                policy.heuristic_statuses.push(status);
            }
        }
        if let Some(stale) = self.adapted.stale {
            policy.stale_while_revalidate = Some(stale);
            policy.stale_if_error = Some(stale);
        }
        policy
    }

    fn mark(&self, head: &mut Head) {
        if let Some(store) = &self.store {
            store.mark(head);
        }
    }

    /// All that a response was tagged with from inside: its own fields, its groups, what the handler said.
    fn tags(&self, head: &Head) -> Vec<Tag> {
        let mut tags: Vec<Tag> = head.tags.iter().map(Tag::from).collect();
        tags.extend(head.groups.iter().map(|group| tag_of_group(group)));
        tags.extend(self.store.iter().flat_map(Store::named).cloned());
        tags.extend(self.adapted.tags.iter().cloned());
        tags
    }
}

/// What `Content-Length` says, if it is one number.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Streams of events and of pushed parts don't end: collecting one would only fill memory. Those of items may not, unless their length is
/// known; and who waits for one to be whole waits in vain.
fn is_endless(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    let is = |of: &[&[u8]]| {
        kind.is_some_and(|kind| {
            of.iter().any(|endless| {
                kind.get(..endless.len())
                    .is_some_and(|begin| begin.eq_ignore_ascii_case(endless))
            })
        })
    };
    is(&[b"text/event-stream", b"multipart/x-mixed-replace"])
        || !headers.contains_key(CONTENT_LENGTH)
            && is(&[
                b"application/x-ndjson",
                b"application/jsonl",
                b"application/json-seq",
                b"application/stream+json",
                b"application/grpc",
            ])
}
