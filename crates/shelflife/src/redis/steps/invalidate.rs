//! Invalidations: entries, then the clock and the log, then the tags.

use std::time::Duration;

use super::{RedisStore, millis};
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::redis::reply::Answer;
use crate::redis::scripts;
use crate::store::{LoggedEvent, StoreError, StoreResult};

/// How long the record of a tag is kept that an invalidation created: longer than most entries live.
const TAG_KEEP: Duration = Duration::from_secs(24 * 3600);
/// How many names one script invalidates: Lua's stack bounds it.
const NAMES: usize = 1000;

impl RedisStore {
    /// PROTOCOL §5 and, for patterns, §6: the scan first, then the control script, which refuses
    /// nothing here because it runs on the one server that was scanned; if that has become another
    /// meanwhile, all is done again.
    pub(crate) async fn invalidate(
        &self,
        what: &Invalidation,
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Epoch> {
        if what.keys.len() + what.tags.len() + what.patterns.len() > NAMES {
            return self.invalidate_in_parts(what, event).await;
        }
        for _ in 0..3 {
            let replid = match what.patterns.is_empty() {
                true => None,
                false => Some(
                    self.control("clock", &scripts::CLOCK, &[], &[])
                        .await?
                        .replid,
                ),
            };
            for pattern in &what.patterns {
                self.unlink_matches(pattern).await?;
            }
            #[cfg(test)]
            self.probes.pause(crate::probe::Point::Scanned).await;
            let answer = self.invalidate_control(what, event).await?;
            if replid.is_none_or(|r| r == answer.replid) {
                return Ok(answer.clock);
            }
        }
        Err(StoreError::unavailable(
            "the primary changed again and again during the scan",
        ))
    }

    /// Ends an incarnation, if it is still that one: everything stored in it is dead.
    pub(crate) async fn renounce(&self, inc: u64) -> StoreResult<()> {
        let inc = format!("{inc:016x}");
        self.run(&scripts::RENOUNCE, &[&self.names.clock], &[inc.as_bytes()])
            .await
            .map(drop)
    }

    /// More names than one script takes: in parts, one after another. The last part's epoch covers all.
    async fn invalidate_in_parts(
        &self,
        what: &Invalidation,
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Epoch> {
        let part = || Invalidation {
            soft: what.soft,
            ..Invalidation::new()
        };
        for keys in what.keys.chunks(NAMES) {
            let keys = keys.to_vec();
            self.invalidate_control(&Invalidation { keys, ..part() }, None)
                .await?;
        }
        for tags in what.tags.chunks(NAMES) {
            let tags = tags.to_vec();
            self.invalidate_control(&Invalidation { tags, ..part() }, None)
                .await?;
        }
        // Each part of the patterns is a scan and a log entry of its own; the last one tells the event.
        let mut parts = what.patterns.chunks(NAMES).peekable();
        loop {
            let patterns = parts.next().unwrap_or_default().to_vec();
            let last = parts.peek().is_none();
            let rest = Invalidation { patterns, ..part() };
            let epoch = Box::pin(self.invalidate(&rest, event.filter(|_| last))).await?;
            if last {
                return Ok(epoch);
            }
        }
    }

    async fn invalidate_control(
        &self,
        what: &Invalidation,
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Answer> {
        let names: Vec<String> = what
            .keys
            .iter()
            .map(|key| self.names.entry(key.as_str()))
            .chain(what.tags.iter().map(|tag| self.names.tag(tag.as_str())))
            .collect();
        let keys: Vec<&str> = names.iter().map(String::as_str).collect();
        let entries = what.keys.len().to_string();
        let keep = millis(TAG_KEEP).to_string();
        let mode: &[u8] = if what.soft { b"soft" } else { b"hard" };
        let mut args: Vec<&[u8]> = vec![entries.as_bytes(), mode, keep.as_bytes()];
        args.extend([b"o".as_slice(), self.member().as_bytes()]);
        args.extend(log_body(what, event));
        self.control("invalidate", &scripts::INVALIDATE, &keys, &args)
            .await
    }
}

/// The fields of the log entry: `k`, `t`, `g` for keys, tags and globs (`K`, `T` when soft), `e` and
/// `d` for an event.
fn log_body<'a>(what: &'a Invalidation, event: Option<&'a LoggedEvent>) -> Vec<&'a [u8]> {
    let (key, tag): (&[u8], &[u8]) = if what.soft {
        (b"K", b"T")
    } else {
        (b"k", b"t")
    };
    let mut body: Vec<&[u8]> = Vec::new();
    for name in &what.keys {
        body.extend([key, name.as_str().as_bytes()]);
    }
    for name in &what.tags {
        body.extend([tag, name.as_str().as_bytes()]);
    }
    for pattern in &what.patterns {
        body.extend([b"g".as_slice(), pattern.as_str().as_bytes()]);
    }
    if let Some(event) = event {
        body.extend([
            b"e".as_slice(),
            event.name.as_bytes(),
            b"d",
            event.payload.as_bytes(),
        ]);
    }
    body
}
