//! Memory: what this process knows of late about invalidations (PROTOCOL §1).
//!
//! It answers one question, [`Memory::touched`]: does an invalidation newer than an epoch name this
//! key, one of these tags, or a pattern that the key matches? It reaches back to its start; asked about
//! anything older, or about another incarnation, it says *yes*. While it is closed (no position is
//! known) it says *yes* to everything, but remembers what it is told until it opens again.
//!
//! Must not: do I/O, lock. The engine holds it behind one lock.

use std::collections::{HashMap, VecDeque};
#[cfg(feature = "protocol")]
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::key::Tag;
use crate::pattern::Pattern;
use crate::validity::Touched;

/// How many names it holds before it forgets the older half, and how much text: names may be users'.
const NAMES: usize = 65_536;
const BYTES: usize = 8 << 20;
/// How many patterns: each is matched against every key that is asked about.
const PATTERNS: usize = 256;
/// How many invalidations it keeps for later while it is closed.
const PENDING: usize = 4_096;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Stamp {
    hard: u64,
    soft: u64,
}

impl Stamp {
    fn raise(&mut self, tick: u64, soft: bool) {
        let cell = if soft { &mut self.soft } else { &mut self.hard };
        *cell = (*cell).max(tick);
    }

    fn since(self, tick: u64) -> Touched {
        if self.hard > tick {
            Touched::Hard
        } else if self.soft > tick {
            Touched::Soft
        } else {
            Touched::No
        }
    }

    fn newest(self) -> u64 {
        self.hard.max(self.soft)
    }
}

/// What this process knows of late about invalidations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// How far back it reaches; `None` while it is closed.
    start: Option<Epoch>,
    tags: HashMap<Tag, Stamp>,
    keys: HashMap<Box<str>, Stamp>,
    patterns: VecDeque<(Pattern, u64)>,
    /// What came while it was closed, or of another incarnation, in the order of arrival.
    pending: VecDeque<(Epoch, Arc<Invalidation>)>,
    /// The newest of what `pending` had to drop, by incarnation.
    dropped: Option<Epoch>,
    names: usize,
    /// The text of all it holds of tags and keys.
    bytes: usize,
    /// Of what is pending.
    pending_bytes: usize,
    /// The newest tick it has seen in this incarnation: a clock that was, and what nothing known is newer than.
    newest: u64,
    /// How often it was closed: what was learned before the last time does not count after it.
    generation: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self::with_room_for(NAMES)
    }
}

impl Memory {
    /// A closed memory that holds up to `names` names.
    pub fn with_room_for(names: usize) -> Self {
        Self {
            start: None,
            tags: HashMap::new(),
            keys: HashMap::new(),
            patterns: VecDeque::new(),
            pending: VecDeque::new(),
            dropped: None,
            names: names.max(2),
            bytes: 0,
            pending_bytes: 0,
            newest: 0,
            generation: 0,
        }
    }

    /// How far back it reaches; `None` while it is closed.
    pub fn start(&self) -> Option<Epoch> {
        self.start
    }

    /// The newest clock that it knows to have been; `None` while it is closed. A load that begins now
    /// honours everything up to it.
    pub fn newest(&self) -> Option<Epoch> {
        self.start.map(|start| Epoch::new(start.inc, self.newest))
    }

    /// What it knows of a tag: the ticks of its last hard and soft invalidation, 0 for none since it
    /// reaches back.
    pub fn of_tag(&self, tag: &Tag) -> (u64, u64) {
        self.tags.get(tag).map_or((0, 0), |s| (s.hard, s.soft))
    }

    /// How often it was closed.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Makes what was asked before count no more.
    pub fn forget_beats(&mut self) {
        self.generation += 1;
    }

    /// Forgets its position: from now on everything counts as touched, until it is opened.
    pub fn close(&mut self) {
        self.generation += 1;
        self.start = None;
        self.tags.clear();
        self.keys.clear();
        self.patterns.clear();
        self.bytes = 0;
    }

    /// Opens it at `position`, a clock that was read after it was closed. What is older than that
    /// counts as touched.
    pub fn open(&mut self, position: Epoch) {
        self.close();
        let mut start = position;
        if let Some(dropped) = self.dropped.take().filter(|d| d.inc == start.inc) {
            start.tick = start.tick.max(dropped.tick);
        }
        self.start = Some(start);
        self.newest = start.tick;
        self.pending_bytes = 0;
        for (epoch, what) in std::mem::take(&mut self.pending) {
            if epoch.inc == start.inc && epoch.tick > start.tick {
                self.note(epoch, &what);
            }
        }
    }

    /// Begins at `position` anew, a clock that was read while it was open or closed. What it knows that
    /// is newer stays.
    pub fn restart_at(&mut self, position: Epoch) {
        self.generation += 1;
        match &mut self.start {
            Some(start) if start.inc == position.inc => self.forget_up_to(position.tick),
            _ => {
                self.close();
                self.open(position);
            }
        }
    }

    /// Notes an invalidation, this process's own or one from the log.
    pub fn note(&mut self, epoch: Epoch, what: &Arc<Invalidation>) {
        match self.start {
            Some(start) if start.inc == epoch.inc => {}
            _ => return self.keep_for_later(epoch, what),
        }
        self.newest = self.newest.max(epoch.tick);
        for tag in &what.tags {
            let stamp = self.tags.entry(tag.clone()).or_insert_with(|| {
                self.bytes += tag.as_str().len();
                Stamp::default()
            });
            stamp.raise(epoch.tick, what.soft);
        }
        for key in &what.keys {
            let stamp = self.keys.entry(key.as_str().into()).or_insert_with(|| {
                self.bytes += key.as_str().len();
                Stamp::default()
            });
            stamp.raise(epoch.tick, what.soft);
        }
        // A scan is hard whatever was asked: it removes.
        self.patterns
            .extend(what.patterns.iter().map(|p| (p.clone(), epoch.tick)));
        self.make_room();
    }

    fn keep_for_later(&mut self, epoch: Epoch, what: &Arc<Invalidation>) {
        self.pending_bytes += text(what);
        self.pending.push_back((epoch, what.clone()));
        while (self.pending.len() > PENDING || self.pending_bytes > BYTES)
            && let Some((old, what)) = self.pending.pop_front()
        {
            self.pending_bytes -= text(&what);
            self.dropped = match self.dropped {
                Some(d) if d.inc == old.inc && d.tick > old.tick => Some(d),
                _ => Some(old),
            };
        }
    }

    /// Whether an invalidation newer than `since` names the key, a tag, or a pattern that matches.
    pub fn touched(&self, key: &str, tags: &[Tag], since: Epoch) -> Touched {
        let Some(start) = self.start else {
            return Touched::Hard;
        };
        if !since.at_least(start) {
            return Touched::Hard;
        }
        let tick = since.tick;
        if tick >= self.newest {
            return Touched::No;
        }
        let by_key = self.keys.get(key).map_or(Touched::No, |s| s.since(tick));
        let by_tags = tags
            .iter()
            .filter_map(|t| self.tags.get(t))
            .map(|s| s.since(tick))
            .max();
        let known = by_key.max(by_tags.unwrap_or(Touched::No));
        if known == Touched::Hard {
            return known;
        }
        let scanned = |(p, at): &(Pattern, u64)| *at > tick && p.matches(key);
        if self.patterns.iter().any(scanned) {
            Touched::Hard
        } else {
            known
        }
    }

    /// Forgets the older half when it is full, and reaches back less far from then on.
    fn make_room(&mut self) {
        while self.patterns.len() > PATTERNS {
            if let Some((_, tick)) = self.patterns.pop_front() {
                self.forget_up_to(tick);
            }
        }
        // The older half by number may weigh little.
        while self.tags.len() + self.keys.len() > self.names || self.bytes > BYTES {
            let mut ticks: Vec<u64> = self
                .tags
                .values()
                .chain(self.keys.values())
                .map(|s| s.newest())
                .collect();
            let middle = ticks.len() / 2;
            let (_, cut, _) = ticks.select_nth_unstable(middle);
            let cut = *cut;
            self.forget_up_to(cut);
        }
    }

    fn forget_up_to(&mut self, tick: u64) {
        self.tags.retain(|tag, s| {
            let stays = s.newest() > tick;
            self.bytes -= if stays { 0 } else { tag.as_str().len() };
            stays
        });
        self.keys.retain(|key, s| {
            let stays = s.newest() > tick;
            self.bytes -= if stays { 0 } else { key.len() };
            stays
        });
        self.patterns.retain(|(_, at)| *at > tick);
        if let Some(start) = &mut self.start {
            start.tick = start.tick.max(tick);
            self.newest = self.newest.max(tick);
        }
    }
}

/// How much text its names are.
fn text(what: &Invalidation) -> usize {
    let keys = what.keys.iter().map(|key| key.as_str().len());
    let tags = what.tags.iter().map(|tag| tag.as_str().len());
    let patterns = what.patterns.iter().map(|p| p.as_str().len());
    keys.chain(tags).chain(patterns).sum()
}

/// As part of a state of the model: the maps by what is in them, whatever their order.
#[cfg(feature = "protocol")]
impl Hash for Memory {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut tags: Vec<_> = self.tags.iter().collect();
        tags.sort_unstable_by_key(|(tag, _)| *tag);
        let mut keys: Vec<_> = self.keys.iter().collect();
        keys.sort_unstable_by_key(|(key, _)| *key);
        (self.start, tags, keys).hash(state);
        (&self.patterns, &self.pending, self.dropped).hash(state);
        (self.names, self.generation, self.newest).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INC: u64 = 1;

    fn at(tick: u64) -> Epoch {
        Epoch::new(INC, tick)
    }

    fn open_at(tick: u64) -> Memory {
        let mut memory = Memory::with_room_for(8);
        memory.open(at(tick));
        memory
    }

    fn what(i: Invalidation) -> Arc<Invalidation> {
        Arc::new(i)
    }

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|n| Tag::from(*n)).collect()
    }

    #[test]
    fn names_by_key_tag_and_pattern() {
        let mut m = open_at(10);
        m.note(at(11), &what(Invalidation::new().key("k")));
        m.note(at(12), &what(Invalidation::new().tag("t").soft()));
        m.note(at(13), &what(Invalidation::new().pattern("a:*:c")));
        let t = tags(&["t"]);
        assert_eq!(m.touched("k", &[], at(10)), Touched::Hard);
        assert_eq!(m.touched("k", &[], at(11)), Touched::No);
        assert_eq!(m.touched("x", &t, at(11)), Touched::Soft);
        assert_eq!(m.touched("x", &t, at(12)), Touched::No);
        assert_eq!(m.touched("a:b:c", &[], at(12)), Touched::Hard);
        assert_eq!(m.touched("a:b:c", &[], at(13)), Touched::No);
        assert_eq!(m.touched("a:b:d", &[], at(10)), Touched::No);
    }

    #[test]
    fn a_later_soft_does_not_hide_an_earlier_hard() {
        let mut m = open_at(10);
        m.note(at(11), &what(Invalidation::new().key("k")));
        m.note(at(12), &what(Invalidation::new().key("k").soft()));
        assert_eq!(m.touched("k", &[], at(10)), Touched::Hard);
        assert_eq!(m.touched("k", &[], at(11)), Touched::Soft);
    }

    #[test]
    fn what_it_cannot_know_counts_as_touched() {
        let m = open_at(10);
        assert_eq!(
            m.touched("k", &[], at(9)),
            Touched::Hard,
            "older than its start"
        );
        assert_eq!(
            m.touched("k", &[], Epoch::new(2, 99)),
            Touched::Hard,
            "another incarnation"
        );
        assert_eq!(
            Memory::default().touched("k", &[], at(99)),
            Touched::Hard,
            "closed"
        );
    }

    #[test]
    fn what_came_while_closed_is_honoured_after_opening() {
        let mut m = open_at(10);
        m.note(Epoch::new(2, 7), &what(Invalidation::new().key("k")));
        m.close();
        m.note(Epoch::new(2, 9), &what(Invalidation::new().key("l")));
        m.open(Epoch::new(2, 6));
        assert_eq!(m.touched("k", &[], Epoch::new(2, 6)), Touched::Hard);
        assert_eq!(m.touched("l", &[], Epoch::new(2, 8)), Touched::Hard);
        assert_eq!(m.touched("m", &[], Epoch::new(2, 8)), Touched::No);
    }

    #[test]
    fn what_it_dropped_while_closed_counts_as_touched() {
        let mut m = Memory::default();
        for tick in 0..=PENDING as u64 {
            m.note(
                at(100 + tick),
                &what(Invalidation::new().key(format!("k{tick}"))),
            );
        }
        m.open(at(1));
        assert_eq!(m.touched("k0", &[], at(99)), Touched::Hard);
        assert_eq!(m.start(), Some(at(100)));
    }

    #[test]
    fn a_restart_keeps_what_is_newer_than_its_position() {
        let mut m = open_at(10);
        m.note(at(12), &what(Invalidation::new().key("old")));
        m.note(at(14), &what(Invalidation::new().key("own")));
        m.restart_at(at(13));
        assert_eq!(m.start(), Some(at(13)));
        assert_eq!(m.touched("own", &[], at(13)), Touched::Hard);
        assert_eq!(m.touched("old", &[], at(13)), Touched::No);
        assert_eq!(
            m.touched("old", &[], at(12)),
            Touched::Hard,
            "older than its start"
        );
        m.restart_at(Epoch::new(2, 1));
        assert_eq!(m.start(), Some(Epoch::new(2, 1)));
    }

    #[test]
    fn it_is_bounded_by_the_text_of_what_it_holds() {
        let long = |tick: u64| format!("{tick}{}", "x".repeat(BYTES / 8));
        let tag = |tick| what(Invalidation::new().tag(long(tick)).key(long(tick)));
        let mut m = Memory::default();
        for tick in 1..=20 {
            m.note(at(tick), &tag(tick));
            assert!(m.pending_bytes <= BYTES);
        }
        m.open(at(0));
        for tick in 1..=40 {
            m.note(at(tick), &tag(tick));
            let held = m.tags.keys().map(|tag| tag.as_str().len());
            let held = held.chain(m.keys.keys().map(|key| key.len()));
            assert_eq!(m.bytes, held.sum::<usize>());
            assert!(m.bytes <= BYTES);
            for old in [1, tick.div_ceil(2), tick] {
                let named = m.touched("k", &tags(&[&long(old)]), at(old - 1));
                assert_eq!(named, Touched::Hard);
            }
        }
        m.close();
        assert_eq!((m.bytes, m.pending_bytes), (0, 0));
    }

    #[test]
    fn forgetting_moves_the_start_never_the_answer() {
        let mut m = open_at(0);
        for tick in 1..=100 {
            m.note(at(tick), &what(Invalidation::new().key(format!("k{tick}"))));
            assert!(m.keys.len() + m.tags.len() <= 8);
            for old in 1..=tick {
                assert_eq!(
                    m.touched(&format!("k{old}"), &[], at(old - 1)),
                    Touched::Hard
                );
            }
        }
        for i in 0..2 * PATTERNS as u64 {
            m.note(
                at(200 + i),
                &what(Invalidation::new().pattern(format!("p{i}:x*"))),
            );
            assert_eq!(m.touched("p0:x", &[], at(199)), Touched::Hard);
        }
        assert_eq!(m.patterns.len(), PATTERNS);
    }
}
