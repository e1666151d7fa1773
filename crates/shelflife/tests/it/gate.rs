//! Loads that stop at a barrier, and waits that end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

/// Longer than anything here takes on a loaded machine.
const SOON: Duration = Duration::from_secs(30);

type Loading<T> = Pin<Box<dyn Future<Output = Result<T, Infallible>> + Send>>;

/// A source with a barrier in it: loads announce themselves and wait to be let through.
#[derive(Clone)]
pub struct Gate {
    inside: Arc<Semaphore>,
    open: watch::Sender<bool>,
    loads: Arc<AtomicUsize>,
}

impl Gate {
    pub fn closed() -> Self {
        Self {
            inside: Arc::new(Semaphore::new(0)),
            open: watch::Sender::new(false),
            loads: Arc::default(),
        }
    }

    /// One that counts loads and stops none.
    pub fn open() -> Self {
        let gate = Self::closed();
        gate.release();
        gate
    }

    /// A loader that gives `value` once it is let through.
    pub fn loader<T: Send + 'static>(
        &self,
        value: T,
    ) -> impl FnOnce() -> Loading<T> + Send + 'static + use<T> {
        let gate = self.clone();
        move || {
            Box::pin(async move {
                gate.pass().await;
                Ok(value)
            })
        }
    }

    /// What a loader does at the barrier.
    pub async fn pass(&self) {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.inside.add_permits(1);
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }

    /// Waits until one more load stands at the barrier.
    pub async fn entered(&self) {
        soon(self.inside.acquire()).await.unwrap().forget();
    }

    /// Lets loads through, now and from now on.
    pub fn release(&self) {
        self.open.send_replace(true);
    }

    pub fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }
}

pub type Failing = Result<u32, String>;

/// A loader that fails and counts.
pub fn failing(calls: &Arc<AtomicUsize>) -> impl FnOnce() -> std::future::Ready<Failing> + use<> {
    let calls = calls.clone();
    move || {
        calls.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Err("the source is gone".to_owned()))
    }
}

/// The output of a future that must not hang.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(SOON, future)
        .await
        .expect("it should have ended long ago")
}

/// Waits until something holds.
pub async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    soon(async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
