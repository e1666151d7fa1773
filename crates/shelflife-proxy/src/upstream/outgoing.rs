//! A request's body on its way to the upstream: counted, and held back while the origin has not said "go on".

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::body::{BodyError, RequestBody};
use crate::deadline::Deadline;
use crate::forward;

/// How far a request has got, as seen by whoever waits for its response.
#[derive(Debug)]
pub(super) struct Progress {
    since: Instant,
    /// When the last piece was handed over: ms after `since`. Relaxed: a measure, it orders nothing.
    moved: AtomicU64,
    /// The client is being waited for. Relaxed, for the same reason.
    starved: AtomicBool,
    /// The origin wants the body, or waiting for its word has an end.
    open: AtomicBool,
    /// The task that sends the body.
    waker: AtomicWaker,
    /// Why the body broke off.
    failure: Mutex<Option<BodyError>>,
}

impl Progress {
    /// Of a request whose body is held back until [`Progress::go_on`] if `held`.
    pub(super) fn new(held: bool) -> Arc<Self> {
        Arc::new(Progress {
            since: Instant::now(),
            moved: AtomicU64::new(0),
            starved: AtomicBool::new(false),
            open: AtomicBool::new(!held),
            waker: AtomicWaker::new(),
            failure: Mutex::new(None),
        })
    }

    /// Lets the body go.
    pub(super) fn go_on(&self) {
        // Release, with the Acquire in `poll_frame`: by convention of flags; nothing is published with it.
        self.open.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// When the origin was last given something to do; none while the client is being waited for.
    pub(super) fn last(&self) -> Option<Instant> {
        if self.starved.load(Ordering::Relaxed) {
            return None;
        }
        Some(self.since + Duration::from_millis(self.moved.load(Ordering::Relaxed)))
    }

    pub(super) fn failure(&self) -> Option<BodyError> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self) {
        let passed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(passed, Ordering::Relaxed);
        self.starved.store(false, Ordering::Relaxed);
    }

    fn fail(&self, error: &BodyError) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
    }
}

/// The body that hyper sends.
#[derive(Debug)]
pub(super) struct OutgoingBody {
    body: RequestBody,
    progress: Arc<Progress>,
    /// Until when the origin's word is waited for.
    patience: Option<Deadline>,
}

impl OutgoingBody {
    pub(super) fn new(body: RequestBody, progress: Arc<Progress>, patience: Duration) -> Self {
        let held = !progress.open.load(Ordering::Acquire);
        OutgoingBody {
            body,
            progress,
            patience: held.then(|| Deadline::after(patience)),
        }
    }

    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(patience) = &mut self.patience else {
            return Poll::Ready(());
        };
        self.progress.waker.register(context.waker());
        if !self.progress.open.load(Ordering::Acquire) {
            ready!(patience.poll(context));
        }
        self.patience = None;
        Poll::Ready(())
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        ready!(self.poll_open(context));
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            self.progress.starved.store(true, Ordering::Relaxed);
            return Poll::Pending;
        };
        self.progress.note();
        let frame = frame.map(|frame| {
            frame
                .inspect_err(|error| self.progress.fail(error))
                .map(|mut frame| {
                    if let Some(trailers) = frame.trailers_mut() {
                        forward::strip_trailers(trailers);
                    }
                    frame
                })
        });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
