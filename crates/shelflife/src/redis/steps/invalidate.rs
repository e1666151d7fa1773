//! Invalidations: entries, then the clock and the log, then the tags.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{RedisStore, millis};
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::redis::reply::Answer;
use crate::redis::scripts;
use crate::store::{Invalidated, LoggedEvent, StoreError, StoreResult};

/// How long the record of a tag is kept that an invalidation created: longer than most entries live.
const TAG_KEEP: Duration = Duration::from_secs(24 * 3600);
/// How many names one script invalidates: Lua's stack bounds it.
const NAMES: usize = 1000;

impl RedisStore {
    /// PROTOCOL §5 and, for patterns, §6: the scan first, then the control script. That one refuses
    /// nothing, because it runs on the one server that was scanned. If that has become another meanwhile,
    /// all is done again: what was removed before may have come back.
    pub(crate) async fn invalidate(
        &self,
        what: &Invalidation,
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Invalidated> {
        let parts = parts(what);
        for _ in 0..3 {
            let done = match self.link.is_apart() {
                true => self.invalidate_apart(&parts, event).await?,
                false => {
                    let once = self.invalidate_once(&parts, event).await?;
                    once.map(Invalidated::whole)
                }
            };
            if let Some(done) = done {
                return Ok(done);
            }
        }
        Err(StoreError::unavailable(
            "the primary changed again and again during the invalidation",
        ))
    }

    /// Ends an incarnation, if it is still that one: everything stored in it is dead.
    pub(crate) async fn renounce(&self, inc: u64) -> StoreResult<()> {
        let inc = format!("{inc:016x}");
        self.run(&scripts::RENOUNCE, &[&self.names.clock], &[inc.as_bytes()])
            .await
            .map(drop)
    }

    /// All parts, one after another; the epoch of the last one covers all, and it tells the event. `None`
    /// when the primary, or the incarnation, is not the same all along.
    async fn invalidate_once(
        &self,
        parts: &[Cow<'_, Invalidation>],
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Option<Epoch>> {
        let mut first: Option<Answer> = None;
        let mut clock = None;
        for (at, part) in parts.iter().enumerate() {
            if !part.patterns.is_empty() {
                let before = self.control("clock", &scripts::CLOCK, &[], &[]).await?;
                if !same(&mut first, before) {
                    return Ok(None);
                }
            }
            for pattern in &part.patterns {
                self.unlink_matches(pattern).await?;
            }
            #[cfg(test)]
            self.probes.pause(crate::probe::Point::Scanned).await;
            let event = event.filter(|_| at + 1 == parts.len());
            let answer = self.invalidate_control(part, event).await?;
            clock = Some(answer.clock);
            if !same(&mut first, answer) {
                return Ok(None);
            }
        }
        Ok(clock)
    }

    pub(super) async fn invalidate_control(
        &self,
        what: &Invalidation,
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Answer> {
        // Where keys lie apart, entries have been removed before.
        let entries = match self.link.is_apart() {
            true => &[],
            false => &what.keys[..],
        };
        let names: Vec<String> = entries
            .iter()
            .map(|key| self.names.entry(key.as_str()))
            .chain(what.tags.iter().map(|tag| self.names.tag(tag.as_str())))
            .collect();
        let keys: Vec<&str> = names.iter().map(String::as_str).collect();
        let entries = entries.len().to_string();
        let keep = millis(TAG_KEEP).to_string();
        let mode: &[u8] = if what.soft { b"soft" } else { b"hard" };
        let mut args: Vec<&[u8]> = vec![entries.as_bytes(), mode, keep.as_bytes()];
        args.extend([b"o".as_slice(), self.member().as_bytes()]);
        args.extend(log_body(what, event));
        if self.awaited.load(Ordering::Relaxed) > 0 {
            args.extend([b"a".as_slice(), b""]);
        }
        self.control("invalidate", &scripts::INVALIDATE, &keys, &args)
            .await
    }
}

/// What one script takes each: all at once, mostly. There is always one.
fn parts(what: &Invalidation) -> Vec<Cow<'_, Invalidation>> {
    if what.keys.len() + what.tags.len() + what.patterns.len() <= NAMES {
        return vec![Cow::Borrowed(what)];
    }
    let part = || Invalidation {
        soft: what.soft,
        ..Invalidation::new()
    };
    let keys = what.keys.chunks(NAMES).map(|keys| Invalidation {
        keys: keys.to_vec(),
        ..part()
    });
    let tags = what.tags.chunks(NAMES).map(|tags| Invalidation {
        tags: tags.to_vec(),
        ..part()
    });
    let patterns = what.patterns.chunks(NAMES).map(|patterns| Invalidation {
        patterns: patterns.to_vec(),
        ..part()
    });
    let all = keys.chain(tags).chain(patterns);
    all.map(Cow::Owned).collect()
}

/// Whether an answer is of the same life of the same primary as the first one was.
pub(super) fn same(first: &mut Option<Answer>, answer: Answer) -> bool {
    let (inc, replid) = (answer.clock.inc, answer.replid.clone());
    let first = first.get_or_insert(answer);
    first.clock.inc == inc && first.replid == replid
}

/// The fields of the log entry: `k`, `t`, `g` for keys, tags and globs (`K`, `T` when soft), `e` and
/// `d` for an event. (`a` says that somebody waits until everyone has applied it.)
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
