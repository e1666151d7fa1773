//! `GET api/log`: the log of invalidations as it runs, as server-sent events.
//!
//! A stream ends by itself after a while, so that none holds up the end of a server; a browser asks again, and says
//! where it was. A task of its own reads the log and passes it on, so that this ends in time even where nobody takes
//! what is passed: a stream that is not polled looks at no clock.

use std::convert::Infallible;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::future::select;
use futures_util::stream::{self, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use shelflife::{Epoch, Logged, Watch, Watched};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

use super::given::Asked;
use super::now::milliseconds;
use crate::Admin;
use crate::problem::Problem;

/// How far back a stream may begin, in seconds.
const BACK: u64 = 3600;

/// How many entries are kept for who is slow to take them.
const KEPT: usize = 64;

/// After which silence a word is said, so that nobody takes the connection for dead.
const BREATH: Duration = Duration::from_secs(10);

/// After which time a browser asks again.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Since {
    #[serde(default)]
    since: u64,
}

pub(crate) async fn log(
    State(admin): State<Admin>,
    Asked(Since { since }): Asked<Since>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if since > BACK {
        return Err(Problem::bad(format!("since: seconds, {BACK} at most")));
    }
    let permit = admin.watchers.clone().try_acquire_owned();
    let permit =
        permit.map_err(|_| Problem::busy("as many logs as may be are watched: close one"))?;
    let since = left_at(&headers).unwrap_or(Duration::from_secs(since));
    let watch = admin.cache.watch(since).await;
    let watch = watch.map_err(|error| Problem::store("the log is out of reach", &error))?;
    let (to, from) = mpsc::channel(KEPT);
    tokio::spawn(pass_on(watch, to, admin.watched_for, permit));
    let breath = KeepAlive::new().interval(BREATH);
    Ok(Sse::new(events(from)).keep_alive(breath).into_response())
}

/// How long ago a browser has seen its last entry, if it says so. It may see some again.
fn left_at(headers: &HeaderMap) -> Option<Duration> {
    let last: Epoch = headers.get("last-event-id")?.to_str().ok()?.parse().ok()?;
    let last = SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(last.tick))?;
    let ago = SystemTime::now().duration_since(last).unwrap_or_default();
    // A little more: the server's clock may be another.
    Some((ago + Duration::from_secs(5)).min(Duration::from_secs(BACK)))
}

/// Until the log ends, the one who looks on has left, or the time is over: then the connection and the permit are free.
async fn pass_on(
    mut watch: Watch,
    to: mpsc::Sender<Watched>,
    at_most: Duration,
    _permit: OwnedSemaphorePermit,
) {
    let passing = pin!(async {
        while let Some(seen) = watch.next().await {
            if to.send(seen).await.is_err() {
                return;
            }
        }
    });
    let left = pin!(to.closed());
    let _ = timeout(at_most, select(passing, left)).await;
}

fn events(from: mpsc::Receiver<Watched>) -> impl Stream<Item = Result<Event, Infallible>> {
    // The head goes out with it, however quiet the log is.
    let greeting = Event::default().comment("watching").retry(AGAIN);
    let seen = stream::unfold(from, async |mut from| {
        Some((event(from.recv().await?), from))
    });
    stream::once(async { greeting }).chain(seen).map(Ok)
}

fn event(seen: Watched) -> Event {
    match seen {
        Watched::Entry(entry) => {
            let id = entry.epoch.to_string();
            told(Event::default().event("entry").id(id), &Told::of(&entry))
        }
        Watched::Gap => Event::default().event("gap").data("{}"),
        Watched::Back => Event::default().event("back").data("{}"),
        Watched::Lost(error) => {
            let detail = serde_json::json!({ "detail": error.to_string() });
            told(Event::default().event("lost"), &detail)
        }
        // What a newer engine sees.
        _ => Event::default().comment("?"),
    }
}

/// With text as JSON, which holds no line break.
fn told(event: Event, document: &impl Serialize) -> Event {
    event.data(serde_json::to_string(document).unwrap_or_default())
}

#[derive(Serialize)]
struct Told<'a> {
    at_ms: u64,
    #[serde(flatten)]
    entry: &'a Logged,
}

impl<'a> Told<'a> {
    fn of(entry: &'a Logged) -> Self {
        Told {
            at_ms: milliseconds(entry.at()),
            entry,
        }
    }
}
