//! What shelflife's tests are run against: real servers, real sockets, real processes.
//!
//! ```text
//! test ── Proxy ── RedisServer        faults on the wire, faults of the server
//!   ├──── Group                       a primary, its replicas, and the sentinels that watch them
//!   ├──── Cluster                     primaries that share the slots, with a replica each
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

mod access;
mod child;
mod cluster;
mod exposition;
mod group;
mod held;
mod percent;
mod port;
mod process;
mod proxy;
mod resp;
mod scratch;
mod sentinel;
mod server;
mod tls;

pub use access::{Access, Credentials};
pub use child::Child;
pub use cluster::{Cluster, Migration, slot_of};
pub use exposition::Exposition;
pub use group::Group;
pub use held::HeldBack;
pub use port::free_port;
pub use proxy::Proxy;
pub use resp::{Connection, Reply};
pub use scratch::Scratch;
pub use sentinel::Sentinel;
pub use server::RedisServer;
pub use tls::Certificates;
