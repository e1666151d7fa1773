//! Sentinels: who the primary is, and who it has become.
//!
//! Documentation: <https://redis.io/docs/latest/develop/reference/sentinel-clients/>. A sentinel is asked each time before a connection is
//! made, so that whoever reconnects finds the new primary; what it names has to prove itself, as it may not know yet. `+switch-master` tells of
//! a new primary at once, before calls to the old one have run out of time.
//!
//! Each answer comes with the epoch in which the primary was elected. A sentinel that was away, and still names the one before, tells of an
//! older epoch than is known: the next one is asked. Whoever asks first and hears of another primary is told that this is news.
//!
//! Must not: know what the connections are for.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::{ConnectionLike as _, PubSub};
use redis::{ConnectionAddr, ConnectionInfo, FromRedisValue as _, Value};
use tokio::time::Instant;

use crate::error::ErrorKind;
use crate::store::{StoreError, StoreResult};

/// The port of a sentinel that names none.
pub(in crate::redis) const PORT: u16 = 26_379;
/// How long nothing may be heard of a sentinel until the primary is asked for.
const SILENCE: Duration = Duration::from_secs(2);
/// When nobody has known as late an epoch as is known for so long, the sentinels were set up anew, and their epochs
/// began anew, too.
const DOUBT: Duration = Duration::from_secs(10);

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
    /// What they have told so far. Held to compare, never across a wait.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    primary: Option<(String, u16)>,
    epoch: u64,
    /// Since when those who answer know only of older ones.
    doubted: Option<Instant>,
}

/// What a sentinel says: where the primary is, and in which epoch it was elected, if it may tell that.
type Said = ((String, u16), Option<u64>);

/// A primary that is believed to be one.
pub(super) struct Primary {
    pub(super) at: (String, u16),
    /// Whether another one was known before: of all who ask, one is told so.
    pub(super) is_news: bool,
}

impl Sentinels {
    pub(super) fn of(group: Group, within: Duration) -> Self {
        Self {
            group,
            first: AtomicUsize::new(0),
            within,
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where they said last that the primary is.
    pub(super) fn last(&self) -> Option<(String, u16)> {
        self.known().primary.clone()
    }

    /// Where the primary is, by the first sentinel that answers and knows as much as is known.
    ///
    /// # Errors
    ///
    /// `Unavailable` when none does; `Config` when all answer, and none knows the name.
    pub(super) async fn primary(&self) -> StoreResult<Primary> {
        let (mut refused, mut unknown) = (None, 0);
        for node in self.in_turn() {
            match self.ask(node).await {
                Ok(Some(said)) => match self.known().take(said) {
                    Some(primary) => return Ok(primary),
                    None => {
                        refused = Some(StoreError::unavailable(
                            "it knows an earlier one than is known",
                        ));
                    }
                },
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

    async fn ask(&self, node: &ConnectionInfo) -> StoreResult<Option<Said>> {
        let asking = async {
            let config = redis::AsyncConnectionConfig::new()
                .set_connection_timeout(Some(self.within))
                .set_response_timeout(Some(self.within));
            let client = redis::Client::open(node.clone())?;
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            // In this order the epoch may be too late for the place, and then the next answer is as late; too early it
            // would let an old place in.
            let mut ask = redis::pipe();
            for what in ["GET-MASTER-ADDR-BY-NAME", "MASTER"] {
                ask.cmd("SENTINEL").arg(what).arg(&self.group.name);
            }
            let mut told = connection
                .req_packed_commands(&ask, 0, 2)
                .await?
                .into_iter();
            let at = told.next().unwrap_or(Value::Nil).extract_error()?;
            let at = Option::<(String, u16)>::from_redis_value(at)?;
            Ok(at.map(|at| (at, told.next().and_then(epoch))))
        };
        tokio::time::timeout(self.within, asking)
            .await
            .map_err(|_| StoreError::unavailable("a sentinel did not answer in time"))?
            .map_err(|error| super::handshake::refusal(&error))
    }

    /// Listens to one sentinel until another primary is told of than was known, or the sentinel speaks no more: `false`.
    /// Asks who it is whenever that may have changed.
    pub(super) async fn hear_of_another(&self) -> bool {
        let Some(mut events) = self.subscribe().await else {
            self.first.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        let mut events = events.on_message();
        loop {
            // After the subscription, and after each silence: what was said before, or not at all, is not missed.
            match self.primary().await {
                Ok(primary) if primary.is_news => return true,
                Ok(_) => {}
                Err(_) => return false,
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

impl Known {
    /// What is known now that a sentinel has said so; `None` if it knows less.
    fn take(&mut self, (at, epoch): Said) -> Option<Primary> {
        if epoch.is_some_and(|epoch| epoch < self.epoch) {
            let since = *self.doubted.get_or_insert_with(Instant::now);
            if since.elapsed() < DOUBT {
                return None;
            }
        }
        self.doubted = None;
        self.epoch = epoch.unwrap_or(self.epoch);
        let last = self.primary.replace(at.clone());
        Some(Primary {
            is_news: last.is_some_and(|last| last != at),
            at,
        })
    }
}

/// The epoch in what `SENTINEL MASTER` answers; `None` if it may not be asked.
fn epoch(told: Value) -> Option<u64> {
    let fields = HashMap::<String, String>::from_redis_value(told).ok()?;
    fields.get("config-epoch")?.parse().ok()
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
