//! Exploring a scenario, breadth first, and what came of it.

use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::guard::Guard;
use crate::rules::Rules;
use crate::scenario::Scenario;
use crate::tell::trace;

/// Between two tellings of how far it is.
const TELL: Duration = Duration::from_millis(500);

/// What an exploration came to.
#[derive(Clone, Debug)]
pub struct Explored {
    /// How many states there are.
    pub states: usize,
    /// How many steps the longest of the shortest ways to a state has.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether it was cut short.
    pub cut: bool,
    /// The way to a broken promise, if there is one.
    pub counterexample: Option<Counterexample>,
}

/// A way to a broken promise; the shortest, when one thread has looked.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// How many steps it has.
    pub steps: usize,
    /// A line for each.
    pub trace: String,
}

/// Is told states and depth now and then.
pub type Progress<'a> = &'a mut dyn FnMut(usize, usize);

/// Explores a scenario with some guards off, until it is exhausted, a promise is broken, or the time is up.
pub fn explore(
    scenario: &Scenario,
    without: &[Guard],
    threads: usize,
    most: Duration,
    progress: Option<Progress<'_>>,
) -> Explored {
    let began = Instant::now();
    let rules = Rules::of(scenario, without);
    let checker = rules
        .clone()
        .checker()
        .threads(threads)
        .finish_when(HasDiscoveries::Any)
        .timeout(most)
        .spawn_bfs();
    if let Some(progress) = progress {
        let mut told = Instant::now();
        while !checker.is_done() && began.elapsed() < most {
            std::thread::sleep(Duration::from_millis(10));
            if told.elapsed() >= TELL {
                progress(checker.unique_state_count(), checker.max_depth());
                told = Instant::now();
            }
        }
    }
    let checker = checker.join();
    let took = began.elapsed();
    let found = checker.discovery("kept").map(Path::into_vec);
    let counterexample = found.map(|steps| Counterexample {
        steps: steps.len() - 1,
        trace: trace(&rules, &steps),
    });
    Explored {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        cut: counterexample.is_none() && took >= most,
        took,
        counterexample,
    }
}
