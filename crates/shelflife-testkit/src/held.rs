//! Replicas that lag behind a primary for as long as a test wants them to.
//!
//! ```text
//! primary ──▶ received, and put off ─ ─ ─▶ carried out        held back: all writes stay here
//!         ◀── acknowledged up to what was carried out         so that the primary takes them for well
//! ```
//!
//! A replica whose clients are paused puts off what its primary sends as well: it stays connected, and goes on to tell how far it has come.
//! So neither the primary nor those who watch them see more than a lag, not even by `min-replicas-to-write`. A frozen one would still have all
//! of it in its socket; one that is shut out would be missed, and begin again with a whole copy.

use std::time::Duration;

use crate::group::{follows, said};
use crate::process::poll;
use crate::server::RedisServer;

/// For how long they are held back at most. Then they would go on by themselves.
const LONGEST: Duration = Duration::from_secs(60);
/// How long they may take to catch up before.
const SOON: Duration = Duration::from_secs(10);

/// Replicas that are held back: [`Group::hold_back`](crate::Group::hold_back), [`Cluster::hold_back`](crate::Cluster::hold_back).
#[derive(Debug)]
#[must_use = "they lag behind until they are let go"]
pub struct HeldBack {
    /// By their numbers.
    replicas: Vec<usize>,
}

impl HeldBack {
    pub(crate) fn of(servers: &[RedisServer], primary: usize, replicas: Vec<usize>) -> Self {
        for replica in &replicas {
            hold_back(&servers[primary], &servers[*replica]);
        }
        Self { replicas }
    }

    pub(crate) fn lag(&self, servers: &[RedisServer]) -> bool {
        let mut replicas = self.replicas.iter();
        !self.replicas.is_empty() && replicas.all(|replica| is_held(&servers[*replica]))
    }

    pub(crate) fn let_go(self, servers: &[RedisServer]) {
        for replica in self.replicas {
            servers[replica].cli(&["CLIENT", "UNPAUSE"]);
        }
    }

    pub(crate) fn let_go_without(self, servers: &[RedisServer]) {
        for replica in &self.replicas {
            // With its connection goes what came by it.
            let words: [&[u8]; 4] = [b"CLIENT", b"KILL", b"TYPE", b"master"];
            servers[*replica].command(&words);
        }
        self.let_go(servers);
    }
}

/// Waits until a replica has all that its primary has done by now, and has it carry out nothing further.
fn hold_back(primary: &RedisServer, replica: &RedisServer) {
    let done = offset(primary, "master_repl_offset:");
    assert!(done.is_some(), "a primary does not say how far it is");
    let caught_up = poll(SOON, || {
        (offset(replica, "slave_repl_offset:") >= done).then_some(())
    });
    assert!(
        caught_up.is_some(),
        "a replica is not there within {SOON:?}"
    );
    let longest = LONGEST.as_millis().to_string();
    replica.cli(&["CLIENT", "PAUSE", &longest, "WRITE"]);
}

/// Whether a replica follows, and has received something that it has not carried out.
fn is_held(replica: &RedisServer) -> bool {
    let received = offset(replica, "slave_read_repl_offset:");
    let carried_out = offset(replica, "slave_repl_offset:");
    follows(replica) && carried_out.is_some() && received > carried_out
}

/// How far a server says it has come, in bytes of what a primary sends.
fn offset(server: &RedisServer, what: &str) -> Option<u64> {
    said(server, what)?.parse().ok()
}
