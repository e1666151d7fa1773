//! The embedded store: the same semantics with no server.
//!
//! It keeps the contract of [`crate::store`] inside the process: a clock and records of tags behind one
//! lock, entries in shards. What involves tags or the clock is one step under the control lock, so the
//! orders that the protocol asks for hold trivially: reads share it, changes hold it alone. What concerns
//! one entry's lease is one step under its shard's.
//! Entries are bounded by bytes; what is evicted, lease or value, is a miss. Here a lease that has run out stays its owner's until
//! somebody takes it.
//!
//! Must not: wait, or hold a lock while it calls anything that could.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::broadcast;

use crate::clock::{Clock, Moment};
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::key::{Key, Tag};
use crate::memory::Memory;
use crate::record::{Lease, Token};
use crate::store::{
    Begun, Body, Call, Entry, Filled, Held, Listed, LoggedEvent, Put, Slot, Snapshot, StoreError,
    StoreResult, Wanted,
};
use crate::validity::{TagRecord, Touched};

mod shard;
mod told;

use shard::{Place, Shard};
use told::Log;
pub(crate) use told::{Seen, Told};

const SHARDS: usize = 16;
/// How many names a set that is under way is compared with; of more, it counts as overtaken.
const RECENT: usize = 1024;
/// How much longer than its entries the record of a tag is kept.
const TAG_SLACK: Duration = Duration::from_secs(60);

struct Control {
    clock: Epoch,
    /// What was invalidated of late: what a set asks that began before it. Plain sets are not in it: of
    /// those the last one stays.
    recent: Memory,
    /// The same for who looks on.
    log: Log,
    tags: HashMap<Tag, TagLife>,
    /// The most tags it keeps; beyond, those invalidated longest ago are forgotten (entries that carry
    /// them are then dead).
    room: usize,
}

struct TagLife {
    record: TagRecord,
    /// Until when it is kept, server time in ms.
    until: u64,
}

pub(crate) struct Embedded {
    clock: Clock,
    wall_offset_ms: i64,
    /// Guards the order of everything: see the module.
    control: RwLock<Control>,
    shards: Box<[Mutex<Shard>]>,
    hasher: std::hash::RandomState,
    #[cfg(feature = "chaos")]
    pub(crate) faults: crate::chaos::Installed,
}

impl Embedded {
    pub(crate) fn new(limit: u64, clock: Clock) -> Self {
        let wall_offset_ms = clock.wall_offset_ms();
        let tick = (clock.now().0 / 1000).saturating_add_signed(wall_offset_ms * 1000);
        let clock_at_start = Epoch::new(fastrand::u64(1..), tick);
        let mut recent = Memory::with_room_for(RECENT);
        recent.open(clock_at_start);
        let control = Control {
            clock: clock_at_start,
            recent,
            log: Log::default(),
            tags: HashMap::new(),
            room: usize::try_from(limit / 512).unwrap_or(usize::MAX).max(1024),
        };
        let shard = || Mutex::new(Shard::with_limit(limit / SHARDS as u64));
        Self {
            clock,
            wall_offset_ms,
            control: RwLock::new(control),
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: std::hash::RandomState::new(),
            #[cfg(feature = "chaos")]
            faults: crate::chaos::Installed::default(),
        }
    }

    pub(crate) fn server_ms(&self, now: Moment) -> u64 {
        now.as_ms().saturating_add_signed(self.wall_offset_ms)
    }

    fn now_ms(&self) -> u64 {
        self.server_ms(self.clock.now())
    }

    fn looking(&self) -> RwLockReadGuard<'_, Control> {
        self.control
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn changing(&self) -> RwLockWriteGuard<'_, Control> {
        self.control
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        use std::hash::BuildHasher as _;
        let at = self.hasher.hash_one(key) as usize % self.shards.len();
        self.shards[at]
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn clock(&self) -> StoreResult<Epoch> {
        Ok(self.looking().clock)
    }

    pub(crate) fn read(
        &self,
        key: &str,
        hints: &[Tag],
        wanted: Option<Wanted>,
    ) -> StoreResult<Snapshot> {
        let sent = self.clock.now();
        let now = self.server_ms(sent);
        let control = self.looking();
        let mut shard = self.shard(key);
        let slot = match shard.get(key, now) {
            None => Slot::Empty,
            Some(place) => place.slot(|tag| control.tag(tag)),
        };
        let granted = match (&slot, wanted) {
            (Slot::Empty, Some(wanted)) => {
                shard.lease_missing(key, wanted, now);
                true
            }
            _ => false,
        };
        let tags_known = hints.iter().all(|tag| control.tags.contains_key(tag));
        Ok(Snapshot {
            clock: control.clock,
            sent,
            slot,
            granted,
            tags_known,
        })
    }

    pub(crate) fn read_many(&self, keys: &[Arc<str>]) -> StoreResult<Vec<StoreResult<Snapshot>>> {
        Ok(keys.iter().map(|key| self.read(key, &[], None)).collect())
    }

    pub(crate) fn begin(&self, key: &str, seen: u64, wanted: Wanted) -> StoreResult<Begun> {
        Ok(self.shard(key).begin(key, seen, wanted, self.now_ms()))
    }

    pub(crate) fn extend(&self, key: &str, wanted: Wanted) -> StoreResult<bool> {
        Ok(self.shard(key).extend(key, wanted, self.now_ms()))
    }

    pub(crate) fn release(&self, key: &str, token: Token) -> StoreResult<()> {
        self.shard(key).release(key, token);
        Ok(())
    }

    pub(crate) fn ensure_tags(&self, tags: &[Tag], keep: Duration) -> StoreResult<Epoch> {
        let now = self.now_ms();
        let mut control = self.changing();
        for tag in tags {
            control.ensure(tag, now, keep);
        }
        Ok(control.clock)
    }

    pub(crate) fn fill(&self, entry: Entry, token: Token) -> StoreResult<Filled> {
        let now = self.now_ms();
        let mut control = self.changing();
        let mut newer = control.clock.inc != entry.meta.epoch.inc;
        for tag in &*entry.meta.tags {
            let record = control.ensure(tag, now, entry.keep);
            newer |= record.hard.max(record.soft) > entry.meta.epoch.tick;
        }
        let clock = control.clock;
        let mut shard = self.shard(&entry.key);
        if newer {
            shard.release(&entry.key, token);
            return Ok(Filled::Overtaken(clock));
        }
        if !shard.holds(&entry.key, token) {
            return Ok(Filled::LeaseLost(clock));
        }
        shard.put(entry, now);
        Ok(Filled::Stored(clock))
    }

    pub(crate) fn set(&self, values: Vec<(Entry, Call)>) -> StoreResult<Put> {
        let now = self.now_ms();
        let mut control = self.changing();
        let before = control.clock;
        let mut stored = Vec::with_capacity(values.len());
        let watched = control.log.is_watched();
        let named = values
            .iter()
            .filter(|_| watched)
            .map(|(entry, _)| &entry.key);
        let named = named.map(|key| Key::from_canonical(key.to_string()));
        let what = Invalidation::new().keys(named);
        for (mut entry, call) in values {
            let since = call.known.unwrap_or(before);
            let key = entry.key.clone();
            let named = control.recent.touched(&key, &entry.meta.tags, since);
            stored.push(named == Touched::No);
            if named != Touched::No {
                // The set came first, and what names it after that.
                self.shard(&key).remove(&key);
                continue;
            }
            for tag in &*entry.meta.tags {
                control.ensure(tag, now, entry.keep);
            }
            entry.meta.epoch = before;
            self.shard(&key).put(entry, now);
        }
        let epoch = match watched {
            true => control.bump_and_tell(now, &Arc::new(what), None),
            false => control.bump(now),
        };
        Ok(Put {
            before,
            epoch,
            stored,
            failed: Vec::new(),
            at_once: true,
        })
    }

    pub(crate) fn begin_write(
        &self,
        key: &str,
        tags: &[Tag],
        keep: Duration,
        wanted: Wanted,
    ) -> StoreResult<Epoch> {
        let now = self.now_ms();
        let mut control = self.changing();
        for tag in tags {
            control.ensure(tag, now, keep);
        }
        self.shard(key).steal(key, wanted, now);
        Ok(control.clock)
    }

    pub(crate) fn write(&self, entry: Entry, token: Token) -> StoreResult<(Epoch, bool)> {
        let now = self.now_ms();
        let mut control = self.changing();
        for tag in &*entry.meta.tags {
            control.ensure(tag, now, entry.keep);
        }
        let key = entry.key.clone();
        let mut shard = self.shard(&key);
        let stored = shard.holds(&key, token);
        if stored {
            shard.put(entry, now);
        } else {
            shard.remove(&key);
        }
        let key = Key::from_canonical(key.to_string());
        let what = Arc::new(Invalidation::new().key(key));
        let epoch = control.bump_and_tell(now, &what, None);
        control.recent.note(epoch, &what);
        Ok((epoch, stored))
    }

    pub(crate) fn invalidate(
        &self,
        what: &Arc<Invalidation>,
        event: Option<&LoggedEvent>,
    ) -> StoreResult<Epoch> {
        let now = self.now_ms();
        let mut control = self.changing();
        for key in &what.keys {
            let mut shard = self.shard(key.as_str());
            if what.soft {
                shard.soften(key.as_str());
            } else {
                shard.remove(key.as_str());
            }
        }
        if !what.patterns.is_empty() {
            for shard in &self.shards {
                let mut shard = shard
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                shard.keep_if(|key, _| !what.patterns.iter().any(|p| p.matches(key)));
            }
        }
        let epoch = control.bump_and_tell(now, what, event);
        control.recent.note(epoch, what);
        for tag in &what.tags {
            control.invalidate_tag(tag, what.soft);
        }
        Ok(epoch)
    }

    pub(crate) fn list(
        &self,
        literal_prefix: &str,
        cursor: u64,
        _page: usize,
    ) -> StoreResult<(Vec<Listed>, Option<u64>)> {
        let now = self.now_ms();
        let at = usize::try_from(cursor).unwrap_or(usize::MAX);
        let shard = self.shards.get(at).ok_or_else(|| {
            StoreError::new(
                crate::error::ErrorKind::Store,
                format!("no such cursor: {cursor}"),
            )
        })?;
        let shard = shard
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let names = shard
            .live_keys(now)
            .filter(|key| key.starts_with(literal_prefix))
            .map(|key| Listed {
                name: key.to_string(),
            })
            .collect();
        let next = (at + 1 < self.shards.len()).then_some(cursor + 1);
        Ok((names, next))
    }

    /// What was invalidated in the last `since`, and what is from now on.
    pub(crate) fn watch(&self, since: Duration) -> (Vec<Told>, broadcast::Receiver<Seen>) {
        let from = match u64::try_from(since.as_micros()).unwrap_or(u64::MAX) {
            // What is of this very millisecond is late, too.
            0 => u64::MAX,
            // A tick is the time in µs, or a little more.
            ago => (self.now_ms() * 1000).saturating_sub(ago),
        };
        self.changing().log.watch(from)
    }

    pub(crate) fn sweep(&self) {
        let now = self.now_ms();
        for shard in &self.shards {
            let mut shard = shard
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            shard.keep_if(|_, place| !place.is_done(now));
        }
        self.changing().tags.retain(|_, life| life.until > now);
    }

    /// Bytes held by entries, by the weights that bound them.
    pub(crate) fn bytes(&self) -> u64 {
        let weigh = |s: &Mutex<Shard>| {
            s.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .weight()
        };
        self.shards.iter().map(weigh).sum()
    }

    /// Entries held, leases included.
    pub(crate) fn entries(&self) -> usize {
        let count = |s: &Mutex<Shard>| {
            s.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .len()
        };
        self.shards.iter().map(count).sum()
    }

    /// Records of tags held.
    pub(crate) fn tags(&self) -> usize {
        self.looking().tags.len()
    }
}

impl Control {
    fn tag(&self, name: &Tag) -> Option<TagRecord> {
        self.tags.get(name).map(|life| life.record)
    }

    fn bump(&mut self, now_ms: u64) -> Epoch {
        self.clock.tick = (self.clock.tick + 1).max(now_ms * 1000);
        self.clock
    }

    fn bump_and_tell(
        &mut self,
        now_ms: u64,
        what: &Arc<Invalidation>,
        event: Option<&LoggedEvent>,
    ) -> Epoch {
        let prev = self.clock;
        let epoch = self.bump(now_ms);
        self.log.add(Told {
            epoch,
            prev,
            what: what.clone(),
            event: event.cloned().map(Arc::new),
        });
        epoch
    }

    /// Creates a missing record at the current tick, without a bump, and extends its life.
    fn ensure(&mut self, tag: &Tag, now: u64, keep: Duration) -> TagRecord {
        let until = now + millis(keep + TAG_SLACK);
        if let Some(life) = self.tags.get_mut(tag) {
            life.until = life.until.max(until);
            return life.record;
        }
        self.make_room();
        let record = TagRecord {
            inc: self.clock.inc,
            hard: self.clock.tick,
            soft: 0,
        };
        self.tags.insert(tag.clone(), TagLife { record, until });
        record
    }

    /// Raises a record to the clock. A missing one stays missing, which is dead already: entries that
    /// carry it can only be filled after `ensure` has created it, at a tick no older than this.
    fn invalidate_tag(&mut self, tag: &Tag, soft: bool) {
        let tick = self.clock.tick;
        if let Some(life) = self.tags.get_mut(tag) {
            let cell = if soft {
                &mut life.record.soft
            } else {
                &mut life.record.hard
            };
            *cell = (*cell).max(tick);
        }
    }

    fn make_room(&mut self) {
        if self.tags.len() < self.room {
            return;
        }
        // Half of them: those invalidated longest ago, and of those the ones that end soonest. Never the
        // root, which every entry carries.
        let age = |life: &TagLife| (life.record.hard.max(life.record.soft), life.until);
        let mut oldest: Vec<(Tag, (u64, u64))> = self
            .tags
            .iter()
            .map(|(tag, life)| (tag.clone(), age(life)))
            .collect();
        let half = oldest.len() / 2;
        oldest.select_nth_unstable_by_key(half, |(_, age)| *age);
        let root = Tag::root();
        for (tag, _) in oldest
            .into_iter()
            .take(half)
            .filter(|(tag, _)| *tag != root)
        {
            self.tags.remove(&tag);
        }
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX / 4)
}

impl Place {
    fn slot(&self, tag: impl Fn(&Tag) -> Option<TagRecord>) -> Slot {
        match &self.value {
            None => Slot::Leased,
            Some((meta, live, bytes)) => Slot::Value(Box::new(Held {
                tags: meta.tags.iter().map(tag).collect(),
                meta: meta.clone(),
                lease: self.lease,
                body: Body::Live(live.clone(), *bytes),
            })),
        }
    }
}

/// A lease that begins at `now`.
fn lease_from(wanted: Wanted, now: u64) -> Lease {
    Lease {
        token: wanted.token,
        deadline: now + millis(wanted.lease),
    }
}
