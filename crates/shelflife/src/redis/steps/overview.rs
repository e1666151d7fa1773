//! How the namespace and its server are, for operators.

use redis::Value;

use super::RedisStore;
use crate::inspect::Overview;
use crate::redis::link::At;
use crate::store::StoreResult;

impl RedisStore {
    /// Counts entries and tags by a scan, and reads what `INFO` tells about the server.
    pub(crate) async fn overview(&self) -> StoreResult<Overview> {
        let info = self.info().await?;
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        let number = |name: &str| field(name).and_then(|text| text.parse().ok());
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
            version: field("valkey_version")
                .or(field("redis_version"))
                .map(str::to_owned),
            entries: self.count(&self.names.entry_prefix).await?,
            tags: self.count(&self.names.tag_prefix).await?,
            log,
            used_memory: number("used_memory"),
            max_memory: number("maxmemory"),
            eviction_policy: field("maxmemory_policy").map(str::to_owned),
            evicted_keys: number("evicted_keys"),
            keyspace_hits: number("keyspace_hits"),
            keyspace_misses: number("keyspace_misses"),
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
