//! The test kit against the real thing.

#![allow(clippy::unwrap_used)]

mod child;
mod cluster;
mod group;
mod proxy;
mod server;
mod tls;
