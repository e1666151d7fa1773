//! What a lost primary excuses, until when, and what is counted of what was lost for sure.

use super::*;
use crate::excuse::{Held as HeldBack, Keys, LAG};

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
