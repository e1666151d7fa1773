//! Plain sets: values that count from when their call began, in one step or two.

use std::time::Duration;

use super::RedisStore;
use super::write::{keeps, packed};
use crate::epoch::Epoch;
use crate::redis::reply::Answer;
use crate::redis::scripts;
use crate::store::{Call, Entry, Put, StoreError, StoreResult};
use crate::stretches::Stretches;

/// A moment of the server's time that is reckoned from one of ours is put back by so much, and by this part
/// of the time between: servers' clocks are slewed, by less than that.
const SLACK: Duration = Duration::from_micros(100);
const SLEWED: u32 = 8;

/// What a script stores: names of keys, and for each value its arguments.
#[derive(Default)]
struct Load {
    names: Vec<String>,
    args: Vec<[Vec<u8>; 5]>,
}

impl RedisStore {
    /// PROTOCOL §7. First with the clocks that the callers knew of when they called; if one is too old to tell
    /// that nothing has named its entry since, once more from when the calls began by the server's time.
    pub(crate) async fn set(
        &self,
        values: Vec<(Entry, Call)>,
        only_sets: &Stretches,
    ) -> StoreResult<Put> {
        let calls: Vec<Call> = values.iter().map(|(_, call)| *call).collect();
        let entries: Vec<Entry> = values.into_iter().map(|(entry, _)| entry).collect();
        if self.link.is_apart() {
            return self.set_apart(entries, &calls, only_sets).await;
        }
        let load = self.load(entries)?;
        let known = Since::known(&calls);
        let first = self.try_set(&load, &known, only_sets, "first").await?;
        if let Some(put) = outcome(&first) {
            return Ok(put);
        }
        let began = self.began(&first, &calls);
        let last = self.try_set(&load, &began, only_sets, "last").await?;
        outcome(&last).ok_or_else(|| StoreError::unavailable("set gave no answer"))
    }

    /// From when calls count, by the answer of a first attempt that could not tell.
    pub(super) fn began(&self, first: &Answer, calls: &[Call]) -> Since {
        let inc = first.clock.inc;
        let ticks = match first.word.as_deref().and_then(|word| word.split_once(' ')) {
            // There was no clock, and this process never knew of one: nothing that it could have missed.
            Some(("begun", _)) if calls.iter().all(|call| call.is_first) => {
                vec![first.clock.tick; calls.len()]
            }
            Some((_, server_us)) => {
                let server_us = server_us.parse().unwrap_or(0);
                let ticks = calls.iter().map(|call| self.tick_at(*call, server_us));
                ticks.collect()
            }
            None => return Since::unknown(calls.len()),
        };
        Since { inc, ticks }
    }

    /// The server's time when a call began, no later than that, by an answer that has just come in; in µs.
    fn tick_at(&self, call: Call, server_us: u64) -> u64 {
        let past = self.clock.now().since(call.at);
        let past = past + past / SLEWED + SLACK;
        let past = u64::try_from(past.as_micros()).unwrap_or(u64::MAX);
        server_us.saturating_sub(past)
    }

    fn load(&self, entries: Vec<Entry>) -> StoreResult<Load> {
        let mut load = Load::default();
        for entry in entries {
            load.names.push(self.names.entry(&entry.key));
            load.names.extend(self.tag_names(&entry.meta.tags));
            let (keep, keep_tags) = keeps(&entry);
            let (tags, key) = (entry.meta.tags.len().to_string(), entry.key.clone());
            load.args.push([
                tags.into(),
                packed(entry)?,
                keep.into(),
                keep_tags.into(),
                key.as_bytes().to_vec(),
            ]);
        }
        Ok(load)
    }

    async fn try_set(
        &self,
        load: &Load,
        since: &Since,
        only_sets: &Stretches,
        which: &str,
    ) -> StoreResult<Answer> {
        let head = since.head(self.member(), only_sets, which);
        let ticks: Vec<String> = since.ticks.iter().map(u64::to_string).collect();
        let each = ticks.iter().zip(&load.args).flat_map(|(tick, args)| {
            std::iter::once(tick.as_bytes()).chain(args.iter().map(Vec::as_slice))
        });
        let args: Vec<&[u8]> = head.iter().map(String::as_bytes).chain(each).collect();
        let keys: Vec<&str> = load.names.iter().map(String::as_str).collect();
        self.control("set", &scripts::SET, &keys, &args).await
    }
}

/// Since when it is asked of each value whether something has named it.
pub(super) struct Since {
    inc: u64,
    pub(super) ticks: Vec<u64>,
}

impl Since {
    /// Of which nothing can be told.
    fn unknown(count: usize) -> Self {
        Self {
            inc: 0,
            ticks: vec![0; count],
        }
    }

    /// The clocks that callers knew of. Of several lives nothing can be told by one question.
    pub(super) fn known(calls: &[Call]) -> Self {
        let inc = calls.first().and_then(|call| Some(call.known?.inc));
        let tick = |call: &Call| {
            let known = call.known.filter(|known| Some(known.inc) == inc)?;
            Some(known.tick)
        };
        match (inc, calls.iter().map(tick).collect()) {
            (Some(inc), Some(ticks)) => Self { inc, ticks },
            _ => Self::unknown(calls.len()),
        }
    }

    /// What the scripts are told before the values: the origin, and what `named.lua` wants.
    pub(super) fn head(&self, member: &str, only_sets: &Stretches, which: &str) -> [String; 6] {
        let ticks = self.ticks.iter().copied();
        let (oldest, newest) = (ticks.clone().min(), ticks.max());
        let oldest = oldest.unwrap_or_default();
        let skipped = only_sets.behind(self.inc, oldest).iter();
        [
            member.to_owned(),
            format!("{:016x}", self.inc),
            oldest.to_string(),
            newest.unwrap_or_default().to_string(),
            which.to_owned(),
            skipped.map(|(from, to)| format!("{from}:{to} ")).collect(),
        ]
    }
}

/// The clock before, and of each entry whether it was stored; `None` when nothing was done.
fn outcome(answer: &Answer) -> Option<Put> {
    let (stored, before) = answer.word.as_deref()?.split_once(' ')?;
    let stored = stored.bytes().map(|one| match one {
        b'1' => Some(true),
        b'0' => Some(false),
        _ => None,
    });
    Some(Put {
        before: Epoch::new(answer.clock.inc, before.parse().ok()?),
        epoch: answer.clock,
        stored: stored.collect::<Option<_>>()?,
        failed: Vec::new(),
        at_once: true,
    })
}
