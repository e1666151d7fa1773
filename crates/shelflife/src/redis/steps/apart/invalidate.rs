//! Invalidations, where keys lie apart: entries on their nodes, then clock, log and tags on theirs.

use std::borrow::Cow;

use futures_util::future::{join_all, try_join_all};

use super::super::RedisStore;
use super::super::invalidate::same;
use super::super::scan::{PAGE, may_match};
use crate::invalidation::Invalidation;
use crate::pattern::Pattern;
use crate::redis::link::{At, Layout};
use crate::redis::reply::Answer;
use crate::redis::scripts;
use crate::store::{Invalidated, Left, Listed, LoggedEvent, StoreError, StoreResult};

/// What must be the same before entries are removed and after that has been logged: of each node that has some
/// which are to go, where it is and which life of a primary it has.
type Primaries = Vec<(String, String)>;

/// Keys that are on one node.
struct Group {
    part: Invalidation,
    before: Primaries,
}

/// Patterns, whose matches are anywhere.
struct Scan {
    part: Invalidation,
    before: (Primaries, Layout),
}

/// What could not be done, and why not the first of it.
#[derive(Default)]
struct Undone {
    what: Invalidation,
    error: Option<StoreError>,
    /// Whether a node failed that had answered before.
    was_met: bool,
}

impl Undone {
    fn add(&mut self, part: Invalidation, error: StoreError) {
        self.what.keys.extend(part.keys);
        self.what.patterns.extend(part.patterns);
        self.error.get_or_insert(error);
    }

    /// Keeps what was done by nodes that have been met, and takes the rest.
    fn sort_met<T>(&mut self, all: Vec<(Invalidation, StoreResult<T>)>) -> Vec<(Invalidation, T)> {
        self.was_met |= all.iter().any(|(_, got)| got.is_err());
        self.sort(all)
    }

    /// Keeps what was done, and takes the rest.
    fn sort<T>(&mut self, all: Vec<(Invalidation, StoreResult<T>)>) -> Vec<(Invalidation, T)> {
        let mut done = Vec::with_capacity(all.len());
        for (part, got) in all {
            match got {
                Ok(got) => done.push((part, got)),
                Err(error) => self.add(part, error),
            }
        }
        done
    }
}

impl RedisStore {
    /// PROTOCOL §5 and §6, all parts one after another. What a node has that is out of reach is left, and holds up
    /// nothing else: each node is looked at before anything is announced, removed or logged. `None` when a primary, the
    /// incarnation or, of a scan, the layout is not the same all along: what was removed may have come back, or been
    /// missed.
    pub(in crate::redis::steps) async fn invalidate_apart(
        &self,
        parts: &[Cow<'_, Invalidation>],
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Option<Invalidated>> {
        let mut first: Option<Answer> = None;
        let mut clock = None;
        let mut undone = Undone::default();
        for (at, part) in parts.iter().enumerate() {
            let groups = self.groups(part, &mut undone).await;
            let scan = self.scan_of(part, &mut undone).await;
            for announced in self.announce(&groups, scan.as_ref()).await? {
                if !same(&mut first, announced) {
                    return Ok(None);
                }
            }
            let groups = self.remove_groups(groups, &mut undone).await;
            let scan = self.remove_scan(scan, &mut undone).await;
            #[cfg(test)]
            self.probes.pause(crate::probe::Point::Scanned).await;
            let event = event.filter(|_| at + 1 == parts.len());
            let done = Invalidation {
                keys: groups
                    .iter()
                    .flat_map(|group| group.part.keys.clone())
                    .collect(),
                tags: part.tags.clone(),
                patterns: scan
                    .iter()
                    .flat_map(|scan| scan.part.patterns.clone())
                    .collect(),
                soft: part.soft,
            };
            if done.is_empty() && event.is_none() {
                continue;
            }
            let answer = self.invalidate_control(&done, event).await?;
            clock = Some(answer.clock);
            if !same(&mut first, answer) || !self.is_as_before(groups, scan, &mut undone).await {
                return Ok(None);
            }
        }
        let epoch = match clock {
            Some(clock) => clock,
            // Nothing could be done, but who has the clock is there.
            None => self.clock().await?,
        };
        let left = undone.error.map(|error| Left {
            what: Invalidation {
                soft: parts.iter().all(|part| part.soft),
                ..undone.what
            },
            error,
            was_met: undone.was_met,
        });
        Ok(Some(Invalidated { epoch, left }))
    }

    /// The keys of a part by the nodes that have them, as far as these are within reach.
    async fn groups(&self, part: &Invalidation, undone: &mut Undone) -> Vec<Group> {
        let names = self.entry_names(part);
        let groups = self
            .link
            .by_primary(&names)
            .into_iter()
            .map(async |on_one| {
                let keys = on_one.iter().map(|&at| part.keys[at].clone());
                let keys = Invalidation {
                    keys: keys.collect(),
                    soft: part.soft,
                    ..Invalidation::new()
                };
                let names: Vec<String> = on_one.iter().map(|&at| names[at].clone()).collect();
                (keys, self.link.primaries_of(Some(&names)).await)
            });
        let groups = undone.sort(join_all(groups).await).into_iter();
        groups
            .map(|(part, before)| Group { part, before })
            .collect()
    }

    /// The patterns of a part, if all primaries are within reach.
    async fn scan_of(&self, part: &Invalidation, undone: &mut Undone) -> Option<Scan> {
        if part.patterns.is_empty() {
            return None;
        }
        let patterns = Invalidation {
            patterns: part.patterns.clone(),
            ..Invalidation::new()
        };
        let looked = vec![(patterns, self.everywhere().await)];
        let (part, before) = undone.sort(looked).pop()?;
        Some(Scan { part, before })
    }

    /// All primaries, and which slots they have: every slot has one, or something would be passed by.
    async fn everywhere(&self) -> StoreResult<(Primaries, Layout)> {
        let layout = self.link.layout().await?;
        if !layout.is_whole {
            let what = "a slot of the cluster has no node that could be scanned";
            return Err(StoreError::unavailable(what));
        }
        Ok((self.link.primaries_of(None).await?, layout))
    }

    /// Says to sets what is about to be removed. One that is carried out meanwhile would not be met by what removes
    /// it: it finds this.
    async fn announce(&self, groups: &[Group], scan: Option<&Scan>) -> StoreResult<Vec<Answer>> {
        let mut answers = Vec::new();
        if !groups.is_empty() {
            let keys = groups.iter().flat_map(|group| &group.part.keys);
            answers.push(self.log_keys("G", keys.map(|key| key.as_str())).await?);
        }
        if let Some(scan) = scan {
            let patterns = scan.part.patterns.iter().map(Pattern::as_str);
            answers.push(self.log_keys("G", patterns).await?);
        }
        Ok(answers)
    }

    async fn remove_groups(&self, groups: Vec<Group>, undone: &mut Undone) -> Vec<Group> {
        let removing = groups.into_iter().map(async |Group { part, before }| {
            let removed = self.remove_keys(&part).await;
            (part, removed.map(|()| before))
        });
        let removed = undone.sort_met(join_all(removing).await).into_iter();
        removed
            .map(|(part, before)| Group { part, before })
            .collect()
    }

    async fn remove_scan(&self, scan: Option<Scan>, undone: &mut Undone) -> Option<Scan> {
        let Scan { part, before } = scan?;
        let removed = self
            .remove_all_matches(&part.patterns, before.1.is_moving)
            .await;
        let scanned = vec![(part, removed.map(|()| before))];
        let (part, before) = undone.sort_met(scanned).pop()?;
        Some(Scan { part, before })
    }

    /// Whether what was removed is still where it was, as far as that can be told now.
    async fn is_as_before(
        &self,
        groups: Vec<Group>,
        scan: Option<Scan>,
        undone: &mut Undone,
    ) -> bool {
        let groups = groups.into_iter().map(async |Group { part, before }| {
            let names = self.entry_names(&part);
            let now = self.link.primaries_of(Some(&names)).await;
            (part, now.map(|now| now == before))
        });
        let mut looked = join_all(groups).await;
        if let Some(Scan { part, before }) = scan {
            looked.push((part, self.everywhere().await.map(|now| now == before)));
        }
        undone.sort_met(looked).iter().all(|(_, same)| *same)
    }

    fn entry_names(&self, part: &Invalidation) -> Vec<String> {
        let keys = part.keys.iter();
        keys.map(|key| self.names.entry(key.as_str())).collect()
    }

    async fn remove_keys(&self, part: &Invalidation) -> StoreResult<()> {
        let names = self.entry_names(part);
        if !part.soft {
            return self.unlink(&names).await;
        }
        let soften = names
            .iter()
            .map(async |name| self.run(&scripts::SOFTEN, &[name], &[]).await);
        try_join_all(soften).await.map(drop)
    }

    async fn remove_all_matches(&self, patterns: &[Pattern], moving: bool) -> StoreResult<()> {
        for pattern in patterns {
            self.remove_matches(pattern).await?;
            if moving {
                // What went from a node that was still to be looked at to one that had been is there now.
                self.remove_matches(pattern).await?;
            }
        }
        Ok(())
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
