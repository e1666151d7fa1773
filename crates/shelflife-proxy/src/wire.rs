//! A socket, with or without TLS, in two halves that may be used at the same time.
//!
//! ```text
//!   Reader: the read half and the bytes that nobody has taken yet   lent to a request's body, then given back
//!   Writer: the write half
//! ```

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::server::TlsStream;
use tokio_util::io::poll_read_buf;

/// How much is read at once: most heads fit into the least; a large body comes in pieces that grow to the most.
const LEAST: usize = 4 << 10;
const MOST: usize = 64 << 10;

#[derive(Debug)]
enum ReadSide {
    Plain(OwnedReadHalf),
    Tls(ReadHalf<TlsStream<TcpStream>>),
}

#[derive(Debug)]
enum WriteSide {
    Plain(OwnedWriteHalf),
    Tls(WriteHalf<TlsStream<TcpStream>>),
}

/// The right to read, and what has been read.
#[derive(Debug)]
pub(crate) struct Reader {
    side: ReadSide,
    /// Read, and not taken yet.
    pub(crate) buffer: BytesMut,
    /// How much to read next.
    ahead: usize,
}

/// The right to write.
#[derive(Debug)]
pub(crate) struct Writer {
    side: WriteSide,
}

/// Both halves of a plain connection.
pub(crate) fn plain(stream: TcpStream) -> (Reader, Writer) {
    let (read, write) = stream.into_split();
    halves(ReadSide::Plain(read), WriteSide::Plain(write))
}

/// Both halves of a connection that has been through its TLS handshake.
pub(crate) fn tls(stream: TlsStream<TcpStream>) -> (Reader, Writer) {
    let (read, write) = tokio::io::split(stream);
    halves(ReadSide::Tls(read), WriteSide::Tls(write))
}

fn halves(read: ReadSide, write: WriteSide) -> (Reader, Writer) {
    let reader = Reader {
        side: read,
        buffer: BytesMut::new(),
        ahead: LEAST,
    };
    (reader, Writer { side: write })
}

impl Reader {
    /// Reads into the buffer; how much. Zero is the end.
    pub(crate) fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let room = self.buffer.capacity() - self.buffer.len();
        if room < self.ahead / 4 {
            self.buffer.reserve(self.ahead);
        }
        let room = self.buffer.capacity() - self.buffer.len();
        let read = match &mut self.side {
            ReadSide::Plain(side) => poll_read_buf(Pin::new(side), context, &mut self.buffer),
            ReadSide::Tls(side) => poll_read_buf(Pin::new(side), context, &mut self.buffer),
        };
        if let Poll::Ready(Ok(read)) = read {
            self.ahead = match read {
                read if read >= room => (self.ahead * 2).min(MOST),
                read if read < self.ahead / 4 => (self.ahead / 2).max(LEAST),
                _ => self.ahead,
            };
        }
        read
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.buffer.is_empty() {
            let length = self.buffer.len().min(into.remaining());
            into.put_slice(&self.buffer.split_to(length));
            return Poll::Ready(Ok(()));
        }
        match &mut self.side {
            ReadSide::Plain(side) => Pin::new(side).poll_read(context, into),
            ReadSide::Tls(side) => Pin::new(side).poll_read(context, into),
        }
    }
}

impl Writer {
    /// Ends the connection with a reset, once the other half is dropped, too: an orderly end would be taken for
    /// that of a body without a length. TLS ends without its own farewell, which is the same.
    pub(crate) fn reset(self) {
        if let WriteSide::Plain(side) = self.side {
            // A failure leaves an orderly end, which is all that is left to be done then.
            let _ = side.as_ref().set_zero_linger();
            // Dropped, it would say an orderly end first.
            side.forget();
        }
    }
}

impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.side {
            WriteSide::Plain(side) => Pin::new(side).poll_write(context, bytes),
            WriteSide::Tls(side) => Pin::new(side).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.side {
            WriteSide::Plain(side) => Pin::new(side).poll_write_vectored(context, slices),
            WriteSide::Tls(side) => Pin::new(side).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.side {
            WriteSide::Plain(side) => side.is_write_vectored(),
            WriteSide::Tls(side) => side.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.side {
            WriteSide::Plain(side) => Pin::new(side).poll_flush(context),
            WriteSide::Tls(side) => Pin::new(side).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.side {
            WriteSide::Plain(side) => Pin::new(side).poll_shutdown(context),
            WriteSide::Tls(side) => Pin::new(side).poll_shutdown(context),
        }
    }
}

/// Both halves as one, for HTTP/2 and for tunnels.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(context, into)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.writer.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(context)
    }
}
