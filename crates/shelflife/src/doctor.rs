//! The doctor: what about a server and a namespace will bite a cache, and what mends it.
//!
//! ```text
//! ask the server (INFO, CONFIG, rights, PING …) ──► look at names, page by page ──► facts ──► findings
//!                                                    rate-limited, bounded           └─ pure: redis/doctor/
//! ```
//!
//! Nothing is written, and no right is needed that shelflife does not need anyway: what can't be asked is a
//! finding itself, *not checked, because*.
//!
//! Must not: mend anything, or know Redis.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior};

use crate::cache::Cache;
use crate::error::{Error, ErrorKind};
use crate::redis::{Facts, RedisStore, Survey, Surveyed};
use crate::store::Store;

/// How many names one page looks at.
const PAGE: u32 = 250;

/// The check whose lines change who is let in.
const SHUTS_OUT: &str = "open_server";

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Nothing can be said: it could not be asked.
    Unchecked,
    /// It costs, or it will.
    Warning,
    /// It breaks something now, or at the next incident.
    Error,
}

impl Severity {
    /// As it is written: `info`, `unchecked`, `warning`, `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Unchecked => "unchecked",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that was found: what, why it matters, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// Names the check, as `eviction_policy`: the same in every version.
    pub check: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is the case.
    pub found: String,
    /// What comes of it; for what was not checked, why not.
    pub consequence: String,
    /// The lines for a shell that mend it, in order. One that begins with `#` is for a person.
    pub mend: Vec<String>,
}

impl Diagnosis {
    /// The names of all checks.
    pub const CHECKS: &'static [&'static str] = &[
        "abandoned_namespaces",
        "append_only",
        "bad_entries",
        "bad_tags",
        "client_buffers",
        "clients",
        "clock_skew",
        "dead_entries",
        "empty_namespace",
        "encryption",
        "endless_entries",
        "endless_leases",
        "endless_tags",
        "eviction_policy",
        "fragmentation",
        "hot_keys",
        "huge_entries",
        "huge_pages",
        "idle_timeout",
        "keepalive",
        "keyspace_events",
        "latency",
        "lazy_free",
        "log",
        "long_log",
        "many_tags",
        "maxmemory",
        "members",
        "memory_full",
        "missing_tags",
        "open_server",
        "other_namespace",
        "other_nodes",
        "reads_when_down",
        "replica_lag",
        "replicas",
        "replicas_differ",
        "rights",
        "rights_excess",
        "rights_missing",
        "settings",
        "silent_members",
        "slow_commands",
        "snapshots",
        "split_brain",
        "stored",
        "swapped",
        "sync_files",
        "too_few_replicas",
        "unknown_names",
        "version",
        "writes_refused",
    ];
}

/// What was measured and counted on the way.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Vitals {
    /// Where the server is, without credentials.
    pub server: String,
    /// What it is, with its version.
    pub version: String,
    /// As whom it was asked.
    pub user: String,
    /// The namespace.
    pub namespace: String,
    /// For how long the server has been up, in s.
    pub uptime_s: Option<u64>,
    /// The memory that it uses, in bytes.
    pub used_memory: Option<u64>,
    /// Its limit, 0 for none.
    pub max_memory: Option<u64>,
    /// Half of the pings were answered within so many µs.
    pub ping_p50_us: u64,
    /// 99 of 100 pings were.
    pub ping_p99_us: u64,
    /// The slowest one.
    pub ping_max_us: u64,
    /// By how many ms the server's clock is ahead of this machine's. Nothing depends on it.
    pub clock_ahead_ms: Option<i64>,
    /// Names in the database, of whatever kind.
    pub names: u64,
    /// How many of them the scan has passed.
    pub looked_at: u64,
    /// Entries of this namespace that were met, leases included.
    pub entries: u64,
    /// Records of tags that were met.
    pub tags: u64,
    /// Entries of the log.
    pub log: Option<u64>,
    /// Processes that follow it.
    pub members: Option<u64>,
}

/// What a checkup looks at, and how fast.
#[derive(Clone, Debug)]
pub struct CheckupPlan {
    rate: u32,
    most: u64,
    pings: u32,
}

impl Default for CheckupPlan {
    fn default() -> Self {
        Self::new()
    }
}

impl CheckupPlan {
    /// 200,000 names, 10,000 of them a second; 300 pings.
    pub fn new() -> Self {
        Self {
            rate: 10_000,
            most: 200_000,
            pings: 300,
        }
    }

    /// How many names a second the scan passes. Each name of the namespace costs up to four small commands.
    pub fn rate(mut self, names: u32) -> Self {
        self.rate = names.clamp(1, 10_000_000);
        self
    }

    /// How many names the scan passes at most; `u64::MAX` for all.
    pub fn most(mut self, names: u64) -> Self {
        self.most = names;
        self
    }

    /// How many pings are sent, one after the other.
    pub fn pings(mut self, pings: u32) -> Self {
        self.pings = pings.clamp(1, 100_000);
        self
    }
}

/// How far a checkup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckupProgress {
    /// Names that the scan has passed.
    pub looked_at: u64,
    /// How many it will pass, about.
    pub of: u64,
}

/// A checkup under way: [`step`](Checkup::step) until it gives `None`, then [`findings`](Checkup::findings).
#[derive(Debug)]
pub struct Checkup {
    cache: Cache,
    plan: CheckupPlan,
    facts: Facts,
    turns: Interval,
    cursor: Option<u64>,
}

impl Cache {
    /// Asks the server how it is, and begins to look at the namespace. Nothing is written.
    ///
    /// ```no_run
    /// # async fn check(cache: shelflife::Cache) -> Result<(), shelflife::Error> {
    /// use shelflife::{CheckupPlan, Severity};
    ///
    /// let mut checkup = cache.checkup(CheckupPlan::new()).await?;
    /// while checkup.step().await?.is_some() {}
    /// let bad = checkup.findings().into_iter().filter(|it| it.severity >= Severity::Warning);
    /// for it in bad {
    ///     println!("{}: {}\n{}", it.check, it.found, it.mend.join("\n"));
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When the server does not answer, or the store is the embedded one, which nobody has to set up.
    pub async fn checkup(&self, plan: CheckupPlan) -> Result<Checkup, Error> {
        let Store::Redis(store) = &self.engine.store else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the embedded store has no server: there is nothing to check",
            ));
        };
        let facts = store.ask_about(plan.pings).await?;
        let each = Duration::from_secs(1) * PAGE / plan.rate;
        let mut turns = tokio::time::interval(each.max(Duration::from_micros(1)));
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Checkup {
            cache: self.clone(),
            facts,
            turns,
            cursor: Some(0),
            plan,
        })
    }
}

impl Checkup {
    /// The next page of names, when its time has come; `None` at the end.
    ///
    /// # Errors
    ///
    /// When the server did not answer. The checkup may go on.
    pub async fn step(&mut self) -> Result<Option<CheckupProgress>, Error> {
        let Some(cursor) = self.cursor else {
            return Ok(None);
        };
        self.turns.tick().await;
        let cache = self.cache.clone();
        let Store::Redis(store) = &cache.engine.store else {
            return Ok(None);
        };
        self.cursor = self.look(store, cursor).await?;
        let Some(survey) = self.facts.survey.as_ref().ok() else {
            return Ok(None);
        };
        Ok(Some(CheckupProgress {
            looked_at: survey.looked_at,
            of: self.facts.names().min(self.plan.most),
        }))
    }

    async fn look(&mut self, store: &RedisStore, cursor: u64) -> Result<Option<u64>, Error> {
        let Ok(survey) = &mut self.facts.survey else {
            return Ok(None);
        };
        let denied = match store.survey(survey, cursor, PAGE as usize).await? {
            Surveyed::Page(None) => {
                survey.complete = true;
                return Ok(None);
            }
            Surveyed::Page(next) => return Ok(next.filter(|_| survey.looked_at < self.plan.most)),
            Surveyed::Denied(because) => because,
        };
        self.facts.survey = Err(denied);
        Ok(None)
    }

    /// What a process of this namespace says of itself: the keys that it reads most, each with its share of all reads
    /// from 0 to 1, and those that take most of its memory, in bytes. No server counts the former but by an LFU policy.
    pub fn heard(&mut self, hottest: Vec<(String, f64)>, largest: Vec<(String, u64)>) {
        let heard = self.facts.heard.get_or_insert_default();
        (heard.hottest, heard.largest) = (hottest, largest);
    }

    /// Which namespace the process has that said so. Of another than this one nothing that it says is told, but that it
    /// is another.
    pub fn heard_in(&mut self, namespace: impl Into<String>) {
        let heard = self.facts.heard.get_or_insert_default();
        heard.namespace = Some(namespace.into());
    }

    /// What has been found so far, the worst first; but last what shuts out who has no password, for the lines of all
    /// others are run as whoever asked.
    pub fn findings(&self) -> Vec<Diagnosis> {
        let mut all = self.facts.diagnose();
        all.sort_by_key(|it| (it.check == SHUTS_OUT, std::cmp::Reverse(it.severity)));
        all
    }

    /// What has been measured and counted so far.
    pub fn vitals(&self) -> Vitals {
        let empty = Survey::default();
        let survey = self.facts.survey.as_ref().unwrap_or(&empty);
        let at = |part: usize| self.facts.ping_at(part);
        Vitals {
            server: self.facts.place.shown.clone(),
            version: self.facts.version(),
            user: self.facts.place.user.clone(),
            namespace: self.cache.namespace().to_owned(),
            uptime_s: self.facts.number("uptime_in_seconds"),
            used_memory: self.facts.number("used_memory"),
            max_memory: self.facts.number("maxmemory"),
            ping_p50_us: at(500),
            ping_p99_us: at(990),
            ping_max_us: at(1000),
            clock_ahead_ms: self.facts.ahead_ms,
            names: self.facts.names(),
            looked_at: survey.looked_at,
            entries: survey.entries,
            tags: survey.tags,
            log: self.facts.log.as_ref().ok().copied(),
            members: self
                .facts
                .members
                .as_ref()
                .ok()
                .map(|list| list.len() as u64),
        }
    }
}
