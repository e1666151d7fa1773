//! What of a cached function's return type is kept, told by trait through any alias.
//!
//! Must not: open entries; a shape wraps the load and unwraps the answer.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use super::{Call, Unanswered};
use crate::{Error, Policy, Value, current_load};

/// The return type of a cached function.
pub struct Returned<R>(PhantomData<fn() -> R>);

impl<R> Returned<R> {
    #[expect(clippy::new_without_default, reason = "only expansions make it")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T, E> Returned<Result<T, E>> {
    /// A `Result` is kept by its `Ok`.
    ///
    /// Without bounds on purpose: a type that missed one would be found as [`Plain`], and its errors
    /// kept in silence.
    pub fn shape(self) -> ByOk<T, E> {
        ByOk(PhantomData)
    }
}

/// Whatever is not a `Result`.
pub trait Plain<R> {
    /// It is kept as it is.
    fn shape(self) -> ByValue<R>;
}

impl<R> Plain<R> for Returned<R> {
    fn shape(self) -> ByValue<R> {
        ByValue(PhantomData)
    }
}

/// Keeps what is in `Ok`; an `Err` reaches every caller of its load and is not kept.
pub struct ByOk<T, E>(PhantomData<fn() -> (T, E)>);

impl<T, E> ByOk<T, E> {
    /// The function, and its `refresh`. No call: uncached.
    pub async fn answer<F, Fut>(self, call: Option<Call>, load: F) -> Result<T, E>
    where
        T: Value + Clone,
        E: Failure,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let Some(call) = call else {
            return load().await;
        };
        call.answer(load)
            .await
            .map_err(|unanswered| match unanswered {
                Unanswered::Own(error) => error,
                Unanswered::Gone(error) => E::from(error),
            })
    }

    /// What is stored.
    pub async fn peek(self, call: Call) -> Option<Result<T, E>>
    where
        T: Value + Clone,
    {
        call.peek().await.map(Ok)
    }
}

/// Keeps the value as it is.
///
/// It has no room for an error: there is no hard timeout, and a panic of the load is one of its callers.
pub struct ByValue<R>(PhantomData<fn() -> R>);

impl<R> ByValue<R> {
    /// The function, and its `refresh`. No call: uncached.
    ///
    /// # Panics
    ///
    /// If the load did, or if it was another's load under the same key and failed.
    pub async fn answer<F, Fut>(self, call: Option<Call>, load: F) -> R
    where
        R: Value + Clone,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
    {
        let Some(call) = call else {
            return load().await;
        };
        let load = || async move { Ok::<R, Never>(load().await) };
        match call.tune(Policy::no_hard_timeout).answer(load).await {
            Ok(value) => value,
            Err(Unanswered::Own(never)) => match never {},
            // The hook has reported the panic where it happened; here it only goes on.
            Err(Unanswered::Gone(error)) => std::panic::resume_unwind(Box::new(error.to_string())),
        }
    }

    /// What is stored.
    pub async fn peek(self, call: Call) -> Option<R>
    where
        R: Value + Clone,
    {
        call.peek().await
    }
}

/// Keeps a `Result` as it is, an `Err` for its own time.
pub struct Whole<R>(PhantomData<fn() -> R>);

impl<R> Whole<R> {
    #[expect(clippy::new_without_default, reason = "only expansions make it")]
    pub fn new() -> Self {
        Self(PhantomData)
    }

    /// The function, and its `refresh`. No call: uncached.
    pub async fn answer<F, Fut>(self, call: Option<Call>, load: F) -> R
    where
        R: Fallible + Value + Clone,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
    {
        let Some(call) = call else {
            return load().await;
        };
        let error_ttl = call.error_ttl;
        let load = move || async move {
            let answer = load().await;
            if answer.is_err() {
                current_load().ttl(error_ttl).stale(Duration::ZERO);
            }
            Ok::<R, Never>(answer)
        };
        match call.answer(load).await {
            Ok(answer) => answer,
            Err(Unanswered::Own(never)) => match never {},
            Err(Unanswered::Gone(error)) => R::failed(error),
        }
    }

    /// What is stored.
    pub async fn peek(self, call: Call) -> Option<R>
    where
        R: Value + Clone,
    {
        call.peek().await
    }
}

/// What an error must be to reach every caller of a load.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the error of a cached function",
    label = "not fit to be shared",
    note = "every caller of a shared load gets its error, so `{Self}` must be `Clone` (derive it, or put what is not into an `Arc`), `Display`, `Send` and `Sync`",
    note = "a load can also panic or run out of time, so `{Self}` must be `From<shelflife::Error>`"
)]
pub trait Failure: Clone + fmt::Display + From<Error> + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<E: Clone + fmt::Display + From<Error> + Send + Sync + 'static> Failure for E {}

/// A return type that has room for a failed load.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no room for an error",
    label = "not a `Result`",
    note = "`hard_timeout` and `cache_err` are for functions that return a `Result`"
)]
pub trait Fallible {
    /// Whether it is an error.
    fn is_err(&self) -> bool;
    /// What stands for a load that gave nothing.
    fn failed(error: Error) -> Self;
}

impl<T, E: Failure> Fallible for Result<T, E> {
    fn is_err(&self) -> bool {
        Result::is_err(self)
    }

    fn failed(error: Error) -> Self {
        Err(E::from(error))
    }
}

/// The limit of a load whose function can say that it was passed.
pub fn limit<R: Fallible>(limit: Duration) -> Duration {
    limit
}

/// The error of a load that has none.
#[derive(Clone, Copy, Debug)]
enum Never {}

impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}
