//! `GET api/entry?key=K`: what stands under a key, and why it is fresh, stale or dead.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shelflife::{Epoch, Inspection, Reason};

use super::explain::{Since, since, why};
use super::given::{self, Asked};
use crate::Admin;
use crate::problem::Problem;

/// How much of a value is shown.
const EXCERPT: usize = 4 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    key: String,
}

#[derive(Serialize)]
pub(crate) struct Shown {
    key: String,
    state: &'static str,
    reason: Reason,
    why: String,
    clock: String,
    epoch: Option<String>,
    age_ms: Option<i64>,
    fresh_ms: Option<i64>,
    stale_ms: Option<i64>,
    cost_us: Option<u32>,
    leased: bool,
    stored_bytes: Option<usize>,
    bytes: Option<usize>,
    tags: Vec<ShownTag>,
    excerpt: Option<String>,
    cut: bool,
}

#[derive(Serialize)]
struct ShownTag {
    tag: String,
    hard: Option<u64>,
    soft: Option<u64>,
    since: Option<Since>,
}

pub(crate) async fn entry(
    State(admin): State<Admin>,
    Asked(which): Asked<Which>,
) -> Result<Json<Shown>, Problem> {
    let mut first = None;
    for key in given::readings(&which.key)? {
        let found = admin.cache.inspect(key).await;
        let found = found.map_err(|error| Problem::store("the store does not answer", &error))?;
        if found.state != "absent" {
            return Ok(Json(shown(found)));
        }
        first = first.or(Some(found));
    }
    // There is at least one reading.
    let nothing = || Problem::bad("a name is empty");
    first.map(shown).map(Json).ok_or_else(nothing)
}

fn shown(found: Inspection) -> Shown {
    let epoch: Option<Epoch> = found.epoch.as_deref().and_then(|text| text.parse().ok());
    let why = why(&found, epoch);
    let (excerpt, cut) = match &found.value {
        Some(value) => {
            let (text, cut) = excerpt(value);
            (Some(text), cut)
        }
        None => (None, false),
    };
    let tags = found.tags.into_iter().map(|it| ShownTag {
        since: since(&it, epoch),
        tag: it.tag,
        hard: it.hard,
        soft: it.soft,
    });
    Shown {
        state: found.state,
        reason: found.reason,
        why,
        clock: found.clock,
        epoch: found.epoch,
        age_ms: found.age_ms,
        fresh_ms: found.fresh_ms,
        stale_ms: found.stale_ms,
        cost_us: found.cost_us,
        leased: found.leased,
        stored_bytes: found.stored_bytes,
        bytes: found.bytes,
        tags: tags.collect(),
        excerpt,
        cut,
        key: found.key,
    }
}

/// The beginning of a value as text, and whether it goes on.
fn excerpt(value: &Value) -> (String, bool) {
    let mut text = match value {
        Value::String(text) => text.clone(),
        value => serde_json::to_string_pretty(value).unwrap_or_default(),
    };
    let cut = text.len() > EXCERPT;
    if cut {
        let end = (0..=EXCERPT).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
    }
    (text, cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_ends_between_characters() {
        let (text, cut) = excerpt(&Value::String("é".repeat(EXCERPT)));
        assert_eq!((text.len(), cut), (EXCERPT, true));
        let (text, cut) = excerpt(&Value::String(format!("a{}", "é".repeat(EXCERPT))));
        assert_eq!((text.len(), cut), (EXCERPT - 1, true));
        assert_eq!(
            excerpt(&serde_json::json!([1])),
            ("[\n  1\n]".to_owned(), false)
        );
    }
}
