//! Reads, where keys lie apart: the clock, then the entry, then its tags, each answered before the next is asked.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use redis::{Cmd, Value};

use super::super::examine::{Examined, Stood, stood};
use super::super::read::slot_with;
use super::super::{RedisStore, millis};
use crate::epoch::Epoch;
use crate::key::Tag;
use crate::reason::Reason;
use crate::redis::link::{At, refused};
use crate::redis::reply;
use crate::store::{Slot, Snapshot, StoreError, StoreResult, Wanted};
use crate::validity::TagRecord;

impl RedisStore {
    pub(in crate::redis::steps) async fn read_apart(
        &self,
        key: &str,
        hints: &[Tag],
        wanted: Option<Wanted>,
    ) -> StoreResult<Snapshot> {
        let name = self.names.entry(key);
        let sent = self.clock.now();
        let (clock, hinted) = self.clock_and(hints).await?;
        let known = |tag: &Option<TagRecord>| tag.is_some_and(|tag| tag.inc == clock.inc);
        let tags_known = hinted.iter().all(known);
        let (stored, granted) = match wanted {
            None => (self.entry_of_primary(&name).await?, false),
            Some(wanted) => self.entry_or_lease(&name, key, wanted).await?,
        };
        // What was known of the tags before the entry says nothing of it: they are asked for now.
        let slot = self.slot(key, stored, &[], Vec::new()).await?;
        Ok(Snapshot {
            clock,
            sent,
            slot,
            granted,
            tags_known,
        })
    }

    pub(in crate::redis::steps) async fn read_batch_apart(
        &self,
        keys: &[Arc<str>],
    ) -> StoreResult<Vec<StoreResult<Snapshot>>> {
        let sent = self.clock.now();
        let (clock, _) = self.clock_and(&[]).await?;
        let names: Vec<String> = keys.iter().map(|key| self.names.entry(key)).collect();
        let stored = join_all(names.iter().map(|name| self.entry_of_primary(name))).await;
        // Without their tags at first; then with all of them, asked for in one.
        let first: Vec<StoreResult<Slot>> = keys
            .iter()
            .zip(stored)
            .map(|(key, value)| Ok(slot_with(key, value?, |_| Vec::new())))
            .collect();
        // One node that is away takes nothing from what lies on the others.
        if let Some(Err(error)) = first.first()
            && first.iter().all(Result::is_err)
        {
            return Err(error.clone());
        }
        let mut tags = HashMap::new();
        for slot in &first {
            if let Ok(Slot::Value(held)) = slot {
                tags.extend(held.meta.tags.iter().map(|tag| (tag.clone(), None)));
            }
        }
        self.look_up(&mut tags).await?;
        let with_tags = |slot: Slot| match slot {
            Slot::Value(mut held) => {
                let records = held.meta.tags.iter();
                held.tags = records
                    .map(|tag| tags.get(tag).copied().flatten())
                    .collect();
                Slot::Value(held)
            }
            other => other,
        };
        let snapshot = |slot| Snapshot {
            clock,
            sent,
            slot: with_tags(slot),
            granted: false,
            tags_known: false,
        };
        Ok(first.into_iter().map(|slot| slot.map(snapshot)).collect())
    }

    pub(in crate::redis::steps) async fn examine_apart(
        &self,
        name: &str,
        redis_name: &str,
        tags: &[Tag],
    ) -> StoreResult<Examined> {
        let (clock, _) = self.clock_and(&[]).await?;
        let mut pipeline = redis::pipe();
        for command in ["GET", "TYPE", "PTTL"] {
            pipeline.cmd(command).arg(redis_name);
        }
        let got = self
            .link
            .call_all(At::Name(redis_name), &pipeline, 3)
            .await?;
        let mut got = got.into_iter();
        let stored = got.next().filter(|v| !matches!(v, Value::ServerError(_)));
        let is_string = match got.next() {
            Some(Value::SimpleString(kind)) => kind == "string" || kind == "none",
            _ => true,
        };
        let stood = match stood(stored.unwrap_or(Value::Nil), name) {
            Stood::Absent if !is_string => Stood::Bad(Reason::WrongType),
            stood => stood,
        };
        let mut known = HashMap::new();
        self.add_tags(tags, &mut known).await?;
        if let Stood::Value(meta) = &stood {
            self.add_tags(&meta.tags, &mut known).await?;
        }
        Ok(Examined {
            clock,
            stood,
            tags: known,
            never_expires: got.next() == Some(Value::Int(-1)),
        })
    }

    /// The clock, made if there is none, with the records of some tags.
    async fn clock_and(&self, tags: &[Tag]) -> StoreResult<(Epoch, Vec<Option<TagRecord>>)> {
        let mut mget = redis::cmd("MGET");
        mget.arg(&self.names.clock).arg(self.tag_names(tags));
        for _ in 0..3 {
            let got = reply::array("MGET", self.ask_primary(&mget).await?)?;
            if let Some(clock) = got.first().and_then(reply::clock) {
                return Ok((clock, got.iter().skip(1).map(reply::tag).collect()));
            }
            self.clock().await?;
        }
        Err(StoreError::unavailable(
            "the clock is lost as fast as it is made",
        ))
    }

    /// An entry, in a way that only a primary answers: behind the read goes a write that changes nothing.
    async fn entry_of_primary(&self, name: &str) -> StoreResult<Value> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("GET").arg(name);
        pipeline.cmd("SETRANGE").arg(name).arg(0).arg("");
        let got = self.link.call_as_one(At::Name(name), &pipeline, 2).await?;
        read_of(got.into_iter().next())
    }

    /// The entry, and behind it our lease if there is nothing; whether that was placed. A server that takes no writes, for want of
    /// memory say, is read all the same.
    async fn entry_or_lease(
        &self,
        name: &str,
        key: &str,
        wanted: Wanted,
    ) -> StoreResult<(Value, bool)> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("GET").arg(name);
        let set = pipeline.cmd("SET").arg(name);
        set.arg(self.lease_record(key, wanted)).arg("NX");
        set.arg("PX").arg(millis(wanted.lease));
        let got = self.link.call_as_one(At::Name(name), &pipeline, 2).await?;
        let mut got = got.into_iter();
        let stored = read_of(got.next())?;
        Ok((stored, got.next() == Some(Value::Okay)))
    }

    /// Fills in the records of tags.
    async fn look_up(&self, tags: &mut HashMap<Tag, Option<TagRecord>>) -> StoreResult<()> {
        if tags.is_empty() {
            return Ok(());
        }
        let wanted: Vec<Tag> = tags.keys().cloned().collect();
        let mut mget = Cmd::new();
        mget.arg("MGET").arg(self.tag_names(&wanted));
        let got = reply::array("MGET", self.ask_primary(&mget).await?)?;
        tags.extend(wanted.into_iter().zip(got.iter().map(reply::tag)));
        Ok(())
    }
}

/// What a `GET` of an entry gave.
fn read_of(got: Option<Value>) -> StoreResult<Value> {
    match got.unwrap_or(Value::Nil).extract_error() {
        Ok(value) => Ok(value),
        // What is no string is no entry: that is for a reader to say.
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(Value::Int(0)),
        Err(error) => Err(refused(&error)),
    }
}
