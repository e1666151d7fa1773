//! From options and environment to a cache: which store, and a sentence when it cannot be had.
//!
//! Must not: print a password. URLs are shown without their user, password and settings.

use std::fmt;
use std::time::Duration;

use shelflife::{Builder, Cache, Error, ErrorKind, Key};

use crate::args::StoreArgs;
use crate::failure::Failure;

/// The store that the options name, else the environment's, else the one inside this process.
pub(crate) struct Store {
    url: Option<String>,
    namespace: Option<String>,
}

impl Store {
    pub(crate) fn new(args: &StoreArgs) -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let url = args
            .redis
            .clone()
            .or_else(|| variable("SHELFLIFE_URL"))
            .or_else(|| variable("REDIS_URL"));
        Store {
            url,
            namespace: args.namespace.clone(),
        }
    }

    /// Connects, where there is something to connect to, and follows what others invalidate.
    pub(crate) async fn open(&self) -> Result<Cache, Failure> {
        self.opened(|builder| builder).await
    }

    /// The same, built a little differently.
    async fn opened(&self, how: impl FnOnce(Builder) -> Builder) -> Result<Cache, Failure> {
        let cache = self.build(how(self.builder()?)).await?;
        match &self.namespace {
            Some(namespace) => self.is_named(cache, namespace),
            None => Ok(cache),
        }
    }

    fn builder(&self) -> Result<Builder, Failure> {
        let mut builder = Cache::builder()
            .from_env()
            .map_err(|error| self.cannot_open(&error))?;
        if let Some(url) = &self.url {
            builder = builder.url(url);
        }
        if let Some(namespace) = &self.namespace {
            builder = builder.namespace(namespace);
        }
        Ok(builder)
    }

    async fn build(&self, builder: Builder) -> Result<Cache, Failure> {
        builder
            .build()
            .await
            .map_err(|error| self.cannot_open(&error))
    }

    /// The cache, if its namespace is the one that was asked for: what is done in another's cannot be undone.
    fn is_named(&self, cache: Cache, namespace: &str) -> Result<Cache, Failure> {
        match cache.namespace() {
            found if found == namespace => Ok(cache),
            other => Err(Failure::new(format!(
                "{self} leads to the namespace {other}, and {namespace} was asked for"
            ))
            .hint("does the URL name one (?namespace=...)? leave it out there")),
        }
    }

    /// A cache of another namespace on the same server, built a little differently; it must answer.
    pub(crate) async fn named(
        &self,
        namespace: &str,
        how: impl FnOnce(Builder) -> Builder,
    ) -> Result<Cache, Failure> {
        let builder = how(self.builder()?.namespace(namespace));
        let cache = self.is_named(self.build(builder).await?, namespace)?;
        cache
            .ping()
            .await
            .map_err(|error| self.cannot_open(&error))?;
        Ok(cache)
    }

    /// Host and port of each server that is named, none for a socket of this machine; nothing where there is no server.
    /// Sentinels and nodes of a cluster may name others.
    pub(crate) fn places(&self) -> Option<Vec<(String, u16)>> {
        let url = self.url.as_deref().filter(|_| self.is_shared())?;
        let shown = without_secrets(url);
        let (scheme, rest) = shown.split_once("://")?;
        if scheme.contains("unix") {
            return Some(Vec::new());
        }
        let usual = if scheme.ends_with("+sentinel") {
            26_379
        } else {
            6379
        };
        let places = rest.split('/').next().unwrap_or_default().split(',');
        let places = places.map(|place| match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(usual)),
            _ => (place, usual),
        });
        Some(places.map(|(host, port)| (host.to_owned(), port)).collect())
    }

    /// Whether other processes can share it.
    pub(crate) fn is_shared(&self) -> bool {
        self.url
            .as_deref()
            .is_some_and(|url| !url.starts_with("memory:"))
    }

    pub(crate) fn cannot_open(&self, error: &Error) -> Failure {
        let failure = Failure::new(format!("cannot use {self}: {error}"));
        match error.kind() {
            ErrorKind::Unavailable => {
                failure.hint("is the server up, and is this its address? try: redis-cli ping")
            }
            ErrorKind::Denied => failure
                .hint("the user and the password are part of the URL: redis://user:password@host"),
            _ => failure,
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.url {
            Some(url) => f.write_str(&without_secrets(url)),
            None => f.write_str("this process's own memory"),
        }
    }
}

/// `redis://user:password@host:6379/0?timeout=1s` as `redis://host:6379/0`.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    // The last @: a password that is not escaped may hold one too.
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => url.to_owned(),
    }
}

/// The store of an operator command: a shared one, or there is nothing to look at.
pub(crate) async fn shared(args: &StoreArgs) -> Result<Cache, Failure> {
    // A command ends soon: nobody should have to wait for it to have applied anything.
    answering(args, Builder::without_tail).await
}

/// The same for a command that takes part: it follows the log as the application does.
pub(crate) async fn member(args: &StoreArgs) -> Result<Cache, Failure> {
    answering(args, |builder| builder).await
}

/// The same, of a server that may be in such a state that it answers next to nothing.
pub(crate) async fn ailing(args: &StoreArgs) -> Result<(Cache, Store), Failure> {
    let store = named(args)?;
    let cache = store.opened(Builder::without_tail).await?;
    Ok((cache, store))
}

fn named(args: &StoreArgs) -> Result<Store, Failure> {
    let store = Store::new(args);
    match store.is_shared() {
        true => Ok(store),
        false => Err(Failure::new(
            "no server is named, and another process's own memory cannot be looked into",
        )
        .hint("name it with --redis redis://127.0.0.1:6379, or in SHELFLIFE_URL or REDIS_URL")),
    }
}

async fn answering(args: &StoreArgs, how: fn(Builder) -> Builder) -> Result<Cache, Failure> {
    let store = named(args)?;
    let cache = store.opened(how).await?;
    // Opening does not insist on an answer, an operator does.
    cache
        .ping()
        .await
        .map_err(|error| store.cannot_open(&error))?;
    Ok(cache)
}

/// A key that was given: as the application names it, or as `ls` prints it, which has a `%` for what is escaped.
pub(crate) fn key(text: &str) -> Key<'_> {
    match text.contains('%') {
        true => Key::listed(text),
        false => Key::from(text),
    }
}

/// A duration that was given with an option.
pub(crate) fn duration(option: &str, text: &str) -> Result<Duration, Failure> {
    shelflife::duration(text).map_err(|error| Failure::new(format!("{option} {text}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_in_urls() {
        let place = |url: &str| {
            let store = Store {
                url: Some(url.to_owned()),
                namespace: None,
            };
            store.places()
        };
        let at = |host: &str, port| Some(vec![(host.to_owned(), port)]);
        assert_eq!(place("redis://ada:s:e@h:7000/2?timeout=1s"), at("h", 7000));
        assert_eq!(place("rediss://h"), at("h", 6379));
        assert_eq!(place("redis://[::1]:7000"), at("[::1]", 7000));
        assert_eq!(place("redis://[::1]"), at("[::1]", 6379));
        assert_eq!(place("unix:///run/r.sock"), Some(Vec::new()));
        let both = |a: (&str, u16), b: (&str, u16)| {
            Some(vec![(a.0.to_owned(), a.1), (b.0.to_owned(), b.1)])
        };
        assert_eq!(
            place("redis+sentinel://ada:s,e@h1:7000,[::1]/shop/0"),
            both(("h1", 7000), ("[::1]", 26_379))
        );
        assert_eq!(
            place("valkeys+cluster://h1:7000,h2"),
            both(("h1", 7000), ("h2", 6379))
        );
        assert_eq!(place("memory://"), None);
    }

    #[test]
    fn another_namespace_than_was_asked_for_is_refused() {
        let store = Store {
            url: Some("redis://h?namespace=shop".to_owned()),
            namespace: None,
        };
        let cache = Cache::memory();
        let asked_for = cache.namespace().to_owned();
        assert!(store.is_named(cache.clone(), &asked_for).is_ok());
        let told = store.is_named(cache, "other").err().unwrap().to_string();
        assert!(told.contains("leads to the namespace default, and other was asked for"));
    }

    #[test]
    fn urls_are_shown_without_their_secrets() {
        for (url, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            (
                "redis://ada:secret@host:6379/2?timeout=1s",
                "redis://host:6379/2",
            ),
            ("rediss://:p@ss@host", "rediss://host"),
            (
                "unix:///run/redis.sock?password=secret",
                "unix:///run/redis.sock",
            ),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}
