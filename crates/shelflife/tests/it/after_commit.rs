//! What waits for a commit: carried out after it, and only then.

use std::panic::{AssertUnwindSafe, panic_any};

use futures_util::{FutureExt as _, poll};
use serde::{Deserialize, Serialize};
use shelflife::{Cache, CommitError, ErrorKind, Event, Invalidation, Receipt};

use crate::gate::{Gate, soon, until};
use crate::on_both_stores;

#[derive(Serialize, Deserialize)]
struct Renamed {
    id: u32,
}

impl Event for Renamed {
    const NAME: &'static str = "renamed";
}

async fn stored(cache: &Cache) {
    for key in ["users:1", "users:2"] {
        let entry = cache.entry(key).tag(format!("tag:{key}"));
        entry.set(1_u32).await.unwrap();
    }
    cache.on(|event: &Renamed| Invalidation::new().tag(format!("tag:users:{}", event.id)));
}

/// Which of the two are still there.
async fn there(cache: &Cache) -> (bool, bool) {
    (cache.exists("users:1").await, cache.exists("users:2").await)
}

async fn committed() -> Result<&'static str, &'static str> {
    Ok("committed")
}

on_both_stores! {
    async fn what_waits_is_carried_out_after_the_commit(bench) {
        let cache = bench.cache().await;
        stored(&cache).await;
        let mut after = cache.after_commit();
        after.invalidate(Invalidation::new().key("users:1")).emit(Renamed { id: 2 });
        assert_eq!(there(&cache).await, (true, true), "it only waits");
        let (given, receipt): (_, Receipt) = after.commit(committed()).await.unwrap();
        assert_eq!(given, "committed");
        assert_eq!(there(&cache).await, (false, false));
        assert!(cache.entry("users:1").session(receipt).get::<u32>().await.is_none());
    }

    async fn a_rollback_forgets_it(bench) {
        let cache = bench.cache().await;
        stored(&cache).await;
        let mut after = cache.after_commit();
        after.invalidate(Invalidation::new().key("users:1")).emit(Renamed { id: 2 });
        drop(after);
        let mut after = cache.after_commit();
        after.invalidate(Invalidation::new().all());
        let failed = after.commit(async { Err::<(), _>("serialization failure") }).await;
        assert!(matches!(failed, Err(CommitError::NotCommitted("serialization failure"))));
        assert_eq!(there(&cache).await, (true, true));
        assert_eq!(cache.stats().invalidations, 0);
    }

    async fn a_caller_that_goes_away_takes_along_only_what_has_not_begun(bench) {
        let cache = bench.cache().await;
        stored(&cache).await;
        let waiting = || {
            let mut after = cache.after_commit();
            after.invalidate(Invalidation::new().key("users:1"));
            after
        };
        let gate = Gate::closed();
        drop(waiting().commit(gate.loader(())()));
        assert_eq!(gate.loads(), 0, "nobody asked for that commit");
        {
            let mut committing = Box::pin(waiting().commit(gate.loader(())()));
            assert!(poll!(&mut committing).is_pending());
            gate.entered().await;
        }
        assert_eq!(there(&cache).await, (true, true), "the commit is under way");
        gate.release();
        // Closing waits for it.
        if bench.is_shared() {
            until(|| async { there(&cache).await == (false, true) }).await;
        } else {
            soon(cache.close()).await;
            assert_eq!(there(&cache).await, (false, true));
        }
    }

    async fn a_commit_that_panics_panics_here_and_nothing_is_invalidated(bench) {
        let cache = bench.cache().await;
        stored(&cache).await;
        let mut after = cache.after_commit();
        after.invalidate(Invalidation::new().all());
        let commit = after.commit(async { panic_any("commit") as Result<(), ()> });
        let panicked = soon(AssertUnwindSafe(commit).catch_unwind()).await;
        assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"commit"));
        assert_eq!(there(&cache).await, (true, true));
    }

    async fn nothing_at_all_is_fine(bench) {
        let cache = bench.cache().await;
        soon(cache.after_commit().run()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_the_cache_could_not_be_told_of_is_told_apart() {
    let mut bench = crate::stores::Bench::redis();
    let cache = bench.cache().await;
    bench.server().kill();
    let mut after = cache.after_commit();
    after.invalidate(Invalidation::new().key("users:1"));
    match soon(after.commit(committed())).await {
        Err(CommitError::NotConfirmed(error)) => assert_eq!(error.kind(), ErrorKind::Unavailable),
        other => panic!("{other:?}"),
    }
}
