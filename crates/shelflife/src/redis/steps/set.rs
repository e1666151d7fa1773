//! Plain sets: values that count from when their call began, in one step or two.

use std::time::Duration;

use super::RedisStore;
use super::write::{keeps, packed};
use crate::epoch::Epoch;
use crate::redis::reply::Answer;
use crate::redis::scripts;
use crate::store::{Call, Entry, Put, StoreError, StoreResult};

/// A moment of the server's time that is reckoned from one of ours is put back by so much, and by this part
/// of the time between: servers' clocks are slewed, by less than that.
const SLACK: Duration = Duration::from_micros(100);
const SLEWED: u32 = 8;

/// What a script stores: names of keys, and its arguments.
#[derive(Default)]
struct Load {
    names: Vec<String>,
    args: Vec<Vec<u8>>,
}

impl RedisStore {
    /// PROTOCOL §7. First with the clock that the caller knew of when it called; if that is too old to tell
    /// that nothing has named the entries since, once more from when the call began by the server's time.
    pub(crate) async fn set(&self, entries: Vec<Entry>, call: Call) -> StoreResult<Put> {
        if self.link.is_apart() {
            return self.set_apart(entries, call).await;
        }
        let load = self.load(entries)?;
        let known = call.known.unwrap_or(Epoch::new(0, 0));
        let first = self.try_set(&load, known, "first").await?;
        if let Some(put) = outcome(&first) {
            return Ok(put);
        }
        let began = self.began(&first, call);
        let last = self.try_set(&load, began, "last").await?;
        outcome(&last).ok_or_else(|| StoreError::unavailable("set gave no answer"))
    }

    /// From when a call counts, by the answer of a first attempt that could not tell.
    pub(super) fn began(&self, first: &Answer, call: Call) -> Epoch {
        match first.word.as_deref().and_then(|word| word.split_once(' ')) {
            // There was no clock, and this process never knew of one: nothing that it could have missed.
            Some(("begun", _)) if call.is_first => first.clock,
            Some((_, server_us)) => {
                let server_us = server_us.parse().unwrap_or(0);
                Epoch::new(first.clock.inc, self.tick_at(call, server_us))
            }
            None => Epoch::new(0, 0),
        }
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
            let key = entry.key.clone();
            load.args.push(entry.meta.tags.len().to_string().into());
            load.args.push(packed(entry)?);
            load.args.push(keep.into());
            load.args.push(keep_tags.into());
            load.args.push(key.as_bytes().to_vec());
        }
        Ok(load)
    }

    async fn try_set(&self, load: &Load, since: Epoch, which: &str) -> StoreResult<Answer> {
        let (inc, tick) = (format!("{:016x}", since.inc), since.tick.to_string());
        let head = [self.member(), &inc, &tick, which];
        let args = load.args.iter().map(Vec::as_slice);
        let args: Vec<&[u8]> = head.map(str::as_bytes).into_iter().chain(args).collect();
        let keys: Vec<&str> = load.names.iter().map(String::as_str).collect();
        self.control("set", &scripts::SET, &keys, &args).await
    }
}

/// Of each entry whether it was stored; `None` when nothing was done.
fn outcome(answer: &Answer) -> Option<Put> {
    let word = answer.word.as_deref()?;
    let stored = word.bytes().map(|one| match one {
        b'1' => Some(true),
        b'0' => Some(false),
        _ => None,
    });
    Some(Put {
        at_once: true,
        epoch: answer.clock,
        stored: stored.collect::<Option<_>>()?,
    })
}
