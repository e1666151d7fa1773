//! The test kit against the real thing.

#![allow(clippy::unwrap_used)]

mod child;
mod proxy;
mod server;
