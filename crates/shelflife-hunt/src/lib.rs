//! The hunt: several processes use one cache while everything is being killed, and a checker of
//! histories decides whether any read broke its level's promise.
//!
//! ```text
//!   hunt (this process)                          workers (its children), a cache each
//!   faults ──SIGSTOP, SIGKILL──────────────────▶ readers at every level
//!     └─────▶ Redis ◀──── a proxy for each ────▶ writers: bump the source, then invalidate
//!   order ◀── reads, confirmed invalidations ──┘      │
//!     └─▶ checker ─▶ tally, or a violation            ▼
//!                    with its history               source: a version per key, never faulted
//! ```
//!
//! What decides is pure: [`checker`] is fed a history in the order of time, and is tested by histories
//! with planted violations. [`order`] brings what the processes tell into that order.
//!
//! Must not: know how the cache works. It knows the promise and nothing else.

pub mod checker;
pub mod excuse;
pub mod history;
pub mod hunt;
pub mod order;
pub mod record;
pub mod stamp;
pub mod worker;
pub mod world;
