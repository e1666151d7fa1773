//! Looking inside: what stands under a key, which keys there are, how the store is. For operators.

use serde::Serialize;

use crate::cache::Cache;
use crate::codec::{Codec, decode, unpack};
use crate::error::Error;
use crate::key::{Key, all_tags};
use crate::pattern::Pattern;
use crate::reason::Reason;
use crate::store::{Body, Held, Slot, Snapshot, Store};
use crate::validity::{Validity, validity};

/// What stands under a key, judged now against the store.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The key, as canonical text.
    pub key: String,
    /// `fresh`, `stale`, `dead` or `absent`.
    pub state: &'static str,
    /// Why.
    pub reason: Reason,
    /// The clock of the namespace, `incarnation:tick`.
    pub clock: String,
    /// The epoch of the value: an invalidation that is newer makes it dead.
    pub epoch: Option<String>,
    /// Its tags, each with the ticks of its last invalidations.
    pub tags: Vec<TagState>,
    /// How long ago it was stored, in ms.
    pub age_ms: Option<i64>,
    /// How long it is still fresh, in ms; negative when it is over.
    pub fresh_ms: Option<i64>,
    /// How long it may still be served, in ms.
    pub stale_ms: Option<i64>,
    /// What its load cost, in µs.
    pub cost_us: Option<u32>,
    /// Whether somebody holds the right to load or write it.
    pub leased: bool,
    /// How many bytes the payload takes in the store, and when decoded.
    pub stored_bytes: Option<usize>,
    /// The payload's size when decompressed.
    pub bytes: Option<usize>,
    /// The value, if its bytes are understood.
    pub value: Option<serde_json::Value>,
}

/// A tag of an entry.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TagState {
    /// Its canonical text.
    pub tag: String,
    /// The tick of its last hard invalidation or creation; `None` when its record is missing.
    pub hard: Option<u64>,
    /// The tick of its last soft invalidation, 0 for never.
    pub soft: Option<u64>,
}

/// How the store of a namespace is.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Overview {
    /// `embedded` or `redis`.
    pub store: &'static str,
    /// Where it is, without credentials.
    pub server: Option<String>,
    /// The server's version.
    pub version: Option<String>,
    /// The namespace.
    pub namespace: String,
    /// The clock, `incarnation:tick`.
    pub clock: Option<String>,
    /// Entries, leases included; counted by a scan.
    pub entries: u64,
    /// Records of tags.
    pub tags: u64,
    /// Entries of the log.
    pub log: u64,
    /// Memory of the whole server, in bytes.
    pub used_memory: Option<u64>,
    /// The server's limit, 0 for none.
    pub max_memory: Option<u64>,
    /// What it does at the limit.
    pub eviction_policy: Option<String>,
    /// Keys that the whole server has evicted.
    pub evicted_keys: Option<u64>,
    /// Reads of the whole server that found a key.
    pub keyspace_hits: Option<u64>,
    /// Reads of the whole server that did not.
    pub keyspace_misses: Option<u64>,
}

impl Cache {
    /// What stands under a key in the store, judged now; L1 is not asked.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn inspect(&self, key: impl Into<Key<'_>>) -> Result<Inspection, Error> {
        let key = key.into();
        let tags = all_tags(key.as_str(), &[]);
        let snapshot = self.engine.store.read(key.as_str(), &tags, None).await?;
        let now = self.engine.store.server_ms(self.engine.clock.now());
        Ok(describe(key.as_str(), &snapshot, now))
    }

    /// The keys of the store that match a pattern, page by page.
    pub fn scan(&self, pattern: impl Into<Pattern>) -> Scan {
        Scan {
            cache: self.clone(),
            pattern: pattern.into(),
            cursor: Some(0),
        }
    }

    /// How the store of this namespace is. Counts by a scan: O(keys of the server).
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn overview(&self) -> Result<Overview, Error> {
        let mut overview = match &self.engine.store {
            Store::Embedded(store) => Overview {
                store: "embedded",
                entries: store.entries() as u64,
                tags: store.tags() as u64,
                used_memory: Some(store.bytes()),
                max_memory: Some(self.engine.settings.memory / 2),
                ..Overview::default()
            },
            #[cfg(feature = "redis")]
            Store::Redis(store) => store.overview().await?,
        };
        overview.namespace = self.namespace().to_owned();
        overview.clock = Some(self.engine.store.clock().await?.to_string());
        Ok(overview)
    }
}

/// A scan of keys under way.
#[derive(Debug)]
pub struct Scan {
    cache: Cache,
    pattern: Pattern,
    cursor: Option<u64>,
}

impl Scan {
    /// Goes on where another scan of the same pattern stood: at its [`cursor`](Self::cursor).
    #[must_use]
    pub fn resume(mut self, cursor: u64) -> Self {
        self.cursor = Some(cursor);
        self
    }

    /// Where the next page begins; `None` at the end.
    pub fn cursor(&self) -> Option<u64> {
        self.cursor
    }

    /// The next page, perhaps empty; `None` at the end. A key that is there all along is given at least
    /// once; one that comes or goes meanwhile may be.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn next(&mut self) -> Result<Option<Vec<String>>, Error> {
        const PAGE: usize = 500;
        let Some(cursor) = self.cursor else {
            return Ok(None);
        };
        let store = &self.cache.engine.store;
        let (listed, next) = store
            .list(self.pattern.literal_prefix(), cursor, PAGE)
            .await?;
        self.cursor = next;
        let names = listed.into_iter().map(|l| l.name);
        Ok(Some(
            names.filter(|name| self.pattern.matches(name)).collect(),
        ))
    }
}

fn describe(key: &str, snapshot: &Snapshot, now: u64) -> Inspection {
    let mut it = Inspection {
        key: key.to_owned(),
        state: "absent",
        reason: Reason::Absent,
        clock: snapshot.clock.to_string(),
        epoch: None,
        tags: Vec::new(),
        age_ms: None,
        fresh_ms: None,
        stale_ms: None,
        cost_us: None,
        leased: false,
        stored_bytes: None,
        bytes: None,
        value: None,
    };
    match &snapshot.slot {
        Slot::Empty => {}
        Slot::Leased => (it.reason, it.leased) = (Reason::Loading, true),
        Slot::Bad { reason, .. } => (it.state, it.reason) = ("dead", *reason),
        Slot::Value(held) => describe_value(&mut it, held, snapshot.clock.inc, now),
    }
    it
}

fn describe_value(it: &mut Inspection, held: &Held, inc: u64, now: u64) {
    let meta = &held.meta;
    (it.state, it.reason) = match validity(meta, inc, |tag| held.tag(tag), now) {
        Validity::Fresh => ("fresh", Reason::Fresh),
        Validity::Stale(reason) => ("stale", reason),
        Validity::Dead(reason) => ("dead", reason),
    };
    let from_now = |ms: u64| i64::try_from(i128::from(ms) - i128::from(now)).ok();
    it.epoch = Some(meta.epoch.to_string());
    it.age_ms = from_now(meta.created).map(|ms| -ms);
    it.fresh_ms = from_now(meta.fresh_until);
    it.stale_ms = from_now(meta.stale_until);
    it.cost_us = Some(meta.cost);
    it.leased = held.lease.is_some_and(|lease| lease.deadline > now);
    let state = |(tag, record): (&crate::key::Tag, &Option<crate::validity::TagRecord>)| TagState {
        tag: tag.to_string(),
        hard: record.filter(|r| r.inc == inc).map(|r| r.hard),
        soft: record.filter(|r| r.inc == inc).map(|r| r.soft),
    };
    it.tags = meta.tags.iter().zip(&held.tags).map(state).collect();
    match &held.body {
        Body::Live(live, bytes) => {
            it.bytes = Some(*bytes);
            let json = live.encode(Codec::Json).ok();
            it.value = json.and_then(|json| serde_json::from_slice(&json).ok());
        }
        Body::Packed(payload) => {
            it.stored_bytes = Some(payload.bytes.len());
            it.bytes = Some(payload.len as usize);
            it.value = match unpack(payload) {
                Ok((Codec::Raw, bytes)) => {
                    Some(String::from_utf8_lossy(&bytes).into_owned().into())
                }
                Ok((codec, bytes)) => decode(codec, &bytes).ok(),
                Err(_) => None,
            };
        }
    }
}

/// A value of any type: for questions that don't need it.
pub(crate) struct Any;

impl serde::Serialize for Any {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> serde::Deserialize<'de> for Any {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_ignored_any(serde::de::IgnoredAny)
            .map(|_| Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_entry_is_described_with_its_value() {
        let cache = Cache::memory();
        cache
            .entry("users:1")
            .tag("user:1")
            .set(vec![1, 2])
            .await
            .unwrap();
        let it = cache.inspect("users:1").await.unwrap();
        assert_eq!((it.state, it.reason), ("fresh", Reason::Fresh));
        assert_eq!(it.value, Some(serde_json::json!([1, 2])));
        let tags: Vec<_> = it.tags.iter().map(|t| t.tag.as_str()).collect();
        assert_eq!(tags, ["*", "users:*", "user:1"]);
        assert_eq!(cache.inspect("nobody").await.unwrap().state, "absent");
    }
}
