//! What a run of the model is played by: a scenario, and the guards that are off.

use std::sync::Arc;

use crate::call::{Step, steps};
use crate::guard::Guard;
use crate::scenario::Scenario;

/// A scenario, and the guards that are off.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// What there is, and how much of it may happen.
    pub(crate) scenario: Scenario,
    /// One bit for each guard that is off.
    off: u64,
    /// The steps of each call.
    pub(crate) steps: Vec<Arc<[Step]>>,
}

impl Rules {
    /// A scenario, and guards that are off.
    pub(crate) fn of(scenario: &Scenario, without: &[Guard]) -> Self {
        let mut rules = Self {
            scenario: scenario.clone(),
            off: without.iter().fold(0, |off, g| off | 1 << *g as u64),
            steps: Vec::new(),
        };
        let of = |c: &crate::scenario::CallSpec| steps(&rules, c.kind).into();
        rules.steps = scenario.calls.iter().map(of).collect();
        rules
    }

    /// Whether a guard is on.
    pub(crate) fn has(&self, guard: Guard) -> bool {
        self.off & (1 << guard as u64) == 0
    }
}
