//! Return types: what is kept of them, and what becomes of a load that gives nothing.

use std::sync::Arc;
use std::time::Duration;

use shelflife::{cached, current_load};
use tokio::sync::Semaphore;

use super::{Failed, Source};

type Answer<T> = core::result::Result<T, Failed>;
type Maybe<T> = Option<T>;

#[cached(key = "fails:{until}", cache = source.cache)]
async fn fails_until(source: &Source, until: u32) -> Answer<u32> {
    match source.load() {
        load if load < until => Err(Failed(format!("load {load}"))),
        load => Ok(load),
    }
}

#[tokio::test]
async fn an_error_is_not_kept_also_behind_an_alias() {
    let source = Source::new();
    assert_eq!(
        fails_until(&source, 3).await,
        Err(Failed("load 1".to_owned()))
    );
    assert_eq!(fails_until_peek(&source, 3).await, None);
    assert_eq!(
        fails_until(&source, 3).await,
        Err(Failed("load 2".to_owned()))
    );
    assert_eq!(fails_until(&source, 3).await, Ok(3));
    assert_eq!(fails_until(&source, 3).await, Ok(3));
    assert_eq!(source.loads(), 3);
}

#[cached(key = "none:{found}", cache = source.cache)]
async fn maybe(source: &Source, found: bool) -> Maybe<u32> {
    let load = source.load();
    found.then_some(load)
}

#[tokio::test]
async fn none_is_a_value() {
    let source = Source::new();
    assert_eq!(maybe(&source, false).await, None);
    assert_eq!(maybe(&source, false).await, None);
    assert_eq!(source.loads(), 1);
    assert_eq!(maybe_peek(&source, false).await, Some(None));
    assert_eq!(maybe_peek(&source, true).await, None);
}

#[cached(key = "short", cache = source.cache, negative_ttl = "10s")]
async fn briefly_missing(source: &Source) -> Answer<Option<u32>> {
    let load = source.load();
    Ok((load > 1).then_some(load))
}

#[tokio::test]
async fn none_is_kept_for_its_own_time() {
    let (source, clock) = Source::timed().await;
    assert_eq!(briefly_missing(&source).await, Ok(None));
    clock.advance(Duration::from_secs(9));
    assert_eq!(briefly_missing(&source).await, Ok(None));
    clock.advance(Duration::from_secs(2));
    assert_eq!(briefly_missing(&source).await, Ok(Some(2)));
    clock.advance(Duration::from_secs(500));
    assert_eq!(briefly_missing(&source).await, Ok(Some(2)));
}

#[cached(key = "kept:{until}", cache = source.cache, cache_err = "10s")]
async fn kept_error(source: &Source, until: u32) -> Answer<u32> {
    fails_until_uncached(source, until).await
}

#[tokio::test]
async fn an_error_is_kept_for_its_own_time_when_asked() {
    let (source, clock) = Source::timed().await;
    let failed = Err(Failed("load 1".to_owned()));
    assert_eq!(kept_error(&source, 2).await, failed);
    clock.advance(Duration::from_secs(9));
    assert_eq!(kept_error(&source, 2).await, failed);
    assert_eq!(kept_error_peek(&source, 2).await, Some(failed));
    clock.advance(Duration::from_secs(2));
    assert_eq!(kept_error(&source, 2).await, Ok(2));
    clock.advance(Duration::from_secs(500));
    assert_eq!(kept_error(&source, 2).await, Ok(2));
}

#[cached(key = "shared error", cache = source.cache)]
async fn fails_behind(source: &Source, gate: &Arc<Semaphore>) -> Answer<u32> {
    let load = source.load();
    gate.acquire().await.unwrap().forget();
    Err(Failed(format!("load {load}")))
}

#[tokio::test]
async fn every_caller_of_one_load_gets_its_error() {
    let (source, gate) = (Source::new(), Arc::new(Semaphore::new(0)));
    let open = async {
        // The callers are polled first: by now all of them wait.
        gate.add_permits(1);
    };
    let call = || fails_behind(&source, &gate);
    let (one, two, three, ()) = tokio::join!(biased; call(), call(), call(), open);
    for failed in [one, two, three] {
        assert_eq!(failed, Err(Failed("load 1".to_owned())));
    }
}

#[cached(key = "panics", cache = source.cache)]
async fn panics(source: &Source) -> u32 {
    let load = source.load();
    assert!(load > 1, "no source on load {load}");
    load
}

#[cached(key = "panics too", cache = source.cache)]
async fn panics_in_a_result(source: &Source) -> Answer<u32> {
    Ok(panics_uncached(source).await)
}

#[tokio::test]
async fn a_panic_of_the_load_is_one_of_its_callers_or_their_error() {
    let source = Source::new();
    let call = {
        let source = source.clone();
        async move { panics(&source).await }
    };
    let panic = tokio::spawn(call).await.unwrap_err().into_panic();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("no source on load 1"), "{message}");
    assert_eq!(panics(&source).await, 2);

    let source = Source::new();
    let error = panics_in_a_result(&source).await.unwrap_err();
    assert!(error.0.contains("no source on load 1"), "{error}");
    assert_eq!(panics_in_a_result(&source).await, Ok(2));
}

#[cached(key = "endless", cache = source.cache, hard_timeout = "20ms")]
async fn endless(source: &Source) -> Answer<u32> {
    source.load();
    std::future::pending().await
}

#[tokio::test]
async fn a_load_that_takes_too_long_is_the_callers_own_error() {
    let error = endless(&Source::new()).await.unwrap_err();
    assert!(error.0.contains("20ms"), "{error}");
}

#[cached(key = "tuned", cache = source.cache)]
async fn tuned(source: &Source) -> u32 {
    current_load().ttl(Duration::from_secs(5)).tag("later");
    source.load()
}

#[tokio::test]
async fn the_load_may_change_the_policy() {
    let (source, clock) = Source::timed().await;
    assert_eq!(tuned(&source).await, 1);
    clock.advance(Duration::from_secs(6));
    assert_eq!(tuned(&source).await, 2);
    let later = shelflife::Tag::from("later");
    source.cache.invalidate(later).await.unwrap();
    assert_eq!(tuned(&source).await, 3);
}
