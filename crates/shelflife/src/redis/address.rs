//! URLs: where the server is, as whom, and the settings that ride in the query.

use redis::{ConnectionInfo, IntoConnectionInfo as _};
use url::Url;

use crate::error::{Error, ErrorKind};
use crate::settings::Settings;

const VALID: &str = "redis://, rediss://, valkey://, valkeys:// or unix://, as in \
                     redis://user:password@host:6379/0?ttl=5m";

/// A server to connect to.
#[derive(Clone, Debug)]
pub(crate) struct Address(pub(super) ConnectionInfo);

impl Address {
    /// Parses a URL; applies the settings in its query to `settings`.
    ///
    /// # Errors
    ///
    /// Of kind `Config`, naming what can't be used. Never shows a password.
    pub(crate) fn parse(text: &str, settings: &mut Settings) -> Result<Self, Error> {
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
                _ => settings.apply(&name, &format!("{name} (in the URL)"), &value)?,
            }
        }
        url.set_query(None);
        for (name, value) in kept {
            url.query_pairs_mut().append_pair(&name, &value);
        }
        let rest = url.as_str().split_once(':').map_or("", |(_, rest)| rest);
        format!("{scheme}:{rest}")
            .into_connection_info()
            .map(Self)
            .map_err(|e| bad(&e.detail().map_or_else(|| e.to_string(), str::to_owned)))
    }

    /// Where it is, without user and password.
    pub(crate) fn shown(&self) -> String {
        self.0.addr().to_string()
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
        let redis = address.0.redis_settings();
        assert_eq!(
            (redis.username(), redis.password(), redis.db()),
            (Some("ada"), Some("p@ss"), 3)
        );
        assert_eq!(settings.policy.ttl, Duration::from_secs(300));
        assert_eq!(settings.namespace, "shop");
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
        assert_eq!(unix.0.redis_settings().db(), 2);
        assert_eq!(unix.0.redis_settings().username(), Some("u"));
    }

    #[test]
    fn bad_urls_say_what_is_valid_and_keep_the_password() {
        for url in [
            "http://h",
            "redis",
            "",
            "redis://u:secret@h/notanumber",
            "redis://u:secret@h?nope=1",
        ] {
            let message = parse(url).unwrap_err().to_string();
            assert!(message.contains("expected"), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
