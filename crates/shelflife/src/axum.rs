//! axum: the cache in the state, an extractor, and a router that starts and stops with it.

use std::convert::Infallible;

use axum::Router;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use crate::cache::Cache;

/// Extracts the cache from the router's state.
///
/// The state is a [`Cache`] itself, or one from which it can be taken (`FromRef`).
///
/// ```
/// use axum::{Router, routing::get};
/// use shelflife::{Cache, axum::CacheFrom};
///
/// async fn count(CacheFrom(cache): CacheFrom) -> String {
///     cache.stats().loads.to_string()
/// }
///
/// let app: Router = Router::new().route("/loads", get(count)).with_state(Cache::memory());
/// ```
#[derive(Clone, Debug)]
pub struct CacheFrom(pub Cache);

impl<S> FromRequestParts<S> for CacheFrom
where
    S: Send + Sync,
    Cache: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self(Cache::from_ref(state)))
    }
}

/// Runs a router until a signal, with its cache: the cache is installed as the default of `#[cached]`
/// before the first request, and closed after the last one has been answered.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::Router;
/// use shelflife::{Cache, axum::serve};
///
/// let cache = Cache::from_env().await?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// let app: Router = Router::new();
/// serve(listener, app, &cache, async { drop(tokio::signal::ctrl_c().await) }).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of the listener.
pub async fn serve(
    listener: tokio::net::TcpListener,
    app: Router,
    cache: &Cache,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    cache.install();
    let served = axum::serve(listener, app)
        .with_graceful_shutdown(shutdown)
        .await;
    cache.close().await;
    served
}
