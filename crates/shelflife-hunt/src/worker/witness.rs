//! Witnesses: what is invalidated once, and is lost with the primary that confirmed it.
//!
//! Must not: read on behalf of anybody. What it changes is told like everything else.

#![allow(
    clippy::print_stdout,
    reason = "its lines are what the hunt reads and answers"
)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use shelflife::{Cache, Receipt, observe};

use super::writer::Change;
use super::{Failure, Sabotage, Worker, start};
use crate::world::Target;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Until nothing is under way, or owed, that invalidates everything; nothing of that kind begins any more.
pub(crate) async fn spare(worker: Arc<Worker>, number: String) {
    worker.spares.store(true, Ordering::SeqCst);
    // Whoever had begun before has ended.
    drop(worker.writing.write().await);
    while worker.cache.stats().unconfirmed > 0 && worker.goes_on() {
        tokio::time::sleep(PAUSE).await;
    }
    println!("spared {number}");
}

/// Until the store has taken a value that was loaded just now.
pub(crate) async fn store(worker: Arc<Worker>, number: String, key: u8) {
    while worker.goes_on() {
        let loader = {
            let worker = worker.clone();
            move || async move { worker.source.clone().load(key, &worker.recorder).await }
        };
        let (loaded, status) = observe(worker.entry(key).refresh(loader)).await;
        if loaded.is_ok() && status.is_some_and(|status| status.stored()) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    println!("stored {number}");
}

/// Changes a witness, and invalidates it, once.
pub(crate) async fn lose(worker: Arc<Worker>, number: String, soft: bool, target: Target) {
    let departs = worker.sabotage == Some(Sabotage::Depart);
    let change = Change {
        target,
        soft,
        everywhere: departs,
    };
    let confirmed = match departs {
        true => depart(&worker, &change).await,
        false => change.carry_out(&worker).await,
    };
    match confirmed {
        Ok(true) => println!("lost {number} yes"),
        Ok(false) => println!("lost {number} no"),
        Err(failure) => {
            tracing::error!(%failure, "a witness was not changed");
            println!("lost {number} no");
        }
    }
}

/// Has another cache confirm it, and closes that. It waits for everyone: what this process promises to itself is kept.
async fn depart(worker: &Worker, change: &Change) -> Result<bool, Failure> {
    let other: Cache = start(&worker.options, &worker.recorder).await?;
    let what = change.target.invalidation();
    let what = if change.soft { what.soft() } else { what };
    let confirmed = async {
        let receipt: Receipt = other.invalidate(what).everywhere().await?;
        Ok(receipt)
    };
    let confirmed = change.told(worker, confirmed).await;
    other.close().await;
    confirmed
}
