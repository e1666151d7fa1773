//! Responses: a cache as a layer around any tower service.
//!
//! ```text
//! request ─► service.rs ──L1 answers──────────────────────────────► response     at once, nothing is boxed
//!                │  ├──────not for a cache─► the service itself ───► response     untouched
//!                ▼
//!             drive.rs ──stored, fresh or stale enough────────────► response
//!                │   └─── for itself alone ─► the service ─────────► response
//!                ▼
//!             load.rs   one for all who ask for the same
//!                └─► the service ─► tee.rs ─┬─► response, as it comes
//!                                           └─► the engine: L2, L1, those who wait
//! ```
//!
//! What may be stored, reused and answered is decided by [`shelflife_http`], for which a rule or a handler can set
//! the policy. Responses are entries of the engine like any value: the same tags, leases and invalidations, with the
//! same promise. A response whose load began before an invalidation is not served after it.
//!
//! **Invariant:** no rule of an RFC in this room. `drive.rs` alone waits for others.

mod answer;
mod body;
#[cfg(feature = "binding")]
pub mod by_hand;
mod content;
mod drive;
mod encode;
mod facts;
mod future;
mod invalidate;
mod kept;
mod key;
mod layer;
mod load;
mod passed;
mod rule;
mod service;
mod store;
mod tee;
mod why;

pub use body::{BodyError, CacheBody};
pub use content::RequestContent;
pub use future::ResponseFuture;
pub use key::url_tag;
pub use layer::{CacheLayer, CacheLayerBuilder};
pub use rule::{IntoDuration, Rule, VaryBy};
pub use service::CacheService;
pub use shelflife_http::{Heuristic, Policy as HttpPolicy, SetCookie};
pub use store::Store;
