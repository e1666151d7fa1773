//! The window: opened only for the memory that was resynced last, and never before L1 has what it
//! promises.

use shuttle::thread::scope;

use super::*;
use crate::interleavings::{explore, finds};
use crate::sync::atomic::Ordering::SeqCst;

const CLOSED: Moment = Moment(0);
const TOO_EARLY: &str = "opened for an older memory";

type Open = fn(&Engine, u64);
type Close = fn(&Engine);

fn open(engine: &Engine, generation: u64) {
    engine.open_window(generation, OPEN);
}

/// What was asked before a resync is answered during it: it opens nothing, and `applied` is the
/// resync's.
fn late_answers(open: Open, told: Open, close: Close) -> impl Fn() + Clone + Send + Sync {
    move || {
        let (engine, generation) = following();
        scope(|s| {
            s.spawn(|| open(&engine, generation));
            s.spawn(|| told(&engine, generation));
            s.spawn(|| {
                close(&engine);
                assert_eq!(engine.window(), CLOSED, "{TOO_EARLY}");
                assert_eq!(engine.applied(), None, "{TOO_EARLY}");
                engine.begin_at(at(12));
            });
        });
        assert_eq!(engine.window(), CLOSED, "{TOO_EARLY}");
        assert_eq!(engine.applied(), Some(at(12)), "{TOO_EARLY}");
    }
}

fn told(engine: &Engine, generation: u64) {
    engine.has_applied(generation, at(11));
}

#[test]
fn an_older_generation_never_opens_it() {
    explore(late_answers(open, told, Engine::close_window));
}

#[test]
fn opening_it_for_anybody_is_found() {
    let wrong: Open = |engine, _| {
        engine.window.fetch_max(OPEN.0, SeqCst);
    };
    let scene = late_answers(wrong, told, Engine::close_window);
    finds(TOO_EARLY, scene);
}

#[test]
fn opening_it_after_memory_was_let_go_is_found() {
    let wrong: Open = |engine, generation| {
        let ours = engine.memory().generation() == generation;
        if ours {
            engine.window.fetch_max(OPEN.0, SeqCst);
        }
    };
    let scene = late_answers(wrong, told, Engine::close_window);
    finds(TOO_EARLY, scene);
}

#[test]
fn moving_applied_after_memory_was_let_go_is_found() {
    let wrong: Open = |engine, generation| {
        let ours = engine.memory().generation() == generation;
        if ours {
            set_applied(engine, Some(at(11)));
        }
    };
    let scene = late_answers(open, wrong, Engine::close_window);
    finds(TOO_EARLY, scene);
}

#[test]
fn closing_it_before_its_answers_are_dropped_is_found() {
    let wrong: Close = |engine| {
        engine.window.store(0, SeqCst);
        set_applied(engine, None);
        engine.memory_mut().forget_beats();
    };
    finds(TOO_EARLY, late_answers(open, told, wrong));
}

type Hit = fn(&Engine) -> Option<u64>;
type Apply = fn(&Engine, u64, Invalidation);

fn applied_then_open(engine: &Engine, generation: u64, what: Invalidation) {
    apply(engine, what);
    engine.has_applied(generation, at(11));
    engine.open_window(generation, OPEN);
}

fn apply(engine: &Engine, what: Invalidation) {
    let none = Invalidation::new();
    match what.soft {
        false => engine.apply_logged(at(11), what, none),
        true => engine.apply_logged(at(11), none, what),
    }
}

/// The window is closed while an invalidation is under way: when it opens, and a read answers by it,
/// what was invalidated has gone.
fn opening(what: Invalidation, apply: Apply, hit: Hit) -> impl Fn() + Clone + Send + Sync {
    move || {
        let (engine, generation) = following();
        keep(&engine, 10);
        let honours = |seen: Option<u64>| assert_eq!(seen, None, "{OLDER}");
        scope(|s| {
            s.spawn(|| apply(&engine, generation, what.clone()));
            s.spawn(|| honours(hit(&engine)));
            s.spawn(|| honours(near(&engine, None)));
            s.spawn(|| honours(near(&engine, Some(at(11)))));
        });
    }
}

#[test]
fn what_it_promises_was_applied_before() {
    for what in namings() {
        explore(opening(what, applied_then_open, hit));
    }
}

#[test]
fn opening_it_before_l1_has_gone_through_is_found() {
    let wrong: Apply = |engine, generation, what| {
        engine.open_window(generation, OPEN);
        apply(engine, what);
    };
    for what in namings() {
        finds(OLDER, opening(what, wrong, hit));
    }
}

/// The window was open all the while: a read with a floor asks for `applied`.
fn reaching(apply: Apply) -> impl Fn() + Clone + Send + Sync {
    move || {
        let (engine, generation) = following();
        engine.open_window(generation, OPEN);
        keep(&engine, 10);
        scope(|s| {
            s.spawn(|| apply(&engine, generation, Invalidation::new().key(KEY)));
            s.spawn(|| assert_eq!(near(&engine, Some(at(11))), None, "{OLDER}"));
        });
    }
}

#[test]
fn a_floor_is_reached_when_l1_has_gone_through() {
    explore(reaching(applied_then_open));
}

#[test]
fn moving_applied_before_l1_has_gone_through_is_found() {
    let wrong: Apply = |engine, generation, what| {
        engine.has_applied(generation, at(11));
        apply(engine, what);
    };
    finds(OLDER, reaching(wrong));
}

#[test]
fn looking_at_the_window_after_the_entry_is_found() {
    // A tag's cell would tell.
    let what = Invalidation::new().key(KEY);
    finds(OLDER, opening(what, applied_then_open, late_look));
}
