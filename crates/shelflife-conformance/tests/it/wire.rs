//! HTTP/1.1 for the small cache, read and written by itself: the suite's own reader is not trusted here.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) type Fields = Vec<(String, String)>;

/// A message: first line, fields, content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) start: String,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn joined(&self, name: &str) -> Option<String> {
        let all: Vec<&str> = self.all(name).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.fields.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.fields.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn word(&self, at: usize) -> &str {
        self.start.split(' ').nth(at).unwrap_or_default()
    }

    pub(crate) fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_default()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut bytes = latin1(&text);
        bytes.extend(&self.body);
        bytes
    }
}

pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    ahead: Vec<u8>,
}

/// The peer did not keep to HTTP, or went away.
#[derive(Debug)]
pub(crate) struct Bad;

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let ahead = Vec::new();
        Wire { stream, ahead }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Bad> {
        self.stream.write_all(bytes).await.map_err(|_| Bad)
    }

    async fn line(&mut self) -> Result<String, Bad> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|w| w == b"\r\n") {
                let line = self.ahead[..end].iter().map(|&b| char::from(b)).collect();
                self.ahead.drain(..end + 2);
                return Ok(line);
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), Bad> {
        match self.stream.read_buf(&mut self.ahead).await {
            Ok(0) | Err(_) => Err(Bad),
            Ok(_) => Ok(()),
        }
    }

    pub(crate) async fn head(&mut self) -> Result<Message, Bad> {
        let start = self.line().await?;
        let mut fields = Fields::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                let body = Vec::new();
                return Ok(Message {
                    start,
                    fields,
                    body,
                });
            }
            let (name, value) = line.split_once(':').ok_or(Bad)?;
            let odd = |text: &str, what: &[char]| text.contains(what);
            if name.is_empty() || odd(name, &[' ', '\t']) || odd(value, &['\r', '\n', '\0']) {
                return Err(Bad);
            }
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// The content of an answer, or of a request that has some.
    pub(crate) async fn body(&mut self, head: &Message, until_close: bool) -> Result<Vec<u8>, Bad> {
        if let Some(coding) = head.joined("Transfer-Encoding") {
            return match coding.as_str() {
                "chunked" => self.chunks().await,
                _ => Ok(self.rest().await),
            };
        }
        match head.all("Content-Length").collect::<Vec<_>>()[..] {
            [] if until_close => Ok(self.rest().await),
            [] => Ok(Vec::new()),
            [length] if length.bytes().all(|b| b.is_ascii_digit()) => {
                self.exactly(length.parse().map_err(|_| Bad)?).await
            }
            _ => Err(Bad),
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Bad> {
        while self.ahead.len() < length {
            self.more().await?;
        }
        Ok(self.ahead.drain(..length).collect())
    }

    /// What has come of a body that broke off.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await.is_ok() {}
        std::mem::take(&mut self.ahead)
    }

    async fn chunks(&mut self) -> Result<Vec<u8>, Bad> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).map_err(|_| Bad)?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(size).await?);
            if !self.line().await?.is_empty() {
                return Err(Bad);
            }
        }
    }
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(c).unwrap_or(b'?'))
        .collect()
}
