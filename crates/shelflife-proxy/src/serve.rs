//! The life of a proxy: bind, serve, reload, end.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use shelflife::Cache;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::{AdminAnswer, MetricsAnswer, Page};
use crate::config::{Admin, Config, ConfigError};
use crate::figures::Figures;
use crate::listen::{Accepting, Clients};
use crate::live::{Live, Site};
use crate::pipeline::Pipeline;

/// Operators' connections at once.
const ADMINS: usize = 64;

/// A proxy that listens, and serves when it is told to.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use shelflife::Cache;
/// use shelflife_proxy::{Config, Proxy};
///
/// let config = Config::default()
///     .with_listen(["127.0.0.1:8080".parse()?])
///     .with_upstream("http://127.0.0.1:9000")?;
/// let proxy = Proxy::bind(config, Cache::memory()).await?;
/// let control = proxy.control();
/// tokio::spawn(async move {
///     // … when it is time:
///     control.shutdown();
/// });
/// proxy.serve().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Proxy {
    listeners: Vec<TcpListener>,
    admin: Option<Operators>,
    metrics: Option<TcpListener>,
    clients: usize,
    grace: Duration,
    control: Control,
}

/// The operators' listener, and what is behind it.
#[derive(Debug)]
struct Operators {
    listener: TcpListener,
    token: Arc<str>,
    page: Page,
}

/// A hand on a running proxy. Clones are hands on the same.
#[derive(Clone, Debug)]
pub struct Control {
    live: Arc<Live>,
    /// What cannot be changed while it runs.
    fixed: Arc<Config>,
    ending: CancellationToken,
    cache: Cache,
    instance: Arc<str>,
}

/// Why a proxy could not be started.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Of the configuration, or a file that it names.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

impl Proxy {
    /// Opens certificates and listens. Connections are accepted by the system from here on, and served by
    /// [`serve`](Proxy::serve). The upstream is not connected to before it is asked.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be used, or an address is taken.
    pub async fn bind(config: Config, cache: Cache) -> Result<Self, BindError> {
        let instance = instance();
        let clients = config.clients.connections.min(Semaphore::MAX_PERMITS);
        let figures = Arc::new(Figures::new(clients));
        let site = Site::open(&config, &cache, &instance, &figures)?;
        let mut listeners = Vec::new();
        for address in &config.listen {
            listeners.push(listen(*address).await?);
        }
        let admin = match &config.admin {
            Some(admin) => Some(Operators::open(admin, &cache).await?),
            None => None,
        };
        let metrics = match config.admin.as_ref().and_then(|admin| admin.metrics) {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        Ok(Proxy {
            listeners,
            admin,
            metrics,
            clients,
            grace: config.shutdown.grace,
            control: Control {
                live: Live::new(site, figures),
                fixed: Arc::new(config),
                ending: CancellationToken::new(),
                cache,
                instance,
            },
        })
    }

    /// Where clients connect to, with the ports that were taken for 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.listeners.iter();
        addresses
            .filter_map(|listener| listener.local_addr().ok())
            .collect()
    }

    /// Where operators connect to.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref()?.listener.local_addr().ok()
    }

    /// Where metrics are scraped, and nothing else is told.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.local_addr().ok()
    }

    /// A hand on it.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Serves until [`Control::shutdown`] is called: then nothing more is accepted, idle connections are closed,
    /// requests that run are finished, and what is left after the time of `shutdown.grace` is cut off.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cuts everything off.
    pub async fn serve(self) {
        let ending = self.control.ending.clone();
        let clients = Arc::new(Clients::default());
        let places = Arc::new(Semaphore::new(self.clients));
        let mut accepting = JoinSet::new();
        for listener in self.listeners {
            let live = self.control.live.clone();
            let accept = Accepting {
                listener,
                clients: clients.clone(),
                places: places.clone(),
                figures: Some(self.control.live.figures.clone()),
                ending: ending.clone(),
            };
            accepting.spawn(accept.run(move || {
                let (_, site) = live.current();
                (site.front.clone(), Pipeline::new(live.clone()))
            }));
        }
        // What is not for clients takes none of their places.
        let beside = |listener| Accepting {
            listener,
            clients: clients.clone(),
            places: Arc::new(Semaphore::new(ADMINS)),
            figures: None,
            ending: ending.clone(),
        };
        if let Some(Operators {
            listener,
            token,
            page,
        }) = self.admin
        {
            let accept = beside(listener);
            let (live, cache, ready) = (
                self.control.live.clone(),
                self.control.cache.clone(),
                ending.clone(),
            );
            accepting.spawn(accept.run(move || {
                let (_, site) = live.current();
                // Operators speak clear text, on an address of their own.
                (
                    site.front.in_clear(),
                    AdminAnswer::new(
                        cache.clone(),
                        live.figures.clone(),
                        token.clone(),
                        page.clone(),
                        ready.clone(),
                    ),
                )
            }));
        }
        if let Some(listener) = self.metrics {
            let accept = beside(listener);
            let (live, cache) = (self.control.live.clone(), self.control.cache.clone());
            accepting.spawn(accept.run(move || {
                (
                    live.current().1.front.in_clear(),
                    MetricsAnswer {
                        cache: cache.clone(),
                        figures: live.figures.clone(),
                    },
                )
            }));
        }
        let mut open: Vec<JoinSet<()>> = Vec::new();
        ending.cancelled().await;
        while let Some(accepted) = accepting.join_next().await {
            open.extend(accepted.ok());
        }
        tracing::info!("no more connections are accepted; finishing what runs");
        clients.close();
        let finished = async {
            for open in &mut open {
                while open.join_next().await.is_some() {}
            }
        };
        if tokio::time::timeout(self.grace, finished).await.is_err() {
            let left: usize = open.iter().map(JoinSet::len).sum();
            tracing::warn!(connections = left, "cut off: the time to finish is over");
        }
    }
}

impl Operators {
    async fn open(admin: &Admin, cache: &Cache) -> Result<Self, BindError> {
        let page = Page::new(cache, admin.listen, &admin.token)
            .map_err(|error| ConfigError::other(format!("admin: {error}")))?;
        Ok(Operators {
            listener: listen(admin.listen).await?,
            token: Arc::from(admin.token.as_str()),
            page,
        })
    }
}

impl Control {
    /// Replaces the configuration: requests that begin from now on are answered by the new one, those that run by
    /// the old. Certificates are read anew.
    ///
    /// # Errors
    ///
    /// When it cannot be used, or changes what can't be changed while the proxy runs: `listen`, `admin`,
    /// `clients.connections`, `shutdown`, the store of `cache`. The old configuration stays in force.
    pub fn reload(&self, config: &Config) -> Result<(), ConfigError> {
        let fixed = &self.fixed;
        for (key, same) in [
            ("listen", config.listen == fixed.listen),
            ("admin", config.admin == fixed.admin),
            (
                "clients.connections",
                config.clients.connections == fixed.clients.connections,
            ),
            ("shutdown", config.shutdown == fixed.shutdown),
            (
                "the store of cache",
                config.cache.store == fixed.cache.store,
            ),
        ] {
            if !same {
                let message =
                    format!("{key} cannot be changed while the proxy runs: start it anew");
                return Err(ConfigError::other(message));
            }
        }
        self.live.replace(Site::open(
            config,
            &self.cache,
            &self.instance,
            &self.live.figures,
        )?);
        Ok(())
    }

    /// Has the proxy end. At once and from anywhere; [`Proxy::serve`] returns when it has ended.
    pub fn shutdown(&self) {
        self.ending.cancel();
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| BindError::Listen { address, source })
}

/// A name for this proxy that no other has.
fn instance() -> Arc<str> {
    // A new `RandomState` has new keys, which is all the randomness needed.
    let number = RandomState::new().hash_one(std::process::id());
    format!("{number:016x}").into()
}
