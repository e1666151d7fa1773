//! Tests of the whole crate: the contract on both stores, races, faults, processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub
)]

mod after_commit;
mod away;
mod batches;
mod cached;
#[cfg(feature = "chaos")]
mod chaos;
mod clusters;
mod contract;
mod cut_off;
mod damage;
mod encrypted;
mod events;
mod failover;
mod faults;
mod figures;
mod fused;
mod gate;
#[cfg(feature = "axum")]
mod http;
mod leases;
mod loads;
mod metrics;
mod overload;
mod paths;
mod peers;
mod races;
mod readers;
mod refused;
mod retry;
mod sentinels;
mod sessions;
mod sets;
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
