//! Histories with a planted violation, and their neighbours that are none.

mod excused;

use super::*;
use crate::record::Tier;
use crate::world::{ITEMS, Target};

const DELTA: Stamp = 1_000;
const T: Stamp = 50_000_000_000;
const HERE: Process = 1;
const THERE: Process = 2;
const KEY: u8 = 3;

/// The source went from 6 to 7, and that was confirmed at `T` by `HERE`.
fn confirmed(target: Target) -> Confirmed {
    Confirmed {
        target,
        soft: false,
        everywhere: false,
        called: T - 10,
        confirmed: T,
        inc: 1,
        tick: 70,
        named: target.names().into_iter().map(|key| (key, 7)).collect(),
    }
}

fn read(began: Stamp, version: u64) -> Read {
    Read {
        key: KEY,
        level: Level::Bounded,
        stale: false,
        tier: Tier::L1,
        began,
        ended: began + 5,
        of: KEY,
        version,
        held: None,
    }
}

fn checker(history: &[Confirmed]) -> Checker {
    let mut checker = Checker::new(DELTA, 10 * DELTA);
    for what in history {
        checker.confirmed(HERE, what);
    }
    checker
}

fn breaks(history: &[Confirmed], process: Process, read: Read) -> Option<Promise> {
    checker(history)
        .read(process, &read)
        .err()
        .map(|violation| violation.promise)
}

#[test]
fn a_bounded_read_may_be_older_up_to_the_bound_and_no_longer() {
    for target in [
        Target::Key(KEY),
        Target::Tag(KEY % ITEMS),
        Target::Group(KEY / ITEMS),
        Target::Glob(KEY % ITEMS),
        Target::Event(KEY % ITEMS),
        Target::All,
        Target::Write(KEY),
    ] {
        let history = [confirmed(target)];
        let breaks = |began, version| breaks(&history, THERE, read(began, version));
        assert_eq!(breaks(T + DELTA, 6), None, "{target:?}: just inside");
        assert_eq!(
            breaks(T + DELTA + 1, 6),
            Some(Promise::Bound),
            "{target:?}: planted"
        );
        assert_eq!(breaks(T + DELTA + 1, 7), None, "{target:?}");
        assert_eq!(breaks(T + 100 * DELTA, 6), Some(Promise::Bound));
    }
}

#[test]
fn what_an_invalidation_does_not_name_is_not_bound_by_it() {
    for target in [
        Target::Key(KEY + 1),
        Target::Tag(KEY % ITEMS + 1),
        Target::Group(KEY / ITEMS + 1),
        Target::Glob(ITEMS + 1),
    ] {
        let late = read(T + 2 * DELTA, 6);
        assert_eq!(
            breaks(&[confirmed(target)], THERE, late),
            None,
            "{target:?}"
        );
    }
}

#[test]
fn the_process_that_invalidated_sees_it_at_once() {
    let history = [confirmed(Target::Key(KEY))];
    assert_eq!(breaks(&history, HERE, read(T + 1, 6)), Some(Promise::Own));
    assert_eq!(breaks(&history, HERE, read(T + 1, 7)), None);
    assert_eq!(breaks(&history, THERE, read(T + 1, 6)), None);
}

#[test]
fn after_everywhere_everyone_sees_it_at_once() {
    let history = [Confirmed {
        everywhere: true,
        ..confirmed(Target::All)
    }];
    assert_eq!(
        breaks(&history, THERE, read(T + 1, 6)),
        Some(Promise::Everywhere)
    );
    assert_eq!(breaks(&history, THERE, read(T + 1, 7)), None);
}

#[test]
fn a_strict_read_sees_what_was_confirmed_before_it_began() {
    let strict = |began, version| Read {
        level: Level::Strict,
        ..read(began, version)
    };
    let history = [confirmed(Target::Tag(KEY))];
    assert_eq!(
        breaks(&history, THERE, strict(T + 1, 6)),
        Some(Promise::Strict)
    );
    assert_eq!(breaks(&history, THERE, strict(T + 1, 7)), None);
    // One that began earlier is fed before it, and not bound.
    let mut checker = checker(&[]);
    assert!(checker.read(THERE, &strict(T, 6)).is_ok());
}

#[test]
fn a_session_sees_its_receipt_and_what_came_before_it() {
    let held = |version, inc, tick| {
        Some(Held {
            version,
            soft: false,
            inc,
            tick,
            given: T,
        })
    };
    let session = |version, held| Read {
        level: Level::Session,
        held,
        ..read(T + 1, version)
    };
    // Not even its invalidation need be known: the read holds it.
    assert_eq!(
        breaks(&[], THERE, session(6, held(7, 1, 70))),
        Some(Promise::Receipt)
    );
    assert_eq!(breaks(&[], THERE, session(7, held(7, 1, 70))), None);
    // Its receipt is of a later invalidation than the one that it misses.
    let history = [confirmed(Target::Key(KEY))];
    assert_eq!(
        breaks(&history, THERE, session(6, held(5, 1, 70))),
        Some(Promise::UpToReceipt)
    );
    assert_eq!(breaks(&history, THERE, session(6, held(5, 1, 69))), None);
    assert_eq!(
        breaks(&history, THERE, session(6, held(5, 2, 99))),
        None,
        "epochs of two incarnations don't compare"
    );
}

#[test]
fn a_soft_invalidation_binds_answers_that_pretend_to_be_fresh() {
    let soft = Confirmed {
        soft: true,
        ..confirmed(Target::Key(KEY))
    };
    let late = read(T + DELTA + 1, 6);
    let marked = Read {
        stale: true,
        ..late
    };
    let breaks = |what: &Confirmed, read| breaks(std::slice::from_ref(what), THERE, read);
    assert_eq!(breaks(&soft, late), Some(Promise::Bound));
    assert_eq!(breaks(&soft, marked), None);
    assert_eq!(
        breaks(&confirmed(Target::Key(KEY)), marked),
        Some(Promise::Bound),
        "a hard one binds what is marked too"
    );
    let held = Held {
        version: 7,
        soft: true,
        inc: 1,
        tick: 70,
        given: T,
    };
    let session = |stale| Read {
        stale,
        level: Level::Session,
        held: Some(held),
        ..read(T + 1, 6)
    };
    assert_eq!(breaks(&soft, session(false)), Some(Promise::Receipt));
    assert_eq!(breaks(&soft, session(true)), None);
}

#[test]
fn a_floor_never_falls() {
    let older = Confirmed {
        confirmed: T + 5,
        named: vec![(KEY, 4)],
        ..confirmed(Target::Key(KEY))
    };
    let history = [confirmed(Target::Key(KEY)), older];
    let late = T + DELTA + 10;
    assert_eq!(breaks(&history, THERE, read(late, 5)), Some(Promise::Bound));
    assert_eq!(breaks(&history, THERE, read(late, 7)), None);
}

#[test]
fn the_value_of_another_key_is_a_violation() {
    let stray = Read {
        of: KEY + 1,
        ..read(T, 9)
    };
    assert_eq!(breaks(&[], HERE, stray), Some(Promise::RightKey));
}

#[test]
fn a_read_counts_as_bound_only_by_what_is_young() {
    let kept = |began, process| {
        let mut checker = checker(&[confirmed(Target::Key(KEY))]);
        checker.read(process, &read(began, 7)).unwrap()
    };
    assert!(!checker(&[]).read(THERE, &read(T, 1)).unwrap().binding);
    assert!(!kept(T + DELTA, THERE).binding, "not yet");
    assert!(kept(T + DELTA + 1, THERE).binding);
    assert!(!kept(T + 11 * DELTA, THERE).binding, "long ago");
    assert!(kept(T + 1, HERE).binding);
    let mut checker = checker(&[confirmed(Target::Key(KEY))]);
    assert!(checker.read(THERE, &read(T + 1, 6)).unwrap().lagging);
    assert!(!checker.read(THERE, &read(T + 1, 7)).unwrap().lagging);
}
