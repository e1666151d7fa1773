//! A client's connection: one request after the other.
//!
//! ```text
//!   next_head ──► exchange ──► next_head …        keep-alive, pipelined or not
//!       │             ├──────► tunnel             101
//!       └─ refuse     └──────► close              what is left of a request can't be got rid of
//! ```

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use tokio::io::AsyncWriteExt;

use super::head::{self, Head, HeadLimits};
use super::input::Input;
use super::refusal::Refusal;
use super::scan::Scan;
use super::write::Outgoing;
use crate::answer;
use crate::client::Client;
use crate::deadline::Deadline;
use crate::front::Answer;
use crate::tunnel;
use crate::wire::{Reader, Wire};

/// What a request line has beside its target, at most, in requests that have any sense.
const LINE: usize = 64;

/// What a client may ask of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// From the first byte of a head to its last; and from the connection to the first byte.
    pub(crate) head: Duration,
    /// Between two requests.
    pub(crate) idle: Duration,
    /// Between two pieces of a body.
    pub(crate) body: Duration,
    /// Without taking a byte of a response.
    pub(crate) write: Duration,
    /// Without a byte either way, in a tunnel.
    pub(crate) tunnel: Duration,
    /// Bytes of a head.
    pub(crate) head_size: usize,
    /// Field lines of a head.
    pub(crate) fields: usize,
    /// Bytes of a target.
    pub(crate) target: usize,
}

/// A connection in its loop.
pub(super) struct Connection<A> {
    pub(super) input: Input,
    pub(super) output: Outgoing,
    pub(super) deadline: Deadline,
    pub(super) client: Arc<Client>,
    pub(super) limits: Arc<Limits>,
    pub(super) answer: A,
}

/// How an exchange has ended.
pub(super) enum After {
    /// The next request may follow.
    Next,
    /// An orderly end; with the reader, what the client still sends is taken for a while, so that it
    /// gets to read the response.
    Close(Option<Reader>),
    /// An end that the client cannot take for that of a body.
    Abort,
    Tunnel(tunnel::Upgraded, Reader),
}

/// Serves a connection to its end.
pub(crate) async fn serve<A: Answer>(
    wire: Wire,
    client: Arc<Client>,
    limits: Arc<Limits>,
    answer: A,
) {
    let Wire { reader, writer } = wire;
    let mut connection = Connection {
        input: Input::Here(reader),
        output: Outgoing::new(writer, limits.write),
        deadline: Deadline::after(limits.head),
        client,
        limits,
        answer,
    };
    loop {
        let head = match connection.next_head().await {
            Ok(Some(head)) => head,
            Ok(None) => return connection.close(None).await,
            Err(refusal) => return connection.refuse(refusal).await,
        };
        match connection.exchange(head).await {
            After::Next => connection.deadline.set(connection.limits.idle),
            After::Close(reader) => return connection.close(reader).await,
            After::Abort => return connection.output.writer.reset(),
            After::Tunnel(upgraded, reader) => {
                let writer = connection.output.writer;
                let wire = Wire { reader, writer };
                return tunnel::run(wire, upgraded, connection.limits.tunnel, &connection.client)
                    .await;
            }
        }
    }
}

impl<A: Answer> Connection<A> {
    /// The next request's head; none when there is none, or no time for it.
    async fn next_head(&mut self) -> Result<Option<Head>, Refusal> {
        let mut scan = Scan::default();
        let mut begun = false;
        poll_fn(|context| self.poll_head(context, &mut scan, &mut begun)).await
    }

    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        scan: &mut Scan,
        begun: &mut bool,
    ) -> Poll<Result<Option<Head>, Refusal>> {
        loop {
            let Input::Here(reader) = &mut self.input else {
                return Poll::Ready(Ok(None));
            };
            // RFC 9112 §2.2: empty lines before a request are to be ignored.
            while !*begun && reader.buffer.starts_with(b"\r\n") {
                reader.buffer.advance(2);
                *scan = Scan::default();
            }
            if let Some(head) = take_head(reader, scan, &self.limits)? {
                return Poll::Ready(Ok(Some(head)));
            }
            let waits = !reader.buffer.is_empty() && reader.buffer[..] != b"\r"[..];
            if waits && !*begun {
                *begun = true;
                self.deadline.set(self.limits.head);
            }
            // Answers to what was pipelined have waited for each other, but not for the next request.
            let waited = self.output.waits_for_the_client();
            if ready!(self.output.poll_flush(context, &mut self.deadline)).is_err() {
                return Poll::Ready(Ok(None));
            }
            if waited {
                // The flush has used the deadline for itself.
                self.deadline.set(match *begun {
                    true => self.limits.head,
                    false => self.limits.idle,
                });
            }
            self.client.listen(context.waker());
            if self.client.is_closing() && !*begun {
                return Poll::Ready(Ok(None));
            }
            match reader.poll_fill(context) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    ready!(self.deadline.poll(context));
                    return Poll::Ready(match *begun {
                        true => Err(Refusal::HeadTimeout),
                        false => Ok(None),
                    });
                }
            }
        }
    }

    async fn refuse(mut self, refusal: Refusal) {
        tracing::debug!(client = %self.client.peer, reason = refusal.detail(), "request refused");
        let (status, detail) = (refusal.status(), refusal.detail());
        self.encode_own(&answer::problem(status, detail));
        let reader = self.input.take_reader();
        self.close(reader).await;
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|context| self.output.poll_flush(context, &mut self.deadline)).await
    }

    async fn close(mut self, reader: Option<Reader>) {
        if self.flush().await.is_err() || self.output.writer.shutdown().await.is_err() {
            return;
        }
        if let Some(reader) = reader {
            linger(reader).await;
        }
    }
}

/// RFC 9112 §9.6: a connection that is closed while the client still sends is reset, and the reset may
/// overtake the response. So what comes is taken and thrown away, within bounds.
async fn linger(mut reader: Reader) {
    const MOST: usize = 1 << 20;
    const LONGEST: Duration = Duration::from_secs(2);
    let drained = async {
        let mut taken = 0;
        while taken < MOST {
            reader.buffer.clear();
            match poll_fn(|context| reader.poll_fill(context)).await {
                Ok(0) | Err(_) => return,
                Ok(read) => taken += read,
            }
        }
    };
    let _ = tokio::time::timeout(LONGEST, drained).await;
}

fn take_head(
    reader: &mut Reader,
    scan: &mut Scan,
    limits: &Limits,
) -> Result<Option<Head>, Refusal> {
    if reader.buffer.is_empty() {
        return Ok(None);
    }
    let Some(length) = scan.look(&reader.buffer)? else {
        return match reader.buffer.len() > limits.head_size {
            true if scan.is_in_first_line() => Err(Refusal::TargetTooLong),
            true => Err(Refusal::HeadTooLarge),
            false => Ok(None),
        };
    };
    if length > limits.head_size {
        let first = memchr::memchr(b'\n', &reader.buffer).unwrap_or(0);
        return Err(match first > limits.target + LINE {
            true => Refusal::TargetTooLong,
            false => Refusal::HeadTooLarge,
        });
    }
    let bytes = reader.buffer.split_to(length).freeze();
    let limits = HeadLimits {
        fields: limits.fields,
        target: limits.target,
    };
    head::parse(bytes, limits).map(Some)
}
