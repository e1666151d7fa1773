//! Loads: a loader of Python's, as the engine sees it.
//!
//! The engine asks for the load when it wants it, in a task of its own; it is started through the mailbox of the loop that it
//! belongs to, and tells its end through [`Load`]. If the engine gives it up, it is cancelled there.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use shelflife::binding::{self, Encoded};
use shelflife::current_load;
use tokio::sync::oneshot;

use crate::error::LoadLost;
use crate::mailbox::{Item, Post};
use crate::value::kept;

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
#[derive(Clone)]
pub(crate) struct Inside(pub(crate) binding::Inside);

impl Inside {
    pub(crate) fn of(inside: Option<&Self>) -> Option<binding::Inside> {
        inside.map(|inside| inside.0.clone())
    }
}

/// Why a load of Python's has no value.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The exception itself; `None` if nobody was there to raise one.
    error: Option<Py<PyAny>>,
    text: String,
}

impl Fault {
    pub(crate) fn lost() -> Self {
        Self {
            error: None,
            text: "the load was dropped: its event loop has ended".to_owned(),
        }
    }

    pub(crate) fn raised(py: Python<'_>, error: &PyErr) -> Self {
        Self {
            text: error.to_string(),
            error: Some(error.clone_ref(py).into_value(py).into_any()),
        }
    }

    /// The exception to raise for whoever waited.
    pub(crate) fn to_err(&self, py: Python<'_>) -> PyErr {
        match &self.error {
            Some(error) => PyErr::from_value(error.bind(py).clone()),
            None => LoadLost::new_err(self.text.clone()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a load gave.
enum Given {
    One(Encoded),
    Many(HashMap<usize, Encoded>),
}

#[derive(Default)]
struct Adapted {
    ttl: Option<Duration>,
    stale: Option<Duration>,
    tags: Vec<String>,
    no_store: bool,
}

struct Under {
    /// Taken by what ends it.
    end: Option<oneshot::Sender<Result<Given, Fault>>>,
    adapted: Adapted,
    cancel: Option<Py<PyAny>>,
    given_up: bool,
}

struct Shared {
    /// Held to look or to change.
    under: Mutex<Under>,
    post: Arc<Post>,
}

impl Shared {
    fn under(&self) -> MutexGuard<'_, Under> {
        self.under.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, how: Result<Given, Fault>) {
        let end = self.under().end.take();
        if let Some(end) = end {
            // Nobody there: it was given up.
            let _ = end.send(how);
        }
    }
}

/// Held by the engine while a load is under way: dropped before its end, it cancels it.
struct Wanted(Arc<Shared>);

impl Drop for Wanted {
    fn drop(&mut self) {
        let mut under = self.0.under();
        under.given_up = true;
        if under.end.take().is_some()
            && let Some(cancel) = under.cancel.take()
        {
            drop(under);
            drop(self.0.post.put(Item::Cancel(cancel)));
        }
    }
}

/// Where a load is to run, and how it is begun there.
#[derive(Clone)]
pub(crate) struct Starter {
    pub(crate) post: Arc<Post>,
    pub(crate) start: Arc<Py<PyAny>>,
    /// Whether what is loaded is kept as it is, for all: else each caller's is made of its encoding.
    pub(crate) shared: bool,
}

impl Starter {
    pub(crate) async fn one(self) -> Result<Encoded, Fault> {
        match self.run(None, None).await? {
            Given::One(value) => Ok(value),
            Given::Many(_) => Err(Fault {
                error: None,
                text: "done_many() is for load_many".to_owned(),
            }),
        }
    }

    pub(crate) async fn many(self, wanted: Vec<usize>) -> Result<HashMap<usize, Encoded>, Fault> {
        match self.run(Some(wanted), None).await? {
            Given::Many(found) => Ok(found),
            Given::One(_) => Err(Fault {
                error: None,
                text: "done() is for a single load".to_owned(),
            }),
        }
    }

    /// A handler's work on an event: what it wants to be invalidated.
    pub(crate) async fn handle(self, payload: String) -> Result<Encoded, Fault> {
        match self.run(None, Some(payload)).await? {
            Given::One(value) => Ok(value),
            Given::Many(_) => Err(Fault::lost()),
        }
    }

    async fn run(
        self,
        wanted: Option<Vec<usize>>,
        payload: Option<String>,
    ) -> Result<Given, Fault> {
        let (end, ended) = oneshot::channel();
        let shared = Arc::new(Shared {
            under: Mutex::new(Under {
                end: Some(end),
                adapted: Adapted::default(),
                cancel: None,
                given_up: false,
            }),
            post: self.post.clone(),
        });
        let load = Load {
            under: shared.clone(),
            inside: binding::Inside::current().map(Inside),
            wanted,
            payload,
            shared: self.shared,
        };
        if self.post.put(Item::Start(self.start, load)).is_err() {
            return Err(Fault::lost());
        }
        let guard = Wanted(shared);
        let given = ended.await.unwrap_or_else(|_| Err(Fault::lost()));
        let adapted = std::mem::take(&mut guard.0.under().adapted);
        let mut load = current_load();
        if let Some(ttl) = adapted.ttl {
            load = load.ttl(ttl);
        }
        if let Some(stale) = adapted.stale {
            load = load.stale(stale);
        }
        for tag in adapted.tags {
            load = load.tag(tag);
        }
        if adapted.no_store {
            load.no_store();
        }
        given
    }
}

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Load {
    under: Arc<Shared>,
    /// It and those inside which it runs; `None` for a handler, which is no load.
    inside: Option<Inside>,
    wanted: Option<Vec<usize>>,
    #[pyo3(get)]
    payload: Option<String>,
    shared: bool,
}

impl Load {
    fn encoded(&self, payload: &[u8], value: Py<PyAny>) -> Encoded {
        let encoded = Encoded::new(Bytes::copy_from_slice(payload));
        match self.shared {
            true => encoded.with(kept(value)),
            false => encoded,
        }
    }

    /// Calls what begins it, in its own loop.
    pub(crate) fn start(self, py: Python<'_>, start: &Bound<'_, PyAny>) {
        let shared = self.under.clone();
        if shared.under().given_up {
            return;
        }
        if let Err(error) = start.call1((self,)) {
            shared.end(Err(Fault::raised(py, &error)));
        }
    }
}

#[pymethods]
impl Load {
    fn done(&self, payload: Cow<'_, [u8]>, value: Py<PyAny>) {
        self.under
            .end(Ok(Given::One(self.encoded(&payload, value))));
    }

    fn done_many(&self, found: &Bound<'_, PyDict>) -> PyResult<()> {
        let mut values = HashMap::with_capacity(found.len());
        for (at, one) in found {
            let (payload, value): (Bound<'_, PyBytes>, Py<PyAny>) = one.extract()?;
            let value = self.encoded(payload.as_bytes(), value);
            values.insert(at.extract()?, value);
        }
        self.under.end(Ok(Given::Many(values)));
        Ok(())
    }

    fn fail(&self, py: Python<'_>, error: Bound<'_, PyAny>) {
        let error = PyErr::from_value(error);
        self.under.end(Err(Fault::raised(py, &error)));
    }

    #[getter]
    fn inside(&self) -> Option<Inside> {
        // What goes on behind an ended load has nobody wait for it.
        let under = self.under.under();
        self.inside.clone().filter(|_| under.end.is_some())
    }

    #[getter]
    fn wanted(&self) -> Option<Vec<usize>> {
        self.wanted.clone()
    }

    fn on_cancel(&self, cancel: Py<PyAny>) {
        let mut under = self.under.under();
        if under.given_up {
            drop(under);
            drop(self.under.post.put(Item::Cancel(cancel)));
        } else {
            under.cancel = Some(cancel);
        }
    }

    fn ttl(&self, seconds: f64) -> PyResult<()> {
        self.under.under().adapted.ttl = Some(crate::options::duration("ttl", seconds)?);
        Ok(())
    }

    fn stale(&self, seconds: f64) -> PyResult<()> {
        self.under.under().adapted.stale = Some(crate::options::duration("stale", seconds)?);
        Ok(())
    }

    fn tag(&self, tag: String) {
        self.under.under().adapted.tags.push(tag);
    }

    fn no_store(&self) {
        self.under.under().adapted.no_store = true;
    }
}

/// Dropped without a word: its loop ended, or its task was lost.
impl Drop for Load {
    fn drop(&mut self) {
        self.under.end(Err(Fault::lost()));
    }
}
