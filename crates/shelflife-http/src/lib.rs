//! The rules of HTTP caching, as pure functions of a request, what is stored, a policy and the time.
//!
//! RFC 9111 and what belongs to it: conditions and ranges (RFC 9110 §13, §14), stale-while-revalidate and
//! stale-if-error (RFC 5861), targeted fields (RFC 9213), `Cache-Status` (RFC 9211), groups (RFC 9875). Nothing here waits,
//! reads a clock, holds content or logs. Whoever drives it asks one question after the other:
//!
//! ```text
//!  request ──► may_look_up ──no──► bypass ─────────────► invalidates (an unsafe method)
//!                  │ yes
//!               url_key ─► nothing stored ──► only_if_cached? 504
//!                  │            │
//!            Stored::selects    └─► may_collapse ─► fill_request ─► origin ─► store ─► answer
//!                  │ yes        (no: variant_of names the next place to look)
//!                reuse
//!                  ├─ Fresh, Stale ─────────────────────────► answer, answer_headers
//!                  ├─ Validate ─► validation_request ─► origin ─► validated ─► freshen ─► answer
//!                  ├─ Bypass ─► origin, nothing is touched
//!                  └─ Unsatisfiable ─► 504
//! ```
//!
//! # What is decided, in order
//!
//! **May a cache have a part in it?** ([`may_look_up`]) GET and HEAD, and what the policy names; without content; not
//! an upgrade; no `If-Match` or `If-Unmodified-Since`, which are the origin's; one host.
//!
//! **May it be stored?** ([`store()`])
//!
//! 1. The method is one of those; the status is final, and not 206, 304, 412 or 416.
//! 2. The request doesn't say `no-store`.
//! 3. What rules: the first targeted field that is valid, else `Cache-Control` and `Expires`.
//! 4. No `no-store` (unless `must-understand`, and the status is understood); no `private`.
//! 5. With `Authorization`: `public`, `s-maxage` or `must-revalidate`, or the policy. With `Cookie`: `public`, `s-maxage`, or
//!    the policy. With `Set-Cookie`: the policy ([`SetCookie`]).
//! 6. `Vary` has no `*`.
//! 7. A lifetime: the policy's override, `s-maxage`, `max-age`, `Expires`, the policy's for silent responses, a guess if the
//!    policy makes one; or `no-cache`, to be validated each time.
//! 8. It will be fresh, or servable stale, or can be validated.
//!
//! Of the response everything is kept but fields of one hop, of proxies, those that `no-cache="f"` and `private="f"` name,
//! `Set-Cookie`, `Age` and `Cache-Status`.
//!
//! **May it be used?** ([`reuse()`])
//!
//! 1. A request with credentials gets only what is said to be for all (or, for cookies, what was stored without any, if the
//!    policy answers so).
//! 2. `no-cache`: validated first, whatever else is said.
//! 3. The client's `no-cache`, `Pragma`, `max-age`, `min-fresh`, if the policy hears clients.
//! 4. Fresh: its age is below its lifetime.
//! 5. Stale: not with `must-revalidate`, `proxy-revalidate`, `s-maxage`; else by the client's `max-stale`, or within
//!    stale-while-revalidate; else after validation; within stale-if-error also when that fails.
//!
//! **What is sent?** ([`answer()`]) `If-None-Match`, or without it `If-Modified-Since`; then `Range`, if `If-Range` holds.
//!
//! Each "no" and each qualified "yes" is a [`Reason`] with its clause and a sentence.
//!
//! # What is read liberally, and what is not
//!
//! Directives come in any case, twice, quoted, with empty members between: the reading that keeps less is taken. A
//! lifetime that is no number is zero, one that is too large is 2^31 seconds. `Age` that is no number is ignored. A
//! date is a date in one of three formats, or none. A targeted field that is no structured field is ignored as a whole.
//! No bytes are an error, and none panic.
//!
//! # Example
//!
//! ```
//! use http::{HeaderMap, Method, StatusCode, Uri};
//! use shelflife_http::{Answer, Policy, Request, Reuse, answer, answer_headers, reuse, store};
//!
//! # fn main() -> Result<(), shelflife_http::Reason> {
//! let policy = Policy::proxy();
//! let (method, uri, headers) = (Method::GET, Uri::from_static("http://api.example.com/users/42"), HeaderMap::new());
//! let request = Request { method: &method, uri: &uri, headers: &headers };
//!
//! // The origin has answered; milliseconds since the Unix epoch.
//! let (sent, now) = (1_790_000_000_000, 1_790_000_000_120);
//! let mut said = HeaderMap::new();
//! said.insert("cache-control", "max-age=60, stale-while-revalidate=30".parse().unwrap());
//! let stored = store(request, StatusCode::OK, &said, &policy, sent, now)?;
//!
//! // Half a minute later the same is asked again.
//! let now = now + 30_000;
//! assert!(stored.selects(request));
//! assert_eq!(reuse(request, &stored, &policy, false, now), Reuse::Fresh);
//! assert_eq!(answer(request, &stored, 1024, now), Answer::Full);
//! assert_eq!(answer_headers(&stored, &Answer::Full, 1024, now)["age"], "30");
//!
//! // And another 45 seconds later: still served, while the origin is asked behind it.
//! let later = now + 45_000;
//! assert!(matches!(reuse(request, &stored, &policy, false, later), Reuse::Stale { refresh: true, .. }));
//! # Ok(())
//! # }
//! ```

mod answer;
mod cache_status;
mod control;
mod date;
mod directive;
mod etag;
mod explain;
mod freshness;
mod hop;
mod invalidate;
mod key;
mod policy;
mod range;
mod reason;
mod reference;
mod request;
mod reuse;
mod store;
mod stored;
mod tags;
mod targeted;
mod update;
mod validate;
mod vary;
mod wire;

pub use answer::{Answer, answer, answer_headers};
pub use cache_status::{CacheStatus, Forwarded};
pub use explain::{Step, explain_store};
pub use freshness::FreshBy;
pub use hop::remove_hop_by_hop;
pub use invalidate::{Invalidates, invalidates};
pub use key::{QueryRule, url_key, url_key_into};
pub use policy::{Heuristic, Policy, SetCookie};
pub use reason::Reason;
pub use request::{Request, may_collapse, may_look_up, only_if_cached};
pub use reuse::{Reuse, reuse};
pub use store::store;
pub use stored::Stored;
pub use update::{HeadUpdate, Received, freshen, head_update, pass_cookies};
pub use validate::{Validated, fill_request, validated, validation_request};
