//! The page and its API from outside: who may pass, what is answered, on the embedded store and on a real Redis.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod api;
mod asking;
mod hostile;
mod invalidating;
mod log;
mod login;
mod mounting;
