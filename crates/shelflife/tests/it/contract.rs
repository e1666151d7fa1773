//! What every store must keep: the verbs, tags, prefixes, globs, expiry.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shelflife::{Invalidation, Outcome, Reason, Tier};

use crate::on_both_stores;

on_both_stores! {
    async fn what_is_set_is_got(bench) {
        let cache = bench.cache().await;
        assert_eq!(cache.get::<String>("users:1").await, None);
        cache.set("users:1", "Ada".to_owned()).await.unwrap();
        assert_eq!(cache.get::<String>("users:1").await.as_deref(), Some("Ada"));
        assert!(cache.exists("users:1").await);
        let left = cache.ttl("users:1").await.unwrap();
        assert!(left > Duration::from_secs(30) && left <= Duration::from_secs(60), "{left:?}");
        cache.delete("users:1").await.unwrap();
        assert_eq!(cache.get::<String>("users:1").await, None);
        assert!(!cache.exists("users:1").await);
        assert_eq!(cache.ttl("users:1").await, None);
    }

    async fn another_process_sees_what_one_has_stored(bench) {
        if !bench.is_shared() { return; }
        let (one, other) = (bench.cache().await, bench.long_windowed().await);
        one.entry("users:1").tag("user:1").set(7_u32).await.unwrap();
        let seen = other.entry("users:1").lookup::<u32>().await;
        assert_eq!(seen.value, Some(7));
        assert_eq!(seen.status.tier(), Some(Tier::L2));
        assert_eq!(other.entry("users:1").lookup::<u32>().await.status.tier(), Some(Tier::L1));
    }

    async fn a_load_is_stored_and_shared(bench) {
        let cache = bench.cache().await;
        let loads = Arc::new(AtomicUsize::new(0));
        for expected in [Outcome::Miss, Outcome::Hit, Outcome::Hit] {
            let loads = loads.clone();
            let loaded = cache.entry("users:1").tag("user:1").lookup_or_load(move || async move {
                loads.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Infallible>("Ada".to_owned())
            }).await.unwrap();
            assert_eq!((loaded.value.as_str(), loaded.status.outcome()), ("Ada", expected));
            assert_eq!(loaded.status.stored(), expected == Outcome::Miss);
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }

    async fn invalidation_by_key_tag_prefix_glob_and_all(bench) {
        let cache = bench.cache().await;
        let cases = [
            Invalidation::new().key("users:42"),
            Invalidation::new().tag("user:42"),
            Invalidation::new().pattern("users:*"),
            Invalidation::new().pattern("us*:4?"),
            Invalidation::new().pattern("*"),
            Invalidation::new().all(),
        ];
        for what in cases {
            for key in ["users:42", "orders:42"] {
                let tag = if key == "users:42" { "user:42" } else { "order:42" };
                cache.entry(key).tag(tag).set(1).await.unwrap();
                assert_eq!(cache.get::<i32>(key).await, Some(1));
            }
            let everything = what == Invalidation::new().all();
            cache.invalidate(what.clone()).await.unwrap();
            assert_eq!(cache.get::<i32>("users:42").await, None, "{what:?}");
            let other = cache.get::<i32>("orders:42").await;
            assert_eq!(other, (!everything).then_some(1), "{what:?}");
        }
    }

    async fn a_soft_invalidation_serves_once_more_and_refreshes(bench) {
        let cache = bench.cache().await;
        for what in [Invalidation::new().key("users:1").soft(), Invalidation::new().tag("t").soft()] {
            let entry = cache.entry("users:1").stale(Duration::from_secs(60)).tag("t");
            entry.set(1).await.unwrap();
            cache.invalidate(what).await.unwrap();
            let seen = entry.lookup::<i32>().await;
            assert_eq!((seen.value, seen.status.outcome()), (Some(1), Outcome::Stale));
            assert_eq!(seen.status.reason(), Reason::SoftInvalidated);
            assert_eq!(entry.get::<i32>().await, None, "get gives only fresh values");
            let stale = entry.lookup_or_load(|| async { Ok::<_, Infallible>(2) }).await.unwrap();
            assert_eq!((stale.value, stale.status.outcome()), (1, Outcome::Stale));
            while entry.get::<i32>().await != Some(2) {
                tokio::task::yield_now().await;
            }
        }
    }
}
