//! Fills and announced writes: a record goes in, with the records of its tags.

use std::time::Duration;

use super::{RedisStore, TAG_SLACK, millis};
use crate::epoch::Epoch;
use crate::error::ErrorKind;
use crate::key::Tag;
use crate::record::{self, Record, Token};
use crate::redis::scripts;
use crate::store::{Body, Entry, Filled, StoreError, StoreResult, Wanted};

impl RedisStore {
    pub(crate) async fn ensure_tags(&self, tags: &[Tag], keep: Duration) -> StoreResult<Epoch> {
        let names = self.tag_names(tags);
        let keys: Vec<&str> = names.iter().map(String::as_str).collect();
        let keep = millis(keep + TAG_SLACK).to_string();
        Ok(self
            .control("ensure", &scripts::ENSURE, &keys, &[keep.as_bytes()])
            .await?
            .clock)
    }

    pub(crate) async fn fill(&self, entry: Entry, token: Token) -> StoreResult<Filled> {
        if self.link.is_apart() {
            return self.fill_apart(entry, token).await;
        }
        let epoch = entry.meta.epoch;
        let (name, tags) = (
            self.names.entry(&entry.key),
            self.tag_names(&entry.meta.tags),
        );
        let mut keys: Vec<&str> = vec![&name];
        keys.extend(tags.iter().map(String::as_str));
        let (inc, tick) = (format!("{:016x}", epoch.inc), epoch.tick.to_string());
        let (keep, keep_tags) = keeps(&entry);
        let record = packed(entry)?;
        let args: [&[u8]; 6] = [
            token.bytes(),
            inc.as_bytes(),
            tick.as_bytes(),
            &record,
            keep.as_bytes(),
            keep_tags.as_bytes(),
        ];
        let answer = self.control("fill", &scripts::FILL, &keys, &args).await?;
        match answer.word.as_deref() {
            Some("stored") => Ok(Filled::Stored(answer.clock)),
            Some("overtaken") => Ok(Filled::Overtaken(answer.clock)),
            _ => Ok(Filled::LeaseLost(answer.clock)),
        }
    }

    pub(crate) async fn begin_write(
        &self,
        key: &str,
        tags: &[Tag],
        keep: Duration,
        wanted: Wanted,
    ) -> StoreResult<Epoch> {
        if self.link.is_apart() {
            return self.begin_write_apart(key, tags, keep, wanted).await;
        }
        let (name, tags) = (self.names.entry(key), self.tag_names(tags));
        let mut keys: Vec<&str> = vec![&name];
        keys.extend(tags.iter().map(String::as_str));
        let lease = millis(wanted.lease).to_string();
        let record = self.lease_record(key, wanted);
        let keep_tags = millis(keep + TAG_SLACK).to_string();
        let args: [&[u8]; 4] = [
            wanted.token.bytes(),
            lease.as_bytes(),
            &record,
            keep_tags.as_bytes(),
        ];
        Ok(self
            .control("begin_write", &scripts::BEGIN_WRITE, &keys, &args)
            .await?
            .clock)
    }

    pub(crate) async fn write(&self, entry: Entry, token: Token) -> StoreResult<(Epoch, bool)> {
        if self.link.is_apart() {
            return self.write_apart(entry, token).await;
        }
        let (name, tags) = (
            self.names.entry(&entry.key),
            self.tag_names(&entry.meta.tags),
        );
        let mut keys: Vec<&str> = vec![&name];
        keys.extend(tags.iter().map(String::as_str));
        let (keep, keep_tags) = keeps(&entry);
        let key = entry.key.clone();
        let record = packed(entry)?;
        let args: [&[u8]; 6] = [
            token.bytes(),
            &record,
            keep.as_bytes(),
            keep_tags.as_bytes(),
            key.as_bytes(),
            self.member().as_bytes(),
        ];
        let answer = self.control("write", &scripts::WRITE, &keys, &args).await?;
        Ok((answer.clock, answer.word.as_deref() == Some("stored")))
    }
}

/// How long to keep an entry and the records of its tags, in ms, as arguments.
pub(super) fn keeps(entry: &Entry) -> (String, String) {
    (
        millis(entry.keep).max(1).to_string(),
        millis(entry.keep + TAG_SLACK).to_string(),
    )
}

pub(super) fn packed(entry: Entry) -> StoreResult<Vec<u8>> {
    let Body::Packed(payload) = entry.body else {
        return Err(StoreError::new(
            ErrorKind::Store,
            "a live value reached Redis unpacked",
        ));
    };
    Ok(record::encode(
        &Record {
            meta: entry.meta,
            lease: None,
            payload: Some(payload),
        },
        &entry.key,
    ))
}
