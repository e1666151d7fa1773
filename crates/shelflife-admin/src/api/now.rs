//! `GET api/now`: how the cache is, at this moment.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};
use shelflife::{Cache, Histogram, Members, ServerInfo, Stats};

use crate::Admin;

pub(crate) async fn now(State(admin): State<Admin>) -> Json<Value> {
    let cache = &admin.cache;
    let (server, members) = tokio::join!(admin.server.ask(cache), cache.members());
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now_ms": milliseconds(SystemTime::now()),
        "uptime_ms": u64::try_from(admin.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        "namespace": cache.namespace(),
        "token": admin.gate.token().is_some(),
        "process": { "pid": std::process::id() },
        "stats": figures(&cache.stats()),
        "store": store(&server),
        "members": members.ok().map(|members| said(&members)),
    }))
}

pub(crate) fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What the server says of itself, or why it does not.
type Said = Result<ServerInfo, String>;

/// The server is not asked more often than it has anything new to say, however many look.
#[derive(Debug, Default)]
pub(crate) struct Server(Mutex<Option<(Instant, Said)>>);

impl Server {
    const NEWS: Duration = Duration::from_secs(1);

    async fn ask(&self, cache: &Cache) -> Said {
        if let Some((at, said)) = &*self.lock()
            && at.elapsed() < Self::NEWS
        {
            return said.clone();
        }
        let said = cache.server_info().await.map_err(|error| error.to_string());
        *self.lock() = Some((Instant::now(), said.clone()));
        said
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Said)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn store(server: &Said) -> Value {
    let embedded = matches!(server, Ok(info) if info.product == "embedded");
    json!({
        "kind": if embedded { "embedded" } else { "redis" },
        "answers": server.is_ok(),
        "detail": server.as_ref().err(),
        "server": server.as_ref().ok(),
    })
}

fn said(members: &Members) -> Value {
    json!({
        "clock": members.clock.map(|clock| clock.to_string()),
        "now": members.now,
        "all": members.all,
    })
}

/// The figures as they are, and the histograms' buckets: who asks twice has the times between.
fn figures(stats: &Stats) -> Value {
    let mut figures = json!(stats);
    let timings = &stats.timings;
    let bounds = timings
        .loads
        .buckets()
        .filter_map(|(bound, _)| Some(bound?.as_secs_f64()));
    let bounds: Vec<f64> = bounds.collect();
    let place = &mut figures["timings"];
    for (name, histogram) in [
        ("loads", &timings.loads),
        ("fills", &timings.fills),
        ("invalidations", &timings.invalidations),
        ("lease_waits", &timings.lease_waits),
        ("log_delay", &timings.log_delay),
    ] {
        put(&mut place[name], "counts", counts(histogram));
    }
    for (step, asked) in &timings.store {
        put(
            &mut place["store"][step.as_str()]["time"],
            "counts",
            counts(&asked.time),
        );
    }
    put(place, "bounds", json!(bounds));
    figures
}

fn put(place: &mut Value, name: &str, value: Value) {
    if let Value::Object(place) = place {
        Map::insert(place, name.to_owned(), value);
    }
}

/// How many there are in each bucket.
fn counts(histogram: &Histogram) -> Value {
    let mut below = 0;
    let each = histogram.buckets().map(|(_, up_to)| {
        let here = up_to - below;
        below = up_to;
        here
    });
    each.collect()
}
