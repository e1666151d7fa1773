//! The keys that are looked at again: in turn, and those that the log has named when it is time.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use crate::engine::audit::Probe;
use crate::key::Tag;
use crate::redis::Stood;
use crate::watch::Logged;

/// The keys that are kept, the longest not looked at first.
#[derive(Debug)]
pub(super) struct Kept {
    room: usize,
    turn: VecDeque<Arc<str>>,
    tags: HashMap<Arc<str>, Arc<[Tag]>>,
    /// Which keys carry a tag.
    carriers: HashMap<Tag, HashSet<Arc<str>>>,
    /// Keys to be looked at from some moment on, out of turn; each once.
    due: BTreeMap<Instant, Vec<Arc<str>>>,
    is_due: HashSet<Arc<str>>,
}

impl Kept {
    pub(super) fn of(room: usize) -> Self {
        Self {
            room,
            turn: VecDeque::new(),
            tags: HashMap::new(),
            carriers: HashMap::new(),
            due: BTreeMap::new(),
            is_due: HashSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tags.len()
    }

    /// The next key in turn.
    pub(super) fn next(&mut self) -> Option<Arc<str>> {
        let key = self.turn.pop_front()?;
        self.turn.push_back(key.clone());
        Some(key)
    }

    /// Keeps a key of which something is stored, with the tags that it has now; the one that has not been
    /// looked at for longest makes room.
    pub(super) fn keep(&mut self, key: &Arc<str>, probe: &Probe) {
        let Stood::Value(meta) = &probe.examined.stood else {
            // L1 may hold it still: it stays until both have nothing.
            if probe.l1.is_none() && self.tags.contains_key(key) {
                self.drop(key);
            }
            return;
        };
        match self.tags.get(key) {
            Some(tags) if **tags == *meta.tags => return,
            Some(_) => self.drop_carrier(key),
            None => {
                if self.turn.len() == self.room
                    && let Some(old) = self.turn.front().cloned()
                {
                    self.drop(&old);
                }
                self.turn.push_back(key.clone());
            }
        }
        for tag in meta.tags.iter() {
            let carriers = self.carriers.entry(tag.clone()).or_default();
            carriers.insert(key.clone());
        }
        self.tags.insert(key.clone(), meta.tags.clone());
    }

    fn drop(&mut self, key: &Arc<str>) {
        self.drop_carrier(key);
        self.tags.remove(key);
        self.turn.retain(|other| other != key);
    }

    fn drop_carrier(&mut self, key: &Arc<str>) {
        for tag in self.tags.get(key).into_iter().flat_map(|tags| tags.iter()) {
            if let Some(carriers) = self.carriers.get_mut(tag) {
                carriers.remove(key);
                if carriers.is_empty() {
                    self.carriers.remove(tag);
                }
            }
        }
    }

    /// An entry of the log: what it names is to be looked at from then on.
    pub(super) fn named_by(&mut self, entry: &Logged, at: Instant) {
        let mut named: Vec<Arc<str>> = Vec::new();
        for tag in entry.tags.iter().chain(&entry.soft_tags) {
            let carriers = self.carriers.get(&Tag::from_canonical(tag));
            named.extend(carriers.into_iter().flatten().cloned());
        }
        for key in entry.keys.iter().chain(&entry.soft_keys) {
            let kept = self.tags.get_key_value(key.as_str());
            named.extend(kept.map(|(key, _)| key.clone()));
        }
        if !entry.patterns.is_empty() {
            let scanned = self.turn.iter().filter(|key| entry.scanned(key));
            named.extend(scanned.cloned());
        }
        for key in named {
            self.look_again(&key, at);
        }
    }

    /// A key is to be looked at from some moment on; if it is already, then that stays.
    pub(super) fn look_again(&mut self, key: &Arc<str>, at: Instant) {
        if self.is_due.insert(key.clone()) {
            self.due.entry(at).or_default().push(key.clone());
        }
    }

    /// Whether any key is to be looked at out of turn, now or later.
    pub(super) fn any_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// A key whose moment has come.
    pub(super) fn due(&mut self, now: Instant) -> Option<Arc<str>> {
        let mut first = self.due.first_entry().filter(|first| *first.key() <= now)?;
        let key = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        let key = key?;
        self.is_due.remove(&key);
        Some(key)
    }
}
