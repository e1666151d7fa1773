//! Connections: from a command to the node that it is for.
//!
//! ```text
//! node.rs       a primary: its lanes; node/health.rs has which of them are up
//! lane.rs       one connection
//! handshake.rs  can it be used, is it the primary
//! place.rs      where a primary is: fixed, or told by sentinels.rs
//! cluster.rs    many nodes, each with its slots; cluster/owners.rs has the map, cluster/refresh.rs asks for it, map.rs reads it
//! tls.rs        certificates
//! refused.rs    why a node did not do it
//! ```
//!
//! Must not: know what the commands mean.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisError, Value};

use super::address::{Address, Given, Topology};
use super::doctor::{Certificates, Place as Seat};
use crate::counters::NodeStats;
use crate::error::ErrorKind;
use crate::settings::Settings;
use crate::store::{StoreError, StoreResult};

mod cluster;
mod handshake;
mod lane;
mod map;
mod node;
mod place;
mod refused;
mod sentinels;
#[cfg(test)]
mod tests;
mod tls;

use cluster::Cluster;
use node::{Led, Node, Patience};
use place::Place;
use refused::Refused;
use sentinels::Sentinels;
pub(super) use sentinels::{Group, PORT as SENTINEL_PORT, moved};

/// Whom a command is for. On one server all is in one place.
#[derive(Clone, Copy, Debug)]
pub(super) enum At<'a> {
    /// Who has the clock, the log and the tags.
    Control,
    /// Who has what is called so.
    Name(&'a str),
    /// One of the primaries, by number: for scans.
    Nth(usize),
}

pub(super) struct Link {
    nodes: Nodes,
    timeout: Duration,
    connect_timeout: Duration,
    /// How often another primary was met, or took over, than was known.
    changes: Arc<AtomicU64>,
    /// How it was said to be reached: for what others are told to do.
    given: Given,
    certificates: Certificates,
}

enum Nodes {
    One(Node),
    Many(Cluster),
}

impl Link {
    /// Connects. What can't be reached, or is a replica now, is tried again in the background; what can't be
    /// used (too old, credentials refused) is an error. `control` is a key beside the clock.
    pub(super) async fn open(
        address: Address,
        settings: &Settings,
        control: &str,
    ) -> StoreResult<Self> {
        let keepalive = redis::io::tcp::socket2::TcpKeepalive::new()
            .with_time(settings.keepalive.max(Duration::from_secs(1)))
            .with_interval((settings.keepalive / 3).max(Duration::from_secs(1)));
        let tcp = redis::io::tcp::TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(keepalive);
        let ready = |info: redis::ConnectionInfo| {
            tls::with_certificates(info.set_tcp_settings(tcp.clone()), settings)
        };
        let given = address.given;
        let (info, patience) = (ready(address.info)?, Patience::of(settings));
        let changes = Arc::default();
        let nodes = match address.topology {
            Topology::Single => {
                let place = Place::fixed(info, false)?;
                Nodes::One(Node::open(place, patience, &changes).await?)
            }
            Topology::Sentinels(mut group) => {
                group.nodes = group
                    .nodes
                    .into_iter()
                    .map(ready)
                    .collect::<Result<_, _>>()?;
                let place = Place::told(Sentinels::of(group, settings.connect_timeout), info);
                Nodes::One(Node::open(place, patience, &changes).await?)
            }
            Topology::Cluster(seeds) => {
                Nodes::Many(Cluster::open(seeds, info, patience, control, &changes).await?)
            }
        };
        Ok(Self {
            nodes,
            timeout: settings.timeout,
            connect_timeout: settings.connect_timeout,
            changes,
            given,
            certificates: Certificates {
                ca: settings.tls_ca.clone(),
                cert: settings.tls_cert.clone(),
                key: settings.tls_key.clone(),
            },
        })
    }

    /// Whether keys lie apart: a script can't reach the clock and an entry.
    pub(super) fn is_apart(&self) -> bool {
        matches!(self.nodes, Nodes::Many(_))
    }

    /// How often another primary than was known has been met, wherever; it only grows.
    pub(super) fn changes(&self) -> Arc<AtomicU64> {
        self.changes.clone()
    }

    /// A connection that is up, if any.
    pub(super) fn connection(&self) -> Option<MultiplexedConnection> {
        match &self.nodes {
            Nodes::One(node) => node.connection(),
            Nodes::Many(cluster) => cluster.node(At::Control).ok()?.connection(),
        }
    }

    /// How long to wait for an answer.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A connection of its own to who has the log, without a response timeout, on the runtime of the caller.
    pub(super) async fn dedicated(&self) -> StoreResult<MultiplexedConnection> {
        Ok(self.led().await?.0)
    }

    /// Two of them, which lead to the same run of the same server, in the same life as a primary.
    pub(super) async fn dedicated_pair(&self) -> StoreResult<[MultiplexedConnection; 2]> {
        let (one, led) = self.led().await?;
        let (other, then) = self.led().await?;
        if led != then {
            return Err(StoreError::unavailable(
                "another primary took over while it was connected to",
            ));
        }
        Ok([one, other])
    }

    async fn led(&self) -> StoreResult<(MultiplexedConnection, Led)> {
        match &self.nodes {
            Nodes::One(node) => node.dedicated().await,
            Nodes::Many(cluster) => cluster.dedicated().await,
        }
    }

    /// How the nodes that are known are doing.
    pub(super) fn stats(&self) -> Vec<NodeStats> {
        match &self.nodes {
            Nodes::One(node) => vec![node.stats()],
            Nodes::Many(cluster) => cluster.stats(),
        }
    }

    /// Where one of the primaries is, and as whom it is asked.
    pub(super) fn place(&self, at: At<'_>) -> Seat {
        let info = self.info(at);
        let own = info.redis_settings();
        Seat {
            address: info.addr().clone(),
            shown: info.addr().to_string(),
            db: own.db(),
            user: own.username().unwrap_or("default").to_owned(),
            has_secret: own.password().is_some(),
            of_a_cluster: self.is_apart(),
            given: self.given.clone(),
            certificates: self.certificates.clone(),
        }
    }

    /// Host and port of every primary that is known; nothing for a socket of this machine.
    pub(super) fn places(&self) -> Vec<(String, u16)> {
        let all = (0..self.primaries()).map(|nth| self.info(At::Nth(nth)));
        all.filter_map(|info| match info.addr() {
            redis::ConnectionAddr::Tcp(host, port)
            | redis::ConnectionAddr::TcpTls { host, port, .. } => Some((host.clone(), *port)),
            _ => None,
        })
        .collect()
    }

    /// Whether one of the primaries lets in who names no user and no password.
    pub(super) async fn lets_in_anybody(&self, at: At<'_>) -> StoreResult<bool> {
        let info = self.info(at);
        if info.redis_settings().password().is_none() {
            return Ok(true);
        }
        let nobody = redis::RedisConnectionInfo::default();
        let ping = [redis::cmd("PING")];
        match self.visit(info.set_redis_settings(nobody), &ping).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::Denied => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What another server answers, to whom this one knows by the same name and password: all, or the first error.
    pub(super) async fn ask_beside(
        &self,
        at: At<'_>,
        address: redis::ConnectionAddr,
        commands: &[Cmd],
    ) -> StoreResult<Vec<Value>> {
        self.visit(self.info(at).set_addr(address), commands).await
    }

    /// One more connection, for a moment.
    async fn visit(&self, to: redis::ConnectionInfo, commands: &[Cmd]) -> StoreResult<Vec<Value>> {
        let client = redis::Client::open(to).map_err(|e| handshake::refusal(&e))?;
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.timeout));
        let asking = async {
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            let mut answers = Vec::with_capacity(commands.len());
            for command in commands {
                let answer = connection.req_packed_command(command).await;
                answers.push(answer.and_then(Value::extract_error)?);
            }
            Ok(answers)
        };
        let said = tokio::time::timeout(self.connect_timeout, asking).await;
        let said = said.map_err(|_| StoreError::unavailable("connecting took too long"))?;
        said.map_err(|error: RedisError| handshake::refusal(&error))
    }

    fn info(&self, at: At<'_>) -> redis::ConnectionInfo {
        match &self.nodes {
            Nodes::One(node) => node.info(),
            Nodes::Many(cluster) => cluster.info(at),
        }
    }

    pub(super) async fn call(&self, at: At<'_>, cmd: &Cmd) -> StoreResult<Value> {
        Ok(self.ask(at, cmd).await?)
    }

    /// Runs a script by its digest; by its text on a server that doesn't know it yet.
    pub(super) async fn call_script(
        &self,
        at: At<'_>,
        by_digest: Cmd,
        by_text: impl FnOnce() -> Cmd,
    ) -> StoreResult<Value> {
        match self.ask(at, &by_digest).await {
            Err(Refused::NoScript(_)) => self.call(at, &by_text()).await,
            got => Ok(got?),
        }
    }

    /// Sends several commands to one node, in order; a server error of one is a value among the answers.
    pub(super) async fn call_all(
        &self,
        at: At<'_>,
        pipeline: &Pipeline,
        count: usize,
    ) -> StoreResult<Vec<Value>> {
        let got = match &self.nodes {
            Nodes::One(node) => node.ask_all(pipeline, count, false).await,
            Nodes::Many(cluster) => cluster.ask_all(at, pipeline, count).await,
        };
        Ok(got?)
    }

    /// The same of keys of one slot, all answered by one node: where a write stands behind a read, to prove who answers, and the
    /// slot went elsewhere between the two, the read is asked for there, too.
    pub(super) async fn call_as_one(
        &self,
        at: At<'_>,
        pipeline: &Pipeline,
        count: usize,
    ) -> StoreResult<Vec<Value>> {
        let got = match &self.nodes {
            Nodes::One(node) => node.ask_all(pipeline, count, false).await,
            Nodes::Many(cluster) => cluster.ask_as_one(at, pipeline, count).await,
        };
        Ok(got?)
    }

    async fn ask(&self, at: At<'_>, cmd: &Cmd) -> Result<Value, Refused> {
        match &self.nodes {
            Nodes::One(node) => node.ask(cmd, false).await,
            Nodes::Many(cluster) => cluster.ask(at, cmd).await,
        }
    }

    /// Of the primaries that have what is called so, or of all, where they are and which lives they have. Asked for anew.
    pub(super) async fn primaries_of(
        &self,
        names: Option<&[String]>,
    ) -> StoreResult<Vec<(String, String)>> {
        match &self.nodes {
            Nodes::One(_) => Ok(Vec::new()),
            Nodes::Many(cluster) => cluster.primaries_of(names).await,
        }
    }

    /// Which of these are on one node, by number. Those whose slot nobody has are together.
    pub(super) fn by_primary(&self, names: &[String]) -> Vec<Vec<usize>> {
        match &self.nodes {
            Nodes::One(_) => vec![(0..names.len()).collect()],
            Nodes::Many(cluster) => cluster.by_primary(names),
        }
    }

    /// Whether every slot has a primary, and each of them answers now. Where one server has all, it is not asked.
    pub(super) fn everyone_answers(&self) -> impl Future<Output = bool> + Send + use<> {
        let asked = match &self.nodes {
            Nodes::One(_) => None,
            Nodes::Many(cluster) => Some(cluster.everyone_answers()),
        };
        async move {
            match asked {
                Some(asked) => asked.await,
                None => false,
            }
        }
    }

    /// Waits until all nodes are connected to, no longer than an answer may take.
    pub(super) async fn come_up(&self) {
        if let Nodes::Many(cluster) = &self.nodes {
            cluster.come_up().await;
        }
    }

    /// Where, by what is known here, the primaries are that have what is called so.
    pub(super) fn owners_of(&self, names: &[String]) -> Vec<String> {
        match &self.nodes {
            Nodes::One(_) => Vec::new(),
            Nodes::Many(cluster) => cluster.owners_of(names),
        }
    }

    /// How many primaries there are to scan.
    pub(super) fn primaries(&self) -> usize {
        match &self.nodes {
            Nodes::One(_) => 1,
            Nodes::Many(cluster) => cluster.primaries(),
        }
    }

    /// What has been where, to be compared: the primaries and their slots. Asked for anew.
    pub(super) async fn layout(&self) -> StoreResult<Layout> {
        match &self.nodes {
            Nodes::One(_) => Ok(Layout::default()),
            Nodes::Many(cluster) => cluster.layout().await,
        }
    }

    pub(super) fn close(&self) {
        match &self.nodes {
            Nodes::One(node) => node.close(),
            Nodes::Many(cluster) => cluster.close(),
        }
    }
}

/// Which primary had which slots, and whether one of these was on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) slots: Vec<(u16, u16, (String, u16))>,
    /// All primaries, those without a slot too.
    pub(super) primaries: Vec<(String, u16)>,
    pub(super) is_moving: bool,
    /// Whether every slot has a primary.
    pub(super) is_whole: bool,
    /// Another one when it was otherwise meanwhile, though it may be the same again.
    pub(super) version: u64,
}

/// What an error means that a server gave, or a connection that broke.
pub(super) fn refused(error: &RedisError) -> StoreError {
    if error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error() {
        return StoreError::unavailable(error.to_string());
    }
    Refused::of(error.clone()).into()
}
