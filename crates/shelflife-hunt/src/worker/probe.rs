//! Answers to single questions, for figures and tests.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use shelflife::{Entry, Invalidation, Receipt, observe};

use super::{Failure, Seen, Worker};
use crate::stamp::now;

/// Between two looks at L1.
const LOOK: Duration = Duration::from_micros(100);

/// Carries out one command (see [`super`]).
pub(crate) async fn answer(worker: &Arc<Worker>, words: &[&str]) -> Result<(), Failure> {
    match words {
        ["watch", key] => watch(worker, key.parse()?).await?,
        ["invalidate", key] => invalidate(worker, key.parse()?, false).await?,
        ["everywhere", key] => invalidate(worker, key.parse()?, true).await?,
        ["bounded", key] => read(worker, worker.entry(key.parse()?), key.parse()?).await?,
        ["strict", key] => read(worker, worker.entry(key.parse()?).strict(), key.parse()?).await?,
        ["session", key, receipt] => {
            let receipt: Receipt = receipt.parse()?;
            let entry = worker.entry(key.parse()?).session(receipt);
            read(worker, entry, key.parse()?).await?;
        }
        _ => return Err(format!("not a command: {words:?}").into()),
    }
    Ok(())
}

/// Tells when L1 answers for a key, and when it no longer does.
async fn watch(worker: &Arc<Worker>, key: u8) -> Result<(), Failure> {
    loop {
        let (_, status) = observe(get(worker, &worker.entry(key), key)).await;
        if status.is_some_and(|s| s.tier() == Some(shelflife::Tier::L1)) {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    println!("watching");
    let (worker, runtime) = (worker.clone(), tokio::runtime::Handle::current());
    std::thread::spawn(move || {
        let _entered = runtime.enter();
        // What L1 has is there at once; whatever has to be waited for comes from elsewhere.
        while worker.entry(key).get::<Seen>().now_or_never().is_some() {
            std::thread::sleep(LOOK);
        }
        println!("dropped {}", now());
    });
    Ok(())
}

async fn invalidate(worker: &Worker, key: u8, everywhere: bool) -> Result<(), Failure> {
    worker.source.change(&[key]).await?;
    let called = now();
    let what = Invalidation::new().key(crate::world::key(key));
    let invalidate = worker.cache.invalidate(what);
    let receipt = match everywhere {
        true => invalidate.everywhere().await?,
        false => invalidate.await?,
    };
    println!("invalidated {called} {} {receipt}", now());
    Ok(())
}

async fn read(worker: &Arc<Worker>, entry: Entry<'_>, key: u8) -> Result<(), Failure> {
    let began = now();
    let seen = get(worker, &entry, key).await?;
    println!("read {began} {} {}", now(), seen.version);
    Ok(())
}

async fn get(worker: &Arc<Worker>, entry: &Entry<'_>, key: u8) -> Result<Seen, Failure> {
    let source = worker.source.clone();
    let seen = entry.get_or_load(move || async move { source.seen(key).await });
    seen.await.map_err(|e| e.to_string().into())
}
