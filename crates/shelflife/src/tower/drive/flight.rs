//! A load that a request leads or waits for, and what its end is to this request.

use std::panic::resume_unwind;
use std::pin::pin;

use http::{Request, Response, StatusCode};
use http_body::Body;
use shelflife_http::{self as rules, Reason as Rule};
use tokio::sync::oneshot;
use tower_service::Service;

use super::{Context, Drive, Found, Wanted};
use crate::engine::load::Failure;
use crate::tower::answer::{from_stored, from_validated, own, said, say, through};
use crate::tower::body::{BoxError, CacheBody};
use crate::tower::kept::Kept;
use crate::tower::load::{Handed, Load};
use crate::tower::why::Why;

/// How waiting for a flight ended.
pub(super) enum Flown<B, E> {
    /// The load took this request: this is its response.
    Handed(Handed<B, E>),
    /// Stored, or another's load.
    Landed(Found),
    /// The load of another failed.
    Failed,
    /// None was good enough for this request.
    Alone,
    /// Too many loads are under way, and too many wait. The request is where it was.
    Overloaded,
    /// It took longer than this request waits. The request is where it was.
    Slow,
}

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
    /// Boards a flight and waits: for the response to this very request, if the load takes it, else for the landing.
    pub(super) async fn fly(&self, wanted: &Wanted) -> Flown<B, S::Error> {
        let (hand, mut handed) = oneshot::channel();
        let load = Load {
            context: self.context.clone(),
            slot: self.slot.clone(),
            key: self.key.clone(),
            stored: wanted.stored.clone(),
            if_error: wanted.if_error,
            hand: Some(hand),
        };
        let engine = self.context.config.cache.engine.clone();
        let ask = self.ask(wanted.takes, wanted.replace);
        let (reading, key, tags) = (engine.clone(), ask.key.clone(), ask.tags.clone());
        let mut landed = pin!(engine.read(ask, load.into_loader()));
        let mut patience = pin!(tokio::time::sleep(self.context.plan.collapse_wait));
        let (mut may_come, mut patient) = (true, true);
        let read = loop {
            tokio::select! {
                biased;
                came = &mut handed, if may_come => match came {
                    Ok(handed) => {
                        // The read goes unfinished: nobody else counts it.
                        reading.answered(&key, &tags, &handed.counts_as());
                        return Flown::Handed(handed);
                    }
                    // The load is over without a word, or there never was one of ours.
                    Err(_) => may_come = false,
                },
                read = &mut landed => break read,
                () = &mut patience, if patient => {
                    if self.slot.is_full() {
                        // To go to the service past all that wait for it would be what they wait for to prevent.
                        let overloaded = self.context.config.cache.engine.bulkhead.is_full();
                        return if overloaded { Flown::Overloaded } else { Flown::Slow };
                    }
                    // The load has this request: its response comes.
                    patient = false;
                }
            }
        };
        if may_come && let Ok(handed) = handed.try_recv() {
            return Flown::Handed(handed);
        }
        match read {
            Ok(answer) => {
                let found = Found::in_answer(answer.live, answer.status);
                found.map_or(Flown::Alone, Flown::Landed)
            }
            Err(Failure::Alone) => Flown::Alone,
            Err(Failure::Overloaded) => Flown::Overloaded,
            Err(_) => Flown::Failed,
        }
    }

    /// What this request's own load gave.
    pub(super) fn handed(
        &self,
        handed: Handed<B, S::Error>,
        wanted: &Wanted,
    ) -> Result<Response<CacheBody<B>>, S::Error> {
        let Context { config, facts, .. } = &*self.context;
        let mut status = config.forwarded(wanted.forwarded);
        Ok(match handed {
            Handed::Whole(response, why) => {
                if let Some(status) = &mut status {
                    status.detail = why.map(Why::as_str);
                }
                through(response, said(status))
            }
            Handed::Poured {
                head,
                pieces,
                hint,
                left,
            } => {
                if let Some(status) = &mut status {
                    status.stored = true;
                    status.ttl = Some(left.div_euclid(1000));
                }
                let body = CacheBody::poured(pieces, hint);
                let mut response = Response::from_parts(*head, body);
                say(response.headers_mut(), said(status));
                response
            }
            Handed::Unmodified { headers, left } => {
                if let Some(status) = &mut status {
                    status.stored = true;
                    status.fwd_status = Some(StatusCode::OK);
                    status.ttl = Some(left.div_euclid(1000));
                }
                let mut response = Response::new(CacheBody::empty());
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                *response.headers_mut() = headers;
                say(response.headers_mut(), said(status));
                response
            }
            Handed::Validated {
                kept,
                origin,
                stored,
            } => {
                let Some(whole) = kept.whole() else {
                    return Ok(self.given_up());
                };
                let now = config.now();
                if let Some(status) = &mut status {
                    status.stored = stored;
                    status.fwd_status = Some(StatusCode::NOT_MODIFIED);
                    status.ttl = Some(whole.head.fresh_left(now).div_euclid(1000));
                    status.detail = Some(Rule::Validated.as_str());
                }
                from_validated(config, whole, facts.request(), now, status, |headers| {
                    rules::pass_cookies(&origin, headers);
                })
            }
            Handed::Stale(failed) => {
                if let Some(status) = &mut status {
                    status.fwd_status = failed;
                    status.detail = Some(Rule::StaleIfError.as_str());
                }
                let stored = wanted.stored.as_deref().and_then(Kept::whole);
                let Some(whole) = stored else {
                    return Ok(self.given_up());
                };
                from_stored(config, whole, facts.request(), config.now(), status)
            }
            Handed::Unusable => {
                if let Some(status) = &mut status {
                    status.detail = Some(Rule::OtherRepresentation.as_str());
                }
                own(StatusCode::BAD_GATEWAY, said(status))
            }
            Handed::Failed(error) => return Err(error),
            // The service's panic is its caller's, as it would be without the layer.
            Handed::Panicked(panic) => resume_unwind(panic),
        })
    }
}
