//! After an upheaval: when the store serves this process again, and when it has repeated what it had confirmed.
//!
//! Must not: decide what an upheaval was.

#![allow(
    clippy::print_stdout,
    reason = "its lines are what the hunt reads and answers"
)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Seen, Worker};
use crate::stamp::{Stamp, now};

/// Names that nobody else reads: so many that every node of a cluster has some.
const PROBES: u8 = 16;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// How often it has begun to follow anew, so that the next time can be told apart.
pub(crate) fn notice(worker: &Worker, number: &str) {
    let resyncs = worker.cache.stats().following.resyncs;
    worker.noticed.store(resyncs, Ordering::SeqCst);
    println!("noticed {number}");
}

/// See [`super`]. What was confirmed is repeated before L1 answers again (PROTOCOL §9).
pub(crate) async fn tell(worker: Arc<Worker>, number: String, resync: bool) {
    let before = worker.noticed.load(Ordering::SeqCst);
    let repeated = async {
        while resync && worker.goes_on() {
            let following = worker.cache.stats().following;
            if following.resyncs > before && following.open {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        now()
    };
    let (served, repeated) = tokio::join!(served(&worker, &number), repeated);
    println!("back {number} {served} {repeated}");
}

/// Until every name has been stored and was found by a strict read.
async fn served(worker: &Worker, number: &str) -> Stamp {
    for probe in 0..PROBES {
        let name = format!("probe:{}:{number}:{probe}", std::process::id());
        let entry = worker.cache.entry(name);
        let value = Seen {
            of: probe,
            version: 1,
        };
        while worker.goes_on() {
            let stored = entry.set(value).await.is_ok();
            if stored && entry.clone().strict().get::<Seen>().await.is_some() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    now()
}
