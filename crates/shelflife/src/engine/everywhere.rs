//! Everywhere: waiting until every process has applied an invalidation (PROTOCOL §8).

use std::time::Duration;

use super::Engine;
use crate::epoch::Epoch;
#[cfg(test)]
use crate::probe::Point;
use crate::store::{Member, Members};

/// Between two looks at the members.
const LOOK: Duration = Duration::from_millis(1);
const LOOK_MOST: Duration = Duration::from_millis(8);

impl Engine {
    /// Returns when every process that lives has applied `epoch`, at the latest when the windows of
    /// those that are silent have closed. Without the store it is that time that passes.
    pub(crate) async fn everywhere(&self, epoch: Epoch) {
        if self.store.is_private() {
            return;
        }
        // The invalidation was carried out before this: counted from here, Δ is long enough.
        let mut last = tokio::time::Instant::now() + self.settings.window;
        let mut pause = LOOK;
        while tokio::time::Instant::now() < last {
            match self.store.members().await {
                Ok(members) if everyone_has(&members, epoch, self.settings.window) => return,
                Ok(members) => last = last.max(latest(&members, last, self.settings.window)),
                Err(error) => tracing::debug!(%error, "the members are out of reach"),
            }
            #[cfg(test)]
            self.settings.probes.pause(Point::Looked).await;
            tokio::time::sleep(
                pause.min(last.saturating_duration_since(tokio::time::Instant::now())),
            )
            .await;
            pause = (pause * 2).min(LOOK_MOST);
        }
    }
}

/// Whether the list is complete, and everybody on it whose window may be open has applied `epoch`.
fn everyone_has(members: &Members, epoch: Epoch, delta: Duration) -> bool {
    let complete = members
        .since
        .is_some_and(|since| since + millis(delta) <= members.now);
    let has = |member: &Member| {
        let silent = member.beat + millis(member.window) < members.now;
        silent || member.applied.is_some_and(|tick| tick >= epoch.tick)
    };
    complete && members.clock.inc == epoch.inc && members.all.iter().all(has)
}

/// A member with a longer window than ours must be waited for that long.
fn latest(members: &Members, last: tokio::time::Instant, delta: Duration) -> tokio::time::Instant {
    let longest = members.all.iter().map(|m| m.window).max().unwrap_or(delta);
    last - delta + longest.max(delta)
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX / 4)
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
}
