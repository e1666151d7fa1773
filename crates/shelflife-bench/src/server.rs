//! The server of this run, caches on it, and the bare connections that they are compared with.

use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use shelflife::{Builder, Cache};
use shelflife_testkit::RedisServer;
use tokio::runtime::Runtime;

use crate::Outcome;

/// Longer than any run: nothing expires while it is measured.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
/// As shelflife sets it: how many requests may wait for a place in a connection's pipeline.
const PIPELINE: usize = 1024;

pub(crate) struct Server {
    redis: RedisServer,
    /// Two workers, as a small server has.
    pub(crate) runtime: Runtime,
}

impl Server {
    pub(crate) fn start() -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        Ok(Self {
            redis: RedisServer::start(),
            runtime,
        })
    }

    /// A cache on this server; nothing in it expires or is refreshed early.
    pub(crate) fn cache(&self, namespace: &str) -> Builder {
        settled(Cache::builder())
            .url(self.redis.url())
            .namespace(namespace)
    }

    pub(crate) async fn bare(&self) -> Outcome<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(Duration::from_millis(500)))
            .set_pipeline_buffer_size(PIPELINE);
        let client = redis::Client::open(self.redis.url())?;
        Ok(client
            .get_multiplexed_async_connection_with_config(&config)
            .await?)
    }

    pub(crate) fn version(&self) -> Outcome<String> {
        let info = self.redis.cli(&["INFO", "server"]);
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
        let version = field("valkey_version:").map(|v| format!("valkey {v}"));
        let version = version.or_else(|| field("redis_version:").map(|v| format!("redis {v}")));
        Ok(version.ok_or("the server does not tell its version")?)
    }
}

/// The embedded cache, likewise.
pub(crate) fn embedded() -> Builder {
    settled(Cache::builder())
}

fn settled(builder: Builder) -> Builder {
    builder
        .ttl(HOUR)
        .jitter(0.0)
        .setting("early", "0")
        .window(HOUR)
}
