//! The tag table: a record judged by it honours what has been applied, through raises, sweeps and
//! resyncs.

use shuttle::thread::scope;

use super::*;
use crate::interleavings::{explore, finds};
use crate::store::{Body, Held};
use crate::validity::TagRecord;

type Learn = fn(&Engine, &Held, Epoch);
type Resync = fn(&Engine);

/// When the tag was invalidated; the log has the first and loses the second.
const LOGGED: u64 = 11;
const LOST: u64 = 12;
const POSITION: u64 = 13;

/// An old entry with what a read of the primary found beside it, when its clock stood at `clock`.
fn held(clock: u64) -> Held {
    let hard = [LOST, LOGGED].into_iter().find(|tick| *tick <= clock);
    let record = TagRecord {
        inc: 1,
        hard: hard.unwrap_or(0),
        soft: 0,
    };
    Held {
        meta: Meta {
            fill: 1,
            epoch: at(5),
            created: 0,
            fresh_until: u64::MAX,
            stale_until: u64::MAX,
            cost: 0,
            schema: 0,
            softened: false,
            tags: [Tag::from("a")].into(),
        },
        lease: None,
        body: Body::Live(Arc::new(5_u64), 8),
        tags: vec![Some(record)],
    }
}

/// A read on the local path: what it knows of the tag honours what it had applied. Whether it knew.
fn read(engine: &Engine) -> bool {
    let Some(applied) = engine.applied() else {
        return false;
    };
    let Some(tags) = engine.tags_known(&held(0), applied) else {
        return false;
    };
    let due = held(applied.tick).tags[0].map(|record| record.hard);
    let known = tags[0].map(|record| record.hard);
    assert!(known >= due, "the table is behind what was applied");
    true
}

fn apply(engine: &Engine, generation: u64) {
    let what = Invalidation::new().tag("a");
    engine.apply_logged(at(LOGGED), what, Invalidation::new());
    engine.has_applied(generation, at(LOGGED));
}

/// Two reads of the primary learn what they saw, while the log is applied and, beyond a gap, a resync
/// begins; others read by the table.
fn learning(learn: Learn, resync: Resync) -> impl Fn() + Clone + Send + Sync {
    move || {
        let (engine, generation) = following();
        scope(|s| {
            s.spawn(|| learn(&engine, &held(10), at(10)));
            s.spawn(|| learn(&engine, &held(LOGGED), at(LOGGED)));
            s.spawn(|| engine.sweep());
            s.spawn(|| {
                apply(&engine, generation);
                read(&engine);
                resync(&engine);
                read(&engine);
            });
            s.spawn(|| {
                read(&engine);
                read(&engine);
            });
        });
        read(&engine);
        learn(&engine, &held(POSITION), at(POSITION));
        assert!(read(&engine), "what was learned since is known");
    }
}

fn no_resync(_: &Engine) {}

fn resync(engine: &Engine) {
    engine.close_window();
    engine.begin_at(at(POSITION));
}

#[test]
fn the_table_is_never_behind_what_was_applied() {
    explore(learning(Engine::learn, no_resync));
    explore(learning(Engine::learn, resync));
}

const BEHIND: &str = "the table is behind what was applied";

/// In a wrong way to learn: what the primary said and what memory said, made known.
fn take(engine: &Engine, held: &Held, (hard, soft): (u64, u64)) {
    for (cell, read) in engine.local.cells(&held.meta.tags).iter().zip(&held.tags) {
        let read = read.unwrap();
        engine
            .local
            .learn(cell, read.hard.max(hard), read.soft.max(soft));
    }
}

fn asked(engine: &Engine, held: &Held) -> (u64, u64) {
    engine.memory().of_tag(&held.meta.tags[0])
}

#[test]
fn learning_without_memory_is_found() {
    let wrong: Learn = |engine, held, _| take(engine, held, (0, 0));
    finds(BEHIND, learning(wrong, no_resync));
}

#[test]
fn asking_memory_before_the_cells_are_attached_is_found() {
    let wrong: Learn = |engine, held, _| take(engine, held, asked(engine, held));
    finds(BEHIND, learning(wrong, no_resync));
}

#[test]
fn learning_from_a_clock_that_memory_no_longer_reaches_is_found() {
    fn wrong(engine: &Engine, held: &Held, _: Epoch) {
        let cells = engine.local.cells(&held.meta.tags);
        let memory = engine.memory();
        let (hard, soft) = memory.of_tag(&held.meta.tags[0]);
        let read = held.tags[0].unwrap();
        engine
            .local
            .learn(&cells[0], read.hard.max(hard), read.soft.max(soft));
    }
    // It is right as long as nothing is lost.
    explore(learning(wrong, no_resync));
    finds(BEHIND, learning(wrong, resync));
}

#[test]
fn learning_after_memory_was_let_go_is_found() {
    fn wrong(engine: &Engine, held: &Held, clock: Epoch) {
        let cells = engine.local.cells(&held.meta.tags);
        let start = engine.memory().start();
        if start.is_some_and(|start| clock.at_least(start)) {
            take(engine, held, asked(engine, held));
        }
        drop(cells);
    }
    explore(learning(wrong, no_resync));
    finds(BEHIND, learning(wrong, resync));
}

#[test]
fn emptying_the_table_before_memory_begins_anew_is_found() {
    fn wrong(engine: &Engine) {
        engine.local.clear();
        engine.memory_mut().restart_at(at(POSITION));
        set_applied(engine, Some(at(POSITION)));
    }
    finds(BEHIND, learning(Engine::learn, wrong));
}

#[test]
fn moving_applied_before_the_table_is_empty_is_found() {
    fn wrong(engine: &Engine) {
        engine.memory_mut().restart_at(at(POSITION));
        set_applied(engine, Some(at(POSITION)));
        engine.local.clear();
    }
    finds(BEHIND, learning(Engine::learn, wrong));
}
