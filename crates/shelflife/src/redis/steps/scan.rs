//! Scans: every key of the namespace that a pattern may match, in pages.
//!
//! The server's own globbing only narrows by a literal prefix; what matches is decided by
//! [`Pattern`], the same as everywhere else.

use bytes::Bytes;
use redis::Value;

use super::RedisStore;
use crate::key::head_of_shortened;
use crate::pattern::Pattern;
use crate::redis::link::At;
use crate::redis::{reply, scripts};
use crate::store::{Listed, StoreError, StoreResult};

/// How many keys one step of a scan looks at.
pub(super) const PAGE: usize = 1000;
/// How many patterns one script takes: Lua's stack bounds it.
const PATTERNS: usize = 1000;
/// Of a cursor so many bits are the server's own; above them stands which of the primaries is scanned.
const OWN: u32 = 48;
/// A shortened name keeps at least so much of its key: a longer prefix would not find it.
const PREFIX: usize = 380;

impl RedisStore {
    /// One step of a scan: names of keys that begin with `literal_prefix`, and the next cursor.
    pub(crate) async fn list(
        &self,
        literal_prefix: &str,
        cursor: u64,
        page: usize,
    ) -> StoreResult<(Vec<Listed>, Option<u64>)> {
        let mut end = literal_prefix.len().min(PREFIX);
        while !literal_prefix.is_char_boundary(end) {
            end -= 1;
        }
        let glob = format!("{}{}*", self.names.entry_prefix, &literal_prefix[..end]);
        let (names, next) = self.scan(&glob, cursor, page).await?;
        let names = names
            .into_iter()
            .filter_map(|name| {
                let key = self.names.key_of(std::str::from_utf8(&name).ok()?)?;
                Some(Listed {
                    name: key.to_owned(),
                })
            })
            .collect();
        Ok((names, next))
    }

    /// One step of a scan: names that the server finds to match, and the next cursor.
    pub(super) async fn scan(
        &self,
        glob: &str,
        cursor: u64,
        page: usize,
    ) -> StoreResult<(Vec<Bytes>, Option<u64>)> {
        let (nth, cursor) = (
            usize::from((cursor >> OWN) as u16),
            cursor & ((1 << OWN) - 1),
        );
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(glob)
            .arg("COUNT")
            .arg(page);
        let got = self.link.call(At::Nth(nth), &scan).await?;
        let mut items = reply::array("SCAN", got)?.into_iter();
        let next = items.next().and_then(reply::bytes);
        let next = next.and_then(|b| std::str::from_utf8(&b).ok()?.parse::<u64>().ok());
        let next = next.ok_or_else(|| StoreError::unavailable("SCAN gave no cursor"))?;
        let names = reply::array("SCAN", items.next().unwrap_or(Value::Nil))?;
        let names = names.into_iter().filter_map(reply::bytes).collect();
        Ok((names, next_cursor(nth, next, self.link.primaries())?))
    }

    /// Logs the patterns of a scan that is about to begin. What is stored before this is met by the scan; a
    /// set that is carried out while it goes on would come behind it unseen, and finds this in the log. The
    /// scan's own entry still follows it: that is the one which promises something. Where keys lie apart it is announced
    /// when all nodes have been looked at.
    pub(crate) async fn announce_scan(&self, patterns: &[Pattern]) -> StoreResult<()> {
        if self.link.is_apart() {
            return Ok(());
        }
        for part in patterns.chunks(PATTERNS) {
            // No entries, no tags.
            let mut args: Vec<&[u8]> = vec![b"0", b"hard", b"0", b"o", self.member().as_bytes()];
            let globs = part.iter().map(|pattern| pattern.as_str().as_bytes());
            args.extend(globs.flat_map(|glob| [b"G".as_slice(), glob]));
            self.control("announce", &scripts::INVALIDATE, &[], &args)
                .await?;
        }
        Ok(())
    }

    /// Removes every match, values and leases alike. PROTOCOL §6.
    pub(super) async fn unlink_matches(&self, pattern: &Pattern) -> StoreResult<()> {
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let (names, next) = self.list(pattern.literal_prefix(), at, PAGE).await?;
            let mut unlink = redis::cmd("UNLINK");
            let mut any = false;
            for Listed { name } in names
                .iter()
                .filter(|listed| may_match(pattern, &listed.name))
            {
                unlink.arg(format!("{}{name}", self.names.entry_prefix));
                any = true;
            }
            if any {
                self.link.call(At::Control, &unlink).await?;
            }
            cursor = next;
        }
        Ok(())
    }
}

/// Where a scan goes on: on the same primary, or on the next one.
fn next_cursor(nth: usize, next: u64, primaries: usize) -> StoreResult<Option<u64>> {
    if next >= 1 << OWN {
        return Err(StoreError::unavailable(
            "SCAN gave a cursor too large to be kept",
        ));
    }
    let on = |nth: usize, cursor: u64| u64::try_from(nth).map(|nth| (nth << OWN) | cursor).ok();
    Ok(match next {
        0 if nth + 1 >= primaries => None,
        0 => on(nth + 1, 0),
        next => on(nth, next),
    })
}

/// Whether the key of a name may match. A shortened name has lost its end: it matches when its head
/// does not rule that out, which removes too much rather than too little.
pub(super) fn may_match(pattern: &Pattern, name: &str) -> bool {
    match head_of_shortened(name) {
        None => pattern.matches(name),
        Some(head) => {
            let literal = pattern.literal_prefix();
            head.starts_with(literal) || literal.starts_with(head)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::shorten;

    #[test]
    fn shortened_names_match_when_they_may() {
        let long = format!("users:{}", "x".repeat(600));
        let name = shorten(&long);
        assert!(may_match(&Pattern::new("users:x*end"), &name));
        assert!(!may_match(&Pattern::new("orders:*x"), &name));
        assert!(may_match(&Pattern::new(format!("{long}*")), &name));
    }
}
