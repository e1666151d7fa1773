//! For how long the window was open and closed.
//!
//! The window closes by itself when its end passes, and nobody is told: so the end is kept, and what has
//! passed since is counted when it opens again, or when somebody asks.
//!
//! Must not: decide whether L1 may be trusted. Who does reads the engine's window.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::stats::Following;
use crate::clock::Moment;

/// Held for a note or a look; told at each beat.
#[derive(Debug)]
pub(crate) struct Opening(Mutex<State>);

#[derive(Debug)]
struct State {
    always: bool,
    /// Since when it is closed, if somebody closed it or it was never open.
    closed_at: Option<Moment>,
    /// Until when it is open, if nobody closes it.
    end: Moment,
    /// For how long it was closed before it opened last.
    closed: Duration,
    closings: u64,
    /// When this process last knew that it had applied everything.
    knew: Option<Moment>,
}

impl State {
    /// Since when it is closed; `None` while it is open.
    fn closed_since(&self, now: Moment) -> Option<Moment> {
        let by_itself = (self.end <= now).then_some(self.end);
        self.closed_at.or(by_itself).filter(|_| !self.always)
    }
}

impl Opening {
    pub(crate) fn new(now: Moment, always: bool) -> Self {
        Self(Mutex::new(State {
            always,
            closed_at: Some(now),
            end: now,
            closed: Duration::ZERO,
            closings: 0,
            knew: None,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is open until `end`: everything that was before `knew` had been applied.
    pub(crate) fn opened(&self, now: Moment, end: Moment, knew: Moment) {
        let mut state = self.state();
        if end <= now {
            return;
        }
        if let Some(since) = state.closed_since(now) {
            state.closed += now.since(since);
            // What somebody closed was counted then; what closed by itself was not.
            state.closings += u64::from(state.closed_at.is_none());
        }
        state.closed_at = None;
        state.end = state.end.max(end);
        state.knew = state.knew.max(Some(knew));
    }

    /// Somebody closed it.
    pub(crate) fn closed(&self, now: Moment) {
        let mut state = self.state();
        if state.closed_at.is_none() {
            state.closed_at = Some(state.end.min(now));
            state.end = Moment(0);
            state.closings += 1;
        }
    }

    pub(super) fn read(&self, now: Moment) -> Following {
        let state = self.state();
        let since = state.closed_since(now);
        let closed_for = since.map(|since| now.since(since)).unwrap_or_default();
        // What has closed by itself is counted when it opens again; until then it is seen here.
        let unnoticed = since.is_some() && state.closed_at.is_none();
        let lag = state.knew.map(|knew| now.since(knew));
        Following {
            open: since.is_none(),
            closed_for,
            closed_total: state.closed + closed_for,
            closings: state.closings + u64::from(unnoticed),
            lag: if state.always {
                Some(Duration::ZERO)
            } else {
                lag
            },
            applied: 0,
            resyncs: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Moment {
        Moment(0).plus(Duration::from_secs(s))
    }

    fn read(opening: &Opening, now: u64) -> (bool, u64, u64, u64) {
        let it = opening.read(at(now));
        let (now, total) = (it.closed_for.as_secs(), it.closed_total.as_secs());
        (it.open, now, total, it.closings)
    }

    #[test]
    fn the_time_before_it_first_opens_counts_and_is_no_closing() {
        let opening = Opening::new(at(10), false);
        assert_eq!(read(&opening, 12), (false, 2, 2, 0));
        assert_eq!(opening.read(at(12)).lag, None);
        opening.opened(at(13), at(14), at(13));
        assert_eq!(read(&opening, 13), (true, 0, 3, 0));
    }

    #[test]
    fn it_closes_by_itself_when_its_end_passes() {
        let opening = Opening::new(at(0), false);
        opening.opened(at(0), at(2), at(1));
        assert_eq!(read(&opening, 5), (false, 3, 3, 1));
        assert_eq!(opening.read(at(5)).lag, Some(Duration::from_secs(4)));
        opening.opened(at(6), at(8), at(7));
        assert_eq!(
            read(&opening, 7),
            (true, 0, 4, 1),
            "once, though seen twice"
        );
    }

    #[test]
    fn it_is_closed_once_however_often_that_is_said() {
        let opening = Opening::new(at(0), false);
        opening.opened(at(0), at(9), at(0));
        opening.closed(at(3));
        opening.closed(at(4));
        assert_eq!(read(&opening, 5), (false, 2, 2, 1));
        opening.opened(at(6), at(9), at(6));
        assert_eq!(read(&opening, 6), (true, 0, 3, 1));
    }

    #[test]
    fn closing_what_has_closed_by_itself_counts_from_then() {
        let opening = Opening::new(at(0), false);
        opening.opened(at(0), at(2), at(0));
        opening.closed(at(5));
        assert_eq!(read(&opening, 6), (false, 4, 4, 1));
    }

    #[test]
    fn where_there_is_no_other_process_it_is_always_open() {
        let opening = Opening::new(at(0), true);
        assert_eq!(read(&opening, 99), (true, 0, 0, 0));
        assert_eq!(opening.read(at(99)).lag, Some(Duration::ZERO));
    }
}
