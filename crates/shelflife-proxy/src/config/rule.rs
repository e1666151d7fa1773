//! `[[rule]]`: what is done with the responses of a route, one key for each setting of the layer's [`Rule`].

use std::time::Duration;

use serde::Deserialize;
use shelflife::tower::{Rule, VaryBy};

use super::text;

/// A rule as it stands in the file; one that can be used.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Keys")]
pub(crate) struct RuleSection(Keys);

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    path: Option<String>,
    #[serde(deserialize_with = "text::one_or_many")]
    methods: Vec<String>,
    statuses: Option<Vec<u16>>,
    #[serde(deserialize_with = "text::some_duration")]
    ttl: Option<Duration>,
    #[serde(deserialize_with = "text::some_duration")]
    override_ttl: Option<Duration>,
    #[serde(deserialize_with = "text::some_duration")]
    stale: Option<Duration>,
    #[serde(deserialize_with = "text::one_or_many")]
    tags: Vec<String>,
    #[serde(deserialize_with = "text::one_or_many")]
    vary_by: Vec<String>,
    #[serde(deserialize_with = "text::one_or_many")]
    ignore_cookies: Vec<String>,
    sort_query: bool,
    #[serde(deserialize_with = "text::one_or_many")]
    drop_query: Vec<String>,
    #[serde(deserialize_with = "text::one_or_many")]
    only_query: Vec<String>,
    keep: Keep,
    honour_client: Option<bool>,
    #[serde(deserialize_with = "text::some_size")]
    max_body: Option<usize>,
    #[serde(deserialize_with = "text::some_duration")]
    collapse_wait: Option<Duration>,
    #[serde(deserialize_with = "text::some_size")]
    by_body: Option<usize>,
}

/// Who the responses are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Keep {
    #[default]
    AsSaid,
    Public,
    Private,
    Nothing,
}

impl TryFrom<Keys> for RuleSection {
    type Error = shelflife::Error;

    fn try_from(keys: Keys) -> Result<Self, Self::Error> {
        keys.build()?.check()?;
        Ok(RuleSection(keys))
    }
}

impl RuleSection {
    pub(crate) fn rule(&self) -> Rule {
        // It was built when it was read, so it can be built.
        self.0.build().unwrap_or_else(|_| Rule::any().no_store())
    }
}

impl Keys {
    fn build(&self) -> Result<Rule, shelflife::Error> {
        let mut rule = match &self.path {
            Some(path) => Rule::path(path),
            None => Rule::any(),
        };
        rule = rule
            .tags(self.tags.clone())
            .ignore_cookies(self.ignore_cookies.clone());
        if !self.methods.is_empty() {
            rule = rule.methods(&self.methods);
        }
        if let Some(statuses) = &self.statuses {
            rule = rule.statuses(statuses.iter().copied());
        }
        if let Some(ttl) = self.ttl {
            rule = rule.ttl(ttl);
        }
        if let Some(ttl) = self.override_ttl {
            rule = rule.override_ttl(ttl);
        }
        if let Some(stale) = self.stale {
            rule = rule.stale(stale);
        }
        for by in &self.vary_by {
            rule = rule.vary_by(by.parse::<VaryBy>()?);
        }
        if self.sort_query {
            rule = rule.sort_query();
        }
        if !self.drop_query.is_empty() {
            rule = rule.drop_query(self.drop_query.clone());
        }
        if !self.only_query.is_empty() {
            rule = rule.only_query(self.only_query.clone());
        }
        rule = match self.keep {
            Keep::AsSaid => rule,
            Keep::Public => rule.public(),
            Keep::Private => rule.private(),
            Keep::Nothing => rule.no_store(),
        };
        if let Some(honour) = self.honour_client {
            rule = rule.honour_client(honour);
        }
        if let Some(bytes) = self.max_body {
            rule = rule.max_body(bytes as u64);
        }
        if let Some(wait) = self.collapse_wait {
            rule = rule.collapse_wait(wait);
        }
        if let Some(bytes) = self.by_body {
            rule = rule.by_body(bytes as u64);
        }
        Ok(rule)
    }
}
