//! A shard of entries: values, leases or both, bounded by bytes.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use super::{lease_from, millis};
use crate::record::{Lease, Token};
use crate::store::{Begun, Body, Entry, Wanted};
use crate::validity::Meta;
use crate::value::Live;

/// How long the lease of an entry that has nothing else is kept, in ms, for an owner who comes late.
const LATE: u64 = 60_000;

/// What an entry costs beside its key, tags and value, in bytes: measured by `make bench`.
const OVERHEAD: u64 = 512;

#[derive(Clone)]
pub(super) struct Place {
    pub(super) value: Option<(Meta, Live, usize)>,
    pub(super) lease: Option<Lease>,
    /// When nothing in it is of use any more, server time in ms.
    over: u64,
}

impl Place {
    pub(super) fn is_over(&self, now: u64) -> bool {
        now >= self.over
    }

    /// Whether nobody misses it. A lease that has run out still counts for its owner, until somebody else takes it.
    pub(super) fn is_done(&self, now: u64) -> bool {
        let late = self.value.is_none() && self.lease.is_some();
        self.is_over(now.saturating_sub(if late { LATE } else { 0 }))
    }

    fn fill(&self) -> u64 {
        self.value.as_ref().map_or(0, |(meta, ..)| meta.fill)
    }

    fn live_lease(&self, now: u64) -> Option<Lease> {
        self.lease.filter(|l| l.deadline > now)
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Arc<str>, Place> for ByBytes {
    fn weight(&self, key: &Arc<str>, place: &Place) -> u64 {
        let value = place.value.as_ref().map_or(0, |(meta, _, bytes)| {
            let tags: usize = meta.tags.iter().map(|t| t.as_str().len() + 64).sum();
            tags + bytes
        });
        OVERHEAD + (key.len() + value) as u64
    }
}

pub(super) struct Shard(Cache<Arc<str>, Place, ByBytes>);

impl Shard {
    pub(super) fn with_limit(bytes: u64) -> Self {
        let items = usize::try_from(bytes / 1024)
            .unwrap_or(usize::MAX)
            .clamp(16, 1 << 20);
        Self(Cache::with_weighter(items, bytes, ByBytes))
    }

    pub(super) fn get(&self, key: &str, now: u64) -> Option<&Place> {
        self.0.get(key).filter(|place| !place.is_over(now))
    }

    pub(super) fn lease_missing(&mut self, key: &str, wanted: Wanted, now: u64) {
        let lease = lease_from(wanted, now);
        self.0.insert(
            key.into(),
            Place {
                value: None,
                lease: Some(lease),
                over: lease.deadline,
            },
        );
    }

    pub(super) fn begin(&mut self, key: &str, seen: u64, wanted: Wanted, now: u64) -> Begun {
        let Some(place) = self.get(key, now) else {
            self.lease_missing(key, wanted, now);
            return Begun::Granted;
        };
        if place.fill() != seen {
            return Begun::Changed;
        }
        if place
            .live_lease(now)
            .is_some_and(|l| l.token != wanted.token)
        {
            return Begun::Held;
        }
        self.lease_in_place(key, wanted, now);
        Begun::Granted
    }

    /// Places a lease whatever is there.
    pub(super) fn steal(&mut self, key: &str, wanted: Wanted, now: u64) {
        if self.get(key, now).is_some() {
            self.lease_in_place(key, wanted, now);
        } else {
            self.lease_missing(key, wanted, now);
        }
    }

    fn lease_in_place(&mut self, key: &str, wanted: Wanted, now: u64) {
        if let Some(mut place) = self.0.get_mut(key) {
            let lease = lease_from(wanted, now);
            place.lease = Some(lease);
            // The token must outlive the value, or the fill that follows would be refused.
            place.over = place.over.max(lease.deadline);
        }
    }

    /// Whether the lease is still the one of this token, also when it has run out: a busy machine extends it late, and who is not
    /// overtaken by then may go on. No time is needed for that to be right: whoever loads, sets, writes or invalidates meanwhile
    /// replaces or removes the token, and a value counts from the epoch at which its load began.
    pub(super) fn holds(&self, key: &str, token: Token) -> bool {
        let lease = self.0.get(key).and_then(|place| place.lease);
        lease.is_some_and(|l| l.token == token)
    }

    pub(super) fn extend(&mut self, key: &str, wanted: Wanted, now: u64) -> bool {
        let ours = self.holds(key, wanted.token);
        if ours {
            self.lease_in_place(key, wanted, now);
        }
        ours
    }

    pub(super) fn release(&mut self, key: &str, token: Token) {
        if !self.holds(key, token) {
            return;
        }
        let empty = self.0.get(key).is_some_and(|place| place.value.is_none());
        if empty {
            self.0.remove(key);
        } else if let Some(mut place) = self.0.get_mut(key) {
            place.lease = None;
        }
    }

    pub(super) fn put(&mut self, entry: Entry, now: u64) {
        let Body::Live(live, bytes) = entry.body else {
            debug_assert!(false, "the embedded store keeps live values");
            return;
        };
        let over = entry.meta.stale_until.max(now + millis(entry.keep));
        let place = Place {
            value: Some((entry.meta, live, bytes)),
            lease: None,
            over,
        };
        self.0.insert(entry.key, place);
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Marks a value soft and clears the lease, one that has run out too; removes a lease that stands alone.
    pub(super) fn soften(&mut self, key: &str) {
        let has_value = self.0.get(key).map(|place| place.value.is_some());
        match has_value {
            None => {}
            Some(false) => self.remove(key),
            Some(true) => {
                if let Some(mut place) = self.0.get_mut(key) {
                    place.lease = None;
                    if let Some((meta, ..)) = &mut place.value {
                        meta.softened = true;
                    }
                }
            }
        }
    }

    pub(super) fn keep_if(&mut self, keep: impl Fn(&str, &Place) -> bool) {
        self.0.retain(|key, place| keep(key, place));
    }

    pub(super) fn live_keys(&self, now: u64) -> impl Iterator<Item = &Arc<str>> {
        self.0
            .iter()
            .filter(move |(_, place)| !place.is_over(now))
            .map(|(key, _)| key)
    }

    pub(super) fn weight(&self) -> u64 {
        self.0.weight()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KEY: &str = "users:42";
    const LEASE: u64 = 2_000;

    fn wanted() -> Wanted {
        Wanted {
            token: Token::random(),
            lease: Duration::from_millis(LEASE),
        }
    }

    /// A lease that was taken at 0, whose it is, and a time at which it has long run out.
    fn run_out() -> (Shard, Wanted, u64) {
        let (mut shard, owner) = (Shard::with_limit(1 << 20), wanted());
        shard.lease_missing(KEY, owner, 0);
        (shard, owner, 3 * LEASE)
    }

    #[test]
    fn a_lease_that_has_run_out_is_extended_while_nobody_else_has_it() {
        let (mut shard, owner, now) = run_out();
        assert!(shard.get(KEY, now).is_none(), "others may take it");
        shard.keep_if(|_, place| !place.is_done(now));
        assert!(shard.extend(KEY, owner, now));
        assert_eq!(shard.begin(KEY, 0, wanted(), now), Begun::Held);
    }

    #[test]
    fn it_is_lost_to_whoever_takes_it() {
        let (mut shard, owner, now) = run_out();
        assert_eq!(shard.begin(KEY, 0, wanted(), now), Begun::Granted);
        assert!(!shard.extend(KEY, owner, now));
        let (mut shard, owner, now) = run_out();
        shard.steal(KEY, wanted(), now);
        assert!(!shard.holds(KEY, owner.token));
    }

    #[test]
    fn it_is_lost_to_what_invalidates_its_key() {
        let (mut shard, owner, _) = run_out();
        shard.soften(KEY);
        assert!(!shard.holds(KEY, owner.token));
        let (mut shard, owner, _) = run_out();
        shard.remove(KEY);
        assert!(!shard.holds(KEY, owner.token));
    }

    #[test]
    fn it_is_not_kept_for_ever() {
        let (mut shard, ..) = run_out();
        shard.keep_if(|_, place| !place.is_done(LEASE + LATE));
        assert_eq!(shard.len(), 0);
    }
}
