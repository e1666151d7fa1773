//! The map of a cluster: how it is had, and how it is kept.
//!
//! ```text
//! a node that is up ─► a seed ─► any other node that was told of: whoever knows as much as is known
//! every 2 s; at once when somebody found the map wrong, then less and less often while nothing changes
//! ```
//!
//! One look at a time: who wants one while it is under way shares the next. Replicas know the map, too, and are asked for
//! it where no primary is left to ask; for nothing else.
//!
//! Must not: send anybody's commands.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::ConnectionLike as _;
use redis::{Cmd, ConnectionAddr, ConnectionInfo, Value};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Address;
use super::owners::{Map, NOBODY};
use crate::counters::NodeStats;
use crate::error::ErrorKind;
use crate::redis::link::handshake;
use crate::redis::link::map::{
    Known, SLOTS, epoch, given_out, has_slots, parse, remember_slots, slot_of, someone_took_over,
};
use crate::redis::link::node::{Life, Node, Patience};
use crate::redis::link::place::Place;
use crate::redis::link::sentinels::moved;
use crate::store::{StoreError, StoreResult};

/// How often the map is asked for: when all is well, when a node is out of reach, and at most.
const CALM: Duration = Duration::from_secs(2);
const WORRIED: Duration = Duration::from_millis(200);
const LEAST: Duration = Duration::from_millis(20);
/// After so many answers that know less than is known the cluster counts as another one.
const DOUBTS: usize = 10;

pub(super) struct Shared {
    seeds: Vec<Address>,
    /// Any node, but for its place.
    pub(super) template: ConnectionInfo,
    pub(super) patience: Patience,
    /// The slot of clock, log and tags.
    pub(super) control: u16,
    /// Which node has which slot. Held for a clone or a swap, never across a wait.
    map: RwLock<Arc<Map>>,
    /// Which life of a primary was met last at each place. It outlives the node: a primary that was dropped for being down
    /// may come back with older data. Held to look or to change.
    lives: Mutex<HashMap<Address, Life>>,
    /// When it was last begun to ask for the map, and how that went. Held while it is asked for.
    looked: tokio::sync::Mutex<Option<(Instant, StoreResult<()>)>>,
    /// Whom to ask next.
    turn: AtomicUsize,
    /// How often in a row nobody knew as much as is known.
    doubts: AtomicUsize,
    changes: Arc<AtomicU64>,
    /// Somebody found the map to be wrong, or the end has come.
    pub(super) stirred: Arc<Notify>,
    closed: AtomicBool,
    runtime: Handle,
}

impl Shared {
    /// Asks the seeds in turn.
    ///
    /// # Errors
    ///
    /// What can't be used. Where none is within reach, or knows of slots, the map is empty.
    pub(super) async fn open(
        seeds: Vec<Address>,
        template: ConnectionInfo,
        patience: Patience,
        control: &str,
        changes: &Arc<AtomicU64>,
    ) -> StoreResult<Arc<Self>> {
        let shared = Arc::new(Self::empty(seeds, template, patience, control, changes));
        for seed in &shared.seeds {
            match shared.told_at(seed).await {
                Ok(told) if shared.is_believed(&told, &shared.map()) => {
                    shared.take(told)?;
                    break;
                }
                Ok(_) => {}
                Err(error) if error.kind == ErrorKind::Unavailable => {
                    tracing::warn!(server = %seed.0, port = seed.1, %error, "not reachable yet");
                }
                Err(error) => return Err(error),
            }
        }
        shared.keep();
        Ok(shared)
    }

    fn empty(
        seeds: Vec<Address>,
        template: ConnectionInfo,
        patience: Patience,
        control: &str,
        changes: &Arc<AtomicU64>,
    ) -> Self {
        Self {
            seeds,
            template,
            patience,
            control: slot_of(control),
            map: RwLock::new(Arc::new(Map {
                nodes: Vec::new(),
                beside: Vec::new(),
                owner: vec![NOBODY; usize::from(SLOTS)].into(),
                told: Vec::new(),
                version: 0,
            })),
            lives: Mutex::default(),
            looked: tokio::sync::Mutex::default(),
            turn: AtomicUsize::new(0),
            doubts: AtomicUsize::new(0),
            changes: changes.clone(),
            stirred: Arc::default(),
            closed: AtomicBool::new(false),
            runtime: Handle::current(),
        }
    }

    pub(super) fn map(&self) -> Arc<Map> {
        self.map
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn slot(&self) -> RwLockWriteGuard<'_, Arc<Map>> {
        self.map.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, slot: &mut RwLockWriteGuard<'_, Arc<Map>>, map: Map) {
        **slot = Arc::new(map);
        if self.is_closed() {
            // Who closed it did not find those that were begun since.
            slot.close();
        }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.stirred.notify_one();
        self.map().close();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn place_of(&self, address: &Address) -> StoreResult<Place> {
        Place::fixed(moved(&self.template, address.clone()), true)
    }

    fn begin(&self, address: &Address) -> StoreResult<Arc<Node>> {
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::new(Node::begin(
            self.place_of(address)?,
            self.patience,
            lives.entry(address.clone()).or_default().clone(),
            &self.changes,
            &self.runtime,
        )))
    }

    /// The node at an address to which somebody was sent, known or not.
    pub(super) async fn node_at(&self, address: Address) -> StoreResult<Arc<Node>> {
        let address = self.map().named(address);
        if let Some(node) = self.map().at(&address) {
            return Ok(node);
        }
        let node = {
            let mut slot = self.slot();
            match slot.at(&address) {
                Some(node) => node,
                None => {
                    let node = self.begin(&address)?;
                    let mut map = Map::clone(&slot);
                    map.beside.push((address, node.clone()));
                    self.replace(&mut slot, map);
                    node
                }
            }
        };
        // Who was sent there waits no longer for it than for an answer.
        let _ = tokio::time::timeout(self.patience.answer, node.comes_up()).await;
        Ok(node)
    }

    /// Waits until the primaries are connected to, no longer than for an answer.
    pub(super) async fn come_up(&self) {
        let map = self.map();
        let all = join_all(map.nodes.iter().map(|(_, node)| node.comes_up()));
        let _ = tokio::time::timeout(self.patience.answer, all).await;
    }

    /// How a primary is doing that is not in the map any more.
    pub(super) fn stats_of_lost(&self, place: &Address) -> NodeStats {
        let lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        let downs = lives.get(place).map_or(0, |life| life.times_down());
        NodeStats {
            address: format!("{}:{}", place.0, place.1),
            connections: self.patience.connections as u64,
            connections_up: 0,
            times_down: downs,
            waiting: 0,
        }
    }

    /// What a primary knows of the cluster.
    pub(super) async fn told_by(&self, node: &Node, host: &str) -> StoreResult<Vec<Known>> {
        let told = node.ask(&cluster_nodes(), false).await?;
        self.read(told, host)
    }

    /// What is known of the cluster at a place, be it a primary's or not, by a connection for this alone.
    async fn told_at(&self, address: &Address) -> StoreResult<Vec<Known>> {
        let client = self.place_of(address)?.way().await?.client;
        let patience = self.patience;
        let connecting = handshake::connect(&client, true, patience, Some(patience.answer));
        // In a box: whatever waits for the map would have the driver's future within its own.
        let (mut connection, _any_role) = Box::pin(connecting).await?;
        let told = connection.req_packed_command(&cluster_nodes()).await;
        let told = told.and_then(Value::extract_error);
        self.read(told.map_err(|e| handshake::refusal(&e))?, &address.0)
    }

    fn read(&self, told: Value, host: &str) -> StoreResult<Vec<Known>> {
        let text: String = redis::FromRedisValue::from_redis_value(told)
            .map_err(|e| StoreError::unavailable(format!("CLUSTER NODES gave no text: {e}")))?;
        let by_name = matches!(self.template.addr(), ConnectionAddr::TcpTls { .. });
        Ok(parse(&text, host, by_name))
    }

    /// Has the map made anew, by a look that begins after this was called.
    pub(super) async fn refresh(&self) -> StoreResult<()> {
        let called = Instant::now();
        let mut last = self.looked.lock().await;
        if let Some((_, got)) = last.as_ref().filter(|(began, _)| *began >= called) {
            return got.clone();
        }
        let began = Instant::now();
        let got = Box::pin(self.look()).await;
        *last = Some((began, got.clone()));
        got
    }

    /// Asks for the map, until somebody knows as much as is known already.
    async fn look(&self) -> StoreResult<()> {
        let map = self.map();
        let mut told_less = false;
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = map.nodes.len();
        let in_turn = (0..count).map(|i| (first + i) % count);
        // One that has no slots may have joined only now, and not have heard of all.
        let (with, without): (Vec<_>, Vec<_>) =
            in_turn.partition(|&at| u16::try_from(at).is_ok_and(|at| map.owner.contains(&at)));
        for at in with.into_iter().chain(without) {
            let ((host, _), node) = &map.nodes[at];
            if !node.is_up() {
                continue;
            }
            match self.told_by(node, host).await {
                Ok(told) if self.is_believed(&told, &map) => return self.take(told),
                Ok(told) => told_less |= has_slots(&told),
                Err(_) => {}
            }
        }
        let known = map.told.iter().map(|known| &known.place);
        let known = known.filter(|place| place.1 != 0 && !self.seeds.contains(place));
        for place in self.seeds.iter().chain(known) {
            if map.nodes.iter().any(|(other, _)| other == place) {
                continue;
            }
            match self.told_at(place).await {
                Ok(told) if self.is_believed(&told, &map) => return self.take(told),
                Ok(told) => told_less |= has_slots(&told),
                Err(_) => {}
            }
        }
        if told_less {
            self.doubts.fetch_add(1, Ordering::Relaxed);
            // Nobody knows more than is known here: that stands, as it would had somebody said just that.
            return Ok(());
        }
        Err(StoreError::unavailable(
            "no node of the cluster tells who has what",
        ))
    }

    /// Whether an answer knows as much as is known: of no earlier epoch, and of as many slots. Who has just joined hears of the
    /// nodes one by one, and may hear of the latest first. When nobody has known as much for a while, slots were given up, or the
    /// cluster was made anew, and its epochs began anew, too. A node that is in no cluster knows of no slots.
    fn is_believed(&self, told: &[Known], map: &Map) -> bool {
        let knows_as_much =
            || epoch(told) >= epoch(&map.told) && given_out(told) >= given_out(&map.told);
        has_slots(told) && (knows_as_much() || self.doubts.load(Ordering::Relaxed) > DOUBTS)
    }

    /// Makes the map of what was told. Nodes that are known stay as they are.
    fn take(&self, mut told: Vec<Known>) -> StoreResult<()> {
        let mut slot = self.slot();
        if !self.is_believed(&told, &slot) {
            // Who asked at the same time was told more.
            return Ok(());
        }
        self.doubts.store(0, Ordering::Relaxed);
        remember_slots(&slot.told, &mut told);
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
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        lives.retain(|place, _| told.iter().any(|known| known.place == *place));
        drop(lives);
        if someone_took_over(&slot.told, &told) {
            tracing::warn!("another primary of the cluster has taken over");
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
        let places = |nodes: &[(Address, Arc<Node>)]| -> Vec<Address> {
            nodes.iter().map(|(place, _)| place.clone()).collect()
        };
        let is_another = places(&nodes) != places(&slot.nodes) || owner[..] != slot.owner[..];
        let map = Map {
            nodes,
            beside: Vec::new(),
            owner: owner.into(),
            told,
            version: slot.version + u64::from(is_another),
        };
        self.replace(&mut slot, map);
        Ok(())
    }

    /// Has the map made anew from time to time, for as long as the cluster is wanted.
    fn keep(self: &Arc<Self>) {
        let (weak, stirred) = (Arc::downgrade(self), self.stirred.clone());
        self.runtime.spawn(async move {
            let mut rest = LEAST;
            while let Some(pause) = pause(&weak) {
                tokio::select! {
                    () = stirred.notified() => {
                        tokio::time::sleep(rest.mul_f64(0.5 + fastrand::f64())).await;
                        // Whoever asks a node that is down finds the map wrong, again and again.
                        rest = (rest * 2).min(WORRIED);
                    }
                    () = tokio::time::sleep(pause) => rest = LEAST,
                }
                let Some(shared) = going(&weak) else {
                    return;
                };
                let version = shared.map().version;
                if let Err(error) = shared.refresh().await {
                    tracing::debug!(%error, "the map of the cluster stays as it is");
                }
                if shared.map().version != version {
                    rest = LEAST;
                }
            }
        });
    }
}

fn cluster_nodes() -> Cmd {
    redis::cmd("CLUSTER").arg("NODES").take()
}

fn going(weak: &Weak<Shared>) -> Option<Arc<Shared>> {
    weak.upgrade().filter(|shared| !shared.is_closed())
}

/// How long the map is good for; `None` when nobody wants it any more.
fn pause(weak: &Weak<Shared>) -> Option<Duration> {
    let map = going(weak)?.map();
    let is_well =
        !map.nodes.is_empty() && map.nodes.iter().all(|(_, node)| node.is_up()) && map.is_whole();
    Some(if is_well { CALM } else { WORRIED })
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo as _;

    use super::*;

    /// A map that is told of, and nodes that nobody will find.
    fn shared() -> Shared {
        let patience = Patience {
            answer: Duration::from_secs(1),
            connect: Duration::from_secs(1),
            connections: 1,
        };
        let template = "redis://nowhere".into_connection_info().unwrap();
        Shared::empty(Vec::new(), template, patience, "clock", &Arc::default())
    }

    fn told(text: &str) -> Vec<Known> {
        parse(text, "asked", true)
    }

    const A: &str = "a 127.0.0.1:1@0,a.example master - 0 0 1 connected 0-99\n";
    const B: &str = "b 127.0.0.1:2@0,b.example master - 0 0 2 connected 100-199\n";

    #[tokio::test]
    async fn a_map_that_is_the_same_again_is_another_one() {
        let shared = shared();
        shared.take(told(&format!("{A}{B}"))).unwrap();
        let first = shared.map().version;
        shared.take(told(&format!("{A}{B}"))).unwrap();
        assert_eq!(shared.map().version, first);
        let down = A.replace("master", "master,fail");
        shared.take(told(&format!("{down}{B}"))).unwrap();
        shared.take(told(&format!("{A}{B}"))).unwrap();
        assert_ne!(shared.map().version, first);
    }

    #[tokio::test]
    async fn the_life_of_a_primary_is_known_for_as_long_as_its_place_is() {
        let shared = shared();
        let place = ("a.example".to_owned(), 1);
        let life = |shared: &Shared| shared.lives.lock().unwrap().get(&place).cloned();
        shared.take(told(&format!("{A}{B}"))).unwrap();
        let first = life(&shared).unwrap();
        let down = A.replace("master", "master,fail");
        shared.take(told(&format!("{down}{B}"))).unwrap();
        shared.take(told(&format!("{A}{B}"))).unwrap();
        assert!(Arc::ptr_eq(&first, &life(&shared).unwrap()));
        shared.take(told(&B.replace("100-199", "0-199"))).unwrap();
        assert!(life(&shared).is_none(), "it has been forgotten");
    }

    #[tokio::test]
    async fn who_has_not_heard_of_all_slots_is_not_believed() {
        let shared = shared();
        shared.take(told(&format!("{A}{B}"))).unwrap();
        // It has just joined: it has heard of the latest epoch, and of nothing that A has.
        let joined = "c 127.0.0.1:3@0,c.example master - 0 0 3 connected\n";
        for heard in [
            format!("{B}{joined}"),
            format!("{}{B}{joined}", A.replace(" 0-99", "")),
        ] {
            shared.take(told(&heard)).unwrap();
            assert!(shared.map().owner_of(50).is_some(), "{heard}");
        }
        // They have been given up, if nobody knows of them for long.
        shared.doubts.store(DOUBTS + 1, Ordering::Relaxed);
        shared.take(told(&format!("{B}{joined}"))).unwrap();
        assert!(shared.map().owner_of(50).is_none());
    }

    #[tokio::test]
    async fn who_is_sent_to_a_name_comes_to_the_node_of_that_ip() {
        let shared = shared();
        let by_ip = parse(&format!("{A}{B}"), "asked", false);
        shared.take(by_ip).unwrap();
        let by_ip = &shared.map().nodes[1];
        let by_name = shared.node_at(("b.example".to_owned(), 2)).await.unwrap();
        assert!(Arc::ptr_eq(&by_name, &by_ip.1));
        assert!(shared.map().beside.is_empty());
    }

    #[tokio::test]
    async fn who_is_sent_to_an_ip_comes_to_the_node_of_that_name() {
        let shared = shared();
        shared.take(told(&format!("{A}{B}"))).unwrap();
        let by_name = &shared.map().nodes[1];
        let by_ip = shared.node_at(("127.0.0.1".to_owned(), 2)).await.unwrap();
        assert!(Arc::ptr_eq(&by_ip, &by_name.1));
    }

    #[tokio::test]
    async fn who_is_sent_elsewhere_makes_no_primary_of_it() {
        let shared = shared();
        shared.take(told(&format!("{A}{B}"))).unwrap();
        let place = ("127.0.0.1".to_owned(), 3);
        let node = shared.node_at(place.clone()).await.unwrap();
        assert_eq!(shared.map().nodes.len(), 2);
        let again = shared.node_at(place).await.unwrap();
        assert!(Arc::ptr_eq(&node, &again));
    }

    #[tokio::test]
    async fn what_is_begun_when_all_is_closed_is_closed_too() {
        let shared = shared();
        shared.close();
        shared.take(told(&format!("{A}{B}"))).unwrap();
        let map = shared.map();
        assert!(map.nodes.iter().all(|(_, node)| node.is_closed()));
    }
}
