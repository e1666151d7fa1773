//! Watching: the log as it is written, for those who look on.
//!
//! An onlooker takes no part: it is no member, nobody waits for it, and it writes nothing. What it
//! can't understand it shows or passes over, where a follower would have to begin anew.
//!
//! Must not: feed memory or L1. What is served depends on the tail alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use tokio::sync::mpsc;

use crate::cache::Cache;
use crate::epoch::Epoch;
use crate::error::Error;
use crate::key::{Key, Tag, all_tags};
use crate::pattern::Pattern;
use crate::store::Store;

/// An entry of the log: who invalidated what, when, and what had happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Logged {
    /// Its place in the order of invalidations. The tick is the server's time in µs, but for the first
    /// seconds after a failover, when it runs ahead.
    #[serde(serialize_with = "as_text")]
    pub epoch: Epoch,
    /// The epoch before it; `None` for the first of an incarnation.
    #[serde(serialize_with = "as_text_if_any")]
    pub prev: Option<Epoch>,
    /// The member that wrote it; `None` for an entry of the bookkeeping itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Keys, as canonical text; also those that were set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Tags, as canonical text: `*` is everything, `users:*` every key that begins so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Globs whose matches were removed by a scan.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
    /// Keys that became stale, not dead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub soft_keys: Vec<String>,
    /// Tags whose entries became stale, not dead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub soft_tags: Vec<String>,
    /// The name of the event that was emitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Its payload: JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// What the bookkeeping has to say: `new`, an incarnation begins and everything older is dead;
    /// `jump`, another primary has taken over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether it only says that a scan begins, to sets under way. What the scan did is in the entry behind it.
    #[serde(skip)]
    pub(crate) announces: bool,
}

fn as_text<S: Serializer>(epoch: &Epoch, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(epoch)
}

fn as_text_if_any<S: Serializer>(epoch: &Option<Epoch>, s: S) -> Result<S::Ok, S::Error> {
    match epoch {
        Some(epoch) => s.serialize_some(&epoch.to_string()),
        None => s.serialize_none(),
    }
}

impl Logged {
    /// The fields of an entry, as the scripts write them. What is not known here is passed over.
    pub(crate) fn read(tick: u64, fields: &[String]) -> Self {
        let mut it = Self {
            epoch: Epoch::new(0, tick),
            prev: None,
            origin: None,
            keys: Vec::new(),
            tags: Vec::new(),
            patterns: Vec::new(),
            soft_keys: Vec::new(),
            soft_tags: Vec::new(),
            event: None,
            payload: None,
            note: None,
            announces: false,
        };
        for pair in fields.chunks_exact(2) {
            let text = pair[1].clone();
            match pair[0].as_str() {
                "i" => it.epoch.inc = u64::from_str_radix(&text, 16).unwrap_or(0),
                "p" => it.prev = text.parse().ok(),
                "o" => it.origin = Some(text).filter(|origin| !origin.is_empty()),
                "k" | "s" => it.keys.push(text),
                "t" => it.tags.push(text),
                "g" => it.patterns.push(text),
                "K" => it.soft_keys.push(text),
                "T" => it.soft_tags.push(text),
                "e" => it.event = Some(text),
                "d" => it.payload = Some(text),
                "w" => it.note = Some(text),
                "G" => it.announces = true,
                _ => {}
            }
        }
        it
    }

    /// When it was written, by the server's clock.
    pub fn at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.epoch.tick)
    }

    /// Whether it names an entry of this key with these tags, hard or soft: the key itself, one of the
    /// tags, its level, everything, or a glob that it matches.
    pub fn names<'a>(&self, key: impl Into<Key<'a>>, tags: &[Tag]) -> bool {
        let key = key.into();
        let tags = all_tags(key.as_str(), tags);
        let has = |names: &[String], name: &str| names.iter().any(|n| n == name);
        has(&self.keys, key.as_str())
            || has(&self.soft_keys, key.as_str())
            || tags
                .iter()
                .any(|t| has(&self.tags, t.as_str()) || has(&self.soft_tags, t.as_str()))
            || self.scanned(key.as_str())
    }

    /// Whether a scan has removed this key, if it was there.
    pub(crate) fn scanned(&self, key: &str) -> bool {
        let mut globs = self.patterns.iter();
        globs.any(|glob| Pattern::new(glob.as_str()).matches(key))
    }
}

/// What an onlooker sees.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Watched {
    /// An entry of the log.
    Entry(Box<Logged>),
    /// The log does not go on where it was left: what was between has been trimmed, or the server has
    /// lost it.
    Gap,
    /// The log is out of reach; it is tried again until it is there.
    Lost(Error),
    /// The log is there again.
    Back,
}

/// The log of a namespace as it is written: ask [`next`](Watch::next).
#[derive(Debug)]
pub struct Watch {
    seen: mpsc::Receiver<Watched>,
}

impl Watch {
    /// What is seen next; waits for it. `None` only when the runtime shuts down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    pub async fn next(&mut self) -> Option<Watched> {
        self.seen.recv().await
    }

    /// What has been seen already, if anything.
    pub fn try_next(&mut self) -> Option<Watched> {
        self.seen.try_recv().ok()
    }
}

impl Cache {
    /// Watches the log of the namespace: what was written in the last `since`, then what is written,
    /// as it is written, until it is dropped. It takes no part: it is no member, and writes nothing.
    ///
    /// The embedded store tells what this process invalidates, and goes back some 256 invalidations and 1 MiB at most.
    ///
    /// ```no_run
    /// # async fn watch(cache: shelflife::Cache) -> Result<(), shelflife::Error> {
    /// use std::time::Duration;
    /// use shelflife::Watched;
    ///
    /// let mut watch = cache.watch(Duration::from_secs(60)).await?;
    /// while let Some(seen) = watch.next().await {
    ///     if let Watched::Entry(entry) = seen {
    ///         println!("{:?} invalidated {:?} {:?}", entry.origin, entry.keys, entry.tags);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When the store can't be reached now.
    pub async fn watch(&self, since: Duration) -> Result<Watch, Error> {
        match &self.engine.store {
            Store::Embedded(store) => Ok(Watch {
                seen: inside::start(store, since),
            }),
            #[cfg(feature = "redis")]
            Store::Redis(store) => Ok(Watch {
                seen: onlooker::start(self.engine.clone(), store, since).await?,
            }),
        }
    }
}

mod inside {
    //! The task that passes on what the embedded store tells.

    use std::time::Duration;

    use tokio::sync::broadcast::error::RecvError;
    use tokio::sync::mpsc;

    use super::Watched;
    use crate::embedded::{Embedded, Told};

    /// How much may be seen ahead of who watches: the store keeps the backlog.
    const AHEAD: usize = 1;

    pub(super) fn start(store: &Embedded, since: Duration) -> mpsc::Receiver<Watched> {
        let (late, mut told) = store.watch(since);
        let (tell, seen) = mpsc::channel(AHEAD);
        let entry = |told: &Told| Watched::Entry(Box::new(told.logged()));
        tokio::spawn(async move {
            for told in &late {
                if tell.send(entry(told)).await.is_err() {
                    return;
                }
            }
            loop {
                let next = tokio::select! {
                    () = tell.closed() => return,
                    next = told.recv() => next,
                };
                let seen = match next {
                    Ok(Some(told)) => entry(&told),
                    Ok(None) | Err(RecvError::Lagged(_)) => Watched::Gap,
                    Err(RecvError::Closed) => return,
                };
                if tell.send(seen).await.is_err() {
                    return;
                }
            }
        });
        seen
    }
}

#[cfg(feature = "redis")]
mod onlooker {
    //! The task that reads the log for a [`Watch`](super::Watch).

    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::Watched;
    use crate::engine::Engine;
    use crate::epoch::Epoch;
    use crate::redis::{LogView, RedisStore};
    use crate::store::{Store, StoreResult};

    /// For how long one read waits for an entry.
    const BLOCK: Duration = Duration::from_secs(1);
    /// Between two attempts to reach the log.
    const PAUSE: Duration = Duration::from_millis(50);
    const PAUSE_MOST: Duration = Duration::from_secs(1);
    /// How much may be seen ahead of who watches: then reading waits.
    const AHEAD: usize = 1024;

    /// Begins `since` ago, by the server's time; fails if that can't be found out now.
    pub(super) async fn start(
        engine: Arc<Engine>,
        store: &RedisStore,
        since: Duration,
    ) -> StoreResult<mpsc::Receiver<Watched>> {
        let mut view = store.view_log().await?;
        let ago = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let begin = view.time().await?.saturating_sub(ago);
        // Never beyond the end of the log: what ends before the position is taken for another log, and shown
        // from its beginning.
        let position = match (view.last().await?, since.is_zero()) {
            (last, true) => last,
            (last, false) => last.min(begin),
        };
        let (tell, seen) = mpsc::channel(AHEAD);
        let mut onlooker = Onlooker {
            position,
            last: None,
            tell,
        };
        tokio::spawn(async move { onlooker.look_on(&engine, view).await });
        Ok(seen)
    }

    struct Onlooker {
        /// The tick behind which to read on.
        position: u64,
        /// The entry seen last.
        last: Option<Epoch>,
        tell: mpsc::Sender<Watched>,
    }

    /// Nobody watches any more.
    struct Unwatched;

    impl Onlooker {
        /// Reads until nobody watches, over as many connections as it takes.
        async fn look_on(&mut self, engine: &Engine, view: LogView) {
            let Store::Redis(store) = &engine.store else {
                return;
            };
            let mut view = Some(view);
            let mut pause = PAUSE;
            let mut lost = false;
            loop {
                let failed = match view.take() {
                    Some(view) => {
                        if lost && self.tell(Watched::Back).await.is_err() {
                            return;
                        }
                        (lost, pause) = (false, PAUSE);
                        match self.session(view).await {
                            Ok(Unwatched) => return,
                            Err(error) => error,
                        }
                    }
                    None => match store.view_log().await {
                        Ok(again) => {
                            view = Some(again);
                            continue;
                        }
                        Err(error) => error,
                    },
                };
                if !lost && self.tell(Watched::Lost(failed.into())).await.is_err() {
                    return;
                }
                lost = true;
                tokio::select! {
                    () = self.tell.closed() => return,
                    () = tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())) => {}
                }
                pause = (pause * 2).min(PAUSE_MOST);
            }
        }

        async fn session(&mut self, mut view: LogView) -> StoreResult<Unwatched> {
            loop {
                // A log that ends before what was there already is another one: after a flush, or a restart.
                if view.last().await? < self.position {
                    self.position = 0;
                }
                loop {
                    let entries = tokio::select! {
                        () = self.tell.closed() => return Ok(Unwatched),
                        entries = view.read(self.position, BLOCK) => entries?,
                    };
                    if entries.is_empty() {
                        break;
                    }
                    for entry in entries {
                        self.position = entry.epoch.tick;
                        // The first of an incarnation says so itself.
                        let goes_on = entry.note.as_deref() == Some("new")
                            || self.last.is_none()
                            || entry.prev == self.last;
                        self.last = Some(entry.epoch);
                        if !goes_on && self.tell(Watched::Gap).await.is_err() {
                            return Ok(Unwatched);
                        }
                        if entry.announces {
                            continue;
                        }
                        if self.tell(Watched::Entry(Box::new(entry))).await.is_err() {
                            return Ok(Unwatched);
                        }
                    }
                }
            }
        }

        async fn tell(&self, seen: Watched) -> Result<(), Unwatched> {
            self.tell.send(seen).await.map_err(|_| Unwatched)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(pairs: &[(&str, &str)]) -> Logged {
        let fields: Vec<String> = pairs
            .iter()
            .flat_map(|(f, v)| [(*f).to_owned(), (*v).to_owned()])
            .collect();
        Logged::read(12, &fields)
    }

    #[test]
    fn entries_are_shown_with_all_that_the_scripts_write() {
        let it = logged(&[
            ("i", "00000000000000ff"),
            ("p", "00000000000000ff:11"),
            ("o", "7-aa@1000"),
            ("k", "users:1"),
            ("T", "user:1"),
            ("g", "a*b*"),
            ("e", "user_updated"),
            ("d", "{}"),
        ]);
        assert_eq!(
            (it.epoch, it.prev),
            (Epoch::new(255, 12), Some(Epoch::new(255, 11)))
        );
        let json = serde_json::to_value(&it).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "epoch": "00000000000000ff:12", "prev": "00000000000000ff:11",
                "origin": "7-aa@1000", "keys": ["users:1"], "soft_tags": ["user:1"],
                "patterns": ["a*b*"], "event": "user_updated", "payload": "{}",
            })
        );
    }

    #[tokio::test]
    async fn the_embedded_store_tells_what_this_process_invalidates() {
        use crate::invalidation::Invalidation;

        let cache = Cache::memory();
        cache
            .invalidate(Invalidation::new().tag("late"))
            .await
            .unwrap();
        let mut nothing_late = cache.watch(Duration::ZERO).await.unwrap();
        let mut watch = cache.watch(Duration::from_secs(60)).await.unwrap();
        let soft = Invalidation::new().tag("user:1").key("users:1").soft();
        let receipt = cache.invalidate(soft).await.unwrap();
        cache
            .invalidate(Invalidation::new().pattern("a*b"))
            .await
            .unwrap();
        cache.set("k", 1).await.unwrap();
        let mut next = async || match watch.next().await {
            Some(Watched::Entry(entry)) => entry,
            other => panic!("{other:?}"),
        };
        assert_eq!(next().await.tags, ["late"]);
        let softly = next().await;
        assert_eq!(softly.epoch, receipt.epoch());
        assert_eq!(
            (softly.soft_tags, softly.soft_keys),
            (vec!["user:1".to_owned()], vec!["users:1".to_owned()])
        );
        assert!(softly.tags.is_empty() && softly.keys.is_empty());
        assert_eq!(next().await.patterns, ["a*b"]);
        assert_eq!(next().await.keys, ["k"]);
        assert!(
            matches!(nothing_late.next().await, Some(Watched::Entry(entry)) if entry.soft_tags == ["user:1"])
        );
    }

    #[test]
    fn what_a_newer_version_writes_is_passed_over_not_refused() {
        let it = logged(&[("i", "01"), ("p", ""), ("z", "?"), ("w", "new")]);
        assert_eq!((it.prev, it.note.as_deref()), (None, Some("new")));
    }

    #[test]
    fn an_entry_names_keys_tags_and_what_a_glob_matches() {
        let names =
            |field: &str, text: &str| logged(&[(field, text)]).names("users:1", &["user:1".into()]);
        let (own, others) = (
            [
                ("k", "users:1"),
                ("K", "users:1"),
                ("t", "*"),
                ("t", "users:*"),
                ("T", "user:1"),
                ("g", "u*:1"),
            ],
            [
                ("k", "users:2"),
                ("t", "user:2"),
                ("t", "orders:*"),
                ("g", "u*:2"),
                ("e", "users:1"),
            ],
        );
        for (field, text) in own {
            assert!(names(field, text), "{field} {text}");
        }
        for (field, text) in others {
            assert!(!names(field, text), "{field} {text}");
        }
    }
}
