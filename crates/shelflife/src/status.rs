//! How a read was answered: data for `Cache-Status`, logs and metrics.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde::Serialize;

use crate::reason::Reason;

/// What a read was answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A fresh stored value.
    Hit,
    /// A stored value past its fresh time, or marked by a soft invalidation.
    Stale,
    /// No stored value: it was loaded, or there is none.
    Miss,
    /// The cache was not asked.
    Bypass,
}

/// Which tier a stored value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// This process.
    L1,
    /// The shared store.
    L2,
}

/// How a read was answered.
///
/// Its `Display` is the value of a `Cache-Status` field (RFC 9211): `shelflife; hit; ttl=29;
/// detail=l1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    pub(crate) outcome: Outcome,
    pub(crate) tier: Option<Tier>,
    pub(crate) reason: Reason,
    pub(crate) ttl: Option<i64>,
    pub(crate) stored: bool,
    pub(crate) collapsed: bool,
}

impl Status {
    pub(crate) const fn miss(reason: Reason) -> Self {
        Self {
            outcome: Outcome::Miss,
            tier: None,
            reason,
            ttl: None,
            stored: false,
            collapsed: false,
        }
    }

    /// The same answer, served as stale. What a soft invalidation marked has no fresh time left.
    pub(crate) fn stale(mut self, reason: Reason) -> Self {
        self.outcome = Outcome::Stale;
        self.reason = reason;
        self.ttl = self.ttl.filter(|ms| *ms < 0);
        self
    }

    /// What the read was answered with.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Which tier the value came from, if it was stored.
    pub fn tier(&self) -> Option<Tier> {
        self.tier
    }

    /// Why: for a hit `fresh`, else what stood in the way of one.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// How long the value is still fresh; `None` for a stale one or when it was not stored.
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl
            .and_then(|ms| u64::try_from(ms).ok())
            .map(Duration::from_millis)
    }

    /// Whether a loaded value was stored.
    pub fn stored(&self) -> bool {
        self.stored
    }

    /// Whether the load was another caller's, shared.
    pub fn collapsed(&self) -> bool {
        self.collapsed
    }
}

impl fmt::Display for Status {
    // RFC 9211 §2: hit; fwd=<reason>; ttl (seconds, negative when stale); stored; collapsed; detail.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shelflife")?;
        match self.outcome {
            Outcome::Hit | Outcome::Stale => f.write_str("; hit")?,
            Outcome::Miss => f.write_str("; fwd=miss")?,
            Outcome::Bypass => f.write_str("; fwd=bypass")?,
        }
        if let Some(ms) = self.ttl {
            write!(f, "; ttl={}", ms.div_euclid(1000))?;
        }
        if self.stored {
            f.write_str("; stored")?;
        }
        if self.collapsed {
            f.write_str("; collapsed")?;
        }
        match (self.tier, self.reason) {
            (Some(Tier::L1), Reason::Fresh) => f.write_str("; detail=l1"),
            (Some(Tier::L2), Reason::Fresh) => f.write_str("; detail=l2"),
            (_, reason) => write!(f, "; detail={reason}"),
        }
    }
}

/// What a lookup found.
#[derive(Clone, Debug)]
pub struct Lookup<T> {
    /// The value, if there is one.
    pub value: Option<T>,
    /// How the read was answered.
    pub status: Status,
}

/// What a read that may load gave.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The value.
    pub value: T,
    /// How the read was answered.
    pub status: Status,
}

tokio::task_local! {
    static OBSERVED: Cell<Option<Status>>;
}

/// Runs a future and tells how the last cached read in it was answered; `None` if there was none.
///
/// For code that calls a `#[cached]` function and wants to send a `Cache-Status`. Reads in tasks that
/// the future spawns are not seen.
pub async fn observe<F: Future>(future: F) -> (F::Output, Option<Status>) {
    OBSERVED
        .scope(Cell::new(None), async {
            let output = future.await;
            (output, OBSERVED.with(Cell::get))
        })
        .await
}

/// Tells an enclosing [`observe`], if there is one.
pub(crate) fn report(status: impl FnOnce() -> Status) {
    let _ = OBSERVED.try_with(|cell| cell.set(Some(status())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_reads_as_cache_status() {
        let hit = Status {
            outcome: Outcome::Hit,
            tier: Some(Tier::L1),
            reason: Reason::Fresh,
            ttl: Some(29_999),
            stored: false,
            collapsed: false,
        };
        assert_eq!(hit.to_string(), "shelflife; hit; ttl=29; detail=l1");
        let stale = Status {
            outcome: Outcome::Stale,
            reason: Reason::LoadFailed,
            ttl: Some(-1),
            ..hit
        };
        assert_eq!(
            stale.to_string(),
            "shelflife; hit; ttl=-1; detail=load_failed"
        );
        let miss = Status {
            stored: true,
            collapsed: true,
            ..Status::miss(Reason::Absent)
        };
        assert_eq!(
            miss.to_string(),
            "shelflife; fwd=miss; stored; collapsed; detail=absent"
        );
    }

    #[tokio::test]
    async fn observe_sees_the_last_read_inside_it() {
        let (_, none) = observe(async {}).await;
        assert_eq!(none, None);
        let (_, seen) = observe(async {
            report(|| Status::miss(Reason::Absent));
            report(|| Status::miss(Reason::TagNewer));
        })
        .await;
        assert_eq!(seen.map(|s| s.reason()), Some(Reason::TagNewer));
    }
}
