//! L1 insertion against invalidation: cells, insertion, memory, ready; against memory, then L1.

use shuttle::future::block_on;
use shuttle::thread::scope;

use super::*;
use crate::interleavings::{exhaust, explore, finds};
use crate::validity::Touched;

type Keep = fn(&Engine, u64);
type Apply = fn(&Arc<Engine>, &Invalidation);

fn logged(engine: &Arc<Engine>, what: &Invalidation) {
    let (hard, soft) = match what.soft {
        false => (what.clone(), Invalidation::new()),
        true => (Invalidation::new(), what.clone()),
    };
    engine.apply_logged(at(11), hard, soft);
}

fn own(engine: &Arc<Engine>, what: &Invalidation) {
    block_on(engine.apply_own(at(11), &Arc::new(what.clone())));
}

/// A value from before an invalidation comes into L1 while that is applied: when it has been applied,
/// the value is not served, though its insertion may still be under way.
fn insertion(what: Invalidation, keep: Keep, apply: Apply) -> impl Fn() + Clone + Send + Sync {
    move || {
        let engine = trusting();
        scope(|s| {
            s.spawn(|| keep(&engine, 10));
            s.spawn(|| keep(&engine, 10));
            s.spawn(|| engine.sweep());
            s.spawn(|| {
                apply(&engine, &what);
                assert!(!serves_older(&engine, 11), "{OLDER}");
            });
        });
        assert!(!serves_older(&engine, 11), "{OLDER}");
    }
}

#[test]
fn what_was_invalidated_meanwhile_is_not_served() {
    for what in namings() {
        for apply in [logged, own] {
            explore(insertion(what.clone(), keep, apply));
        }
    }
}

#[test]
fn what_was_invalidated_meanwhile_is_not_served_in_any_order() {
    // The steps of `keep_local` and of `apply_logged` that others can see, by key: no cell, no sweep.
    exhaust(|| {
        let engine = trusting();
        let what = Arc::new(Invalidation::new().key(KEY));
        let key = KEY.into();
        scope(|s| {
            s.spawn(|| {
                let resident = engine.local.insert(&key, &[], newcomer(10));
                match engine.touched(KEY, &[], at(10)) {
                    Touched::No => engine.local.admit(&resident),
                    _ => engine.local.expel(KEY, &resident),
                }
            });
            s.spawn(|| {
                engine.memory_mut().note(at(11), &what);
                engine.local.apply(at(11), &what);
                assert!(!serves_older(&engine, 11), "{OLDER}");
            });
        });
        assert!(!serves_older(&engine, 11), "{OLDER}");
    });
}

#[test]
fn its_own_and_its_echo_from_the_log_leave_what_is_younger() {
    for what in namings() {
        explore(move || {
            let engine = trusting();
            scope(|s| {
                s.spawn(|| keep(&engine, 10));
                s.spawn(|| logged(&engine, &what));
                s.spawn(|| {
                    own(&engine, &what);
                    assert!(!serves_older(&engine, 11), "{OLDER}");
                    // Loaded since. An older one that comes later may take its place, to be expelled.
                    keep(&engine, 11);
                });
            });
            assert!(!serves_older(&engine, 11), "{OLDER}");
            keep(&engine, 11);
            assert_eq!((hit(&engine), near(&engine, None)), (Some(11), Some(11)));
        });
    }
}

#[test]
fn what_is_not_named_stays() {
    let what = Invalidation::new()
        .key("users:43")
        .tag("c")
        .pattern("us*:43");
    explore(move || {
        let engine = trusting();
        scope(|s| {
            s.spawn(|| keep(&engine, 10));
            s.spawn(|| engine.sweep());
            s.spawn(|| logged(&engine, &what));
        });
        assert_eq!((hit(&engine), near(&engine, None)), (Some(10), Some(10)));
    });
}

/// What can be invalidated before there is anything of it in L1. The cell of the root is always there,
/// and remembers.
fn namings_of_nothing() -> impl Iterator<Item = Invalidation> {
    let all = Invalidation::new().all();
    namings().into_iter().filter(move |what| *what != all)
}

/// In a wrong insertion, that of a value which `asked` says is good.
fn kept_if(engine: &Engine, asked: Touched) {
    if asked == Touched::No {
        let resident = engine.local.insert(&KEY.into(), &tags(), newcomer(10));
        engine.local.admit(&resident);
    }
}

#[test]
fn insertion_without_a_question_is_found() {
    let wrong: Keep = |engine, _| kept_if(engine, Touched::No);
    finds(
        OLDER,
        insertion(Invalidation::new().key(KEY), wrong, logged),
    );
}

#[test]
fn asking_before_the_insertion_is_found() {
    let wrong: Keep = |engine, _| kept_if(engine, engine.touched(KEY, &tags(), at(10)));
    for what in namings_of_nothing() {
        finds(OLDER, insertion(what, wrong, logged));
    }
}

#[test]
fn being_ready_before_the_question_is_found() {
    fn wrong(engine: &Engine, _: u64) {
        let resident = engine.local.insert(&KEY.into(), &tags(), newcomer(10));
        engine.local.admit(&resident);
        match engine.touched(KEY, &tags(), at(10)) {
            Touched::No => {}
            Touched::Soft => resident.soften(),
            Touched::Hard => engine.local.expel(KEY, &resident),
        }
    }
    for what in namings_of_nothing() {
        finds(OLDER, insertion(what, wrong, logged));
    }
}

#[test]
fn applying_to_l1_before_memory_is_found() {
    fn wrong(engine: &Arc<Engine>, what: &Invalidation) {
        engine.local.apply(at(11), what);
        engine.memory_mut().note(at(11), &Arc::new(what.clone()));
    }
    for what in namings_of_nothing() {
        finds(OLDER, insertion(what, keep, wrong));
    }
}
