//! What was asked of a server, and what was seen in a namespace.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use redis::ConnectionAddr;

use super::Rights;
use crate::redis::address::Given;
use crate::store::Member;

/// More replicas of one server than anybody has.
const REPLICAS: u64 = 64;

/// An answer, or why there is none.
pub(crate) type Asked<T> = Result<T, String>;

/// Everything that was asked and seen.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) place: Place,
    pub(crate) namespace: String,
    /// How long an application waits for an answer, by this process's setting.
    pub(crate) patience: Duration,
    /// The fields of `INFO`.
    pub(crate) info: HashMap<String, String>,
    /// Parameters, by `CONFIG GET`.
    pub(crate) config: Asked<HashMap<String, String>>,
    /// Whether a connection without a password was let in.
    pub(crate) open: Asked<bool>,
    pub(crate) rights: Asked<Rights>,
    /// How long each ping took, in µs, sorted.
    pub(crate) pings: Vec<u64>,
    pub(crate) ahead_ms: Option<i64>,
    pub(crate) slow: Asked<Vec<Slow>>,
    /// Entries of the log.
    pub(crate) log: Asked<u64>,
    /// Who follows it.
    pub(crate) members: Asked<Vec<Member>>,
    /// The server's time in ms, as of the list of members.
    pub(crate) now: u64,
    pub(crate) survey: Asked<Survey>,
    /// What a process says of itself, if one was asked.
    pub(crate) heard: Option<Heard>,
    /// What its replicas say of themselves, by their addresses.
    pub(crate) replicas_say: Vec<(String, Asked<Replica>)>,
    /// The other primaries of a cluster, each asked about itself alone.
    pub(crate) others: Vec<Facts>,
    /// Those of them that could not be asked, and why not.
    pub(crate) unasked: Vec<(String, String)>,
}

/// Where the server is, and as whom it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) address: ConnectionAddr,
    pub(crate) shown: String,
    pub(crate) db: i64,
    pub(crate) user: String,
    pub(crate) has_secret: bool,
    pub(crate) of_a_cluster: bool,
    pub(crate) given: Given,
    pub(crate) certificates: Certificates,
}

/// The files by which the two ends believe each other, as the settings name them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Certificates {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            address: ConnectionAddr::Tcp("127.0.0.1".to_owned(), 6379),
            shown: "127.0.0.1:6379".to_owned(),
            db: 0,
            user: "default".to_owned(),
            has_secret: false,
            of_a_cluster: false,
            given: Given::of("redis://127.0.0.1:6379"),
            certificates: Certificates::default(),
        }
    }
}

impl Place {
    /// Another server that is reached as this one is.
    pub(crate) fn beside(&self, host: String, port: u16) -> ConnectionAddr {
        match &self.address {
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host, port),
        }
    }

    /// Whether the way there stays on this machine.
    pub(crate) fn is_here(&self) -> bool {
        let host = match &self.address {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host,
            ConnectionAddr::Unix(_) => return true,
            _ => return false,
        };
        let ip: Option<std::net::IpAddr> = host.parse().ok();
        host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.address, ConnectionAddr::TcpTls { .. })
    }
}

/// A command that took long.
#[derive(Clone, Debug)]
pub(crate) struct Slow {
    /// How long ago, in s.
    pub(crate) ago_s: u64,
    pub(crate) took_us: u64,
    /// The command's name.
    pub(crate) command: String,
}

/// A replica: the next primary, perhaps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    /// The fields of its `INFO`.
    pub(crate) info: HashMap<String, String>,
    /// Its parameters, where they may be asked for.
    pub(crate) config: HashMap<String, String>,
}

/// What the names of a database are, as far as a scan came.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) looked_at: u64,
    /// Whether the scan came to its end.
    pub(crate) complete: bool,
    /// The namespaces that were met, this one too.
    pub(crate) spaces: BTreeMap<String, Space>,
    /// Whether there were more than are kept.
    pub(crate) more_spaces: bool,
    /// Of this namespace: entries, leases without a value, records of tags.
    pub(crate) entries: u64,
    pub(crate) leases: u64,
    pub(crate) tags: u64,
    /// By their keys.
    pub(crate) endless_entries: Samples,
    /// By their names in the server, as all that follow.
    pub(crate) endless_leases: Samples,
    pub(crate) bad_entries: Samples,
    /// Values of another incarnation than the clock's.
    pub(crate) dead_entries: Samples,
    /// Living values, some of each page, whose tags were looked for, and those of them that lack the record of one.
    pub(crate) tagged: u64,
    pub(crate) untagged: Samples,
    pub(crate) endless_tags: Samples,
    pub(crate) bad_tags: Samples,
    pub(crate) unknown: Samples,
    /// Values of a size that hurts, by their keys.
    pub(crate) huge: Samples,
    /// The largest of them, in bytes.
    pub(crate) largest: u64,
    /// The keys that are read most of what was met, by the server's own count.
    pub(crate) hot: Vec<Hot>,
    /// Why that count may not be asked for.
    pub(crate) hot_denied: Option<String>,
}

/// What a process says of itself: keys, and their part of its reads; keys, and how many bytes of its memory they take.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Its namespace, if it has said that too.
    pub(crate) namespace: Option<String>,
    pub(crate) hottest: Vec<(String, f64)>,
    pub(crate) largest: Vec<(String, u64)>,
}

/// A namespace that was met.
#[derive(Debug, Default)]
pub(crate) struct Space {
    /// Entries and records of tags.
    pub(crate) stored: u64,
    /// Names of its clock, its log, its lists: nothing else.
    pub(crate) control: Vec<String>,
}

impl Survey {
    /// How many namespaces are kept.
    pub(crate) const SPACES: usize = 1000;

    /// The namespace of that name, unless there are more than are kept.
    pub(crate) fn space(&mut self, name: &str) -> Option<&mut Space> {
        if self.spaces.len() >= Self::SPACES && !self.spaces.contains_key(name) {
            self.more_spaces = true;
            return None;
        }
        Some(self.spaces.entry(name.to_owned()).or_default())
    }
}

/// How many there are, and the first of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    pub(crate) count: u64,
    pub(crate) names: Vec<String>,
}

impl Samples {
    /// How many are kept: what is to be mended by one line has to fit on it.
    const KEPT: usize = 50;

    pub(crate) fn add(&mut self, name: &str) {
        self.count += 1;
        if self.names.len() < Self::KEPT {
            self.names.push(name.to_owned());
        }
    }

    /// `3 entries: a, b, c`, with at most three of them.
    pub(crate) fn told(&self, one: &str, many: &str) -> String {
        let shown: Vec<_> = self.names.iter().take(3).map(String::as_str).collect();
        let more = if self.count > 3 { ", …" } else { "" };
        let what = if self.count == 1 { one } else { many };
        format!("{} {what}: {}{more}", self.count, shown.join(", "))
    }

    /// What a line that mends only the first of them has to say.
    pub(crate) fn rest(&self) -> Vec<String> {
        match self.count > self.names.len() as u64 {
            false => Vec::new(),
            true => vec![format!(
                "# that are the first {}: run the doctor again for the rest",
                self.names.len()
            )],
        }
    }
}

/// A key and how often it is read: the logarithmic counter of an LFU policy, 0 to 255.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hot {
    pub(crate) count: u64,
    pub(crate) key: String,
}

impl Facts {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.info.get(name).map(String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }

    /// A parameter, where parameters could be asked for.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.config.as_ref().ok()?.get(name).map(String::as_str)
    }

    /// A parameter that is a number.
    pub(crate) fn limit(&self, name: &str) -> Option<u64> {
        self.parameter(name)?.parse().ok()
    }

    /// Names in the database, on all primaries.
    pub(crate) fn names(&self) -> u64 {
        self.own_names() + self.others.iter().map(Self::own_names).sum::<u64>()
    }

    fn own_names(&self) -> u64 {
        let listed = self.field(&format!("db{}", self.place.db));
        let keys = listed.and_then(|text| text.split(',').find_map(|f| f.strip_prefix("keys=")));
        keys.and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    /// Host and port of each replica, as the server knows them.
    pub(crate) fn replicas(&self) -> Vec<(String, u16)> {
        let nth = |n: u64| self.field(&format!("slave{n}"));
        let place = |said: &str| {
            let part = |name| said.split(',').find_map(|part| part.strip_prefix(name));
            Some((part("ip=")?.to_owned(), part("port=")?.parse().ok()?))
        };
        let count = self.number("connected_slaves").unwrap_or(0).min(REPLICAS);
        (0..count).filter_map(nth).filter_map(place).collect()
    }

    /// What a process of this namespace says.
    pub(crate) fn heard_here(&self) -> Option<&Heard> {
        let heard = self.heard.as_ref()?;
        let is_here = |name: &String| *name == self.namespace;
        heard
            .namespace
            .as_ref()
            .is_none_or(is_here)
            .then_some(heard)
    }

    /// Whether sentinels say who is the primary.
    pub(crate) fn has_sentinels(&self) -> bool {
        self.place.given.before.contains("+sentinel")
    }

    pub(crate) fn version(&self) -> String {
        match (self.field("valkey_version"), self.field("redis_version")) {
            (Some(version), _) => format!("Valkey {version}"),
            (None, Some(version)) => format!("Redis {version}"),
            (None, None) => "unknown".to_owned(),
        }
    }

    /// How long a ping took that so many thousandths of all did not exceed, in µs.
    pub(crate) fn ping_at(&self, thousandths: usize) -> u64 {
        let last = self.pings.len().saturating_sub(1);
        let at = (self.pings.len() * thousandths).div_ceil(1000);
        let at = at.saturating_sub(1).min(last);
        self.pings.get(at).copied().unwrap_or(0)
    }
}
