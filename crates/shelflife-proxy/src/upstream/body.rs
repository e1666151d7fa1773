//! A response's body on its way from the upstream. When it has ended, its connection can be used again.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use super::connect::Sender;
use crate::body::ResponseError;
use crate::deadline::Deadline;
use crate::figures::Figures;
use crate::forward;

/// How long a connection may take to be ready again when its response has ended: the rest of a request may still be
/// on its way.
const READY: Duration = Duration::from_secs(5);

/// The body of an upstream's response.
#[derive(Debug)]
pub(crate) struct UpstreamBody {
    body: Incoming,
    lease: Option<Lease>,
    wait: Duration,
    deadline: Option<Deadline>,
}

/// A connection in use, and the place that its request takes.
pub(super) struct Lease {
    pub(super) shared: Arc<Shared>,
    pub(super) sender: Sender,
    /// How long the origin said that it keeps it.
    pub(super) told: Option<Duration>,
    pub(super) _place: Place,
}

/// The right to have the upstream asked one request, until the end of its response.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    figures: Arc<Figures>,
}

impl Place {
    pub(super) fn new(permit: OwnedSemaphorePermit, figures: Arc<Figures>) -> Self {
        figures.upstream.asked.begin();
        Place {
            _permit: permit,
            figures,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.figures.upstream.asked.end();
    }
}

impl UpstreamBody {
    pub(super) fn new(body: Incoming, lease: Lease, wait: Duration) -> Self {
        UpstreamBody {
            body,
            lease: Some(lease),
            wait,
            deadline: None,
        }
    }

    /// The response has come to its end: the connection goes back.
    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl Lease {
    fn give_back(self) {
        let Lease {
            shared,
            mut sender,
            told,
            ..
        } = self;
        if sender.is_ready() {
            return shared.pool.put(sender, told);
        }
        // hyper says so in a moment, when its own task has run. Without a runtime nobody needs it any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Ok(Ok(())) = tokio::time::timeout(READY, sender.ready()).await {
                    shared.pool.put(sender, told);
                }
            });
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = ResponseError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.deadline = None;
            return Poll::Ready(match frame {
                Some(Ok(mut frame)) => {
                    if let Some(trailers) = frame.trailers_mut() {
                        forward::strip_trailers(trailers);
                    }
                    Some(Ok(frame))
                }
                Some(Err(error)) => {
                    self.lease = None;
                    Some(Err(ResponseError::broken(error)))
                }
                None => {
                    self.finish();
                    None
                }
            });
        }
        let wait = self.wait;
        let deadline = self.deadline.get_or_insert_with(|| Deadline::after(wait));
        ready!(deadline.poll(context));
        self.lease = None;
        Poll::Ready(Some(Err(ResponseError::stalled())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        // Whoever knew the length has not asked for the end.
        if self.body.is_end_stream() {
            self.finish();
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}
