//! Messages from bytes: lines `Name: value`, two or more messages separated by an empty line.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use shelflife_http::Request;

/// The moment at which everything happens.
pub const NOW: u64 = 1_790_000_000_000;

/// The fields of each message.
pub fn messages(data: &[u8]) -> impl Iterator<Item = HeaderMap> + '_ {
    let mut rest = data.split(|byte| *byte == b'\n');
    std::iter::from_fn(move || {
        let mut headers = HeaderMap::new();
        let mut any = false;
        for line in rest.by_ref() {
            any = true;
            if line.is_empty() {
                break;
            }
            append(&mut headers, line);
        }
        any.then_some(headers)
    })
}

fn append(headers: &mut HeaderMap, line: &[u8]) {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return;
    };
    let (name, value) = line.split_at(colon);
    let value = value[1..].trim_ascii();
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        let _ = headers.try_append(name, value);
    }
}

/// A request, owned.
pub struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Asked {
    /// With this method.
    pub fn new(method: Method, headers: HeaderMap) -> Self {
        Self {
            method,
            uri: Uri::from_static("/a/b?c=d"),
            headers,
        }
    }

    /// Borrowed.
    pub fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            uri: &self.uri,
            headers: &self.headers,
        }
    }
}
