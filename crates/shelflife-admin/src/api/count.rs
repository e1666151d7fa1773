//! What an invalidation would hit: counted by looking at what is stored, for as long as there is patience.
//!
//! Names decide about keys, patterns and everything. For a tag each entry has to be read.
//!
//! Must not: write.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use serde::Serialize;
use shelflife::{Cache, Error, Key, Pattern, Tag};

/// How long is counted.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many names are looked at, and how many entries.
const NAMES: usize = 100_000;
const ENTRIES: usize = 10_000;

/// How many reads are under way at once.
const AT_ONCE: usize = 32;

/// How many of those that would be hit are named.
const EXAMPLES: usize = 10;

/// What would be hit, as names.
#[derive(Debug, Default)]
pub(crate) struct Target {
    pub(crate) keys: Vec<Key<'static>>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) all: bool,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    /// How many would be hit, of those that were looked at.
    pub(crate) entries: u64,
    /// Some of them.
    pub(crate) examples: Vec<String>,
    /// How many were looked at.
    pub(crate) scanned: u64,
    /// Whether those were all.
    pub(crate) complete: bool,
}

impl Target {
    /// Whether single keys are all there is: then nothing need be scanned.
    fn is_keys_alone(&self) -> bool {
        self.tags.is_empty() && self.patterns.is_empty() && !self.all
    }

    fn by_name(&self, name: &str) -> bool {
        self.all
            || self.keys.iter().any(|key| key.as_str() == name)
            || self.patterns.iter().any(|pattern| pattern.matches(name))
    }
}

impl Count {
    fn hit(&mut self, name: String) {
        self.entries += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(name);
        }
    }
}

/// Counts until it is through, or out of patience.
pub(crate) async fn count(cache: &Cache, target: &Target) -> Result<Count, Error> {
    if target.is_keys_alone() {
        return count_keys(cache, &target.keys).await;
    }
    let began = Instant::now();
    let mut count = Count::default();
    let mut read = 0;
    let mut scan = cache.scan("*");
    while began.elapsed() < PATIENCE && count.scanned < NAMES as u64 && read < ENTRIES {
        let Some(names) = scan.next().await? else {
            count.complete = true;
            break;
        };
        let (by_name, others): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|name| target.by_name(name));
        count.scanned += by_name.len() as u64;
        by_name.into_iter().for_each(|name| count.hit(name));
        if target.tags.is_empty() {
            count.scanned += others.len() as u64;
            continue;
        }
        read += others.len();
        let mut looks = stream::iter(others)
            .map(|name| look(cache, name, &target.tags))
            .buffer_unordered(AT_ONCE);
        while let Some(looked) = looks.next().await {
            count.scanned += 1;
            if let Some(name) = looked? {
                count.hit(name);
            }
            if began.elapsed() > PATIENCE {
                return Ok(count);
            }
        }
    }
    Ok(count)
}

async fn count_keys(cache: &Cache, keys: &[Key<'static>]) -> Result<Count, Error> {
    let mut count = Count {
        complete: true,
        ..Count::default()
    };
    for key in keys {
        count.scanned += 1;
        if cache.inspect(key).await?.state != "absent" {
            count.hit(key.to_string());
        }
    }
    Ok(count)
}

/// The name, if its entry carries one of the tags.
async fn look(cache: &Cache, name: String, tags: &[Tag]) -> Result<Option<String>, Error> {
    let found = cache.inspect(Key::listed(name.as_str())).await?;
    let carries = found
        .tags
        .iter()
        .any(|it| tags.iter().any(|tag| tag.as_str() == it.tag));
    Ok(carries.then_some(name))
}
