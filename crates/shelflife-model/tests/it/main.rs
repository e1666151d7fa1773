//! The short form of `make model`: every scenario that is quick, and every guard that is needed.

use std::time::Duration;

use shelflife_model::{Explored, Guard, SCENARIOS, Scenario, Shown, explore};

/// Far more than any of them takes.
const MOST: Duration = Duration::from_secs(300);

fn run(scenario: &str, without: &[Guard]) -> Explored {
    let Some(scenario) = Scenario::of(scenario) else {
        panic!("no scenario {scenario}");
    };
    explore(scenario, without, 1, MOST, None)
}

fn assert_kept(scenario: &str, without: &[Guard]) {
    let explored = run(scenario, without);
    if let Some(found) = explored.counterexample {
        panic!("{scenario} without {without:?}\n{}", found.trace);
    }
    assert!(!explored.cut, "{scenario} took too long to tell");
}

#[test]
fn the_promise_is_kept_in_every_quick_scenario() {
    for scenario in SCENARIOS.iter().filter(|s| !s.long) {
        assert_kept(scenario.name, &[]);
    }
}

#[test]
fn without_a_guard_its_scenario_breaks_the_promise() {
    for &guard in Guard::ALL {
        let (scenario, without) = match guard.shown() {
            Shown::In(scenario) => (scenario, vec![guard]),
            Shown::With(other, scenario) => (scenario, vec![guard, other]),
            Shown::Kept(..) => continue,
        };
        let broken = run(scenario, &without).counterexample.is_some();
        assert!(broken, "{scenario} keeps the promise without {without:?}");
    }
}

#[test]
fn guards_that_are_kept_for_other_reasons_are_not_needed_where_they_were_looked_for() {
    for &guard in Guard::ALL {
        match guard.shown() {
            Shown::Kept(scenarios, _) => {
                let quick = |name: &&&str| Scenario::of(name).is_some_and(|s| !s.long);
                for scenario in scenarios.iter().filter(quick) {
                    assert_kept(scenario, &[guard]);
                }
            }
            Shown::With(_, scenario) => assert_kept(scenario, &[guard]),
            Shown::In(_) => {}
        }
    }
}

#[test]
fn guards_and_scenarios_have_words_of_their_own() {
    for (i, guard) in Guard::ALL.iter().enumerate() {
        assert_eq!(Guard::of(guard.word()), Some(*guard), "{i}");
    }
    for scenario in SCENARIOS {
        assert_eq!(Scenario::of(scenario.name).unwrap().name, scenario.name);
        assert!(!scenario.about.is_empty());
    }
}
