//! The contract of [`crate::store`], kept by Redis: the steps on one primary.
//!
//! One server holds control keys and entries, so a script may touch both: what PROTOCOL does in several
//! steps is one here, and atomic. The order of its steps is kept inside the script.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use redis::{Cmd, Value};

use super::address::Address;
use super::link::{At, Link};
use super::log::member_name;
use super::names::Names;
use super::reply::{self, Answer};
use super::scripts::{self, Script};
use crate::clock::{Clock, Moment};
use crate::counters::{Calls, NodeStats};
use crate::epoch::Epoch;
use crate::error::ErrorKind;
use crate::key::Tag;
use crate::record::{self, Lease};
use crate::settings::Settings;
use crate::store::{StoreError, StoreResult, Wanted};

mod apart;
mod ask;
mod bare;
mod examine;
mod invalidate;
mod lease;
mod overview;
mod read;
mod scan;
mod server;
mod set;
mod survey;
mod tally;
mod write;

/// How much longer than its entries the record of a tag is kept.
const TAG_SLACK: Duration = Duration::from_secs(60);
/// By how much a server's time may seem to go back before it counts as another clock's.
const ANOTHER_CLOCK_MS: i64 = 100;
/// How many keys one script reads.
const BATCH: usize = 200;

pub(crate) use examine::{Examined, Named, Stood};
pub(crate) use survey::Surveyed;

pub(crate) struct RedisStore {
    pub(super) link: Link,
    pub(super) names: Names,
    /// What it was asked, and how that went.
    pub(crate) calls: Box<Calls>,
    clock: Clock,
    /// Server ms minus the process's ms, as of the last answer that told the time.
    offset_ms: AtomicI64,
    address: String,
    /// This process among the members, and in the log: its id, a random part, its Δ in ms.
    member: String,
    /// What the primaries of a cluster have counted, over their changes. Held for an addition.
    tally: std::sync::Mutex<tally::Tally>,
    /// How many callers wait, or are about to, until what they invalidate is applied everywhere.
    awaited: Arc<AtomicUsize>,
    #[cfg(feature = "chaos")]
    pub(crate) faults: crate::chaos::Installed,
    #[cfg(test)]
    pub(super) probes: crate::probe::Probes,
}

impl RedisStore {
    pub(crate) async fn open(
        address: Address,
        settings: &Settings,
        clock: Clock,
    ) -> StoreResult<Self> {
        let names = Names::of(&settings.namespace);
        Ok(Self {
            address: address.shown(),
            member: member_name(settings.window),
            awaited: Arc::default(),
            tally: std::sync::Mutex::default(),
            calls: Box::default(),
            link: Link::open(address, settings, &names.clock).await?,
            names,
            offset_ms: AtomicI64::new(clock.wall_offset_ms()),
            clock,
            #[cfg(feature = "chaos")]
            faults: settings.installed(),
            #[cfg(test)]
            probes: settings.probes.clone(),
        })
    }

    pub(crate) fn connection(&self) -> Option<redis::aio::MultiplexedConnection> {
        self.link.connection()
    }

    /// Host and port, without credentials.
    pub(crate) fn shown(&self) -> &str {
        &self.address
    }

    /// This process among the members, and in the log.
    pub(crate) fn member(&self) -> &str {
        &self.member
    }

    /// How many callers wait until what they invalidate is applied everywhere.
    pub(crate) fn awaited(&self) -> &Arc<AtomicUsize> {
        &self.awaited
    }

    /// Waits until all nodes are connected to, no longer than an answer may take.
    pub(crate) async fn come_up(&self) {
        self.link.come_up().await;
    }

    /// How the nodes are doing, as this process is connected to them.
    pub(crate) fn nodes(&self) -> Vec<NodeStats> {
        self.link.stats()
    }

    /// How many primaries there are, if each is within reach.
    #[cfg(test)]
    pub(crate) async fn primaries(&self) -> Option<usize> {
        let all = self.link.primaries_of(None).await;
        all.ok().map(|all| all.len())
    }

    pub(crate) fn close(&self) {
        self.link.close();
    }

    pub(crate) fn server_ms(&self, now: Moment) -> u64 {
        now.as_ms()
            .saturating_add_signed(self.offset_ms.load(Ordering::Relaxed))
    }

    pub(crate) async fn ping(&self) -> StoreResult<()> {
        self.link
            .call(At::Control, &redis::cmd("PING"))
            .await
            .map(|_| ())
    }

    /// The text of `INFO`, all sections that cost nothing, of each primary; first of who has the control keys.
    pub(super) async fn infos(&self) -> StoreResult<Vec<String>> {
        let control = self.info(At::Control).await?;
        let mut all = Vec::with_capacity(self.link.primaries());
        if self.link.is_apart() {
            let id = run_id(&control).map(str::to_owned);
            for nth in 0..self.link.primaries() {
                let text = self.info(At::Nth(nth)).await?;
                if run_id(&text) != id.as_deref() {
                    all.push(text);
                }
            }
        }
        all.insert(0, control);
        Ok(all)
    }

    pub(super) async fn info(&self, at: At<'_>) -> StoreResult<String> {
        let got = self.link.call(at, &redis::cmd("INFO")).await?;
        redis::FromRedisValue::from_redis_value(got)
            .map_err(|e| StoreError::new(ErrorKind::Store, format!("INFO gave no text: {e}")))
    }

    /// Runs a script where its first key is.
    pub(super) async fn run(
        &self,
        script: &Script,
        keys: &[&str],
        args: &[&[u8]],
    ) -> StoreResult<Value> {
        let at = keys.first().map_or(At::Control, |name| At::Name(name));
        self.run_at(at, script, keys, args).await
    }

    /// The same, where it is said.
    async fn run_at(
        &self,
        at: At<'_>,
        script: &Script,
        keys: &[&str],
        args: &[&[u8]],
    ) -> StoreResult<Value> {
        let with = |mut cmd: Cmd| {
            cmd.arg(keys).arg(args);
            cmd
        };
        let by_digest = with(script.evalsha(keys.len()));
        self.link
            .call_script(at, by_digest, || with(script.eval(keys.len())))
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
        self.told_time(answer.server_ms);
        Ok(answer)
    }

    /// Keeps the server's time that an answer told. An answer is late, never early: of two that hardly
    /// differ the later time is nearer to the truth; much less is another clock.
    pub(crate) fn told_time(&self, server_ms: u64) {
        let offset = i128::from(server_ms) - i128::from(self.clock.now().as_ms());
        let Ok(offset) = i64::try_from(offset) else {
            return;
        };
        let known = self.offset_ms.load(Ordering::Relaxed);
        if offset > known || known - offset > ANOTHER_CLOCK_MS {
            self.offset_ms.store(offset, Ordering::Relaxed);
        }
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
}

fn run_id(info: &str) -> Option<&str> {
    info.lines().find_map(|line| line.strip_prefix("run_id:"))
}

fn millis(d: Duration) -> u64 {
    // Redis refuses times whose end does not fit: a century is for ever here.
    u64::try_from(d.as_millis())
        .unwrap_or(u64::MAX)
        .min(100 * 365 * 24 * 3600 * 1000)
}
