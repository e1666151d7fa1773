//! The real binary, on a real database file, with a real server where there is one to share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod audit;
mod bench;
mod demo;
mod doctor;
mod errors;
mod explain;
mod gone;
mod http;
mod namespaces;
mod operate;
mod origin;
mod proxy;
#[path = "../../src/demo/scratch.rs"]
mod scratch;
mod shared;
mod shelflife;
mod terminal;
mod top;
mod tour;
mod until;
mod warm;
mod watch;
