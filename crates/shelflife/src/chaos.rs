//! Faults on purpose: how an application fares while the cache's store, its log or its own sources are
//! slow, fail, freeze or lose answers. Without a server to kill, and the same in every run. Feature `chaos`.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use shelflife::chaos::{Faults, Target};
//! use shelflife::{Cache, ErrorKind};
//!
//! let faults = Faults::new();
//! let cache = Cache::builder().chaos(&faults).build().await?;
//! cache.set("users:42", 1).await?;
//!
//! {
//!     let _outage = faults.down();
//!     // Reads do without the cache; writes and invalidations tell the truth.
//!     let loaded = cache.get_or_load("orders:7", || async { Ok::<_, std::convert::Infallible>(2) }).await?;
//!     assert_eq!(loaded, 2);
//!     let refused = cache.delete("users:42").await.unwrap_err();
//!     assert_eq!(refused.kind(), ErrorKind::Unavailable);
//! }
//!
//! // Healed. The next two fills are lost on their way.
//! let lost = faults.on(Target::Writes).next(2).error();
//! let again = cache.get_or_load("orders:8", || async { Ok::<_, std::convert::Infallible>(3) }).await?;
//! assert_eq!(again, 3);
//! assert!(lost.struck() > 0);
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! | fault | a step of the store, or of the log | a load |
//! |---|---|---|
//! | `error` | fails at once, and has not happened | fails, and the loader is not called |
//! | `delay` | happens later; from `timeout` on it counts as not answered, and does not happen | happens later |
//! | `freeze` | waits until the fault ends, then happens; from `timeout` on it counts as not answered | waits until the fault ends |
//! | `lose` | happens, and fails: the answer is lost | the loader is called, and what it gives is lost |
//!
//! A fault holds from when it is made until its [`Guard`] is dropped: for each step, for the
//! [`next`](Fault::next) few, or for some by [`chance`](Fault::chance). Several may hold at once: delays add up,
//! and the oldest of the others decides. L1 is not a step: what this process's memory may answer, it answers.
//!
//! Must not: be in a build that serves; it is for tests. Where the feature is on and no faults are installed,
//! a step costs one look at an `Option`.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

pub(crate) mod around;
mod rules;

pub(crate) use around::Installed;
use rules::{Kind, Met, Rule, Rules};

/// What a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// What is read from the store: entries, the clock.
    Reads,
    /// What is written to it: leases, fills, sets, invalidations.
    Writes,
    /// What the log tells this process, and the beats by which it knows that it misses nothing. The embedded
    /// store has none.
    Log,
    /// What loaders do.
    Loads,
}

impl Target {
    /// Every target, in the order of declaration.
    pub const ALL: [Self; 4] = [Self::Reads, Self::Writes, Self::Log, Self::Loads];
    /// All that needs the store.
    const STORE: [Self; 3] = [Self::Reads, Self::Writes, Self::Log];

    /// The target's word, the same everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Log => "log",
            Self::Loads => "loads",
        }
    }
}

/// The faults of a cache, or of several: none, until one is made. Give it to
/// [`Builder::chaos`](crate::Builder::chaos). All clones are one.
#[derive(Clone)]
pub struct Faults(Arc<Shared>);

struct Shared {
    /// Held for a look or a change, never across a wait.
    rules: Mutex<Rules>,
    /// How many rules there are: whoever finds none looks no further.
    count: AtomicUsize,
    /// Told whenever a fault ends or strikes.
    changed: Notify,
}

impl Default for Faults {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.count.load(Ordering::SeqCst);
        f.debug_struct("Faults").field("count", &count).finish()
    }
}

impl Faults {
    /// No faults yet; those by chance fall the same way in every run.
    pub fn new() -> Self {
        Self::seeded(0)
    }

    /// The same, and another way for each seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Shared {
            rules: Mutex::new(Rules::seeded(seed)),
            count: AtomicUsize::new(0),
            changed: Notify::new(),
        }))
    }

    /// A fault that strikes each step of this kind, unless it is told which.
    pub fn on(&self, target: Target) -> Fault {
        Fault {
            faults: self.clone(),
            targets: vec![target],
            times: None,
            chance: 1.0,
        }
    }

    /// The store is away: everything that needs it fails at once.
    pub fn down(&self) -> Guard {
        self.on_store().error()
    }

    /// Everything that needs the store takes so much longer; from `timeout` on it counts as not answered.
    pub fn slow(&self, delay: Duration) -> Guard {
        self.on_store().delay(delay)
    }

    /// Loads fail, and their loaders are not called.
    pub fn failing_loads(&self) -> Guard {
        self.on(Target::Loads).error()
    }

    /// Lets faults by chance fall from now on as they do for this seed.
    pub fn reseed(&self, seed: u64) {
        self.change(|rules| rules.reseed(seed));
    }

    /// Ends all faults, whoever has their guards.
    pub fn heal(&self) {
        self.change(|rules| rules.all.clear());
    }

    fn on_store(&self) -> Fault {
        Fault {
            targets: Target::STORE.to_vec(),
            ..self.on(Target::Reads)
        }
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.0.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Rules) -> T) -> T {
        let done = {
            let mut rules = self.rules();
            let done = change(&mut rules);
            self.0.count.store(rules.all.len(), Ordering::SeqCst);
            done
        };
        self.0.changed.notify_waiters();
        done
    }

    /// What happens to a step; `None` where there are no faults at all.
    fn meet(&self, target: Target) -> Option<Met> {
        if self.0.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let met = self.rules().meet(target);
        self.0.changed.notify_waiters();
        Some(met)
    }

    /// Waits until something holds of the rules.
    async fn wait_for(&self, holds: impl Fn(&Rules) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            // Listening before the look: a change after it wakes.
            changed.as_mut().enable();
            if holds(&self.rules()) {
                return;
            }
            changed.await;
        }
    }
}

/// A fault about to be made: which steps it strikes, and then what happens to them.
#[must_use = "a fault does nothing until it is told what happens"]
#[derive(Clone, Debug)]
pub struct Fault {
    faults: Faults,
    targets: Vec<Target>,
    times: Option<u64>,
    chance: f64,
}

impl Fault {
    /// Strikes so many steps, and then no more.
    pub fn next(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Strikes each step with this probability, from 0 to 1.
    pub fn chance(mut self, chance: f64) -> Self {
        self.chance = chance.clamp(0.0, 1.0);
        self
    }

    /// They fail at once, and don't happen.
    pub fn error(self) -> Guard {
        self.make(Kind::Error)
    }

    /// They happen so much later.
    pub fn delay(self, delay: Duration) -> Guard {
        self.make(Kind::Delay(delay))
    }

    /// They wait until this fault ends.
    pub fn freeze(self) -> Guard {
        self.make(Kind::Freeze)
    }

    /// They happen, and their answers are lost.
    pub fn lose(self) -> Guard {
        self.make(Kind::Lose)
    }

    fn make(self, kind: Kind) -> Guard {
        let Self {
            faults,
            targets,
            times,
            chance,
        } = self;
        let struck = Arc::new(AtomicU64::new(0));
        let rule = Rule {
            id: 0,
            targets,
            left: times,
            chance,
            kind,
            struck: struck.clone(),
        };
        let id = faults.change(|rules| rules.add(rule));
        Guard {
            faults,
            id,
            struck,
            kept: false,
        }
    }
}

/// A fault that holds. Dropped, it ends, and what it froze goes on.
#[must_use = "a fault ends when its guard is dropped: `let _ = …` ends it at once"]
#[derive(Debug)]
pub struct Guard {
    faults: Faults,
    id: u64,
    struck: Arc<AtomicU64>,
    kept: bool,
}

impl Guard {
    /// How many steps it has struck so far.
    pub fn struck(&self) -> u64 {
        self.struck.load(Ordering::SeqCst)
    }

    /// Waits until it has struck so many steps: then one that it freezes stands still.
    pub async fn has_struck(&self, times: u64) {
        self.faults.wait_for(|_| self.struck() >= times).await;
    }

    /// Lets it hold until [`Faults::heal`].
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.kept {
            self.faults.change(|rules| rules.remove(self.id));
        }
    }
}
