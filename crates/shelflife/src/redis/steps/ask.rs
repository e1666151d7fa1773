//! Asking a server how it is, for the doctor. Nothing is written; what is denied, or unknown to a server that
//! only looks like Redis, is kept as the reason why there is no answer.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redis::Value;

use super::RedisStore;
use crate::error::ErrorKind;
use crate::redis::doctor::{Checks, Facts, Replica, Rights, Slow, Survey};
use crate::redis::link::At;
use crate::redis::{reply, scripts, watch};
use crate::store::{StoreError, StoreResult};

/// The parameters that matter.
const PARAMETERS: &[&str] = &[
    "appenddirname",
    "appendfilename",
    "appendonly",
    "bind",
    "client-output-buffer-limit",
    "cluster-allow-reads-when-down",
    "dbfilename",
    "dir",
    "disable-thp",
    "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire",
    "maxclients",
    "maxmemory-clients",
    "min-replicas-max-lag",
    "min-replicas-to-write",
    "notify-keyspace-events",
    "protected-mode",
    "rdb-del-sync-files",
    "save",
    "stop-writes-on-bgsave-error",
    "tcp-keepalive",
    "timeout",
    "tls-port",
];
/// How many replicas of each primary are asked.
const REPLICAS: usize = 8;
/// How many slow commands are looked at.
const SLOW: u32 = 128;
/// How often the time is asked for: the answer that came soonest is the best.
const TIMES: usize = 5;
/// After so many pings without an answer there is no use in more.
const LOST: usize = 3;

impl RedisStore {
    /// Everything that can be asked without looking at names: of each primary, first of who has the control keys.
    pub(crate) async fn ask_about(&self, pings: u32) -> StoreResult<Facts> {
        let mut facts = self.ask_server(At::Control, pings).await?;
        self.ask_namespace(&mut facts).await?;
        if !self.link.is_apart() {
            return Ok(facts);
        }
        for nth in 0..self.link.primaries() {
            let shown = self.link.place(At::Nth(nth)).shown;
            if shown == facts.place.shown {
                continue;
            }
            match self.ask_server(At::Nth(nth), pings).await {
                Ok(other) => facts.others.push(other),
                // Its neighbours answer: what is wrong with them is worth knowing, now above all.
                Err(error) => facts.unasked.push((shown, error.message)),
            }
        }
        Ok(facts)
    }

    /// The bookkeeping of the namespace.
    async fn ask_namespace(&self, facts: &mut Facts) -> StoreResult<()> {
        let roster = asked(self.roster().await)?;
        if let Ok(Some(members)) = &roster {
            facts.now = members.now;
        }
        facts.members = roster.map(|list| list.map(|it| it.all).unwrap_or_default());
        let xlen = redis::cmd("XLEN").arg(&self.names.log).take();
        let log = asked(self.link.call(At::Control, &xlen).await)?;
        facts.log = log.map(|value| match value {
            Value::Int(entries) => u64::try_from(entries).unwrap_or(0),
            _ => 0,
        });
        Ok(())
    }

    async fn ask_server(&self, at: At<'_>, pings: u32) -> StoreResult<Facts> {
        let info = fields(&self.info(at).await?);
        let config = asked(self.parameters(at).await)?;
        let rights = asked(self.rights(at).await)?;
        let pings = self.pings(at, pings).await?;
        let slow = asked(self.slow_commands(at).await)?;
        let mut facts = Facts {
            place: self.link.place(at),
            namespace: self.names.namespace().to_owned(),
            patience: self.link.timeout(),
            open: asked(self.link.lets_in_anybody(at).await)?,
            ahead_ms: self.ahead_ms(at).await.ok(),
            info,
            config,
            rights,
            pings,
            slow,
            log: Ok(0),
            members: Ok(Vec::new()),
            now: 0,
            survey: Ok(Survey::default()),
            heard: None,
            replicas_say: Vec::new(),
            others: Vec::new(),
            unasked: Vec::new(),
        };
        for (host, port) in facts.replicas().into_iter().take(REPLICAS) {
            let shown = format!("{host}:{port}");
            let said = self.ask_replica(at, facts.place.beside(host, port)).await;
            // Whatever it is: the primary answers, and is what counts.
            facts
                .replicas_say
                .push((shown, said.map_err(|error| error.message)));
        }
        Ok(facts)
    }

    async fn ask_replica(
        &self,
        at: At<'_>,
        address: redis::ConnectionAddr,
    ) -> StoreResult<Replica> {
        let info = [redis::cmd("INFO")];
        let got = self.link.ask_beside(at, address.clone(), &info).await?;
        let info = got.into_iter().next().map(word).unwrap_or_default();
        let config = self.link.ask_beside(at, address, &[parameters()]).await;
        // Who may not ask for them is told so by the primary.
        let config = config.ok().and_then(|got| got.into_iter().next());
        Ok(Replica {
            info: fields(&info),
            config: config.map(pairs).transpose()?.unwrap_or_default(),
        })
    }

    async fn parameters(&self, at: At<'_>) -> StoreResult<HashMap<String, String>> {
        pairs(self.link.call(at, &parameters()).await?)
    }

    async fn rights(&self, at: At<'_>) -> StoreResult<Rights> {
        let checks = Checks::of(&self.names, &self.link.place(at));
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
        let got = self.run_at(at, &scripts::RIGHTS, &[], &args).await?;
        let said = word(got);
        checks.read(&said).ok_or_else(|| {
            StoreError::new(
                ErrorKind::Store,
                "the server does not tell scripts what a user may do",
            )
        })
    }

    /// How long each of so many pings took, in µs, sorted.
    async fn pings(&self, at: At<'_>, count: u32) -> StoreResult<Vec<u64>> {
        let ping = redis::cmd("PING");
        let mut took = Vec::new();
        let mut lost = 0;
        for _ in 0..count {
            let began = Instant::now();
            match self.link.call(at, &ping).await {
                Ok(_) => took.push(micros(began.elapsed())),
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

    async fn slow_commands(&self, at: At<'_>) -> StoreResult<Vec<Slow>> {
        let now_s = self.time_us(at).await? / 1_000_000;
        let mut cmd = redis::cmd("SLOWLOG");
        cmd.arg("GET").arg(SLOW);
        let listed = reply::array("SLOWLOG", self.link.call(at, &cmd).await?)?;
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
    async fn ahead_ms(&self, at: At<'_>) -> StoreResult<i64> {
        let mut best: Option<(Duration, i64)> = None;
        for _ in 0..TIMES {
            let (began, sent) = (Instant::now(), SystemTime::now());
            let server_us = i128::from(self.time_us(at).await?);
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

    /// A server's own time, which need not be that of the namespace.
    async fn time_us(&self, at: At<'_>) -> StoreResult<u64> {
        let got = self.link.call(at, &redis::cmd("TIME")).await?;
        watch::micros(&reply::array("TIME", got)?)
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

fn parameters() -> redis::Cmd {
    redis::cmd("CONFIG").arg("GET").arg(PARAMETERS).take()
}

fn pairs(got: Value) -> StoreResult<HashMap<String, String>> {
    let pairs: Vec<Value> = match got {
        Value::Map(pairs) => pairs.into_iter().flat_map(|(k, v)| [k, v]).collect(),
        other => reply::array("CONFIG GET", other)?,
    };
    let words: Vec<String> = pairs.into_iter().map(word).collect();
    let pairs = words.chunks_exact(2);
    Ok(pairs.map(|p| (p[0].clone(), p[1].clone())).collect())
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
