//! `GET api/now`: how the cache is, at this moment.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use shelflife::{Error, Members};

use crate::Admin;

pub(crate) async fn now(State(admin): State<Admin>) -> Json<Value> {
    let cache = &admin.cache;
    let (answers, members) = tokio::join!(cache.ping(), cache.members());
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now_ms": milliseconds(SystemTime::now()),
        "uptime_ms": u64::try_from(admin.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        "namespace": cache.namespace(),
        "token": admin.gate.token().is_some(),
        "process": { "pid": std::process::id() },
        "stats": cache.stats(),
        "store": store(cache.redis().is_some() || answers.is_err(), &answers),
        "members": members.ok().map(|members| said(&members)),
    }))
}

pub(crate) fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn store(shared: bool, answers: &Result<(), Error>) -> Value {
    json!({
        "kind": if shared { "redis" } else { "embedded" },
        "answers": answers.is_ok(),
        "detail": answers.as_ref().err().map(ToString::to_string),
    })
}

fn said(members: &Members) -> Value {
    json!({
        "clock": members.clock.map(|clock| clock.to_string()),
        "now": members.now,
        "all": members.all,
    })
}
