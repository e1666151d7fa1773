//! What the proxy is told: TOML, read strictly, or the same in code.
//!
//! ```text
//!   text ─► read (types, with the line of what is wrong) ─► Config ─► check (what only together is wrong)
//! ```
//!
//! Every key and its default stands in `proxy.example.toml` and in `docs/proxy.md`; a test compares them.
//!
//! Must not: touch files. Paths are opened by who uses them, when the proxy starts or is told to reload.

mod caching;
mod error;
mod read;
mod rule;
mod sections;
mod text;

use std::net::SocketAddr;

use serde::Deserialize;

use self::caching::Caching;
pub use self::error::ConfigError;
use self::rule::RuleSection;
pub(crate) use sections::{Admin, Clients, Forward, HostSetting, Shutdown, Tls, UpstreamSection};

use crate::upstream::Address;

/// The configuration of a [`Proxy`](crate::Proxy).
///
/// ```
/// use shelflife_proxy::Config;
///
/// let config = Config::from_toml(
///     "proxy.toml",
///     r#"
///     listen = "127.0.0.1:8080"
///     [upstream]
///     url = "http://127.0.0.1:9000"
///     first_byte = "10s"
///     "#,
/// )?;
/// assert!(config.check().is_ok());
///
/// let wrong = Config::from_toml("proxy.toml", "[upstream]\nfirst_bite = \"10s\"").unwrap_err();
/// assert!(wrong.to_string().starts_with("proxy.toml:2:1: unknown field `first_bite`"));
/// # Ok::<_, shelflife_proxy::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    #[serde(deserialize_with = "text::one_or_many")]
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) tls: Option<Tls>,
    pub(crate) upstream: UpstreamSection,
    pub(crate) clients: Clients,
    pub(crate) forward: Forward,
    pub(crate) cache: Caching,
    pub(crate) rule: Vec<RuleSection>,
    pub(crate) admin: Option<Admin>,
    pub(crate) shutdown: Shutdown,
}

impl Config {
    /// Reads a configuration; `name` is the file's, for messages.
    ///
    /// # Errors
    ///
    /// At the first key that is unknown or has a value that is not valid: with its line, and what would be
    /// valid.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, ConfigError> {
        read::read(name, text)
    }

    /// Where clients connect to; port 0 takes a free one. Replaces `listen`.
    #[must_use]
    pub fn with_listen(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.listen = addresses.into_iter().collect();
        self
    }

    /// The upstream's URL. Replaces `upstream.url`.
    ///
    /// # Errors
    ///
    /// When it is none: `http://host:port` or `https://host`, maybe with a path.
    pub fn with_upstream(mut self, url: &str) -> Result<Self, ConfigError> {
        let address = Address::parse(url);
        self.upstream.url =
            Some(address.map_err(|error| ConfigError::value("upstream.url", url, error))?);
        Ok(self)
    }

    /// The store that `cache` names, on top of what the builder has: `redis`, `namespace`, `memory`, `max_entry`. The
    /// cache that it builds is for [`Proxy::bind`](crate::Proxy::bind).
    pub fn store(&self, builder: shelflife::Builder) -> shelflife::Builder {
        self.cache.store.apply(builder)
    }

    /// Whether a proxy could be started with it: what has to be there is there, and fits together.
    ///
    /// # Errors
    ///
    /// Naming the key that is missing, or the two that contradict each other.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.listen.is_empty() {
            return Err(ConfigError::missing(
                "listen",
                "an address, as \"127.0.0.1:8080\"",
            ));
        }
        if self.upstream.url.is_none() {
            let example = "the API's URL, as \"http://127.0.0.1:9000\"";
            return Err(ConfigError::missing("upstream.url", example));
        }
        let Some(admin) = &self.admin else {
            return Ok(());
        };
        let own = [
            ("admin.listen", Some(admin.listen)),
            ("admin.metrics", admin.metrics),
        ];
        for (key, address) in own {
            let taken = |address: &SocketAddr| self.listen.contains(address) && address.port() != 0;
            if let Some(address) = address.filter(taken) {
                let why = "the public listener has this address";
                return Err(ConfigError::value(key, &address.to_string(), why));
            }
        }
        Ok(())
    }
}
