//! HTTP/1.1 messages over a socket, by hand: the suite sends what no well-behaved library would.
//!
//! Text is one character per byte (ISO 8859-1), so that every byte survives and can be compared. Everything
//! that is read is bounded.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HEAD_LIMIT: usize = 256 * 1024;
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// Field lines in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The values of all lines of that name, joined as RFC 9110 §5.3 allows.
    pub(crate) fn joined(&self, name: &str) -> Option<String> {
        let all: Vec<&str> = self.all(name).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

/// The first line and the fields of a message.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) fields: Fields,
}

/// A connection with what was read ahead.
pub(crate) struct Wire {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Heads and bodies are written in one piece; nothing may wait for more.
        let _ = stream.set_nodelay(true);
        Wire {
            stream,
            ahead: Vec::new(),
        }
    }

    /// Whether nothing has come and nobody has hung up since the last message.
    ///
    /// # Errors
    ///
    /// Something has come that was not asked for.
    pub(crate) fn is_idle(&mut self) -> io::Result<bool> {
        let unasked = || Err(bad("bytes that belong to no answer"));
        if !self.ahead.is_empty() {
            return unasked();
        }
        match self.stream.try_read(&mut [0]) {
            Ok(0) => Ok(false),
            Err(error) => Ok(error.kind() == io::ErrorKind::WouldBlock),
            Ok(_) => unasked(),
        }
    }

    pub(crate) async fn write(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(&to_bytes(text)).await?;
        self.stream.flush().await
    }

    /// The next head; nothing if the peer has closed the connection instead.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n\r\n") {
                let head = to_text(self.ahead.get(..end).unwrap_or_default());
                self.ahead.drain(..end + 4);
                return parse(&head).map(Some);
            }
            if self.ahead.len() > HEAD_LIMIT {
                return Err(bad("endless head"));
            }
            if self.more().await? == 0 {
                return match self.ahead.is_empty() {
                    true => Ok(None),
                    false => Err(cut("connection closed inside a head")),
                };
            }
        }
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> io::Result<String> {
        if length > BODY_LIMIT {
            return Err(bad("body too large"));
        }
        while self.ahead.len() < length {
            if self.more().await? == 0 {
                return Err(cut("connection closed inside a body"));
            }
        }
        Ok(to_text(&self.ahead.drain(..length).collect::<Vec<_>>()))
    }

    pub(crate) async fn until_close(&mut self) -> io::Result<String> {
        while self.more().await? > 0 {
            if self.ahead.len() > BODY_LIMIT {
                return Err(bad("body too large"));
            }
        }
        Ok(to_text(&std::mem::take(&mut self.ahead)))
    }

    /// A body in chunks (RFC 9112 §7.1); extensions and trailers are read and dropped.
    pub(crate) async fn chunks(&mut self) -> io::Result<String> {
        let mut body = String::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| bad("not a chunk size"))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            if body.len() > BODY_LIMIT {
                return Err(bad("body too large"));
            }
            body.push_str(&self.exactly(size).await?);
            if !self.line().await?.is_empty() {
                return Err(bad("chunk longer than its size"));
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n") {
                let line = to_text(self.ahead.get(..end).unwrap_or_default());
                self.ahead.drain(..end + 2);
                return Ok(line);
            }
            if self.ahead.len() > HEAD_LIMIT {
                return Err(bad("endless line"));
            }
            if self.more().await? == 0 {
                return Err(cut("connection closed inside a body"));
            }
        }
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.ahead).await
    }
}

fn parse(head: &str) -> io::Result<Head> {
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default().to_owned();
    let mut fields = Fields::default();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| bad(&format!("not a field line: {line:?}")))?;
        // RFC 9112 §5.1 and §5.2: no space before the colon, no folded lines; a cache must not send either.
        if name.is_empty() || name.contains(|c: char| c.is_ascii_whitespace()) {
            return Err(bad(&format!("not a field name: {name:?}")));
        }
        // RFC 9110 §5.5: neither may stand in a value.
        if value.contains(['\r', '\n', '\0']) {
            return Err(bad(&format!("not a field value: {value:?}")));
        }
        fields.push(name, value.trim_matches([' ', '\t']));
    }
    Ok(Head { start, fields })
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|w| w == what)
}

/// What came is no HTTP.
pub(crate) fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// What came ended too early.
pub(crate) fn cut(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, what.to_owned())
}

fn to_text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn to_bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_as_a_character() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(to_bytes(&to_text(&all)), all);
    }

    #[test]
    fn a_folded_line_or_a_space_before_the_colon_is_no_field() {
        // RFC 9112 §5.1, §5.2.
        assert!(parse("HTTP/1.1 200 OK\r\nA: 1\r\n 2").is_err());
        assert!(parse("HTTP/1.1 200 OK\r\nA : 1").is_err());
        assert!(parse("HTTP/1.1 200 OK\r\nA: 1").is_ok());
    }

    #[test]
    fn lines_of_one_name_are_joined_in_their_order() {
        let head = parse("HTTP/1.1 200 OK\r\nVary: a\r\nAge: 1\r\nvary:  b ").unwrap();
        assert_eq!(head.fields.joined("VARY").as_deref(), Some("a, b"));
        assert_eq!(head.fields.joined("Date"), None);
    }
}
