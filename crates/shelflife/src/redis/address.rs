//! URLs: where the server is, as whom, and the settings that ride in the query.

use redis::{ConnectionInfo, IntoConnectionInfo as _};
use url::Url;

use super::link::{Group, SENTINEL_PORT, moved};
use crate::error::{Error, ErrorKind};
use crate::settings::Settings;

const VALID: &str = "redis://, rediss://, valkey://, valkeys:// or unix://, as in \
                     redis://user:password@host:6379/0?ttl=5m; with sentinels \
                     redis+sentinel://user:password@host1:26379,host2,host3/name/0; with a cluster \
                     redis+cluster://user:password@host1:6379,host2,host3";
const PORT: u16 = 6379;

/// A server to connect to.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// With sentinels, of the primary, wherever it is; with a cluster, of any node.
    pub(super) info: ConnectionInfo,
    pub(super) topology: Topology,
    pub(super) given: Given,
}

/// What stands behind an address.
#[derive(Clone, Debug)]
pub(super) enum Topology {
    Single,
    Sentinels(Group),
    /// Some of its nodes.
    Cluster(Vec<(String, u16)>),
}

/// The URL as it was given, but for who comes by it: for another user of the same place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// What stands before the user, between user and password, and behind.
    pub(super) before: String,
    pub(super) between: &'static str,
    pub(super) after: String,
    /// Whether it said as whom sentinels are asked: that is left out, for it is a password, too.
    pub(super) told_sentinels: bool,
}

impl Given {
    pub(super) fn of(text: &str) -> Self {
        let (text, fragment) = match text.split_once('#') {
            Some((text, fragment)) => (text, format!("#{fragment}")),
            None => (text, String::new()),
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("redis", text));
        let said = rest.split_once('?').map_or("", |(_, said)| said);
        let is_secret = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            ["user", "pass", "sentinel_user", "sentinel_password"].contains(&name)
        };
        let pairs = || said.split('&').filter(|pair| !pair.is_empty());
        let kept: Vec<_> = pairs().filter(|pair| !is_secret(pair)).collect();
        let query = match kept.is_empty() {
            true => String::new(),
            false => format!("?{}", kept.join("&")),
        };
        if scheme.contains("unix") {
            // Its URL has no place for a user but the query.
            let path = rest.split('?').next().unwrap_or_default();
            let mark = if query.is_empty() { "?" } else { "&" };
            return Self {
                before: format!("{scheme}://{path}{query}{mark}user="),
                between: "&pass=",
                ..Self::default()
            };
        }
        // It was parsed when the cache was opened.
        let Ok(parts) = Parts::of(rest) else {
            return Self::default();
        };
        let slash = if rest.contains('/') { "/" } else { "" };
        Self {
            before: format!("{scheme}://"),
            between: ":",
            after: format!("@{}{slash}{}{query}{fragment}", parts.hosts, parts.path),
            told_sentinels: pairs().any(|pair| pair.starts_with("sentinel_")),
        }
    }
}

impl Address {
    /// Parses a URL; applies the settings in its query to `settings`.
    ///
    /// # Errors
    ///
    /// Of kind `Config`, naming what can't be used. Never shows a password.
    pub(crate) fn parse(text: &str, settings: &mut Settings) -> Result<Self, Error> {
        keeps_secrets_apart(text)?;
        let given = Given::of(text);
        if let Some((scheme, rest)) = text.split_once("+sentinel://") {
            return Self::with_sentinels(scheme, rest, settings).map(|it| Self { given, ..it });
        }
        if let Some((scheme, rest)) = text.split_once("+cluster://") {
            return Self::with_cluster(scheme, rest, settings).map(|it| Self { given, ..it });
        }
        let mut url = Url::parse(text).map_err(|e| bad(&e.to_string()))?;
        let scheme = match url.scheme() {
            "redis" | "valkey" => "redis",
            "rediss" | "valkeys" => "rediss",
            "unix" | "redis+unix" | "valkey+unix" => "unix",
            other => return Err(bad(&format!("unknown scheme {other:?}"))),
        };
        // What the URL of a unix socket has no other place for stays in the query.
        let mut kept = Vec::new();
        for (name, value) in url.query_pairs() {
            match &*name {
                "db" | "user" | "pass" if scheme == "unix" => {
                    kept.push((name.into_owned(), value.into_owned()));
                }
                _ => settings.apply_from_url(&name, &value)?,
            }
        }
        url.set_query(None);
        for (name, value) in kept {
            url.query_pairs_mut().append_pair(&name, &value);
        }
        let rest = url.as_str().split_once(':').map_or("", |(_, rest)| rest);
        format!("{scheme}:{rest}")
            .into_connection_info()
            .map(|info| Self {
                info,
                topology: Topology::Single,
                given,
            })
            .map_err(|e| bad(&e.detail().map_or_else(|| e.to_string(), str::to_owned)))
    }

    /// `user:password@host1:26379,host2/name/0?settings`: user, password and number are of the primary and its
    /// replicas. What sentinels themselves ask for is `sentinel_user` and `sentinel_password` in the query.
    fn with_sentinels(scheme: &str, rest: &str, settings: &mut Settings) -> Result<Self, Error> {
        let parts = Parts::of(rest)?;
        let (name, db) = parts.path.split_once('/').unwrap_or((parts.path, ""));
        if name.is_empty() {
            return Err(bad("no name of a primary behind the hosts"));
        }
        let mut login = redis::RedisConnectionInfo::default();
        let mut others = url::form_urlencoded::Serializer::new(String::new());
        for (key, value) in url::form_urlencoded::parse(parts.query.as_bytes()) {
            match &*key {
                "sentinel_user" => login = login.set_username(value),
                "sentinel_password" => login = login.set_password(value),
                _ => {
                    others.append_pair(&key, &value);
                }
            }
        }
        let info = parts.anywhere(scheme, db, &others.finish(), settings)?;
        let nodes = parts.hosts(SENTINEL_PORT)?.into_iter();
        let nodes = nodes
            .map(|place| moved(&info, place).set_redis_settings(login.clone()))
            .collect();
        Ok(Self {
            info,
            topology: Topology::Sentinels(Group {
                name: name.to_owned(),
                nodes,
            }),
            given: Given::default(),
        })
    }

    /// `user:password@host1:6379,host2?settings`: some nodes of the cluster, from which the others are learned.
    fn with_cluster(scheme: &str, rest: &str, settings: &mut Settings) -> Result<Self, Error> {
        let parts = Parts::of(rest)?;
        if !matches!(parts.path, "" | "0") {
            return Err(bad("a cluster has no database but 0"));
        }
        Ok(Self {
            info: parts.anywhere(scheme, "", parts.query, settings)?,
            topology: Topology::Cluster(parts.hosts(PORT)?),
            given: Given::default(),
        })
    }

    /// Where it is, without user and password.
    pub(crate) fn shown(&self) -> String {
        match &self.topology {
            Topology::Single => self.info.addr().to_string(),
            Topology::Sentinels(group) => group.to_string(),
            Topology::Cluster(seeds) => {
                let seeds: Vec<_> = seeds
                    .iter()
                    .map(|(host, port)| format!("{host}:{port}"))
                    .collect();
                format!("the cluster of {}", seeds.join(","))
            }
        }
    }
}

/// A URL with several hosts, taken apart.
struct Parts<'a> {
    user: &'a str,
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Result<Self, Error> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        Ok(Self {
            user,
            hosts,
            path,
            query,
        })
    }

    /// All that a URL may say, said of a server whose place is not known yet.
    fn anywhere(
        &self,
        scheme: &str,
        db: &str,
        query: &str,
        settings: &mut Settings,
    ) -> Result<ConnectionInfo, Error> {
        let at = if self.user.is_empty() { "" } else { "@" };
        let url = format!("{scheme}://{}{at}anywhere/{db}?{query}", self.user);
        Address::parse(&url, settings).map(|address| address.info)
    }

    fn hosts(&self, port: u16) -> Result<Vec<(String, u16)>, Error> {
        let place = |host: &str| {
            let url = Url::parse(&format!("redis://{host}")).ok()?;
            let name = url.host_str().filter(|name| !name.is_empty())?;
            let name = name.trim_start_matches('[').trim_end_matches(']');
            (url.path().len() <= 1).then(|| (name.to_owned(), url.port().unwrap_or(port)))
        };
        let no_host = |host: &str| match host.rsplit_once(':') {
            // It may be a password that no host follows.
            Some((_, port)) if port.parse::<u16>().is_err() => {
                bad("what stands behind the : of a host is no port")
            }
            _ => bad(&format!("{host:?} is no host")),
        };
        let hosts = self.hosts.split(',');
        hosts
            .map(|host| place(host).ok_or_else(|| no_host(host)))
            .collect()
    }
}

/// Refuses a URL whose user or password would be cut: what seems to be a host is part of a secret then, and so is what seems to be a
/// path or a setting. The URL of a unix socket has no place for these but the query.
fn keeps_secrets_apart(text: &str) -> Result<(), Error> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(());
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[end..].contains('@') && !scheme.contains("unix") {
        false => Ok(()),
        true => Err(bad(
            "an @ behind the first /, ? or #: in a user or password write these as %2F, %3F and %23, elsewhere @ as %40",
        )),
    }
}

fn bad(what: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("bad setting url: {what}; expected {VALID}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn parse(text: &str) -> Result<(Address, Settings), Error> {
        let mut settings = Settings::default();
        Address::parse(text, &mut settings).map(|a| (a, settings))
    }

    #[test]
    fn urls_carry_user_password_db_and_settings() {
        let (address, settings) =
            parse("valkey://ada:p%40ss@host:7000/3?ttl=5m&namespace=shop").unwrap();
        assert_eq!(address.shown(), "host:7000");
        let redis = address.info.redis_settings();
        assert_eq!(
            (redis.username(), redis.password(), redis.db()),
            (Some("ada"), Some("p@ss"), 3)
        );
        assert_eq!(settings.policy.ttl, Duration::from_secs(300));
        assert_eq!(settings.namespace, "shop");
    }

    #[test]
    fn another_user_comes_by_the_same_url() {
        for (url, own) in [
            ("redis://h:7000/3?ttl=5m", "redis://u:p@h:7000/3?ttl=5m"),
            (
                "rediss://ada:se@cret@h/#insecure",
                "rediss://u:p@h/#insecure",
            ),
            (
                "unix:///run/r.sock?db=2&user=ada&pass=secret",
                "unix:///run/r.sock?db=2&user=u&pass=p",
            ),
            ("unix:///run/r.sock", "unix:///run/r.sock?user=u&pass=p"),
            (
                "redis+sentinel://ada:secret@h1:7000,h2/shop/3?sentinel_password=secret&ttl=5m",
                "redis+sentinel://u:p@h1:7000,h2/shop/3?ttl=5m",
            ),
            ("valkeys+cluster://h1,h2", "valkeys+cluster://u:p@h1,h2"),
        ] {
            let given = parse(url).unwrap().0.given;
            assert_eq!(
                format!("{}u{}p{}", given.before, given.between, given.after),
                own
            );
            parse(own).unwrap();
            assert_eq!(given.told_sentinels, url.contains("sentinel_"), "{url}");
        }
    }

    #[test]
    fn every_scheme_is_understood() {
        for (url, shown) in [
            ("redis://h", "h:6379"),
            ("rediss://h:1", "h:1"),
            ("valkeys://h:1", "h:1"),
            ("unix:///run/redis.sock?db=2&ttl=5s", "/run/redis.sock"),
        ] {
            assert_eq!(parse(url).unwrap().0.shown(), shown);
        }
        let (unix, _) = parse("unix:///run/redis.sock?db=2&user=u&pass=p").unwrap();
        assert_eq!(unix.info.redis_settings().db(), 2);
        assert_eq!(unix.info.redis_settings().username(), Some("u"));
    }

    #[test]
    fn sentinels_are_named_with_their_primary() {
        let (address, settings) = parse(
            "redis+sentinel://ada:p%40ss@h1:7000,h2,[::1]:7001/shop/3?ttl=5m&sentinel_password=own%26",
        )
        .unwrap();
        assert_eq!(settings.policy.ttl, Duration::from_secs(300));
        assert_eq!(address.shown(), "shop by h1:7000,h2:26379,::1:7001");
        let redis = address.info.redis_settings();
        assert_eq!(
            (redis.username(), redis.password(), redis.db()),
            (Some("ada"), Some("p@ss"), 3)
        );
        let Topology::Sentinels(group) = address.topology else {
            panic!("no sentinels");
        };
        for node in &group.nodes {
            let own = node.redis_settings();
            assert_eq!(
                (own.username(), own.password(), own.db()),
                (None, Some("own&"), 0)
            );
        }
        for url in [
            "redis+sentinel://h1,h2",
            "redis+sentinel://h1,,h2/shop",
            "redis+sentinel://h1:port/shop",
            "redis+sentinel:///shop",
            "redis+sentinel://u:secret@h1/shop/x",
            "redis+sentinel://:secret/def@h1",
            "redis+sentinel://:abc/secret@h1/shop",
            "redis+sentinel://u:123/secret@h1",
            "redis+cluster://u:secret/def@h1",
            "http+sentinel://h1/shop",
            "redis+cluster://",
            "redis+cluster://u:secret@h1,,h2",
            "redis+cluster://u:secret@h1/3",
            "http+cluster://h1",
        ] {
            let message = parse(url).unwrap_err().to_string();
            assert!(message.contains("redis+sentinel://"), "{url}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn a_cluster_is_known_by_some_of_its_nodes() {
        let (address, settings) =
            parse("valkeys+cluster://ada:secret@h1:7000,h2/?ttl=5m&namespace=shop").unwrap();
        assert_eq!(
            (settings.namespace.as_str(), settings.policy.ttl),
            ("shop", Duration::from_secs(300))
        );
        assert_eq!(address.shown(), "the cluster of h1:7000,h2:6379");
        assert!(matches!(
            address.info.addr(),
            redis::ConnectionAddr::TcpTls { .. }
        ));
        assert_eq!(address.info.redis_settings().username(), Some("ada"));
    }

    #[test]
    fn bad_urls_say_what_is_valid_and_keep_the_password() {
        for url in [
            "http://h",
            "redis",
            "",
            "redis://u:secret@h/notanumber",
            "redis://u:secret@h?nope=1",
            "redis://ada:12?secret@h",
            "redis://ada:12#secret@h",
            "redis://ada:12/secret@h",
            "redis+cluster://ada:12?secret@h1/0",
            "redis+cluster://ada:12#secret@h1",
            "redis+cluster://ada:secret",
            "redis+cluster://h1,ada:secret",
            "redis+sentinel://ada:12?secret@h1/shop",
            "redis+sentinel://ada:secret/shop",
        ] {
            let message = parse(url).unwrap_err().to_string();
            assert!(message.contains("expected"), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
