//! Redis and Valkey: the shared store. The only room that knows them.
//!
//! ```text
//! steps.rs    the contract of crate::store, step by step
//! names.rs    what things are called in Redis
//! reply.rs    from replies to facts
//! scripts.rs  the atomic steps, in Lua
//! log.rs      the log as a follower reads it, beats, members
//! doctor.rs   what is wrong with a server for a cache: pure
//! watch.rs    the log and the members as an onlooker reads them
//! link.rs     connections: from a command to the node that it is for; health, failover, clusters
//! address.rs  URLs
//! ```
//!
//! Must not: judge validity, know flights or L1.

mod address;
mod doctor;
mod link;
mod log;
mod names;
mod reply;
mod scripts;
mod steps;
mod stream;
mod watch;

pub(crate) use address::Address;
pub(crate) use doctor::{Facts, Survey};
pub(crate) use log::LogLine;
pub(crate) use steps::{Examined, Named, RedisStore, Stood, Surveyed};
pub(crate) use watch::LogView;
