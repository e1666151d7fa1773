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
/// How many bytes are kept for who may look on later: what is heavier is not.
const LATE_BYTES: usize = 1 << 20;
/// How many bytes who looks on may be behind.
const BEHIND_BYTES: usize = 8 << 20;
/// What a name takes beside its text, or more.
const NAME: usize = 64;

/// One invalidation.
#[derive(Clone)]
pub(crate) struct Told {
    pub(super) epoch: Epoch,
    pub(super) prev: Epoch,
    pub(super) what: Arc<Invalidation>,
    pub(super) event: Option<Arc<LoggedEvent>>,
}

/// What who looks on is told: an invalidation, or that one was left out because the backlog was heavy.
pub(crate) type Seen = Option<Told>;

pub(super) struct Log {
    late: VecDeque<Told>,
    late_bytes: usize,
    tell: broadcast::Sender<Seen>,
    /// What was told last, in bytes: of as many as the slowest has before it.
    told_bytes: VecDeque<usize>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            late: VecDeque::new(),
            late_bytes: 0,
            tell: broadcast::Sender::new(LATE),
            told_bytes: VecDeque::new(),
        }
    }
}

impl Log {
    /// Whether anybody looks on.
    pub(super) fn is_watched(&self) -> bool {
        self.tell.receiver_count() > 0
    }

    pub(super) fn add(&mut self, told: Told) {
        let bytes = told.bytes();
        self.late_bytes += bytes;
        self.late.push_back(told.clone());
        while self.late.len() > LATE || self.late_bytes > LATE_BYTES {
            let gone = self.late.pop_front();
            self.late_bytes -= gone.map_or(self.late_bytes, |gone| gone.bytes());
        }
        if self.is_watched() {
            self.tell(told, bytes);
        }
    }

    fn tell(&mut self, told: Told, bytes: usize) {
        let before_the_slowest = self.tell.len();
        while self.told_bytes.len() > before_the_slowest {
            self.told_bytes.pop_front();
        }
        let behind: usize = self.told_bytes.iter().sum();
        let fits = behind == 0 || behind + bytes <= BEHIND_BYTES;
        self.told_bytes.push_back(if fits { bytes } else { 0 });
        // Nobody may look on any more.
        let _ = self.tell.send(fits.then_some(told));
    }

    /// What was told at this tick or later, the oldest first, and what is told from now on.
    pub(super) fn watch(&self, since: u64) -> (Vec<Told>, broadcast::Receiver<Seen>) {
        let late = self.late.iter().filter(|told| told.epoch.tick >= since);
        (late.cloned().collect(), self.tell.subscribe())
    }
}

impl Told {
    fn bytes(&self) -> usize {
        let what = &*self.what;
        let keys = what.keys.iter().map(|key| key.as_str().len());
        let tags = what.tags.iter().map(|tag| tag.as_str().len());
        let patterns = what.patterns.iter().map(|it| it.as_str().len());
        let names = keys.chain(tags).chain(patterns).map(|text| text + NAME);
        let event = self.event.as_ref();
        let event = event.map_or(0, |event| event.name.len() + event.payload.len());
        NAME + names.sum::<usize>() + event
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn event(tick: u64, payload: usize) -> Told {
        let event = LoggedEvent {
            name: "changed".to_owned(),
            payload: "x".repeat(payload),
        };
        Told {
            epoch: Epoch::new(1, tick),
            prev: Epoch::new(1, tick - 1),
            what: Arc::new(Invalidation::new().key("users:1")),
            event: Some(Arc::new(event)),
        }
    }

    #[test]
    fn what_is_kept_for_who_may_look_on_is_bounded_in_number_and_in_bytes() {
        let mut log = Log::default();
        let mut kept = |size| {
            for tick in 1..=LATE as u64 + 9 {
                log.add(event(tick, size));
            }
            let bytes: usize = log.late.iter().map(Told::bytes).sum();
            assert_eq!(log.late_bytes, bytes);
            log.watch(0).0.len()
        };
        assert_eq!(kept(1), LATE);
        assert_eq!(kept(LATE_BYTES / 3), 2);
        assert_eq!(kept(LATE_BYTES), 0, "not one");
        assert_eq!(kept(1), LATE);
    }

    #[test]
    fn who_looks_on_and_falls_behind_is_told_that_it_missed_some() {
        let mut log = Log::default();
        let (_, mut seen) = log.watch(u64::MAX);
        for tick in 1..=4 {
            log.add(event(tick, BEHIND_BYTES / 2));
        }
        let mut next = || seen.try_recv().unwrap().map(|told| told.epoch.tick);
        assert_eq!(
            [next(), next(), next(), next()],
            [Some(1), None, None, None]
        );
        // There is room again, for one at least.
        log.add(event(5, BEHIND_BYTES * 2));
        log.add(event(6, 1));
        let mut next = || seen.try_recv().unwrap().map(|told| told.epoch.tick);
        assert_eq!([next(), next()], [Some(5), None]);
    }
}
