//! `#[cached]`: what it makes of functions, on the embedded store.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shelflife::{Cache, Codec, Invalidation, ManualClock, Tag, cached};
use tokio::sync::Semaphore;

mod arguments;
mod keys;
mod returns;

/// A source that counts its loads, and the cache before it.
#[derive(Clone)]
struct Source {
    cache: Cache,
    loads: Arc<AtomicU32>,
    tenant: &'static str,
}

impl Source {
    fn new() -> Self {
        Self::before(Cache::memory())
    }

    /// With a clock that the test moves, and whole ttls.
    async fn timed() -> (Self, ManualClock) {
        let clock = ManualClock::new();
        let cache = Cache::builder().clock(&clock).jitter(0.0);
        let cache = cache.ttl(Duration::from_secs(600)).build().await.unwrap();
        (Self::before(cache), clock)
    }

    fn before(cache: Cache) -> Self {
        Self {
            cache,
            loads: Arc::default(),
            tenant: "acme",
        }
    }

    /// Counts a load and gives its number, from 1.
    fn load(&self) -> u32 {
        self.loads.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn loads(&self) -> u32 {
        self.loads.load(Ordering::SeqCst)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<shelflife::Error> for Failed {
    fn from(error: shelflife::Error) -> Self {
        Self(error.to_string())
    }
}

#[cached(key = "user:{id}", tags = ["user:{id}", "users"], cache = source.cache)]
async fn user(source: &Source, id: u64) -> Result<String, Failed> {
    Ok(format!("user {id}, load {}", source.load()))
}

#[tokio::test]
async fn a_second_call_answers_from_the_cache() {
    let source = Source::new();
    assert_eq!(user(&source, 1).await.unwrap(), "user 1, load 1");
    assert_eq!(user(&source, 1).await.unwrap(), "user 1, load 1");
    assert_eq!(user(&source, 2).await.unwrap(), "user 2, load 2");
    assert_eq!(
        source.cache.get::<String>("user:1").await.unwrap(),
        "user 1, load 1"
    );
}

#[tokio::test]
async fn invalidating_by_companion_or_tag_makes_the_next_call_load() {
    let source = Source::new();
    user(&source, 1).await.unwrap();
    user_invalidate(&source, 1).await.unwrap();
    assert_eq!(user(&source, 1).await.unwrap(), "user 1, load 2");
    source
        .cache
        .invalidate(Invalidation::new().tag("users"))
        .await
        .unwrap();
    assert_eq!(user(&source, 1).await.unwrap(), "user 1, load 3");
    source.cache.invalidate(Tag::from("user:1")).await.unwrap();
    assert_eq!(user(&source, 1).await.unwrap(), "user 1, load 4");
}

#[tokio::test]
async fn peek_never_loads_and_refresh_always_does() {
    let source = Source::new();
    assert_eq!(user_peek(&source, 1).await, None);
    assert_eq!(source.loads(), 0);
    user(&source, 1).await.unwrap();
    assert_eq!(
        user_peek(&source, 1).await,
        Some(Ok("user 1, load 1".to_owned()))
    );
    assert_eq!(user_refresh(&source, 1).await.unwrap(), "user 1, load 2");
    assert_eq!(user(&source, 1).await.unwrap(), "user 1, load 2");
}

#[tokio::test]
async fn uncached_neither_reads_nor_stores() {
    let source = Source::new();
    assert_eq!(user_uncached(&source, 1).await.unwrap(), "user 1, load 1");
    assert_eq!(user_peek(&source, 1).await, None);
    user(&source, 1).await.unwrap();
    assert_eq!(user_uncached(&source, 1).await.unwrap(), "user 1, load 3");
}

#[cached(key = "first:{words.first().unwrap()}", cache = source.cache, condition = !words.is_empty())]
async fn first(source: &Source, words: &[String]) -> u32 {
    source.load()
}

#[tokio::test]
async fn a_false_condition_runs_uncached_and_leaves_the_key_alone() {
    let source = Source::new();
    // The key would panic.
    assert_eq!(first(&source, &[]).await, 1);
    assert_eq!(first_refresh(&source, &[]).await, 2);
    let words = ["a".to_owned()];
    assert_eq!(first(&source, &words).await, 3);
    assert_eq!(first(&source, &words).await, 3);
}

#[tokio::test]
async fn a_load_outlives_the_caller_that_began_it() {
    #[cached(key = "gated:{name}", cache = source.cache)]
    async fn gated(source: &Source, gate: &Arc<Semaphore>, name: &str) -> u32 {
        let number = source.load();
        gate.acquire().await.unwrap().forget();
        number
    }

    let source = Source::new();
    let gate = Arc::new(Semaphore::new(0));
    let call = |_| {
        let (source, gate) = (source.clone(), gate.clone());
        tokio::spawn(async move { gated(&source, &gate, "a").await })
    };
    let first = call(0);
    while source.loads() == 0 {
        tokio::task::yield_now().await;
    }
    let others: Vec<_> = (0..8).map(call).collect();
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    gate.add_permits(1);
    for other in others {
        assert_eq!(other.await.unwrap(), 1);
    }
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn the_installed_cache_is_the_default() {
    #[cached(key = "answer")]
    async fn answer() -> u32 {
        42
    }

    let cache = Cache::memory();
    cache.install();
    assert_eq!(answer().await, 42);
    assert_eq!(cache.get::<u32>("answer").await, Some(42));
}

#[cached(key = "brief", cache = source.cache, ttl = "10s", stale = Duration::from_secs(5))]
async fn brief(source: &Source) -> u32 {
    source.load()
}

#[tokio::test]
async fn settings_change_the_policy_of_the_cache() {
    let (source, clock) = Source::timed().await;
    // Without a setting, the cache's own ttl.
    user(&source, 1).await.unwrap();
    clock.advance(Duration::from_secs(599));
    assert_eq!(user(&source, 1).await.unwrap(), "user 1, load 1");
    clock.advance(Duration::from_secs(2));
    assert_eq!(user(&source, 1).await.unwrap(), "user 1, load 2");

    assert_eq!(brief(&source).await, 3);
    clock.advance(Duration::from_secs(11));
    // Stale: served, while one refresh runs.
    assert_eq!(brief(&source).await, 3);
    clock.advance(Duration::from_secs(16));
    assert!(brief(&source).await > 3);
}

#[cached(
    key = "every", cache = source.cache, ttl = 90, stale = "1m", negative_ttl = "5s",
    soft_timeout = "5s", hard_timeout = "10s", lease = "3s", early = 0.0, jitter = 0.0,
    codec = Codec::Json, schema = 7, stale_on_error = true,
)]
async fn every_setting(source: &Source) -> Result<u32, Failed> {
    Ok(source.load())
}

#[tokio::test]
async fn companions_read_what_the_function_writes_under_every_setting() {
    let source = Source::new();
    assert_eq!(every_setting(&source).await, Ok(1));
    assert_eq!(every_setting_peek(&source).await, Some(Ok(1)));
    let under = |schema| source.cache.entry("every").schema(schema);
    assert_eq!(under(7).get::<u32>().await, Some(1));
    assert_eq!(under(8).get::<u32>().await, None);
}

#[tokio::test]
async fn a_cache_may_be_missing() {
    #[cached(key = "answer", cache = cache)]
    async fn answer(cache: Option<Cache>) -> u32 {
        42
    }

    assert_eq!(answer(None).await, 42);
    assert_eq!(answer_refresh(None).await, 42);
    assert_eq!(answer_peek(None).await, None);
    let error = answer_invalidate(None).await.unwrap_err();
    assert!(error.to_string().contains("Cache::install"), "{error}");
    let cache = Cache::memory();
    assert_eq!(answer(Some(cache.clone())).await, 42);
    assert_eq!(answer_peek(Some(cache)).await, Some(42));
}

#[tokio::test]
async fn calls_are_sent_between_threads() {
    fn sent<T: Send>(_: &T) {}
    let source = Source::new();
    sent(&user(&source, 1));
    sent(&user_refresh(&source, 1));
    sent(&user_peek(&source, 1));
    sent(&user_invalidate(&source, 1));
}

mod elsewhere {
    use super::{Source, cached};

    #[cached(key = "seen:{id}", cache = source.cache)]
    #[allow(clippy::let_and_return)]
    #[must_use]
    pub(super) async fn seen(source: &Source, id: u64) -> u32 {
        let loaded = source.load();
        loaded
    }
}

#[tokio::test]
async fn companions_are_as_visible_as_the_function() {
    let source = Source::new();
    assert_eq!(elsewhere::seen(&source, 1).await, 1);
    assert_eq!(elsewhere::seen_peek(&source, 1).await, Some(1));
    assert_eq!(elsewhere::seen_key(1).as_str(), "seen:1");
    assert_eq!(elsewhere::seen_uncached(&source, 1).await, 2);
}
