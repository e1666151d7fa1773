//! The rules of HTTP caching, room by room: tables of cases, each with the clause that it is from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::type_complexity)]

mod allocations;
mod answering;
mod cache_status;
mod collection;
mod explaining;
mod freshness;
mod invalidating;
mod looking_up;
mod properties;
mod reusing;
mod said;
mod small_cache;
mod storing;
mod targeted;
mod updating;
mod validating;
mod varying;
mod wire;
