//! The streams of one connection that are open: how many, and whether the client still takes what it asked for.
//!
//! hyper asks a response's body for more only when the client has room. So a body that has given something and is not asked
//! again belongs to a client that takes nothing.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::body::{ResponseBody, ResponseError};

/// Nobody waits for the client.
const MOVING: u64 = 0;

/// The open streams.
#[derive(Debug)]
pub(super) struct Streams {
    since: Instant,
    /// Held for an insertion, a removal, or a look at all.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// For each, since when the client is being waited for: ms after `since`, at least 1, or [`MOVING`]. Relaxed:
    /// a measure that is looked at now and then.
    waiting: HashMap<u64, Arc<AtomicU64>>,
}

/// One of them, from its request to the end of its response.
#[derive(Debug)]
pub(super) struct Stream {
    streams: Arc<Streams>,
    number: u64,
    waiting: Arc<AtomicU64>,
}

impl Streams {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Streams {
            since: Instant::now(),
            open: Mutex::default(),
        })
    }

    pub(super) fn open(self: &Arc<Self>) -> Stream {
        let waiting = Arc::new(AtomicU64::new(MOVING));
        let mut open = self.lock();
        open.next += 1;
        let number = open.next;
        open.waiting.insert(number, waiting.clone());
        Stream {
            streams: self.clone(),
            number,
            waiting,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// Whether the client has been waited for so long by any of them.
    pub(super) fn has_stalled(&self, patience: Duration) -> bool {
        let now = self.now();
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let open = self.lock();
        open.waiting.values().any(|waiting| {
            let since = waiting.load(Ordering::Relaxed);
            since != MOVING && now.saturating_sub(since) >= patience
        })
    }

    fn now(&self) -> u64 {
        let passed = u64::try_from(self.since.elapsed().as_millis());
        passed.unwrap_or(u64::MAX).saturating_add(1)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.lock().waiting.remove(&self.number);
    }
}

/// A response's body that tells when its client is being waited for.
pub(super) struct Watched {
    pub(super) body: ResponseBody,
    pub(super) stream: Stream,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = ResponseError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseError>>> {
        self.stream.waiting.store(MOVING, Ordering::Relaxed);
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let now = self.stream.streams.now();
        self.stream.waiting.store(now, Ordering::Relaxed);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
