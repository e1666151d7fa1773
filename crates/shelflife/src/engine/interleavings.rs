//! The real engine, on a store that stands still: what threads of a process do to one another in memory,
//! L1, the tag table and the window.
//!
//! The epochs are small numbers: memory reaches back to 10, the invalidation is 11, a resync finds 12.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::ask::{Ask, Level, Replace, Takes};
use super::due::Due;
use super::judge::Candidate;
use super::near::Near;
use crate::clock::{Clock, ManualClock, Moment};
use crate::embedded::Embedded;
use crate::epoch::Epoch;
use crate::invalidation::Invalidation;
use crate::key::Tag;
use crate::local::Newcomer;
use crate::policy::Policy;
use crate::settings::Settings;
use crate::store::Store;
use crate::validity::{Floor, Meta};
use crate::value::{Kind, downcast_ref};

mod insertion;
mod resync;
mod table;
mod window;

const KEY: &str = "users:42";
const OLDER: &str = "served what was invalidated";
const OPEN: Moment = Moment(u64::MAX);

fn at(tick: u64) -> Epoch {
    Epoch::new(1, tick)
}

fn tags() -> Arc<[Tag]> {
    let prefix = Tag::from_canonical("users:*");
    [Tag::from("a"), Tag::from("b"), prefix, Tag::root()].into()
}

/// What names the entry, in each way there is.
fn namings() -> Vec<Invalidation> {
    let new = Invalidation::new;
    vec![
        new().key(KEY),
        new().tag("b"),
        new().tags(["a", "b"]).key("users:1"),
        new().pattern("users:*"),
        new().pattern("us*:4?"),
        new().all(),
        new().key(KEY).soft(),
        new().tag("b").soft(),
    ]
}

/// An engine that follows the log from 10 on; its window is closed. With the generation of its resync.
fn following() -> (Arc<Engine>, u64) {
    let clock = Clock::Manual(ManualClock::new());
    let store = Store::Embedded(Embedded::new(1 << 16, clock.clone()));
    let settings = Settings {
        memory: 1 << 16,
        ..Settings::default()
    };
    let engine = Arc::new(Engine::new(store, clock, settings));
    let generation = engine.begin_at(at(10));
    (engine, generation)
}

/// The same with its window open.
fn trusting() -> Arc<Engine> {
    let (engine, generation) = following();
    assert!(engine.open_window(generation, OPEN));
    engine
}

/// For a resync that is wrong.
fn set_applied(engine: &Engine, epoch: Option<Epoch>) {
    *engine.applied.write().unwrap() = epoch;
}

/// A value, which is the epoch that it was loaded at.
fn candidate(engine: &Engine, tick: u64) -> Candidate {
    let now = engine.store.server_ms(engine.clock.now());
    Candidate {
        live: Arc::new(tick),
        bytes: 8,
        meta: Meta {
            fill: tick,
            epoch: at(tick),
            created: now,
            fresh_until: now + 3_600_000,
            stale_until: now + 3_600_000,
            cost: 0,
            schema: 0,
            softened: false,
            tags: tags(),
        },
    }
}

/// The same on its way into L1, for what does it wrongly.
fn newcomer(tick: u64) -> Newcomer {
    Newcomer {
        live: Arc::new(tick),
        bytes: 8,
        epoch: at(tick),
        fill: tick,
        good: at(tick),
        schema: 0,
        fresh_until: OPEN,
        stale_until: OPEN,
        refresh_at: OPEN,
        softened: false,
    }
}

/// The real insertion of a value that was loaded at `tick`.
fn keep(engine: &Engine, tick: u64) {
    let candidate = candidate(engine, tick);
    engine.keep_local(&KEY.into(), &candidate, |_| Duration::ZERO, at(tick));
}

fn ask() -> Ask {
    Ask {
        key: KEY.into(),
        tags: tags(),
        policy: Arc::new(Policy::default()),
        level: Level::Bounded,
        kind: Kind::of::<u64>(),
        replace: Replace::Nothing,
        takes: Takes::Stale,
        inside: None,
    }
}

/// What a bounded read gets from L1 as it is, by the hot path.
fn hit(engine: &Engine) -> Option<u64> {
    let (resident, _) = engine.hit(KEY, Level::Bounded, 0)?;
    Some(resident.epoch.tick)
}

/// What a read with this floor gets from L1 as fresh.
fn near(engine: &Engine, floor: Option<Epoch>) -> Option<u64> {
    let due = Due {
        floor: Floor {
            local: true,
            epoch: floor,
        },
        ..engine.due_of_knowledge()
    };
    match engine.near(&ask(), due) {
        Near::Answer(answer) | Near::Early(answer, _) => downcast_ref(&answer.live).copied(),
        Near::Stale(_) | Near::LastResort(_) | Near::Nothing => None,
    }
}

/// Whether L1 hands out what was loaded before `tick`, in either way.
fn serves_older(engine: &Engine, tick: u64) -> bool {
    let seen = [hit(engine), near(engine, None)];
    seen.into_iter().flatten().any(|loaded| loaded < tick)
}

/// A hit that looks at the window when it has its entry.
fn late_look(engine: &Engine) -> Option<u64> {
    let resident = engine.local.get(KEY)?;
    let (now, window) = (engine.clock.now(), engine.window());
    let answers = engine.local.answers(&resident, now, window);
    answers.then_some(resident.epoch.tick)
}
