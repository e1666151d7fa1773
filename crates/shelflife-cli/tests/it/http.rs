//! One request, one answer, one connection: all that these tests need of HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The Cache-Status, which each answer must carry.
    pub(crate) fn cache_status(&self) -> &str {
        self.field("cache-status")
            .unwrap_or_else(|| panic!("no Cache-Status: {self:?}"))
    }

    /// Whether nothing was stored: of a value, or of the URL (RFC 9211 §2.2).
    pub(crate) fn is_miss(&self) -> bool {
        let status = self.cache_status();
        status.contains("fwd=miss") || status.contains("fwd=uri-miss")
    }
}

pub(crate) fn send(address: &str, method: &str, path: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("the API listens");
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .expect("an answer within the limit");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .expect("a status line");
    Answer {
        status,
        head: head.to_owned(),
        text: body.to_owned(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    }
}
