//! HTTP/1.1 by hand, for both ends. Strict on purpose, and no code of what is under test.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Nothing here takes longer, unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A request or a response: the first line, the fields, the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) line: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// Whether the body came to the end that its framing says.
    pub(crate) complete: bool,
}

impl Message {
    pub(crate) fn status(&self) -> u16 {
        let status = self
            .line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status in {:?}", self.line))
    }

    /// The values of a field, joined as a list.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let values = self
            .fields
            .iter()
            .filter(|(named, _)| named.eq_ignore_ascii_case(name));
        let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A client's connection.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Raw {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends what can be sent: the other side may have had enough.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// The next response, interim or not, to a request that was no HEAD.
    pub(crate) async fn response(&mut self) -> Message {
        self.response_to("GET").await
    }

    pub(crate) async fn response_to(&mut self, method: &str) -> Message {
        let response = self.response_if_any(method).await;
        response.expect("the connection ended without a response")
    }

    pub(crate) async fn response_if_any(&mut self, method: &str) -> Option<Message> {
        let response = read_response(&mut self.stream, &mut self.buffer, method);
        let response = timeout(PATIENCE, response).await;
        response.expect("no response in time")
    }

    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Message {
        self.send(request).await;
        self.response().await
    }

    /// What still comes until the end; an end by reset is one, too.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.buffer);
        let read = timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await;
        let _ = read.expect("the connection did not end");
        rest
    }

    /// Whether the connection has ended with nothing more to say.
    pub(crate) async fn is_over(&mut self) -> bool {
        self.rest().await.is_empty()
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> Message {
    Raw::connect(address).await.ask(request).await
}

/// A GET on a connection of its own.
pub(crate) async fn get(address: SocketAddr, target: &str) -> Message {
    ask(address, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await
}

pub(crate) async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> Option<Message> {
    let mut message = read_head(stream, buffer).await?;
    if message.has("transfer-encoding") {
        read_chunked(stream, buffer, &mut message).await;
    } else {
        let length = message
            .field("content-length")
            .map_or(0, |length| length.parse().unwrap());
        read_exactly(stream, buffer, length, &mut message).await;
    }
    Some(message)
}

pub(crate) async fn read_response(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    method: &str,
) -> Option<Message> {
    let mut message = read_head(stream, buffer).await?;
    let status = message.status();
    if method == "HEAD" || status < 200 || status == 204 || status == 304 {
        message.complete = true;
    } else if message.has("transfer-encoding") {
        assert!(!message.has("content-length"), "two lengths: {message:?}");
        read_chunked(stream, buffer, &mut message).await;
    } else if let Some(length) = message.field("content-length") {
        read_exactly(stream, buffer, length.parse().unwrap(), &mut message).await;
    } else {
        let mut clean = true;
        loop {
            message.body.append(buffer);
            match stream.read_buf(buffer).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(_) => {
                    clean = false;
                    break;
                }
            }
        }
        message.complete = clean;
    }
    Some(message)
}

pub(crate) async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> Option<Message> {
    let end = fill_until(stream, buffer, b"\r\n\r\n").await?;
    let head: Vec<u8> = buffer.drain(..end + 4).collect();
    let head = String::from_utf8_lossy(&head[..end]).into_owned();
    let (line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
    Some(Message {
        line: line.to_owned(),
        fields: read_fields(fields),
        ..Message::default()
    })
}

fn read_fields(lines: &str) -> Vec<(String, String)> {
    let lines = lines.split("\r\n").filter(|line| !line.is_empty());
    let field = |line: &str| {
        let (name, value) = line
            .split_once(':')
            .unwrap_or_else(|| panic!("no field: {line:?}"));
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    lines.map(field).collect()
}

async fn read_exactly(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    length: usize,
    message: &mut Message,
) {
    message.complete = fill(stream, buffer, length).await;
    message.body = buffer.drain(..length.min(buffer.len())).collect();
}

async fn read_chunked(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    message: &mut Message,
) {
    loop {
        let Some(end) = fill_until(stream, buffer, b"\r\n").await else {
            return;
        };
        let line: Vec<u8> = buffer.drain(..end + 2).collect();
        let line = String::from_utf8_lossy(&line[..end]).into_owned();
        let size = usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("no size: {line:?}"));
        if size == 0 {
            break;
        }
        if !fill(stream, buffer, size + 2).await {
            message.body.extend_from_slice(buffer);
            return;
        }
        message.body.extend(buffer.drain(..size));
        assert_eq!(buffer.drain(..2).collect::<Vec<_>>(), b"\r\n");
    }
    let mut trailers = Vec::new();
    loop {
        let Some(end) = fill_until(stream, buffer, b"\r\n").await else {
            return;
        };
        let line: Vec<u8> = buffer.drain(..end + 2).collect();
        if end == 0 {
            break;
        }
        trailers.extend(read_fields(&String::from_utf8_lossy(&line)));
    }
    message.trailers = trailers;
    message.complete = true;
}

async fn fill(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>, length: usize) -> bool {
    while buffer.len() < length {
        if !matches!(stream.read_buf(buffer).await, Ok(read) if read > 0) {
            return false;
        }
    }
    true
}

async fn fill_until(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    end: &[u8],
) -> Option<usize> {
    loop {
        if let Some(at) = buffer.windows(end.len()).position(|window| window == end) {
            return Some(at);
        }
        if !matches!(stream.read_buf(buffer).await, Ok(read) if read > 0) {
            return None;
        }
    }
}
