//! Resyncs: what L1 held before a gap, or in another life, is not served after it.

use std::sync::atomic::AtomicBool;

use shuttle::future::block_on;
use shuttle::thread::scope;

use super::*;
use crate::interleavings::{explore, finds};
use crate::validity::Validity;

const CLOSED: Moment = Moment(0);

type Hit = fn(&Engine) -> Option<u64>;
type Begin = fn(&Engine, Epoch) -> u64;

/// The log has lost an invalidation, and a resync begins beyond it: what L1 held, and what is on its way
/// there, is not served by anybody who begins after the window closed.
fn gap(begin: Begin, hit: Hit) -> impl Fn() + Clone + Send + Sync {
    move || {
        let engine = trusting();
        keep(&engine, 10);
        // std's: it must not add steps.
        let closed = AtomicBool::new(false);
        let look = || {
            let after = closed.load(std::sync::atomic::Ordering::SeqCst);
            let seen = hit(&engine).or_else(|| near(&engine, None));
            assert!(!(after && seen.is_some()), "{OLDER}");
        };
        scope(|s| {
            s.spawn(|| keep(&engine, 10));
            s.spawn(look);
            s.spawn(look);
            s.spawn(|| {
                engine.close_window();
                closed.store(true, std::sync::atomic::Ordering::SeqCst);
                let generation = begin(&engine, at(12));
                assert!(engine.open_window(generation, OPEN));
                look();
            });
        });
        assert!(!serves_older(&engine, 12), "{OLDER}");
        keep(&engine, 12);
        assert_eq!(hit(&engine), Some(12));
    }
}

#[test]
fn nothing_from_before_a_gap_is_served_after_it() {
    explore(gap(Engine::begin_at, hit));
}

#[test]
fn dropping_l1_before_memory_begins_anew_is_found() {
    let wrong: Begin = |engine, position| {
        engine.local.clear();
        engine.memory_mut().restart_at(position);
        set_applied(engine, Some(position));
        engine.memory().generation()
    };
    finds(OLDER, gap(wrong, hit));
}

#[test]
fn beginning_anew_with_an_l1_that_is_full_is_found() {
    let wrong: Begin = |engine, position| {
        engine.memory_mut().restart_at(position);
        set_applied(engine, Some(position));
        engine.memory().generation()
    };
    finds(OLDER, gap(wrong, hit));
}

#[test]
fn a_look_at_the_window_after_the_entry_is_found_at_a_gap() {
    finds(OLDER, gap(Engine::begin_at, late_look));
}

/// This process invalidates while a resync begins at a position from before: memory keeps what it was
/// told.
fn own_meanwhile(begin: Begin) -> impl Fn() + Clone + Send + Sync {
    move || {
        let engine = trusting();
        let what = Arc::new(Invalidation::new().key(KEY));
        scope(|s| {
            s.spawn(|| {
                let generation = begin(&engine, at(12));
                engine.open_window(generation, OPEN);
                keep(&engine, 12);
            });
            s.spawn(|| {
                block_on(engine.apply_own(at(13), &what));
                assert!(!serves_older(&engine, 13), "{OLDER}");
            });
        });
        assert!(!serves_older(&engine, 13), "{OLDER}");
    }
}

#[test]
fn a_resync_keeps_what_this_process_invalidated_since() {
    explore(own_meanwhile(Engine::begin_at));
}

#[test]
fn a_resync_that_forgets_its_own_is_found() {
    let wrong: Begin = |engine, position| {
        let generation = {
            let mut memory = engine.memory_mut();
            memory.close();
            memory.open(position);
            memory.generation()
        };
        engine.local.clear();
        set_applied(engine, Some(position));
        generation
    };
    finds(OLDER, own_meanwhile(wrong));
}

/// A tick of the old life that is ahead of the new one's clock: only the incarnation tells.
const AHEAD: u64 = u64::MAX / 2;

/// The store has lost its clock, as so many reads see: nothing of the old life stays in L1.
fn other_life(reads: usize, belong: fn(&Engine, Epoch)) -> impl Fn() + Clone + Send + Sync {
    move || {
        let engine = trusting();
        keep(&engine, AHEAD);
        let clock = block_on(engine.store.clock()).unwrap();
        scope(|s| {
            s.spawn(|| keep(&engine, AHEAD));
            for _ in 0..reads {
                s.spawn(|| {
                    belong(&engine, clock);
                    assert_eq!(engine.window(), CLOSED, "{OLDER}");
                });
            }
        });
        let left = engine.local.get(KEY);
        let worth = left.map(|resident| resident.validity(engine.clock.now()));
        assert!(
            worth.is_none_or(|worth| matches!(worth, Validity::Dead(_))),
            "{OLDER}"
        );
        assert_eq!(engine.memory().start(), Some(clock));
    }
}

#[test]
fn nothing_of_another_life_stays() {
    explore(other_life(2, |engine, clock| {
        block_on(engine.belong_to(clock)).unwrap();
    }));
}

#[test]
fn a_read_and_the_tail_find_another_life_together() {
    explore(|| {
        let engine = trusting();
        keep(&engine, AHEAD);
        let clock = block_on(engine.store.clock()).unwrap();
        let look = || {
            let hit = engine.hit(KEY, Level::Bounded, 0);
            assert!(
                hit.is_none_or(|(resident, _)| resident.epoch == clock),
                "{OLDER}"
            );
        };
        scope(|s| {
            s.spawn(|| keep(&engine, AHEAD));
            s.spawn(|| {
                block_on(engine.belong_to(clock)).unwrap();
                look();
            });
            s.spawn(|| {
                engine.close_window();
                let generation = engine.begin_at(clock);
                // Not, if the read has closed memory since: then there is another resync.
                engine.open_window(generation, OPEN);
                look();
            });
        });
        look();
        assert!(
            engine
                .memory()
                .start()
                .is_some_and(|start| start.inc == clock.inc)
        );
    });
}

#[test]
fn dropping_l1_before_memory_closes_is_found() {
    finds(
        OLDER,
        other_life(1, |engine, clock| {
            if engine.memory().start() == Some(clock) {
                return;
            }
            engine.close_window();
            engine.local.clear();
            engine.memory_mut().open(clock);
        }),
    );
}
