//! The access log: one event a request, in `shelflife_proxy::access` at level info.
//!
//! While nobody listens it costs a look at a flag.

use std::net::IpAddr;
use std::time::Instant;

use http::{Method, Request, Response, Uri, Version};

use crate::body::{RequestBody, ResponseBody};
use crate::client::Client;

/// A request that is being answered; nothing when nobody listens.
#[must_use]
pub(crate) struct Record(Option<Box<Begun>>);

struct Begun {
    method: Method,
    target: Uri,
    version: Version,
    host: String,
    client: IpAddr,
    since: Instant,
}

impl Record {
    pub(crate) fn begin(request: &Request<RequestBody>, client: &Client) -> Self {
        if !tracing::enabled!(target: "shelflife_proxy::access", tracing::Level::INFO) {
            return Record(None);
        }
        let host = request.headers().get(http::header::HOST);
        Record(Some(Box::new(Begun {
            method: request.method().clone(),
            target: request.uri().clone(),
            version: request.version(),
            host: host.map(text).unwrap_or_default(),
            client: client.peer,
            since: Instant::now(),
        })))
    }

    /// The end of it: no response when the client went away before there was one.
    pub(crate) fn end(self, response: Option<&Response<ResponseBody>>, bytes: u64) {
        let Some(begun) = self.0 else {
            return;
        };
        let cache = response.and_then(|response| response.headers().get("cache-status"));
        // RFC 9211 §2: each cache appends itself, so the last member is ours.
        let cache = cache.map(text).unwrap_or_default();
        // nginx's number for a client that did not wait, known to whoever reads such logs.
        let status = response.map_or(499, |response| response.status().as_u16());
        tracing::info!(
            target: "shelflife_proxy::access",
            client = %begun.client,
            method = %begun.method,
            host = begun.host,
            target = %begun.target,
            version = ?begun.version,
            status,
            bytes,
            ms = begun.since.elapsed().as_secs_f64() * 1e3,
            cache,
        );
    }
}

fn text(value: &http::HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
