//! The embedded store's log: what was invalidated of late, for who looks on ([`Cache::watch`](crate::Cache::watch)).
//!
//! Must not: be asked by what serves. There is one process, which knows what it does.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::broadcast;

use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::store::LoggedEvent;
use crate::watch::Logged;

/// How many are kept, and how far who looks on may be behind.
const LATE: usize = 256;

/// One invalidation.
#[derive(Clone)]
pub(crate) struct Told {
    pub(super) epoch: Epoch,
    pub(super) prev: Epoch,
    pub(super) what: Arc<Invalidation>,
    pub(super) event: Option<LoggedEvent>,
}

pub(super) struct Log {
    late: VecDeque<Told>,
    tell: broadcast::Sender<Told>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            late: VecDeque::new(),
            tell: broadcast::Sender::new(LATE),
        }
    }
}

impl Log {
    /// Whether anybody looks on.
    pub(super) fn is_watched(&self) -> bool {
        self.tell.receiver_count() > 0
    }

    pub(super) fn add(&mut self, told: Told) {
        if self.late.len() == LATE {
            self.late.pop_front();
        }
        self.late.push_back(told.clone());
        // Nobody may look on.
        let _ = self.tell.send(told);
    }

    /// What was told at this tick or later, the oldest first, and what is told from now on.
    pub(super) fn watch(&self, since: u64) -> (Vec<Told>, broadcast::Receiver<Told>) {
        let late = self.late.iter().filter(|told| told.epoch.tick >= since);
        (late.cloned().collect(), self.tell.subscribe())
    }
}

impl Told {
    /// As an entry of a shared store's log would say it.
    pub(crate) fn logged(&self) -> Logged {
        let what = &*self.what;
        let keys = what.keys.iter().map(|key| key.as_str().to_owned());
        let tags = what.tags.iter().map(|tag| tag.as_str().to_owned());
        let (keys, tags): (Vec<_>, Vec<_>) = (keys.collect(), tags.collect());
        let (keys, soft_keys) = either(what.soft, keys);
        let (tags, soft_tags) = either(what.soft, tags);
        let event = self.event.as_ref();
        Logged {
            epoch: self.epoch,
            prev: Some(self.prev),
            origin: Some(std::process::id().to_string()),
            keys,
            tags,
            patterns: what.patterns.iter().map(ToString::to_string).collect(),
            soft_keys,
            soft_tags,
            event: event.map(|event| event.name.clone()),
            payload: event.map(|event| event.payload.clone()),
            note: None,
            announces: false,
        }
    }
}

/// Hard, soft.
fn either(soft: bool, names: Vec<String>) -> (Vec<String>, Vec<String>) {
    match soft {
        true => (Vec::new(), names),
        false => (names, Vec::new()),
    }
}
