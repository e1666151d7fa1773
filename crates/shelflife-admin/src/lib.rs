//! A page on which one sees what a shelflife cache does, and the JSON API behind it.
//!
//! ```text
//!   request ─► guard (Host, Origin, token: access/) ─► api/…  ─► Cache
//!                                                  └─► page   ─► files that are part of the binary
//! ```
//!
//! [`router`] is an axum router to be mounted by nesting, or served on a listener of its own. There is no safe
//! way to show a cache to everybody, so there is no default: without a token it is only built for a listener on
//! loopback.
//!
//! ```
//! use axum::Router;
//! use shelflife::Cache;
//! use shelflife_admin::{Access, router};
//!
//! let cache = Cache::memory();
//! // On a listener of its own, for who sits at this machine:
//! let page = router(&cache, Access::listener("127.0.0.1:8081".parse()?))?;
//! // Or in the application, for who has the token:
//! let app: Router = Router::new().nest_service("/_shelflife", router(&cache, Access::token("4f1c-0d2e-change-me"))?);
//! // Open to everybody: refused, and the error says what to do.
//! assert!(router(&cache, Access::listener("0.0.0.0:8081".parse()?)).is_err());
//! # drop((page, app)); Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # The JSON API
//!
//! Paths are relative to where the router is mounted. Names are those of the engine's own types ([`Stats`],
//! [`MemberState`], [`Logged`]), so that what they gain appears here. Counters only grow: who wants a rate
//! asks twice. Times end in `_ms` or `_us`. Errors are problem details (RFC 9457): `title`, `status`, `detail`.
//!
//! | request | answer |
//! |---|---|
//! | `GET api/now` | `{version, now_ms, uptime_ms, namespace, token, process, stats, store, members}`, see below |
//! | `GET api/hot?n=20` | [`Hottest`](shelflife::Hottest), `{keys: [..], tags: [..]}`, each `{name, reads, over, share}`: what was read most of late |
//! | `GET api/largest?n=20` | `{entries: [..]}`, each `{key, bytes, tags}`: what takes most of this process's memory |
//! | `GET api/log?since=60` | server-sent events `entry` ([`Logged`] and `at_ms`), `gap`, `lost` (`{detail}`), `back`; the `id` of an entry is its epoch |
//! | `GET api/entry?key=K` | what stands under a key and why it is fresh, stale or dead |
//! | `GET api/keys?pattern=P&limit=100&cursor=C` | `{keys: [..], cursor}`: a page of the stored keys that match; `cursor` is null at the end |
//! | `POST api/invalidate` | `{keys, tags, patterns, all, soft, everywhere, dry_run}` → what it would hit, or a receipt |
//!
//! `api/now`:
//!
//! - `stats`: [`Stats`], of this process. Each histogram of its `timings` has `counts` as well, one for each bucket; `timings.bounds`
//!   are their upper bounds in seconds, without that of the last, which has none.
//! - `process`: `{pid}`. `token`: whether one is asked for.
//! - `store`: `{kind: "embedded" | "redis", answers: bool, detail, server}`; `detail` says why it does not answer.
//!   `server` is what it says of itself ([`ServerInfo`](shelflife::ServerInfo)), at most 1 s old, or null.
//! - `members`: `{clock, now, all: [MemberState]}`, the processes that follow the log; null when the store does
//!   not answer. With the embedded store `all` is empty.
//!
//! `api/entry`: the fields of [`Inspection`](shelflife::Inspection) but for the value, and `why`, a sentence in plain words. `excerpt` is the
//! beginning of the value as text, `cut` whether it goes on. Each of `tags` is `{tag, hard, soft, since}`; `since`
//! is `hard` or `soft` if an invalidation of it is newer than the value, else null.
//!
//! `POST api/invalidate` with `dry_run: true` hits nothing, and answers `{dry_run: true, entries, examples, scanned,
//! complete, took_us}`: how many entries it would hit among the `scanned` ones that it had time for; `complete`
//! says whether those are all. Otherwise `{receipt, took_us}`, once the store has confirmed it, or with
//! `everywhere: true` once every process has applied it. What is not confirmed is a 503.
//!
//! A key or a tag is given as the application names it, or as a listing shows it. Where a text may be either, `api/entry` shows
//! the listed one if it is there, and `api/invalidate` takes both.
//!
//! With a token, every request carries it as `Authorization: Bearer …`; a browser gets a cookie from the form that
//! the page shows; credentials of another scheme are passed over. A `POST` by cookie, or where no token is needed, needs the field `Shelflife-Admin: 1` as well:
//! a page of another site cannot send it.
//!
//! Must not: hold policy, print, or know where it is mounted.
//!
//! [`Stats`]: shelflife::Stats
//! [`MemberState`]: shelflife::MemberState
//! [`Logged`]: shelflife::Logged

mod access;
mod api;
mod guard;
mod login;
mod page;
mod problem;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware::from_fn_with_state;
use shelflife::Cache;
use tokio::sync::Semaphore;

use crate::access::Gate;
pub use crate::access::{Access, AccessError};
use crate::api::now::Server;

/// Logs that are watched at once: each holds a connection to the server.
const WATCHERS: usize = 8;

/// Scans under way at once, dry runs among them.
const SCANS: usize = 2;

/// After which time a log is watched no longer. A browser asks again.
const WATCHED_FOR: Duration = Duration::from_secs(60);

/// The page and its API, for a cache.
///
/// To be nested at a path (`/_shelflife`), or served as it is. The page itself is `page` below that; `nest_service`
/// has `/_shelflife/` lead there as well, where `nest` knows `/_shelflife` alone.
///
/// # Errors
///
/// When it would be open to whoever reaches it: then what to do. When the token is too short, or a host is none.
pub fn router(cache: &Cache, access: Access) -> Result<Router, AccessError> {
    Ok(Admin::new(cache, access)?.router())
}

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) cache: Cache,
    pub(crate) gate: Arc<Gate>,
    pub(crate) since: Instant,
    /// What the server said last.
    pub(crate) server: Arc<Server>,
    /// One permit for each log that may be watched.
    pub(crate) watchers: Arc<Semaphore>,
    /// One permit for each scan that may be under way.
    pub(crate) scans: Arc<Semaphore>,
    /// Whoever looks for the largest entries has it meanwhile.
    pub(crate) largest: Arc<Semaphore>,
    /// How long a log is watched.
    pub(crate) watched_for: Duration,
}

impl Admin {
    fn new(cache: &Cache, access: Access) -> Result<Self, AccessError> {
        Ok(Admin {
            cache: cache.clone(),
            gate: Arc::new(access.check()?),
            since: Instant::now(),
            server: Arc::default(),
            watchers: Arc::new(Semaphore::new(WATCHERS)),
            scans: Arc::new(Semaphore::new(SCANS)),
            largest: Arc::new(Semaphore::new(1)),
            watched_for: WATCHED_FOR,
        })
    }

    fn router(self) -> Router {
        Router::new()
            .nest("/api", api::router())
            .merge(login::router())
            .fallback(page::serve)
            .layer(from_fn_with_state(self.clone(), guard::guard))
            .with_state(self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::future::Future;

    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use axum::response::Response;
    use shelflife::Invalidation;
    use tower::ServiceExt;

    use super::*;

    fn admin() -> Admin {
        let access = Access::listener("127.0.0.1:8081".parse().unwrap());
        Admin::new(&Cache::memory(), access).unwrap()
    }

    async fn ask(admin: &Admin, method: &str, path: &str, document: &str) -> Response {
        let request = Request::builder().method(method).uri(path);
        let request = request
            .header("host", "localhost")
            .header("shelflife-admin", "1");
        let request = request.body(Body::from(document.to_owned())).unwrap();
        admin.clone().router().oneshot(request).await.unwrap()
    }

    /// How long what has to come may take.
    async fn soon<F: Future>(what: F) -> F::Output {
        let patience = Duration::from_secs(10);
        tokio::time::timeout(patience, what).await.expect("in time")
    }

    #[tokio::test]
    async fn only_so_many_scan_at_once_and_a_ranking_is_none() {
        let admin = admin();
        let under_way = admin.scans.acquire_many(SCANS as u32).await.unwrap();
        for (method, path, document) in [
            ("GET", "/api/keys", ""),
            (
                "POST",
                "/api/invalidate",
                r#"{"all": true, "dry_run": true}"#,
            ),
        ] {
            let answer = ask(&admin, method, path, document).await;
            assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
        }
        for path in ["/api/largest", "/api/hot", "/api/now", "/api/entry?key=a"] {
            let answer = soon(ask(&admin, "GET", path, "")).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
        }
        drop(under_way);
        let answer = ask(&admin, "GET", "/api/keys", "").await;
        assert_eq!(answer.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn who_reads_nothing_of_a_log_holds_its_place_no_longer_than_others() {
        let admin = Admin {
            watched_for: Duration::from_millis(50),
            ..admin()
        };
        let mut unread = Vec::new();
        for _ in 0..WATCHERS {
            let stream = ask(&admin, "GET", "/api/log?since=60", "").await;
            assert_eq!(stream.status(), StatusCode::OK);
            unread.push(stream);
        }
        // More than is kept for who is slow: whoever passes it on has to wait.
        for n in 0..300 {
            let told = Invalidation::new().tag(format!("t{n}"));
            admin.cache.invalidate(told).await.unwrap();
        }
        drop(soon(admin.watchers.acquire_many(WATCHERS as u32)).await);
    }
}
