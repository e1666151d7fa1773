//! The JSON API. What it answers is described at the crate's root.
//!
//! Must not: ask who asks (`guard`), or decide what is fresh (the engine).

mod count;
mod entry;
mod explain;
mod given;
mod invalidate;
mod keys;
mod log;
pub(crate) mod now;
mod ranking;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};

use crate::Admin;
use crate::problem::Problem;

pub(crate) fn router() -> Router<Admin> {
    Router::new()
        .route("/now", get(now::now))
        .route("/hot", get(ranking::hot))
        .route("/largest", get(ranking::largest))
        .route("/log", get(log::log))
        .route("/entry", get(entry::entry))
        .route("/keys", get(keys::keys))
        .route("/invalidate", post(invalidate::invalidate))
        .fallback(nothing)
        .method_not_allowed_fallback(other_method)
}

async fn nothing() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "there is nothing here: valid are now, hot, largest, log, entry, keys, invalidate",
    )
}

async fn other_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "invalidate is a POST, everything else a GET",
    )
}
