//! How the namespace and its server are, for operators.

use redis::Value;

use super::RedisStore;
use crate::inspect::Overview;
use crate::redis::link::At;
use crate::store::StoreResult;

impl RedisStore {
    /// Counts entries and tags by a scan, and reads what `INFO` tells about the server.
    pub(crate) async fn overview(&self) -> StoreResult<Overview> {
        let says = self.server_says().await?;
        let log = match self
            .link
            .call(At::Control, redis::cmd("XLEN").arg(&self.names.log))
            .await
        {
            Ok(Value::Int(entries)) => u64::try_from(entries).unwrap_or(0),
            _ => 0,
        };
        Ok(Overview {
            store: "redis",
            server: Some(self.shown().to_owned()),
            version: says.version,
            entries: self.count(&self.names.entry_prefix).await?,
            tags: self.count(&self.names.tag_prefix).await?,
            log,
            used_memory: says.used_memory,
            // 0 is how a server says that there is no limit.
            max_memory: says.max_memory.or(Some(0)),
            eviction_policy: says.eviction_policy,
            evicted_keys: says.evicted_keys,
            keyspace_hits: says.keyspace_hits,
            keyspace_misses: says.keyspace_misses,
            ..Overview::default()
        })
    }

    async fn count(&self, prefix: &str) -> StoreResult<u64> {
        let glob = format!("{prefix}*");
        let (mut count, mut cursor) = (0, Some(0));
        while let Some(at) = cursor {
            let (names, next) = self.scan(&glob, at, 1000).await?;
            count += names.len() as u64;
            cursor = next;
        }
        Ok(count)
    }
}
