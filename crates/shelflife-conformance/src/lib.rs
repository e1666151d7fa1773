//! Black-box conformance cases for HTTP caches, ours and those of others.
//!
//! ```text
//!            request n                      request n, as the cache sends it
//!   client ────────────► cache under test ────────────► origin
//!     │                                                   │
//!     └──── what came back ────► judge ◄── what it saw ───┘
//! ```
//!
//! A [`Case`] is a few requests for one URL of its own: what the client sends, what the origin answers, and from
//! where the answer has to come (the store, the origin, or the store after the origin has validated it). The
//! [`suite`] holds the cases that the public collection of HTTP cache tests checks on reverse proxies, each
//! under its public name, in our own words, and cases of our own about odd and broken origins. [`run()`] sends
//! them, many at a time, and the [`Report`] tells what came.
//!
//! The pauses of three seconds are real: the caches under test have real clocks.
//!
//! This crate must not know shelflife: it is what shelflife is measured against. Only its tests start our proxy.

mod case;
mod cases;
mod client;
mod date;
mod judge;
mod known;
mod origin;
mod published;
mod report;
mod run;
mod step;
mod trace;
mod wire;

pub use case::{Case, Group, Kind};
pub use cases::suite;
pub use judge::Fault;
pub use known::{Known, known};
pub use origin::Origin;
pub use published::Published;
pub use report::{Count, Judged, Report, Verdict};
pub use run::{Options, run};
