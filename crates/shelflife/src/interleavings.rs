//! Interleavings inside the process, explored with shuttle: `make shuttle`.
//!
//! A scene is a function that starts threads and asserts what must hold. It is run again and again, each
//! time in another order of its steps: at random, with few preemptions at places that matter (PCT), or,
//! where a scene is small enough, in every order there is.
//!
//! ```text
//! local/cells/interleavings.rs     hits against raises; cells that are attached, swept, learned
//! engine/flight/interleavings.rs   one leader, a landing for everyone, no lost wake-up
//! engine/interleavings/            L1 insertion, the tag table, the window; on the real engine
//! ```
//!
//! Each scene comes with ways to get it wrong: a guard left out, two steps exchanged. For each of them
//! the exploration has to [find](finds) the violation, or it would not be known to see any.
//!
//! What it does not see: atomics are sequentially consistent here, so orderings weaker than that are
//! argued for beside them, not explored; and what libraries do inside is one step.
//!
//! Must not: sleep, read a clock, leave anything to the machine's own scheduling.

use std::panic::{AssertUnwindSafe, catch_unwind};

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, Runner};

/// Where the random ones begin; `SHUTTLE_RANDOM_SEED` begins elsewhere.
const SEED: u64 = 7;
/// How many orders of each kind, times [`factor`].
const ORDERS: usize = 300;
/// How many preemptions PCT places.
const PREEMPTIONS: usize = 3;
/// After so many orders of each kind, one attempt after the other, a violation must have been found.
const FOUND_WITHIN: [usize; 4] = [300, 3_000, 10_000, 100_000];

/// How much longer than in `make test`.
fn factor() -> usize {
    let set = std::env::var("SHELFLIFE_TEST_INTERLEAVINGS");
    set.map_or(1, |text| text.parse().expect("a factor"))
}

fn run(
    scheduler: impl Scheduler + 'static,
    silent: bool,
    scene: impl Fn() + Send + Sync + 'static,
) {
    let mut config = Config::new();
    // An engine is more than a coroutine's usual stack holds.
    config.stack_size = 1 << 18;
    config.silence_warnings = true;
    if silent {
        config.failure_persistence = FailurePersistence::None;
    }
    Runner::new(scheduler, config).run(scene);
}

/// Explores a scene: it must hold in every order that is tried.
pub(crate) fn explore(scene: impl Fn() + Clone + Send + Sync + 'static) {
    let orders = ORDERS * factor();
    let random = RandomScheduler::new_from_seed(SEED, orders);
    run(random, false, scene.clone());
    let pct = PctScheduler::new_from_seed(SEED, PREEMPTIONS, orders);
    run(pct, false, scene);
}

/// Runs a small scene in every order there is.
pub(crate) fn exhaust(scene: impl Fn() + Send + Sync + 'static) {
    run(DfsScheduler::new(None, false), false, scene);
}

/// Explores a scene that is wrong: the violation must be found, and be the one that is named.
pub(crate) fn finds(violation: &str, scene: impl Fn() + Clone + Send + Sync + 'static) {
    let found = FOUND_WITHIN.into_iter().find_map(|orders| {
        let seed = SEED + orders as u64;
        let random = RandomScheduler::new_from_seed(seed, orders);
        let pct = PctScheduler::new_from_seed(seed, PREEMPTIONS, orders);
        outcome(random, scene.clone()).or_else(|| outcome(pct, scene.clone()))
    });
    let found = found.expect("a guard is missing, and nothing was found");
    assert!(found.contains(violation), "another violation: {found}");
}

/// What a scene panicked with.
fn outcome(
    scheduler: impl Scheduler + 'static,
    scene: impl Fn() + Send + Sync + 'static,
) -> Option<String> {
    let end = catch_unwind(AssertUnwindSafe(|| run(scheduler, true, scene)));
    let panic = end.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Some(text.unwrap_or_default())
}
