//! Everywhere: waiting until every process has applied an invalidation (PROTOCOL §8).

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Engine;
use crate::epoch::Epoch;
#[cfg(test)]
use crate::probe::Point;
use crate::store::{Member, Members, StoreResult};

/// So many looks at the members follow each other at once: when all is well, everybody has told within
/// them, and no timer is as fine.
const AT_ONCE: u32 = 4;
/// Between two of so many looks after that, and of the others.
const LOOK: Duration = Duration::from_millis(1);
const SOON: u32 = 20;
const LOOK_MOST: Duration = Duration::from_millis(20);

impl Engine {
    /// Returns when every process that lives has applied `epoch`, at the latest when the windows of
    /// those that are silent have closed. Without the store it is that time that passes.
    pub(crate) async fn everywhere(&self, epoch: Epoch) {
        if self.store.is_private() {
            return;
        }
        // The invalidation was carried out before this: counted from here, Δ is long enough. Δ is that of
        // the process with the longest one, as far as they are known: so it takes a look, however short the
        // own one is.
        let began = Instant::now();
        let left = |longest: Duration| longest.saturating_sub(began.elapsed());
        let (mut pause, mut looks) = (LOOK, 0);
        loop {
            let look = self.look_at_members();
            let members = match looks {
                0 => look.await,
                _ => match timeout(left(self.longest_window()), look).await {
                    Ok(members) => members,
                    Err(_) => return,
                },
            };
            let longest = self.longest_window();
            match members {
                Ok(members) if everyone_has(&members, epoch, longest) => return,
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "the members are out of reach"),
            }
            #[cfg(test)]
            self.settings.probes.pause(Point::Looked).await;
            looks += 1;
            if looks >= AT_ONCE {
                sleep(pause.min(left(longest))).await;
            }
            if looks > SOON {
                pause = (pause * 2).min(LOOK_MOST);
            }
            if left(longest).is_zero() {
                return;
            }
        }
    }

    /// The members; their windows are remembered.
    pub(super) async fn look_at_members(&self) -> StoreResult<Members> {
        let members = self.store.members().await?;
        let longest = longest_of(&members, Duration::ZERO).as_nanos();
        let longest = u64::try_from(longest).unwrap_or(u64::MAX);
        self.longest_window.fetch_max(longest, Ordering::Relaxed);
        Ok(members)
    }

    /// The longest window, ours or one that was listed since this process began. What is remembered of another
    /// counts when the list is out of reach: who is silent may be the one with the longest.
    fn longest_window(&self) -> Duration {
        let seen = self.longest_window.load(Ordering::Relaxed);
        self.settings.window.max(Duration::from_nanos(seen))
    }
}

/// Whether the list is complete, and everybody on it whose window may be open has applied `epoch`. Who is
/// not on a list that is older than the longest window has had time to get there. (The server's times are
/// whole ms, rounded down: only what is more than Δ later is surely Δ later.)
fn everyone_has(members: &Members, epoch: Epoch, longest: Duration) -> bool {
    let over = |since: u64, window: Duration| since.saturating_add(millis(window));
    let complete = members
        .since
        .is_some_and(|since| over(since, longest) < members.now);
    let has = |member: &Member| {
        let silent = over(member.beat, member.window) < members.now;
        silent || member.applied.is_some_and(|tick| tick >= epoch.tick)
    };
    complete && members.clock.inc == epoch.inc && members.all.iter().all(has)
}

/// The longest window of those that are listed, ours and those that were.
fn longest_of(members: &Members, known: Duration) -> Duration {
    let all = members.all.iter().map(|member| member.window);
    all.fold(known, Duration::max)
}

/// In whole ms of the server, which has begun the first one and not ended the last.
fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELTA: Duration = Duration::from_secs(1);

    fn member(applied: Option<u64>, beat: u64) -> Member {
        Member {
            name: "m".into(),
            window: DELTA,
            applied,
            beat,
        }
    }

    fn members(since: Option<u64>, all: Vec<Member>) -> Members {
        Members {
            clock: Epoch::new(1, 50),
            now: 10_000,
            since,
            all,
        }
    }

    #[test]
    fn everyone_has_it_when_the_list_is_complete_and_each_has_applied_it_or_is_silent() {
        let has = |m: &Members| everyone_has(m, Epoch::new(1, 40), DELTA);
        let (with, without) = (member(Some(40), 9_900), member(Some(39), 9_900));
        assert!(has(&members(Some(0), vec![with.clone()])));
        assert!(!has(&members(Some(0), vec![with.clone(), without])));
        assert!(
            has(&members(Some(0), vec![with.clone(), member(None, 8_999)])),
            "silent for Δ"
        );
        assert!(
            !has(&members(Some(0), vec![member(None, 9_000)])),
            "one that resyncs has not"
        );
        assert!(
            !has(&members(Some(9_500), vec![with.clone()])),
            "the list is younger than Δ"
        );
        assert!(!has(&members(None, vec![])), "there is no list");
        assert!(
            !everyone_has(&members(Some(0), vec![with]), Epoch::new(2, 1), DELTA),
            "another life"
        );
    }

    #[test]
    fn the_longest_window_of_all_says_when_a_list_is_complete() {
        let slow = Member {
            window: 4 * DELTA,
            ..member(Some(40), 9_900)
        };
        let young = members(Some(7_000), vec![slow]);
        let longest = longest_of(&young, DELTA);
        assert_eq!(longest, 4 * DELTA);
        assert_eq!(
            longest_of(&young, 5 * DELTA),
            5 * DELTA,
            "known from before"
        );
        assert!(
            !everyone_has(&young, Epoch::new(1, 40), longest),
            "one with as long a window may still be missing"
        );
        let old = members(Some(5_999), young.all);
        assert!(everyone_has(&old, Epoch::new(1, 40), longest));
    }

    #[test]
    fn times_that_nobody_wrote_do_not_overflow() {
        let foreign = Member {
            window: Duration::MAX,
            ..member(None, u64::MAX)
        };
        let members = members(Some(u64::MAX), vec![foreign]);
        let longest = longest_of(&members, DELTA);
        assert!(!everyone_has(&members, Epoch::new(1, 40), longest));
    }

    #[test]
    fn a_part_of_a_ms_counts_as_a_whole_one() {
        assert_eq!(millis(Duration::from_micros(1_001)), 2);
        assert_eq!(millis(DELTA), 1_000);
    }
}
