//! Requests, responses and moments, as short as a table wants them.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use shelflife_http::{Policy, Reason, Request, Stored, store};

/// The moment at which everything begins, a whole second.
pub(crate) const T0: u64 = 1_790_000_000_000;

/// A request, owned.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

impl Asked {
    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            uri: &self.uri,
            headers: &self.headers,
        }
    }

    /// With more lines, as in a message: `Name: value`.
    pub(crate) fn with(mut self, lines: &[&str]) -> Self {
        for (name, value) in &fields(lines) {
            self.headers.append(name, value.clone());
        }
        self
    }
}

pub(crate) fn get(uri: &str) -> Asked {
    ask("GET", uri)
}

pub(crate) fn ask(method: &str, uri: &str) -> Asked {
    Asked {
        method: method.parse().unwrap(),
        uri: uri.parse().unwrap(),
        headers: fields(&["Host: example.com"]),
    }
}

/// Fields from lines as they stand in a message. `{+5}` is the HTTP date 5 seconds after [`T0`].
pub(crate) fn fields(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        let value = HeaderValue::from_bytes(dates(value.trim()).as_bytes()).unwrap();
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
    }
    headers
}

fn dates(text: &str) -> String {
    let Some((before, rest)) = text.split_once('{') else {
        return text.to_owned();
    };
    let (seconds, after) = rest.split_once('}').unwrap();
    format!(
        "{before}{}{}",
        http_date(seconds.parse().unwrap()),
        dates(after)
    )
}

/// The HTTP date so many seconds after [`T0`].
pub(crate) fn http_date(seconds: i64) -> String {
    let at = (T0 / 1000).checked_add_signed(seconds).unwrap();
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at))
}

pub(crate) fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap()
}

/// A moment so many seconds after [`T0`].
pub(crate) fn after(seconds: u64) -> u64 {
    T0 + seconds * 1000
}

/// A 200 that came at once, at [`T0`].
pub(crate) fn kept(asked: &Asked, lines: &[&str], policy: &Policy) -> Result<Stored, Reason> {
    store(
        asked.request(),
        StatusCode::OK,
        &fields(lines),
        policy,
        T0,
        T0,
    )
}

/// Nothing beyond the RFC: no guesses, no windows that the response doesn't give.
pub(crate) fn strict() -> Policy {
    Policy {
        heuristic: None,
        stale_if_error: None,
        ..Policy::proxy()
    }
}
