//! Bytes towards the client: what has been encoded and not been sent yet.
//!
//! Small things are gathered, large ones are sent from where they are. While answers to pipelined requests
//! are at hand they share a write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use crate::deadline::Deadline;
use crate::wire::Writer;

/// Data up to this size is copied behind its head: one buffer is cheaper to send than two.
const COPY: usize = 16 << 10;

/// So much may be gathered before it is sent.
const GATHER: usize = 32 << 10;

/// The writing half of a connection, and what it still has to write.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) writer: Writer,
    /// Encoded heads and small data, in order.
    pub(crate) gathered: BytesMut,
    /// A large piece, to be sent after what is gathered.
    large: Bytes,
    /// What comes after the large piece.
    tail: &'static [u8],
    /// Without progress for so long, the client is given up.
    patience: Duration,
    /// Whether the deadline counts from the last progress already.
    stalled: bool,
}

impl Outgoing {
    pub(crate) fn new(writer: Writer, patience: Duration) -> Self {
        Outgoing {
            writer,
            gathered: BytesMut::new(),
            large: Bytes::new(),
            tail: b"",
            patience,
            stalled: false,
        }
    }

    /// Whether more may be gathered before it is sent.
    pub(crate) fn has_room(&self) -> bool {
        self.large.is_empty() && self.gathered.len() < GATHER
    }

    /// Whether a flush is under way that could not be finished at once.
    pub(crate) fn waits_for_the_client(&self) -> bool {
        self.stalled
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.large.is_empty() && self.tail.is_empty()
    }

    /// Adds data of a body. Only with room: a large piece has to be sent before the next.
    pub(crate) fn data(&mut self, data: Bytes) {
        if data.len() <= COPY {
            self.gathered.extend_from_slice(&data);
        } else {
            self.large = data;
        }
    }

    /// The same as a chunk (RFC 9112 §7.1).
    pub(crate) fn chunk(&mut self, data: Bytes) {
        // An empty chunk would end the body.
        if data.is_empty() {
            return;
        }
        let mut digits = [0_u8; 16];
        self.gathered
            .extend_from_slice(hex(data.len(), &mut digits));
        self.gathered.extend_from_slice(b"\r\n");
        self.data(data);
        if self.large.is_empty() {
            self.gathered.extend_from_slice(b"\r\n");
        } else {
            self.tail = b"\r\n";
        }
    }

    /// Sends all of it. The deadline is the connection's: set anew whenever something got through.
    pub(crate) fn poll_flush(
        &mut self,
        context: &mut Context<'_>,
        deadline: &mut Deadline,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            match self.poll_write(context) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => {
                    self.advance(written);
                    self.stalled = false;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    if !self.stalled {
                        self.stalled = true;
                        deadline.set(self.patience);
                    }
                    ready!(deadline.poll(context));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        // Nothing stays behind, and a buffer that a large head has blown up goes.
        if self.gathered.capacity() > 2 * GATHER {
            self.gathered = BytesMut::new();
        }
        Pin::new(&mut self.writer).poll_flush(context)
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let writer = Pin::new(&mut self.writer);
        if self.large.is_empty() && self.tail.is_empty() {
            return writer.poll_write(context, &self.gathered);
        }
        let slices = [
            IoSlice::new(&self.gathered),
            IoSlice::new(&self.large),
            IoSlice::new(self.tail),
        ];
        // A writer that takes one slice only takes the first that is not empty.
        let first = slices.iter().position(|slice| !slice.is_empty());
        writer.poll_write_vectored(context, &slices[first.unwrap_or(0)..])
    }

    fn advance(&mut self, mut written: usize) {
        let step = written.min(self.gathered.len());
        self.gathered.advance(step);
        written -= step;
        let step = written.min(self.large.len());
        self.large.advance(step);
        written -= step;
        self.tail = self.tail.get(written..).unwrap_or_default();
    }
}

/// A number in lower-case hexadecimal, at the end of the scratch space.
fn hex(mut number: usize, scratch: &mut [u8; 16]) -> &[u8] {
    let mut at = scratch.len();
    loop {
        at -= 1;
        scratch[at] = b"0123456789abcdef"[number & 15];
        number >>= 4;
        if number == 0 || at == 0 {
            return &scratch[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_chunks_are_hexadecimal() {
        for number in [1_usize, 9, 10, 15, 16, 255, 256, 65_535, usize::MAX] {
            assert_eq!(hex(number, &mut [0; 16]), format!("{number:x}").as_bytes());
        }
    }
}
