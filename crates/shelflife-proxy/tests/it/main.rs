//! The proxy between raw sockets: clients and origins that say exactly what they are told to.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(
    clippy::print_stdout,
    reason = "the memory test tells what it has measured"
)]

mod admin;
mod bodies;
mod broken_origins;
mod caching;
mod fields;
mod http2;
mod interim;
mod life;
mod limits;
mod memory;
mod once;
mod origin;
mod proxy;
mod raw;
mod smuggling;
mod tls;
mod tunnels;
