//! A cache for web APIs: two tiers, tags, leases, and invalidation that holds.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use std::time::Duration;
//! use shelflife::{Cache, Invalidation};
//!
//! # #[derive(Clone, serde::Serialize, serde::Deserialize, PartialEq, Debug)]
//! # struct User { id: u64 }
//! # async fn from_database(id: u64) -> Result<User, std::io::Error> { Ok(User { id }) }
//! // SHELFLIFE_URL or REDIS_URL, else the embedded store: the same semantics, no server.
//! let cache = Cache::memory();
//!
//! let user = cache
//!     .entry("users:42")
//!     .ttl(Duration::from_secs(300))
//!     .tag("user:42")
//!     .get_or_load(|| from_database(42))
//!     .await?;
//! assert_eq!(user, User { id: 42 });
//!
//! // After this has returned, nothing older is served: not even by a load that is in flight now.
//! cache.invalidate(Invalidation::new().tag("user:42")).await?;
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! - [`Cache`]: connect, then `get`, `set`, `get_or_load`, `invalidate`, `emit`.
//! - [`cached`]: the same on a function.
//! - [`Entry`]: one key under one policy.
//! - [`Policy`]: how long and how a value is kept.
//!
//! - [`tower::CacheLayer`](https://docs.rs/shelflife): HTTP responses, by RFC 9111 and by rules.
//!
//! Features: `redis` (default) for Redis and Valkey, `macros` (default) for `#[cached]`, `tower` for the
//! layer that caches HTTP responses, `axum` for that and the axum integration, `metrics` and `opentelemetry` for
//! figures to a recorder or a meter (as text for Prometheus they are always there: [`metrics`]), `chaos` for tests: faults on
//! purpose.

#![cfg_attr(
    not(feature = "redis"),
    allow(dead_code, reason = "what a shared store needs is not reached")
)]

mod after_commit;
#[cfg(feature = "redis")]
mod audit;
#[cfg(feature = "redis")]
mod bare;
#[cfg(feature = "binding")]
#[doc(hidden)]
pub mod binding;
mod builder;
mod cache;
#[cfg(feature = "chaos")]
pub mod chaos;
mod clock;
mod codec;
mod counters;
#[cfg(feature = "redis")]
mod doctor;
mod duration;
mod embedded;
mod engine;
mod entry;
mod epoch;
mod error;
#[cfg_attr(
    not(feature = "protocol"),
    allow(unreachable_pub, reason = "only the model reaches it")
)]
mod follow;
#[cfg(test)]
mod golden;
#[cfg(test)]
#[cfg(feature = "redis")]
mod guards;
mod hot;
mod inspect;
#[cfg(test)]
#[cfg(shelflife_shuttle)]
mod interleavings;
mod invalidation;
mod key;
mod local;
mod many;
mod members;
#[cfg_attr(
    not(feature = "protocol"),
    allow(unreachable_pub, reason = "only the model reaches it")
)]
mod memory;
pub mod metrics;
mod pattern;
mod policy;
#[cfg(test)]
mod probe;
mod reason;
mod record;
mod server;
mod settings;
mod spans;
mod status;
mod store;
mod stretches;
mod sync;
#[cfg_attr(
    not(feature = "protocol"),
    allow(unreachable_pub, reason = "only the model reaches it")
)]
mod validity;
mod value;
mod watch;

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "protocol")]
#[doc(hidden)]
pub mod protocol;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "tower")]
pub mod tower;

#[cfg(feature = "macros")]
#[doc(hidden)]
#[path = "cached.rs"]
pub mod __private;

pub use after_commit::{AfterCommit, CommitError};
#[cfg(feature = "redis")]
pub use audit::{Audit, AuditPlan, AuditSummary, Class, Disagreement, Fault, Finding};
pub use builder::Builder;
pub use cache::{Cache, Invalidate};
pub use clock::ManualClock;
pub use codec::{Codec, Compression};
pub use counters::{Following, Histogram, NodeStats, Stats, Step, StepStats, Timings};
#[cfg(feature = "redis")]
pub use doctor::{Checkup, CheckupPlan, CheckupProgress, Diagnosis, Severity, Vitals};
pub use duration::duration;
pub use engine::events::{Event, HandlerError};
pub use engine::load::{CurrentLoad, current_load};
pub use entry::{Entry, Write};
pub use epoch::{Epoch, ParseEpochError, Receipt};
pub use error::{Error, ErrorKind, LoadError};
pub use hot::{Hot, Hottest};
pub use inspect::{Inspection, Overview, Scan, TagState};
pub use invalidation::Invalidation;
pub use key::{Key, KeyPart, KeyTemplate, PartWriter, Shown, Tag};
pub use local::Large;
pub use members::{MemberState, Members, Spread};
pub use pattern::Pattern;
pub use policy::Policy;
pub use reason::Reason;
pub use server::{Persistence, ServerInfo};
pub use status::{Loaded, Lookup, Outcome, Status, Tier, observe};
pub use value::Value;
pub use watch::{Logged, Watch, Watched};

#[cfg(feature = "macros")]
pub use shelflife_macros::cached;
