//! Asking a server how it is, for the doctor. Nothing is written; what is denied, or unknown to a server that
//! only looks like Redis, is kept as the reason why there is no answer.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redis::Value;

use super::RedisStore;
use crate::error::ErrorKind;
use crate::redis::doctor::{Checks, Facts, Rights, Slow, Survey};
use crate::redis::link::At;
use crate::redis::{reply, scripts};
use crate::store::{StoreError, StoreResult};

/// The parameters that matter.
const PARAMETERS: &[&str] = &[
    "bind",
    "disable-thp",
    "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire",
    "maxclients",
    "min-replicas-max-lag",
    "min-replicas-to-write",
    "notify-keyspace-events",
    "protected-mode",
    "save",
    "stop-writes-on-bgsave-error",
    "tcp-keepalive",
    "timeout",
    "tls-port",
];
/// How many slow commands are looked at.
const SLOW: u32 = 128;
/// How often the time is asked for: the answer that came soonest is the best.
const TIMES: usize = 5;
/// After so many pings without an answer there is no use in more.
const LOST: usize = 3;

impl RedisStore {
    /// Everything that can be asked without looking at names.
    pub(crate) async fn ask_about(&self, pings: u32) -> StoreResult<Facts> {
        let info = fields(&self.info(At::Control).await?);
        let config = asked(self.parameters().await)?;
        let rights = asked(self.rights().await)?;
        let pings = self.pings(pings).await?;
        let slow = asked(self.slow_commands().await)?;
        let roster = asked(self.roster().await)?;
        let now = match &roster {
            Ok(Some(members)) => members.now,
            _ => 0,
        };
        let xlen = redis::cmd("XLEN").arg(&self.names.log).take();
        let log = asked(self.link.call(At::Control, &xlen).await)?.map(|value| match value {
            Value::Int(entries) => u64::try_from(entries).unwrap_or(0),
            _ => 0,
        });
        Ok(Facts {
            place: self.link.place(),
            namespace: self.names.namespace().to_owned(),
            patience: self.link.timeout(),
            open: asked(self.link.lets_in_anybody().await)?,
            ahead_ms: self.ahead_ms().await.ok(),
            info,
            config,
            rights,
            pings,
            slow,
            log,
            members: roster.map(|list| list.map(|it| it.all).unwrap_or_default()),
            now,
            survey: Ok(Survey::default()),
        })
    }

    async fn parameters(&self) -> StoreResult<HashMap<String, String>> {
        let mut cmd = redis::cmd("CONFIG");
        cmd.arg("GET").arg(PARAMETERS);
        let got = self.link.call(At::Control, &cmd).await?;
        let pairs: Vec<Value> = match got {
            Value::Map(pairs) => pairs.into_iter().flat_map(|(k, v)| [k, v]).collect(),
            other => reply::array("CONFIG GET", other)?,
        };
        let words: Vec<String> = pairs.into_iter().map(word).collect();
        let pairs = words.chunks_exact(2);
        Ok(pairs.map(|p| (p[0].clone(), p[1].clone())).collect())
    }

    async fn rights(&self) -> StoreResult<Rights> {
        let checks = Checks::of(&self.names);
        let commands = checks.commands();
        let counts: Vec<String> = commands.iter().map(|c| c.len().to_string()).collect();
        let args: Vec<&[u8]> = commands
            .iter()
            .zip(&counts)
            .flat_map(|(words, count)| {
                std::iter::once(count)
                    .map(|c| c.as_str())
                    .chain(words.iter().copied())
            })
            .map(str::as_bytes)
            .collect();
        let got = self.run(&scripts::RIGHTS, &[], &args).await?;
        let said = word(got);
        checks.read(&said).ok_or_else(|| {
            StoreError::new(
                ErrorKind::Store,
                "the server does not tell scripts what a user may do",
            )
        })
    }

    /// How long each of so many pings took, in µs, sorted.
    async fn pings(&self, count: u32) -> StoreResult<Vec<u64>> {
        let mut took = Vec::new();
        let mut lost = 0;
        for _ in 0..count {
            let began = Instant::now();
            match self.ping().await {
                Ok(()) => took.push(micros(began.elapsed())),
                // An answer all the same: a server that refuses writes refuses this, too.
                Err(error) if error.kind != ErrorKind::Unavailable => {
                    took.push(micros(began.elapsed()));
                }
                Err(error) => {
                    lost += 1;
                    if lost == LOST {
                        return Err(error);
                    }
                    took.push(micros(self.link.timeout()));
                }
            }
        }
        took.sort_unstable();
        Ok(took)
    }

    async fn slow_commands(&self) -> StoreResult<Vec<Slow>> {
        let now_s = self.learn_time().await? / 1_000_000;
        let mut cmd = redis::cmd("SLOWLOG");
        cmd.arg("GET").arg(SLOW);
        let listed = reply::array("SLOWLOG", self.link.call(At::Control, &cmd).await?)?;
        let slow = |item: Value| {
            let Value::Array(fields) = item else {
                return None;
            };
            let (at, took, words) = match fields.as_slice() {
                [_, Value::Int(at), Value::Int(took), Value::Array(words), ..] => (at, took, words),
                _ => return None,
            };
            let command = words.first().cloned().map(word).unwrap_or_default();
            Some(Slow {
                ago_s: now_s.saturating_sub(u64::try_from(*at).unwrap_or(0)),
                took_us: u64::try_from(*took).unwrap_or(0),
                command: command.to_uppercase(),
            })
        };
        Ok(listed.into_iter().filter_map(slow).collect())
    }

    /// By how much the server's clock is ahead of this machine's.
    async fn ahead_ms(&self) -> StoreResult<i64> {
        let mut best: Option<(Duration, i64)> = None;
        for _ in 0..TIMES {
            let (began, sent) = (Instant::now(), SystemTime::now());
            let server_us = i128::from(self.learn_time().await?);
            let took = began.elapsed();
            let sent = sent.duration_since(UNIX_EPOCH).unwrap_or_default();
            let here_us = i128::from(micros(sent)) + i128::from(micros(took / 2));
            let ahead = i64::try_from((server_us - here_us) / 1000).unwrap_or(0);
            if best.is_none_or(|(least, _)| took < least) {
                best = Some((took, ahead));
            }
        }
        Ok(best.map_or(0, |(_, ahead)| ahead))
    }
}

/// An answer, or why there is none; a server that does not answer at all is an error.
pub(super) fn asked<T>(got: StoreResult<T>) -> StoreResult<Result<T, String>> {
    match got {
        Ok(it) => Ok(Ok(it)),
        Err(error) if error.kind == ErrorKind::Unavailable => Err(error),
        Err(error) => Ok(Err(error.message)),
    }
}

fn fields(info: &str) -> HashMap<String, String> {
    let pairs = info.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

fn word(value: Value) -> String {
    let bytes = reply::bytes(value).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}
