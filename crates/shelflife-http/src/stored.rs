//! The head of a stored response, and the facts by which it is reused.

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::freshness::{FreshBy, millis};
use crate::{Policy, Request, vary, wire};

/// The head of a stored response and the facts by which it is reused, worked out once when it was stored: a hit
/// parses nothing of the response. Times and durations are in milliseconds.
///
/// Made by [`store`](fn@crate::store), [`freshen`](crate::freshen), [`head_update`](crate::head_update) and
/// deserialization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stored {
    /// The status.
    #[serde(with = "wire::status")]
    pub status: StatusCode,
    /// The fields that are stored (RFC 9111 §3.1). There is always a `Date`, and never an `Age`.
    #[serde(with = "wire::fields")]
    pub headers: HeaderMap,
    /// The fields that Vary names, in alphabetical order, with what the request had in them, normalised: what selects
    /// this response. Empty: no Vary.
    #[serde(with = "wire::selecting")]
    pub selected_by: Vec<(HeaderName, Option<Vec<u8>>)>,
    /// When it was received, since the Unix epoch.
    pub received: u64,
    /// Its age then (RFC 9111 §4.2.3, corrected_initial_age).
    pub initial_age: u64,
    /// Freshness lifetime (RFC 9111 §4.2.1).
    pub lifetime: u64,
    /// What that was taken from.
    pub fresh_by: FreshBy,
    /// `Date`, or when it was received if that was missing or no date.
    pub date: u64,
    /// `Last-Modified`, if that is a date.
    pub last_modified: Option<u64>,
    /// Never to be served stale (RFC 9111 §5.2.2.2, §5.2.2.8, §5.2.2.10).
    pub must_revalidate: bool,
    /// To be validated before each reuse (RFC 9111 §5.2.2.4).
    pub no_cache: bool,
    /// For so long after its lifetime it may be served while it is refreshed (RFC 5861 §3).
    pub stale_while_revalidate: u64,
    /// For so long after its lifetime it may be served when the origin fails (RFC 5861 §4).
    pub stale_if_error: u64,
    /// The response says that it may be shared among requests with Authorization (RFC 9111 §3.5).
    pub shared: bool,
    /// It says `public` or `s-maxage`: among requests with cookies too.
    pub public: bool,
    /// The content is to be sent as it came: not coded, not recoded (RFC 9111 §5.2.2.6).
    pub no_transform: bool,
    /// What `Cache-Tag`, `Surrogate-Key` and `xkey` name.
    pub tags: Vec<String>,
    /// What `Cache-Groups` names, each with its host: `host name` (RFC 9875).
    pub groups: Vec<String>,
}

impl Stored {
    /// Its current age (RFC 9111 §4.2.3).
    pub fn age(&self, now: u64) -> u64 {
        self.initial_age
            .saturating_add(now.saturating_sub(self.received))
    }

    /// What is left of its freshness; zero or less when it is stale (RFC 9111 §4.2).
    pub fn fresh_left(&self, now: u64) -> i64 {
        let signed = |number| i64::try_from(number).unwrap_or(i64::MAX);
        signed(self.lifetime).saturating_sub(signed(self.age(now)))
    }

    /// How long after it stops being fresh it may still be of use: served stale, or validated.
    pub fn keep(&self, policy: &Policy) -> Duration {
        let windows = Duration::from_millis(self.stale_while_revalidate.max(self.stale_if_error));
        let validation = if self.has_validator() {
            policy.keep_for_validation
        } else {
            Duration::ZERO
        };
        windows.max(validation)
    }

    /// Whether the request's selecting fields match (RFC 9111 §4.1).
    pub fn selects(&self, request: Request<'_>) -> bool {
        self.selected_by
            .iter()
            .all(|(name, value)| vary::matches(request.headers, name, value.as_deref()))
    }

    /// The text that names this request's variant among those that vary by the same fields: `accept-language=de&x!`.
    /// Two requests have the same text where they select the same responses, and only there.
    pub fn variant_of(&self, request: Request<'_>) -> String {
        let mut text = String::new();
        for (at, (name, _)) in self.selected_by.iter().enumerate() {
            if at > 0 {
                text.push('&');
            }
            escape(&mut text, name.as_str().as_bytes());
            match vary::normal(request.headers, name) {
                Some(value) => {
                    text.push('=');
                    escape(&mut text, &value);
                }
                None => text.push('!'),
            }
        }
        text
    }

    /// Whether the origin can be asked if it still holds (RFC 9111 §4.3.1).
    pub fn has_validator(&self) -> bool {
        self.last_modified.is_some() || !self.etag().is_empty()
    }

    /// The entity tag; empty if there is none.
    pub(crate) fn etag(&self) -> &[u8] {
        self.headers
            .get(header::ETAG)
            .map(http::HeaderValue::as_bytes)
            .unwrap_or_default()
    }

    /// How long it has been stale, or zero.
    pub(crate) fn stale_for(&self, now: u64) -> u64 {
        self.age(now).saturating_sub(self.lifetime)
    }

    pub(crate) fn allow_stale(
        &mut self,
        while_revalidate: Option<Duration>,
        if_error: Option<Duration>,
    ) {
        self.stale_while_revalidate = while_revalidate.map_or(0, millis);
        self.stale_if_error = if_error.map_or(0, millis);
    }
}

/// Bytes so that `&`, `=`, `!` and `%` stand only where the text itself puts them.
fn escape(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~*,;+/".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push('%');
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(if digit < 10 {
                    b'0' + digit
                } else {
                    b'A' + digit - 10
                }));
            }
        }
    }
}
