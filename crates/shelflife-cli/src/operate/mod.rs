//! Commands for those who run a cache: look into it, and invalidate.
//!
//! Must not: know a key of Redis or a byte of a record. What is stored is told by the library.

pub(crate) mod audit;
pub(crate) mod doctor;
pub(crate) mod get;
pub(crate) mod invalidate;
pub(crate) mod ls;
pub(crate) mod members;
pub(crate) mod stats;
pub(crate) mod utc;
pub(crate) mod watch;
