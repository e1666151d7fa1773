//! The layer and what it can be told.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use shelflife_http::{CacheStatus, Forwarded, Policy as HttpPolicy, QueryRule};
use tower_layer::Layer;

use super::content::Rebuilders;
use super::encode::Encoder;
use super::kept::SCHEMA;
use super::passed::Passed;
use super::rule::{IntoDuration, Rule, Rules};
use super::service::CacheService;
use super::why::Why;
use crate::cache::Cache;
use crate::codec::Codec;
use crate::error::{Error, ErrorKind};
use crate::policy::Policy;

/// Room in an entry for what is beside the content.
const HEAD_ROOM: u64 = 64 << 10;

/// Caches the responses of the service that it is put around, by RFC 9111.
///
/// For each request, in this order:
///
/// 1. A request that a cache has no part in (another method, content in a GET, an upgrade, …) goes to the service as
///    it is, and so does its response. If an unsafe method succeeded, what is stored for the URL is invalidated
///    *before* the response is returned.
/// 2. A stored response that may be reused is the answer: `304`, a range or the head alone, if that was asked for.
/// 3. What is stored but stale is validated with the service, or served while it is refreshed or when the service
///    fails, where response or rule allow it.
/// 4. What is not stored is asked for once, whoever else asks for the same meanwhile, here and in other processes.
///    The response streams to the client as it comes. If it may be stored it is, when it is complete; if not, all who
///    waited are released at once and ask for themselves.
///
/// Nothing is stored unless the response says how long it is fresh, or a [`Rule`] names its route. An answer to a request
/// with `Authorization` or cookies is shared only where the response (`public`, `s-maxage`) or a rule says so.
///
/// The service's error type stays as it is, so an axum router takes the layer without further ado.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use axum::{Router, http::header, routing::get};
/// use shelflife::{Cache, Invalidation};
/// use shelflife::tower::{CacheLayer, Rule};
///
/// let cache = Cache::memory();
/// let layer = CacheLayer::builder(&cache)
///     .rule(Rule::path("/users/{id}").ttl("5m").stale("1h").tags(["user:{id}"]))
///     .build()?;
/// let app: Router = Router::new()
///     .route("/users/{id}", get(|| async { "from the database" }))
///     .route("/news", get(|| async { ([(header::CACHE_CONTROL, "max-age=10")], "…") }))
///     .layer(layer);
///
/// // When it has returned, no older answer is served: not even by a request that is under way now.
/// cache.invalidate(Invalidation::new().tag("user:42")).await?;
/// # let _ = app;
/// # Ok::<_, shelflife::Error>(()) }).unwrap();
/// ```
///
/// A hit doesn't reach what is below the layer. Put it *inside* what has to see every request: authentication, rate limits, logs.
#[derive(Clone, Debug)]
pub struct CacheLayer {
    config: Arc<Config>,
}

impl CacheLayer {
    /// A layer with the defaults, which each setter of [`builder`](Self::builder) names.
    pub fn new(cache: impl Into<Cache>) -> Self {
        let builder = Self::builder(cache);
        Self {
            config: Arc::new(Config::new(builder, Rules::default())),
        }
    }

    /// Settings, then [`build`](CacheLayerBuilder::build).
    pub fn builder(cache: impl Into<Cache>) -> CacheLayerBuilder {
        CacheLayerBuilder {
            cache: cache.into(),
            rules: Vec::new(),
            policy: HttpPolicy::application(),
            max_body: 1 << 20,
            collapse_wait: Duration::from_secs(5),
            linger: Duration::from_secs(30),
            remember_passed: Duration::from_secs(60),
            name: Some(Cow::Borrowed("shelflife")),
            encoder: None,
            rebuilders: Rebuilders::default(),
            fault: None,
        }
    }

    #[cfg(feature = "binding")]
    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }
}

impl From<&Cache> for Cache {
    fn from(cache: &Cache) -> Self {
        cache.clone()
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        CacheService::new(inner, self.config.clone())
    }
}

/// Settings of a [`CacheLayer`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct CacheLayerBuilder {
    cache: Cache,
    rules: Vec<Rule>,
    policy: HttpPolicy,
    max_body: u64,
    collapse_wait: Duration,
    linger: Duration,
    remember_passed: Duration,
    name: Option<Cow<'static, str>>,
    encoder: Option<Encoder>,
    rebuilders: Rebuilders,
    /// The first setting that could not be used: told by `build`.
    fault: Option<Error>,
}

impl CacheLayerBuilder {
    /// Adds a rule. The first one that is for a request is the one that counts.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Adds rules, in this order.
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules.extend(rules);
        self
    }

    /// What HTTP leaves to a cache, for requests that no rule says more about. Default:
    /// [`HttpPolicy::application`].
    pub fn policy(mut self, policy: HttpPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// How many bytes of content are stored at the most. What is larger streams through and is not stored.
    /// Default 1 MiB; never more than the cache's `max_entry`.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// How long a request waits for another that fetches the same, before it asks by itself. Default 5 s.
    pub fn collapse_wait(mut self, wait: impl IntoDuration) -> Self {
        self.collapse_wait = self.duration("collapse_wait", wait);
        self
    }

    /// For how long a response is still fetched, to be stored, when its client has gone. Default 30 s.
    pub fn linger(mut self, time: impl IntoDuration) -> Self {
        self.linger = self.duration("linger", time);
        self
    }

    /// For how long it is remembered that a URL's answer could not be shared, so that its requests don't wait for one
    /// another; an answer that may be stored ends it. Default 60 s; zero: not at all.
    pub fn remember_passed(mut self, time: impl IntoDuration) -> Self {
        self.remember_passed = self.duration("remember_passed", time);
        self
    }

    /// Sends stored responses of `over` bytes and more in gzip, br or zstd to clients that take it. Each is made once in a
    /// process and kept beside the stored content, which is the plain one: the service isn't told what clients
    /// take. Default: off.
    #[cfg(feature = "compression")]
    pub fn compress(mut self, over: usize) -> Self {
        self.encoder = Some(Encoder { over });
        self
    }

    /// The name of this cache in `Cache-Status` (RFC 9211). Default `shelflife`.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Leaves `Cache-Status` to others.
    pub fn no_cache_status(mut self) -> Self {
        self.name = None;
        self
    }

    /// How a request's body is made again once its content was read for the key ([`Rule::by_body`]), for a type of
    /// body that isn't axum's.
    pub fn request_body<Q: 'static>(mut self, make: fn(super::RequestContent<Q>) -> Q) -> Self {
        self.rebuilders.add(make);
        self
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::Config`], naming the rule or the setting, its value and what is valid.
    pub fn build(mut self) -> Result<CacheLayer, Error> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if self.name.as_ref().is_some_and(|name| name.is_empty()) {
            return Err(Error::setting("name", "", "a name, such as \"shelflife\""));
        }
        let rules = Rules::new(std::mem::take(&mut self.rules), &self.policy)?;
        Ok(CacheLayer {
            config: Arc::new(Config::new(self, rules)),
        })
    }

    fn duration(&mut self, setting: &str, value: impl IntoDuration) -> Duration {
        value.into_duration().unwrap_or_else(|error| {
            let text = format!("bad setting {setting}: {error}");
            self.fault
                .get_or_insert(Error::new(ErrorKind::Config, text));
            Duration::ZERO
        })
    }
}

/// What all services of one layer share.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) cache: Cache,
    pub(crate) rules: Rules,
    /// Of requests that no rule is for.
    pub(crate) policy: Arc<HttpPolicy>,
    pub(crate) query: QueryRule,
    /// How the engine keeps responses; each says by itself for how long.
    pub(crate) keep: Arc<Policy>,
    pub(crate) max_body: u64,
    /// No limit may be above this.
    pub(crate) most: u64,
    pub(crate) collapse_wait: Duration,
    pub(crate) linger: Duration,
    pub(crate) passed: Passed,
    pub(crate) rebuilders: Rebuilders,
    pub(crate) encoder: Option<Encoder>,
    name: Option<Cow<'static, str>>,
}

impl Config {
    fn new(builder: CacheLayerBuilder, rules: Rules) -> Self {
        let settings = &builder.cache.engine.settings;
        // HTTP says how long and how; what has to be bounded is bounded here, and by the client that waits.
        let keep = Policy {
            jitter: 0.0,
            early: 0.0,
            stale_on_error: false,
            soft_timeout: None,
            hard_timeout: None,
            negative_ttl: None,
            codec: Codec::MessagePack,
            schema: SCHEMA,
            ..builder.cache.policy().clone()
        };
        Self {
            most: settings.max_entry.saturating_sub(HEAD_ROOM),
            rules,
            policy: Arc::new(builder.policy),
            query: QueryRule::default(),
            keep: Arc::new(keep),
            max_body: builder.max_body,
            collapse_wait: builder.collapse_wait,
            linger: builder.linger,
            passed: Passed::remembered_for(builder.remember_passed),
            rebuilders: builder.rebuilders,
            encoder: builder.encoder,
            name: builder.name,
            cache: builder.cache,
        }
    }

    /// Now, by the clock that all processes of the store share: ms since 1970.
    pub(crate) fn now(&self) -> u64 {
        let engine = &self.cache.engine;
        engine.store.server_ms(engine.clock.now())
    }

    /// A hit, to be said in `Cache-Status`; `left` is what is left of its freshness, ms.
    pub(crate) fn hit(&self, left: i64, detail: &'static str) -> Option<CacheStatus> {
        let name = self.name.clone()?;
        let mut status = CacheStatus::hit(name, left.div_euclid(1000));
        status.detail = Some(detail);
        Some(status)
    }

    /// A request that went forward.
    pub(crate) fn forwarded(&self, why: Forwarded) -> Option<CacheStatus> {
        Some(CacheStatus::forwarded(self.name.clone()?, why))
    }

    /// A request that went forward by itself.
    pub(crate) fn went(&self, why: Why) -> Option<CacheStatus> {
        let mut status = self.forwarded(why.forwarded())?;
        status.detail = Some(why.as_str());
        Some(status)
    }
}
