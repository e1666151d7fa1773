//! Which fault strikes a step: pure decisions, but for the dice.
//!
//! Must not: wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Target;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Error,
    Delay(Duration),
    Freeze,
    Lose,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: u64,
    pub(super) targets: Vec<Target>,
    /// How many more steps it strikes; `None` for any number.
    pub(super) left: Option<u64>,
    pub(super) chance: f64,
    pub(super) kind: Kind,
    pub(super) struck: Arc<AtomicU64>,
}

/// What happens to a step: first the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Met {
    pub(super) delay: Duration,
    pub(super) then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Happens,
    Fails,
    /// Until the rule of this id is gone.
    Waits(u64),
    IsLost,
}

/// The faults there are, the oldest first.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) all: Vec<Rule>,
    next_id: u64,
    dice: fastrand::Rng,
}

impl Rules {
    pub(super) fn seeded(seed: u64) -> Self {
        Self {
            all: Vec::new(),
            next_id: 1,
            dice: fastrand::Rng::with_seed(seed),
        }
    }

    pub(super) fn reseed(&mut self, seed: u64) {
        self.dice = fastrand::Rng::with_seed(seed);
    }

    pub(super) fn add(&mut self, rule: Rule) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.all.push(Rule { id, ..rule });
        id
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.all.retain(|rule| rule.id != id);
    }

    pub(super) fn holds(&self, id: u64) -> bool {
        self.all.iter().any(|rule| rule.id == id)
    }

    /// What happens to a step of this kind. Of faults other than delays the first one that strikes decides, and no
    /// other is used up.
    pub(super) fn meet(&mut self, target: Target) -> Met {
        let mut met = Met {
            delay: Duration::ZERO,
            then: Then::Happens,
        };
        for rule in self
            .all
            .iter_mut()
            .filter(|rule| rule.targets.contains(&target))
        {
            let decided = met.then != Then::Happens && !matches!(rule.kind, Kind::Delay(_));
            // The dice are thrown whatever comes of it: what one fault does must not change another's luck.
            let struck = rule.chance >= 1.0 || self.dice.f64() < rule.chance;
            if decided || !struck || rule.left == Some(0) {
                continue;
            }
            if let Some(left) = &mut rule.left {
                *left -= 1;
            }
            rule.struck.fetch_add(1, Ordering::SeqCst);
            match rule.kind {
                Kind::Delay(delay) => met.delay = met.delay.saturating_add(delay),
                Kind::Error => met.then = Then::Fails,
                Kind::Freeze => met.then = Then::Waits(rule.id),
                Kind::Lose => met.then = Then::IsLost,
            }
        }
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(target: Target, kind: Kind) -> Rule {
        Rule {
            id: 0,
            targets: vec![target],
            left: None,
            chance: 1.0,
            kind,
            struck: Arc::default(),
        }
    }

    #[test]
    fn a_fault_strikes_its_target_as_often_as_it_says() {
        let mut rules = Rules::seeded(0);
        rules.add(Rule {
            left: Some(2),
            ..rule(Target::Reads, Kind::Error)
        });
        assert_eq!(rules.meet(Target::Writes).then, Then::Happens);
        let met: Vec<_> = (0..3).map(|_| rules.meet(Target::Reads).then).collect();
        assert_eq!(met, [Then::Fails, Then::Fails, Then::Happens]);
    }

    #[test]
    fn delays_add_up_and_the_oldest_of_the_others_decides() {
        let mut rules = Rules::seeded(0);
        let second = Duration::from_secs(1);
        rules.add(rule(Target::Loads, Kind::Delay(second)));
        let frozen = rules.add(rule(Target::Loads, Kind::Freeze));
        let failing = rule(Target::Loads, Kind::Error);
        let struck = failing.struck.clone();
        rules.add(failing);
        rules.add(rule(Target::Loads, Kind::Delay(second)));
        let met = rules.meet(Target::Loads);
        assert_eq!((met.delay, met.then), (2 * second, Then::Waits(frozen)));
        assert_eq!(struck.load(Ordering::SeqCst), 0);
        rules.remove(frozen);
        assert!(!rules.holds(frozen));
        assert_eq!(rules.meet(Target::Loads).then, Then::Fails);
    }

    #[test]
    fn chance_falls_the_same_way_for_the_same_seed() {
        let fall = |seed| {
            let mut rules = Rules::seeded(seed);
            rules.add(Rule {
                chance: 0.3,
                ..rule(Target::Reads, Kind::Lose)
            });
            let fell = (0..1000).map(|_| rules.meet(Target::Reads).then == Then::IsLost);
            fell.collect::<Vec<bool>>()
        };
        assert_eq!(fall(7), fall(7));
        assert_ne!(fall(7), fall(8));
        let often = fall(7).into_iter().filter(|fell| *fell).count();
        assert!((250..350).contains(&often), "{often}");
    }
}
