//! What the log said of late: the explanation of a disagreement, and the proof that there is none.

use std::collections::VecDeque;

use crate::epoch::Epoch;
use crate::key::Tag;
use crate::watch::Logged;

/// How many entries it keeps.
const ENTRIES: usize = 50_000;

/// The log as an onlooker saw it, from some epoch on.
#[derive(Debug)]
pub(super) struct History {
    entries: VecDeque<Logged>,
    /// Behind this, nothing is missing; `None` after a gap, until the next entry tells.
    from: Option<Epoch>,
    /// Up to here it has come.
    to: Epoch,
}

impl History {
    /// Begins at a clock that was read after the log began to be watched.
    pub(super) fn from(clock: Epoch) -> Self {
        Self {
            entries: VecDeque::new(),
            from: Some(clock),
            to: clock,
        }
    }

    pub(super) fn add(&mut self, entry: Logged) {
        // Of an incarnation that begins here, all is known; after a gap, all from the entry before.
        if entry.note.as_deref() == Some("new") {
            self.from = Some(entry.epoch);
        } else if self.from.is_none() {
            self.from = entry.prev.or(Some(entry.epoch));
        }
        self.to = entry.epoch;
        self.entries.push_back(entry);
        if self.entries.len() > ENTRIES
            && let (Some(old), Some(from)) = (self.entries.pop_front(), &mut self.from)
            && old.epoch.inc == from.inc
        {
            from.tick = from.tick.max(old.epoch.tick);
        }
    }

    /// Something is missing between what was seen last and what comes next.
    pub(super) fn gap(&mut self) {
        self.from = None;
    }

    /// Whether everything up to this clock has been seen.
    pub(super) fn reaches(&self, clock: Epoch) -> bool {
        self.to.at_least(clock)
    }

    /// Whether nothing after this epoch is missing.
    pub(super) fn covers(&self, since: Epoch) -> bool {
        self.from.is_some_and(|from| since.at_least(from))
    }

    /// When an incarnation began, if it was seen to.
    pub(super) fn began(&self, inc: u64) -> Option<u64> {
        let begins = |e: &&Logged| e.epoch.inc == inc && e.note.as_deref() == Some("new");
        self.entries.iter().find(begins).map(|e| e.epoch.tick)
    }

    /// The entries after `since` that name an entry with this key and these tags, in order.
    pub(super) fn naming<'a>(
        &'a self,
        key: &'a str,
        tags: &'a [Tag],
        since: Epoch,
    ) -> impl Iterator<Item = &'a Logged> {
        // The key is canonical already: escaping it again would name another.
        let key = crate::key::Key::from_canonical(key.to_owned());
        self.entries
            .iter()
            .filter(move |e| e.epoch.inc != since.inc || e.epoch.tick > since.tick)
            .filter(move |e| e.note.is_some() || e.names(&key, tags))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(tick: u64, field: &str, text: &str) -> Logged {
        let fields = ["i", "01", field, text].map(str::to_owned);
        Logged::read(tick, &fields)
    }

    #[test]
    fn it_finds_what_names_an_entry_after_an_epoch() {
        let mut history = History::from(Epoch::new(1, 10));
        for (tick, field, text) in [
            (11, "k", "a%20b"),
            (12, "t", "x"),
            (13, "k", "c"),
            (14, "g", "a*b"),
        ] {
            history.add(logged(tick, field, text));
        }
        let ticks = |since| {
            let tags = [Tag::from("x")];
            let found = history.naming("a%20b", &tags, Epoch::new(1, since));
            found.map(|e| e.epoch.tick).collect::<Vec<_>>()
        };
        assert_eq!(ticks(10), [11, 12, 14]);
        assert_eq!(ticks(12), [14]);
        assert!(history.reaches(Epoch::new(1, 14)) && !history.reaches(Epoch::new(1, 15)));
        assert!(history.covers(Epoch::new(1, 10)) && !history.covers(Epoch::new(1, 9)));
    }

    #[test]
    fn a_new_incarnation_is_known_from_its_beginning_and_a_gap_is_not() {
        let mut history = History::from(Epoch::new(2, 10));
        history.add(logged(3, "w", "new"));
        assert!(history.covers(Epoch::new(1, 3)) && !history.covers(Epoch::new(2, 10)));
        assert_eq!((history.began(1), history.began(2)), (Some(3), None));
        history.gap();
        assert!(!history.covers(Epoch::new(1, 99)), "nothing is known");
        history.add(logged(7, "p", "0000000000000001:6"));
        assert!(!history.covers(Epoch::new(1, 5)) && history.covers(Epoch::new(1, 6)));
    }
}
