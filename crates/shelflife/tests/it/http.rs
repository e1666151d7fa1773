//! HTTP responses through the layer: what is stored, shared, streamed, invalidated; and what must never be.
//!
//! Tables go through `tower`'s `oneshot`; what a connection has a part in goes over real sockets.

mod bodies;
#[cfg(feature = "compression")]
mod codings;
mod collapse;
#[cfg(feature = "compression")]
mod encodings;
mod handlers;
mod hits;
mod invalidation;
mod origin;
mod processes;
mod ranges;
mod ruled;
mod service;
mod sockets;
mod stale;
mod urls;
mod users;
mod validation;
mod variants;
