//! A cluster: many nodes, each with its slots, and commands that follow the slots.
//!
//! ```text
//! MOVED     the slot has gone: ask there, now and from now on; have the map made anew
//! ASK       the slot is going, and this key has gone: ask there, this once
//! TRYAGAIN  the slot is going, and of these keys some have: again, until time is up
//! ```
//!
//! The map is what `CLUSTER NODES` tells, asked for at intervals and whenever somebody found it wrong (`refresh.rs`). An
//! answer that knows less than an earlier one is not believed. Where a primary has lost its slots and lives no more as
//! one, another has taken over: what it had confirmed may be lost, and that is counted. A slot that merely
//! moves loses nothing.
//!
//! Must not: know what the commands mean.

mod owners;
mod refresh;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ConnectionInfo, Pipeline, RedisError, ServerError, ServerErrorKind, Value};
use tokio::time::Instant;

use self::refresh::Shared;
use super::handshake;
use super::map::slot_of;
use super::node::{Led, Node, Patience};
use super::refused::Refused;
use super::{At, Layout};
use crate::counters::NodeStats;
use crate::error::ErrorKind;
use crate::store::{StoreError, StoreResult};

/// How often one command may be sent elsewhere.
const HOPS: usize = 6;
/// Between two attempts while a slot moves.
const PAUSE: Duration = Duration::from_millis(5);

type Address = (String, u16);

pub(super) struct Cluster {
    shared: Arc<Shared>,
}

impl Cluster {
    /// Asks the seeds, and connects to the nodes that they know.
    ///
    /// # Errors
    ///
    /// What can't be used. A cluster that is out of reach is tried again in the background.
    pub(super) async fn open(
        seeds: Vec<Address>,
        template: ConnectionInfo,
        patience: Patience,
        control: &str,
        changes: &Arc<AtomicU64>,
    ) -> StoreResult<Self> {
        let shared = Shared::open(seeds, template, patience, control, changes).await?;
        let map = shared.map();
        join_all(map.nodes.iter().map(|(_, node)| node.comes_up())).await;
        Ok(Self { shared })
    }

    /// Who has it.
    pub(super) fn node(&self, at: At<'_>) -> StoreResult<Arc<Node>> {
        let map = self.shared.map();
        let slot = match at {
            At::Control => self.shared.control,
            At::Name(name) => slot_of(name),
            At::Nth(n) => {
                let node = map.nodes.get(n).map(|(_, node)| node.clone());
                return node.ok_or_else(|| {
                    StoreError::unavailable("the cluster has fewer nodes than it had")
                });
            }
        };
        let owner = map.owner_of(slot).map(|(_, node)| node.clone());
        owner.ok_or_else(|| {
            self.shared.stirred.notify_one();
            StoreError::unavailable(format!(
                "no node of the cluster is known to have slot {slot}"
            ))
        })
    }

    pub(super) async fn ask(&self, at: At<'_>, cmd: &Cmd) -> Result<Value, Refused> {
        let mut way = self.way(at)?;
        loop {
            match way.node.ask(cmd, way.asking).await {
                Ok(value) => return Ok(value),
                Err(refused) => self.go_on(&mut way, at, refused).await?,
            }
        }
    }

    /// Several commands for keys of one slot. Of those that one node answered nothing is believed once it says of another that
    /// it is for somebody else: all are asked for there.
    pub(super) async fn ask_as_one(
        &self,
        at: At<'_>,
        pipeline: &Pipeline,
        count: usize,
    ) -> Result<Vec<Value>, Refused> {
        let mut way = self.way(at)?;
        loop {
            let got = way.node.ask_all(pipeline, count, way.asking).await;
            let refused = match got {
                Ok(mut got) => match got.iter().position(is_for_another) {
                    None => return Ok(got),
                    Some(which) => match got.swap_remove(which).extract_error() {
                        Ok(_) => return Err(Refused::Moving),
                        Err(error) => Refused::of(error),
                    },
                },
                Err(refused) => refused,
            };
            self.go_on(&mut way, at, refused).await?;
        }
    }

    fn way(&self, at: At<'_>) -> Result<Way, Refused> {
        Ok(Way {
            node: self.node(at).map_err(Refused::Failed)?,
            asking: false,
            hops: 0,
            until: Instant::now() + self.shared.patience.answer,
        })
    }

    /// Where to ask again what was refused there.
    ///
    /// # Errors
    ///
    /// What was refused, where nothing comes of asking again.
    async fn go_on(&self, way: &mut Way, at: At<'_>, refused: Refused) -> Result<(), Refused> {
        match refused {
            Refused::Elsewhere { host, port, once } if way.hops < HOPS => {
                way.hops += 1;
                let host = match &*host {
                    // It may not know its own name, or not that of the other.
                    "" | "?" => self.shared.map().host_of(&way.node),
                    _ => host,
                };
                let node = self.shared.node_at((host, port)).await;
                way.node = node.map_err(Refused::Failed)?;
                way.asking = once;
                if !once {
                    self.shared.stirred.notify_one();
                }
                Ok(())
            }
            Refused::Moving if Instant::now() < way.until => {
                tokio::time::sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
                way.node = self.node(at).map_err(Refused::Failed)?;
                way.asking = false;
                Ok(())
            }
            refused => {
                if matches!(&refused, Refused::Failed(e) if e.kind == ErrorKind::Unavailable) {
                    self.shared.stirred.notify_one();
                }
                Err(refused)
            }
        }
    }

    /// Several commands on one connection, each for itself; what has moved meanwhile is asked for singly.
    pub(super) async fn ask_all(
        &self,
        at: At<'_>,
        pipeline: &Pipeline,
        count: usize,
    ) -> Result<Vec<Value>, Refused> {
        let node = self.node(at).map_err(Refused::Failed)?;
        let mut got = match node.ask_all(pipeline, count, false).await {
            Ok(got) => got,
            Err(refused) => {
                self.shared.stirred.notify_one();
                return Err(refused);
            }
        };
        for (value, cmd) in got.iter_mut().zip(pipeline.cmd_iter()) {
            if is_for_another(value) {
                match self.ask(at, cmd).await {
                    Ok(got) => *value = got,
                    // What is said of this command is its answer, like those of the others.
                    Err(Refused::NoScript(error) | Refused::Said(error)) => *value = said(error)?,
                    Err(refused) => return Err(refused),
                }
            }
        }
        Ok(got)
    }

    /// A connection of its own to who has the log, and where it leads, after a look at the map.
    pub(super) async fn dedicated(&self) -> StoreResult<(MultiplexedConnection, Led)> {
        // A map that can't be had now is the one that there was.
        let _ = self.shared.refresh().await;
        let got = self.node(At::Control)?.dedicated().await;
        if got.is_err() {
            self.shared.stirred.notify_one();
        }
        got
    }

    /// How one of the primaries is connected to.
    pub(super) fn info(&self, at: At<'_>) -> ConnectionInfo {
        self.node(at)
            .map_or_else(|_| self.shared.template.clone(), |node| node.info())
    }

    pub(super) fn primaries(&self) -> usize {
        self.shared.map().nodes.len()
    }

    /// How the primaries are doing, those too that the others have given up while nobody has their slots.
    pub(super) fn stats(&self) -> Vec<NodeStats> {
        let map = self.shared.map();
        let there = map.nodes.iter().map(|(_, node)| node.stats());
        // Of one that is nowhere there is no name: that of who tells of it would be another one each time.
        let lost = map.lost().filter(|place| place.1 != 0);
        let lost = lost.map(|place| self.shared.stats_of_lost(place));
        there.chain(lost).collect()
    }

    /// Of the primaries that have what is called so, or of all, where they are and which lives they have.
    pub(super) async fn primaries_of(
        &self,
        names: Option<&[String]>,
    ) -> StoreResult<Vec<(String, String)>> {
        let map = self.shared.map();
        let mut wanted = Vec::new();
        for name in names.unwrap_or_default() {
            let found = map.owner_of(slot_of(name));
            let found = found.ok_or_else(|| StoreError::unavailable("no node has the slot"))?;
            if !wanted.iter().any(|(address, _)| *address == found.0) {
                wanted.push(found.clone());
            }
        }
        if names.is_none() {
            wanted = map.nodes.clone();
        }
        let mut info = redis::cmd("INFO");
        info.arg("replication");
        let all = try_join_all(wanted.into_iter().map(async |((host, port), node)| {
            let got = node.ask(&info, false).await?;
            let text: String = redis::FromRedisValue::from_redis_value(got)
                .map_err(|e| StoreError::unavailable(format!("INFO gave no text: {e}")))?;
            let field = |name| handshake::field(&text, name).unwrap_or_default();
            // One that has become a replica may go by its old id for a while.
            let life = format!("{} {}", field("role"), field("master_replid"));
            Ok::<_, StoreError>((format!("{host}:{port}"), life))
        }));
        let all: Vec<(String, String)> = all.await?;
        if all.iter().any(|(_, life)| !life.starts_with("master ")) {
            // Who asks again is to ask others, which may only just be connected to.
            let _ = self.shared.refresh().await;
            self.shared.come_up().await;
        }
        Ok(all)
    }

    /// Waits until all primaries are connected to, no longer than an answer may take.
    pub(super) async fn come_up(&self) {
        self.shared.come_up().await;
    }

    /// Where, by the map, the primaries are that have what is called so.
    pub(super) fn owners_of(&self, names: &[String]) -> Vec<String> {
        let map = self.shared.map();
        let owners = names.iter().filter_map(|name| map.owner_of(slot_of(name)));
        owners
            .map(|((host, port), _)| format!("{host}:{port}"))
            .collect()
    }

    /// Which of these are on one node, by number.
    pub(super) fn by_primary(&self, names: &[String]) -> Vec<Vec<usize>> {
        let map = self.shared.map();
        let mut all: BTreeMap<Option<&Address>, Vec<usize>> = BTreeMap::new();
        for (at, name) in names.iter().enumerate() {
            let owner = map.owner_of(slot_of(name)).map(|(address, _)| address);
            all.entry(owner).or_default().push(at);
        }
        all.into_values().collect()
    }

    /// Whether every slot has a primary, as far as is known, and each of those answers now, as a primary.
    pub(super) fn everyone_answers(&self) -> impl Future<Output = bool> + Send + use<> {
        // One map for both: nobody is passed by because it was not in it yet, or no more.
        let map = self.shared.map();
        async move {
            // One that loads its file answers the one, and one that is a replica by now the other.
            let (ping, info) = (
                redis::cmd("PING"),
                redis::cmd("INFO").arg("replication").take(),
            );
            let is_primary = async |node: &Node| {
                node.ask(&ping, false).await.ok()?;
                let told = node.ask(&info, false).await.ok()?;
                let text: String = redis::FromRedisValue::from_redis_value(told).ok()?;
                Some(handshake::field(&text, "role") == Some("master"))
            };
            let asked = map.with_slots().map(|node| is_primary(node));
            let answers = join_all(asked).await;
            map.is_whole() && answers.iter().all(|answer| *answer == Some(true))
        }
    }

    /// Asks every primary whether a slot of its own is on its way; only it knows.
    pub(super) async fn layout(&self) -> StoreResult<Layout> {
        self.shared.refresh().await?;
        let map = self.shared.map();
        let mut layout = Layout {
            version: map.version,
            is_whole: map.is_whole(),
            ..Layout::default()
        };
        for (address, node) in &map.nodes {
            let told = self.shared.told_by(node, &address.0).await?;
            layout.is_moving |= told.iter().any(|known| known.is_moving);
        }
        for known in map.told.iter().filter(|known| known.is_primary) {
            let slots = known.slots.iter();
            layout
                .slots
                .extend(slots.map(|&(from, to)| (from, to, known.place.clone())));
        }
        layout.primaries = map
            .nodes
            .iter()
            .map(|(address, _)| address.clone())
            .collect();
        layout.slots.sort();
        Ok(layout)
    }

    pub(super) fn close(&self) {
        self.shared.close();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.close();
    }
}

/// Where something is asked now, and how often that was elsewhere.
struct Way {
    node: Arc<Node>,
    /// Whether it is asked for a slot that is only on its way there.
    asking: bool,
    hops: usize,
    until: Instant,
}

/// Whether a node says that it is not the one to ask, or not now.
fn is_for_another(value: &Value) -> bool {
    use ServerErrorKind::{Ask, Moved, TryAgain};
    matches!(value, Value::ServerError(error) if matches!(error.kind(), Some(Ask | Moved | TryAgain)))
}

/// A server's error as a value among answers.
fn said(error: RedisError) -> Result<Value, Refused> {
    let error = ServerError::try_from(error).map_err(Refused::of)?;
    Ok(Value::ServerError(error))
}
