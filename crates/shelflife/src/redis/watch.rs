//! The log and the members as an onlooker reads them.
//!
//! Plain reads only: the control scripts may begin an incarnation or jump, which is for those who take
//! part. Whoever only looks leaves no trace, not even in an empty namespace, and needs no right to write.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};

use super::RedisStore;
use super::link::At;
use super::log::member;
use super::names::Names;
use super::{reply, stream};
use crate::store::{Members, StoreError, StoreResult};
use crate::watch::Logged;

/// How many entries one read of the log brings.
const PAGE: usize = 512;

/// An onlooker's connection to the log.
pub(crate) struct LogView {
    connection: MultiplexedConnection,
    names: Names,
    patience: Duration,
}

impl RedisStore {
    /// Opens an onlooker's connection: one of its own, because a read that waits holds up what is sent
    /// behind it.
    pub(crate) async fn view_log(&self) -> StoreResult<LogView> {
        Ok(LogView {
            connection: self.link.dedicated().await?,
            names: self.names.clone(),
            patience: self.link.timeout(),
        })
    }

    /// The processes that follow the log, and the clock that was read just before; `None` where there is
    /// no clock.
    pub(crate) async fn roster(&self) -> StoreResult<Option<Members>> {
        let names = &self.names;
        let mut pipeline = redis::pipe();
        pipeline.cmd("TIME");
        pipeline
            .cmd("MGET")
            .arg(&names.clock)
            .arg(&names.members_since);
        for list in [&names.members_applied, &names.members_beats] {
            pipeline
                .cmd("ZRANGE")
                .arg(list)
                .arg(0)
                .arg(-1)
                .arg("WITHSCORES");
        }
        let got = self.link.call_all(At::Control, &pipeline, 4).await?;
        let mut got = got.into_iter();
        let mut part = || reply::array("the members", got.next().unwrap_or(Value::Nil));
        let (time, singles) = (micros(&part()?)?, part()?);
        let (applied, beats) = (scores(part()?), scores(part()?));
        let Some(clock) = singles.first().and_then(reply::clock) else {
            return Ok(None);
        };
        let mut singles = singles.into_iter().map(text);
        let mut single = || singles.next().flatten().unwrap_or_default();
        let (of, since) = (single(), single());
        // As `beat.lua` writes it: since when the list is kept, in which incarnation and on which primary,
        // both as in the clock.
        let since = since.split_once(' ').filter(|(_, mark)| {
            let (inc, primary) = mark.split_once(' ').unwrap_or((mark, ""));
            let mut of = of.split(' ');
            (of.next(), of.nth(1)) == (Some(inc), Some(primary))
        });
        let listed = |(name, beat): (String, f64)| {
            let of = applied.iter().find(|(other, _)| *other == name);
            // One that resyncs is listed with -1; a list of another incarnation says nothing.
            let applied = of.map(|(_, tick)| *tick);
            let applied = applied.filter(|tick| *tick >= 0.0 && since.is_some());
            member(name, applied.map(whole), whole(beat))
        };
        Ok(Some(Members {
            clock,
            now: time / 1000,
            since: since.and_then(|(ms, _)| ms.parse().ok()),
            all: beats.into_iter().filter_map(listed).collect(),
        }))
    }

    /// Learns the server's time by a read; as a call it also shows whether the server can be used.
    pub(crate) async fn learn_time(&self) -> StoreResult<u64> {
        let got = self.link.call(At::Control, &redis::cmd("TIME")).await?;
        let time = micros(&reply::array("TIME", got)?)?;
        self.told_time(time / 1000);
        Ok(time)
    }
}

impl LogView {
    /// The entries behind `after`, in order; waits up to `block` for the first.
    pub(crate) async fn read(&mut self, after: u64, block: Duration) -> StoreResult<Vec<Logged>> {
        let cmd = stream::xread(&self.names, after, PAGE, block);
        entries(stream::of_one_stream(
            self.ask(&cmd, block + self.patience).await?,
        )?)
    }

    /// The tick of the log's last entry, 0 for none.
    pub(crate) async fn last(&mut self) -> StoreResult<u64> {
        let mut cmd = redis::cmd("XREVRANGE");
        cmd.arg(&self.names.log)
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1);
        let got = self.ask(&cmd, self.patience).await?;
        let entries = entries(reply::array("XREVRANGE", got)?)?;
        Ok(entries.last().map_or(0, |entry| entry.epoch.tick))
    }

    /// The server's time in µs.
    pub(crate) async fn time(&mut self) -> StoreResult<u64> {
        let got = self.ask(&redis::cmd("TIME"), self.patience).await?;
        micros(&reply::array("TIME", got)?)
    }

    async fn ask(&mut self, cmd: &Cmd, patience: Duration) -> StoreResult<Value> {
        stream::ask(&mut self.connection, cmd, patience).await
    }
}

/// Entries of a stream, each an id and its fields. One without a readable id is a foreign one.
fn entries(listed: Vec<Value>) -> StoreResult<Vec<Logged>> {
    let mut all = Vec::with_capacity(listed.len());
    for item in listed {
        let (tick, fields) = stream::tick_and_fields(item)?;
        let fields: Vec<String> = fields
            .into_iter()
            .map(|v| text(v).unwrap_or_default())
            .collect();
        all.extend(tick.map(|tick| Logged::read(tick, &fields)));
    }
    Ok(all)
}

fn text(value: Value) -> Option<String> {
    let bytes = reply::bytes(value)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn number<T: std::str::FromStr>(value: Value) -> Option<T> {
    text(value)?.parse().ok()
}

/// `TIME`'s answer: seconds and microseconds.
pub(super) fn micros(time: &[Value]) -> StoreResult<u64> {
    let mut parts = time.iter().cloned().map(number::<u64>);
    let (s, us) = (parts.next().flatten(), parts.next().flatten());
    s.zip(us)
        .map(|(s, us)| s.saturating_mul(1_000_000).saturating_add(us))
        .ok_or_else(|| StoreError::unavailable("TIME gave no time"))
}

/// Members of a sorted set with their scores: in pairs, or one after another, by the version of the wire.
fn scores(listed: Vec<Value>) -> Vec<(String, f64)> {
    let mut flat = Vec::with_capacity(listed.len());
    for item in listed {
        match item {
            Value::Array(pair) => flat.extend(pair),
            one => flat.push(one),
        }
    }
    let mut all = Vec::new();
    let mut flat = flat.into_iter();
    while let (Some(name), Some(score)) = (flat.next(), flat.next()) {
        let score = match score {
            Value::Double(score) => Some(score),
            other => number(other),
        };
        all.extend(text(name).zip(score));
    }
    all
}

/// A score as what it counts: ticks and times are below 2^53.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts of floats saturate"
)]
fn whole(score: f64) -> u64 {
    score as u64
}
