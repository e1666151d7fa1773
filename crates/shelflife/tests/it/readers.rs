//! Requests that go on while servers come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use shelflife::Cache;

use crate::gate::until;

/// Reads all the time, as requests do; none may fail.
pub struct Readers {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Readers {
    pub fn of(cache: &Cache) -> Self {
        let (stop, reads) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (ends, counts, cache) = (stop.clone(), reads.clone(), cache.clone());
        let task = tokio::spawn(async move {
            while !ends.load(Ordering::SeqCst) {
                let key = format!("read:{}", fastrand::u32(..100));
                let read = cache
                    .get_or_load(key, async || Ok::<_, String>(7_u32))
                    .await;
                assert_eq!(read.unwrap(), 7, "a read never fails because of the store");
                counts.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Self { stop, reads, task }
    }

    pub async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
        assert!(self.reads.load(Ordering::SeqCst) > 0);
    }
}

/// Waits until a value is stored again, and kept. What was owed to a primary that is gone is carried out again meanwhile, and may
/// outdate what is written before that.
pub async fn stores_again(cache: &Cache, key: &str, what: &str) {
    let from = Instant::now();
    until(|| async {
        let set = cache.set(key.to_owned(), 7_u32).await;
        set.is_ok() && cache.entry(key).strict().get::<u32>().await == Some(7)
    })
    .await;
    #[expect(clippy::print_stdout, reason = "how long it took, with --nocapture")]
    {
        println!("{what}: stores again after {:?}", from.elapsed());
    }
}
