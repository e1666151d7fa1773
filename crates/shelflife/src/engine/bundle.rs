//! Several invalidations as few, and what names weigh.
//!
//! Must not: wait, or grow beyond [`NAMES`] and [`BYTES`].

use std::collections::HashSet;

use crate::invalidation::Invalidation;
use crate::key::{Key, Tag};
use crate::pattern::Pattern;

/// How many names are kept one by one, and how much they may weigh together; of more, only that everything
/// is meant.
pub(super) const NAMES: usize = 8192;
pub(super) const BYTES: usize = 8 << 20;
/// What a name weighs beside its text.
const NAME_BYTES: usize = 128;

/// Several invalidations as few, each name once: what is hard, what is soft, and each scan for itself.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    hard: Names,
    soft: Names,
}

#[derive(Debug, Default)]
struct Names {
    keys: HashSet<Key<'static>>,
    tags: HashSet<Tag>,
    patterns: HashSet<Pattern>,
    weight: usize,
}

impl Names {
    fn len(&self) -> usize {
        self.keys.len() + self.tags.len() + self.patterns.len()
    }

    fn add(&mut self, keys: &[Key<'static>], tags: &[Tag], patterns: &[Pattern]) {
        for key in keys.iter().filter(|key| !self.keys.contains(*key)) {
            self.weight += weigh(key.as_str());
        }
        self.keys.extend(keys.iter().cloned());
        for tag in tags.iter().filter(|tag| !self.tags.contains(*tag)) {
            self.weight += weigh(tag.as_str());
        }
        self.tags.extend(tags.iter().cloned());
        for pattern in patterns.iter().filter(|it| !self.patterns.contains(*it)) {
            self.weight += weigh(pattern.as_str());
        }
        self.patterns.extend(patterns.iter().cloned());
        if self.len() > NAMES || self.weight > BYTES {
            *self = Self::default();
            self.tags.insert(Tag::root());
        }
    }

    fn take(&mut self, soft: bool) -> (Option<Invalidation>, HashSet<Pattern>) {
        let Self {
            keys,
            tags,
            patterns,
            ..
        } = std::mem::take(self);
        let what = Invalidation {
            keys: keys.into_iter().collect(),
            tags: tags.into_iter().collect(),
            patterns: Vec::new(),
            soft,
        };
        ((!what.is_empty()).then_some(what), patterns)
    }
}

impl Bundle {
    pub(super) fn add(&mut self, what: &Invalidation) {
        let names = match what.soft {
            true => &mut self.soft,
            false => &mut self.hard,
        };
        names.add(&what.keys, &what.tags, &[]);
        // A scan is hard whatever was asked.
        self.hard.add(&[], &[], &what.patterns);
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.hard.len() + self.soft.len()
    }

    /// What it holds, the hard part first, and each scan for itself behind the names: it takes long, and may
    /// be what the user of the store has no right to. It is empty then.
    pub(super) fn take(&mut self) -> Vec<Invalidation> {
        let (hard, patterns) = self.hard.take(false);
        let (soft, _) = self.soft.take(true);
        let scans = patterns.into_iter().map(|pattern| Invalidation {
            patterns: vec![pattern],
            ..Invalidation::new()
        });
        hard.into_iter().chain(soft).chain(scans).collect()
    }
}

pub(super) fn names(what: &Invalidation) -> usize {
    what.keys.len() + what.tags.len() + what.patterns.len()
}

fn weigh(name: &str) -> usize {
    name.len() + NAME_BYTES
}

pub(super) fn weight(what: &Invalidation) -> usize {
    let keys = what.keys.iter().map(Key::as_str);
    let tags = what.tags.iter().map(Tag::as_str);
    let patterns = what.patterns.iter().map(Pattern::as_str);
    keys.chain(tags).chain(patterns).map(weigh).sum()
}

#[cfg(test)]
mod tests {
    use super::super::owed::tests::key;
    use super::*;

    #[test]
    fn a_bundle_names_each_thing_once_and_hard_apart_from_soft() {
        let mut bundle = Bundle::default();
        for what in [key(1), key(1), key(1).soft(), key(2).tag("t").soft()] {
            bundle.add(&what);
        }
        bundle.add(&Invalidation::new().pattern("a*b").soft());
        assert_eq!(bundle.len(), 5);
        let parts = bundle.take();
        assert_eq!(parts[0], key(1));
        assert!(parts[1].soft);
        assert_eq!((parts[1].keys.len(), parts[1].tags.len()), (2, 1));
        let scan = Invalidation::new().pattern("a*b");
        assert_eq!(parts[2..], [scan], "hard, whatever was asked");
        assert_eq!((bundle.len(), bundle.take()), (0, vec![]));
    }

    #[test]
    fn of_too_many_names_everything_is_left() {
        let mut bundle = Bundle::default();
        for n in 0..=NAMES {
            bundle.add(&key(n));
        }
        assert_eq!(bundle.take(), [Invalidation::new().all()]);
        for n in 0..=NAMES {
            bundle.add(&Invalidation::new().pattern(format!("{n}*b")).soft());
            assert!(bundle.len() <= NAMES);
        }
        assert_eq!(bundle.take(), [Invalidation::new().all()], "soft scans");
    }

    #[test]
    fn of_names_that_are_too_long_everything_is_left() {
        let long = |n: usize| Invalidation::new().key(format!("{n}{}", "x".repeat(BYTES / 8)));
        let mut bundle = Bundle::default();
        for n in 0..9 {
            bundle.add(&long(n));
            bundle.add(&long(n));
            assert_eq!(bundle.len(), if n < 7 { n + 1 } else { n - 5 });
        }
    }
}
