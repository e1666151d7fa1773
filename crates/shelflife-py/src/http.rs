//! HTTP: the layer's rules around an ASGI application, which Python runs.
//!
//! ```text
//! scope ─► look ─┬─► (start, body)   there it is
//!                ├─► Passing         the application answers for itself
//!                └─► Asking ─ask()─► stored, or another's: (start, body)
//!                        └─ the engine wants it ─► Turn: Python runs the application, and tells what it sends
//! ```
//!
//! - `wire`: between ASGI's messages and HTTP's types.
//! - `turn`: the application as a tower service.
//! - `rule`: rules, as Python writes them.
//!
//! Must not: hold a rule of HTTP, or send anything: Python holds both ends of the exchange.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, Request, StatusCode};
use http_body::Body as _;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use shelflife::binding::{self, canonical_tag};
use shelflife::tower::by_hand::{self, Asking as Ask, Looked, Origin};
use shelflife::tower::{CacheBody, CacheLayer};

use crate::core::Core;
use crate::error::to_err;
use crate::http::rule::Rule;
use crate::http::turn::{Application, Content, Place, Sent};
use crate::load::Inside;
use crate::mailbox::Mailbox;
use crate::runtime::runtime;
use crate::step::{Answer, begin};

pub(crate) mod rule;
pub(crate) mod turn;
mod wire;

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Layer(CacheLayer);

#[pymethods]
impl Layer {
    #[new]
    fn new(
        py: Python<'_>,
        core: &Core,
        rules: Vec<PyRef<'_, Rule>>,
        settings: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let mut builder = CacheLayer::builder(core.cache())
            .rules(rules.iter().map(|rule| rule.0.clone()))
            .request_body(Content::again);
        for (name, value) in settings {
            let name: String = name.extract()?;
            let text = || value.extract::<String>();
            builder = match &*name {
                "max_body" => builder.max_body(value.extract()?),
                "collapse_wait" => builder.collapse_wait(&text()?),
                "linger" => builder.linger(&text()?),
                "remember_passed" => builder.remember_passed(&text()?),
                "compress" => builder.compress(value.extract()?),
                "name" if value.is_none() => builder.no_cache_status(),
                "name" => builder.name(text()?),
                _ => return Err(PyValueError::new_err(format!("no setting {name:?}"))),
            };
        }
        builder
            .build()
            .map(Self)
            .map_err(|error| to_err(py, &error))
    }

    #[pyo3(signature = (scope, name=None))]
    fn look<'py>(
        &self,
        py: Python<'py>,
        scope: &Bound<'py, PyDict>,
        name: Option<String>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(mut parts) = wire::parts_of(scope)? else {
            return Ok(None);
        };
        if let Some(name) = name {
            by_hand::name(&mut parts, name);
        }
        Ok(Some(match by_hand::look_at::<Sent>(&self.0, &parts) {
            Looked::Answer(response) => {
                let (head, body) = response.into_parts();
                let Origin::Stored(body) = body.origin() else {
                    return Ok(None);
                };
                let start = wire::start(py, head.status, &head.headers)?;
                (start, PyBytes::new(py, &body))
                    .into_pyobject(py)?
                    .into_any()
            }
            Looked::Pass(passing) => Bound::new(
                py,
                Passing {
                    said: passing.said().map(|said| said.as_bytes().to_vec()),
                    changes: passing.changes(),
                    passing: Mutex::new(Some(passing)),
                },
            )?
            .into_any(),
            Looked::Ask(ask) => {
                let request = Request::from_parts(parts, ());
                Bound::new(py, Asking(Mutex::new(Some((ask, request)))))?.into_any()
            }
        }))
    }
}

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Passing {
    said: Option<Vec<u8>>,
    #[pyo3(get)]
    changes: bool,
    /// Held to take.
    passing: Mutex<Option<by_hand::Passing>>,
}

impl Passing {
    fn take(&self) -> Option<by_hand::Passing> {
        let mut passing = self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        passing.take()
    }
}

#[pymethods]
impl Passing {
    #[getter]
    fn said<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.said.as_ref().map(|said| PyBytes::new(py, said))
    }

    /// There is no answer.
    fn give_up(&self, py: Python<'_>) {
        let passing = self.take().filter(by_hand::Passing::changes);
        if passing.is_some()
            && let Ok(runtime) = runtime(py)
        {
            let _entered = runtime.enter();
            drop(passing);
        }
    }

    fn answered(
        &self,
        py: Python<'_>,
        status: u16,
        headers: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let (status, headers) = wire::head(status, headers)?;
        let Some(passing) = self.take() else {
            return Ok(py.None());
        };
        begin(py, true, async move {
            passing.answered(status, headers).await;
            Answer::new(|py| Ok(py.None()))
        })
    }
}

/// Not told how it ended: what it may have changed is invalidated, which takes the runtime.
impl Drop for Passing {
    fn drop(&mut self) {
        Python::attach(|py| self.give_up(py));
    }
}

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Asking(Mutex<Option<(Ask, Request<()>)>>);

#[pymethods]
impl Asking {
    /// Up to how many bytes of the request's content are wanted; `None`: none.
    #[getter]
    fn wants_body(&self) -> Option<u64> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.as_ref().and_then(|(ask, _)| ask.wants_body())
    }

    fn tag(&self, tags: Vec<String>) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((ask, _)) = &mut *taken {
            ask.tag(tags.into_iter().map(canonical_tag));
        }
    }

    #[pyo3(signature = (mailbox, start, body=None, inside=None))]
    fn ask(
        &self,
        py: Python<'_>,
        mailbox: &Mailbox,
        start: Py<PyAny>,
        body: Option<Vec<u8>>,
        inside: Option<&Inside>,
    ) -> PyResult<Py<PyAny>> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((ask, request)) = taken else {
            return Err(PyRuntimeError::new_err("it was asked for already"));
        };
        let (mut parts, ()) = request.into_parts();
        parts.extensions.insert(Place::of(mailbox.0.clone(), start));
        let content = Content::of(body.unwrap_or_default());
        let response = ask.of(Application, Request::from_parts(parts, content));
        let response = binding::within(Inside::of(inside), response);
        begin(py, false, async move {
            let response = response.await;
            Answer::new(move |py| match response {
                Ok(response) => outgoing(py, response),
                Err(fault) => Err(fault.to_err(py)),
            })
        })
    }
}

type Response = http::Response<CacheBody<Sent>>;

/// What goes out: the head, and the content if it is there; `None`: what the application sends.
fn outgoing(py: Python<'_>, response: Response) -> PyResult<Py<PyAny>> {
    let (head, body) = response.into_parts();
    let (body, storing) = match body.origin() {
        Origin::Stored(body) => (Some(PyBytes::new(py, &body)), None),
        Origin::Service => (None, None),
        Origin::Storing(body) => (None, Some(Storing(Mutex::new(Some(Box::pin(body)))))),
    };
    let start = match &body {
        Some(_) => wire::start_of_stored(py, head.status, head.headers)?,
        None => wire::start(py, head.status, &head.headers)?,
    };
    let made: Bound<'_, PyTuple> = (start, body, storing).into_pyobject(py)?;
    Ok(made.into_any().unbind())
}

type Body = Pin<Box<CacheBody<Sent>>>;

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Storing(Mutex<Option<Body>>);

#[pymethods]
impl Storing {
    /// Takes what has come, which its client has by another way; false when no more of it is wanted.
    fn go_on(&self) -> bool {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut nobody = Context::from_waker(Waker::noop());
        while let Some(coming) = &mut *body {
            let came = coming.as_mut().poll_frame(&mut nobody);
            match came {
                // Over the limit: what follows is the application's own.
                _ if coming.is_passed_on() => *body = None,
                Poll::Pending => return true,
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => *body = None,
            }
        }
        false
    }
}

/// For who tells a head.
pub(crate) type Head = (StatusCode, HeaderMap);
