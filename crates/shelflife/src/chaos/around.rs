//! Faults carried out: round a step of a store, round a load.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::rules::Then;
use super::{Faults, Target};
use crate::counters::Step;
use crate::engine::load::SourceError;
use crate::store::{StoreError, StoreResult};

/// The faults that a cache was built with, if it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Installed {
    pub(crate) faults: Option<Faults>,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
}

impl From<Step> for Target {
    fn from(step: Step) -> Self {
        match step {
            Step::Read | Step::ReadMany | Step::Clock => Self::Reads,
            Step::Log => Self::Log,
            _ => Self::Writes,
        }
    }
}

impl Installed {
    /// A step of the store, with what befalls it. Pinned by its caller: taken by value it would be there
    /// twice in what a caller holds.
    pub(crate) async fn around<T>(
        &self,
        target: Target,
        step: Pin<&mut impl Future<Output = StoreResult<T>>>,
    ) -> StoreResult<T> {
        let Some(faults) = &self.faults else {
            return step.await;
        };
        let Some(met) = faults.meet(target) else {
            return step.await;
        };
        let timeout = self.timeout;
        let late = || StoreError::unavailable(format!("no answer within {timeout:?}, for a test"));
        if !met.delay.is_zero() {
            tokio::time::sleep(met.delay.min(timeout)).await;
            if met.delay >= timeout {
                return Err(late());
            }
        }
        match met.then {
            Then::Happens => step.await,
            Then::Fails => Err(StoreError::unavailable("the store is away, for a test")),
            Then::Waits(rule) => {
                let thawed = faults.wait_for(|rules| !rules.holds(rule));
                match tokio::time::timeout(timeout, thawed).await {
                    Ok(()) => step.await,
                    Err(_) => Err(late()),
                }
            }
            Then::IsLost => {
                step.await?;
                Err(StoreError::unavailable("the answer was lost, for a test"))
            }
        }
    }

    /// A load, with what befalls it.
    pub(crate) async fn around_load<T>(
        &self,
        load: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        let Some(met) = self.faults.as_ref().and_then(|f| f.meet(Target::Loads)) else {
            return load.await;
        };
        let failed = |text: &str| SourceError {
            error: Arc::new(()),
            text: text.into(),
        };
        if !met.delay.is_zero() {
            tokio::time::sleep(met.delay).await;
        }
        match met.then {
            Then::Happens => load.await,
            Then::Fails => Err(failed("a load that fails for a test")),
            Then::Waits(rule) => {
                if let Some(faults) = &self.faults {
                    faults.wait_for(|rules| !rules.holds(rule)).await;
                }
                load.await
            }
            Then::IsLost => {
                load.await?;
                Err(failed("what was loaded is lost, for a test"))
            }
        }
    }
}
