//! Settings: one table for code, URL query and `SHELFLIFE_*`.
//!
//! Each setting has one name. In a URL it is a query parameter, in the environment it is upper case
//! after `SHELFLIFE_`. An unknown name and a bad value are errors that say what would be valid.

use std::path::PathBuf;
use std::time::Duration;

use crate::codec::{Codec, Compression};
use crate::duration::duration;
use crate::error::{Error, ErrorKind};
use crate::policy::Policy;

/// The variables that are not settings of their own.
const URL_VARIABLES: [&str; 2] = ["SHELFLIFE_URL", "REDIS_URL"];
/// `SHELFLIFE_TEST_*` is left to tests.
const PREFIX: &str = "SHELFLIFE_";
/// The longest Δ: what others may have to wait for a process that is silent. Scripts know it, too.
pub(crate) const LONGEST_WINDOW: Duration = Duration::from_secs(3600);

/// Everything that a cache can be told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What was said in code, by name, and `policy` for all of it: a URL does not change that.
    pub(crate) said: Vec<String>,
    pub(crate) url: Option<String>,
    pub(crate) namespace: String,
    pub(crate) policy: Policy,
    pub(crate) memory: u64,
    pub(crate) window: Duration,
    pub(crate) max_entry: u64,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) connections: usize,
    pub(crate) keepalive: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) failover: Failover,
    pub(crate) handler_timeout: Duration,
    pub(crate) loads: usize,
    pub(crate) loads_waiting: usize,
    #[cfg(feature = "chaos")]
    pub(crate) faults: Option<crate::chaos::Faults>,
    pub(crate) tls_ca: Option<PathBuf>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    #[cfg(test)]
    pub(crate) probes: crate::probe::Probes,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            said: Vec::new(),
            url: None,
            namespace: "default".to_owned(),
            policy: Policy::default(),
            memory: 64 << 20,
            window: Duration::from_secs(1),
            max_entry: 8 << 20,
            timeout: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(2),
            connections: 1,
            keepalive: Duration::from_secs(15),
            close_timeout: Duration::from_secs(5),
            failover: Failover::Replay,
            handler_timeout: Duration::from_secs(5),
            loads: 1024,
            loads_waiting: 16 * 1024,
            #[cfg(feature = "chaos")]
            faults: None,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            #[cfg(test)]
            probes: crate::probe::Probes::default(),
        }
    }
}

/// What is done about invalidations that a lost primary may have taken along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failover {
    /// Those of the last minute are carried out again.
    Replay,
    /// A new incarnation begins: everything is dead.
    Bump,
}

/// More loads than that at once, or waiting, are no limit.
pub(crate) const MOST_LOADS: usize = 1_000_000;

struct Setting {
    name: &'static str,
    valid: &'static str,
    apply: fn(&mut Settings, &str) -> Option<()>,
}

const DURATION: &str = "a duration such as \"300ms\", \"5m\" or \"1h30m\"";
const LONGER_THAN_ZERO: &str = "a duration longer than zero, such as \"300ms\" or \"5m\"";
const BYTES: &str = "a size such as 65536, \"64MiB\" or \"1GiB\"";

const FILE: &str = "the path of a PEM file, such as \"/etc/shelflife/ca.pem\"";

/// Every setting, with what is valid for it.
const TABLE: &[Setting] = &[
    Setting {
        name: "namespace",
        valid: "1 to 64 characters of a-z, A-Z, 0-9, '.', '_' and '-'",
        apply: |s, v| s.set_namespace(v),
    },
    Setting {
        name: "ttl",
        valid: LONGER_THAN_ZERO,
        apply: |s, v| longer_than_zero(v).map(|d| s.policy.ttl = d),
    },
    Setting {
        name: "stale",
        valid: DURATION,
        apply: |s, v| duration(v).ok().map(|d| s.policy.stale = d),
    },
    Setting {
        name: "stale_on_error",
        valid: "true or false",
        apply: |s, v| v.parse().ok().map(|b| s.policy.stale_on_error = b),
    },
    Setting {
        name: "negative_ttl",
        valid: LONGER_THAN_ZERO,
        apply: |s, v| longer_than_zero(v).map(|d| s.policy.negative_ttl = Some(d)),
    },
    Setting {
        name: "jitter",
        valid: "a fraction from 0.0 to 1.0",
        apply: |s, v| number_in(v, 0.0..=1.0).map(|n| s.policy.jitter = n),
    },
    Setting {
        name: "early",
        valid: "a number from 0.0 (off) to 100.0",
        apply: |s, v| number_in(v, 0.0..=100.0).map(|n| s.policy.early = n),
    },
    Setting {
        name: "soft_timeout",
        valid: DURATION,
        apply: |s, v| duration(v).ok().map(|d| s.policy.soft_timeout = Some(d)),
    },
    Setting {
        name: "hard_timeout",
        valid: LONGER_THAN_ZERO,
        apply: |s, v| longer_than_zero(v).map(|d| s.policy.hard_timeout = Some(d)),
    },
    Setting {
        name: "throttle",
        valid: DURATION,
        apply: |s, v| duration(v).ok().map(|d| s.policy.throttle = d),
    },
    Setting {
        name: "lease",
        valid: "a duration from \"50ms\" to \"5m\"",
        apply: |s, v| {
            let lease = duration(v).ok()?;
            let valid = Duration::from_millis(50)..=Duration::from_secs(300);
            valid.contains(&lease).then(|| s.policy.lease = lease)
        },
    },
    Setting {
        name: "settle",
        valid: DURATION,
        apply: |s, v| duration(v).ok().map(|d| s.policy.settle = d),
    },
    Setting {
        name: "codec",
        valid: "messagepack, json or raw",
        apply: |s, v| {
            s.policy.codec = match v {
                "messagepack" => Codec::MessagePack,
                "json" => Codec::Json,
                "raw" => Codec::Raw,
                _ => return None,
            };
            Some(())
        },
    },
    Setting {
        name: "compression",
        valid: "none, lz4 or zstd",
        apply: |s, v| {
            s.policy.compression = match v {
                "none" => Compression::None,
                "lz4" => Compression::Lz4,
                "zstd" => Compression::Zstd,
                _ => return None,
            };
            Some(())
        },
    },
    Setting {
        name: "compress_over",
        valid: BYTES,
        apply: |s, v| {
            bytes(v)
                .and_then(|n| usize::try_from(n).ok())
                .map(|n| s.policy.compress_over = n)
        },
    },
    Setting {
        name: "memory",
        valid: BYTES,
        apply: |s, v| bytes(v).map(|n| s.memory = n),
    },
    Setting {
        name: "max_entry",
        valid: BYTES,
        apply: |s, v| bytes(v).map(|n| s.max_entry = n),
    },
    Setting {
        name: "failover",
        valid: "replay or bump",
        apply: |s, v| {
            s.failover = match v {
                "replay" => Failover::Replay,
                "bump" => Failover::Bump,
                _ => return None,
            };
            Some(())
        },
    },
    Setting {
        name: "window",
        valid: "a duration longer than zero, at most \"1h\"",
        apply: |s, v| {
            let delta = longer_than_zero(v).filter(|d| *d <= LONGEST_WINDOW)?;
            s.window = delta;
            Some(())
        },
    },
    Setting {
        name: "timeout",
        valid: LONGER_THAN_ZERO,
        apply: |s, v| longer_than_zero(v).map(|d| s.timeout = d),
    },
    Setting {
        name: "connect_timeout",
        valid: LONGER_THAN_ZERO,
        apply: |s, v| longer_than_zero(v).map(|d| s.connect_timeout = d),
    },
    Setting {
        name: "connections",
        valid: "a number from 1 to 64",
        apply: |s, v| {
            let n = v.parse().ok()?;
            (1..=64).contains(&n).then(|| s.connections = n)
        },
    },
    Setting {
        name: "keepalive",
        valid: LONGER_THAN_ZERO,
        apply: |s, v| longer_than_zero(v).map(|d| s.keepalive = d),
    },
    Setting {
        name: "close_timeout",
        valid: DURATION,
        apply: |s, v| duration(v).ok().map(|d| s.close_timeout = d),
    },
    Setting {
        name: "loads",
        valid: "a number from 1 to 1000000",
        apply: |s, v| number_in(v, 1..=MOST_LOADS).map(|n| s.loads = n),
    },
    Setting {
        name: "loads_waiting",
        valid: "a number from 0 (none waits) to 1000000",
        apply: |s, v| number_in(v, 0..=MOST_LOADS).map(|n| s.loads_waiting = n),
    },
    Setting {
        name: "handler_timeout",
        valid: LONGER_THAN_ZERO,
        apply: |s, v| longer_than_zero(v).map(|d| s.handler_timeout = d),
    },
    Setting {
        name: "tls_ca",
        valid: FILE,
        apply: |s, v| file(v).map(|path| s.tls_ca = Some(path)),
    },
    Setting {
        name: "tls_cert",
        valid: FILE,
        apply: |s, v| file(v).map(|path| s.tls_cert = Some(path)),
    },
    Setting {
        name: "tls_key",
        valid: FILE,
        apply: |s, v| file(v).map(|path| s.tls_key = Some(path)),
    },
];

impl Settings {
    /// The faults to install, as they are met by what has this timeout.
    #[cfg(feature = "chaos")]
    pub(crate) fn installed(&self) -> crate::chaos::Installed {
        crate::chaos::Installed {
            faults: self.faults.clone(),
            timeout: self.timeout,
        }
    }

    /// Applies one setting by its name. `shown` is the name as its author wrote it.
    pub(crate) fn apply(&mut self, name: &str, shown: &str, value: &str) -> Result<(), Error> {
        let Some(setting) = TABLE.iter().find(|s| s.name == name) else {
            let names: Vec<_> = TABLE.iter().map(|s| s.name).collect();
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "unknown setting {shown}={value:?}: expected one of {}",
                    names.join(", ")
                ),
            ));
        };
        (setting.apply)(self, value).ok_or_else(|| Error::setting(shown, value, setting.valid))
    }

    /// Notes that code has said this, or all of the `policy`.
    pub(crate) fn say(&mut self, name: &str) {
        self.said.push(name.to_owned());
    }

    /// Applies one setting of a URL's query, which must be right, though code may have said otherwise.
    pub(crate) fn apply_from_url(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let mut told = self.clone();
        told.apply(name, &format!("{name} (in the URL)"), value)?;
        let said = |name| self.said.iter().any(|it| it == name);
        if said("policy") {
            told.policy = self.policy.clone();
        }
        if !said(name) {
            *self = told;
        }
        Ok(())
    }

    /// Reads the URL and every `SHELFLIFE_*` from an environment.
    pub(crate) fn read_environment(
        &mut self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<(), Error> {
        let mut urls = [None, None];
        for (name, value) in variables {
            if let Some(at) = URL_VARIABLES.iter().position(|u| *u == name) {
                urls[at] = Some(value).filter(|v| !v.is_empty());
            } else if let Some(setting) = name
                .strip_prefix(PREFIX)
                .filter(|s| !s.starts_with("TEST_"))
            {
                self.apply(&setting.to_ascii_lowercase(), &name, &value)?;
            }
        }
        let [own, redis] = urls;
        if let Some(url) = own.or(redis) {
            self.url = Some(url);
        }
        Ok(())
    }

    fn set_namespace(&mut self, name: &str) -> Option<()> {
        is_namespace(name).then(|| self.namespace = name.to_owned())
    }
}

/// Whether a namespace may be called so.
pub(crate) fn is_namespace(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}

fn longer_than_zero(text: &str) -> Option<Duration> {
    duration(text).ok().filter(|d| !d.is_zero())
}

/// A path; what is in it is looked at when a connection is to be made.
fn file(text: &str) -> Option<PathBuf> {
    text.contains(['/', '\\', '.']).then(|| PathBuf::from(text))
}

fn number_in<N>(text: &str, valid: std::ops::RangeInclusive<N>) -> Option<N>
where
    N: std::str::FromStr + PartialOrd,
{
    text.parse().ok().filter(|n| valid.contains(n))
}

fn bytes(text: &str) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit.trim() {
        "" | "B" => 1,
        "KiB" | "K" | "k" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        "GiB" | "G" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, Error> {
        let mut settings = Settings::default();
        let pairs = variables
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        settings.read_environment(pairs).map(|()| settings)
    }

    #[test]
    fn the_environment_is_read_and_its_own_url_wins() {
        let s = read(&[
            ("REDIS_URL", "redis://other"),
            ("SHELFLIFE_URL", "redis://own"),
            ("SHELFLIFE_TTL", "5m"),
            ("SHELFLIFE_MEMORY", "1GiB"),
            ("PATH", "/bin"),
        ])
        .unwrap();
        assert_eq!(s.url.as_deref(), Some("redis://own"));
        assert_eq!(s.policy.ttl, Duration::from_secs(300));
        assert_eq!(s.memory, 1 << 30);
        assert_eq!(
            read(&[("REDIS_URL", "redis://r"), ("SHELFLIFE_URL", "")])
                .unwrap()
                .url
                .as_deref(),
            Some("redis://r")
        );
        assert_eq!(read(&[]).unwrap().url, None);
    }

    #[test]
    fn errors_name_the_key_the_value_and_what_is_valid() {
        for (name, value, says) in [
            ("SHELFLIFE_TTL", "soon", "duration"),
            ("SHELFLIFE_TTL", "0", "longer than zero"),
            ("SHELFLIFE_CONNECTIONS", "0", "1 to 64"),
            ("SHELFLIFE_NAMESPACE", "a b", "characters"),
            ("SHELFLIFE_NAMESPACE", "", "characters"),
            ("SHELFLIFE_CODEC", "pickle", "messagepack, json or raw"),
            ("SHELFLIFE_MEMORY", "64MB?", "size"),
            ("SHELFLIFE_JITTER", "NaN", "0.0 to 1.0"),
            ("SHELFLIFE_TLL", "5m", "namespace, ttl, stale"),
        ] {
            let message = read(&[(name, value)]).unwrap_err().to_string();
            for part in [name, value, says] {
                assert!(message.contains(part), "{message} should contain {part}");
            }
        }
    }

    #[test]
    fn code_wins_over_the_url_and_that_over_the_environment() {
        let mut s = read(&[("SHELFLIFE_TTL", "1s"), ("SHELFLIFE_STALE", "1s")]).unwrap();
        s.apply("namespace", "namespace", "in-code").unwrap();
        s.say("namespace");
        s.apply_from_url("namespace", "by-url").unwrap();
        s.apply_from_url("ttl", "2s").unwrap();
        assert_eq!(s.namespace, "in-code");
        assert_eq!(
            (s.policy.ttl, s.policy.stale),
            (Duration::from_secs(2), Duration::from_secs(1))
        );
        let wrong = s.apply_from_url("namespace", "a/b").unwrap_err();
        assert!(wrong.to_string().contains("(in the URL)"), "{wrong}");
        s.say("policy");
        s.apply_from_url("ttl", "3s").unwrap();
        s.apply_from_url("memory", "1KiB").unwrap();
        assert_eq!((s.policy.ttl, s.memory), (Duration::from_secs(2), 1 << 10));
    }

    #[test]
    fn every_setting_refuses_nonsense_and_names_are_distinct() {
        for (i, setting) in TABLE.iter().enumerate() {
            let message = Settings::default()
                .apply(setting.name, setting.name, "§")
                .unwrap_err();
            assert!(message.to_string().contains(setting.valid));
            assert!(TABLE[..i].iter().all(|s| s.name != setting.name));
        }
    }

    #[test]
    fn every_setting_is_documented() {
        let page = include_str!("../../../docs/settings.md");
        for setting in TABLE {
            assert!(
                page.contains(&format!("| `{}` |", setting.name)),
                "{}",
                setting.name
            );
        }
        let rows = page.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, TABLE.len(), "the page names nothing else");
    }
}
