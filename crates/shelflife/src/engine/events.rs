//! Events: handlers that turn what happened into what is to be invalidated.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Engine;
use super::load::BoxFuture;
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

pub(crate) type Handler = Arc<
    dyn Fn(&(dyn Any + Send + Sync)) -> BoxFuture<Result<Invalidation, HandlerError>> + Send + Sync,
>;

/// The handlers of a process, by event name.
#[derive(Default)]
pub(crate) struct Handlers(RwLock<HashMap<&'static str, Vec<Handler>>>);

impl Handlers {
    pub(crate) fn add(&self, name: &'static str, handler: Handler) {
        let mut all = self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        all.entry(name).or_default().push(handler);
    }

    fn of(&self, name: &str) -> Vec<Handler> {
        let all = self
            .0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        all.get(name).cloned().unwrap_or_default()
    }
}

impl Engine {
    /// Runs the handlers, carries out what they ask for in one invalidation, and logs the event with
    /// it. If a handler fails, what the others asked for is carried out all the same, the event is
    /// logged, and the failure is the result.
    pub(crate) async fn emit<E: Event>(self: &Arc<Self>, event: &E) -> Result<Epoch, Error> {
        let payload = serde_json::to_string(event).map_err(|e| {
            Error::new(
                ErrorKind::Value,
                format!("the event {} can't be encoded", E::NAME),
            )
            .with_source(e)
        })?;
        let mut what = Invalidation::new();
        let mut failures = Vec::new();
        for handler in self.events.of(E::NAME) {
            match handler(event).await {
                Ok(asked) => what = what.and(asked),
                Err(failure) => failures.push(failure),
            }
        }
        let logged = LoggedEvent {
            name: E::NAME.to_owned(),
            payload,
        };
        let epoch = self.invalidate(what, Some(logged)).await?;
        if failures.is_empty() {
            return Ok(epoch);
        }
        let all: Vec<String> = failures.iter().map(ToString::to_string).collect();
        let message = format!(
            "handlers of the event {} failed: {}",
            E::NAME,
            all.join("; ")
        );
        let error = Error::new(ErrorKind::Handler, message);
        Err(match failures.pop() {
            Some(failure) => error.with_source(failure),
            None => error,
        })
    }
}
