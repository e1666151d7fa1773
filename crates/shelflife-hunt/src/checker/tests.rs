//! Histories with a planted violation, and their neighbours that are none.

use super::*;
use crate::excuse::{Held as HeldBack, Keys, LAG};
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

/// A primary was lost at this moment, and everyone had repeated what it had confirmed at that.
fn lost(from: Stamp, mended: Stamp) -> Vec<Excuse> {
    vec![Excuse {
        exception: Exception::Lost,
        since: from.saturating_sub(LAG),
        from,
        over: from,
        mended,
        keys: Keys::ALL,
        held: None,
    }]
}

fn judged(excuses: Vec<Excuse>, history: &[Confirmed], read: Read) -> Result<Kept, Promise> {
    let mut checker = checker(history);
    checker.excuse(1, excuses);
    let judged = checker.read(THERE, &read);
    judged.map_err(|violation| violation.promise)
}

#[test]
fn what_a_primary_may_have_lost_excuses_until_it_is_repeated_and_no_longer() {
    let history = [confirmed(Target::Key(KEY))];
    let late = |began| read(began, 6);
    let mended = T + 20 * DELTA;
    for (began, excused) in [
        (T + 2 * DELTA, true),
        (mended + DELTA, true),
        (mended + DELTA + 1, false),
    ] {
        let kept = judged(lost(T + 1, mended), &history, late(began));
        match excused {
            true => assert_eq!(kept.unwrap().excused, Some(Exception::Lost), "{began}"),
            false => assert_eq!(kept, Err(Promise::Bound), "{began}"),
        }
    }
    // A strict read is bound at once.
    let strict = |began| Read {
        level: Level::Strict,
        ..late(began)
    };
    assert!(judged(lost(T + 1, mended), &history, strict(mended)).is_ok());
    let kept = judged(lost(T + 1, mended), &history, strict(mended + 1));
    assert_eq!(kept, Err(Promise::Strict));
    // As long as it is not mended there is no end.
    assert!(judged(lost(T + 1, Stamp::MAX), &history, late(T + 90 * DELTA)).is_ok());
}

#[test]
fn what_was_confirmed_long_before_or_after_the_loss_is_not_excused() {
    let history = [confirmed(Target::Key(KEY))];
    let late = read(T + LAG + 5 * DELTA, 6);
    assert!(judged(lost(T + LAG, Stamp::MAX), &history, late).is_ok());
    let kept = judged(lost(T + LAG + 1, Stamp::MAX), &history, late);
    assert_eq!(kept, Err(Promise::Bound), "its replicas had it");
    // It was called after the loss: another primary has confirmed it.
    let kept = judged(lost(T - 11, Stamp::MAX), &history, read(T + 2 * DELTA, 6));
    assert_eq!(kept, Err(Promise::Bound));
    let kept = judged(lost(T - 10, Stamp::MAX), &history, read(T + 2 * DELTA, 6));
    assert!(kept.is_ok(), "it was under way");
    // It was called before, and confirmed when the loss was long over: by the successor.
    let long = Confirmed {
        called: T - 4 * LAG,
        ..confirmed(Target::Key(KEY))
    };
    let at = T + 2 * DELTA;
    let excuses = |from| lost(from, Stamp::MAX);
    let kept = judged(
        excuses(T - DELTA - LAG),
        std::slice::from_ref(&long),
        read(at, 6),
    );
    assert!(kept.is_ok(), "its answer may have been late");
    let kept = judged(excuses(T - DELTA - LAG - 1), &[long], read(at, 6));
    assert_eq!(kept, Err(Promise::Bound));
}

#[test]
fn what_is_on_a_node_that_was_not_lost_is_not_excused() {
    let history = [confirmed(Target::Key(KEY))];
    let of = |keys: Keys| {
        let excuses = lost(T + 1, Stamp::MAX).into_iter();
        let excuses = excuses.map(|excuse| Excuse { keys, ..excuse }).collect();
        judged(excuses, &history, read(T + 2 * DELTA, 6))
    };
    assert!(of([KEY].into_iter().collect()).is_ok());
    let others = (0..ALL_KEYS).filter(|key| *key != KEY).collect();
    assert_eq!(of(others), Err(Promise::Bound));
}

#[test]
fn who_has_repeated_its_own_is_bound_by_it_at_once() {
    let own = |began| {
        let mut checker = checker(&[confirmed(Target::Key(KEY))]);
        checker.excuse(1, lost(T + 1, T + 100));
        let judged = checker.read(HERE, &read(began, 6));
        judged.map_err(|violation| violation.promise)
    };
    assert!(own(T + 100).is_ok());
    assert_eq!(own(T + 101), Err(Promise::Own));
}

#[test]
fn what_is_not_lost_binds_beside_what_may_be() {
    let old = Confirmed {
        called: T - 2 * LAG - 10,
        confirmed: T - 2 * LAG,
        tick: 60,
        named: vec![(KEY, 5)],
        ..confirmed(Target::Key(KEY))
    };
    let history = [old, confirmed(Target::Key(KEY))];
    let excuses = || lost(T + 1, Stamp::MAX);
    let at = T + 2 * DELTA;
    assert!(judged(excuses(), &history, read(at, 5)).is_ok());
    let kept = judged(excuses(), &history, read(at, 4));
    assert_eq!(kept, Err(Promise::Bound), "version 5 was not lost");
}

#[test]
fn every_promise_is_excused_by_what_it_rests_on_and_the_wrong_key_by_nothing() {
    let held = Held {
        version: 7,
        soft: false,
        inc: 1,
        tick: 70,
        given: T + 3,
    };
    let with_receipt = Read {
        level: Level::Session,
        held: Some(held),
        ..read(T + 4, 6)
    };
    let everywhere = Confirmed {
        everywhere: true,
        ..confirmed(Target::Key(KEY))
    };
    let excuses = || lost(T + 1, Stamp::MAX);
    assert!(judged(excuses(), std::slice::from_ref(&everywhere), with_receipt).is_ok());
    let none = judged(Vec::new(), std::slice::from_ref(&everywhere), with_receipt);
    assert_eq!(none, Err(Promise::Everywhere));
    let other = Read {
        of: KEY + 1,
        ..read(T + 4, 6)
    };
    assert_eq!(
        judged(excuses(), &[everywhere], other),
        Err(Promise::RightKey)
    );
}

/// The same; its replicas had been held back since `T − 100`, and nothing else happened until `quiet`.
fn lost_for_sure(from: Stamp, mended: Stamp, quiet: Stamp) -> Vec<Excuse> {
    let since = T - 100;
    let held = Some(HeldBack { since, quiet });
    let lost = lost(from, mended).into_iter();
    lost.map(|excuse| Excuse {
        since: since - LAG,
        held,
        ..excuse
    })
    .collect()
}

/// A witness, and what was confirmed at `T`.
fn witness(target: Target) -> (Read, [Confirmed; 1]) {
    let [key] = target.names()[..] else {
        panic!("{target:?} names no witness alone");
    };
    let read = Read {
        key,
        of: key,
        ..read(T, 6)
    };
    (read, [confirmed(target)])
}

#[test]
fn what_is_never_repeated_is_a_violation_of_every_level_and_stays_one() {
    let (blow, mended) = (T + 2 * LAG, T + 8 * LAG);
    for target in Target::of_witness(KEYS + 5) {
        let (old, history) = witness(target);
        let excuses = || lost_for_sure(blow, mended, Stamp::MAX);
        let judged = |began, level| {
            let read = Read {
                began,
                ended: began + 5,
                level,
                ..old
            };
            judged(excuses(), &history, read).map(|kept| kept.excused)
        };
        let (bounded, strict) = (Level::Bounded, Level::Strict);
        let excused = Ok(Some(Exception::Lost));
        assert_eq!(
            judged(blow - 6, bounded),
            Err(Promise::Bound),
            "not yet lost"
        );
        assert_eq!(
            judged(blow, bounded),
            excused,
            "long held back, lost all the same"
        );
        assert_eq!(judged(mended + DELTA, bounded), excused);
        assert_eq!(judged(mended, strict), excused);
        assert_eq!(judged(mended + 1, strict), Err(Promise::Strict));
        for late in [1, LAG, 60 * LAG] {
            let late = mended + DELTA + late;
            assert_eq!(judged(late, bounded), Err(Promise::Bound));
        }
    }
}

#[test]
fn a_read_shows_that_what_was_lost_is_repeated_only_when_nothing_else_keeps_it_from_the_old_value()
{
    let (blow, mended, quiet) = (T + 10 * DELTA, T + 20 * DELTA, T + 30 * DELTA);
    let (old, history) = witness(Target::Key(KEYS));
    let shows = |began, version, history: &[Confirmed]| {
        let read = Read {
            began,
            ended: began + 5,
            version,
            ..old
        };
        let excuses = lost_for_sure(blow, mended, quiet);
        judged(excuses, history, read).unwrap().repeated
    };
    let due = mended + DELTA;
    assert!(!shows(due, 7, &history), "the repetition may be on its way");
    assert!(shows(due + 1, 7, &history));
    assert!(!shows(due, 6, &history), "excused");
    assert!(shows(quiet - 5, 7, &history) && !shows(quiet - 4, 7, &history));
    let early = Confirmed {
        called: T - 101,
        ..history[0].clone()
    };
    assert!(!shows(due + 1, 7, &[early]), "the replicas may have got it");
    let late = Confirmed {
        confirmed: blow + 1,
        ..history[0].clone()
    };
    assert!(!shows(due + 1, 7, &[late]), "by the successor");
    let ordinary = [confirmed(Target::Key(KEY))];
    let judged = judged(
        lost_for_sure(blow, mended, quiet),
        &ordinary,
        read(due + 1, 7),
    );
    assert!(
        !judged.unwrap().repeated,
        "others may have changed it again"
    );
}

#[test]
fn only_what_was_confirmed_while_the_replicas_were_held_back_is_counted_as_lost_for_sure() {
    let mut checker = checker(&[]);
    let blow = T + 2;
    let tell = |checker: &mut Checker, called, at| {
        let what = Confirmed {
            called,
            confirmed: at,
            ..confirmed(Target::Key(KEY))
        };
        checker.confirmed(HERE, &what);
    };
    tell(&mut checker, T - 50, T);
    // The replicas are held back; when the primary will be lost is not known yet.
    checker.excuse(1, lost_for_sure(Stamp::MAX, Stamp::MAX, Stamp::MAX));
    tell(&mut checker, T - 101, T);
    tell(&mut checker, T - 100, T);
    tell(&mut checker, T, blow);
    tell(&mut checker, T, blow + 1);
    assert_eq!(checker.confirmed_while_held(), 3);
    checker.excuse(1, lost_for_sure(blow, Stamp::MAX, Stamp::MAX));
    assert_eq!(checker.confirmed_while_held(), 2);
    checker.excuse(2, lost(blow, Stamp::MAX));
    tell(&mut checker, T, T + 1);
    assert_eq!(checker.confirmed_while_held(), 3);
}
