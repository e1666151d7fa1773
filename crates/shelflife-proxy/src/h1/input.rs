//! Where a connection's read half is while a request is being answered, and what it still has to give.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::body::{Coding, End, Returned};
use super::chunked::Step;
use crate::wire::Reader;

/// So much of further requests is read while one is being answered.
const AHEAD: usize = 16 << 10;

/// So much of a body that nobody wanted is thrown away to keep the connection, and for so long.
const DRAIN: u64 = 256 << 10;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// The read half.
#[derive(Debug)]
pub(super) enum Input {
    Here(Reader),
    /// With a request's body.
    Lent(oneshot::Receiver<Returned>),
    /// Back from a body that was not read to its end; what is left of it, if that can be told, and
    /// whether the client sends it without being asked.
    Left(Reader, Option<(Coding, bool)>),
    /// Not to be used again.
    Gone,
}

impl Input {
    /// Ready when the client has gone. Until then, what it sends ahead is kept, up to a limit; a client
    /// that has sent as much is not watched.
    pub(super) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match self {
                Input::Here(reader) => {
                    if reader.buffer.len() >= AHEAD {
                        return Poll::Pending;
                    }
                    match ready!(reader.poll_fill(context)) {
                        Ok(0) | Err(_) => return Poll::Ready(()),
                        Ok(_) => {}
                    }
                }
                Input::Lent(back) => *self = Input::back(ready!(Pin::new(back).poll(context))),
                Input::Left(..) | Input::Gone => return Poll::Pending,
            }
        }
    }

    /// Looks whether the body has given it back, without waiting.
    pub(super) fn look(&mut self) {
        if let Input::Lent(back) = self {
            match back.try_recv() {
                Ok(returned) => *self = Input::back(Ok(returned)),
                Err(oneshot::error::TryRecvError::Closed) => *self = Input::Gone,
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
        }
    }

    /// Whether the client waits to be asked for a body that nobody will read: what it sends next cannot be told
    /// from a request (RFC 9110 §10.1.1).
    pub(super) fn is_undecided(&self) -> bool {
        matches!(self, Input::Left(_, None | Some((_, false))))
    }

    fn back(returned: Result<Returned, oneshot::error::RecvError>) -> Input {
        match returned {
            Ok(Returned {
                reader,
                end: End::Whole,
            }) => Input::Here(reader),
            Ok(Returned {
                reader,
                end: End::Unfinished { coding, asked },
            }) => Input::Left(reader, Some((coding, asked))),
            Ok(Returned {
                reader,
                end: End::Broken,
            }) => Input::Left(reader, None),
            Err(_) => Input::Gone,
        }
    }

    /// The reader, wherever it is; none if a body still has it.
    pub(super) fn take_reader(&mut self) -> Option<Reader> {
        match std::mem::replace(self, Input::Gone) {
            Input::Here(reader) | Input::Left(reader, _) => Some(reader),
            Input::Lent(_) | Input::Gone => None,
        }
    }

    /// When the response is out: gets to the end of the request, so that the next one can be read. Whether
    /// it did.
    pub(super) async fn settle(&mut self, patience: Duration) -> bool {
        if let Input::Lent(back) = self {
            // The response is complete, and the body is still being taken: the upstream wants it all the same.
            let Ok(returned) = timeout(patience, back).await else {
                *self = Input::Gone;
                return false;
            };
            *self = Input::back(returned);
        }
        if let Input::Left(_, Some((_, true))) = self {
            let Input::Left(mut reader, Some((mut coding, _))) =
                std::mem::replace(self, Input::Gone)
            else {
                return false;
            };
            let drained = timeout(DRAIN_TIME, drain(&mut reader, &mut coding)).await;
            *self = match drained {
                Ok(true) => Input::Here(reader),
                _ => Input::Left(reader, None),
            };
        }
        matches!(self, Input::Here(_))
    }
}

/// Throws the rest of a body away; whether it has ended.
async fn drain(reader: &mut Reader, coding: &mut Coding) -> bool {
    let mut taken = 0_u64;
    while taken < DRAIN {
        match coding.step(reader) {
            Ok(Step::Data(data)) => taken += data.len() as u64,
            Ok(Step::End(_)) => return true,
            Ok(Step::More) => match poll_fn(|context| reader.poll_fill(context)).await {
                Ok(0) | Err(_) => return false,
                Ok(_) => {}
            },
            Err(_) => return false,
        }
    }
    false
}
