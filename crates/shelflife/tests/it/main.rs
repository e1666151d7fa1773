//! Tests of the whole crate: the contract on both stores, races, faults, processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

mod after_commit;
mod cached;
mod contract;
mod cut_off;
mod damage;
mod events;
mod faults;
mod figures;
mod gate;
#[cfg(feature = "axum")]
mod http;
mod loads;
mod metrics;
mod paths;
mod peers;
mod races;
mod refused;
mod retry;
mod sessions;
mod settings;
mod settle;
mod spans;
mod stale;
mod stores;
mod tail;
mod values;
mod watch;
mod wire;
mod writes;
