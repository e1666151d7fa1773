//! Looking closely at what is stored, for an audit: with the records of any tags, and what a reader of
//! values never asks (type, expiry, names that nobody should have written).

use std::collections::HashMap;

use bytes::Bytes;
use redis::Value;

use super::RedisStore;
use crate::epoch::Epoch;
use crate::key::{Tag, head_of_shortened};
use crate::reason::Reason;
use crate::record::{self, Record};
use crate::redis::link::At;
use crate::redis::reply;
use crate::store::{StoreError, StoreResult};
use crate::validity::{Meta, TagRecord};

/// What stands under an entry's name.
#[derive(Clone, Debug)]
pub(crate) enum Stood {
    Absent,
    /// A lease, no value.
    Leased,
    /// Something that is no entry of this key.
    Bad(Reason),
    Value(Box<Meta>),
}

/// An entry as it is stored, with the clock that was read before it.
#[derive(Clone, Debug)]
pub(crate) struct Examined {
    pub(crate) clock: Epoch,
    pub(crate) stood: Stood,
    /// The records of the tags that were asked for, and of the entry's own.
    pub(crate) tags: HashMap<Tag, Option<TagRecord>>,
    /// Whether it is there without an expiry: it would stay for ever.
    pub(crate) never_expires: bool,
}

/// What kind of thing a name of the namespace stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// The record of a tag.
    Tag(String),
    /// Clock, log or members.
    Bookkeeping,
    /// An entry.
    Entry,
    /// Nothing that this version writes.
    Unknown,
}

impl RedisStore {
    /// The clock, then the entry, then the tags, on the primary; then what else there is to know.
    pub(crate) async fn examine(&self, name: &str, tags: &[Tag]) -> StoreResult<Examined> {
        let redis_name = format!("{}{name}", self.names.entry_prefix);
        if self.link.is_apart() {
            return self.examine_apart(name, &redis_name, tags).await;
        }
        for _ in 0..3 {
            let mut pipeline = redis::pipe();
            pipeline
                .cmd("MGET")
                .arg(&self.names.clock)
                .arg(&redis_name)
                .arg(self.tag_names(tags));
            pipeline.cmd("TYPE").arg(&redis_name);
            pipeline.cmd("PTTL").arg(&redis_name);
            let got = self.link.call_all(At::Control, &pipeline, 3).await?;
            let mut got = got.into_iter();
            let mut items = reply::array("MGET", got.next().unwrap_or(Value::Nil))?.into_iter();
            let Some(clock) = items.next().as_ref().and_then(reply::clock) else {
                self.clock().await?;
                continue;
            };
            let stored = items.next().unwrap_or(Value::Nil);
            let records = items.map(|item| reply::tag(&item));
            let mut known: HashMap<Tag, _> = tags.iter().cloned().zip(records).collect();
            let is_string = match got.next() {
                Some(Value::SimpleString(kind)) => kind == "string" || kind == "none",
                _ => true,
            };
            let stood = match stood(stored, name) {
                Stood::Absent if !is_string => Stood::Bad(Reason::WrongType),
                stood => stood,
            };
            if let Stood::Value(meta) = &stood {
                self.add_tags(&meta.tags, &mut known).await?;
            }
            return Ok(Examined {
                clock,
                stood,
                tags: known,
                never_expires: got.next() == Some(Value::Int(-1)),
            });
        }
        Err(StoreError::unavailable(
            "the clock is lost as fast as it is made",
        ))
    }

    pub(super) async fn add_tags(
        &self,
        tags: &[Tag],
        known: &mut HashMap<Tag, Option<TagRecord>>,
    ) -> StoreResult<()> {
        let missing = tags.iter().filter(|tag| !known.contains_key(*tag));
        let missing: Vec<Tag> = missing.cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut mget = redis::cmd("MGET");
        mget.arg(self.tag_names(&missing));
        let got = reply::array("MGET", self.link.call(At::Control, &mget).await?)?;
        known.extend(missing.into_iter().zip(got.iter().map(reply::tag)));
        Ok(())
    }

    /// One step of a scan over all names of the namespace, control keys too, and the next cursor.
    pub(crate) async fn scan_names(
        &self,
        control: bool,
        cursor: u64,
        page: usize,
    ) -> StoreResult<(Vec<String>, Option<u64>)> {
        let prefix = match control {
            true => self.names.control_prefix(),
            false => self.names.namespace_prefix(),
        };
        let (names, next) = self.scan(&format!("{prefix}*"), cursor, page).await?;
        let text = |name: &Bytes| String::from_utf8_lossy(name).into_owned();
        Ok((names.iter().map(text).collect(), next))
    }

    /// What a name of the namespace stands for.
    pub(crate) fn named(&self, name: &str) -> Named {
        let names = &self.names;
        if let Some(tag) = name.strip_prefix(&names.tag_prefix) {
            return Named::Tag(tag.to_owned());
        }
        if names.control_keys().iter().any(|key| key == name) {
            return Named::Bookkeeping;
        }
        match names.key_of(name) {
            Some(_) => Named::Entry,
            None => Named::Unknown,
        }
    }

    /// The key of an entry's name, as far as it tells: a long one is a head and a digest.
    pub(crate) fn entry_name<'a>(&self, name: &'a str) -> Option<&'a str> {
        self.names.key_of(name)
    }

    /// Of records of tags, by their names in Redis: whether each can be read, and whether it expires.
    pub(crate) async fn examine_tags(&self, names: &[String]) -> StoreResult<Vec<(bool, bool)>> {
        let mut pipeline = redis::pipe();
        for name in names {
            pipeline.cmd("GET").arg(name);
            pipeline.cmd("PTTL").arg(name);
        }
        let got = self.link.call_all(At::Control, &pipeline, names.len() * 2);
        let got = got.await?;
        let state = |pair: &[Value]| {
            let gone = pair.get(1) == Some(&Value::Int(-2));
            let readable = pair.first().is_some_and(|r| reply::tag(r).is_some());
            (gone || readable, pair.get(1) != Some(&Value::Int(-1)))
        };
        Ok(got.chunks(2).map(state).collect())
    }
}

pub(super) fn stood(stored: Value, name: &str) -> Stood {
    let Some(bytes) = reply::bytes(stored) else {
        return Stood::Absent;
    };
    let parsed = match head_of_shortened(name) {
        None => record::parse(&bytes, name),
        // The key of a shortened name is not known, only that it was long.
        Some(_) => record::parse_any(&bytes).map(|(record, _, _)| record),
    };
    match parsed {
        Err(reason) => Stood::Bad(reason),
        Ok(Record { payload: None, .. }) => Stood::Leased,
        Ok(Record { meta, .. }) => Stood::Value(Box::new(meta)),
    }
}
