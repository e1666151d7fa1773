//! The log as a follower reads it: connections of its own, entries in order, beats.
//!
//! Two connections, because a blocked XREAD holds up whatever is sent behind it. Both belong to the
//! runtime that opened them.

use std::time::Duration;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Value};

use super::RedisStore;
use super::names::Names;
use super::reply;
use super::scripts::{self, Script};
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::key::{Key, Tag};
use crate::pattern::Pattern;
use crate::store::{BeatAnswer, LogEntry, Member, Members, StoreError, StoreResult};

/// How many entries one read of the log brings.
const PAGE: usize = 512;

/// A follower's connections.
pub(crate) struct LogLine {
    reading: MultiplexedConnection,
    beating: MultiplexedConnection,
    names: Names,
    patience: Duration,
}

impl RedisStore {
    /// Opens a follower's connections, on the runtime of the caller.
    pub(crate) async fn open_log(&self) -> StoreResult<LogLine> {
        Ok(LogLine {
            reading: self.link.dedicated().await?,
            beating: self.link.dedicated().await?,
            names: self.names.clone(),
            patience: self.link.timeout(),
        })
    }
}

impl RedisStore {
    /// Takes a member off the list.
    pub(crate) async fn leave(&self, member: &str) -> StoreResult<()> {
        let mut pipeline = redis::pipe();
        for list in [&self.names.members_applied, &self.names.members_beats] {
            pipeline.cmd("ZREM").arg(list).arg(member);
        }
        self.link.call_all(&pipeline, 2).await.map(|_| ())
    }

    /// The processes that follow the log.
    pub(crate) async fn members(&self) -> StoreResult<Members> {
        let inc = format!("{:016x}", fastrand::u64(1..));
        let keys = self.names.control_keys();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        members(
            self.run(&scripts::MEMBERS, &keys, &[inc.as_bytes()])
                .await?,
        )
    }
}

/// The answer of `members.lua`: the clock, when the list began, and three fields a member.
fn members(value: Value) -> StoreResult<Members> {
    let fields: Vec<String> = reply::array("members", value.clone())?
        .into_iter()
        .filter_map(reply::bytes)
        .map(|field| String::from_utf8_lossy(&field).into_owned())
        .collect();
    let answer = reply::answer("members", value)?;
    let member = |fields: &[String]| {
        let [name, applied, beat] = fields else {
            return None;
        };
        let (_, window) = name.rsplit_once('@')?;
        Some(Member {
            name: name.clone(),
            window: Duration::from_millis(window.parse().ok()?),
            applied: applied.parse().ok(),
            beat: beat.parse().ok()?,
        })
    };
    Ok(Members {
        clock: answer.clock,
        now: answer.server_ms,
        since: answer.word.and_then(|since| since.parse().ok()),
        all: fields
            .get(5..)
            .unwrap_or_default()
            .chunks(3)
            .filter_map(member)
            .collect(),
    })
}

impl LogLine {
    /// The entries behind `after`, in order; waits up to `block` for the first. Must be polled to its
    /// end: an answer that nobody takes is lost.
    pub(crate) fn read(
        &self,
        after: u64,
        block: Duration,
    ) -> impl Future<Output = StoreResult<Vec<LogEntry>>> + Send + use<> {
        let mut connection = self.reading.clone();
        let mut cmd = redis::cmd("XREAD");
        cmd.arg("COUNT")
            .arg(PAGE)
            .arg("BLOCK")
            .arg(block.as_millis().max(1) as u64);
        cmd.arg("STREAMS")
            .arg(&self.names.log)
            .arg(format!("{after}-0"));
        let patience = block + self.patience;
        async move { entries(ask(&mut connection, &cmd, patience).await?) }
    }

    /// Registers the member with what it has applied, and asks for the clock.
    pub(crate) fn beat(
        &self,
        member: &str,
        applied: Option<Epoch>,
        silent: Duration,
    ) -> impl Future<Output = StoreResult<BeatAnswer>> + Send + use<> {
        let mut connection = self.beating.clone();
        let (inc, tick) =
            applied.map_or((String::new(), 0), |a| (format!("{:016x}", a.inc), a.tick));
        let args = [
            format!("{:016x}", fastrand::u64(1..)),
            member.to_owned(),
            inc,
            tick.to_string(),
            silent.as_millis().to_string(),
        ];
        let names = self.names.clone();
        let patience = self.patience;
        async move {
            let with = |mut cmd: Cmd| {
                cmd.arg(&names.control_keys()[..]).arg(&args[..]);
                cmd
            };
            let value = run(&mut connection, &scripts::BEAT, with, patience).await?;
            let answer = reply::answer("beat", value)?;
            let last_logged = answer.word.as_deref().and_then(|w| w.parse().ok());
            Ok(BeatAnswer {
                clock: answer.clock,
                last_logged: last_logged.unwrap_or(0),
                replid: answer.replid,
                server_ms: answer.server_ms,
            })
        }
    }
}

impl Names {
    /// The keys of scripts that deal with members.
    pub(super) fn control_keys(&self) -> [String; 5] {
        [
            self.clock.clone(),
            self.log.clone(),
            self.members_since.clone(),
            self.members_applied.clone(),
            self.members_beats.clone(),
        ]
    }
}

async fn run(
    connection: &mut MultiplexedConnection,
    script: &Script,
    with: impl Fn(Cmd) -> Cmd,
    patience: Duration,
) -> StoreResult<Value> {
    let keys = 5;
    match ask(connection, &with(script.evalsha(keys)), patience).await {
        Err(error) if error.no_script => ask(connection, &with(script.eval(keys)), patience).await,
        got => got,
    }
}

/// Asks on a connection that has no response timeout of its own.
async fn ask(
    connection: &mut MultiplexedConnection,
    cmd: &Cmd,
    patience: Duration,
) -> StoreResult<Value> {
    let asked = tokio::time::timeout(patience, connection.req_packed_command(cmd)).await;
    let got = asked.map_err(|_| StoreError::unavailable("no answer in time"))?;
    got.and_then(Value::extract_error)
        .map_err(|e| super::link::refused(&e))
}

/// `XREAD`'s answer: nothing, or of one stream its entries, each an id and fields.
fn entries(value: Value) -> StoreResult<Vec<LogEntry>> {
    if value == Value::Nil {
        return Ok(Vec::new());
    }
    let what = "XREAD";
    let stream = reply::array(what, value)?
        .into_iter()
        .next()
        .unwrap_or(Value::Nil);
    let listed = reply::array(what, stream)?
        .into_iter()
        .nth(1)
        .unwrap_or(Value::Nil);
    let mut all = Vec::new();
    for item in reply::array(what, listed)? {
        let mut parts = reply::array(what, item)?.into_iter();
        let id = parts.next().and_then(reply::bytes);
        let fields = reply::array(what, parts.next().unwrap_or(Value::Nil))?;
        let text = |value: Value| {
            let bytes = reply::bytes(value)?;
            String::from_utf8(bytes.into()).ok()
        };
        let id = id.and_then(|id| tick_of(&id));
        let fields: Option<Vec<String>> = fields.into_iter().map(text).collect();
        let entry = id
            .zip(fields)
            .and_then(|(tick, fields)| entry(tick, &fields));
        // An entry that nobody can read may name anything: of no incarnation, it is a gap.
        all.push(entry.unwrap_or_else(|| LogEntry {
            epoch: Epoch::new(0, 0),
            prev: None,
            hard: Invalidation::new(),
            soft: Invalidation::new(),
        }));
    }
    Ok(all)
}

fn tick_of(id: &[u8]) -> Option<u64> {
    std::str::from_utf8(id)
        .ok()?
        .split_once('-')?
        .0
        .parse()
        .ok()
}

/// The fields of an entry, as `invalidate.lua` and the prelude write them.
fn entry(tick: u64, fields: &[String]) -> Option<LogEntry> {
    let (mut hard, mut soft) = (Invalidation::new(), Invalidation::new().soft());
    let (mut inc, mut prev) = (None, None);
    for pair in fields.chunks_exact(2) {
        let (field, text) = (pair[0].as_str(), pair[1].clone());
        match field {
            "i" => inc = u64::from_str_radix(&text, 16).ok(),
            "p" => prev = text.parse().ok(),
            "k" => hard.keys.push(Key::from_canonical(text)),
            "t" => hard.tags.push(Tag::from_canonical(&text)),
            "g" => hard.patterns.push(Pattern::new(text)),
            "K" => soft.keys.push(Key::from_canonical(text)),
            "T" => soft.tags.push(Tag::from_canonical(&text)),
            // What happened: an event and its payload, or why the clock jumped.
            "e" | "d" | "w" => {}
            // Written by a newer version: what it names is not known here.
            _ => return None,
        }
    }
    Some(LogEntry {
        epoch: Epoch::new(inc?, tick),
        prev,
        hard,
        soft,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<String> {
        pairs
            .iter()
            .flat_map(|(f, v)| [(*f).to_owned(), (*v).to_owned()])
            .collect()
    }

    #[test]
    fn entries_are_read_as_the_scripts_write_them() {
        let read = entry(
            12,
            &fields(&[
                ("i", "00000000000000ff"),
                ("p", "00000000000000ff:11"),
                ("k", "users:1"),
                ("t", "user:1"),
                ("g", "a*b*"),
                ("e", "user_updated"),
                ("d", "{}"),
            ]),
        )
        .unwrap();
        assert_eq!(
            (read.epoch, read.prev),
            (Epoch::new(255, 12), Some(Epoch::new(255, 11)))
        );
        assert_eq!(
            read.hard,
            Invalidation::new()
                .key("users:1")
                .tag("user:1")
                .pattern("a*b*")
        );
        assert!(read.soft.is_empty());
        let soft = entry(1, &fields(&[("i", "01"), ("p", ""), ("T", "*")])).unwrap();
        assert_eq!(soft.prev, None);
        assert_eq!(soft.soft, Invalidation::new().all().soft());
    }

    #[test]
    fn what_this_version_can_not_read_is_no_entry() {
        assert!(entry(1, &fields(&[("p", "")])).is_none(), "no incarnation");
        assert!(
            entry(1, &fields(&[("i", "01"), ("z", "?")])).is_none(),
            "an unknown field"
        );
    }
}
