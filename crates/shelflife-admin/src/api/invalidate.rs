//! `POST api/invalidate`: first what it would hit, then for real.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use shelflife::{Invalidation, Pattern};

use super::count::{self, Target};
use super::given::{self, Document};
use super::keys::permit;
use crate::Admin;
use crate::problem::Problem;

/// How many names one request may hold.
const NAMES: usize = 200;

/// The proxy's document for `POST /_shelflife/invalidate`, and whether it is only a question.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wish {
    keys: Vec<String>,
    tags: Vec<String>,
    patterns: Vec<String>,
    all: bool,
    soft: bool,
    everywhere: bool,
    dry_run: bool,
}

pub(crate) async fn invalidate(
    State(admin): State<Admin>,
    Document(wish): Document<Wish>,
) -> Result<Json<Value>, Problem> {
    let target = target(&wish)?;
    match wish.dry_run {
        true => dry_run(&admin, &target).await.map(Json),
        false => carry_out(&admin, target, &wish).await.map(Json),
    }
}

fn target(wish: &Wish) -> Result<Target, Problem> {
    let named = wish.keys.len() + wish.tags.len() + wish.patterns.len();
    if named > NAMES {
        return Err(Problem::bad(format!(
            "{NAMES} names at most, and these are {named}"
        )));
    }
    if named == 0 && !wish.all {
        return Err(Problem::bad(
            "nothing is named: valid are keys, tags, patterns, all",
        ));
    }
    let mut target = Target {
        all: wish.all,
        ..Target::default()
    };
    for key in &wish.keys {
        target.keys.extend(given::readings(key)?);
    }
    for tag in &wish.tags {
        // A tag is shown as a key is.
        target.tags.extend(given::readings(tag)?.map(Into::into));
    }
    for pattern in &wish.patterns {
        target.patterns.push(Pattern::new(given::name(pattern)?));
    }
    Ok(target)
}

async fn dry_run(admin: &Admin, target: &Target) -> Result<Value, Problem> {
    let _permit = permit(admin)?;
    let began = Instant::now();
    let counted = count::count(&admin.cache, target).await;
    let counted = counted.map_err(|error| Problem::store("the store does not answer", &error))?;
    Ok(json!({
        "dry_run": true,
        "entries": counted.entries,
        "examples": counted.examples,
        "scanned": counted.scanned,
        "complete": counted.complete,
        "took_us": microseconds(began),
    }))
}

async fn carry_out(admin: &Admin, target: Target, wish: &Wish) -> Result<Value, Problem> {
    let began = Instant::now();
    let invalidating = admin.cache.invalidate(invalidation(target, wish.soft));
    let done = match wish.everywhere {
        true => invalidating.everywhere().await,
        false => invalidating.await,
    };
    let receipt = done.map_err(|error| {
        tracing::warn!(%error, "an invalidation was not confirmed");
        let detail = format!("not confirmed, entries may still be served; send it again: {error}");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    tracing::info!(%receipt, ?wish, "invalidated by an operator");
    Ok(json!({ "receipt": receipt.to_string(), "took_us": microseconds(began) }))
}

fn invalidation(target: Target, soft: bool) -> Invalidation {
    let mut it = Invalidation::new().keys(target.keys).tags(target.tags);
    for pattern in target.patterns {
        it = it.pattern(pattern);
    }
    if target.all {
        it = it.all();
    }
    if soft { it.soft() } else { it }
}

fn microseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}
