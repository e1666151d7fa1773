//! What there is to read and to invalidate: a small world, so that everything meets everything.
//!
//! Forty-eight keys in groups of eight. Each group lives under a policy of its own; each item has a tag
//! that runs through all groups. Beside them stand the witnesses: keys that everybody reads, each with a
//! group and a tag of its own, which nothing names by chance but what names everything.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shelflife::{Event, Invalidation, Policy};

/// How many groups there are: the first level of the keys.
pub const GROUPS: u8 = 6;
/// How many keys a group has.
pub const ITEMS: u8 = 8;
/// How many keys there are that writers change as they like.
pub const KEYS: u8 = GROUPS * ITEMS;
/// How many witnesses there are: the keys after those. So many, that hardly one is used again within a minute: that is how long an invalidation
/// may be repeated, and the last one would do for the next.
pub const WITNESSES: u8 = 48;
/// How many keys there are in all.
pub const ALL_KEYS: u8 = KEYS + WITNESSES;
/// Globs: one for each item, one for half of each group; those after them are of witnesses.
const GLOBS: u8 = ITEMS + GROUPS;

/// A key's text.
pub fn key(key: u8) -> String {
    match key {
        ..KEYS => format!("g{}:item:{}", key / ITEMS, key % ITEMS),
        _ => format!("g{}:witness", group_of(key)),
    }
}

/// A key to be read, by chance: a witness now and then.
pub fn any_key() -> u8 {
    match fastrand::u8(..8) {
        0 => fastrand::u8(KEYS..ALL_KEYS),
        _ => fastrand::u8(..KEYS),
    }
}

/// The tag that a key's entry carries.
pub fn tag(key: u8) -> String {
    item_tag(item_of(key))
}

/// Each witness is an item of its own.
fn item_of(key: u8) -> u8 {
    match key {
        ..KEYS => key % ITEMS,
        _ => ITEMS + (key - KEYS),
    }
}

/// And a group of its own.
fn group_of(key: u8) -> u8 {
    match key {
        ..KEYS => key / ITEMS,
        _ => GROUPS + (key - KEYS),
    }
}

fn item_tag(item: u8) -> String {
    format!("item:{item}")
}

/// The policy of a key: each group is served in another way. None serves stale values when the source
/// fails, for that is an exception to the promise.
pub fn policy(key: u8) -> Policy {
    let base = Policy::new()
        .stale_on_error(false)
        .lease(Duration::from_millis(300))
        // Longer than the slowest load of a process that is stopped for 3 s in the middle of it: no read may fail by that.
        .hard_timeout(Duration::from_secs(15));
    let (long, short) = (Duration::from_secs(60), Duration::from_millis(400));
    match key / ITEMS {
        0 | 1 => base.ttl(long),
        2 => base.ttl(short).stale(long),
        3 => base.ttl(long).stale(long),
        4 => base.ttl(short).jitter(0.5).early(10.0),
        5 => base
            .ttl(long)
            .stale(long)
            .soft_timeout(Duration::from_millis(5)),
        // Nothing of itself has a witness loaded again.
        _ if key.is_multiple_of(2) => base.ttl(long).early(0.0),
        _ => base.ttl(long).stale(long).early(0.0),
    }
}

/// An event that stands for a change of one item in every group.
#[derive(Debug, Serialize, Deserialize)]
pub struct Changed {
    item: u8,
}

impl Event for Changed {
    const NAME: &'static str = "changed";
}

impl Changed {
    /// What every process invalidates when it happens.
    pub fn invalidates(&self) -> Invalidation {
        Invalidation::new().tag(item_tag(self.item))
    }
}

/// What a writer changes, and how it tells the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// One key, invalidated.
    Key(u8),
    /// Every key of a tag.
    Tag(u8),
    /// Every key of a group, by its pattern of one level: O(1).
    Group(u8),
    /// Every key that matches a glob: a scan.
    Glob(u8),
    /// An event, whose handler invalidates a tag.
    Event(u8),
    /// Everything.
    All,
    /// One key, written through: announced, changed, finished with its new value.
    Write(u8),
}

impl Target {
    /// The names of the kinds, in the order of [`Target::kind`].
    pub const KINDS: [&'static str; 7] = ["key", "tag", "group", "glob", "event", "all", "write"];

    /// One of them, by chance: a key most often, everything rarely.
    pub fn any(chance: &mut fastrand::Rng) -> Self {
        match chance.u8(0..100) {
            0..33 => Self::Key(chance.u8(0..KEYS)),
            33..53 => Self::Tag(chance.u8(0..ITEMS)),
            53..63 => Self::Group(chance.u8(0..GROUPS)),
            63..71 => Self::Glob(chance.u8(0..GLOBS)),
            71..84 => Self::Event(chance.u8(0..ITEMS)),
            84..86 => Self::All,
            _ => Self::Write(chance.u8(0..KEYS)),
        }
    }

    /// One of each kind, in any order.
    pub fn one_of_each(chance: &mut fastrand::Rng) -> Vec<Self> {
        let mut all = vec![
            Self::Key(chance.u8(0..KEYS)),
            Self::Tag(chance.u8(0..ITEMS)),
            Self::Group(chance.u8(0..GROUPS)),
            Self::Glob(chance.u8(0..GLOBS)),
            Self::Event(chance.u8(0..ITEMS)),
            Self::All,
            Self::Write(chance.u8(0..KEYS)),
        ];
        chance.shuffle(&mut all);
        all
    }

    /// The ways to invalidate one witness and nothing else. Those of the first three change its entry, wherever that is; of the others, only the
    /// server of the clock and the tags knows.
    pub fn of_witness(key: u8) -> [Self; 6] {
        [
            Self::Key(key),
            Self::Write(key),
            Self::Glob(GLOBS + (key - KEYS)),
            Self::Tag(item_of(key)),
            Self::Event(item_of(key)),
            Self::Group(group_of(key)),
        ]
    }

    /// Which kind it is: an index into [`Target::KINDS`].
    pub fn kind(self) -> usize {
        match self {
            Self::Key(_) => 0,
            Self::Tag(_) => 1,
            Self::Group(_) => 2,
            Self::Glob(_) => 3,
            Self::Event(_) => 4,
            Self::All => 5,
            Self::Write(_) => 6,
        }
    }

    /// The keys it names.
    pub fn names(self) -> Vec<u8> {
        let keys = 0..ALL_KEYS;
        match self {
            Self::Key(key) | Self::Write(key) => vec![key],
            Self::Tag(item) | Self::Event(item) => keys.filter(|k| item_of(*k) == item).collect(),
            Self::Group(group) => keys.filter(|k| group_of(*k) == group).collect(),
            Self::Glob(item @ ..ITEMS) => keys.filter(|k| item_of(*k) == item).collect(),
            Self::Glob(n @ ..GLOBS) => keys
                .filter(|k| group_of(*k) == n - ITEMS && k % ITEMS < ITEMS / 2)
                .collect(),
            Self::Glob(n) => vec![KEYS + (n - GLOBS)],
            Self::All => keys.collect(),
        }
    }

    /// The invalidation that says so; an event and a write say it in their own way.
    pub fn invalidation(self) -> Invalidation {
        let nothing = Invalidation::new();
        match self {
            Self::Key(k) | Self::Write(k) => nothing.key(key(k)),
            Self::Tag(item) | Self::Event(item) => nothing.tag(item_tag(item)),
            Self::Group(group) => nothing.pattern(format!("g{group}:*")),
            Self::Glob(_) | Self::All => nothing.pattern(self.glob()),
        }
    }

    /// The event that says so, for those that are said by one.
    pub fn event(self) -> Option<Changed> {
        match self {
            Self::Event(item) => Some(Changed { item }),
            _ => None,
        }
    }

    /// Whether it can be soft: a scan removes what it finds, and a write is not a mark.
    pub fn may_be_soft(self) -> bool {
        matches!(
            self,
            Self::Key(_) | Self::Tag(_) | Self::Group(_) | Self::All
        )
    }

    fn glob(self) -> String {
        match self {
            Self::Glob(item @ ..ITEMS) => format!("g?:item:{item}"),
            Self::Glob(n @ ..GLOBS) => format!("g{}:item:[0-{}]", n - ITEMS, ITEMS / 2 - 1),
            Self::Glob(n) => format!("g{}:wit*s", GROUPS + (n - GLOBS)),
            _ => "*".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn all() -> Vec<Target> {
        let mut all = vec![Target::All];
        all.extend((KEYS..ALL_KEYS).flat_map(Target::of_witness));
        all.extend((0..KEYS).flat_map(|k| [Target::Key(k), Target::Write(k)]));
        all.extend((0..ITEMS).flat_map(|i| [Target::Tag(i), Target::Event(i)]));
        all.extend((0..GROUPS).map(Target::Group));
        all.extend((0..GLOBS).map(Target::Glob));
        all
    }

    #[test]
    fn what_a_glob_names_is_what_it_matches() {
        for target in all() {
            let glob = match target {
                Target::Group(group) => format!("g{group}:*"),
                Target::Glob(_) | Target::All => target.glob(),
                _ => continue,
            };
            let pattern = shelflife::Pattern::new(&glob);
            let matched: Vec<u8> = (0..ALL_KEYS)
                .filter(|k| pattern.matches(&key(*k)))
                .collect();
            assert_eq!(target.names(), matched, "{glob}");
        }
    }

    #[test]
    fn a_witness_is_named_by_its_own_and_by_what_names_everything() {
        for witness in KEYS..ALL_KEYS {
            for target in Target::of_witness(witness) {
                assert_eq!(target.names(), [witness], "{target:?}");
            }
        }
        let mut chance = fastrand::Rng::with_seed(7);
        for _ in 0..5_000 {
            let target = Target::any(&mut chance);
            let named = target.names().iter().any(|key| *key >= KEYS);
            assert_eq!(named, target == Target::All, "{target:?}");
        }
    }

    #[test]
    fn no_two_keys_share_a_text_and_no_two_witnesses_a_tag() {
        let texts: HashSet<String> = (0..ALL_KEYS).map(key).collect();
        assert_eq!(texts.len(), usize::from(ALL_KEYS));
        let tags: HashSet<String> = (0..ALL_KEYS).map(tag).collect();
        assert_eq!(tags.len(), usize::from(ITEMS + WITNESSES));
    }

    #[test]
    fn every_kind_comes_up_and_names_something() {
        let mut chance = fastrand::Rng::with_seed(7);
        let mut seen = [0; Target::KINDS.len()];
        for _ in 0..5_000 {
            let target = Target::any(&mut chance);
            assert!(!target.names().is_empty(), "{target:?}");
            seen[target.kind()] += 1;
        }
        assert!(seen.iter().all(|n| *n > 0), "{seen:?}");
    }
}
