//! Metrics: the figures of a cache ([`Stats`](crate::Stats), [`ServerInfo`](crate::ServerInfo)) under the names that
//! monitoring knows. What each means, and what to do when it looks bad: `docs/metrics.md`.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let cache = shelflife::Cache::memory();
//! cache.get::<u32>("nobody").await;
//! let text = cache.scrape().await; // The answer of `GET /metrics`, as `metrics::CONTENT_TYPE`.
//! assert!(text.contains(r#"shelflife_reads_total{namespace="default",tier="none",outcome="miss"} 1"#));
//! # });
//! ```
//!
//! With the feature `metrics` the same figures go to the recorder that is installed ([`publish`]), with the
//! feature `opentelemetry` to a meter ([`instrument`]).
//!
//! Must not: count anything, or be asked for anything on the way of a read.
#![cfg_attr(
    not(all(feature = "metrics", feature = "opentelemetry")),
    allow(rustdoc::broken_intra_doc_links, reason = "of features that are off")
)]

use crate::cache::Cache;

#[cfg(feature = "metrics")]
mod facade;
mod families;
#[cfg(feature = "opentelemetry")]
mod otel;
mod server;
mod text;

use families::Family;

#[cfg(feature = "metrics")]
pub use facade::publish;
#[cfg(feature = "opentelemetry")]
pub use otel::instrument;

/// The content type of what [`prometheus`] gives.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of several caches of this process in one text, each under its namespace. Of caches of one
/// namespace only the first is told.
pub fn prometheus<'a>(caches: impl IntoIterator<Item = &'a Cache>) -> String {
    let mut all: Vec<(&str, Vec<Family>)> = Vec::new();
    for cache in caches {
        if all.iter().all(|(there, _)| *there != cache.namespace()) {
            all.push((cache.namespace(), families(cache)));
        }
    }
    text::text(&all)
}

fn families(cache: &Cache) -> Vec<Family> {
    families::families(&cache.stats(), &cache.engine.server.read())
}

impl Cache {
    /// The metrics of this process's cache, as Prometheus reads them: [`metrics::CONTENT_TYPE`](CONTENT_TYPE).
    /// Of the server they tell what [`server_info`](Self::server_info) found last.
    pub fn prometheus(&self) -> String {
        prometheus([self])
    }

    /// Asks the server how it is, then gives [`prometheus`](Self::prometheus): the answer of `GET /metrics`. A
    /// server that does not answer is told as down.
    pub async fn scrape(&self) -> String {
        if let Err(error) = self.server_info().await {
            tracing::debug!(%error, "the server does not tell how it is");
        }
        self.prometheus()
    }
}

/// Where times are told as they are taken, beside being counted.
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
mod taps {
    use super::*;
    use crate::counters::{Tap, Timer};

    /// Every timer of a cache, with its metric and its labels.
    pub(super) fn timers(cache: &Cache) -> Vec<(&Timer, &'static str, families::Labels)> {
        let counters = &cache.engine.counters;
        let none = families::Labels::new;
        let mut all = vec![
            (
                &counters.load_time,
                "shelflife_load_duration_seconds",
                none(),
            ),
            (
                &counters.fill_time,
                "shelflife_fill_duration_seconds",
                none(),
            ),
            (
                &counters.invalidation_time,
                "shelflife_invalidation_duration_seconds",
                none(),
            ),
            (&counters.lease_wait, "shelflife_lease_wait_seconds", none()),
            (&counters.log_delay, "shelflife_log_delay_seconds", none()),
        ];
        #[cfg(feature = "redis")]
        if let crate::store::Store::Redis(store) = &cache.engine.store {
            all.extend(store.calls.timers().map(|(step, timer)| {
                let labels = families::labels([("step", step.as_str())]);
                (timer, "shelflife_store_duration_seconds", labels)
            }));
        }
        all
    }

    /// Has each timer tell its times from now on, in place of what the same listener gave before.
    pub(super) fn tap(
        cache: &Cache,
        who: usize,
        tap: impl Fn(&'static str, &families::Labels) -> Tap,
    ) {
        for (timer, name, labels) in timers(cache) {
            timer.tap(who, tap(name, &labels));
        }
    }
}
