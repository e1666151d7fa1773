//! Writers: they change the source, then tell the cache, in every way there is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use shelflife::Receipt;
use tokio::task::JoinHandle;

use super::{Failure, Sabotage, Seen, Worker};
use crate::record::{Confirmed, Held};
use crate::stamp::{Stamp, now};
use crate::world::Target;

/// In each process.
const WRITERS: usize = 2;
/// Between two writes of a writer, at most.
const PAUSE_MS: u64 = 900;

/// Starts them.
pub(crate) fn start(worker: &Arc<Worker>) -> Vec<JoinHandle<()>> {
    let start = |_| tokio::spawn(write(worker.clone()));
    (0..WRITERS).map(start).collect()
}

async fn write(worker: Arc<Worker>) {
    let mut chance = fastrand::Rng::new();
    // First each kind once: what is rare by chance is not left to it alone, however short the hunt.
    let mut first = Target::one_of_each(&mut chance);
    while worker.goes_on() {
        tokio::time::sleep(Duration::from_millis(chance.u64(..PAUSE_MS))).await;
        // Before it looks what may be changed: who wants something spared waits for all who have begun.
        let _writes = worker.writing.read().await;
        let spares = worker.spares.load(Ordering::SeqCst);
        let target = next(&mut first, spares, &mut chance);
        let change = Change {
            target,
            soft: target.may_be_soft() && chance.u8(..100) < 20,
            everywhere: chance.u8(..100) < 15,
        };
        // The source answers always; without it there is nothing to hunt with.
        if let Err(failure) = change.carry_out(&worker).await {
            tracing::error!(%failure, "the source does not answer");
        }
    }
}

/// What to change: not everything, if that is spared.
fn next(first: &mut Vec<Target>, spares: bool, chance: &mut fastrand::Rng) -> Target {
    let may = |target: &Target| !spares || *target != Target::All;
    if let Some(at) = first.iter().rposition(may) {
        return first.remove(at);
    }
    loop {
        let any = Target::any(chance);
        if may(&any) {
            return any;
        }
    }
}

pub(crate) struct Change {
    pub(crate) target: Target,
    pub(crate) soft: bool,
    pub(crate) everywhere: bool,
}

/// How far it has come, and whether the cache has confirmed it.
struct Carried {
    named: Vec<(u8, u64)>,
    called: Stamp,
    confirmed: Result<Receipt, Failure>,
}

impl Change {
    /// Gives whether the cache has confirmed it.
    pub(crate) async fn carry_out(&self, worker: &Worker) -> Result<bool, Failure> {
        match self.target {
            Target::Write(key) => {
                let carried = write_through(worker, key).await?;
                self.tell(worker, carried).await
            }
            _ => self.told(worker, self.invalidate(worker)).await,
        }
    }

    /// Changes the source, then has it confirmed like this.
    pub(crate) async fn told(
        &self,
        worker: &Worker,
        confirmed: impl Future<Output = Result<Receipt, Failure>>,
    ) -> Result<bool, Failure> {
        let named = worker.source.change(&self.target.names()).await?;
        let carried = Carried {
            named,
            called: now(),
            confirmed: confirmed.await,
        };
        self.tell(worker, carried).await
    }

    async fn tell(&self, worker: &Worker, carried: Carried) -> Result<bool, Failure> {
        let mut record = Confirmed {
            target: self.target,
            soft: self.soft,
            everywhere: self.everywhere && self.waits(),
            called: carried.called,
            confirmed: carried.called,
            inc: 0,
            tick: 0,
            named: carried.named,
        };
        let Ok(receipt) = carried.confirmed else {
            worker.recorder.unconfirmed(record);
            return Ok(false);
        };
        let mut some = record.named.clone();
        fastrand::shuffle(&mut some);
        (record.inc, record.tick) = (receipt.epoch().inc, receipt.epoch().tick);
        let held = Held {
            version: 0,
            soft: self.soft,
            inc: record.inc,
            tick: record.tick,
            given: now(),
        };
        worker.recorder.confirmed(record);
        worker.source.publish(&some, held).await?;
        Ok(true)
    }

    /// Only an invalidation can wait for everyone.
    fn waits(&self) -> bool {
        !matches!(self.target, Target::Write(_) | Target::Event(_))
    }

    async fn invalidate(&self, worker: &Worker) -> Result<Receipt, Failure> {
        if worker.sabotage == Some(Sabotage::Forget) {
            return Ok("0000000000000000:0".parse()?);
        }
        if let Some(event) = self.target.event() {
            return Ok(worker.cache.emit(&event).await?);
        }
        let what = self.target.invalidation();
        let what = if self.soft { what.soft() } else { what };
        let invalidate = worker.cache.invalidate(what);
        Ok(match self.everywhere {
            true => invalidate.everywhere().await?,
            false => invalidate.await?,
        })
    }
}

/// Announced, changed, finished: what the cache holds then is the new value or nothing.
async fn write_through(worker: &Worker, key: u8) -> Result<Carried, Failure> {
    let announced = worker.entry(key).begin_write().await;
    let named = worker.source.change(&[key]).await?;
    let version = named.first().map_or(0, |(_, version)| *version);
    tokio::time::sleep(Duration::from_millis(fastrand::u64(..10))).await;
    let called = now();
    let confirmed = match announced {
        Ok(announced) => announced.finish(Seen { of: key, version }).await,
        Err(error) => Err(error),
    };
    Ok(Carried {
        named,
        called,
        confirmed: confirmed.map(|(receipt, _)| receipt).map_err(Into::into),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spared_comes_first_once_it_is_not() {
        let mut chance = fastrand::Rng::with_seed(7);
        let mut first = vec![Target::Key(1), Target::All, Target::Tag(1)];
        let mut drawn = |spares| next(&mut first, spares, &mut chance);
        assert_eq!([drawn(true), drawn(true)], [Target::Tag(1), Target::Key(1)]);
        assert!((0..1_000).all(|_| drawn(true) != Target::All));
        assert_eq!(drawn(false), Target::All);
    }
}
