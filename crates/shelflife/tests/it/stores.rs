//! The stores that the contract runs on.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use shelflife::{Builder, Cache};
use shelflife_testkit::{Cluster, RedisServer};

/// A busy machine is no store that is away: what is not about timeouts waits so long for an answer.
pub const PATIENT: Duration = Duration::from_secs(10);

/// A store to test, and what keeps it alive.
pub struct Bench {
    server: Option<RedisServer>,
    cluster: Option<Arc<Cluster>>,
    namespace: String,
}

impl Bench {
    pub fn embedded() -> Self {
        Self {
            server: None,
            cluster: None,
            namespace: "test".into(),
        }
    }

    pub fn redis() -> Self {
        Self {
            server: Some(RedisServer::start()),
            cluster: None,
            namespace: "test".into(),
        }
    }

    /// A namespace of its own on a cluster that tests share who run at the same time.
    pub fn cluster() -> Self {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = shared.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(calm(Cluster::start(3)));
            *shared = Arc::downgrade(&cluster);
            cluster
        });
        Self {
            server: None,
            cluster: Some(cluster),
            namespace: format!("test-{:016x}", fastrand::u64(..)),
        }
    }

    pub fn server(&mut self) -> &mut RedisServer {
        self.server.as_mut().expect("this store has a server")
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether it is one server, that can be asked or done something to.
    pub fn has_server(&self) -> bool {
        self.server.is_some()
    }

    /// Whether other processes may use it too.
    pub fn is_shared(&self) -> bool {
        self.server.is_some() || self.cluster.is_some()
    }

    /// Settings of a cache on this store.
    pub fn builder(&self) -> Builder {
        let builder = Cache::builder().namespace(&self.namespace).jitter(0.0);
        let builder = builder.timeout(PATIENT);
        match (&self.server, &self.cluster) {
            (Some(server), _) => builder.url(server.url()),
            (None, Some(cluster)) => builder.url(cluster.url()),
            (None, None) => builder,
        }
    }

    /// A cache whose window does not close because the machine is busy: for what is said of L1.
    pub async fn long_windowed(&self) -> Cache {
        self.builder()
            .window(Duration::from_secs(60))
            .build()
            .await
            .unwrap()
    }

    pub async fn cache(&self) -> Cache {
        self.builder().build().await.unwrap()
    }
}

/// A cluster in which nobody is killed: a machine that stands still for a second makes no replica take over.
pub fn calm(cluster: Cluster) -> Cluster {
    for node in 0..cluster.nodes() {
        let set = ["CONFIG", "SET", "cluster-node-timeout", "15000"];
        cluster.node(node).cli(&set);
    }
    cluster
}

/// Runs the body on the embedded store, on a real Redis and on a cluster, as three tests.
#[macro_export]
macro_rules! on_both_stores {
    ($($(#[$meta:meta])* async fn $name:ident($bench:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports, reason = "not every body needs what surrounds it")]
            use super::*;

            async fn run(#[allow(unused_mut)] mut $bench: $crate::stores::Bench) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                run($crate::stores::Bench::embedded()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn redis() {
                run($crate::stores::Bench::redis()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn cluster() {
                run($crate::stores::Bench::cluster()).await;
            }
        }
    )*};
}
