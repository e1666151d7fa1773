//! A source that lags: what it gives shortly after an invalidation is not kept.

use std::convert::Infallible;
use std::time::Duration;

use shelflife::{Cache, Invalidation, Loaded, Reason};

use crate::on_both_stores;

/// Longer than the test; and so short that it has passed before it begins.
const LAG: Duration = Duration::from_secs(600);

async fn load(cache: &Cache, settle: Duration, value: u32) -> Loaded<u32> {
    let policy = cache.policy().clone().settle(settle);
    let entry = cache.entry("users:1").policy(policy).tag("user:1");
    let load = move || async move { Ok::<_, Infallible>(value) };
    entry.lookup_or_load(load).await.unwrap()
}

on_both_stores! {
    async fn what_is_loaded_while_the_source_lags_is_given_and_not_kept(bench) {
        let cache = bench.long_windowed().await;
        let named = [
            Invalidation::new().key("users:1"),
            Invalidation::new().tag("user:1"),
            Invalidation::new().pattern("users:*"),
            Invalidation::new().pattern("u*:?"),
            Invalidation::new().all(),
        ];
        for what in named {
            cache.invalidate(what.clone()).await.unwrap();
            for value in [1, 2] {
                let loaded = load(&cache, LAG, value).await;
                assert_eq!(loaded.value, value, "{what:?}: nothing was kept");
                assert_eq!(loaded.status.reason(), Reason::Settling, "{what:?}");
                assert!(!loaded.status.stored());
            }
            // The lease was given back, and without a lag it is kept at once.
            let loaded = load(&cache, Duration::ZERO, 3).await;
            assert!(loaded.status.stored(), "{what:?}");
            assert_eq!(load(&cache, LAG, 4).await.value, 3, "what is kept is served");
        }
    }

    async fn once_the_lag_has_passed_it_is_kept(bench) {
        let cache = bench.long_windowed().await;
        cache.invalidate(Invalidation::new().tag("user:1")).await.unwrap();
        let lag = Duration::from_millis(50);
        let began = std::time::Instant::now();
        let mut value = 0;
        loop {
            value += 1;
            let loaded = load(&cache, lag, value).await;
            if loaded.status.stored() {
                break;
            }
            assert_eq!(loaded.status.reason(), Reason::Settling);
            assert!(began.elapsed() < Duration::from_secs(20));
            tokio::task::yield_now().await;
        }
        // Server time is known to within its ms, and to how late its answers are.
        assert!(began.elapsed() > lag / 2, "{:?}", began.elapsed());
    }
}
