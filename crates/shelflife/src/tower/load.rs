//! The load of a response: the service is called once, in a task of the engine's own, for all who wait.
//!
//! Whose request it is gets its response handed over as soon as the head is there; the others get what the flight lands
//! with. What may not be shared is handed over whole, and the flight lands at once with that word.
//!
//! ```text
//!                       ┌─ not to be shared ──► handed over whole      flight: Passed
//! service ─► the head ──┼─ to be stored ──────► poured (tee.rs)        flight: the whole response
//!                       ├─ 304 ───────────────► what is stored         flight: the same, fresh
//!                       └─ failed ────────────► stale, or the failure  flight: failed
//! ```

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use http::header::ACCEPT_ENCODING;
use http::request::Parts as RequestParts;
use http::response::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, SizeHint};
use shelflife_http::{self as rules, Validated};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tower_service::Service;

use super::body::BoxError;
use super::content::RequestContent;
use super::drive::Context;
use super::facts::Facts;
use super::kept::Kept;
use super::tee::{Piece, unwanted, while_wanted};
use super::why::Why;
use crate::engine::load::{Loader, SourceError, current_load};
use crate::reason::Reason;
use crate::status::{Outcome, Status};
use crate::value::Live;

mod landing;

/// A service that was polled ready, and the request to call it with.
pub(crate) struct Ready<S, Q> {
    pub(crate) service: S,
    pub(crate) request: Request<Q>,
}

/// Where a request waits until the load takes it, or whoever gave up waiting for the load. Held to take.
pub(crate) struct Slot<S, Q>(Mutex<Option<Ready<S, Q>>>);

impl<S, Q> Slot<S, Q> {
    pub(crate) fn new(service: S, request: Request<Q>) -> Self {
        Self(Mutex::new(Some(Ready { service, request })))
    }

    pub(crate) fn take(&self) -> Option<Ready<S, Q>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn is_full(&self) -> bool {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.is_some()
    }

    pub(crate) fn put(&self, ready: Ready<S, Q>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ready);
    }
}

/// What a load hands to the one whose request it took.
pub(crate) enum Handed<B, E> {
    /// The response as it came, and why it is not stored.
    Whole(Response<B>, Option<Why>),
    /// The response as it comes: it is being stored. How long it is fresh, ms.
    Poured {
        head: Box<Parts>,
        pieces: UnboundedReceiver<Piece<B>>,
        hint: SizeHint,
        left: i64,
    },
    /// It is being stored, and the client has it already: the fields of the 304.
    Unmodified {
        headers: HeaderMap,
        left: i64,
    },
    /// What is stored still holds, by the origin's 304.
    Validated {
        kept: Arc<Kept>,
        origin: HeaderMap,
        stored: bool,
    },
    /// The service failed, and what is stored may stand in.
    Stale(Option<StatusCode>),
    /// The origin spoke of something else than what it was asked about.
    Unusable,
    Failed(E),
    Panicked(Box<dyn Any + Send>),
}

impl<B, E> Handed<B, E> {
    /// What the read counts as that it ends. Why there was a load is told in `Cache-Status`, not counted.
    pub(crate) fn counts_as(&self) -> Status {
        let outcome = match self {
            Self::Stale(_) => Outcome::Stale,
            _ => Outcome::Miss,
        };
        Status {
            outcome,
            ..Status::miss(Reason::Fresh)
        }
    }
}

/// A load that has not begun.
pub(crate) struct Load<S, Q, B, E> {
    pub(crate) context: Arc<Context>,
    pub(crate) slot: Arc<Slot<S, Q>>,
    pub(crate) key: Arc<str>,
    /// What is to be validated, if anything is stored; and whether it may stand in for an error.
    pub(crate) stored: Option<Arc<Kept>>,
    pub(crate) if_error: bool,
    /// Taken when something is handed over.
    pub(crate) hand: Option<oneshot::Sender<Handed<B, E>>>,
}

/// How a load ends.
type Landing = Result<Arc<Kept>, SourceError>;

/// A request as it was sent, and what came.
struct Asked<B> {
    facts: Facts,
    response: Response<B>,
    times: Times,
}

/// When a request was sent and its response came, ms.
#[derive(Clone, Copy)]
struct Times {
    sent: u64,
    came: u64,
}

impl<S, Q, B> Load<S, Q, B, S::Error>
where
    S: Service<Request<Q>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    Q: Body + Send + 'static,
    Q::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    pub(crate) fn into_loader(self) -> Loader {
        let span = tracing::Span::current();
        let load = async move { Ok(self.run().await? as Live) };
        Box::new(move || Box::pin(tracing::Instrument::instrument(load, span)))
    }

    async fn run(mut self) -> Landing {
        let Some(ready) = self.slot.take() else {
            // Its owner gave up waiting, and asks by itself.
            return passed(Why::GivenUp);
        };
        let Ready {
            mut service,
            request,
        } = ready;
        let (mut parts, body) = request.into_parts();
        let stored = self.stored.clone();
        let Some(whole) = stored.as_deref().and_then(Kept::whole) else {
            rules::fill_request(&mut parts.headers);
            let asked = self.ask(&mut service, parts, body).await?;
            return self.fill(asked).await;
        };
        let again = parts.clone();
        if whole.head.has_validator() {
            rules::validation_request(&mut parts.headers, &whole.head);
        } else if parts.method != Method::HEAD {
            rules::fill_request(&mut parts.headers);
        }
        let asked = self.ask(&mut service, parts, body).await?;
        let (status, headers) = (asked.response.status(), asked.response.headers());
        match rules::validated(&whole.head, status, headers) {
            Validated::NotModified if whole.head.has_validator() => {
                self.freshen(whole, asked).await
            }
            Validated::ServerError if self.if_error => {
                self.hand(Handed::Stale(Some(status)));
                Err(failed("the service answered with an error"))
            }
            Validated::Unusable => self.ask_again(service, again).await,
            _ if asked.facts.method == Method::HEAD => self.head(whole, asked).await,
            Validated::NotModified | Validated::ServerError | Validated::Replaced => {
                self.fill(asked).await
            }
        }
    }

    /// The origin's 304 is of no use: what is stored is given up, and asked for as if it had never been there.
    async fn ask_again(mut self, mut service: S, mut parts: RequestParts) -> Landing {
        self.drop_stored().await;
        self.if_error = false;
        let Some(make) = self.context.config.rebuilders.get::<Q>() else {
            self.hand(Handed::Unusable);
            return Err(failed("the origin's 304 names something else"));
        };
        rules::fill_request(&mut parts.headers);
        if let Err(error) = std::future::poll_fn(|cx| service.poll_ready(cx)).await {
            self.hand(Handed::Failed(error));
            return Err(failed("the service failed"));
        }
        let body = make(RequestContent::empty());
        let asked = self.ask(&mut service, parts, body).await?;
        self.fill(asked).await
    }

    /// Calls the service, for as long as somebody waits and a while longer. Its failure is handed over.
    async fn ask(
        &mut self,
        service: &mut S,
        mut parts: RequestParts,
        body: Q,
    ) -> Result<Asked<B>, SourceError> {
        let config = self.context.config.clone();
        if config.encoder.is_some() {
            // The plain content is stored for all; what a client takes it in is made here.
            parts.headers.remove(ACCEPT_ENCODING);
        }
        let facts = Facts::of(&parts);
        let sent = config.now();
        let answering = async { service.call(Request::from_parts(parts, body)).await };
        let answering = AssertUnwindSafe(answering).catch_unwind();
        let came = {
            let gone = async {
                if let Some(hand) = &mut self.hand {
                    hand.closed().await;
                }
            };
            while_wanted(pin!(unwanted(gone, config.linger)), answering).await
        };
        let times = Times {
            sent,
            came: config.now(),
        };
        match came {
            None => Err(failed("nobody waited any more")),
            Some(Ok(Ok(response))) => Ok(Asked {
                facts,
                response,
                times,
            }),
            Some(Ok(Err(error))) => {
                self.hand(match self.if_error {
                    true => Handed::Stale(None),
                    false => Handed::Failed(error),
                });
                Err(failed("the service failed"))
            }
            Some(Err(panic)) => {
                self.hand(Handed::Panicked(panic));
                Err(failed("the service panicked"))
            }
        }
    }
}

fn passed(why: Why) -> Landing {
    current_load().no_store();
    Ok(Arc::new(Kept::Passed(why)))
}

fn failed(text: &str) -> SourceError {
    SourceError {
        error: Arc::new(()),
        text: text.into(),
    }
}
