//! A caching reverse proxy for any API.
//!
//! ```text
//!   client ──► listen ──► front: h1 | h2 ──► pipeline ──► cache (shelflife's CacheLayer) ──► upstream ──► origin
//!                                               └── upgrades, past the cache ──────────────────┘
//!   operator ─► admin listener: purge, invalidate, health, metrics
//! ```
//!
//! - [`Config`]: what the proxy is told, from TOML or built in code.
//! - [`Proxy`]: binds, serves, and ends when it is asked to.
//! - [`Control`]: reloads and ends a running proxy.
//!
//! The caching is not here: that is the layer's, and its rules are `shelflife-http`'s. Here is what a proxy
//! owes to the wire on either side: framing that cannot be read in two ways, fields that belong to one hop,
//! interim responses, upgrades, time limits, and never sending a request twice that the origin may have seen.
//!
//! Must not: read the environment or arguments, install signal handlers, print, or end the process.

mod access;
mod admin;
mod answer;
mod body;
mod client;
mod config;
mod deadline;
mod figures;
mod forward;
mod front;
mod h1;
mod h2;
mod listen;
mod live;
mod pipeline;
mod serve;
mod tls;
mod tunnel;
mod upstream;
mod wire;

pub use config::{Config, ConfigError};
pub use serve::{BindError, Control, Proxy};
