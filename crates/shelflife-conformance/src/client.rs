//! The client: one request at a time, and everything that comes back, interim responses included.
//!
//! A case keeps its connection from request to request, as clients do, unless the cache closes it: what a cache
//! sends too much of one answer is then found at the beginning of the next.
//!
//! It sends the fields that a common HTTP client sends by itself, among them a `Cache-Control` and a `Pragma` that
//! mean nothing: a cache that chokes on words it does not know is to be found out.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::date;
use crate::step::{Step, Value};
use crate::trace::Trace;
use crate::wire::{Fields, Wire, bad, cut};

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) interim: Vec<(u16, Fields)>,
    /// The content, or why it did not come whole.
    pub(crate) body: Result<String, Broken>,
}

/// How an exchange went wrong.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    /// What came is no HTTP, not only too short.
    pub(crate) malformed: bool,
    pub(crate) why: String,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken {
            malformed: error.kind() == io::ErrorKind::InvalidData,
            why: error.to_string(),
        }
    }
}

/// Where a request goes, and as what.
pub(crate) struct Sender<'a> {
    pub(crate) proxy: SocketAddr,
    pub(crate) token: &'a str,
    pub(crate) case: &'a str,
    pub(crate) trace: &'a Trace,
    /// The connection, while it can be used again.
    pub(crate) kept: Option<Wire>,
}

impl Sender<'_> {
    /// Sends the request of a step, the `number`th. `earlier` is the answer to the step before.
    pub(crate) async fn send(
        &mut self,
        step: &Step,
        number: usize,
        earlier: Option<&Answer>,
    ) -> Result<Answer, Broken> {
        let fields = self.fields(step, number, earlier);
        let mut target = format!("/case/{}", self.token);
        if let Some(tail) = step.ask.tail {
            target.push_str(tail);
        }
        if let Some(query) = step.ask.query {
            target.push('?');
            target.push_str(query);
        }
        let method = step.ask.method;
        let mut text = format!("{method} {target} HTTP/1.1\r\n");
        for (name, value) in fields.iter() {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let body = step.ask.body.unwrap_or_default();
        text.push_str(body);
        let start = format!("{method} {target}");
        self.trace.message(
            &format!("the client sends request {number}"),
            &start,
            &fields,
            body,
        );

        let mut wire = self.connection().await?;
        wire.write(&text).await?;
        let answer = read(&mut wire, method).await?;
        self.tell(number, &answer);
        if goes_on(method, &answer) {
            self.kept = Some(wire);
        }
        Ok(answer)
    }

    async fn connection(&mut self) -> Result<Wire, Broken> {
        if let Some(mut kept) = self.kept.take()
            && kept.is_idle()?
        {
            return Ok(kept);
        }
        Ok(Wire::new(TcpStream::connect(self.proxy).await?))
    }

    fn fields(&self, step: &Step, number: usize, earlier: Option<&Answer>) -> Fields {
        let ask = &step.ask;
        let mut fields = Merged::default();
        fields.add("Host", &self.proxy.to_string());
        fields.add("Connection", "keep-alive");
        fields.add("Pragma", "foo");
        fields.add("Cache-Control", "nothing-of-interest");
        for (name, value) in &ask.fields {
            let value = match value {
                Value::Text(text) => text.clone(),
                Value::Place(place) => (*place).to_owned(),
                // Dates are told from the clock of the answer before, as the origin's are.
                Value::Date(seconds) => {
                    let now = earlier.and_then(now_of).unwrap_or_else(date::now_ms);
                    match ask.rfc850 {
                        true => date::rfc850(now, *seconds),
                        false => date::imf(now, *seconds),
                    }
                }
            };
            fields.add(name, value.trim());
        }
        fields.add("Case-Id", self.case);
        fields.add("Case-Step", &number.to_string());
        if let Some(body) = ask.body {
            fields.add_unless_there("Content-Type", "text/plain;charset=UTF-8");
            fields.add("Content-Length", &body.len().to_string());
        }
        fields.add_unless_there("Accept", "*/*");
        fields.add_unless_there("Accept-Language", "*");
        fields.add_unless_there("User-Agent", "shelflife-conformance");
        // A client that asks for a range of bytes wants bytes that it can put together.
        let coding = match ask.fields.iter().any(|(name, _)| *name == "Range") {
            true => "identity",
            false => "gzip, deflate",
        };
        fields.add_unless_there("Accept-Encoding", coding);
        fields.0
    }

    fn tell(&self, number: usize, answer: &Answer) {
        for (status, fields) in &answer.interim {
            self.trace
                .message("the client receives", &status.to_string(), fields, "");
        }
        let who = format!("the client receives answer {number}");
        let body = match &answer.body {
            Ok(body) => body.clone(),
            Err(broken) => format!("[not whole: {}]", broken.why),
        };
        self.trace
            .message(&who, &answer.status.to_string(), &answer.fields, &body);
    }
}

/// The clock of the origin when it made this answer.
pub(crate) fn now_of(answer: &Answer) -> Option<i64> {
    answer.fields.joined("Case-Now")?.parse().ok()
}

/// Fields of which each name has one line: values of the same name are joined, as clients do.
#[derive(Default)]
struct Merged(Fields);

impl Merged {
    fn add(&mut self, name: &str, value: &str) {
        let mut merged = Fields::default();
        let mut there = false;
        for (n, v) in self.0.iter() {
            if n.eq_ignore_ascii_case(name) {
                there = true;
                merged.push(n, format!("{v}, {value}"));
            } else {
                merged.push(n, v);
            }
        }
        if !there {
            merged.push(name, value);
        }
        self.0 = merged;
    }

    fn add_unless_there(&mut self, name: &str, value: &str) {
        if !self.0.has(name) {
            self.add(name, value);
        }
    }
}

async fn read(wire: &mut Wire, method: &str) -> io::Result<Answer> {
    let mut interim = Vec::new();
    loop {
        let head = wire.head().await?;
        let head = head.ok_or_else(|| cut("the connection was closed without an answer"))?;
        let mut start = head.start.splitn(3, ' ');
        let version = start.next().unwrap_or_default();
        let status = start.next().and_then(|status| status.parse().ok());
        let status: u16 = status.ok_or_else(|| bad("not a status line"))?;
        if !version.starts_with("HTTP/1.") {
            return Err(bad("not HTTP/1"));
        }
        if status < 200 && status != 101 {
            interim.push((status, head.fields));
            continue;
        }
        let body = content(wire, method, status, &head.fields).await;
        return Ok(Answer {
            status,
            fields: head.fields,
            interim,
            body: body.map_err(Broken::from),
        });
    }
}

/// Whether another request may follow on the connection (RFC 9112 §9.3).
fn goes_on(method: &str, answer: &Answer) -> bool {
    let options = answer.fields.joined("Connection").unwrap_or_default();
    let closes = options
        .split(',')
        .any(|option| option.trim().eq_ignore_ascii_case("close"));
    let chunked = answer.fields.joined("Transfer-Encoding");
    let ends = is_bodiless(method, answer.status)
        || answer.fields.has("Content-Length")
        || chunked.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    ends && !closes && answer.body.is_ok()
}

/// RFC 9110 §6.4.1
fn is_bodiless(method: &str, status: u16) -> bool {
    method == "HEAD" || matches!(status, 204 | 304)
}

/// The content (RFC 9112 §6.3), strictly.
async fn content(
    wire: &mut Wire,
    method: &str,
    status: u16,
    fields: &Fields,
) -> io::Result<String> {
    if is_bodiless(method, status) {
        return Ok(String::new());
    }
    let lengths: Vec<&str> = fields.all("Content-Length").collect();
    if let Some(coding) = fields.joined("Transfer-Encoding") {
        // RFC 9112 §6.2: a sender must not send both.
        if !lengths.is_empty() {
            return Err(bad("both a length and a transfer coding"));
        }
        // RFC 9112 §6.3: any other coding ends with the connection.
        return match coding.eq_ignore_ascii_case("chunked") {
            true => wire.chunks().await,
            false => wire.until_close().await,
        };
    }
    match lengths.as_slice() {
        [] => wire.until_close().await,
        [length] => {
            let length = length.parse().map_err(|_| bad("not a length"))?;
            wire.exactly(length).await
        }
        _ => Err(bad("several lengths")),
    }
}
