//! `GET api/keys`: the stored keys that match a pattern, a page at a time.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::given::{self, Asked};
use crate::Admin;
use crate::problem::Problem;

/// How long is looked for more before what was found is told.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    #[serde(default = "everything")]
    pattern: String,
    #[serde(default = "a_page")]
    limit: usize,
    /// Text: a number of 64 bits is more than JavaScript has.
    cursor: Option<String>,
}

fn everything() -> String {
    "*".to_owned()
}

fn a_page() -> usize {
    100
}

#[derive(Serialize)]
pub(crate) struct Found {
    keys: Vec<String>,
    cursor: Option<String>,
}

/// Ends behind the page of the store that reaches the limit, which may hold more: a page can't be cut.
pub(crate) async fn keys(
    State(admin): State<Admin>,
    Asked(which): Asked<Which>,
) -> Result<Json<Found>, Problem> {
    if !(1..=1000).contains(&which.limit) {
        return Err(Problem::bad("limit: from 1 to 1000"));
    }
    let _permit = permit(&admin)?;
    let mut scan = admin.cache.scan(given::name(&which.pattern)?);
    if let Some(cursor) = &which.cursor {
        let cursor = cursor.parse();
        let cursor = cursor.map_err(|_| Problem::bad("cursor: what the page before gave"))?;
        scan = scan.resume(cursor);
    }
    let began = Instant::now();
    let mut keys = Vec::new();
    while keys.len() < which.limit && began.elapsed() < PATIENCE {
        let page = scan.next().await;
        let page = page.map_err(|error| Problem::store("the store does not answer", &error))?;
        match page {
            Some(page) => keys.extend(page),
            None => break,
        }
    }
    Ok(Json(Found {
        keys,
        cursor: scan.cursor().map(|cursor| cursor.to_string()),
    }))
}

/// The right to scan, while it is held.
pub(crate) fn permit(admin: &Admin) -> Result<tokio::sync::OwnedSemaphorePermit, Problem> {
    let permit = admin.scans.clone().try_acquire_owned();
    permit
        .map_err(|_| Problem::busy("as many scans as may be are under way: ask again in a second"))
}
