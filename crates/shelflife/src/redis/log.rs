//! The log as a follower reads it: connections of its own, entries in order, beats.
//!
//! Two connections, because a blocked XREAD holds up whatever is sent behind it. Both belong to the
//! runtime that opened them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};

use super::RedisStore;
use super::link::At;
use super::names::Names;
use super::reply;
use super::scripts::{self, Script};
use super::stream::{self, ask};
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::key::{Key, Tag};
use crate::pattern::Pattern;
use crate::settings::LONGEST_WINDOW;
use crate::store::{BeatAnswer, LogEntry, LoggedEvent, Member, Members, StoreResult};

/// How many entries one read of the log brings.
const PAGE: usize = 512;

/// A follower's connections.
pub(crate) struct LogLine {
    reading: MultiplexedConnection,
    beating: MultiplexedConnection,
    names: Names,
    member: String,
    patience: Duration,
    /// Counts primaries that have taken over, here or where entries are.
    changes: Arc<AtomicU64>,
    #[cfg(feature = "chaos")]
    faults: crate::chaos::Installed,
    #[cfg(test)]
    probes: crate::probe::Probes,
}

impl RedisStore {
    /// Opens a follower's connections, on the runtime of the caller.
    pub(crate) async fn open_log(&self) -> StoreResult<LogLine> {
        // One that is read from and one that is beaten on: what a beat says of the clock goes for what is read.
        let [reading, beating] = self.link.dedicated_pair().await?;
        Ok(LogLine {
            reading,
            beating,
            names: self.names.clone(),
            member: self.member().to_owned(),
            patience: self.link.timeout(),
            changes: self.link.changes(),
            #[cfg(feature = "chaos")]
            faults: self.faults.clone(),
            #[cfg(test)]
            probes: self.probes.clone(),
        })
    }
}

impl RedisStore {
    /// Whether keys lie apart, and so any primary may be lost on its own.
    pub(crate) fn has_several_primaries(&self) -> bool {
        self.link.is_apart()
    }

    /// Whether every primary answers now, and no other one has been met than after so many changes.
    pub(crate) fn everyone_answers(&self, known: u64) -> impl Future<Output = bool> + Send + use<> {
        let (answers, changes) = (self.link.everyone_answers(), self.link.changes());
        // Looked at behind the answers: who is another one is counted before it is asked for anything.
        async move { answers.await && changes.load(Ordering::SeqCst) == known }
    }

    /// Takes a member off the list.
    pub(crate) async fn leave(&self, member: &str) -> StoreResult<()> {
        let mut pipeline = redis::pipe();
        for list in [&self.names.members_applied, &self.names.members_beats] {
            pipeline.cmd("ZREM").arg(list).arg(member);
        }
        self.link
            .call_all(At::Control, &pipeline, 2)
            .await
            .map(drop)
    }

    /// Up to a page of the log's entries behind `after`, up to and with `last`.
    pub(crate) async fn logged(&self, after: u64, last: u64) -> StoreResult<Vec<LogEntry>> {
        let mut cmd = redis::cmd("XRANGE");
        cmd.arg(&self.names.log)
            .arg(format!("({}", stream::behind(after)))
            .arg(format!("{last}-0"))
            .arg("COUNT")
            .arg(PAGE);
        entries(reply::array(
            "XRANGE",
            self.link.call(At::Control, &cmd).await?,
        )?)
    }

    /// The processes that follow the log.
    pub(crate) async fn members(&self) -> StoreResult<Members> {
        let inc = format!("{:016x}", fastrand::u64(1..));
        let keys = self.names.control_keys();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        members(
            self.run(&scripts::MEMBERS, &keys, &[inc.as_bytes()])
                .await?,
        )
    }
}

/// What a process is called among the members: its id, a random part, its Δ in ms.
pub(super) fn member_name(window: Duration) -> String {
    // Rounded up: its L1 may answer for all of its last ms.
    let ms = window.as_nanos().div_ceil(1_000_000);
    format!("{}-{:08x}@{ms}", std::process::id(), fastrand::u32(..))
}

/// A member as it is listed: its name ends in its Δ, which no process has longer than the longest.
pub(super) fn member(name: String, applied: Option<u64>, beat: u64) -> Option<Member> {
    let (_, window) = name.rsplit_once('@')?;
    Some(Member {
        window: Duration::from_millis(window.parse().ok()?).min(LONGEST_WINDOW),
        applied,
        beat,
        name,
    })
}

/// The answer of `members.lua`: the clock, when the list began, and three fields a member.
fn members(value: Value) -> StoreResult<Members> {
    let fields: Vec<String> = reply::array("members", value.clone())?
        .into_iter()
        .filter_map(reply::bytes)
        .map(|field| String::from_utf8_lossy(&field).into_owned())
        .collect();
    let answer = reply::answer("members", value)?;
    let member = |fields: &[String]| {
        let [name, applied, beat] = fields else {
            return None;
        };
        member(name.clone(), applied.parse().ok(), beat.parse().ok()?)
    };
    Ok(Members {
        clock: answer.clock,
        now: answer.server_ms,
        since: answer.word.and_then(|since| since.parse().ok()),
        all: fields
            .get(5..)
            .unwrap_or_default()
            .chunks(3)
            .filter_map(member)
            .collect(),
    })
}

impl LogLine {
    /// A step of following, with the faults that strike it.
    #[cfg(feature = "chaos")]
    fn befalls<T, F>(&self, step: F) -> impl Future<Output = StoreResult<T>> + Send + use<T, F>
    where
        T: Send,
        F: Future<Output = StoreResult<T>> + Send,
    {
        let faults = self.faults.clone();
        async move {
            let step = std::pin::pin!(step);
            faults.around(crate::chaos::Target::Log, step).await
        }
    }

    #[cfg(not(feature = "chaos"))]
    #[expect(clippy::unused_self, reason = "it has the faults, where there are any")]
    fn befalls<F>(&self, step: F) -> F {
        step
    }

    /// The entries behind `after`, in order; waits up to `block` for the first. Must be polled to its
    /// end: an answer that nobody takes is lost.
    pub(crate) fn read(
        &self,
        after: u64,
        block: Duration,
    ) -> impl Future<Output = StoreResult<Vec<LogEntry>>> + Send + use<> {
        let mut connection = self.reading.clone();
        let cmd = stream::xread(&self.names, after, PAGE, block);
        let patience = block + self.patience;
        #[cfg(test)]
        let probes = self.probes.clone();
        let reading = async move {
            let answer = ask(&mut connection, &cmd, patience).await?;
            let entries = stream::of_one_stream(answer).and_then(entries);
            #[cfg(test)]
            probes.pause(crate::probe::Point::Logged).await;
            entries
        };
        self.befalls(reading)
    }

    /// Registers the member with what it has applied, and asks for the clock.
    pub(crate) fn beat(
        &self,
        applied: Option<Epoch>,
    ) -> impl Future<Output = StoreResult<BeatAnswer>> + Send + use<> {
        let mut connection = self.beating.clone();
        let (inc, tick) =
            applied.map_or((String::new(), 0), |a| (format!("{:016x}", a.inc), a.tick));
        let args = [
            format!("{:016x}", fastrand::u64(1..)),
            self.member.clone(),
            inc,
            tick.to_string(),
        ];
        let names = self.names.clone();
        let patience = self.patience;
        let changes = self.changes.clone();
        #[cfg(test)]
        let probes = self.probes.clone();
        let beating = async move {
            #[cfg(test)]
            probes.pause(crate::probe::Point::Beating).await;
            let with = |mut cmd: Cmd| {
                cmd.arg(&names.control_keys()[..]).arg(&args[..]);
                cmd
            };
            let value = run(&mut connection, &scripts::BEAT, with, patience).await?;
            #[cfg(test)]
            probes.pause(crate::probe::Point::Beaten).await;
            let answer = reply::answer("beat", value)?;
            let last_logged = answer.word.as_deref().and_then(|w| w.parse().ok());
            let changes = changes.load(Ordering::SeqCst);
            Ok(BeatAnswer {
                clock: answer.clock,
                last_logged: last_logged.unwrap_or(0),
                // Entries may be on other nodes than the clock: theirs count as well. And where another connection has
                // found the primary replaced that answers here, this one is to be left.
                replid: format!("{}+{changes}", answer.replid),
                server_ms: answer.server_ms,
                changes,
            })
        };
        self.befalls(beating)
    }
}

impl Names {
    /// The keys of scripts that deal with members.
    pub(super) fn control_keys(&self) -> [String; 5] {
        [
            self.clock.clone(),
            self.log.clone(),
            self.members_since.clone(),
            self.members_applied.clone(),
            self.members_beats.clone(),
        ]
    }
}

async fn run(
    connection: &mut MultiplexedConnection,
    script: &Script,
    with: impl Fn(Cmd) -> Cmd,
    patience: Duration,
) -> StoreResult<Value> {
    let keys = 5;
    match ask(connection, &with(script.evalsha(keys)), patience).await {
        Err(error) if error.no_script => ask(connection, &with(script.eval(keys)), patience).await,
        got => got,
    }
}

/// Entries as a follower reads them.
fn entries(listed: Vec<Value>) -> StoreResult<Vec<LogEntry>> {
    let mut all = Vec::with_capacity(listed.len());
    for item in listed {
        let (tick, fields) = stream::tick_and_fields(item)?;
        let text = |value: Value| {
            let bytes = reply::bytes(value)?;
            String::from_utf8(bytes.into()).ok()
        };
        let fields: Option<Vec<String>> = fields.into_iter().map(text).collect();
        let entry = tick
            .zip(fields)
            .and_then(|(tick, fields)| entry(tick, &fields));
        // An entry that nobody can read may name anything: of no incarnation, it is a gap.
        all.push(entry.unwrap_or_else(|| LogEntry {
            epoch: Epoch::new(0, 0),
            prev: None,
            hard: Invalidation::new(),
            soft: Invalidation::new(),
            origin: None,
            event: None,
            awaited: false,
            only_sets: false,
            note: None,
        }));
    }
    Ok(all)
}

/// The fields of an entry, as the scripts write them:
///
/// | field | what |
/// |---|---|
/// | `i` | the incarnation; the tick is the id |
/// | `p` | the epoch before it; empty for the first of an incarnation |
/// | `o` | its origin: the process that wrote it, as among the members |
/// | `k`, `t`, `g` | a key, a tag, a glob that was invalidated; again for each |
/// | `K`, `T` | a key, a tag that was invalidated softly |
/// | `s` | a key that was set: what was there before is invalid |
/// | `G` | a glob whose scan is about to begin |
/// | `e`, `d` | an event: its name, its payload as JSON |
/// | `a` | somebody waits until everyone has applied it |
/// | `w` | a note of the server: `new` incarnation, `jump` of the clock |
fn entry(tick: u64, fields: &[String]) -> Option<LogEntry> {
    let (mut hard, mut soft) = (Invalidation::new(), Invalidation::new().soft());
    let (mut inc, mut prev) = (None, None);
    let (mut origin, mut name, mut payload, mut note) = (None, None, None, None);
    let mut awaited = false;
    let only_sets =
        |pair: &[String]| matches!(pair[0].as_str(), "i" | "p" | "o" | "s" | "e" | "d" | "a");
    let only_sets = fields.chunks_exact(2).all(only_sets);
    for pair in fields.chunks_exact(2) {
        let (field, text) = (pair[0].as_str(), pair[1].clone());
        match field {
            "i" => inc = u64::from_str_radix(&text, 16).ok(),
            "p" => prev = text.parse().ok(),
            "k" | "s" => hard.keys.push(Key::from_canonical(text)),
            "t" => hard.tags.push(Tag::from_canonical(&text)),
            "g" => hard.patterns.push(Pattern::new(text)),
            "K" => soft.keys.push(Key::from_canonical(text)),
            "T" => soft.tags.push(Tag::from_canonical(&text)),
            "o" => origin = Some(text),
            // Said to sets only: what it is about will be in the entry behind the scan.
            "G" => {}
            "e" => name = Some(text),
            "d" => payload = Some(text),
            "a" => awaited = true,
            "w" => note = Some(text),
            // Written by a newer version: what it names is not known here.
            _ => return None,
        }
    }
    Some(LogEntry {
        epoch: Epoch::new(inc?, tick),
        prev,
        hard,
        soft,
        origin,
        event: name.map(|name| LoggedEvent {
            name,
            payload: payload.unwrap_or_default(),
        }),
        awaited,
        only_sets,
        note,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<String> {
        pairs
            .iter()
            .flat_map(|(f, v)| [(*f).to_owned(), (*v).to_owned()])
            .collect()
    }

    #[test]
    fn entries_are_read_as_the_scripts_write_them() {
        let read = entry(
            12,
            &fields(&[
                ("i", "00000000000000ff"),
                ("p", "00000000000000ff:11"),
                ("k", "users:1"),
                ("t", "user:1"),
                ("g", "a*b*"),
                ("o", "7-1@1000"),
                ("e", "user_updated"),
                ("d", "{}"),
            ]),
        )
        .unwrap();
        assert_eq!(
            (read.epoch, read.prev),
            (Epoch::new(255, 12), Some(Epoch::new(255, 11)))
        );
        assert_eq!(
            read.hard,
            Invalidation::new()
                .key("users:1")
                .tag("user:1")
                .pattern("a*b*")
        );
        assert!(read.soft.is_empty());
        assert_eq!(read.origin.as_deref(), Some("7-1@1000"));
        let event = LoggedEvent {
            name: "user_updated".into(),
            payload: "{}".into(),
        };
        assert_eq!(read.event, Some(event));
        let soft = entry(1, &fields(&[("i", "01"), ("p", ""), ("T", "*")])).unwrap();
        assert_eq!((soft.prev, soft.origin, soft.event), (None, None, None));
        assert_eq!(soft.soft, Invalidation::new().all().soft());
    }

    #[test]
    fn what_this_version_can_not_read_is_no_entry() {
        assert!(entry(1, &fields(&[("p", "")])).is_none(), "no incarnation");
        assert!(
            entry(1, &fields(&[("i", "01"), ("z", "?")])).is_none(),
            "an unknown field"
        );
    }
}
