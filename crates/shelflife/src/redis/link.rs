//! Connections: lanes to one server, their health, and how they come back.
//!
//! A lane is one multiplexed connection; commands of all callers are pipelined on it. A lane that loses
//! its connection, or times out again and again, is down: calls fail at once instead of waiting, until
//! a reconnection (jittered, in the background) has proved itself by a full handshake.
//!
//! Must not: know what the commands mean.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard, Weak};
use std::time::Duration;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, ErrorKind as RedisKind, Pipeline, RedisError, ServerErrorKind, Value};

use super::address::Address;
use super::doctor::Place;
use crate::error::ErrorKind;
use crate::settings::Settings;
use crate::store::{StoreError, StoreResult};

mod handshake;

use handshake::Role;

/// After so many timeouts in a row a lane counts as down.
const TIMEOUTS: u32 = 3;
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
const BACKOFF_MOST: Duration = Duration::from_secs(2);
/// How many requests may wait for a place in a connection's pipeline (the driver's default is 50).
const PIPELINE: usize = 1024;

pub(super) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    address: Address,
    timeout: Duration,
    connect_timeout: Duration,
    client: redis::Client,
    lanes: Box<[Lane]>,
    next: AtomicUsize,
    closed: AtomicBool,
    runtime: tokio::runtime::Handle,
}

/// One connection.
struct Lane {
    /// The connection, if it is up. Held for a clone or a swap, never across a wait.
    connection: RwLock<Option<MultiplexedConnection>>,
    /// Names the connection, so that a late failure of an old one doesn't take down its successor.
    generation: AtomicU64,
    timeouts: AtomicU32,
    reconnecting: AtomicBool,
}

impl Lane {
    fn down() -> Self {
        Self {
            connection: RwLock::new(None),
            generation: AtomicU64::new(0),
            timeouts: AtomicU32::new(0),
            reconnecting: AtomicBool::new(false),
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<MultiplexedConnection>> {
        self.connection
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, if it is up, and its name.
    fn up(&self) -> Option<(u64, MultiplexedConnection)> {
        let slot = self
            .connection
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let connection = slot.clone()?;
        Some((self.generation.load(Ordering::SeqCst), connection))
    }

    fn take_up(&self, connection: MultiplexedConnection) {
        let mut slot = self.write();
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.timeouts.store(0, Ordering::SeqCst);
        *slot = Some(connection);
    }

    /// Takes the lane down, unless it has been replaced since `generation`.
    fn take_down(&self, generation: u64) -> bool {
        let mut slot = self.write();
        let ours = self.generation.load(Ordering::SeqCst) == generation && slot.is_some();
        if ours {
            *slot = None;
        }
        ours
    }
}

impl Link {
    /// Connects. A server that can't be reached, or is a replica now, leaves the lanes down and
    /// reconnecting; one that can't be used (too old, credentials refused) is an error.
    pub(super) async fn open(address: Address, settings: &Settings) -> StoreResult<Self> {
        let keepalive = redis::io::tcp::socket2::TcpKeepalive::new()
            .with_time(settings.keepalive.max(Duration::from_secs(1)))
            .with_interval((settings.keepalive / 3).max(Duration::from_secs(1)));
        let tcp = redis::io::tcp::TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(keepalive);
        let info = address.0.clone().set_tcp_settings(tcp);
        let client = redis::Client::open(info)
            .map_err(|e| StoreError::new(ErrorKind::Config, format!("bad setting url: {e}")))?;
        let shared = Arc::new(Shared {
            address,
            timeout: settings.timeout,
            connect_timeout: settings.connect_timeout,
            client,
            lanes: (0..settings.connections).map(|_| Lane::down()).collect(),
            next: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            runtime: tokio::runtime::Handle::current(),
        });
        for at in 0..shared.lanes.len() {
            match shared.connect(Some(shared.timeout)).await {
                Ok(connection) => shared.lanes[at].take_up(connection),
                Err(error) if error.kind == ErrorKind::Unavailable => {
                    tracing::warn!(server = %shared.address.shown(), %error, "not reachable yet");
                    shared.reconnect(at);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self { shared })
    }

    /// A connection that is up, if any.
    pub(super) fn connection(&self) -> Option<MultiplexedConnection> {
        self.shared.pick().map(|(_, _, connection)| connection)
    }

    /// How long to wait for an answer.
    pub(super) fn timeout(&self) -> Duration {
        self.shared.timeout
    }

    /// A connection of its own, without a response timeout, on the runtime of the caller.
    pub(super) async fn dedicated(&self) -> StoreResult<MultiplexedConnection> {
        self.shared.connect(None).await
    }

    /// Where it leads, and as whom.
    pub(super) fn place(&self) -> Place {
        let info = &self.shared.address.0;
        let own = info.redis_settings();
        Place {
            address: info.addr().clone(),
            shown: self.shared.address.shown(),
            db: own.db(),
            user: own.username().unwrap_or("default").to_owned(),
            has_secret: own.password().is_some(),
        }
    }

    /// Whether the server lets in who names no user and no password.
    pub(super) async fn lets_in_anybody(&self) -> StoreResult<bool> {
        let shared = &self.shared;
        if shared.address.0.redis_settings().password().is_none() {
            return Ok(true);
        }
        let nobody = redis::RedisConnectionInfo::default();
        let info = shared.address.0.clone().set_redis_settings(nobody);
        let client = redis::Client::open(info).map_err(|e| handshake::refusal(&e))?;
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(shared.connect_timeout))
            .set_response_timeout(Some(shared.timeout));
        let asking = async {
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            connection
                .req_packed_command(&redis::cmd("PING"))
                .await
                .and_then(Value::extract_error)
        };
        let said = tokio::time::timeout(shared.connect_timeout, asking).await;
        let said = said.map_err(|_| StoreError::unavailable("connecting took too long"))?;
        match said.map_err(|error| handshake::refusal(&error)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::Denied => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn call(&self, cmd: &Cmd) -> StoreResult<Value> {
        let (at, generation, mut connection) = self.up()?;
        let got = connection
            .req_packed_command(cmd)
            .await
            .and_then(Value::extract_error);
        self.shared.judge(at, generation, got)
    }

    /// Runs a script by its digest; by its text on a server that doesn't know it yet.
    pub(super) async fn call_script(
        &self,
        by_digest: Cmd,
        by_text: impl FnOnce() -> Cmd,
    ) -> StoreResult<Value> {
        let (at, generation, mut connection) = self.up()?;
        let got = connection
            .req_packed_command(&by_digest)
            .await
            .and_then(Value::extract_error);
        match got {
            Err(e) if e.kind() == RedisKind::Server(ServerErrorKind::NoScript) => {
                self.call(&by_text()).await
            }
            got => self.shared.judge(at, generation, got),
        }
    }

    /// Sends several commands on one connection, in order; a server error of one is a value among the
    /// answers.
    pub(super) async fn call_all(
        &self,
        pipeline: &Pipeline,
        count: usize,
    ) -> StoreResult<Vec<Value>> {
        let (at, generation, mut connection) = self.up()?;
        let got = connection.req_packed_commands(pipeline, 0, count).await;
        // A replica that was the primary, or a primary that has lost its replicas, of which one may have
        // taken over: whatever else it said is not to be believed.
        let got = got.and_then(|values| {
            let no_primary = |v: &Value| {
                matches!(v, Value::ServerError(e) if ["READONLY", "NOREPLICAS"].contains(&e.code()))
            };
            match values.iter().position(no_primary) {
                Some(at) => Err(values[at].clone().extract_error().err().unwrap_or_else(|| {
                    RedisError::from((RedisKind::Io, "the primary became a replica"))
                })),
                None => Ok(values),
            }
        });
        self.shared.judge(at, generation, got)
    }

    fn up(&self) -> StoreResult<(usize, u64, MultiplexedConnection)> {
        self.shared.pick().ok_or_else(|| {
            StoreError::unavailable(format!("no connection to {}", self.shared.address.shown()))
        })
    }

    pub(super) fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        for lane in &self.shared.lanes {
            *lane.write() = None;
        }
    }
}

impl Drop for Link {
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

    /// A connection that has proved itself. A server that is a replica now takes all lanes down: who found
    /// that out, the tail perhaps, found it out for everybody.
    async fn connect(
        self: &Arc<Self>,
        response_timeout: Option<Duration>,
    ) -> StoreResult<MultiplexedConnection> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(response_timeout)
            .set_pipeline_buffer_size(PIPELINE);
        // The driver's own limit does not cover every step of TLS and authentication.
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let mut connection = tokio::time::timeout(self.connect_timeout, connecting)
            .await
            .map_err(|_| StoreError::unavailable("connecting took too long"))?
            .map_err(|e| handshake::refusal(&e))?;
        let verified =
            tokio::time::timeout(self.connect_timeout, handshake::verify(&mut connection))
                .await
                .map_err(|_| StoreError::unavailable("the handshake took too long"))??;
        match verified {
            Role::Primary => Ok(connection),
            Role::Other(role) => {
                self.take_all_down(&role);
                // During a failover this passes: try again.
                Err(StoreError::unavailable(format!(
                    "the server is a {role}, not a primary; point the URL at the primary"
                )))
            }
        }
    }

    /// No lane leads to a primary any more: each has to prove itself anew.
    fn take_all_down(self: &Arc<Self>, role: &str) {
        for (at, lane) in self.lanes.iter().enumerate() {
            let up = lane.up();
            if up.is_some_and(|(generation, _)| lane.take_down(generation)) {
                tracing::warn!(server = %self.address.shown(), role, "is not the primary any more");
                self.reconnect(at);
            }
        }
    }

    /// Draws the conclusions of an answer for the lane that gave it.
    fn judge<T>(
        self: &Arc<Self>,
        at: usize,
        generation: u64,
        got: Result<T, RedisError>,
    ) -> StoreResult<T> {
        let lane = &self.lanes[at];
        let error = match got {
            Ok(value) => {
                lane.timeouts.store(0, Ordering::Relaxed);
                return Ok(value);
            }
            Err(error) => error,
        };
        if error.is_timeout() {
            let in_a_row = lane.timeouts.fetch_add(1, Ordering::Relaxed) + 1;
            if in_a_row >= TIMEOUTS && lane.take_down(generation) {
                tracing::warn!(server = %self.address.shown(), in_a_row, "does not answer");
                self.reconnect(at);
            }
            return Err(StoreError::unavailable(format!(
                "no answer within {:?}",
                self.timeout
            )));
        }
        let gone =
            error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error();
        // A primary that became a replica: the handshake finds out when it, or another, is one again.
        if gone || error.code() == Some("READONLY") {
            if lane.take_down(generation) {
                tracing::warn!(server = %self.address.shown(), %error, "connection lost");
                self.reconnect(at);
            }
            return Err(StoreError::unavailable(error.to_string()));
        }
        Err(handshake::server_error(&error))
    }

    /// Reconnects a lane in the background, with jittered, growing pauses.
    fn reconnect(self: &Arc<Self>, at: usize) {
        if self.lanes[at].reconnecting.swap(true, Ordering::SeqCst) {
            return;
        }
        let weak = Arc::downgrade(self);
        self.runtime.spawn(async move {
            let mut pause = BACKOFF_FIRST;
            while let Some(attempt) = try_again(&weak, at).await {
                if attempt {
                    break;
                }
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
                pause = (pause * 2).min(BACKOFF_MOST);
            }
        });
    }
}

/// One attempt: whether it succeeded; `None` when nobody wants the link any more.
async fn try_again(weak: &Weak<Shared>, at: usize) -> Option<bool> {
    let shared = weak
        .upgrade()
        .filter(|s| !s.closed.load(Ordering::SeqCst))?;
    match shared.connect(Some(shared.timeout)).await {
        Ok(connection) => {
            // The mark first: a failure of the new connection must be able to start over.
            shared.lanes[at].reconnecting.store(false, Ordering::SeqCst);
            shared.lanes[at].take_up(connection);
            tracing::info!(server = %shared.address.shown(), "connected again");
            Some(true)
        }
        Err(error) => {
            tracing::debug!(server = %shared.address.shown(), %error, "still not reachable");
            Some(false)
        }
    }
}

/// What an error means that a server gave, or a connection that broke.
pub(super) fn refused(error: &RedisError) -> StoreError {
    if error.kind() == RedisKind::Server(ServerErrorKind::NoScript) {
        let no_script = StoreError::unavailable(error.to_string());
        return StoreError {
            no_script: true,
            ..no_script
        };
    }
    if error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error() {
        return StoreError::unavailable(error.to_string());
    }
    handshake::server_error(error)
}
