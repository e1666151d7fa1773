//! What there is to read and to invalidate: a small world, so that everything meets everything.
//!
//! Forty-eight keys in groups of eight. Each group lives under a policy of its own; each item has a tag
//! that runs through all groups.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shelflife::{Event, Invalidation, Policy};

/// How many groups there are: the first level of the keys.
pub const GROUPS: u8 = 6;
/// How many keys a group has.
pub const ITEMS: u8 = 8;
/// How many keys there are.
pub const KEYS: u8 = GROUPS * ITEMS;
/// Globs: one for each item, one for half of each group.
const GLOBS: u8 = ITEMS + GROUPS;

/// A key's text.
pub fn key(key: u8) -> String {
    format!("g{}:item:{}", key / ITEMS, key % ITEMS)
}

/// The tag that a key's entry carries.
pub fn tag(key: u8) -> String {
    item_tag(key % ITEMS)
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
        .hard_timeout(Duration::from_secs(4));
    let (long, short) = (Duration::from_secs(60), Duration::from_millis(400));
    match key / ITEMS {
        0 | 1 => base.ttl(long),
        2 => base.ttl(short).stale(long),
        3 => base.ttl(long).stale(long),
        4 => base.ttl(short).jitter(0.5).early(10.0),
        _ => base
            .ttl(long)
            .stale(long)
            .soft_timeout(Duration::from_millis(5)),
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
        let keys = 0..KEYS;
        match self {
            Self::Key(key) | Self::Write(key) => vec![key],
            Self::Tag(item) | Self::Event(item) => keys.filter(|k| k % ITEMS == item).collect(),
            Self::Group(group) => keys.filter(|k| k / ITEMS == group).collect(),
            Self::Glob(item) if item < ITEMS => keys.filter(|k| k % ITEMS == item).collect(),
            Self::Glob(n) => keys
                .filter(|k| k / ITEMS == n - ITEMS && k % ITEMS < ITEMS / 2)
                .collect(),
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
            Self::Glob(item) if item < ITEMS => format!("g?:item:{item}"),
            Self::Glob(n) => format!("g{}:item:[0-{}]", n - ITEMS, ITEMS / 2 - 1),
            _ => "*".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Target> {
        let mut all = vec![Target::All];
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
            let matched: Vec<u8> = (0..KEYS).filter(|k| pattern.matches(&key(*k))).collect();
            assert_eq!(target.names(), matched, "{glob}");
        }
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
