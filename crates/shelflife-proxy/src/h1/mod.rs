//! HTTP/1.1 towards clients (RFC 9112).
//!
//! ```text
//!   socket ─► scan (where a head ends) ─► head (what it says, how long its body is) ─► connection
//!                 body ◄─ chunked                                                        │
//!   socket ◄─ write ◄──────────────────────────────────────────────────────────────── response
//! ```
//!
//! A general-purpose server reads leniently and tells its service what is left: a line that ends with a
//! bare LF, a second Content-Length, a Content-Length beside a Transfer-Encoding are gone by then. A proxy must
//! see them, because whoever reads the same bytes differently behind it can be made to see another request
//! than the one that was checked and cached. So this room reads strictly and refuses.
//!
//! Must not: know what a request is answered with, nor anything of caching.

mod body;
mod chunked;
mod connection;
mod encode;
mod exchange;
mod head;
mod input;
mod refusal;
mod scan;
mod write;

pub(crate) use body::IncomingBody;
pub(crate) use connection::{Limits, serve};
pub(crate) use head::{MOST_FIELDS, is_host};
pub(crate) use refusal::Refusal;
