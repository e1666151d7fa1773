//! One URL: asked for when its time has come, again after a pause if that may help.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::header::{HOST, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

use super::{BACK_OFF, BACK_OFF_MOST};
use crate::args::WarmArgs;
use crate::cache_status::Served;
use crate::failure::Failure;
use crate::web::{self, Counted, Web};

/// A URL that is to be asked for.
#[derive(Debug)]
pub(super) struct Job {
    /// As the list has it.
    pub(super) name: String,
    pub(super) uri: Uri,
    /// Another host than the URL's, for the field `Host`.
    pub(super) host: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) retries: u32,
    pub(super) answered: Result<Answered, String>,
}

#[derive(Debug)]
pub(super) struct Answered {
    pub(super) served: Served,
    pub(super) stored: bool,
    pub(super) bytes: u64,
}

/// How it is asked; clones share their limits.
#[derive(Clone)]
pub(super) struct Work {
    shared: Arc<Shared>,
}

struct Shared {
    web: Web,
    fields: HeaderMap,
    at_once: usize,
    per_host: usize,
    retries: u32,
    /// The right to ask one host. The lock is held for a look-up.
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// The next turn, where there is a rate.
    turns: Option<tokio::sync::Mutex<tokio::time::Interval>>,
}

impl Work {
    pub(super) fn new(args: &WarmArgs, web: Web) -> Result<Self, Failure> {
        let turns = args.rate.map(|rate| {
            let mut turns = tokio::time::interval(Duration::from_secs(1) / rate);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            tokio::sync::Mutex::new(turns)
        });
        let at_once = usize::from(args.concurrency);
        Ok(Self {
            shared: Arc::new(Shared {
                web,
                fields: web::fields(&args.header)?,
                at_once,
                per_host: args.per_host.map_or(at_once, usize::from),
                retries: args.retries,
                hosts: Mutex::default(),
                turns,
            }),
        })
    }

    pub(super) fn at_once(&self) -> usize {
        self.shared.at_once
    }

    pub(super) async fn carry_out(&self, job: Job) -> Outcome {
        let host = self.host(&job);
        let _right = host.acquire().await;
        let mut retries = 0;
        loop {
            let (error, pause) = match self.attempt(&job).await {
                Ok(answered) => {
                    return Outcome {
                        name: job.name,
                        retries,
                        answered: Ok(answered),
                    };
                }
                Err(failed) => failed,
            };
            let Some(pause) = pause.filter(|_| retries < self.shared.retries) else {
                return Outcome {
                    name: job.name,
                    retries,
                    answered: Err(error),
                };
            };
            // Twice as long each time, and never all at once.
            let growing = BACK_OFF.saturating_mul(1 << retries.min(10));
            let jittered = growing.mul_f64(0.5 + fastrand::f64());
            tokio::time::sleep(jittered.max(pause).min(BACK_OFF_MOST)).await;
            retries += 1;
        }
    }

    fn host(&self, job: &Job) -> Arc<Semaphore> {
        let name = job.uri.authority().map_or("", |host| host.as_str());
        let mut hosts = self
            .shared
            .hosts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Semaphore::new(self.shared.per_host));
        hosts.entry(name.to_owned()).or_insert_with(new).clone()
    }

    /// Asks once. A failure comes with how long to wait, if another attempt may help.
    async fn attempt(&self, job: &Job) -> Result<Answered, (String, Option<Duration>)> {
        if let Some(turns) = &self.shared.turns {
            turns.lock().await.tick().await;
        }
        let mut request = web::get(&job.uri, &self.shared.fields);
        if let Some(host) = &job.host {
            let host = HeaderValue::try_from(host).map_err(|e| (e.to_string(), None))?;
            request.headers_mut().insert(HOST, host);
        }
        let answer = self.shared.web.count(request).await;
        let answer = answer.map_err(|error| (error, Some(Duration::ZERO)))?;
        if answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED {
            let (served, stored) = Served::of(&answer.fields);
            return Ok(Answered {
                served,
                stored,
                bytes: answer.bytes,
            });
        }
        let passes = answer.status.is_server_error()
            || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT]
                .contains(&answer.status);
        let pause = passes.then(|| retry_after(&answer));
        Err((answer.status.to_string(), pause))
    }
}

/// RFC 9110 §10.2.3, in seconds: a date would need a clock that agrees.
fn retry_after(answer: &Counted) -> Duration {
    let text = answer.fields.get(RETRY_AFTER).and_then(|v| v.to_str().ok());
    let seconds = text.and_then(|text| text.trim().parse().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs)
}
