//! Events: handlers that turn what happened into what is to be invalidated.
//!
//! The process that emits runs its handlers before `emit` returns; the others run theirs when the log
//! brings the event (`heard.rs`). A handler that fails, panics or takes too long is a failure with a
//! reason, and takes nobody along.
//!
//! Must not: know what is in an event beyond its name.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Engine;
use super::duty::UnderWay;
use super::heard::Queue;
use super::invalidate::finished;
use super::load::{BoxFuture, panic_text};
use crate::counters::bump;
use crate::epoch::Epoch;
use crate::error::{Error, ErrorKind};
use crate::invalidation::Invalidation;
use crate::store::LoggedEvent;

/// Something that happened in the application, named for all processes.
///
/// ```
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct UserUpdated {
///     id: u64,
/// }
///
/// impl shelflife::Event for UserUpdated {
///     const NAME: &'static str = "user_updated";
/// }
/// ```
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The event's name in the log, the same in every language.
    const NAME: &'static str;
}

/// Why a handler failed.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// A handler at work: never panics.
pub(super) type Handling = BoxFuture<Result<Invalidation, HandlerError>>;

type Calls<T> = dyn Fn(&T) -> Handling + Send + Sync;

/// A handler, of whatever event.
pub(crate) struct Handler {
    /// Takes the event itself.
    emitted: Box<Calls<dyn Any + Send + Sync>>,
    /// Takes it as the log tells it.
    heard: Box<Calls<str>>,
}

impl Handler {
    pub(crate) fn of<E, F, Fut>(handler: F) -> Self
    where
        E: Event,
        F: Fn(&E) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Invalidation, HandlerError>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let same = handler.clone();
        Self {
            emitted: Box::new(move |event| match event.downcast_ref::<E>() {
                Some(event) => begin(|| handler(event)),
                None => failed(format!("two event types share the name {}", E::NAME)),
            }),
            heard: Box::new(move |payload| match serde_json::from_str::<E>(payload) {
                Ok(event) => begin(|| same(&event)),
                Err(error) => failed(format!("the payload can't be read: {error}")),
            }),
        }
    }

    /// A handler of an event that is nothing but its payload, JSON.
    #[cfg(feature = "binding")]
    pub(crate) fn of_payload<F, Fut>(handler: F) -> Self
    where
        F: Fn(&str) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Invalidation, HandlerError>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let same = handler.clone();
        Self {
            emitted: Box::new(move |event| match event.downcast_ref::<String>() {
                Some(payload) => begin(|| handler(payload)),
                None => failed("it was emitted as another type".to_owned()),
            }),
            heard: Box::new(move |payload| begin(|| same(payload))),
        }
    }

    pub(super) fn heard(&self, payload: &str) -> Handling {
        (self.heard)(payload)
    }
}

fn failed(why: String) -> Handling {
    Box::pin(std::future::ready(Err(why.into())))
}

/// Calls a handler. Its panic, now or later, is a failure.
fn begin<Fut>(call: impl FnOnce() -> Fut) -> Handling
where
    Fut: Future<Output = Result<Invalidation, HandlerError>> + Send + 'static,
{
    match catch_unwind(AssertUnwindSafe(call)) {
        Err(panic) => failed(format!("it panicked: {}", panic_text(&*panic))),
        Ok(handling) => Box::pin(async move {
            let outcome = AssertUnwindSafe(handling).catch_unwind().await;
            outcome
                .unwrap_or_else(|panic| Err(format!("it panicked: {}", panic_text(&*panic)).into()))
        }),
    }
}

/// The handlers of a process, by event name, and what it has heard and not handled yet.
#[derive(Default)]
pub(crate) struct Handlers {
    /// Held for a look or an addition, never across a wait.
    all: RwLock<HashMap<Box<str>, Vec<Arc<Handler>>>>,
    pub(super) queue: Queue,
}

impl Handlers {
    pub(crate) fn add(&self, name: &str, handler: Handler) {
        let mut all = self
            .all
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        all.entry(name.into()).or_default().push(Arc::new(handler));
    }

    pub(super) fn of(&self, name: &str) -> Vec<Arc<Handler>> {
        let all = self
            .all
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        all.get(name).cloned().unwrap_or_default()
    }
}

impl Engine {
    /// Runs the handlers, carries out what they ask for in one invalidation, and logs the event with
    /// it. If a handler fails, what the others asked for is carried out all the same, the event is
    /// logged, and the failure is the result. Once begun it is finished, even if its caller goes away.
    pub(crate) async fn emit<E: Event>(self: &Arc<Self>, event: &E) -> Result<Epoch, Error> {
        let payload = serde_json::to_string(event).map_err(|e| {
            Error::new(
                ErrorKind::Value,
                format!("the event {} can't be encoded", E::NAME),
            )
            .with_source(e)
        })?;
        self.emit_any(E::NAME, event, payload).await
    }

    /// The same for an event that is nothing but its payload, JSON.
    #[cfg(feature = "binding")]
    pub(crate) async fn emit_payload(
        self: &Arc<Self>,
        name: &str,
        payload: String,
    ) -> Result<Epoch, Error> {
        self.emit_any(name, &payload.clone(), payload).await
    }

    async fn emit_any(
        self: &Arc<Self>,
        name: &str,
        event: &(dyn Any + Send + Sync),
        payload: String,
    ) -> Result<Epoch, Error> {
        let handlers = self.events.of(name);
        let handling = handlers.iter().map(|h| (h.emitted)(event)).collect();
        let event = LoggedEvent {
            name: name.to_owned(),
            payload,
        };
        let engine = self.clone();
        // Until its invalidation begins; that sees to it itself.
        let nothing = Arc::new(Invalidation::new());
        let under_way = UnderWay::new(self, &nothing, Some(&Arc::new(event.clone())));
        let work = async move { engine.emit_begun(event, handling, under_way).await };
        finished(self.detach(work).await)
    }

    async fn emit_begun(
        self: &Arc<Self>,
        event: LoggedEvent,
        handling: Vec<Handling>,
        under_way: UnderWay,
    ) -> Result<Epoch, Error> {
        let (what, mut failures) = self.outcomes(handling).await;
        let name = event.name.clone();
        under_way.end();
        let epoch = self.invalidate(what, Some(event)).await?;
        if failures.is_empty() {
            return Ok(epoch);
        }
        let all: Vec<String> = failures.iter().map(ToString::to_string).collect();
        let message = format!("handlers of the event {name} failed: {}", all.join("; "));
        let error = Error::new(ErrorKind::Handler, message);
        Err(match failures.pop() {
            Some(failure) => error.with_source(failure),
            None => error,
        })
    }

    /// Waits for handlers, side by side: all that they ask for, and why some failed.
    pub(super) async fn outcomes(
        &self,
        handling: Vec<Handling>,
    ) -> (Invalidation, Vec<HandlerError>) {
        let limit = self.settings.handler_timeout;
        let outcomes = join_all(handling.into_iter().map(|one| within(limit, one))).await;
        let mut what = Invalidation::new();
        let mut failures = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(asked) => what = what.and(asked),
                Err(failure) => failures.push(failure),
            }
        }
        for _ in &failures {
            bump(&self.counters.handler_failures);
        }
        (what, failures)
    }
}

async fn within(limit: Duration, handling: Handling) -> Result<Invalidation, HandlerError> {
    let ended = tokio::time::timeout(limit, handling).await;
    ended.unwrap_or_else(|_| Err(format!("it took longer than {limit:?}").into()))
}
