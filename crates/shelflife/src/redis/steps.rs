//! The contract of [`crate::store`], kept by Redis: the steps on one primary.
//!
//! One server holds control keys and entries, so a script may touch both: what PROTOCOL does in several
//! steps is one here, and atomic. The order of its steps is kept inside the script.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use redis::{Cmd, Value};

use super::address::Address;
use super::link::Link;
use super::names::Names;
use super::reply::{self, Answer};
use super::scripts::{self, Script};
use crate::clock::{Clock, Moment};
use crate::epoch::Epoch;
use crate::error::ErrorKind;
use crate::invalidation::Invalidation;
use crate::key::{Key, Tag};
use crate::record::{self, Lease, Record, Token};
use crate::settings::Settings;
use crate::store::{
    Begun, Body, Entry, Filled, Held, LoggedEvent, Slot, Snapshot, StoreError, StoreResult, Wanted,
};
use crate::validity::TagRecord;

mod overview;
mod scan;

/// How much longer than its entries the record of a tag is kept.
const TAG_SLACK: Duration = Duration::from_secs(60);
/// How long the record of a tag is kept that an invalidation created: longer than most entries live.
const TAG_KEEP: Duration = Duration::from_secs(24 * 3600);
/// How many entries one script stores, and how many keys one reads.
const BATCH: usize = 200;
/// How many names one script invalidates: Lua's stack bounds it.
const NAMES: usize = 1000;

pub(crate) struct RedisStore {
    link: Link,
    names: Names,
    clock: Clock,
    /// Server ms minus the process's ms, as of the last answer that told the time.
    offset_ms: AtomicI64,
    address: String,
}

impl RedisStore {
    pub(crate) async fn open(
        address: Address,
        settings: &Settings,
        clock: Clock,
    ) -> StoreResult<Self> {
        let store = Self {
            names: Names::of(&settings.namespace),
            address: address.shown(),
            link: Link::open(address, settings).await?,
            offset_ms: AtomicI64::new(clock.wall_offset_ms()),
            clock,
        };
        match store.clock().await {
            Err(error) if error.kind != ErrorKind::Unavailable => Err(error),
            _ => Ok(store),
        }
    }

    pub(crate) fn connection(&self) -> Option<redis::aio::MultiplexedConnection> {
        self.link.connection()
    }

    /// Host and port, without credentials.
    pub(crate) fn shown(&self) -> &str {
        &self.address
    }

    pub(crate) fn close(&self) {
        self.link.close();
    }

    pub(crate) fn server_ms(&self, now: Moment) -> u64 {
        now.as_ms()
            .saturating_add_signed(self.offset_ms.load(Ordering::Relaxed))
    }

    pub(crate) async fn ping(&self) -> StoreResult<()> {
        self.link.call(&redis::cmd("PING")).await.map(|_| ())
    }

    /// The text of `INFO`, all sections that cost nothing.
    pub(crate) async fn info(&self) -> StoreResult<String> {
        let got = self.link.call(&redis::cmd("INFO")).await?;
        redis::FromRedisValue::from_redis_value(got)
            .map_err(|e| StoreError::new(ErrorKind::Store, format!("INFO gave no text: {e}")))
    }

    async fn run(&self, script: &Script, keys: &[&str], args: &[&[u8]]) -> StoreResult<Value> {
        let with = |mut cmd: Cmd| {
            cmd.arg(keys).arg(args);
            cmd
        };
        let by_digest = with(script.evalsha(keys.len()));
        self.link
            .call_script(by_digest, || with(script.eval(keys.len())))
            .await
    }

    /// Runs a script that begins with the prelude; keeps the server's time that it tells.
    async fn control(
        &self,
        what: &str,
        script: &Script,
        keys: &[&str],
        args: &[&[u8]],
    ) -> StoreResult<Answer> {
        let inc = format!("{:016x}", fastrand::u64(1..));
        let all_keys: Vec<&str> = [self.names.clock.as_str(), &self.names.log]
            .into_iter()
            .chain(keys.iter().copied())
            .collect();
        let all_args: Vec<&[u8]> = std::iter::once(inc.as_bytes())
            .chain(args.iter().copied())
            .collect();
        let answer = reply::answer(what, self.run(script, &all_keys, &all_args).await?)?;
        let offset = answer.server_ms as i64 - self.clock.now().as_ms() as i64;
        self.offset_ms.store(offset, Ordering::Relaxed);
        Ok(answer)
    }

    pub(crate) async fn clock(&self) -> StoreResult<Epoch> {
        Ok(self
            .control("clock", &scripts::CLOCK, &[], &[])
            .await?
            .clock)
    }

    fn tag_names(&self, tags: &[Tag]) -> Vec<String> {
        tags.iter().map(|t| self.names.tag(t.as_str())).collect()
    }

    fn lease_record(&self, key: &str, wanted: Wanted) -> Vec<u8> {
        let deadline = self.server_ms(self.clock.now()) + millis(wanted.lease);
        record::encode_lease(
            Lease {
                token: wanted.token,
                deadline,
            },
            key,
        )
    }

    pub(crate) async fn read(
        &self,
        key: &str,
        hints: &[Tag],
        wanted: Option<Wanted>,
    ) -> StoreResult<Snapshot> {
        let name = self.names.entry(key);
        let mut mget = redis::cmd("MGET");
        mget.arg(&self.names.clock).arg(&name);
        for tag in hints {
            mget.arg(self.names.tag(tag.as_str()));
        }
        // A read that finds no clock has it made, and reads again: `good` is a clock from before the GET.
        for _ in 0..3 {
            let sent = self.clock.now();
            let (got, granted) = match wanted {
                None => (self.link.call(&mget).await?, false),
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
        let mut got = self.link.call_all(&pipeline, 2).await?.into_iter();
        let (read, placed) = (
            got.next().unwrap_or(Value::Nil),
            got.next().unwrap_or(Value::Nil),
        );
        Ok((read, placed == Value::Okay))
    }

    async fn slot(
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
        for tag in &meta.tags {
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
            let got = reply::array("MGET", self.link.call(&mget).await?)?;
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

    pub(crate) async fn read_many(&self, keys: &[Arc<str>]) -> StoreResult<Vec<Snapshot>> {
        let mut all = Vec::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            all.extend(self.read_batch(batch).await?);
        }
        Ok(all)
    }

    async fn read_batch(&self, keys: &[Arc<str>]) -> StoreResult<Vec<Snapshot>> {
        let names: Vec<String> = keys.iter().map(|key| self.names.entry(key)).collect();
        let mut all: Vec<&str> = vec![&self.names.clock];
        all.extend(names.iter().map(String::as_str));
        for _ in 0..3 {
            let sent = self.clock.now();
            let got = self
                .run(
                    &scripts::READ_MANY,
                    &all,
                    &[self.names.tag_prefix.as_bytes()],
                )
                .await?;
            let mut parts = reply::array("read_many", got)?
                .into_iter()
                .map(|v| reply::array("read_many", v));
            let mut part = || parts.next().unwrap_or(Ok(Vec::new()));
            let (raw, order, records) = (part()?, part()?, part()?);
            let tags: std::collections::HashMap<Tag, TagRecord> = order
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
                slot: slot_with(key, value, &tags),
                granted: false,
                tags_known: false,
            };
            return Ok(keys.iter().zip(raw).map(slot).collect());
        }
        Err(StoreError::unavailable(
            "the clock is lost as fast as it is made",
        ))
    }

    pub(crate) async fn begin(&self, key: &str, seen: u64, wanted: Wanted) -> StoreResult<Begun> {
        let name = self.names.entry(key);
        let lease = millis(wanted.lease).to_string();
        let record = self.lease_record(key, wanted);
        let args: [&[u8]; 4] = [
            &seen.to_be_bytes(),
            wanted.token.bytes(),
            lease.as_bytes(),
            &record,
        ];
        let got = self.run(&scripts::BEGIN, &[&name], &args).await?;
        match reply::bytes(got).as_deref() {
            Some(b"granted") => Ok(Begun::Granted),
            Some(b"changed") => Ok(Begun::Changed),
            Some(b"held") => Ok(Begun::Held),
            other => Err(StoreError::new(
                ErrorKind::Store,
                format!("unexpected reply to begin: {other:?}"),
            )),
        }
    }

    pub(crate) async fn extend(&self, key: &str, wanted: Wanted) -> StoreResult<bool> {
        let lease = millis(wanted.lease).to_string();
        let args: [&[u8]; 2] = [wanted.token.bytes(), lease.as_bytes()];
        let got = self
            .run(&scripts::EXTEND, &[&self.names.entry(key)], &args)
            .await?;
        Ok(got == Value::Int(1))
    }

    pub(crate) async fn release(&self, key: &str, token: Token) -> StoreResult<()> {
        self.run(
            &scripts::RELEASE,
            &[&self.names.entry(key)],
            &[token.bytes()],
        )
        .await
        .map(|_| ())
    }

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

    pub(crate) async fn set(&self, entries: Vec<Entry>) -> StoreResult<Epoch> {
        let mut last = None;
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            last = Some(self.set_batch(entries.by_ref().take(BATCH)).await?);
        }
        match last {
            Some(epoch) => Ok(epoch),
            None => self.clock().await,
        }
    }

    async fn set_batch(&self, entries: impl Iterator<Item = Entry>) -> StoreResult<Epoch> {
        let (mut names, mut args): (Vec<String>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
        for entry in entries {
            names.push(self.names.entry(&entry.key));
            names.extend(self.tag_names(&entry.meta.tags));
            let (keep, keep_tags) = keeps(&entry);
            let key = entry.key.clone();
            args.push(entry.meta.tags.len().to_string().into());
            args.push(packed(entry)?);
            args.push(keep.into());
            args.push(keep_tags.into());
            args.push(key.as_bytes().to_vec());
        }
        let keys: Vec<&str> = names.iter().map(String::as_str).collect();
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        Ok(self
            .control("set", &scripts::SET, &keys, &args)
            .await?
            .clock)
    }

    pub(crate) async fn begin_write(
        &self,
        key: &str,
        tags: &[Tag],
        keep: Duration,
        wanted: Wanted,
    ) -> StoreResult<Epoch> {
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
        let (name, tags) = (
            self.names.entry(&entry.key),
            self.tag_names(&entry.meta.tags),
        );
        let mut keys: Vec<&str> = vec![&name];
        keys.extend(tags.iter().map(String::as_str));
        let (keep, keep_tags) = keeps(&entry);
        let key = entry.key.clone();
        let record = packed(entry)?;
        let args: [&[u8]; 5] = [
            token.bytes(),
            &record,
            keep.as_bytes(),
            keep_tags.as_bytes(),
            key.as_bytes(),
        ];
        let answer = self.control("write", &scripts::WRITE, &keys, &args).await?;
        Ok((answer.clock, answer.word.as_deref() == Some("stored")))
    }

    /// PROTOCOL §5 and, for patterns, §6: the scan first, then the control script, which refuses
    /// nothing here because it runs on the one server that was scanned; if that has become another
    /// meanwhile, all is done again.
    pub(crate) async fn invalidate(
        &self,
        what: &Invalidation,
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Epoch> {
        if what.keys.len() + what.tags.len() > NAMES {
            return self.invalidate_in_parts(what, event).await;
        }
        for _ in 0..3 {
            let replid = match what.patterns.is_empty() {
                true => None,
                false => Some(
                    self.control("clock", &scripts::CLOCK, &[], &[])
                        .await?
                        .replid,
                ),
            };
            for pattern in &what.patterns {
                self.unlink_matches(pattern).await?;
            }
            let answer = self.invalidate_control(what, event).await?;
            if replid.is_none_or(|r| r == answer.replid) {
                return Ok(answer.clock);
            }
        }
        Err(StoreError::unavailable(
            "the primary changed again and again during the scan",
        ))
    }

    /// More names than one script takes: in parts, one after another. The last part's epoch covers all.
    async fn invalidate_in_parts(
        &self,
        what: &Invalidation,
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Epoch> {
        let part = |keys: &[Key<'static>], tags: &[Tag]| Invalidation {
            keys: keys.to_vec(),
            tags: tags.to_vec(),
            patterns: Vec::new(),
            soft: what.soft,
        };
        for keys in what.keys.chunks(NAMES) {
            self.invalidate_control(&part(keys, &[]), None).await?;
        }
        for tags in what.tags.chunks(NAMES) {
            self.invalidate_control(&part(&[], tags), None).await?;
        }
        let rest = Invalidation {
            patterns: what.patterns.clone(),
            ..part(&[], &[])
        };
        Box::pin(self.invalidate(&rest, event)).await
    }

    async fn invalidate_control(
        &self,
        what: &Invalidation,
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Answer> {
        let names: Vec<String> = what
            .keys
            .iter()
            .map(|key| self.names.entry(key.as_str()))
            .chain(what.tags.iter().map(|tag| self.names.tag(tag.as_str())))
            .collect();
        let keys: Vec<&str> = names.iter().map(String::as_str).collect();
        let entries = what.keys.len().to_string();
        let keep = millis(TAG_KEEP).to_string();
        let mode: &[u8] = if what.soft { b"soft" } else { b"hard" };
        let mut args: Vec<&[u8]> = vec![entries.as_bytes(), mode, keep.as_bytes()];
        args.extend(log_body(what, event));
        self.control("invalidate", &scripts::INVALIDATE, &keys, &args)
            .await
    }
}

/// The fields of the log entry: `k`, `t`, `g` for keys, tags and globs (`K`, `T` when soft), `e` and
/// `d` for an event.
fn log_body<'a>(what: &'a Invalidation, event: Option<&'a LoggedEvent>) -> Vec<&'a [u8]> {
    let (key, tag): (&[u8], &[u8]) = if what.soft {
        (b"K", b"T")
    } else {
        (b"k", b"t")
    };
    let mut body: Vec<&[u8]> = Vec::new();
    for name in &what.keys {
        body.extend([key, name.as_str().as_bytes()]);
    }
    for name in &what.tags {
        body.extend([tag, name.as_str().as_bytes()]);
    }
    for pattern in &what.patterns {
        body.extend([b"g".as_slice(), pattern.as_str().as_bytes()]);
    }
    if let Some(event) = event {
        body.extend([
            b"e".as_slice(),
            event.name.as_bytes(),
            b"d",
            event.payload.as_bytes(),
        ]);
    }
    body
}

fn slot_with(key: &str, value: Value, tags: &std::collections::HashMap<Tag, TagRecord>) -> Slot {
    match reply::entry(value, key) {
        None => Slot::Empty,
        Some(Err((reason, seen))) => Slot::Bad { reason, seen },
        Some(Ok(Record { payload: None, .. })) => Slot::Leased,
        Some(Ok(Record {
            meta,
            lease,
            payload: Some(payload),
        })) => {
            let tags = meta.tags.iter().map(|tag| tags.get(tag).copied()).collect();
            Slot::Value(Box::new(Held {
                meta,
                lease,
                body: Body::Packed(payload),
                tags,
            }))
        }
    }
}

/// How long to keep an entry and the records of its tags, in ms, as arguments.
fn keeps(entry: &Entry) -> (String, String) {
    (
        millis(entry.keep).max(1).to_string(),
        millis(entry.keep + TAG_SLACK).to_string(),
    )
}

fn packed(entry: Entry) -> StoreResult<Vec<u8>> {
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

fn millis(d: Duration) -> u64 {
    // Redis refuses times whose end does not fit: a century is for ever here.
    u64::try_from(d.as_millis())
        .unwrap_or(u64::MAX)
        .min(100 * 365 * 24 * 3600 * 1000)
}
