//! What an intermediary owes to the fields that it passes on (RFC 9110 §7.6). Pure.
//!
//! - [`strip`]: fields that belong to one hop go.
//! - [`trail`]: who asked, and by which way: `Via`, `Forwarded`, `X-Forwarded-*`.
//!
//! Must not: know the cache, or the configuration's text.

mod hop;
mod trail;
mod trust;

pub(crate) use hop::{strip, strip_trailers};
pub(crate) use trail::{From, Name, Trail, add_via, goes_in_circles};
pub(crate) use trust::Network;

/// Whether the value of a Host field is one (RFC 9110 §7.2).
pub(crate) use crate::h1::is_host;
