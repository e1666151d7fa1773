//! The steps where keys lie apart: a cluster, whose scripts reach either the clock or an entry, never both.
//!
//! What is one script on one server is what PROTOCOL says here, step by step, in its order: `read.rs` reads,
//! `store.rs` fills and writes, `invalidate.rs` invalidates. An entry's own steps (leases) are the same everywhere.
//!
//! Must not: change the order of steps. Each is there for a reason that the model has found.

mod invalidate;
mod read;
mod store;
