//! The suite, judged: a small cache that keeps the rules has to pass, and each fault planted in it has to be
//! found.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod command;
mod faults;
mod layered;
mod mini;
mod plain;
mod proxy;
mod ruled;
mod wire;
