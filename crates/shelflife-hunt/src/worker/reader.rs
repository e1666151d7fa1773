//! Readers: at every level, by every verb that gives a value.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use shelflife::{Entry, LoadError, Outcome, Receipt, Status, observe};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::recorder::Reads;
use super::{Failure, Seen, Worker};
use crate::record::{Held, Level, Read, Tier};
use crate::stamp::{Stamp, now};
use crate::world::{ITEMS, KEYS, any_key};

/// Of each process, by level. Bounded ones read in bursts.
const BOUNDED: u32 = 3;
const STRICT: usize = 2;
const SESSION: usize = 2;
const BURST: u32 = 32;
/// Between two reads that cost a round trip.
const PAUSE: Duration = Duration::from_millis(15);

/// Starts them; `rate` is how many bounded reads a second they try for together.
pub(crate) fn start(worker: &Arc<Worker>, rate: u32) -> Vec<JoinHandle<()>> {
    let every = Duration::from_secs(1) * BURST * BOUNDED / rate.max(1);
    let levels = [
        (Level::Bounded, BOUNDED as usize),
        (Level::Strict, STRICT),
        (Level::Session, SESSION),
    ];
    let readers = levels
        .into_iter()
        .flat_map(|(level, count)| std::iter::repeat_n(level, count));
    readers
        .enumerate()
        .map(|(slot, level)| {
            let worker = worker.clone();
            tokio::spawn(async move {
                match level {
                    Level::Bounded => bounded(&worker, slot, every).await,
                    Level::Strict => strict(&worker, slot).await,
                    Level::Session => session(&worker, slot).await,
                }
            })
        })
        .collect()
}

async fn bounded(worker: &Arc<Worker>, slot: usize, every: Duration) {
    let mut next = tokio::time::interval(every);
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while worker.goes_on() {
        next.tick().await;
        let mut reads = worker.recorder.reads(slot);
        for _ in 0..BURST {
            let key = any_key();
            match fastrand::u16(..1000) {
                0..2 => get_many(worker, key / ITEMS, &mut reads).await,
                2..4 => load_many(worker, key / ITEMS, &mut reads).await,
                _ => one(worker, key, Level::Bounded, None, &mut reads).await,
            }
        }
    }
}

async fn strict(worker: &Arc<Worker>, slot: usize) {
    while worker.goes_on() {
        tokio::time::sleep(PAUSE.mul_f32(2.0 * fastrand::f32())).await;
        let mut reads = worker.recorder.reads(slot);
        let key = any_key();
        one(worker, key, Level::Strict, None, &mut reads).await;
    }
}

/// A session goes on for a few reads with the receipt that it was given.
async fn session(worker: &Arc<Worker>, slot: usize) {
    while worker.goes_on() {
        tokio::time::sleep(PAUSE.mul_f32(2.0 * fastrand::f32())).await;
        let key = any_key();
        let Ok(Some(held)) = worker.source.receipt(key).await else {
            continue;
        };
        for _ in 0..4 {
            let mut reads = worker.recorder.reads(slot);
            one(worker, key, Level::Session, Some(held), &mut reads).await;
        }
    }
}

/// Reads one key by one of the verbs.
async fn one(
    worker: &Arc<Worker>,
    key: u8,
    level: Level,
    held: Option<Held>,
    reads: &mut Reads<'_>,
) {
    let entry = match (level, held.and_then(receipt)) {
        (Level::Strict, _) => worker.entry(key).strict(),
        (Level::Session, Some(receipt)) => worker.entry(key).session(receipt),
        _ => worker.entry(key),
    };
    let began = now();
    let (seen, status) = observe(verb(worker, &entry, key)).await;
    let ended = now();
    let (Ok(Some(seen)), Some(status)) = (&seen, status) else {
        return match seen {
            Ok(_) => worker.recorder.count(|counts| counts.nothing += 1),
            Err(error) => failed(worker, &error),
        };
    };
    reads.push(Read {
        key,
        level,
        stale: status.outcome() == Outcome::Stale,
        tier: tier(status),
        began,
        ended,
        of: seen.of,
        version: seen.version,
        held,
    });
}

/// `get_or_load` mostly: its hits take the shortest way.
async fn verb(
    worker: &Arc<Worker>,
    entry: &Entry<'_>,
    key: u8,
) -> Result<Option<Seen>, LoadError<String>> {
    let loader = {
        let worker = worker.clone();
        move || async move { worker.source.clone().load(key, &worker.recorder).await }
    };
    match fastrand::u16(..1000) {
        // Nobody has a witness loaded again: a value that is too old would not last.
        0..2 if key < KEYS => entry.refresh(loader).await.map(Some),
        2..60 => Ok(entry.get().await),
        60..100 => Ok(entry.lookup().await.value),
        100..160 => entry.lookup_or_load(loader).await.map(|l| Some(l.value)),
        _ => entry.get_or_load(loader).await.map(Some),
    }
}

/// All keys of a group. These are fresh, or they would not be given.
async fn get_many(worker: &Worker, group: u8, reads: &mut Reads<'_>) {
    let keys = keys_of(group);
    let began = now();
    let names = keys.iter().map(|key| crate::world::key(*key));
    let values: Vec<Option<Seen>> = worker.cache.get_many(names).await;
    for (key, seen) in keys.into_iter().zip(values) {
        match seen {
            Some(seen) => reads.push(of_many(key, began, seen, false)),
            None => worker.recorder.count(|counts| counts.nothing += 1),
        }
    }
}

/// The same, loaded where they are missing. Nothing says which are stale, so any may be.
async fn load_many(worker: &Arc<Worker>, group: u8, reads: &mut Reads<'_>) {
    let began = now();
    let loader = {
        let worker = worker.clone();
        move |keys: Vec<u8>| load_each(worker.clone(), keys)
    };
    let entry = |_: &_, key: &u8| worker.entry(*key);
    let cache = &worker.cache;
    match cache.get_or_load_many(keys_of(group), entry, loader).await {
        Ok(values) => {
            let read = |(key, seen)| of_many(key, began, seen, true);
            values.into_iter().map(read).for_each(|r| reads.push(r));
        }
        Err(error) => failed(worker, &error),
    }
}

/// A read may fail with its source, and never otherwise.
fn failed(worker: &Worker, error: &LoadError<String>) {
    worker.recorder.count(|counts| match error {
        LoadError::Source(_) => counts.failed_reads += 1,
        other => *counts.broken_reads.entry(other.to_string()).or_default() += 1,
    });
}

async fn load_each(worker: Arc<Worker>, keys: Vec<u8>) -> Result<HashMap<u8, Seen>, String> {
    let mut values = HashMap::new();
    for key in keys {
        let seen = worker.source.clone().load(key, &worker.recorder).await?;
        values.insert(key, seen);
    }
    Ok(values)
}

fn of_many(key: u8, began: Stamp, seen: Seen, stale: bool) -> Read {
    Read {
        key,
        level: Level::Bounded,
        stale,
        tier: Tier::Untold,
        began,
        ended: now(),
        of: seen.of,
        version: seen.version,
        held: None,
    }
}

fn keys_of(group: u8) -> Vec<u8> {
    (0..ITEMS).map(|item| group * ITEMS + item).collect()
}

fn tier(status: Status) -> Tier {
    match (status.outcome(), status.tier()) {
        (Outcome::Miss | Outcome::Bypass, _) | (_, None) => Tier::Load,
        (_, Some(shelflife::Tier::L1)) => Tier::L1,
        (_, Some(shelflife::Tier::L2)) => Tier::L2,
    }
}

/// The receipt that a held one stands for.
fn receipt(held: Held) -> Option<Receipt> {
    let text: Result<Receipt, Failure> = format!("{:016x}:{}", held.inc, held.tick)
        .parse()
        .map_err(Into::into);
    text.ok()
}
