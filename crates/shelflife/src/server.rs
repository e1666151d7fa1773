//! The server behind the store, as it says of itself: memory, evictions, hits, replicas, persistence. For
//! operators and for metrics.
//!
//! Must not: know how it is asked. That is `redis/steps/server.rs`.

use serde::Serialize;

use crate::cache::Cache;
use crate::error::Error;
use crate::store::{Store, StoreResult};

/// How the server of a cache is: what is not told, or does not apply, is `None`.
///
/// Figures are of the whole server, whoever uses it, except for the log's. Of a cluster they are of all primaries
/// together: sums, and of what is no sum the worse; what names a server is the first's. A sum of what is counted never
/// falls: what a primary had counted that was lost stays in it, and who took over adds what it counts from then on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ServerInfo {
    /// `redis`, `valkey` or `embedded`.
    pub product: &'static str,
    /// How many servers these figures are of: of a cluster all primaries together, else 1; 0 for the embedded store.
    pub nodes: u64,
    /// Where it is, without credentials.
    pub address: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// `standalone`, `sentinel` or `cluster`.
    pub mode: Option<String>,
    /// `master` or `slave`, as it says.
    pub role: Option<String>,
    /// For how many seconds it has been running.
    pub uptime: Option<u64>,
    /// Bytes in use.
    pub used_memory: Option<u64>,
    /// Bytes that it may use; `None` where there is no limit.
    pub max_memory: Option<u64>,
    /// The first of these by the second; of several servers, of the fullest one.
    pub fullness: Option<f64>,
    /// What it does at the limit: shelflife wants `volatile-lru`, see `deploy/README.md`.
    pub eviction_policy: Option<String>,
    /// What the process takes, by what is in use.
    pub fragmentation: Option<f64>,
    /// Keys evicted for want of room.
    pub evicted_keys: Option<u64>,
    /// Keys that expired.
    pub expired_keys: Option<u64>,
    /// Reads that found a key.
    pub keyspace_hits: Option<u64>,
    /// Reads that did not.
    pub keyspace_misses: Option<u64>,
    /// Connections of clients.
    pub clients: Option<u64>,
    /// How many there may be.
    pub max_clients: Option<u64>,
    /// Connections refused because there were as many as may be.
    pub rejected_clients: Option<u64>,
    /// Commands carried out.
    pub commands: Option<u64>,
    /// Commands a second, of late.
    pub commands_per_second: Option<u64>,
    /// Replicas connected.
    pub replicas: Option<u64>,
    /// By how many bytes the replica is behind that is most so; `None` where there is none.
    pub replica_lag: Option<u64>,
    /// How it keeps what it has.
    pub persistence: Persistence,
    /// Entries of the namespace's log.
    pub log: Option<u64>,
    /// Of those, how many this process has not applied yet: counted up to 512. `None` while it does not
    /// follow the log.
    pub log_behind: Option<u64>,
}

/// How a server keeps what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Persistence {
    /// Whether it appends each write to a file.
    pub append_only: Option<bool>,
    /// Whether that went well last.
    pub append_ok: Option<bool>,
    /// Whether the last snapshot went well.
    pub snapshot_ok: Option<bool>,
    /// When it was taken, in seconds since 1970 by the server's clock.
    pub snapshot_at: Option<u64>,
    /// Changes since.
    pub unsaved_changes: Option<u64>,
    /// Whether it is reading what it kept: it answers nobody until then.
    pub loading: Option<bool>,
}

impl ServerInfo {
    /// Reads that found a key, by all reads; `None` when there were none.
    pub fn hit_ratio(&self) -> Option<f64> {
        let (hits, misses) = (self.keyspace_hits?, self.keyspace_misses?);
        let all = hits + misses;
        (all > 0).then(|| hits as f64 / all as f64)
    }

    /// Memory in use, by what may be used, of the fullest server; `None` where there is no limit.
    pub fn memory_ratio(&self) -> Option<f64> {
        self.fullness.or_else(|| {
            let most = self.max_memory.filter(|most| *most > 0)?;
            Some(self.used_memory? as f64 / most as f64)
        })
    }
}

impl Cache {
    /// How the server is: one `INFO` and two looks at the log, whatever the size of the data. The metrics
    /// tell what was found last.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn server_info(&self) -> Result<ServerInfo, Error> {
        let asked: StoreResult<ServerInfo> = match &self.engine.store {
            Store::Embedded(store) => Ok(ServerInfo {
                product: "embedded",
                used_memory: Some(store.bytes()),
                max_memory: Some(self.engine.settings.memory / 2),
                ..ServerInfo::default()
            }),
            #[cfg(feature = "redis")]
            Store::Redis(store) => store.server(self.engine.applied()).await,
        };
        self.engine.server.keep(asked.as_ref().ok());
        Ok(asked?)
    }
}

/// What was found last when the server was asked.
#[derive(Debug, Default)]
pub(crate) struct LastSeen(std::sync::Mutex<Seen>);

/// What a server said when it was asked last.
#[derive(Clone, Debug, Default)]
pub(crate) enum Seen {
    /// It never was.
    #[default]
    Never,
    /// It did not answer.
    Down,
    Up(Box<ServerInfo>),
}

#[cfg(feature = "opentelemetry")]
impl Seen {
    /// With something in every place: for the names of what may be told.
    pub(crate) fn full() -> Self {
        let some = Some(1);
        Self::Up(Box::new(ServerInfo {
            uptime: some,
            used_memory: some,
            max_memory: some,
            fragmentation: Some(1.0),
            evicted_keys: some,
            expired_keys: some,
            keyspace_hits: some,
            keyspace_misses: some,
            clients: some,
            max_clients: some,
            rejected_clients: some,
            commands: some,
            replicas: some,
            replica_lag: some,
            log: some,
            log_behind: some,
            ..ServerInfo::default()
        }))
    }
}

impl LastSeen {
    fn keep(&self, info: Option<&ServerInfo>) {
        let seen = info.map_or(Seen::Down, |info| Seen::Up(Box::new(info.clone())));
        *self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = seen;
    }

    pub(crate) fn read(&self) -> Seen {
        let seen = self.0.lock();
        seen.unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_embedded_store_tells_what_it_holds() {
        let cache = Cache::memory();
        cache.set("k", "x".repeat(5000)).await.unwrap();
        let info = cache.server_info().await.unwrap();
        assert_eq!((info.product, info.address.as_deref()), ("embedded", None));
        assert!(info.used_memory.is_some_and(|bytes| bytes > 5000));
        assert!(info.memory_ratio().is_some_and(|ratio| ratio < 0.5));
        assert_eq!((info.hit_ratio(), info.log_behind), (None, None));
    }
}
