//! A cluster: many nodes, each with its slots, and commands that follow the slots.
//!
//! ```text
//! MOVED     the slot has gone: ask there, now and from now on; have the map made anew
//! ASK       the slot is going, and this key has gone: ask there, this once
//! TRYAGAIN  the slot is going, and of these keys some have: again, until time is up
//! ```
//!
//! The map is what `CLUSTER NODES` tells, asked for at intervals and whenever somebody found it wrong. An answer
//! that knows less than an earlier one is not believed. Where a primary has lost its slots and lives no more as
//! one, another has taken over: what it had confirmed may be lost, and that is counted. A slot that merely
//! moves loses nothing.
//!
//! Must not: know what the commands mean.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ConnectionAddr, ConnectionInfo, Pipeline, ServerErrorKind, Value};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::handshake;
use super::map::{Known, SLOTS, parse, slot_of};
use super::node::{Life, Node, Patience};
use super::place::Place;
use super::refused::Refused;
use super::sentinels::moved;
use super::{At, Layout};
use crate::error::ErrorKind;
use crate::store::{StoreError, StoreResult};

/// How often one command may be sent elsewhere.
const HOPS: usize = 6;
/// Between two attempts while a slot moves.
const PAUSE: Duration = Duration::from_millis(5);
/// How often the map is asked for: when all is well, when a node is out of reach, and at most.
const CALM: Duration = Duration::from_secs(2);
const WORRIED: Duration = Duration::from_millis(200);
const LEAST: Duration = Duration::from_millis(20);
/// After so many answers that know less than is known the cluster counts as another one.
const DOUBTS: usize = 10;
const NOBODY: u16 = u16::MAX;

type Address = (String, u16);

pub(super) struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    seeds: Vec<Address>,
    /// Any node, but for its place.
    template: ConnectionInfo,
    patience: Patience,
    /// The slot of clock, log and tags.
    control: u16,
    /// Which node has which slot. Held for a clone or a swap, never across a wait.
    map: RwLock<Arc<Map>>,
    /// Whom to ask next.
    turn: AtomicUsize,
    /// How often in a row nobody knew as much as is known.
    doubts: AtomicUsize,
    changes: Arc<AtomicU64>,
    /// Somebody found the map to be wrong, or the end has come.
    stirred: Arc<Notify>,
    closed: AtomicBool,
    runtime: Handle,
}

#[derive(Clone)]
struct Map {
    /// Sorted by address.
    nodes: Vec<(Address, Arc<Node>)>,
    /// By slot, which node; or `NOBODY`.
    owner: Box<[u16]>,
    /// What a node told last.
    told: Vec<Known>,
}

impl Cluster {
    /// Connects to the first seed that answers, and to the nodes that it knows.
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
        let shared = Arc::new(Shared {
            seeds,
            template,
            patience,
            control: slot_of(control),
            map: RwLock::new(Arc::new(Map {
                nodes: Vec::new(),
                owner: vec![NOBODY; usize::from(SLOTS)].into(),
                told: Vec::new(),
            })),
            turn: AtomicUsize::new(0),
            doubts: AtomicUsize::new(0),
            changes: changes.clone(),
            stirred: Arc::default(),
            closed: AtomicBool::new(false),
            runtime: Handle::current(),
        });
        for seed in &shared.seeds {
            let node = Node::open(shared.place_of(seed)?, patience.once(), changes).await?;
            if let Ok(told) = shared.told_by(&node, &seed.0).await {
                shared.take(told)?;
                break;
            }
        }
        for (_, node) in &shared.map().nodes {
            node.comes_up().await;
        }
        shared.keep();
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
        map.owner_of(slot).ok_or_else(|| {
            self.shared.stirred.notify_one();
            StoreError::unavailable(format!(
                "no node of the cluster is known to have slot {slot}"
            ))
        })
    }

    pub(super) async fn ask(&self, at: At<'_>, cmd: &Cmd) -> Result<Value, Refused> {
        let until = Instant::now() + self.shared.patience.answer;
        let mut node = self.node(at).map_err(Refused::Failed)?;
        let (mut asking, mut hops) = (false, 0);
        loop {
            let refused = match node.ask(cmd, asking).await {
                Ok(value) => return Ok(value),
                Err(refused) => refused,
            };
            match refused {
                Refused::Elsewhere { host, port, once } if hops < HOPS => {
                    hops += 1;
                    let host = if host.is_empty() {
                        self.shared.host_of(&node)
                    } else {
                        host
                    };
                    node = self
                        .shared
                        .node_at((host, port))
                        .await
                        .map_err(Refused::Failed)?;
                    asking = once;
                    if !once {
                        self.shared.stirred.notify_one();
                    }
                }
                Refused::Moving if Instant::now() < until => {
                    tokio::time::sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
                    node = self.node(at).map_err(Refused::Failed)?;
                    asking = false;
                }
                refused => {
                    if matches!(&refused, Refused::Failed(e) if e.kind == ErrorKind::Unavailable) {
                        self.shared.stirred.notify_one();
                    }
                    return Err(refused);
                }
            }
        }
    }

    /// Several commands on one connection; what has moved meanwhile is asked for singly.
    pub(super) async fn ask_all(
        &self,
        at: At<'_>,
        pipeline: &Pipeline,
        count: usize,
    ) -> Result<Vec<Value>, Refused> {
        let node = self.node(at).map_err(Refused::Failed)?;
        let mut got = match node.ask_all(pipeline, count).await {
            Ok(got) => got,
            Err(refused) => {
                self.shared.stirred.notify_one();
                return Err(refused);
            }
        };
        for (value, cmd) in got.iter_mut().zip(pipeline.cmd_iter()) {
            let Value::ServerError(error) = value else {
                continue;
            };
            use ServerErrorKind::{Ask, Moved, TryAgain};
            if matches!(error.kind(), Some(Ask | Moved | TryAgain)) {
                *value = self.ask(at, cmd).await?;
            }
        }
        Ok(got)
    }

    /// A connection of its own to who has the log, after a look at the map.
    pub(super) async fn dedicated(&self) -> StoreResult<MultiplexedConnection> {
        // A map that can't be had now is the one that there was.
        let _ = self.shared.refresh().await;
        let got = self.node(At::Control)?.dedicated().await;
        if got.is_err() {
            self.shared.stirred.notify_one();
        }
        got
    }

    /// How who has the control keys is connected to.
    pub(super) fn info(&self) -> ConnectionInfo {
        self.node(At::Control)
            .map_or_else(|_| self.shared.template.clone(), |node| node.info())
    }

    pub(super) fn primaries(&self) -> usize {
        self.shared.map().nodes.len()
    }

    /// Of the primaries that have what is called so, or of all, where they are and which lives they have.
    pub(super) async fn primaries_of(
        &self,
        names: Option<&[String]>,
    ) -> StoreResult<Vec<(String, String)>> {
        let map = self.shared.map();
        let mut wanted = Vec::new();
        for name in names.unwrap_or_default() {
            let at = map.owner[usize::from(slot_of(name))];
            let found = map.nodes.get(usize::from(at));
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
            // Who asks again is to ask others.
            let _ = self.shared.refresh().await;
        }
        Ok(all)
    }

    /// Asks every primary whether a slot of its own is on its way; only it knows.
    pub(super) async fn layout(&self) -> StoreResult<Layout> {
        self.shared.refresh().await?;
        let map = self.shared.map();
        let mut layout = Layout::default();
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
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.stirred.notify_one();
        for (_, node) in &self.shared.map().nodes {
            node.close();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.close();
    }
}

impl Map {
    fn owner_of(&self, slot: u16) -> Option<Arc<Node>> {
        let at = *self.owner.get(usize::from(slot))?;
        self.nodes
            .get(usize::from(at))
            .map(|(_, node)| node.clone())
    }

    fn at(&self, address: &Address) -> Option<Arc<Node>> {
        let found = self.nodes.iter().find(|(other, _)| other == address);
        found.map(|(_, node)| node.clone())
    }
}

impl Shared {
    fn map(&self) -> Arc<Map> {
        self.map
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn place_of(&self, address: &Address) -> StoreResult<Place> {
        Place::fixed(moved(&self.template, address.clone()), true)
    }

    fn host_of(&self, node: &Arc<Node>) -> String {
        let map = self.map();
        let found = map.nodes.iter().find(|(_, other)| Arc::ptr_eq(other, node));
        found.map(|((host, _), _)| host.clone()).unwrap_or_default()
    }

    fn begin(&self, address: &Address) -> StoreResult<Arc<Node>> {
        let place = self.place_of(address)?;
        Ok(Arc::new(Node::begin(
            place,
            self.patience,
            Life::default(),
            &self.changes,
            &self.runtime,
        )))
    }

    /// The node at an address to which somebody was sent, known or not.
    async fn node_at(&self, address: Address) -> StoreResult<Arc<Node>> {
        if let Some(node) = self.map().at(&address) {
            return Ok(node);
        }
        let node = {
            let mut slot = self.map.write().unwrap_or_else(PoisonError::into_inner);
            match slot.at(&address) {
                Some(node) => node,
                None => {
                    let node = self.begin(&address)?;
                    let mut map = Map::clone(&slot);
                    // Behind the others: the numbers of these stay. The next map sorts it in.
                    map.nodes.push((address, node.clone()));
                    *slot = Arc::new(map);
                    node
                }
            }
        };
        // Who was sent there waits no longer for it than for an answer.
        let _ = tokio::time::timeout(self.patience.answer, node.comes_up()).await;
        Ok(node)
    }

    /// What a node knows of the cluster.
    async fn told_by(&self, node: &Node, host: &str) -> StoreResult<Vec<Known>> {
        let mut cmd = redis::cmd("CLUSTER");
        cmd.arg("NODES");
        let told = node.ask(&cmd, false).await?;
        let text: String = redis::FromRedisValue::from_redis_value(told)
            .map_err(|e| StoreError::unavailable(format!("CLUSTER NODES gave no text: {e}")))?;
        let by_name = matches!(self.template.addr(), ConnectionAddr::TcpTls { .. });
        Ok(parse(&text, host, by_name))
    }

    /// Has the map made anew, by the first node that knows as much as is known already.
    async fn refresh(&self) -> StoreResult<()> {
        let map = self.map();
        let mut told_less = false;
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = map.nodes.len();
        for i in 0..count {
            let ((host, _), node) = &map.nodes[(first + i) % count];
            if !node.is_up() {
                continue;
            }
            match self.told_by(node, host).await {
                Ok(told) if self.is_believed(&told, &map) => return self.take(told),
                Ok(_) => told_less = true,
                Err(_) => {}
            }
        }
        for seed in self.seeds.iter().filter(|seed| map.at(seed).is_none()) {
            let place = self.place_of(seed)?;
            let node = Node::begin(
                place,
                self.patience.once(),
                Life::default(),
                &self.changes,
                &self.runtime,
            );
            if !node.comes_up().await {
                continue;
            }
            match self.told_by(&node, &seed.0).await {
                Ok(told) if self.is_believed(&told, &map) => return self.take(told),
                Ok(_) => told_less = true,
                Err(_) => {}
            }
        }
        if told_less {
            self.doubts.fetch_add(1, Ordering::Relaxed);
        }
        Err(StoreError::unavailable(
            "no node of the cluster tells who has what",
        ))
    }

    /// Whether an answer knows as much as is known. When nobody has for a while, the cluster was made anew, and its epochs
    /// began anew, too.
    fn is_believed(&self, told: &[Known], map: &Map) -> bool {
        epoch(told) >= epoch(&map.told) || self.doubts.load(Ordering::Relaxed) > DOUBTS
    }

    /// Makes the map of what was told. Nodes that are known stay as they are.
    fn take(&self, told: Vec<Known>) -> StoreResult<()> {
        let mut slot = self.map.write().unwrap_or_else(PoisonError::into_inner);
        if !self.is_believed(&told, &slot) {
            // Who asked at the same time was told more.
            return Ok(());
        }
        self.doubts.store(0, Ordering::Relaxed);
        let mut primaries: Vec<&Known> = told.iter().filter(|known| known.is_primary).collect();
        primaries.sort_by(|a, b| a.place.cmp(&b.place));
        let mut nodes = Vec::with_capacity(primaries.len());
        let mut owner = vec![NOBODY; usize::from(SLOTS)];
        for known in primaries {
            let at = u16::try_from(nodes.len()).unwrap_or(NOBODY);
            for &(from, to) in &known.slots {
                owner[usize::from(from)..=usize::from(to)].fill(at);
            }
            let node = match slot.at(&known.place) {
                Some(node) => node,
                None => self.begin(&known.place)?,
            };
            nodes.push((known.place.clone(), node));
        }
        if someone_took_over(&slot.told, &told) {
            tracing::warn!("another primary of the cluster has taken over");
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
        *slot = Arc::new(Map {
            nodes,
            owner: owner.into(),
            told,
        });
        Ok(())
    }

    /// Has the map made anew from time to time, for as long as the cluster is wanted.
    fn keep(self: &Arc<Self>) {
        let (weak, stirred) = (Arc::downgrade(self), self.stirred.clone());
        self.runtime.spawn(async move {
            while let Some(pause) = pause(&weak) {
                tokio::select! {
                    () = stirred.notified() => {
                        tokio::time::sleep(LEAST.mul_f64(0.5 + fastrand::f64())).await;
                    }
                    () = tokio::time::sleep(pause) => {}
                }
                let Some(shared) = weak.upgrade().filter(|s| !s.closed.load(Ordering::SeqCst))
                else {
                    return;
                };
                if let Err(error) = shared.refresh().await {
                    tracing::debug!(%error, "the map of the cluster stays as it is");
                }
            }
        });
    }
}

fn epoch(told: &[Known]) -> u64 {
    told.iter().map(|known| known.epoch).max().unwrap_or(0)
}

/// How long the map is good for; `None` when nobody wants it any more.
fn pause(weak: &Weak<Shared>) -> Option<Duration> {
    let shared = weak
        .upgrade()
        .filter(|s| !s.closed.load(Ordering::SeqCst))?;
    let map = shared.map();
    let is_well = !map.nodes.is_empty()
        && map.nodes.iter().all(|(_, node)| node.is_up())
        && !map.owner.contains(&NOBODY);
    Some(if is_well { CALM } else { WORRIED })
}

/// Whether a primary lives no more as one, and another has its slots.
fn someone_took_over(before: &[Known], now: &[Known]) -> bool {
    let lives = |place: &Address| {
        now.iter()
            .any(|known| known.is_primary && known.place == *place)
    };
    let overlaps = |a: &[(u16, u16)], b: &[(u16, u16)]| {
        a.iter().any(|(from, to)| {
            b.iter()
                .any(|(other_from, other_to)| from <= other_to && other_from <= to)
        })
    };
    before
        .iter()
        .filter(|known| !lives(&known.place))
        .any(|lost| {
            let mut primaries = now.iter().filter(|known| known.is_primary);
            primaries.any(|known| overlaps(&known.slots, &lost.slots))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(port: u16, is_primary: bool, slots: &[(u16, u16)]) -> Known {
        Known {
            place: ("h".to_owned(), port),
            is_primary,
            slots: slots.to_vec(),
            is_moving: false,
            epoch: 1,
        }
    }

    #[test]
    fn a_primary_is_followed_by_another_only_when_it_lives_no_more() {
        let before = [known(1, true, &[(0, 99)]), known(2, true, &[(100, 199)])];
        let migrated = [known(1, true, &[]), known(2, true, &[(0, 199)])];
        assert!(
            !someone_took_over(&before, &migrated),
            "a slot that moved loses nothing"
        );
        let down = [known(1, false, &[(0, 99)]), known(2, true, &[(100, 199)])];
        assert!(
            !someone_took_over(&before, &down),
            "nobody has its slots yet"
        );
        let promoted = [
            known(1, false, &[]),
            known(2, true, &[(100, 199)]),
            known(3, true, &[(0, 99)]),
        ];
        assert!(someone_took_over(&down, &promoted));
        assert!(someone_took_over(&before, &promoted));
        assert!(
            someone_took_over(&before, &promoted[1..]),
            "it has been forgotten"
        );
        assert!(!someone_took_over(&[], &promoted), "the first look");
    }
}
