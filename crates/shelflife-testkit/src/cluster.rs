//! A cluster for one test: primaries that share the slots, with a replica each.
//!
//! It is formed by commands of this crate, without any tool: slots are given out, everybody meets the first
//! node, and each replica is told its primary.

mod form;
mod migration;
mod slot;

use std::fmt;
use std::time::Duration;

pub use self::migration::Migration;
pub use self::slot::slot_of;

use self::slot::SLOTS;
use crate::access::Access;
use crate::held::HeldBack;
use crate::process::poll;
use crate::server::RedisServer;

/// How long all may take to know each other, or to find together again.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a node that is awake may take to say something.
const PROBE: Duration = Duration::from_secs(1);

/// Real servers in a real cluster: with `n` primaries, the nodes `0..n` began as primaries, and node `n + i` as the replica of node
/// `i`. Killed, reaped and tidied up on drop.
///
/// ```no_run
/// use shelflife_testkit::{Cluster, slot_of};
///
/// let mut cluster = Cluster::start(3);
/// let slot = slot_of(b"user:42");
/// let old = cluster.primary_of(slot).unwrap();
/// cluster.kill(old);
/// cluster.settle();
/// assert_ne!(cluster.primary_of(slot), Some(old));
/// ```
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<RedisServer>,
    access: Access,
}

impl Cluster {
    /// So many primaries with a replica each. All slots are served.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`], and when they do not find together within 30 seconds.
    pub fn start(primaries: usize) -> Self {
        Self::start_with(primaries, Access::default())
    }

    /// The same, set up like this.
    ///
    /// # Panics
    ///
    /// As [`Cluster::start`].
    pub fn start_with(primaries: usize, access: Access) -> Self {
        let nodes = form::start(primaries, &access);
        let cluster = Self { nodes, access };
        form::introduce(&cluster, primaries);
        cluster.settle();
        cluster
    }

    /// The addresses of all nodes.
    pub fn hosts(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::host).collect()
    }

    /// `redis+cluster://user:password@node,node/?…`, with the paths of the certificates in the query.
    pub fn url(&self) -> String {
        self.access.url("cluster", &self.hosts(), "/", &[])
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// A node.
    ///
    /// # Panics
    ///
    /// When there is none of that number; so do all that take one.
    pub fn node(&self, node: usize) -> &RedisServer {
        &self.nodes[node]
    }

    /// A node, to be asked or harmed directly.
    pub fn node_mut(&mut self, node: usize) -> &mut RedisServer {
        &mut self.nodes[node]
    }

    /// The node that serves a slot as its primary, as it says itself; of several that do, the one that was elected last. None while
    /// nobody does.
    pub fn primary_of(&self, slot: u16) -> Option<usize> {
        let serving = self.awake().filter_map(|node| {
            let own = self.own_line(node)?;
            own.serves(slot).then_some((own.epoch, node))
        });
        serving.max().map(|(_, node)| node)
    }

    /// The nodes that are primaries with slots, as they say themselves. None while one that is awake says nothing, or not every slot is
    /// served by exactly one.
    pub fn primaries(&self) -> Option<Vec<usize>> {
        let (mut primaries, mut served) = (Vec::new(), 0);
        for node in self.awake() {
            let of_it = self.own_line(node)?.served();
            if of_it > 0 {
                primaries.push(node);
            }
            served += of_it;
        }
        (served == ALL).then_some(primaries)
    }

    /// Whether a node serves a slot as its primary, as it says itself.
    pub fn serves(&self, node: usize, slot: u16) -> bool {
        self.own_line(node).is_some_and(|own| own.serves(slot))
    }

    /// Whether some other node takes this one for dead, and most agree.
    pub fn has_failed(&self, node: usize) -> bool {
        let address = format!("127.0.0.1:{}", self.nodes[node].port());
        let told = self.awake().filter(|&other| other != node);
        let mut told = told.filter_map(|other| self.ask(other, &["CLUSTER", "NODES"]));
        let says_so = |told: String| {
            let mut lines = told.lines().filter(|line| line.contains(&address));
            lines.any(|line| Line::parse(line).is_some_and(|line| line.has("fail")))
        };
        told.any(says_so)
    }

    /// The nodes that are replicas of this one, as they say themselves.
    pub fn replicas_of(&self, primary: usize) -> Vec<usize> {
        let Some(id) = self.own_line(primary).map(|own| own.id) else {
            return Vec::new();
        };
        let follows = |&node: &usize| {
            let own = self.own_line(node);
            own.is_some_and(|own| own.primary.as_deref() == Some(&id))
        };
        self.awake().filter(follows).collect()
    }

    /// Has the replicas of a node carry out nothing from now on that it does, once they have done all that it has done by now. Nobody notices.
    ///
    /// # Panics
    ///
    /// When one does not answer.
    pub fn hold_back(&self, primary: usize) -> HeldBack {
        HeldBack::of(&self.nodes, primary, self.replicas_of(primary))
    }

    /// Whether there are any, and each lacks something that its primary has done since.
    pub fn lag(&self, held: &HeldBack) -> bool {
        held.lag(&self.nodes)
    }

    /// Lets them go on. They carry out what they lack, if their primary is still there.
    ///
    /// # Panics
    ///
    /// When one does not answer.
    pub fn let_go(&self, held: HeldBack) {
        held.let_go(&self.nodes);
    }

    /// Lets them go on without what they lack. Their primary has to be gone, or frozen: they ask it for all of that again.
    ///
    /// # Panics
    ///
    /// When one does not answer.
    pub fn let_go_without(&self, held: HeldBack) {
        held.let_go_without(&self.nodes);
    }

    /// Kills a node (SIGKILL).
    ///
    /// # Panics
    ///
    /// When it has been killed already.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].kill();
    }

    /// Freezes a node (SIGSTOP).
    ///
    /// # Panics
    ///
    /// When it is not running.
    pub fn stop(&mut self, node: usize) {
        self.nodes[node].stop();
    }

    /// Lets a frozen node go on (SIGCONT).
    ///
    /// # Panics
    ///
    /// When it is not running.
    pub fn wake(&mut self, node: usize) {
        self.nodes[node].resume();
    }

    /// Starts a node anew on the same port, empty but for what it was told to `SAVE`. It is the same node, and remembers the others.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`].
    pub fn restart(&mut self, node: usize) {
        self.nodes[node].restart();
    }

    /// Has a replica take its primary's place while that is well, as an operator does (`CLUSTER FAILOVER`).
    ///
    /// # Panics
    ///
    /// When it refuses.
    pub fn promote(&self, replica: usize) {
        self.nodes[replica].cli(&["CLUSTER", "FAILOVER"]);
    }

    /// The same; whether it does.
    pub fn try_promote(&self, replica: usize) -> bool {
        self.ask(replica, &["CLUSTER", "FAILOVER"]).as_deref() == Some("OK")
    }

    /// A slot on its way to another primary; nothing has happened yet.
    ///
    /// # Panics
    ///
    /// When nobody serves it.
    pub fn migrate(&self, slot: u16, to: usize) -> Migration<'_> {
        let from = self.primary_of(slot);
        let from = from.unwrap_or_else(|| panic!("nobody serves slot {slot}"));
        Migration::new(self, slot, from, to)
    }

    /// Waits until all who are awake agree that all slots are served, by primaries who are awake too, and every replica has its copy.
    ///
    /// # Panics
    ///
    /// When they don't within 30 seconds, with what each says.
    pub fn settle(&self) {
        let settled = poll(PATIENCE, || self.is_settled().then_some(()));
        assert!(
            settled.is_some(),
            "no agreement within {PATIENCE:?}\n{self}"
        );
    }

    /// Whether that is so.
    pub fn is_settled(&self) -> bool {
        form::is_settled(self)
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    fn awake(&self) -> impl Iterator<Item = usize> {
        let nodes = self.nodes.iter().enumerate();
        nodes
            .filter(|(_, node)| node.is_awake())
            .map(|(index, _)| index)
    }

    fn ask(&self, node: usize, words: &[&str]) -> Option<String> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let mut connection = self.nodes[node].connect_within(PROBE).ok()?;
        Some(connection.command(&words).ok()?.to_string())
    }

    /// What a node says of itself.
    fn own_line(&self, node: usize) -> Option<Line> {
        let lines = Line::all(&self.ask(node, &["CLUSTER", "NODES"])?);
        lines.into_iter().find(|line| line.has("myself"))
    }

    fn id(&self, node: usize) -> String {
        self.nodes[node].cli(&["CLUSTER", "MYID"])
    }

    fn id_if_told(&self, node: usize) -> Option<String> {
        self.ask(node, &["CLUSTER", "MYID"])
    }
}

/// What each node that is awake knows of all.
impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in self.awake() {
            let said = self.ask(node, &["CLUSTER", "NODES"]).unwrap_or_default();
            writeln!(f, "node {node}:\n{said}")?;
        }
        Ok(())
    }
}

/// A line of `CLUSTER NODES`.
#[derive(Debug)]
struct Line {
    id: String,
    flags: Vec<String>,
    /// The id of its primary, for a replica.
    primary: Option<String>,
    epoch: u64,
    connected: bool,
    /// From and to, both inclusive.
    slots: Vec<(u16, u16)>,
}

impl Line {
    fn all(told: &str) -> Vec<Self> {
        told.lines().filter_map(Self::parse).collect()
    }

    /// `id address flags primary ping pong epoch link slots…`; a slot on its way stands in brackets, and is served from where it was.
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let [id, _, flags, primary, _, _, epoch, link, slots @ ..] = words.as_slice() else {
            return None;
        };
        let range = |text: &&str| {
            let (from, to) = text.split_once('-').unwrap_or((text, text));
            Some((from.parse().ok()?, to.parse().ok()?))
        };
        Some(Self {
            id: (*id).to_owned(),
            flags: flags.split(',').map(ToOwned::to_owned).collect(),
            primary: (*primary != "-").then(|| (*primary).to_owned()),
            epoch: epoch.parse().ok()?,
            connected: *link == "connected",
            slots: slots.iter().filter_map(range).collect(),
        })
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|one| one == flag)
    }

    fn serves(&self, slot: u16) -> bool {
        self.has("master")
            && self
                .slots
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&slot))
    }

    fn served(&self) -> u32 {
        let count = |(from, to): &(u16, u16)| u32::from(to - from) + 1;
        match self.has("master") {
            true => self.slots.iter().map(count).sum(),
            false => 0,
        }
    }
}

/// All slots, as a number that a sum can be compared with.
const ALL: u32 = SLOTS as u32;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_line_tells_role_and_slots_and_leaves_out_what_is_on_its_way() {
        let told = "aa 127.0.0.1:1@2 myself,master - 0 0 3 connected 0-5460 7000 [9001->-bb] [8000-<-bb]\n\
                    bb 127.0.0.1:3@4 slave,fail aa 0 0 3 disconnected";
        let lines = Line::all(told);
        let [primary, replica] = lines.as_slice() else {
            panic!("two lines: {lines:?}");
        };
        assert_eq!((primary.epoch, primary.served()), (3, 5462));
        assert!(primary.serves(7000) && !primary.serves(8000) && !primary.serves(9001));
        assert!(primary.has("myself") && primary.connected && primary.primary.is_none());
        assert_eq!(replica.primary.as_deref(), Some("aa"));
        assert!(replica.has("fail") && !replica.connected && replica.served() == 0);
    }
}
