//! Building a cache: settings in code, by URL query and by environment, then connect.
//!
//! What code says wins over the URL, whose query wins over the environment.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::cache::Cache;
use crate::clock::{Clock, ManualClock};
use crate::embedded::Embedded;
use crate::engine::Engine;
use crate::error::Error;
use crate::policy::{LONGEST, Policy};
use crate::settings::{LONGEST_WINDOW, MOST_LOADS, Settings};
use crate::store::Store;

/// Settings of a cache, then [`build`](Builder::build).
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use std::time::Duration;
///
/// let cache = shelflife::Cache::builder()
///     .namespace("shop")
///     .ttl(Duration::from_secs(300))
///     .memory_limit(256 << 20)
///     .build()
///     .await?;
/// # Ok::<_, shelflife::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    settings: Settings,
    clock: Clock,
    follows: bool,
    /// The first setting that could not be used: reported by `build`.
    error: Option<Error>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::default(),
            clock: Clock::System,
            follows: true,
            error: None,
        }
    }

    /// Reads `SHELFLIFE_URL` (else `REDIS_URL`) and every `SHELFLIFE_*`.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](crate::ErrorKind::Config), naming the variable, its value and what is valid.
    pub fn from_env(mut self) -> Result<Self, Error> {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((
                name.into_string().ok()?,
                value.to_string_lossy().into_owned(),
            ))
        };
        self.settings
            .read_environment(std::env::vars_os().filter_map(utf8))?;
        Ok(self)
    }

    /// The server: `redis://`, `rediss://`, `valkey://`, `valkeys://` or `unix://`, or with `+sentinel` or `+cluster` and several hosts, with user, password
    /// and db; settings may ride in its query: what is said in code wins over them. `memory://` is the embedded store.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.settings.url = Some(url.into());
        self
    }

    /// Any setting by its name, as in a URL query.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        if let Err(error) = self.settings.apply(name, name, value) {
            self.error.get_or_insert(error);
        }
        self.settings.say(name);
        self
    }

    /// What separates these entries from others' on the same server: 1 to 64 letters, digits, `.`, `_`
    /// and `-`. Default `default`.
    pub fn namespace(self, namespace: &str) -> Self {
        self.setting("namespace", namespace)
    }

    /// The default policy, as a whole.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.settings.policy = policy;
        self.settings.say("policy");
        self
    }

    /// Objects are kept beside what is stored. Nothing is said of the policy by it: what a URL says of that counts.
    #[cfg(feature = "binding")]
    pub(crate) fn with_objects(mut self) -> Self {
        self.settings.policy.objects = true;
        self
    }

    /// The default [`ttl`](Policy::ttl).
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.policy.ttl = ttl.min(LONGEST);
        self.settings.say("ttl");
        self
    }

    /// The default [`stale`](Policy::stale) window.
    pub fn stale(mut self, stale: Duration) -> Self {
        self.settings.policy.stale = stale.min(LONGEST);
        self.settings.say("stale");
        self
    }

    /// The default [`jitter`](Policy::jitter).
    pub fn jitter(mut self, fraction: f64) -> Self {
        self.settings.policy = self.settings.policy.jitter(fraction);
        self.settings.say("jitter");
        self
    }

    /// How many bytes entries in this process may take. Default 64 MiB.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.settings.memory = bytes;
        self.settings.say("memory");
        self
    }

    /// Δ: for how long L1 is trusted without asking the store. Default 1 s, at most 1 h.
    pub fn window(mut self, delta: Duration) -> Self {
        self.settings.window = delta.min(LONGEST_WINDOW);
        self.settings.say("window");
        self
    }

    /// How long to wait for an answer of the store. Default 500 ms.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout.min(LONGEST);
        self.settings.say("timeout");
        self
    }

    /// How long to wait for a connection. Default 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout.min(LONGEST);
        self.settings.say("connect_timeout");
        self
    }

    /// How many connections to keep; each serves any number of callers at once. Default 1.
    pub fn connections(mut self, connections: usize) -> Self {
        self.settings.connections = connections.clamp(1, 64);
        self.settings.say("connections");
        self
    }

    /// Faults on purpose, for tests.
    #[cfg(feature = "chaos")]
    pub fn chaos(mut self, faults: &crate::chaos::Faults) -> Self {
        self.settings.faults = Some(faults.clone());
        self
    }

    /// How many loads may be under way at once in this process. Default 1024. When there are so many, a read
    /// takes a stale value if there is one; else it waits for its turn, as one of
    /// [`loads_waiting`](Self::loads_waiting), or fails as overloaded.
    pub fn loads(mut self, most: usize) -> Self {
        self.settings.loads = most.clamp(1, MOST_LOADS);
        self.settings.say("loads");
        self
    }

    /// How many loads may wait until others have ended. Default 16,384; with 0 none does.
    pub fn loads_waiting(mut self, most: usize) -> Self {
        self.settings.loads_waiting = most.min(MOST_LOADS);
        self.settings.say("loads_waiting");
        self
    }

    /// Does not follow the log, for a process that lives shortly, such as an operator's command: it asks
    /// the store for everything, its L1 never answers, and nobody waits for it.
    pub fn without_tail(mut self) -> Self {
        self.follows = false;
        self
    }

    /// A clock that a test moves by hand.
    pub fn clock(mut self, clock: &ManualClock) -> Self {
        self.clock = Clock::Manual(clock.clone());
        self
    }

    /// Connects, or makes the embedded store if no URL was given.
    ///
    /// A server that can't be reached yet is not an error: reads miss until it is.
    ///
    /// # Errors
    ///
    /// As [`Cache::from_env`].
    pub async fn build(mut self) -> Result<Cache, Error> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        match self.settings.url.take() {
            None => Ok(self.embedded()),
            Some(url) => self.connect(&url).await,
        }
    }

    async fn connect(mut self, url: &str) -> Result<Cache, Error> {
        if let Some(query) = url.strip_prefix("memory:") {
            for (name, value) in memory_query(query) {
                self.settings.apply_from_url(name, value)?;
            }
            return Ok(self.embedded());
        }
        #[cfg(feature = "redis")]
        {
            use crate::redis::{Address, RedisStore};
            let address = Address::parse(url, &mut self.settings)?;
            let store = RedisStore::open(address, &self.settings, self.clock.clone()).await?;
            let follows = self.follows;
            // Whoever only looks leaves no trace: the clock is made by those who take part.
            let greeting = match follows {
                true => store.clock().await.map(|_| ()),
                false => store.learn_time().await.map(|_| ()),
            };
            match greeting {
                // One that can't be reached yet will be.
                Err(error) if error.kind != crate::ErrorKind::Unavailable => {
                    return Err(error.into());
                }
                _ => {}
            }
            let cache = self.assemble(Store::Redis(store));
            if follows {
                cache.engine.listen();
                crate::engine::tail::start(&cache.engine).await;
            }
            Ok(cache)
        }
        #[cfg(not(feature = "redis"))]
        {
            Err(Error::setting(
                "url",
                url,
                "memory:// (the feature `redis` is not compiled in)",
            ))
        }
    }

    pub(crate) fn embedded(self) -> Cache {
        #[cfg_attr(
            not(feature = "chaos"),
            expect(unused_mut, reason = "nothing befalls it")
        )]
        let mut store = Embedded::new(self.settings.memory / 2, self.clock.clone());
        #[cfg(feature = "chaos")]
        {
            store.faults = self.settings.installed();
        }
        self.assemble(Store::Embedded(store))
    }

    fn assemble(self, store: Store) -> Cache {
        let policy = Arc::new(self.settings.policy.clone());
        let engine = Arc::new(Engine::new(store, self.clock, self.settings));
        let sweeper = Arc::new(start_sweeper(&engine));
        Cache {
            engine,
            policy,
            _sweeper: sweeper,
        }
    }
}

fn memory_query(rest: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Frees what has expired, about once a second, and never more than one part in a hundred of the time.
/// Its thread ends when the sender is dropped.
fn start_sweeper(engine: &Arc<Engine>) -> std::sync::mpsc::Sender<()> {
    const LEAST: Duration = Duration::from_secs(1);
    let (keep, ended) = channel::<()>();
    let engine = Arc::downgrade(engine);
    let sweep = move || {
        let mut pause = LEAST;
        while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let Some(engine) = engine.upgrade() else {
                return;
            };
            let began = Instant::now();
            // Values have code of their own for when they are dropped.
            if catch_unwind(AssertUnwindSafe(|| engine.sweep())).is_err() {
                tracing::error!("the drop of a value panicked; others are freed all the same");
            }
            pause = LEAST.max(began.elapsed() * 100);
        }
    };
    if let Err(error) = std::thread::Builder::new()
        .name("shelflife-sweep".into())
        .spawn(sweep)
    {
        tracing::warn!(%error, "no thread to free expired entries: they go when room is needed");
    }
    keep
}

#[cfg(test)]
impl Builder {
    /// The probes of the cache that will be built.
    pub(crate) fn probes(&self) -> &crate::probe::Probes {
        &self.settings.probes
    }
}
