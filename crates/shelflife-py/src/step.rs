//! A step: something under way in the engine, and who waits for it.
//!
//! It is tried once where it is asked for, which answers what needs no wait; the rest of it is a task of the runtime. Its end is told
//! through a mailbox, or found by who asks later.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::mailbox::{Item, Mailbox, Post};
use crate::runtime::runtime;

/// How an object is made, once the GIL is there.
pub(crate) type Make = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// What a step ends with: made into an object by who wants it.
pub(crate) struct Answer(pub(crate) Make);

impl Answer {
    pub(crate) fn new(
        make: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> Self {
        Self(Box::new(make))
    }
}

pub(crate) type Work = Pin<Box<dyn Future<Output = Answer> + Send>>;

enum State {
    Going,
    /// A future that is to be resolved in its loop.
    Awaited(Arc<Post>, Py<PyAny>),
    /// A thread that waits.
    Blocked(Arc<Post>),
    Ended(Answer),
    Taken,
}

/// Held to look or to change.
struct Shared(Mutex<State>);

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, answer: Answer) {
        let mut state = self.state();
        // Whoever is told may have gone: then there is nothing to tell.
        match std::mem::replace(&mut *state, State::Taken) {
            State::Awaited(post, future) => {
                drop(state);
                drop(post.put(Item::Resolve(future, answer)));
            }
            State::Blocked(post) => {
                *state = State::Ended(answer);
                drop(state);
                drop(post.put(Item::Ended));
            }
            State::Going => *state = State::Ended(answer),
            // The first end stays.
            ended @ (State::Ended(_) | State::Taken) => *state = ended,
        }
    }
}

/// The duty to end a step. Dropped before, its task was lost (it panicked, or its runtime is gone): who waits is told so.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        // Of a step that has ended nobody hears this.
        self.0.end(Answer::new(|_| {
            Err(PyRuntimeError::new_err(
                "the engine has lost this step: it panicked, and has said so on stderr",
            ))
        }));
    }
}

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Step {
    shared: Arc<Shared>,
    task: AbortHandle,
    /// Whether it goes on when nobody waits.
    goes_on: bool,
}

/// Begins some work: its answer if that is there at once, else a [`Step`].
pub(crate) fn begin(
    py: Python<'_>,
    goes_on: bool,
    work: impl Future<Output = Answer> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    let runtime = runtime(py)?;
    let mut work: Work = Box::pin(work);
    if !goes_on {
        let _entered = runtime.enter();
        // Polled again by its task: that is where it wants to be woken.
        let mut nobody = Context::from_waker(Waker::noop());
        if let Poll::Ready(answer) = work.as_mut().poll(&mut nobody) {
            return (answer.0)(py);
        }
    }
    let shared = Arc::new(Shared(Mutex::new(State::Going)));
    let ending = Ending(shared.clone());
    let task = runtime.spawn(async move {
        let answer = work.await;
        ending.0.end(answer);
    });
    let step = Step {
        shared,
        task: task.abort_handle(),
        goes_on,
    };
    Ok(Py::new(py, step)?.into_any())
}

#[pymethods]
impl Step {
    fn attach(&self, py: Python<'_>, mailbox: &Mailbox, future: Py<PyAny>) -> bool {
        let mut state = self.shared.state();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Ended(answer) => {
                drop(state);
                resolve(py, future.bind(py), answer);
                true
            }
            State::Taken => false,
            State::Going | State::Awaited(..) | State::Blocked(_) => {
                *state = State::Awaited(mailbox.0.clone(), future);
                false
            }
        }
    }

    fn block(&self, py: Python<'_>, mailbox: &Mailbox) -> PyResult<Py<PyAny>> {
        /// Between two looks at signals.
        const LOOK: Duration = Duration::from_millis(50);
        loop {
            {
                let mut state = self.shared.state();
                match std::mem::replace(&mut *state, State::Taken) {
                    State::Ended(answer) => {
                        drop(state);
                        return (answer.0)(py);
                    }
                    State::Taken => {
                        return Err(PyRuntimeError::new_err("the step was awaited already"));
                    }
                    _ => *state = State::Blocked(mailbox.0.clone()),
                }
            }
            py.detach(|| mailbox.0.wait(LOOK));
            if let Err(interrupted) = py.check_signals() {
                self.cancel();
                return Err(interrupted);
            }
            mailbox.0.drain(py);
        }
    }

    fn cancel(&self) {
        *self.shared.state() = State::Taken;
        if !self.goes_on {
            self.task.abort();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let waits = matches!(*self.shared.state(), State::Awaited(..));
        if !self.goes_on && !waits {
            self.task.abort();
        }
    }
}

/// Gives a future its answer, unless it is done: its waiter has been cancelled.
pub(crate) fn resolve(py: Python<'_>, future: &Bound<'_, PyAny>, answer: Answer) {
    if let Err(error) = try_resolve(py, future, answer) {
        error.write_unraisable(py, Some(future));
    }
}

fn try_resolve(py: Python<'_>, future: &Bound<'_, PyAny>, answer: Answer) -> PyResult<()> {
    if future.call_method0(intern!(py, "done"))?.is_truthy()? {
        return Ok(());
    }
    let made = (answer.0)(py);
    match made {
        Ok(value) => future.call_method1(intern!(py, "set_result"), (value,))?,
        Err(error) => {
            let error = match error.is_instance_of::<PyStopIteration>(py) {
                // A future takes any but this one, which would end the coroutine that awaits it.
                true => {
                    let other = PyRuntimeError::new_err("the load raised StopIteration");
                    other.set_cause(py, Some(error));
                    other
                }
                false => error,
            };
            future.call_method1(intern!(py, "set_exception"), (error.into_value(py),))?
        }
    };
    Ok(())
}
