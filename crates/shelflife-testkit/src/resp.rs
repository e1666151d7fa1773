//! Just enough RESP2 to ask a server something, without any Redis client.
//!
//! Must not share code with what is under test: a fault in the client would hide itself.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// No such thing: a nil bulk string or a nil array.
    Nil,
    /// `:42`
    Int(i64),
    /// Any bytes, values above all.
    Bulk(Vec<u8>),
    /// `+OK`
    Simple(String),
    /// `-ERR …`, without the minus.
    Error(String),
    /// Several replies in one.
    Array(Vec<Reply>),
}

/// The words of the reply, as `redis-cli --raw` would print them: bytes as text, an array's
/// elements a line each, nil as `(nil)`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("(nil)"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Bulk(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::Simple(text) | Self::Error(text) => f.write_str(text),
            Self::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        f.write_str("\n")?;
                    }
                    item.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

/// One blocking connection, for commands that belong together (`MULTI`, `SELECT`, `SUBSCRIBE`)
/// and for many commands in a row.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<Box<dyn Wire>>,
}

/// TCP, or a Unix socket.
trait Wire: Read + Write + fmt::Debug + Send {}

impl Wire for TcpStream {}
impl Wire for UnixStream {}

impl Connection {
    /// Connects; every later read and write waits for at most `timeout`.
    ///
    /// # Errors
    ///
    /// When nobody listens there.
    pub fn open(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Self::over(Box::new(stream)))
    }

    /// The same by a Unix socket.
    pub(crate) fn open_unix(socket: &Path, timeout: Duration) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Self::over(Box::new(stream)))
    }

    fn over(wire: Box<dyn Wire>) -> Self {
        Self {
            stream: BufReader::new(wire),
        }
    }

    /// Sends one command and reads one reply. An error that the server reports is a
    /// [`Reply::Error`].
    ///
    /// # Errors
    ///
    /// When the connection breaks, the server is silent for the timeout, or the reply does not
    /// parse. The connection is of no use afterwards.
    pub fn command(&mut self, words: &[&[u8]]) -> io::Result<Reply> {
        self.stream.get_mut().write_all(&encode(words))?;
        self.read()
    }

    /// Reads one more reply: a message to a subscriber.
    ///
    /// # Errors
    ///
    /// As [`Connection::command`].
    pub fn read(&mut self) -> io::Result<Reply> {
        decode(&mut self.stream)
    }
}

fn encode(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn decode(from: &mut impl BufRead) -> io::Result<Reply> {
    let line = line(from)?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| garbled(&line))?;
    Ok(match kind {
        "+" => Reply::Simple(rest.to_owned()),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Int(number(rest)?),
        "$" => match length(rest)? {
            Some(length) => Reply::Bulk(bulk(from, length)?),
            None => Reply::Nil,
        },
        "*" => match length(rest)? {
            Some(length) => Reply::Array(
                (0..length)
                    .map(|_| decode(from))
                    .collect::<Result<_, _>>()?,
            ),
            None => Reply::Nil,
        },
        _ => return Err(garbled(&line)),
    })
}

fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.read_until(b'\n', &mut bytes)?;
    match bytes.strip_suffix(b"\r\n") {
        Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
        None => Err(closed()),
    }
}

fn bulk(from: &mut impl BufRead, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length + 2];
    from.read_exact(&mut bytes)?;
    if bytes.split_off(length) != b"\r\n" {
        return Err(garbled("a bulk string longer than its length"));
    }
    Ok(bytes)
}

/// The length of a bulk string or an array; minus one stands for nil.
fn length(text: &str) -> io::Result<Option<usize>> {
    match number(text)? {
        -1 => Ok(None),
        other => usize::try_from(other).map(Some).map_err(|_| garbled(text)),
    }
}

fn number(text: &str) -> io::Result<i64> {
    text.parse().map_err(|_| garbled(text))
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the server closed the connection",
    )
}

fn garbled(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not RESP2: {what:?}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn replies_of_every_kind_are_read() {
        let cases: [(&[u8], Reply); 9] = [
            (b"+OK\r\n", Reply::Simple("OK".into())),
            (b"-ERR no\r\n", Reply::Error("ERR no".into())),
            (b":-7\r\n", Reply::Int(-7)),
            (b"$-1\r\n", Reply::Nil),
            (b"*-1\r\n", Reply::Nil),
            (b"$0\r\n\r\n", Reply::Bulk(vec![])),
            (b"$4\r\n\r\n\0\xff\r\n", Reply::Bulk(b"\r\n\0\xff".to_vec())),
            (b"*0\r\n", Reply::Array(vec![])),
            (
                b"*2\r\n*1\r\n:1\r\n$-1\r\n",
                Reply::Array(vec![Reply::Array(vec![Reply::Int(1)]), Reply::Nil]),
            ),
        ];
        for (bytes, reply) in cases {
            assert_eq!(decode(&mut &*bytes).unwrap(), reply, "{bytes:?}");
        }
    }

    #[test]
    fn a_cut_or_garbled_reply_is_an_error() {
        let cases: [(&[u8], io::ErrorKind); 7] = [
            (b"", io::ErrorKind::UnexpectedEof),
            (b"+OK", io::ErrorKind::UnexpectedEof),
            (b"$5\r\nab", io::ErrorKind::UnexpectedEof),
            (b"\r\n", io::ErrorKind::InvalidData),
            (b"?x\r\n", io::ErrorKind::InvalidData),
            (b"$-2\r\n", io::ErrorKind::InvalidData),
            (b"$1\r\nabc\r\n", io::ErrorKind::InvalidData),
        ];
        for (bytes, kind) in cases {
            assert_eq!(decode(&mut &*bytes).unwrap_err().kind(), kind, "{bytes:?}");
        }
    }

    #[test]
    fn a_reply_is_shown_line_by_line() {
        let reply = Reply::Array(vec![Reply::Bulk(b"a".to_vec()), Reply::Nil, Reply::Int(3)]);
        assert_eq!(reply.to_string(), "a\n(nil)\n3");
    }
}
