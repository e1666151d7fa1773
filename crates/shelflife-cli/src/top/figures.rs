//! From looks to figures: what a person wants to know is between two of them.
//!
//! Counters only grow, but for a process that starts anew: then there is no rate until the next look.
//!
//! Must not: ask anybody, or draw.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

use super::log::Line;

/// How many looks are remembered for the curves.
const REMEMBERED: usize = 240;
/// How many entries of the log are kept.
const LOG: usize = 500;

/// What one look has seen; what is not told is null, or empty.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) at: Instant,
    pub(super) namespace: String,
    /// The process whose own figures these are.
    pub(super) process: Option<String>,
    pub(super) uptime_ms: Option<u64>,
    /// The process's own counters, by the names of the library.
    pub(super) stats: Value,
    /// What the server says of itself.
    pub(super) server: Value,
    /// Why the store does not answer, if it does not.
    pub(super) trouble: Option<String>,
    pub(super) members: Vec<Member>,
    pub(super) hot_keys: Option<Vec<Hot>>,
    pub(super) hot_tags: Option<Vec<Hot>>,
    pub(super) largest: Option<Vec<Large>>,
    /// What was logged since the look before.
    pub(super) logged: Vec<Line>,
    /// Why nobody follows the log, if so.
    pub(super) log_lost: Option<String>,
}

impl Look {
    pub(super) fn new(namespace: String) -> Self {
        Self {
            at: Instant::now(),
            namespace,
            process: None,
            uptime_ms: None,
            stats: Value::Null,
            server: Value::Null,
            trouble: None,
            members: Vec::new(),
            hot_keys: None,
            hot_tags: None,
            largest: None,
            logged: Vec::new(),
            log_lost: None,
        }
    }
}

/// A process that follows the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Member {
    pub(super) name: String,
    /// By how many µs it is behind; `None` while it resyncs.
    pub(super) lag_us: Option<u64>,
    pub(super) silent_ms: u64,
    pub(super) window_open: bool,
}

impl Member {
    /// By the fields of the library's `MemberState`.
    pub(super) fn of(state: &Value) -> Option<Self> {
        let name = state["member"].as_str()?;
        Some(Self {
            // The Δ behind the name is of no use here.
            name: name
                .rsplit_once('@')
                .map_or(name, |(name, _)| name)
                .to_owned(),
            lag_us: state["lag"].as_u64(),
            silent_ms: state["silent_ms"].as_u64().unwrap_or(0),
            window_open: state["window_open"].as_bool().unwrap_or(false),
        })
    }
}

/// A node of the store, as the process whose figures these are is connected to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) address: String,
    /// Connections that there are to be.
    pub(super) connections: u64,
    pub(super) up: u64,
    /// How often its circuit breaker has opened.
    pub(super) times_down: u64,
}

impl Node {
    /// By the fields of the library's `NodeStats`.
    fn of(state: &Value) -> Option<Self> {
        let number = |name: &str| state[name].as_u64();
        Some(Self {
            address: state["address"].as_str()?.to_owned(),
            connections: number("connections")?,
            up: number("connections_up")?,
            times_down: number("times_down").unwrap_or(0),
        })
    }

    fn is_well(&self) -> bool {
        self.up > 0 && self.up >= self.connections
    }
}

/// A name that is read much.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Hot {
    pub(super) name: String,
    pub(super) reads: u64,
    /// Its part of all reads, from 0 to 1.
    pub(super) share: f64,
}

impl Hot {
    pub(super) fn all(listed: &Value) -> Option<Vec<Self>> {
        let one = |it: &Value| {
            Some(Self {
                name: it["name"].as_str()?.to_owned(),
                reads: it["reads"].as_u64().unwrap_or(0),
                share: it["share"].as_f64().unwrap_or(0.0),
            })
        };
        Some(listed.as_array()?.iter().filter_map(one).collect())
    }
}

/// An entry in memory that takes much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Large {
    pub(super) key: String,
    pub(super) bytes: u64,
}

impl Large {
    pub(super) fn all(listed: &Value) -> Option<Vec<Self>> {
        let one = |it: &Value| {
            Some(Self {
                key: it["key"].as_str()?.to_owned(),
                bytes: it["bytes"].as_u64()?,
            })
        };
        Some(listed.as_array()?.iter().filter_map(one).collect())
    }
}

/// What has happened a second between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Rates {
    pub(super) reads: f64,
    /// Parts of the reads, from 0 to 1.
    pub(super) l1: f64,
    pub(super) l2: f64,
    pub(super) stale: f64,
    pub(super) miss: f64,
    pub(super) loads: f64,
    pub(super) load_failures: f64,
    pub(super) fills: f64,
    pub(super) invalidations: f64,
    pub(super) store_errors: f64,
}

impl Rates {
    /// Reads that were answered with something fresh, from 0 to 1: what is stale is no hit, here as on the page and
    /// in the metrics.
    pub(super) fn hit_ratio(&self) -> f64 {
        self.l1 + self.l2
    }
}

/// All that is shown.
#[derive(Debug)]
pub(super) struct Figures {
    /// Where it was asked.
    pub(super) place: String,
    pub(super) look: Option<Look>,
    pub(super) rates: Option<Rates>,
    /// Reads a second, and the hit ratio, look by look.
    pub(super) reads: VecDeque<f64>,
    pub(super) ratio: VecDeque<f64>,
    pub(super) log: VecDeque<Line>,
    /// Why there was no look, last time.
    pub(super) lost: Option<String>,
}

impl Figures {
    pub(super) fn new(place: String) -> Self {
        Self {
            place,
            look: None,
            rates: None,
            reads: VecDeque::new(),
            ratio: VecDeque::new(),
            log: VecDeque::new(),
            lost: None,
        }
    }

    pub(super) fn add(&mut self, mut look: Look) {
        self.lost = None;
        self.rates = self.look.as_ref().and_then(|before| rates(before, &look));
        if let Some(rates) = self.rates {
            remember(&mut self.reads, rates.reads);
            // No read says nothing about the ratio: it stays where it was.
            let ratio = match rates.reads > 0.0 {
                true => rates.hit_ratio(),
                false => self.ratio.back().copied().unwrap_or(0.0),
            };
            remember(&mut self.ratio, ratio);
        }
        for line in look.logged.drain(..) {
            self.log.push_front(line);
        }
        self.log.truncate(LOG);
        self.look = Some(look);
    }

    pub(super) fn lost(&mut self, why: String) {
        self.lost = Some(why);
        self.rates = None;
    }

    /// Why reads ended as they did since the process began, the most frequent first.
    pub(super) fn reasons(&self) -> Vec<(&str, u64)> {
        let told = self
            .look
            .as_ref()
            .and_then(|look| look.stats["reasons"].as_object());
        let all = told.into_iter().flatten();
        let mut all: Vec<(&str, u64)> = all
            .filter_map(|(name, n)| Some((name.as_str(), n.as_u64()?)))
            .filter(|(_, n)| *n > 0)
            .collect();
        all.sort_by_key(|(name, n)| (Reverse(*n), *name));
        all
    }

    /// Nodes of the store to which not all connections are up, first those to which none is.
    pub(super) fn unwell(&self) -> Vec<Node> {
        let told = self
            .look
            .as_ref()
            .and_then(|look| look.stats["nodes"].as_array());
        let all = told.into_iter().flatten().filter_map(Node::of);
        let mut unwell: Vec<Node> = all.filter(|node| !node.is_well()).collect();
        unwell.sort_by_key(|node| node.up > 0);
        unwell
    }

    /// As one JSON document.
    pub(super) fn document(&self) -> Value {
        let look = self.look.as_ref();
        json!({
            "place": self.place,
            "lost": self.lost,
            "namespace": look.map(|it| &it.namespace),
            "process": look.and_then(|it| it.process.as_ref()),
            "uptime_ms": look.and_then(|it| it.uptime_ms),
            "rates": self.rates,
            "hit_ratio": self.rates.filter(|it| it.reads > 0.0).map(|it| it.hit_ratio()),
            "stats": look.map(|it| &it.stats),
            "server": look.map(|it| &it.server),
            "trouble": look.and_then(|it| it.trouble.as_ref()),
            "members": look.map(|it| &it.members),
            "hot": {
                "keys": look.and_then(|it| it.hot_keys.as_ref()),
                "tags": look.and_then(|it| it.hot_tags.as_ref()),
            },
            "largest": look.and_then(|it| it.largest.as_ref()),
            "log": self.log,
            "log_lost": look.and_then(|it| it.log_lost.as_ref()),
        })
    }
}

fn remember(history: &mut VecDeque<f64>, figure: f64) {
    if history.len() == REMEMBERED {
        history.pop_front();
    }
    history.push_back(figure);
}

fn rates(before: &Look, now: &Look) -> Option<Rates> {
    if before.process != now.process {
        return None;
    }
    let seconds = now.at.duration_since(before.at).as_secs_f64();
    if seconds <= 0.0 {
        return None;
    }
    let grown = |name: &str| {
        let (old, new) = (before.stats[name].as_u64()?, now.stats[name].as_u64()?);
        // One that starts anew begins at zero.
        Some(new.checked_sub(old)? as f64 / seconds)
    };
    let (l1, l2, stale, miss) = (
        grown("l1_hits")?,
        grown("l2_hits")?,
        grown("stale")?,
        grown("misses")?,
    );
    let reads = l1 + l2 + stale + miss;
    let part = |n: f64| if reads > 0.0 { n / reads } else { 0.0 };
    Some(Rates {
        reads,
        l1: part(l1),
        l2: part(l2),
        stale: part(stale),
        miss: part(miss),
        loads: grown("loads").unwrap_or(0.0),
        load_failures: grown("load_failures").unwrap_or(0.0),
        fills: grown("fills").unwrap_or(0.0),
        invalidations: grown("invalidations").unwrap_or(0.0),
        store_errors: grown("store_errors").unwrap_or(0.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn look(at: Instant, process: &str, l1: u64, misses: u64) -> Look {
        Look {
            at,
            process: Some(process.to_owned()),
            stats: json!({"l1_hits": l1, "l2_hits": 0, "stale": 0, "misses": misses, "loads": misses}),
            ..Look::new("shop".to_owned())
        }
    }

    #[test]
    fn rates_are_between_two_looks_of_one_process() {
        let began = Instant::now();
        let at = |s| began + Duration::from_secs(s);
        let mut figures = Figures::new("here".to_owned());
        figures.add(look(at(0), "1", 100, 10));
        assert_eq!(figures.rates, None);
        figures.add(look(at(2), "1", 280, 30));
        let rates = figures.rates.unwrap();
        assert_eq!(
            (rates.reads, rates.l1, rates.miss, rates.loads),
            (100.0, 0.9, 0.1, 10.0)
        );
        assert!((rates.hit_ratio() - 0.9).abs() < 1e-9);
        let beside = Rates {
            stale: 0.1,
            miss: 0.0,
            ..rates
        };
        assert!((beside.hit_ratio() - 0.9).abs() < 1e-9, "stale is no hit");
        figures.add(look(at(3), "1", 0, 0));
        assert_eq!(figures.rates, None, "it has started anew");
        figures.add(look(at(4), "2", 50, 0));
        assert_eq!(figures.rates, None, "it is another process");
        figures.add(look(at(5), "2", 50, 0));
        assert_eq!(figures.rates.unwrap().reads, 0.0);
        assert_eq!(
            figures.ratio,
            [0.9, 0.9],
            "no read says nothing about the ratio"
        );
        let mut last = look(at(6), "2", 60, 0);
        last.stats["reasons"] = json!({"expired": 2, "not_found": 7, "tag": 2, "draining": 0});
        figures.add(last);
        assert_eq!(
            figures.reasons(),
            [("not_found", 7), ("expired", 2), ("tag", 2)]
        );
        figures.lost("gone".to_owned());
        assert_eq!(figures.document()["lost"], "gone");
    }

    #[test]
    fn nodes_that_are_not_well_are_told_the_worst_first() {
        let node = |address: &str, connections: u64, up: u64| json!({"address": address, "connections": connections, "connections_up": up, "times_down": 2});
        let mut figures = Figures::new("here".to_owned());
        let mut now = look(Instant::now(), "1", 0, 0);
        now.stats["nodes"] = json!([node("h:1", 2, 2), node("h:2", 2, 1), node("h:3", 2, 0), node("h:4", 0, 0), {"address": "h:5"}]);
        figures.add(now);
        let unwell = figures.unwell();
        let told: Vec<_> = unwell
            .iter()
            .map(|it| (it.address.as_str(), it.up))
            .collect();
        assert_eq!(told, [("h:3", 0), ("h:4", 0), ("h:2", 1)]);
    }

    #[test]
    fn what_is_not_told_is_no_figure() {
        let mut figures = Figures::new("here".to_owned());
        figures.add(Look::new("a".to_owned()));
        figures.add(Look::new("a".to_owned()));
        assert_eq!(figures.rates, None);
        assert_eq!(figures.document()["hit_ratio"], Value::Null);
        assert_eq!(Member::of(&json!({"lag": 3})), None);
        assert_eq!(Hot::all(&Value::Null), None);
        assert_eq!(Large::all(&Value::Null), None);
        assert!(figures.reasons().is_empty());
        assert!(figures.unwell().is_empty());
        assert_eq!(
            Hot::all(&json!([{"reads": 1}, {"name": "a"}]))
                .unwrap()
                .len(),
            1
        );
    }
}
