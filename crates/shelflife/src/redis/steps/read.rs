//! Reads: clock, entry and tags in one command, and the lease in the same round trip.

use std::collections::HashMap;
use std::sync::Arc;

use redis::{Cmd, Value};

use super::{BATCH, RedisStore, millis};
use crate::key::Tag;
use crate::record::Record;
use crate::redis::link::{At, refused};
use crate::redis::{reply, scripts};
use crate::store::{Body, Fetched, Held, Slot, Snapshot, StoreError, StoreResult, Wanted};
use crate::validity::{Meta, TagRecord};

impl RedisStore {
    pub(crate) async fn read(
        &self,
        key: &str,
        hints: &[Tag],
        wanted: Option<Wanted>,
    ) -> StoreResult<Snapshot> {
        if self.link.is_apart() {
            return self.read_apart(key, hints, wanted).await;
        }
        let name = self.names.entry(key);
        let mget = self.mget(&name, hints);
        // A read that finds no clock has it made, and reads again: `good` is a clock from before the GET.
        for _ in 0..3 {
            let sent = self.clock.now();
            let (got, granted) = match wanted {
                None => (self.ask_primary(&mget).await?, false),
                Some(wanted) => self.read_or_lease(&mget, &name, key, wanted).await?,
            };
            let mut items = reply::array("MGET", got)?.into_iter();
            let clock = items.next().as_ref().and_then(reply::clock);
            let stored = items.next().unwrap_or(Value::Nil);
            let Some(clock) = clock else {
                self.clock().await?;
                continue;
            };
            let tags: Vec<_> = items.map(|v| reply::tag(&v)).collect();
            let tags_known = tags.iter().all(|t| t.is_some_and(|t| t.inc == clock.inc));
            let slot = self.slot(key, stored, hints, tags).await?;
            return Ok(Snapshot {
                clock,
                sent,
                slot,
                granted,
                tags_known,
            });
        }
        Err(StoreError::unavailable(
            "the clock is lost as fast as it is made",
        ))
    }

    /// Reads in a way that only a primary answers: a server that was one and has become a replica goes on
    /// answering reads, on connections that it has. Behind the read goes a write that changes nothing; a
    /// replica refuses it, and so does a primary that has lost its replicas. Where it is refused because the server is full or its disk
    /// fails, the link asks who it is. Other refusals, for want of rights say, do not tell.
    pub(super) async fn ask_primary(&self, read: &Cmd) -> StoreResult<Value> {
        let mut write = redis::cmd("PERSIST");
        write.arg(&self.names.clock);
        let mut pipeline = redis::pipe();
        pipeline.add_command(read.clone()).add_command(write);
        let got = self
            .link
            .call_as_one(At::Control, &pipeline, 2)
            .await?
            .into_iter()
            .next();
        got.unwrap_or(Value::Nil)
            .extract_error()
            .map_err(|e| refused(&e))
    }

    /// The entry alone: `GET`, or where a lease is wanted `SET … NX GET`, which is both in one command.
    pub(crate) async fn fetch(&self, key: &str, wanted: Option<Wanted>) -> StoreResult<Fetched> {
        let name = self.names.entry(key);
        let sent = self.clock.now();
        let stored = match wanted {
            None => {
                let mut get = Cmd::with_capacity(2, "GET".len() + name.len());
                get.arg("GET").arg(&name);
                self.link.call(At::Name(&name), &get).await?
            }
            Some(wanted) => {
                let lease = self.lease_record(key, wanted);
                let mut set = Cmd::with_capacity(7, name.len() + lease.len() + 32);
                set.arg("SET").arg(&name).arg(&lease[..]).arg("NX");
                set.arg("GET").arg("PX").arg(millis(wanted.lease));
                self.link.call(At::Name(&name), &set).await?
            }
        };
        let granted = wanted.is_some() && stored == Value::Nil;
        let slot = slot_with(key, stored, |_| Vec::new());
        Ok(Fetched {
            slot,
            sent,
            granted,
        })
    }

    /// Clock, entry and tags in one command, executed in this order.
    fn mget(&self, name: &str, hints: &[Tag]) -> Cmd {
        // Sized beforehand: this runs for every read that L1 does not answer.
        let tag_bytes: usize = hints.iter().map(|tag| tag.as_str().len()).sum();
        let bytes = "MGET".len()
            + self.names.clock.len()
            + name.len()
            + hints.len() * self.names.tag_prefix.len()
            + tag_bytes;
        let mut mget = Cmd::with_capacity(3 + hints.len(), bytes);
        mget.arg("MGET").arg(&self.names.clock).arg(name);
        let mut tag_name = self.names.tag_prefix.clone();
        for tag in hints {
            tag_name.truncate(self.names.tag_prefix.len());
            tag_name.push_str(tag.as_str());
            mget.arg(&tag_name);
        }
        mget
    }

    /// The read, and in the same round trip our lease if there is nothing.
    async fn read_or_lease(
        &self,
        mget: &Cmd,
        name: &str,
        key: &str,
        wanted: Wanted,
    ) -> StoreResult<(Value, bool)> {
        let lease = self.lease_record(key, wanted);
        let mut set = redis::cmd("SET");
        set.arg(name)
            .arg(lease)
            .arg("NX")
            .arg("PX")
            .arg(millis(wanted.lease));
        let mut pipeline = redis::pipe();
        pipeline.add_command(mget.clone()).add_command(set);
        let got = self.link.call_all(At::Control, &pipeline, 2).await?;
        let mut got = got.into_iter();
        let (read, placed) = (
            got.next().unwrap_or(Value::Nil),
            got.next().unwrap_or(Value::Nil),
        );
        Ok((read, placed == Value::Okay))
    }

    pub(super) async fn slot(
        &self,
        key: &str,
        stored: Value,
        hints: &[Tag],
        known: Vec<Option<TagRecord>>,
    ) -> StoreResult<Slot> {
        let Record {
            meta,
            lease,
            payload,
        } = match reply::entry(stored, key) {
            None => return Ok(Slot::Empty),
            Some(Err((reason, seen))) => return Ok(Slot::Bad { reason, seen }),
            Some(Ok(record)) => record,
        };
        let Some(payload) = payload else {
            return Ok(Slot::Leased);
        };
        let mut tags: Vec<Option<TagRecord>> = Vec::with_capacity(meta.tags.len());
        let mut unknown = Vec::new();
        for tag in &*meta.tags {
            let hinted = hints.iter().position(|hint| hint == tag);
            if hinted.is_none() {
                unknown.push(tags.len());
            }
            tags.push(hinted.and_then(|at| known.get(at).copied().flatten()));
        }
        if !unknown.is_empty() {
            let mut mget = redis::cmd("MGET");
            for &at in &unknown {
                mget.arg(self.names.tag(meta.tags[at].as_str()));
            }
            let got = reply::array("MGET", self.ask_primary(&mget).await?)?;
            for (at, value) in unknown.into_iter().zip(got) {
                tags[at] = reply::tag(&value);
            }
        }
        Ok(Slot::Value(Box::new(Held {
            meta,
            lease,
            body: Body::Packed(payload),
            tags,
        })))
    }

    /// In a cluster some may fail, and others not.
    pub(crate) async fn read_many(
        &self,
        keys: &[Arc<str>],
    ) -> StoreResult<Vec<StoreResult<Snapshot>>> {
        let mut all = Vec::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            all.extend(match self.link.is_apart() {
                true => self.read_batch_apart(batch).await?,
                false => self.read_batch(batch).await?.into_iter().map(Ok).collect(),
            });
        }
        Ok(all)
    }

    async fn read_script(&self, keys: &[&str]) -> StoreResult<Value> {
        let with = |mut cmd: Cmd| {
            cmd.arg(keys).arg(&self.names.tag_prefix);
            cmd
        };
        let script = &scripts::READ_MANY;
        match self.ask_primary(&with(script.evalsha(keys.len()))).await {
            Err(error) if error.no_script => self.ask_primary(&with(script.eval(keys.len()))).await,
            got => got,
        }
    }

    async fn read_batch(&self, keys: &[Arc<str>]) -> StoreResult<Vec<Snapshot>> {
        let names: Vec<String> = keys.iter().map(|key| self.names.entry(key)).collect();
        let mut all: Vec<&str> = vec![&self.names.clock];
        all.extend(names.iter().map(String::as_str));
        for _ in 0..3 {
            let sent = self.clock.now();
            let got = self.read_script(&all).await?;
            let mut parts = reply::array("read_many", got)?
                .into_iter()
                .map(|v| reply::array("read_many", v));
            let mut part = || parts.next().unwrap_or(Ok(Vec::new()));
            let (raw, order, records) = (part()?, part()?, part()?);
            let tags: HashMap<Tag, TagRecord> = order
                .into_iter()
                .zip(&records)
                .filter_map(|(name, record)| {
                    let name = reply::bytes(name)?;
                    Some((
                        Tag::from_canonical(std::str::from_utf8(&name).ok()?),
                        reply::tag(record)?,
                    ))
                })
                .collect();
            let mut raw = raw.into_iter();
            let Some(clock) = raw.next().as_ref().and_then(reply::clock) else {
                self.clock().await?;
                continue;
            };
            let slot = |(key, value): (&Arc<str>, Value)| Snapshot {
                clock,
                sent,
                slot: slot_with(key, value, |meta| {
                    meta.tags.iter().map(|tag| tags.get(tag).copied()).collect()
                }),
                granted: false,
                tags_known: false,
            };
            return Ok(keys.iter().zip(raw).map(slot).collect());
        }
        Err(StoreError::unavailable(
            "the clock is lost as fast as it is made",
        ))
    }
}

/// What stands under a key, a value with the records of its tags as they are known.
pub(super) fn slot_with(
    key: &str,
    value: Value,
    tags: impl FnOnce(&Meta) -> Vec<Option<TagRecord>>,
) -> Slot {
    match reply::entry(value, key) {
        None => Slot::Empty,
        Some(Err((reason, seen))) => Slot::Bad { reason, seen },
        Some(Ok(Record { payload: None, .. })) => Slot::Leased,
        Some(Ok(Record {
            meta,
            lease,
            payload: Some(payload),
        })) => {
            let tags = tags(&meta);
            Slot::Value(Box::new(Held {
                meta,
                lease,
                body: Body::Packed(payload),
                tags,
            }))
        }
    }
}
