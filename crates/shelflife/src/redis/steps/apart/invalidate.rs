//! Invalidations, where keys lie apart: entries on their nodes, then clock, log and tags on theirs.

use std::borrow::Cow;

use futures_util::future::try_join_all;

use super::super::RedisStore;
use super::super::invalidate::same;
use super::super::scan::{PAGE, may_match};
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::pattern::Pattern;
use crate::redis::link::{At, Layout};
use crate::redis::reply::Answer;
use crate::redis::scripts;
use crate::store::{Listed, LoggedEvent, StoreResult};

/// What must be the same before entries are removed and after that has been logged.
#[derive(PartialEq, Eq)]
struct Seen {
    /// Of each node that has entries which are to go, where it is and which life of a primary it has.
    primaries: Vec<(String, String)>,
    layout: Layout,
}

impl RedisStore {
    /// PROTOCOL §5 and §6, all parts one after another. `None` when a primary, the incarnation or, of a scan, the
    /// layout is not the same all along: what was removed may have come back, or been missed.
    pub(in crate::redis::steps) async fn invalidate_apart(
        &self,
        parts: &[Cow<'_, Invalidation>],
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Option<Epoch>> {
        let mut first: Option<Answer> = None;
        let mut clock = None;
        for (at, part) in parts.iter().enumerate() {
            if !part.keys.is_empty() {
                // A set that is carried out meanwhile would not be met by what removes them: it finds this.
                let keys = part.keys.iter().map(|key| key.as_str());
                let announced = self.log_keys("G", keys).await?;
                if !same(&mut first, announced) {
                    return Ok(None);
                }
            }
            let before = self.seen(part).await?;
            self.remove_keys(part).await?;
            for pattern in &part.patterns {
                self.remove_matches(pattern).await?;
                if before.layout.is_moving {
                    // What went from a node that was still to be looked at to one that had been is there now.
                    self.remove_matches(pattern).await?;
                }
            }
            #[cfg(test)]
            self.probes.pause(crate::probe::Point::Scanned).await;
            let event = event.filter(|_| at + 1 == parts.len());
            let answer = self.invalidate_control(part, event).await?;
            clock = Some(answer.clock);
            if !same(&mut first, answer) || self.seen(part).await? != before {
                return Ok(None);
            }
        }
        Ok(clock)
    }

    async fn seen(&self, part: &Invalidation) -> StoreResult<Seen> {
        let names: Vec<String> = part
            .keys
            .iter()
            .map(|key| self.names.entry(key.as_str()))
            .collect();
        let (names, layout) = match part.patterns.is_empty() {
            true => (Some(&names[..]), Layout::default()),
            false => (None, self.link.layout().await?),
        };
        Ok(Seen {
            primaries: self.link.primaries_of(names).await?,
            layout,
        })
    }

    async fn remove_keys(&self, part: &Invalidation) -> StoreResult<()> {
        let names: Vec<String> = part
            .keys
            .iter()
            .map(|key| self.names.entry(key.as_str()))
            .collect();
        if !part.soft {
            return self.unlink(&names).await;
        }
        let soften = names
            .iter()
            .map(async |name| self.run(&scripts::SOFTEN, &[name], &[]).await);
        try_join_all(soften).await.map(drop)
    }

    async fn remove_matches(&self, pattern: &Pattern) -> StoreResult<()> {
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let (names, next) = self.list(pattern.literal_prefix(), at, PAGE).await?;
            let matches = names
                .iter()
                .filter(|listed| may_match(pattern, &listed.name));
            let matches: Vec<String> = matches
                .map(|Listed { name }| format!("{}{name}", self.names.entry_prefix))
                .collect();
            self.unlink(&matches).await?;
            #[cfg(test)]
            self.probes.pause(crate::probe::Point::Paged).await;
            cursor = next;
        }
        Ok(())
    }

    /// Removes what is called so, each where it is.
    async fn unlink(&self, names: &[String]) -> StoreResult<()> {
        let unlink = names.iter().map(async |name| {
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(name);
            self.link.call(At::Name(name), &unlink).await
        });
        try_join_all(unlink).await.map(drop)
    }
}
