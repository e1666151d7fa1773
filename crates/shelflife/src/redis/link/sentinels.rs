//! Sentinels: who the primary is, and who it has become.
//!
//! Documentation: <https://redis.io/docs/latest/develop/reference/sentinel-clients/>. A sentinel is asked each time before a connection is
//! made, so that whoever reconnects finds the new primary; what it names has to prove itself, as it may not know yet. `+switch-master` tells of
//! a new primary at once, before calls to the old one have run out of time.
//!
//! Must not: know what the connections are for.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::{ConnectionLike as _, PubSub};
use redis::{ConnectionAddr, ConnectionInfo, FromRedisValue as _, Value};

use crate::error::ErrorKind;
use crate::store::{StoreError, StoreResult};

/// The port of a sentinel that names none.
pub(in crate::redis) const PORT: u16 = 26_379;
/// How long nothing may be heard of a sentinel until the primary is asked for.
const SILENCE: Duration = Duration::from_secs(2);

/// A primary, by the name under which sentinels watch it.
#[derive(Clone, Debug)]
pub(in crate::redis) struct Group {
    pub(in crate::redis) name: String,
    /// The sentinels, each with the credentials for itself.
    pub(in crate::redis) nodes: Vec<ConnectionInfo>,
}

/// The sentinels of a primary, and which of them has answered last.
#[derive(Debug)]
pub(super) struct Sentinels {
    group: Group,
    first: AtomicUsize,
    within: Duration,
}

impl Sentinels {
    pub(super) fn of(group: Group, within: Duration) -> Self {
        Self {
            group,
            first: AtomicUsize::new(0),
            within,
        }
    }

    /// Where the primary is, by the first sentinel that answers.
    ///
    /// # Errors
    ///
    /// `Unavailable` when none answers; `Config` when all do, and none knows the name.
    pub(super) async fn primary(&self) -> StoreResult<(String, u16)> {
        let (mut refused, mut unknown) = (None, 0);
        for node in self.in_turn() {
            match self.ask(node).await {
                Ok(Some(primary)) => return Ok(primary),
                Ok(None) => unknown += 1,
                Err(error) => refused = Some(error),
            }
            // The next one is asked first from now on.
            self.first.fetch_add(1, Ordering::Relaxed);
        }
        let name = &self.group.name;
        Err(match refused {
            None if unknown > 0 => StoreError::new(
                ErrorKind::Config,
                format!(
                    "bad setting url: no sentinel knows a primary {name:?}; expected the name of its `sentinel monitor`"
                ),
            ),
            Some(error) if error.kind == ErrorKind::Denied => error,
            Some(error) => StoreError::unavailable(format!(
                "no sentinel tells where the primary {name:?} is: {error}"
            )),
            None => StoreError::unavailable("there is no sentinel to ask"),
        })
    }

    fn in_turn(&self) -> impl Iterator<Item = &ConnectionInfo> {
        let first = self.first.load(Ordering::Relaxed);
        let nodes = &self.group.nodes;
        (0..nodes.len()).map(move |i| &nodes[(first + i) % nodes.len()])
    }

    async fn ask(&self, node: &ConnectionInfo) -> StoreResult<Option<(String, u16)>> {
        let asking = async {
            let config = redis::AsyncConnectionConfig::new()
                .set_connection_timeout(Some(self.within))
                .set_response_timeout(Some(self.within));
            let client = redis::Client::open(node.clone())?;
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            let ask = redis::cmd("SENTINEL")
                .arg("GET-MASTER-ADDR-BY-NAME")
                .arg(&self.group.name)
                .take();
            let told = connection
                .req_packed_command(&ask)
                .await
                .and_then(Value::extract_error)?;
            let told = Option::<(String, u16)>::from_redis_value(told)?;
            Ok(told)
        };
        tokio::time::timeout(self.within, asking)
            .await
            .map_err(|_| StoreError::unavailable("a sentinel did not answer in time"))?
            .map_err(|error| super::handshake::refusal(&error))
    }

    /// Listens to one sentinel until the primary is `wanted`, or the sentinel speaks no more: `false`. Asks what it is
    /// whenever that may have changed.
    pub(super) async fn listen(&self, wanted: impl Fn(&(String, u16)) -> bool) -> bool {
        let Some(mut events) = self.subscribe().await else {
            self.first.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        let mut events = events.on_message();
        loop {
            // After the subscription, and after each silence: what was said before, or not at all, is not missed.
            let Ok(primary) = self.primary().await else {
                return false;
            };
            if wanted(&primary) {
                return true;
            }
            match tokio::time::timeout(SILENCE, events.next()).await {
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => return false,
            }
        }
    }

    async fn subscribe(&self) -> Option<PubSub> {
        let node = self.in_turn().next()?.clone();
        let subscribing = async {
            let client = redis::Client::open(node).ok()?;
            let mut events = client.get_async_pubsub().await.ok()?;
            events.subscribe("+switch-master").await.ok()?;
            Some(events)
        };
        tokio::time::timeout(self.within, subscribing).await.ok()?
    }
}

impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.group)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by ", self.name)?;
        for (at, node) in self.nodes.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}", node.addr())?;
        }
        Ok(())
    }
}

/// The same server elsewhere.
pub(in crate::redis) fn moved(
    template: &ConnectionInfo,
    (host, port): (String, u16),
) -> ConnectionInfo {
    let addr = match template.addr().clone() {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure,
            tls_params,
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    template.clone().set_addr(addr)
}
