//! An invalidation as a value: built now, carried out later.

use std::collections::HashSet;

use crate::key::{Key, Tag, all_tags};
use crate::pattern::Pattern;

/// What is to be invalidated: keys, tags, patterns or everything, hard or soft.
///
/// A value that can be built inside a transaction and handed to
/// [`Cache::invalidate`](crate::Cache::invalidate) after the commit.
///
/// ```
/// use shelflife::Invalidation;
///
/// let after_commit = Invalidation::new().tag("user:42").key("users:42").pattern("reports:2026-*");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "an invalidation does nothing until it is handed to `Cache::invalidate`"]
pub struct Invalidation {
    pub(crate) keys: Vec<Key<'static>>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) soft: bool,
}

impl Invalidation {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the entry of a key.
    pub fn key<'a>(mut self, key: impl Into<Key<'a>>) -> Self {
        self.keys.push(key.into().into_owned());
        self
    }

    /// Adds the entries of several keys.
    pub fn keys<'a, K: Into<Key<'a>>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys
            .extend(keys.into_iter().map(|key| key.into().into_owned()));
        self
    }

    /// Adds every entry that carries a tag. O(1).
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Adds every entry that carries one of these tags. O(1) each.
    pub fn tags<T: Into<Tag>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Adds every entry whose key matches a glob.
    ///
    /// One level and a star (`users:*`) costs O(1). Any other glob scans all keys of the namespace:
    /// O(keys).
    pub fn pattern(mut self, pattern: impl Into<Pattern>) -> Self {
        let pattern = pattern.into();
        match pattern.as_tag() {
            Some(tag) => self.tags.push(tag),
            None => self.patterns.push(pattern),
        }
        self
    }

    /// Adds everything in the namespace. O(1).
    pub fn all(mut self) -> Self {
        self.tags.push(Tag::root());
        self
    }

    /// Makes it soft: entries may be served once more, as stale, while they are refreshed.
    ///
    /// A pattern that needs a scan stays hard: it removes what it finds.
    pub fn soft(mut self) -> Self {
        self.soft = true;
        self
    }

    /// Adds what another names. The result is soft only if both are.
    pub fn and(mut self, other: Self) -> Self {
        self.soft = match (self.is_empty(), other.is_empty()) {
            (true, _) => other.soft,
            (_, true) => self.soft,
            _ => self.soft && other.soft,
        };
        self.keys.extend(other.keys);
        self.tags.extend(other.tags);
        self.patterns.extend(other.patterns);
        self
    }

    /// What is left of it when these two, one hard and one soft, have been carried out.
    pub(crate) fn beyond(mut self, hard: &Self, soft: &Self) -> Self {
        let by = |done: &dyn Fn(&Self) -> bool| done(hard) || (self.soft && done(soft));
        let keys = self.keys.iter().filter(|k| !by(&|d| d.covers_key(k)));
        let tags = self.tags.iter().filter(|t| !by(&|d| d.covers_tag(t)));
        // A scan is hard whatever was asked, and so is one that was carried out.
        let done = |p: &&Pattern| hard.covers_pattern(p) || soft.patterns.contains(p);
        let patterns = self.patterns.iter().filter(|p| !done(p));
        let (keys, tags, patterns) = (
            keys.cloned().collect(),
            tags.cloned().collect(),
            patterns.cloned().collect(),
        );
        (self.keys, self.tags, self.patterns) = (keys, tags, patterns);
        self
    }

    /// It without what another names.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let keys: HashSet<_> = other.keys.iter().collect();
        let tags: HashSet<_> = other.tags.iter().collect();
        let patterns: HashSet<_> = other.patterns.iter().collect();
        let rest = |pattern: &&Pattern| !patterns.contains(pattern);
        Self {
            keys: self
                .keys
                .iter()
                .filter(|key| !keys.contains(key))
                .cloned()
                .collect(),
            tags: self
                .tags
                .iter()
                .filter(|tag| !tags.contains(tag))
                .cloned()
                .collect(),
            patterns: self.patterns.iter().filter(rest).cloned().collect(),
            soft: self.soft,
        }
    }

    fn covers_key(&self, key: &Key<'static>) -> bool {
        let mut implicit = all_tags(key.as_str(), &[]).into_iter();
        self.keys.contains(key)
            || implicit.any(|tag| self.tags.contains(&tag))
            || self.patterns.iter().any(|p| p.matches(key.as_str()))
    }

    fn covers_tag(&self, tag: &Tag) -> bool {
        self.tags.contains(tag) || self.tags.contains(&Tag::root())
    }

    fn covers_pattern(&self, pattern: &Pattern) -> bool {
        // Every match begins with the level of the tag, if the literal part does.
        let mut levels = all_tags(pattern.literal_prefix(), &[]).into_iter();
        self.patterns.contains(pattern) || levels.any(|tag| self.tags.contains(&tag))
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.tags.is_empty() && self.patterns.is_empty()
    }
}

impl From<Key<'_>> for Invalidation {
    fn from(key: Key<'_>) -> Self {
        Self::new().key(key)
    }
}

impl From<Tag> for Invalidation {
    fn from(tag: Tag) -> Self {
        Self::new().tag(tag)
    }
}

impl From<Pattern> for Invalidation {
    fn from(pattern: Pattern) -> Self {
        Self::new().pattern(pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_are_levels_become_tags() {
        let what = Invalidation::new()
            .pattern("users:*")
            .pattern("*")
            .pattern("users:4*");
        assert_eq!(what.tags, [Tag::from_canonical("users:*"), Tag::root()]);
        assert_eq!(what.patterns, [Pattern::new("users:4*")]);
    }

    #[test]
    fn what_was_done_need_not_be_done_again() {
        let nothing = Invalidation::new;
        let soft = || nothing().soft();
        let left = |asked: Invalidation, hard: Invalidation, softly: Invalidation| {
            asked.beyond(&hard, &softly)
        };
        for (asked, done) in [
            (nothing().key("users:1"), nothing().key("users:1")),
            (nothing().key("users:1"), nothing().pattern("users:*")),
            (nothing().key("users:1"), nothing().pattern("us*:1")),
            (nothing().key("users:1").tag("t"), nothing().all()),
            (nothing().tag("t"), nothing().tag("u").tag("t")),
            (nothing().pattern("users:1*"), nothing().pattern("users:*")),
            (nothing().pattern("x*"), nothing().pattern("x*")),
        ] {
            assert!(
                left(asked.clone(), done.clone(), soft()).is_empty(),
                "{asked:?} {done:?}"
            );
            assert!(
                left(asked.clone().soft(), done, soft()).is_empty(),
                "hard does for soft"
            );
        }
        for (asked, done) in [
            (nothing().key("users:1"), nothing().key("users:10")),
            (nothing().key("users:1"), nothing().tag("users:1")),
            (nothing().tag("t"), nothing().pattern("t*")),
            (nothing().pattern("user*"), nothing().pattern("users:*")),
            (nothing().pattern("x*"), nothing().pattern("xy*")),
        ] {
            assert_eq!(left(asked.clone(), done, soft()), asked);
        }
        let (once, twice) = (nothing().tag("a"), nothing().tag("a").tag("b"));
        assert_eq!(left(twice, once, soft()), nothing().tag("b"));
        let softly = || nothing().tag("a").soft();
        assert_eq!(
            left(nothing().tag("a"), nothing(), softly()),
            nothing().tag("a"),
            "soft does not do for hard"
        );
        assert!(left(softly(), nothing(), softly()).is_empty());
    }

    #[test]
    fn hard_wins_when_two_are_joined() {
        let soft = || Invalidation::new().tag("a").soft();
        assert!(soft().and(soft()).soft);
        assert!(!soft().and(Invalidation::new().tag("b")).soft);
        assert!(
            Invalidation::new().and(soft()).soft,
            "nothing is neither hard nor soft"
        );
    }
}
