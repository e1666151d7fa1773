//! `[cache]`: where entries are kept, and what HTTP leaves to a cache.

use std::str::FromStr;
use std::time::Duration;

use http::HeaderName;
use serde::Deserialize;
use shelflife::tower::{CacheLayer, Heuristic, HttpPolicy, SetCookie};
use shelflife::{Builder, Cache};

use super::error::ConfigError;
use super::rule::RuleSection;
use super::text;
use crate::body::RequestBody;

/// The section. Its defaults are those of the layer and of RFC 9111 for a proxy.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "Keys")]
pub(crate) struct Caching {
    pub(crate) store: StoreKeys,
    http: Keys,
}

/// Where entries are kept: can't be changed while the proxy runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StoreKeys {
    redis: Option<String>,
    namespace: Option<String>,
    memory: Option<usize>,
    max_entry: Option<usize>,
}

/// The keys as they stand in the file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    redis: Option<String>,
    namespace: Option<String>,
    #[serde(deserialize_with = "text::some_size")]
    memory: Option<usize>,
    #[serde(deserialize_with = "text::some_size")]
    max_entry: Option<usize>,
    #[serde(deserialize_with = "text::size")]
    max_body: usize,
    #[serde(deserialize_with = "text::duration")]
    collapse_wait: Duration,
    #[serde(deserialize_with = "text::duration_or_none")]
    linger: Duration,
    #[serde(deserialize_with = "text::duration_or_none")]
    remember_passed: Duration,
    name: String,
    honour_client: bool,
    #[serde(deserialize_with = "text::fraction")]
    heuristic: f64,
    #[serde(deserialize_with = "text::duration")]
    heuristic_at_most: Duration,
    #[serde(deserialize_with = "text::duration_or_none")]
    stale_while_revalidate: Duration,
    #[serde(deserialize_with = "text::duration_or_none")]
    stale_if_error: Duration,
    #[serde(deserialize_with = "text::duration_or_none")]
    keep_for_validation: Duration,
    #[serde(deserialize_with = "text::parsed")]
    set_cookie: SetCookieText,
    #[serde(deserialize_with = "text::one_or_many")]
    targeted: Vec<HeaderName>,
    #[serde(deserialize_with = "text::some_size")]
    compress: Option<usize>,
}

/// `strip`, `refuse` or `keep`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct SetCookieText(SetCookie);

impl FromStr for SetCookieText {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "strip" => Ok(SetCookieText(SetCookie::Strip)),
            "refuse" => Ok(SetCookieText(SetCookie::Refuse)),
            "keep" => Ok(SetCookieText(SetCookie::Keep)),
            _ => Err("valid are \"strip\", \"refuse\", \"keep\""),
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        let policy = HttpPolicy::proxy();
        let heuristic = policy.heuristic;
        Keys {
            redis: None,
            namespace: None,
            memory: None,
            max_entry: None,
            max_body: 1 << 20,
            collapse_wait: Duration::from_secs(5),
            linger: Duration::from_secs(30),
            remember_passed: Duration::from_secs(60),
            name: "shelflife".to_owned(),
            honour_client: policy.honour_client,
            heuristic: heuristic.map_or(0.0, |heuristic| heuristic.fraction),
            heuristic_at_most: heuristic.unwrap_or_default().at_most,
            stale_while_revalidate: policy.stale_while_revalidate.unwrap_or_default(),
            stale_if_error: policy.stale_if_error.unwrap_or_default(),
            keep_for_validation: policy.keep_for_validation,
            set_cookie: SetCookieText(policy.set_cookie),
            targeted: policy.targeted,
            compress: None,
        }
    }
}

impl Default for Caching {
    fn default() -> Self {
        Keys::default().into()
    }
}

impl From<Keys> for Caching {
    fn from(http: Keys) -> Self {
        let store = StoreKeys {
            redis: http.redis.clone(),
            namespace: http.namespace.clone(),
            memory: http.memory,
            max_entry: http.max_entry,
        };
        Caching { store, http }
    }
}

impl StoreKeys {
    pub(crate) fn apply(&self, mut builder: Builder) -> Builder {
        if let Some(url) = &self.redis {
            builder = builder.url(url);
        }
        if let Some(namespace) = &self.namespace {
            builder = builder.namespace(namespace);
        }
        if let Some(bytes) = self.memory {
            builder = builder.setting("memory", &bytes.to_string());
        }
        if let Some(bytes) = self.max_entry {
            builder = builder.setting("max_entry", &bytes.to_string());
        }
        builder
    }
}

impl Caching {
    /// The layer before the upstream.
    ///
    /// # Errors
    ///
    /// Of what only the layer knows: a rule that can't be used.
    pub(crate) fn layer(
        &self,
        cache: &Cache,
        rules: &[RuleSection],
    ) -> Result<CacheLayer, ConfigError> {
        let http = &self.http;
        let mut builder = CacheLayer::builder(cache)
            .policy(self.policy())
            .max_body(http.max_body as u64)
            .collapse_wait(http.collapse_wait)
            .linger(http.linger)
            .remember_passed(http.remember_passed)
            .request_body(RequestBody::read)
            .rules(rules.iter().map(RuleSection::rule));
        builder = match http.name.is_empty() {
            true => builder.no_cache_status(),
            false => builder.name(http.name.clone()),
        };
        if let Some(over) = http.compress {
            builder = builder.compress(over);
        }
        builder
            .build()
            .map_err(|error| ConfigError::other(format!("rule: {error}")))
    }

    fn policy(&self) -> HttpPolicy {
        let http = &self.http;
        let some = |time: Duration| (!time.is_zero()).then_some(time);
        let mut policy = HttpPolicy::proxy();
        policy.honour_client = http.honour_client;
        policy.heuristic = (http.heuristic > 0.0).then_some(Heuristic {
            fraction: http.heuristic,
            at_most: http.heuristic_at_most,
        });
        policy.stale_while_revalidate = some(http.stale_while_revalidate);
        policy.stale_if_error = some(http.stale_if_error);
        policy.keep_for_validation = http.keep_for_validation;
        policy.set_cookie = http.set_cookie.0;
        policy.targeted.clone_from(&http.targeted);
        policy
    }
}
