//! Is what is stored in order? Records that can't be read, tags that are missing, what never expires,
//! and names that nobody should have written.

use std::collections::{HashSet, VecDeque};

use super::Fault;
use crate::engine::audit::Probe;
use crate::error::Error;
use crate::key::head_of_shortened;
use crate::pattern::Pattern;
use crate::redis::{Examined, Named, RedisStore, Stood};

/// A walk over all names of a namespace, round after round: entries first, then the control keys.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Names of entries that have been found and not been looked at.
    found: VecDeque<String>,
    /// Those of this round: a scan may give a name twice.
    seen: HashSet<u64>,
    cursor: u64,
    control: bool,
    /// Whether the next turn is a kept key's.
    again: bool,
}

/// How many names of a round are remembered.
const SEEN: usize = 1_000_000;

/// What a page brought.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) faults: Vec<Fault>,
    pub(super) round_ended: bool,
}

impl Names {
    /// Every other turn.
    pub(super) fn next_is_again(&mut self) -> bool {
        self.again = !self.again;
        !self.again
    }

    /// An entry to be looked at.
    pub(super) fn pop(&mut self) -> Option<String> {
        self.found.pop_front()
    }

    /// The next page of names.
    pub(super) async fn turn(
        &mut self,
        store: &RedisStore,
        page: usize,
        keys: &Pattern,
    ) -> Result<Page, Error> {
        let (names, next) = store.scan_names(self.control, self.cursor, page).await?;
        let mut it = Page::default();
        let mut tags = Vec::new();
        for name in names {
            match store.named(&name) {
                Named::Bookkeeping => {}
                Named::Tag(_) => tags.push(name),
                Named::Unknown => it.faults.push(unknown(name)),
                Named::Entry => self.find(store, &name, keys),
            }
        }
        if !tags.is_empty() {
            it.faults.extend(of_tags(store, &tags).await?);
        }
        self.cursor = next.unwrap_or(0);
        if next.is_none() {
            it.round_ended = self.control;
            self.control = !self.control;
            if it.round_ended {
                self.seen.clear();
            }
        }
        Ok(it)
    }

    fn find(&mut self, store: &RedisStore, name: &str, keys: &Pattern) {
        let Some(key) = store.entry_name(name) else {
            return;
        };
        let wanted = head_of_shortened(key).is_some() || keys.matches(key);
        let digest = blake3::hash(key.as_bytes());
        let digest = u64::from_le_bytes(digest.as_bytes()[..8].try_into().unwrap_or_default());
        if wanted && (self.seen.len() == SEEN || self.seen.insert(digest)) {
            self.found.push_back(key.to_owned());
        }
    }
}

/// What is wrong with an entry.
pub(super) fn of_entry(key: &str, probe: &Probe) -> Vec<Fault> {
    let mut faults = of_record(key, &probe.examined);
    if let Stood::Value(meta) = &probe.examined.stood
        && meta.epoch.inc == probe.examined.clock.inc
    {
        let lost = |tag: &&crate::key::Tag| {
            let record = probe.examined.tags.get(*tag).copied().flatten();
            record.is_none_or(|record| record.inc != meta.epoch.inc)
        };
        faults.extend(meta.tags.iter().filter(lost).map(|tag| Fault {
            name: key.to_owned(),
            of: "entry",
            fault: "tag_missing".to_owned(),
            detail: format!(
                "its tag {tag} has no record: evicted or deleted, so the entry is dead"
            ),
        }));
    }
    faults
}

/// Whether it is a value of another incarnation than the clock's.
pub(super) fn is_of_another(examined: &Examined) -> bool {
    matches!(&examined.stood, Stood::Value(meta) if meta.epoch.inc != examined.clock.inc)
}

/// What is wrong with a record, whatever its key is.
pub(super) fn of_record(name: &str, examined: &Examined) -> Vec<Fault> {
    let mut faults = Vec::new();
    if let Stood::Bad(reason) = &examined.stood {
        faults.push(Fault {
            name: name.to_owned(),
            of: "entry",
            fault: reason.to_string(),
            detail: "what stands there is no entry of this key: every read misses".to_owned(),
        });
    }
    if examined.never_expires {
        faults.push(Fault {
            name: name.to_owned(),
            of: "entry",
            fault: "no_expiry".to_owned(),
            detail: "it never expires: it stays in the server's memory for ever".to_owned(),
        });
    }
    faults
}

fn unknown(name: String) -> Fault {
    Fault {
        name,
        of: "name",
        fault: "unknown".to_owned(),
        detail: "nothing that this version writes has such a name".to_owned(),
    }
}

async fn of_tags(store: &RedisStore, names: &[String]) -> Result<Vec<Fault>, Error> {
    let states = store.examine_tags(names).await?;
    let mut faults = Vec::new();
    for (name, (readable, expires)) in names.iter().zip(states) {
        let fault = |fault: &str, detail: &str| Fault {
            name: match store.named(name) {
                Named::Tag(tag) => tag,
                _ => name.clone(),
            },
            of: "tag",
            fault: fault.to_owned(),
            detail: detail.to_owned(),
        };
        if !readable {
            let detail = "its record can't be read: every entry with this tag is dead";
            faults.push(fault("malformed", detail));
        }
        if !expires {
            let detail = "its record never expires: it stays in the server's memory for ever";
            faults.push(fault("no_expiry", detail));
        }
    }
    Ok(faults)
}
