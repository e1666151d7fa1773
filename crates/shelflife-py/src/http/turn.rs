//! The application as a tower service: a call is a [`Turn`], which Python takes in the loop that it belongs to.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use shelflife::binding::{self, canonical_tag};
use shelflife::tower::by_hand::Alone;
use shelflife::tower::{RequestContent, Store};
use tokio::sync::{mpsc, oneshot};
use tower_service::Service;

use super::{Head, wire};
use crate::load::{Fault, Inside};
use crate::mailbox::{Item, Post};
use crate::options::duration;

/// Where an application runs, and how a turn is begun there. In the extensions of its request.
#[derive(Clone)]
pub(super) struct Place {
    post: Arc<Post>,
    start: Arc<Py<PyAny>>,
}

impl Place {
    pub(super) fn of(post: Arc<Post>, start: Py<PyAny>) -> Self {
        Self {
            post,
            start: Arc::new(start),
        }
    }
}

/// The content of a request, as far as the key wants it: the application has its own.
pub(super) struct Content(Bytes);

impl Content {
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// Put together again, after it was read for the key.
    pub(super) fn again(mut content: RequestContent<Self>) -> Self {
        let (mut bytes, mut nobody) = (BytesMut::new(), Context::from_waker(Waker::noop()));
        // Never pending: it was at hand.
        while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut content).poll_frame(&mut nobody) {
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        Self(bytes.freeze())
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }
}

/// What an application sends after its head, as far as it is wanted here.
pub(super) struct Sent {
    chunks: mpsc::UnboundedReceiver<Result<Bytes, Fault>>,
    ended: bool,
    /// The turn goes on without a body to wait for; given up, it is cancelled.
    _wanted: Wanted,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let chunk = ready!(self.chunks.poll_recv(cx));
        self.ended = !matches!(&chunk, Some(Ok(data)) if !data.is_empty());
        Poll::Ready(match chunk {
            // An empty chunk is the clean end; without one the application was lost.
            Some(Ok(data)) if data.is_empty() => None,
            Some(Ok(data)) => Some(Ok(Frame::data(data))),
            Some(Err(fault)) => Some(Err(Broken(fault.to_string()))),
            None => Some(Err(Broken("the application was lost".to_owned()))),
        })
    }
}

/// Why the content of a response broke off.
#[derive(Debug)]
pub(super) struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

/// What a turn gives before its content.
struct Began {
    head: Head,
    store: Option<Store>,
}

struct Under {
    /// Taken by the head, or by what comes in its place.
    head: Option<oneshot::Sender<Result<Began, Fault>>>,
    /// Taken by the end.
    chunks: Option<mpsc::UnboundedSender<Result<Bytes, Fault>>>,
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

    fn fail(&self, fault: Fault) {
        let (head, chunks) = {
            let mut under = self.under();
            (under.head.take(), under.chunks.take())
        };
        // Nobody there: it was given up.
        if let Some(head) = head {
            let _ = head.send(Err(fault));
        } else if let Some(chunks) = chunks {
            let _ = chunks.send(Err(fault));
        }
    }
}

/// Held while the engine wants a turn; dropped before its end, it tells Python that nobody does any more.
struct Wanted(Arc<Shared>);

impl Drop for Wanted {
    fn drop(&mut self) {
        let mut under = self.0.under();
        under.given_up = true;
        if under.chunks.is_some()
            && let Some(cancel) = under.cancel.take()
        {
            drop(under);
            drop(self.0.post.put(Item::Cancel(cancel)));
        }
    }
}

/// The application behind the layer, of whichever request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Application;

impl Service<Request<Content>> for Application {
    type Response = Response<Sent>;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Sent>, Fault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Content>) -> Self::Future {
        let (mut parts, _) = request.into_parts();
        let Some(place) = parts.extensions.remove::<Place>() else {
            return Box::pin(async { Err(Fault::lost()) });
        };
        let (head, began) = oneshot::channel();
        let (sender, chunks) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            under: Mutex::new(Under {
                head: Some(head),
                chunks: Some(sender),
                cancel: None,
                given_up: false,
            }),
            post: place.post.clone(),
        });
        let turn = Turn {
            shared: shared.clone(),
            inside: binding::Inside::current().map(Inside),
            is_alone: parts.extensions.get::<Alone>().is_some(),
            headers: parts.headers,
        };
        let wanted = Wanted(shared);
        let put = place.post.put(Item::Turn(place.start, Box::new(turn)));
        Box::pin(async move {
            if put.is_err() {
                return Err(Fault::lost());
            }
            let Began {
                head: (status, headers),
                store,
            } = began.await.unwrap_or_else(|_| Err(Fault::lost()))?;
            let mut response = Response::new(Sent {
                chunks,
                ended: false,
                _wanted: wanted,
            });
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            if let Some(store) = store {
                response.extensions_mut().insert(store);
            }
            Ok(response)
        })
    }
}

/// See `_core.pyi`.
#[pyclass(frozen, module = "shelflife._core")]
pub(crate) struct Turn {
    shared: Arc<Shared>,
    /// The loads of which it is the innermost, if it is one.
    inside: Option<Inside>,
    headers: HeaderMap,
    /// Whether nobody but its own request waits for the answer.
    #[pyo3(get)]
    is_alone: bool,
}

impl Turn {
    /// Calls what takes it, in its own loop.
    pub(crate) fn start(self, py: Python<'_>, start: &Bound<'_, PyAny>) {
        let shared = self.shared.clone();
        if shared.under().given_up {
            return;
        }
        if let Err(error) = start.call1((self,)) {
            shared.fail(Fault::raised(py, &error));
        }
    }
}

#[pymethods]
impl Turn {
    #[getter]
    fn inside(&self) -> Option<Inside> {
        // What an application does behind its answer has nobody wait for it.
        let under = self.shared.under();
        self.inside.clone().filter(|_| under.chunks.is_some())
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        wire::fields(py, &self.headers)
    }

    #[pyo3(signature = (status, headers, store=None))]
    fn head(
        &self,
        status: u16,
        headers: &Bound<'_, PyAny>,
        store: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let head = wire::head(status, headers)?;
        let store = store.map(stored_as).transpose()?;
        let told = self.shared.under().head.take();
        if let Some(told) = told {
            let _ = told.send(Ok(Began { head, store }));
        }
        Ok(())
    }

    /// False when no more of it is wanted.
    fn push(&self, data: Cow<'_, [u8]>) -> bool {
        let under = self.shared.under();
        let Some(chunks) = &under.chunks else {
            return false;
        };
        match data.is_empty() {
            true => !chunks.is_closed(),
            false => chunks.send(Ok(Bytes::copy_from_slice(&data))).is_ok(),
        }
    }

    fn end(&self) {
        let chunks = self.shared.under().chunks.take();
        if let Some(chunks) = chunks {
            let _ = chunks.send(Ok(Bytes::new()));
        }
    }

    #[pyo3(signature = (error=None))]
    fn fail(&self, py: Python<'_>, error: Option<Bound<'_, PyAny>>) {
        self.shared.fail(match error {
            Some(error) => Fault::raised(py, &PyErr::from_value(error)),
            None => Fault::lost(),
        });
    }

    fn on_cancel(&self, cancel: Py<PyAny>) {
        let mut under = self.shared.under();
        if under.given_up {
            drop(under);
            drop(self.shared.post.put(Item::Cancel(cancel)));
        } else {
            under.cancel = Some(cancel);
        }
    }
}

/// Dropped without a word: its loop ended, or its task was lost.
impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.fail(Fault::lost());
    }
}

/// A word of the application on its own response.
fn stored_as(word: &Bound<'_, PyDict>) -> PyResult<Store> {
    let time = |name: &str| -> PyResult<_> {
        let seconds: Option<f64> = match word.get_item(name)? {
            Some(seconds) => seconds.extract()?,
            None => None,
        };
        seconds.map(|seconds| duration(name, seconds)).transpose()
    };
    if let Some(no_store) = word.get_item("no_store")?
        && no_store.is_truthy()?
    {
        return Ok(Store::no_store());
    }
    let mut store = match time("ttl")? {
        Some(ttl) => Store::ttl(ttl),
        None => Store::as_said(),
    };
    if let Some(stale) = time("stale")? {
        store = store.stale(stale);
    }
    if let Some(tags) = word.get_item("tags")? {
        let tags: Vec<String> = tags.extract()?;
        store = store.tags(tags.into_iter().map(canonical_tag));
    }
    Ok(store)
}
