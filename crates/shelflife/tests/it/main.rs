//! Tests of the whole crate: the contract on both stores, races, faults, processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

mod cached;
mod contract;
mod damage;
mod faults;
mod gate;
mod loads;
mod peers;
mod races;
mod settings;
mod stores;
mod tail;
