//! A slot that moves from one primary to another, a step at a time: a test may stand between the steps.
//!
//! ```text
//! open   target: IMPORTING, source: MIGRATING    what the source has not got, it sends on with ASK
//! move   MIGRATE, a key at a time
//! close  target, source, then everybody: NODE    from here on the source answers MOVED
//! ```

use super::Cluster;
use crate::resp::Reply;

/// How long a key may take on its way.
const KEY_MS: &str = "5000";

/// See [`Cluster::migrate`]. What has been begun is not undone on drop.
#[derive(Debug)]
pub struct Migration<'a> {
    cluster: &'a Cluster,
    slot: u16,
    from: usize,
    to: usize,
}

impl<'a> Migration<'a> {
    pub(super) fn new(cluster: &'a Cluster, slot: u16, from: usize, to: usize) -> Self {
        Self {
            cluster,
            slot,
            from,
            to,
        }
    }

    /// The node that the slot leaves.
    pub fn from(&self) -> usize {
        self.from
    }

    /// Both ends know of it from now on.
    ///
    /// # Panics
    ///
    /// When a node refuses; so do all steps.
    pub fn open(&self) {
        let (from, to) = (self.cluster.id(self.from), self.cluster.id(self.to));
        self.set(self.to, &["IMPORTING", &from]);
        self.set(self.from, &["MIGRATING", &to]);
    }

    /// Moves so many keys at most; how many it were. None are left when it were fewer.
    pub fn move_keys(&self, most: usize) -> usize {
        let (slot, most) = (self.slot.to_string(), most.to_string());
        let words: [&[u8]; 4] = [
            b"CLUSTER",
            b"GETKEYSINSLOT",
            slot.as_bytes(),
            most.as_bytes(),
        ];
        let Reply::Array(keys) = self.cluster.node(self.from).command(&words) else {
            panic!("node {} does not tell the keys of slot {slot}", self.from);
        };
        for key in &keys {
            let Reply::Bulk(key) = key else {
                panic!("not a key: {key:?}");
            };
            self.move_key(key);
        }
        keys.len()
    }

    /// Moves one key; one that is gone has nothing to be moved.
    pub fn move_key(&self, key: &[u8]) {
        let port = self.cluster.node(self.to).port().to_string();
        let mut words: Vec<&[u8]> = vec![b"MIGRATE", b"127.0.0.1", port.as_bytes()];
        words.extend([b"".as_slice(), b"0", KEY_MS.as_bytes()]);
        if let Some(with) = &self.cluster.access().user {
            let auth: &[u8] = if with.user.is_some() {
                b"AUTH2"
            } else {
                b"AUTH"
            };
            words.push(auth);
            words.extend(with.words());
        }
        words.extend([b"KEYS".as_slice(), key]);
        match self.cluster.node(self.from).command(&words) {
            Reply::Simple(text) if text == "OK" || text == "NOKEY" => {}
            reply => panic!("MIGRATE of slot {}: {reply}", self.slot),
        }
    }

    /// All that is left moves, and the slot with it: everybody is told.
    pub fn close(self) {
        while self.move_keys(100) > 0 {}
        let id = self.cluster.id(self.to);
        // The one that serves it first: a slot that nobody serves would be an outage.
        self.set(self.to, &["NODE", &id]);
        self.set(self.from, &["NODE", &id]);
        let own = |&node: &usize| {
            let line = self.cluster.own_line(node);
            node != self.to && node != self.from && line.is_some_and(|line| line.has("master"))
        };
        for node in self.cluster.awake().filter(own) {
            self.set(node, &["NODE", &id]);
        }
    }

    fn set(&self, node: usize, how: &[&str]) {
        let slot = self.slot.to_string();
        let mut words = vec!["CLUSTER", "SETSLOT", &slot];
        words.extend(how);
        self.cluster.node(node).cli(&words);
    }
}
