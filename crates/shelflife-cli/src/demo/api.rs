//! The demo's routes: from a request to the users and back.
//!
//! The list is cached as a response, by a layer round its route: a rule says for how long, and by which tag it is
//! invalidated. The profiles are cached as values, by `users`. No handler mentions `Cache-Status`: the layer says it
//! for the list, and another round all routes observes how the cached reads inside were answered.
//!
//! Must not: ask the database.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use shelflife::Receipt;
use shelflife::tower::{CacheLayer, Rule};

use super::error::AppError;
use super::extract::{DetailsBody, PageNumber, UserId};
use super::guide;
use super::queries::{Page, Profile, User};
use super::users::{self, Users};
use crate::failure::Failure;

pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Carries the receipt of the invalidation that a write has caused.
pub(crate) const RECEIPT: HeaderName = HeaderName::from_static("shelflife-receipt");

pub(crate) fn router(users: Users) -> Result<Router, Failure> {
    let rule = Rule::path("/users")
        .statuses([200])
        .ttl(users.ttl)
        .stale(users.stale)
        .tags(["users"]);
    let lists = CacheLayer::builder(&users.cache)
        .rule(rule)
        .build()
        .map_err(|error| Failure::new(error.to_string()))?;
    let router = Router::new()
        .route("/", get(index))
        .route("/stats", get(stats))
        .route("/metrics", get(metrics))
        .route("/users", get(list).layer(lists))
        .route("/users/{id}", get(read).put(update).delete(delete))
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(tell_cache_status))
        .with_state(users);
    Ok(router)
}

async fn index(request: Request) -> Json<Value> {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("localhost");
    let base = format!("http://{host}");
    let try_it: Vec<_> = guide::EXAMPLES
        .iter()
        .map(|example| json!({ "command": example.command(&base), "shows": example.shows }))
        .collect();
    Json(json!({ "api": "shelflife demo", "try": try_it }))
}

async fn stats(State(users): State<Users>) -> Json<Value> {
    Json(
        json!({ "database": { "queries": users.database.queries() }, "cache": users.cache.stats() }),
    )
}

/// For Prometheus.
async fn metrics(State(users): State<Users>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, shelflife::metrics::CONTENT_TYPE)];
    (kind, users.cache.scrape().await)
}

async fn list(
    State(users): State<Users>,
    PageNumber(number): PageNumber,
) -> Result<Json<Page>, AppError> {
    users::page(&users, number).await.map(Json)
}

async fn read(State(users): State<Users>, UserId(id): UserId) -> Result<Json<Profile>, AppError> {
    let profile = users::profile(&users, id).await?;
    profile.map(Json).ok_or(AppError::UnknownUser(id))
}

async fn update(
    State(users): State<Users>,
    UserId(id): UserId,
    DetailsBody(details): DetailsBody,
) -> Result<([(HeaderName, String); 1], Json<User>), AppError> {
    let (user, receipt) = users.update(id, details).await?;
    Ok((with_receipt(receipt), Json(user)))
}

async fn delete(
    State(users): State<Users>,
    UserId(id): UserId,
) -> Result<impl IntoResponse, AppError> {
    let receipt = users.delete(id).await?;
    Ok((StatusCode::NO_CONTENT, with_receipt(receipt)))
}

fn with_receipt(receipt: Receipt) -> [(HeaderName, String); 1] {
    [(RECEIPT, receipt.to_string())]
}

async fn no_such_route(uri: Uri) -> AppError {
    AppError::NoSuchRoute(uri.path().to_owned())
}

async fn method_not_allowed(method: Method, uri: Uri) -> AppError {
    AppError::MethodNotAllowed {
        method,
        path: uri.path().to_owned(),
    }
}

/// Says on every answer how the cache took part in it (RFC 9211).
async fn tell_cache_status(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (mut response, status) = shelflife::observe(next.run(request)).await;
    if response.headers().contains_key(CACHE_STATUS) {
        return response;
    }
    let failed = response.status().is_server_error();
    let value = match status {
        Some(status) => HeaderValue::try_from(status.to_string()).ok(),
        // A load that fails tells nothing; that it was needed means that nothing stored would do.
        None if is_read && failed => Some(HeaderValue::from_static("shelflife; fwd=miss")),
        // RFC 9211 §2.2: "method" for writes, which always go to the source; "bypass" for what the
        // cache was not set up to handle.
        None if is_read => Some(HeaderValue::from_static("shelflife; fwd=bypass")),
        None => Some(HeaderValue::from_static("shelflife; fwd=method")),
    };
    if let Some(value) = value {
        response.headers_mut().insert(CACHE_STATUS, value);
    }
    response
}
