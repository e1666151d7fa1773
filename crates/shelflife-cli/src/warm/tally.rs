//! What came of the requests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::work::Outcome;
use crate::cache_status::Served;

/// How many failures are told one by one.
const TOLD: usize = 1_000;

#[derive(Debug)]
pub(super) struct Tally {
    began: Instant,
    pub(super) asked: u64,
    pub(super) failed: u64,
    /// Named twice, or noted as done.
    pub(super) skipped: u64,
    pub(super) retried: u64,
    pub(super) stored: u64,
    pub(super) bytes: u64,
    pub(super) served: BTreeMap<Served, u64>,
    pub(super) failures: Vec<Failed>,
}

#[derive(Debug, Serialize)]
pub(super) struct Failed {
    pub(super) url: String,
    pub(super) error: String,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            asked: 0,
            failed: 0,
            skipped: 0,
            retried: 0,
            stored: 0,
            bytes: 0,
            served: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        self.asked += 1;
        self.retried += u64::from(outcome.retries);
        match outcome.answered {
            Ok(answered) => {
                *self.served.entry(answered.served).or_default() += 1;
                self.stored += u64::from(answered.stored);
                self.bytes += answered.bytes;
            }
            Err(error) => self.fail(outcome.name, error),
        }
    }

    /// A line for which nothing could be asked.
    pub(super) fn refuse(&mut self, line: &str, error: String) {
        self.asked += 1;
        self.fail(line.to_owned(), error);
    }

    fn fail(&mut self, url: String, error: String) {
        self.failed += 1;
        if self.failures.len() < TOLD {
            self.failures.push(Failed { url, error });
        }
    }

    pub(super) fn of(&self, served: Served) -> u64 {
        self.served.get(&served).copied().unwrap_or(0)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Requests a second.
    pub(super) fn rate(&self) -> f64 {
        self.asked as f64 / self.elapsed().as_secs_f64().max(1e-9)
    }
}
