//! A node: lanes to one primary, and what is asked over them. What becomes of a lane is decided in `node/health.rs`.
//!
//! A lane is one multiplexed connection; commands of all callers are pipelined on it. A lane that loses
//! its connection, or times out again and again, is down: calls fail at once instead of waiting, until
//! a reconnection (jittered, in the background) has proved itself by a full handshake. It is the circuit
//! breaker of its node: open while no lane is up, half open during the handshake.
//!
//! Must not: know what the commands mean, or which node has what.

mod health;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::handshake;
use super::lane::Lane;
use super::place::{Place, Way};
use super::refused::Refused;
use crate::counters::NodeStats;
use crate::error::ErrorKind;
use crate::settings::Settings;
use crate::store::{StoreError, StoreResult};

/// Between two looks at whether a connection has been made.
const LOOK: Duration = Duration::from_millis(2);

/// What is known of a place, though the node may have been given up and begun anew.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// What the life of a primary is called that proved itself last; another one is counted. Held to compare, and to take
    /// lanes up or down by it.
    life: Mutex<Option<String>>,
    /// How often its last lane went down.
    downs: AtomicU64,
}

impl Past {
    pub(super) fn times_down(&self) -> u64 {
        self.downs.load(Ordering::Relaxed)
    }
}

pub(super) type Life = Arc<Past>;

pub(super) struct Node {
    shared: Arc<Shared>,
}

/// A connection that has proved itself, and how.
struct Proved {
    connection: MultiplexedConnection,
    replid: String,
    run: String,
    way: Way,
}

/// The run of a server, and its life as a primary.
pub(super) type Led = (String, String);

/// A request that waits for its answer, for as long as somebody wants that.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn on(shared: &'a Shared) -> Self {
        shared.waiting.fetch_add(1, Ordering::Relaxed);
        Self(&shared.waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Shared {
    place: Place,
    patience: Patience,
    lanes: Box<[Lane]>,
    next: AtomicUsize,
    closed: AtomicBool,
    life: Life,
    /// How many lanes are up.
    up: AtomicUsize,
    /// How many requests wait for their answers.
    waiting: AtomicUsize,
    changes: Arc<AtomicU64>,
    runtime: Handle,
}

/// How long to wait, and over how many connections to spread what is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) answer: Duration,
    pub(super) connect: Duration,
    pub(super) connections: usize,
}

impl Patience {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            answer: settings.timeout,
            connect: settings.connect_timeout,
            connections: settings.connections,
        }
    }
}

impl Node {
    /// Lanes that are down and, on that runtime, on their way up. `life` is what is known of the place already.
    pub(super) fn begin(
        place: Place,
        patience: Patience,
        life: Life,
        changes: &Arc<AtomicU64>,
        runtime: &Handle,
    ) -> Self {
        let node = Self::down(place, patience, life, changes, runtime);
        for at in 0..node.shared.lanes.len() {
            node.shared.reconnect(at);
        }
        node
    }

    /// Connects. A server that can't be reached, or is a replica now, leaves the lanes down and
    /// reconnecting; one that can't be used (too old, credentials refused) is an error.
    pub(super) async fn open(
        place: Place,
        patience: Patience,
        changes: &Arc<AtomicU64>,
    ) -> StoreResult<Self> {
        let node = Self::down(
            place,
            patience,
            Life::default(),
            changes,
            &Handle::current(),
        );
        let shared = &node.shared;
        // Side by side: where nobody answers, each takes as long as may be.
        let connecting = (0..shared.lanes.len()).map(|_| shared.connect(Some(patience.answer)));
        let mut away = None;
        for (at, got) in join_all(connecting).await.into_iter().enumerate() {
            match got {
                Ok(proved) => {
                    if !shared.take_up(at, proved) {
                        shared.reconnect(at);
                    }
                }
                Err(error) if error.kind == ErrorKind::Unavailable => {
                    away = Some(error);
                    shared.reconnect(at);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = away {
            tracing::warn!(server = %shared.place, %error, "not reachable yet");
        }
        shared.follow();
        Ok(node)
    }

    fn down(
        place: Place,
        patience: Patience,
        life: Life,
        changes: &Arc<AtomicU64>,
        runtime: &Handle,
    ) -> Self {
        let lanes = (0..patience.connections).map(|_| Lane::down());
        Self {
            shared: Arc::new(Shared {
                place,
                patience,
                lanes: lanes.collect(),
                next: AtomicUsize::new(0),
                closed: AtomicBool::new(false),
                life,
                up: AtomicUsize::new(0),
                waiting: AtomicUsize::new(0),
                changes: changes.clone(),
                runtime: runtime.clone(),
            }),
        }
    }

    pub(super) fn info(&self) -> redis::ConnectionInfo {
        self.shared.place.info()
    }

    /// Waits until it is up, as long as it takes to connect; whether it is.
    pub(super) async fn comes_up(&self) -> bool {
        let until = Instant::now() + self.shared.patience.connect;
        while !self.is_up() && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
        self.is_up()
    }

    pub(super) fn is_up(&self) -> bool {
        self.shared.pick().is_some()
    }

    /// A connection that is up, if any.
    pub(super) fn connection(&self) -> Option<MultiplexedConnection> {
        self.shared.pick().map(|(_, _, connection)| connection)
    }

    /// A connection of its own, without a response timeout, on the runtime of the caller; and to which run and which life of a
    /// server it leads.
    pub(super) async fn dedicated(&self) -> StoreResult<(MultiplexedConnection, Led)> {
        let proved = self.shared.connect(None).await?;
        Ok((proved.connection, (proved.run, proved.replid)))
    }

    /// How it is doing.
    pub(super) fn stats(&self) -> NodeStats {
        let shared = &self.shared;
        let is_up = |lane: &&Lane| lane.is_up();
        NodeStats {
            address: shared.place.to_string(),
            connections: shared.lanes.len() as u64,
            connections_up: shared.lanes.iter().filter(is_up).count() as u64,
            times_down: shared.life.times_down(),
            waiting: shared.waiting.load(Ordering::Relaxed) as u64,
        }
    }

    /// One command; `asking` for one that a slot which moves has been asked about elsewhere.
    pub(super) async fn ask(&self, cmd: &Cmd, asking: bool) -> Result<Value, Refused> {
        let (at, generation, mut connection) = self.up().map_err(Refused::Failed)?;
        let _waiting = Waiting::on(&self.shared);
        let got = if asking {
            let mut pipeline = redis::pipe();
            pipeline.cmd("ASKING").add_command(cmd.clone());
            let got = connection.req_packed_commands(&pipeline, 0, 2).await;
            got.map(|values| values.into_iter().next_back().unwrap_or(Value::Nil))
        } else {
            connection.req_packed_command(cmd).await
        };
        self.shared
            .judge(at, generation, got.and_then(Value::extract_error))
    }

    /// Sends several commands on one connection, in order; a server error of one is a value among the
    /// answers. `asking` as of [`ask`](Self::ask).
    pub(super) async fn ask_all(
        &self,
        pipeline: &Pipeline,
        count: usize,
        asking: bool,
    ) -> Result<Vec<Value>, Refused> {
        let (at, generation, mut connection) = self.up().map_err(Refused::Failed)?;
        let _waiting = Waiting::on(&self.shared);
        let got = if asking {
            let mut each = redis::pipe();
            for cmd in pipeline.cmd_iter() {
                each.cmd("ASKING").add_command(cmd.clone());
            }
            let got = connection.req_packed_commands(&each, 0, 2 * count).await;
            got.map(|values| values.into_iter().skip(1).step_by(2).collect())
        } else {
            connection.req_packed_commands(pipeline, 0, count).await
        };
        let got = match got {
            Ok(values) => believed(&mut connection, values).await,
            Err(error) => Err(error),
        };
        self.shared.judge(at, generation, got)
    }

    fn up(&self) -> StoreResult<(usize, u64, MultiplexedConnection)> {
        self.shared.pick().ok_or_else(|| {
            StoreError::unavailable(format!("no connection to {}", self.shared.place))
        })
    }

    #[cfg(test)]
    pub(super) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::SeqCst)
    }

    pub(super) fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        for lane in &self.shared.lanes {
            lane.close();
        }
    }
}

/// What a server says whose other answers are not to be believed: a replica that was the primary, and a primary that has lost its
/// replicas or its cluster's majority, so that another may have taken over.
const REPLACED: [&str; 3] = ["READONLY", "NOREPLICAS", "CLUSTERDOWN"];
/// What a server says before any of these, whatever it is.
const ILL: [&str; 2] = ["OOM", "MISCONF"];

/// The answers, if they are a primary's. One that is full, or whose disk fails, is asked behind them: it would not have said otherwise.
async fn believed(
    connection: &mut MultiplexedConnection,
    values: Vec<Value>,
) -> Result<Vec<Value>, RedisError> {
    let said = |codes: &[&str]| {
        let is_one = |v: &&Value| matches!(v, Value::ServerError(e) if codes.contains(&e.code()));
        values.iter().find(is_one).cloned()
    };
    if let Some(replaced) = said(&REPLACED) {
        replaced.extract_error()?;
    }
    if said(&ILL).is_some() {
        Box::pin(handshake::stands(connection)).await?;
    }
    Ok(values)
}

impl Drop for Node {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn pick(&self) -> Option<(usize, u64, MultiplexedConnection)> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..self.lanes.len()).find_map(|i| {
            let at = (first + i) % self.lanes.len();
            let (generation, connection) = self.lanes[at].up()?;
            Some((at, generation, connection))
        })
    }

    fn life(&self) -> MutexGuard<'_, Option<String>> {
        let life = self.life.life.lock();
        life.unwrap_or_else(PoisonError::into_inner)
    }
}
