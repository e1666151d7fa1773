//! What a shared store was asked, step by step: how long it took, and what it could not do.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use serde::{Serialize, Serializer};
use tracing::Instrument as _;

use super::bump;
use super::histogram::{Histogram, Timer};
use crate::error::ErrorKind;
use crate::spans;
use crate::store::StoreResult;

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What a store is asked to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Step { $($(#[$doc])* $name,)* }

        impl Step {
            /// Every step, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The step's word, the same everywhere.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

steps! {
    /// Read an entry, alone or with the clock and its tags; place a lease where there is none.
    Read = "read",
    /// Read several entries.
    ReadMany = "read_many",
    /// Place, extend or give back a lease.
    Lease = "lease",
    /// Make the records of tags that are missing.
    Tags = "tags",
    /// Store a loaded value under its lease.
    Fill = "fill",
    /// Store values that the caller brings.
    Write = "write",
    /// Carry out an invalidation and log it.
    Invalidate = "invalidate",
    /// Read the clock.
    Clock = "clock",
    /// Read the log, or the list of those who follow it.
    Log = "log",
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How a step of the store went, each time it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StepStats {
    /// How long it took, failures included.
    pub time: Histogram,
    /// Times there was no connection, or no answer in time.
    pub unavailable: u64,
    /// Times the store answered that it could not, or may not.
    pub refused: u64,
}

#[derive(Debug, Default)]
struct Calling {
    time: Timer,
    unavailable: AtomicU64,
    refused: AtomicU64,
}

/// What a store was asked.
#[derive(Debug, Default)]
pub(crate) struct Calls([Calling; Step::ALL.len()]);

impl Calls {
    /// Waits for an answer of the store, and notes how that went. Pinned by its caller: taken by value it
    /// would be there twice in what a caller holds.
    pub(crate) async fn note<T>(
        &self,
        step: Step,
        answer: Pin<&mut impl Future<Output = StoreResult<T>>>,
    ) -> StoreResult<T> {
        let began = Instant::now();
        let span = spans::store(step);
        let answer = answer.instrument(span.clone()).await;
        let calling = &self.0[step as usize];
        calling.time.record(began.elapsed());
        let outcome = match &answer {
            Ok(_) => "answered",
            Err(error) if error.kind == ErrorKind::Unavailable => {
                bump(&calling.unavailable);
                "unavailable"
            }
            Err(_) => {
                bump(&calling.refused);
                "refused"
            }
        };
        spans::ended(&span, outcome);
        answer
    }

    /// Who takes the time of each step.
    #[cfg(all(feature = "redis", any(feature = "metrics", feature = "opentelemetry")))]
    pub(crate) fn timers(&self) -> impl Iterator<Item = (Step, &Timer)> {
        let all = Step::ALL.iter().zip(&self.0);
        all.map(|(step, calling)| (*step, &calling.time))
    }

    pub(crate) fn read(&self) -> BTreeMap<Step, StepStats> {
        let stats = |calling: &Calling| StepStats {
            time: calling.time.read(),
            unavailable: calling.unavailable.load(Relaxed),
            refused: calling.refused.load(Relaxed),
        };
        let all = Step::ALL.iter().zip(&self.0);
        all.map(|(step, calling)| (*step, stats(calling))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;
    use crate::store::StoreError;

    #[tokio::test]
    async fn answers_and_both_kinds_of_failure_are_told_apart() {
        let calls = Calls::default();
        let answers = [
            Ok(()),
            Err(StoreError::unavailable("away")),
            Err(StoreError::new(ErrorKind::Denied, "no")),
        ];
        for answer in answers {
            let _ = calls.note(Step::Fill, pin!(async { answer })).await;
        }
        let all = calls.read();
        let fill = all[&Step::Fill];
        assert_eq!(fill.time.count(), 3);
        assert_eq!((fill.unavailable, fill.refused), (1, 1));
        assert_eq!(all[&Step::Read], StepStats::default());
        assert_eq!(all.len(), Step::ALL.len());
    }
}
