//! What shelflife's tests are run against: real servers, real sockets, real processes.
//!
//! ```text
//! test ── Proxy ── RedisServer        faults on the wire, faults of the server
//!   └──── Child                       another process that uses the cache
//! ```
//!
//! Everything here ends with the value that started it: processes are killed and reaped, sockets
//! closed and directories removed on drop. A value in a `static` is never dropped, so servers
//! belong to the test that uses them.
//!
//! What cannot be had is a panic that says how to get it; a test never passes for want of a server.
//!
//! This crate must not know shelflife: it is what shelflife is measured against.

mod child;
mod exposition;
mod port;
mod process;
mod proxy;
mod resp;
mod scratch;
mod server;

pub use child::Child;
pub use exposition::Exposition;
pub use port::free_port;
pub use proxy::Proxy;
pub use resp::{Connection, Reply};
pub use scratch::Scratch;
pub use server::RedisServer;
