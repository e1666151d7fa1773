//! An invalidation as a value: built now, carried out later.

use crate::key::{Key, Tag};
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
