//! A request's body: read from the socket by whoever forwards it, no faster than that.
//!
//! The read half is lent to the body and comes back when the body has ended or is dropped. Nothing is
//! buffered between the client and the upstream but what one read brings.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

use super::chunked::{Chunked, Step};
use super::head::Framing;
use crate::body::BodyError;
use crate::client::InterimSender;
use crate::deadline::Deadline;
use crate::wire::Reader;

/// The body of one HTTP/1 request.
#[derive(Debug)]
pub(crate) struct IncomingBody {
    /// None when it has been given back.
    lent: Option<(Reader, oneshot::Sender<Returned>)>,
    coding: Coding,
    /// The client waits to be told that it may send.
    unasked: Option<InterimSender>,
    /// Between two reads.
    wait: Duration,
    deadline: Option<Deadline>,
}

/// What is still to come.
#[derive(Debug)]
pub(crate) enum Coding {
    Length(u64),
    Chunked(Chunked),
}

/// The read half, back from a body.
#[derive(Debug)]
pub(crate) struct Returned {
    pub(crate) reader: Reader,
    pub(crate) end: End,
}

/// How far the body was read.
#[derive(Debug)]
pub(crate) enum End {
    Whole,
    /// This is left. Whether the client sends it depends on whether it waits to be asked.
    Unfinished {
        coding: Coding,
        asked: bool,
    },
    /// What follows on this connection can't be told from the body.
    Broken,
}

impl Coding {
    pub(crate) fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Coding::Length(0),
            Framing::Length(length) => Coding::Length(length),
            Framing::Chunked => Coding::Chunked(Chunked::default()),
        }
    }

    /// Takes what is at hand.
    pub(crate) fn step(&mut self, reader: &mut Reader) -> Result<Step, BodyError> {
        match self {
            Coding::Length(0) => Ok(Step::End(http::HeaderMap::new())),
            Coding::Length(_) if reader.buffer.is_empty() => Ok(Step::More),
            Coding::Length(left) => {
                let all = reader.buffer.len();
                let take = usize::try_from(*left).map_or(all, |left| left.min(all));
                *left -= take as u64;
                Ok(Step::Data(reader.buffer.split_to(take).freeze()))
            }
            Coding::Chunked(chunked) => chunked
                .step(&mut reader.buffer)
                .map_err(BodyError::Malformed),
        }
    }
}

impl IncomingBody {
    /// A body, and where the read half comes back. With `unasked` the client is told to go on when the
    /// body is first read.
    pub(crate) fn new(
        reader: Reader,
        framing: Framing,
        unasked: Option<InterimSender>,
        wait: Duration,
    ) -> (Self, oneshot::Receiver<Returned>) {
        let (sender, receiver) = oneshot::channel();
        let body = IncomingBody {
            lent: Some((reader, sender)),
            coding: Coding::new(framing),
            unasked,
            wait,
            deadline: None,
        };
        (body, receiver)
    }

    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Result<Step, BodyError>> {
        let Some((reader, _)) = &mut self.lent else {
            return Poll::Ready(Ok(Step::End(http::HeaderMap::new())));
        };
        loop {
            match self.coding.step(reader)? {
                Step::More => {}
                step => return Poll::Ready(Ok(step)),
            }
            // RFC 9110 §10.1.1: asked for when it is wanted; not when the client did not wait.
            if let Some(client) = self.unasked.take() {
                client.go_on();
            }
            match reader.poll_fill(context) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(BodyError::ClientGone)),
                Poll::Ready(Ok(_)) => self.deadline = None,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(BodyError::ClientGone)),
                Poll::Pending => {
                    let deadline = self
                        .deadline
                        .get_or_insert_with(|| Deadline::after(self.wait));
                    ready!(deadline.poll(context));
                    return Poll::Ready(Err(BodyError::ClientTimeout));
                }
            }
        }
    }

    fn give_back(&mut self, end: End) {
        if let Some((reader, back)) = self.lent.take() {
            // Nobody waits for it when the connection has gone.
            let _ = back.send(Returned { reader, end });
        }
    }
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.lent.is_none() {
            return Poll::Ready(None);
        }
        match ready!(self.poll_step(context)) {
            Ok(Step::Data(data)) => {
                // The last byte ends it: whoever knows the length does not ask again.
                if matches!(self.coding, Coding::Length(0)) {
                    self.give_back(End::Whole);
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Ok(Step::End(trailers)) => {
                self.give_back(End::Whole);
                let trailers = (!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers)));
                Poll::Ready(trailers)
            }
            Ok(Step::More) => Poll::Pending,
            Err(error) => {
                self.give_back(End::Broken);
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lent.is_none() || matches!(self.coding, Coding::Length(0))
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.lent, &self.coding) {
            (None, _) => SizeHint::with_exact(0),
            (Some(_), Coding::Length(left)) => SizeHint::with_exact(*left),
            (Some(_), Coding::Chunked(_)) => SizeHint::default(),
        }
    }
}

impl Drop for IncomingBody {
    fn drop(&mut self) {
        let coding = std::mem::replace(&mut self.coding, Coding::Length(0));
        let asked = self.unasked.is_none();
        self.give_back(End::Unfinished { coding, asked });
    }
}
