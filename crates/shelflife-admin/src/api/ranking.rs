//! `GET api/hot` and `GET api/largest`: the names that matter most.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shelflife::{Hottest, Large};

use super::given::Asked;
use crate::Admin;
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Most {
    #[serde(default = "twenty")]
    n: usize,
}

fn twenty() -> usize {
    20
}

impl Most {
    fn bounded(&self) -> Result<usize, Problem> {
        match self.n {
            1..=100 => Ok(self.n),
            _ => Err(Problem::bad("n: from 1 to 100")),
        }
    }
}

pub(crate) async fn hot(
    State(admin): State<Admin>,
    Asked(most): Asked<Most>,
) -> Result<Json<Hottest>, Problem> {
    Ok(Json(admin.cache.hottest(most.bounded()?)))
}

#[derive(Serialize)]
pub(crate) struct Largest {
    entries: Vec<Large>,
}

/// Looks at all entries of L1. One at a time does, and the others wait: it asks no server, so their turn comes soon, and
/// no scan of the store is in its way.
pub(crate) async fn largest(
    State(admin): State<Admin>,
    Asked(most): Asked<Most>,
) -> Result<Json<Largest>, Problem> {
    let most = most.bounded()?;
    // It is never closed.
    let _turn = admin.largest.acquire().await;
    let entries = admin.cache.largest(most);
    Ok(Json(Largest { entries }))
}
