//! Many requests for one URL: one goes to the origin, and the others wait no longer than they must.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::Method;
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use shelflife::Cache;
use shelflife::tower::CacheLayer;
use tokio::sync::Barrier;
use tower::{Layer as _, ServiceExt as _};

use super::origin::{App, Got, Origin, get, layer, open, reply, request, send, whole};
use crate::gate::{Gate, soon, until};
use crate::on_both_stores;

const MINUTE: &[(&str, &str)] = &[("cache-control", "max-age=60")];
const NOT_SHARED: &[(&str, &str)] = &[("cache-control", "no-store")];

/// Longer than so many requests take on a loaded machine, with a factor of ten.
const SOON: Duration = Duration::from_secs(30);

/// Longer than any test: who waits for this waits for ever.
const EVER: Duration = Duration::from_secs(3600);

fn patient(cache: &Cache) -> CacheLayer {
    CacheLayer::builder(cache)
        .collapse_wait(EVER)
        .build()
        .unwrap()
}

type Fields = &'static [(&'static str, &'static str)];

fn start(app: &App, fields: Fields) -> tokio::task::JoinHandle<Got> {
    tokio::spawn(asking(app, fields))
}

type Pending<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// Requests that have been polled once: while a flight is under way, they wait for it.
async fn waiting<T, F>(count: usize, request: impl Fn() -> F) -> Vec<Pending<T>>
where
    F: Future<Output = T> + Send + 'static,
{
    let mut all: Vec<Pending<T>> = Vec::new();
    for _ in 0..count {
        let mut request: Pending<T> = Box::pin(request());
        assert!(futures_util::poll!(&mut request).is_pending());
        all.push(request);
    }
    all
}

fn asking(app: &App, fields: Fields) -> impl Future<Output = Got> + Send + use<> {
    let app = app.clone();
    async move { send(&app, request(&Method::GET, "/", fields)).await }
}

on_both_stores! {
    async fn ten_thousand_requests_for_a_cold_url_are_one_for_the_origin(bench) {
        // Where each is more work there are fewer.
        let many = if bench.is_shared() { 2_000 } else { 10_000 };
        // So many tasks starve timers on a busy machine: neither lease nor patience may end meanwhile.
        let policy = shelflife::Policy::new().lease(EVER);
        let builder = bench.builder().policy(policy).window(EVER).timeout(EVER);
        let cache = builder.build().await.unwrap();
        let gate = Gate::closed();
        let origin = Origin::gated(&gate, MINUTE);
        let app = origin.behind(&patient(&cache));
        let all: Vec<_> = (0..many)
            .map(|_| {
                let asked = app.clone().oneshot(request(&Method::GET, "/", &[]));
                tokio::spawn(async move {
                    let Ok(response) = asked.await;
                    let said = response.headers()["cache-status"].clone();
                    (said, response.into_body().collect().await.unwrap().to_bytes())
                })
            })
            .collect();
        gate.entered().await;
        gate.release();
        let all = tokio::time::timeout(10 * SOON, join_all(all)).await.unwrap();
        let mut collapsed = 0;
        for got in all {
            let (said, body) = got.unwrap();
            assert_eq!(body, "0", "{said:?} {:?}", cache.stats());
            collapsed += usize::from(said.to_str().unwrap().contains("collapsed"));
        }
        assert_eq!(origin.calls(), 1);
        assert!(collapsed > 0);
    }

    async fn those_who_wait_for_what_can_not_be_shared_are_released_together(bench) {
        const WAITING: usize = 50;
        let cache = bench.cache().await;
        let gate = Gate::closed();
        // Whoever comes after the first stays inside until all are: released one by one, none would ever leave.
        let all_inside = Arc::new(Barrier::new(WAITING));
        let origin = {
            let (gate, all_inside) = (gate.clone(), all_inside.clone());
            Origin::waiting(move |_, before| {
                let (gate, all_inside) = (gate.clone(), all_inside.clone());
                async move {
                    match before {
                        0 => gate.pass().await,
                        _ => {
                            all_inside.wait().await;
                        }
                    }
                    reply(NOT_SHARED, before.to_string())
                }
            })
        };
        let app = origin.behind(&patient(&cache));
        let leader = start(&app, &[]);
        gate.entered().await;
        let waiting = waiting(WAITING, || asking(&app, &[])).await;
        gate.release();
        assert_eq!(soon(leader).await.unwrap().text(), "0");
        let mut bodies: Vec<usize> = Vec::new();
        for got in soon(join_all(waiting)).await {
            bodies.push(got.text().parse().unwrap());
        }
        bodies.sort_unstable();
        assert_eq!(
            bodies,
            (1..=WAITING).collect::<Vec<_>>(),
            "each its own answer"
        );
    }

    async fn what_could_not_be_shared_a_moment_ago_is_not_waited_for(bench) {
        let cache = bench.cache().await;
        let both_inside = Arc::new(Barrier::new(2));
        let origin = {
            let both_inside = both_inside.clone();
            Origin::waiting(move |_, before| {
                let both_inside = both_inside.clone();
                async move {
                    if before > 0 {
                        both_inside.wait().await;
                    }
                    reply(NOT_SHARED, before.to_string())
                }
            })
        };
        let app = origin.behind(&patient(&cache));
        get(&app, "/").await;
        // Were one to wait for the other, neither would leave the barrier.
        let (one, other) = (start(&app, &[]), start(&app, &[]));
        let (one, other) = (soon(one).await.unwrap(), soon(other).await.unwrap());
        assert_ne!(one.text(), other.text());
    }

    async fn a_request_waits_only_so_long_for_another(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let first_stops = {
            let gate = gate.clone();
            Origin::waiting(move |_, before| {
                let gate = gate.clone();
                async move {
                    if before == 0 {
                        gate.pass().await;
                    }
                    reply(MINUTE, before.to_string())
                }
            })
        };
        let short = CacheLayer::builder(&cache)
            .collapse_wait(Duration::from_millis(20))
            .build()
            .unwrap();
        let app = first_stops.behind(&short);
        let leader = start(&app, &[]);
        gate.entered().await;
        let impatient = soon(start(&app, &[])).await.unwrap();
        assert_eq!(
            impatient.text(),
            "1",
            "with its own request, while the other still waits"
        );
        gate.release();
        assert_eq!(soon(leader).await.unwrap().text(), "0");
    }

    async fn the_fill_goes_on_when_its_client_goes_away(bench) {
        let cache = bench.long_windowed().await;
        let gate = Gate::closed();
        let origin = Origin::gated(&gate, MINUTE);
        let app = origin.behind(&patient(&cache));
        let leader = start(&app, &[]);
        gate.entered().await;
        leader.abort();
        assert!(soon(leader).await.is_err());
        let followers = waiting(3, || asking(&app, &[])).await;
        gate.release();
        for got in soon(join_all(followers)).await {
            assert_eq!(got.text(), "0");
        }
        until(|| async { get(&app, "/").await.is_hit() }).await;
        assert_eq!(origin.calls(), 1);
    }

    async fn those_who_wait_for_a_request_that_fails_ask_for_themselves(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let calls = Arc::new(AtomicUsize::new(0));
        let service = {
            let (gate, calls) = (gate.clone(), calls.clone());
            tower::service_fn(move |_| {
                let (gate, before) = (gate.clone(), calls.fetch_add(1, Ordering::SeqCst));
                async move {
                    if before == 0 {
                        gate.pass().await;
                        return Err("gone".to_owned());
                    }
                    Ok(reply(MINUTE, "here"))
                }
            })
        };
        let app = patient(&cache).layer(service);
        let ask = || {
            let app = app.clone();
            async move {
                let response = soon(app.oneshot(request(&Method::GET, "/", &[]))).await?;
                Ok::<_, String>(whole(response).await.unwrap().text().to_owned())
            }
        };
        let leader = tokio::spawn(ask());
        gate.entered().await;
        let others = waiting(5, ask).await;
        gate.release();
        assert_eq!(
            soon(leader).await.unwrap(),
            Err("gone".to_owned()),
            "its own error, unchanged"
        );
        for other in others {
            assert_eq!(soon(other).await, Ok("here".to_owned()));
        }
    }

    async fn a_panic_is_the_leaders_and_the_others_ask_for_themselves(bench) {
        let cache = bench.cache().await;
        let gate = Gate::closed();
        let origin = {
            let gate = gate.clone();
            Origin::waiting(move |_, before| {
                let gate = gate.clone();
                async move {
                    if before == 0 {
                        gate.pass().await;
                        panic!("a handler's own");
                    }
                    reply(MINUTE, "here")
                }
            })
        };
        let app = origin.behind(&patient(&cache));
        let leader = start(&app, &[]);
        gate.entered().await;
        let others = waiting(3, || asking(&app, &[])).await;
        gate.release();
        let panicked = soon(leader).await.unwrap_err();
        assert!(panicked.is_panic(), "as without the layer");
        for other in others {
            assert_eq!(soon(other).await.text(), "here");
        }
    }
}

#[tokio::test]
async fn a_request_that_may_not_be_shared_does_not_make_the_others_go_one_by_one() {
    let cache = Cache::memory();
    let gate = Gate::closed();
    let origin = {
        let gate = gate.clone();
        Origin::waiting(move |parts, before| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                let who = parts
                    .headers
                    .get("cookie")
                    .map_or("nobody", |c| c.to_str().unwrap());
                reply(MINUTE, format!("{who} {before}"))
            }
        })
    };
    let app = origin.behind(&patient(&cache));
    let leader = start(&app, &[("cookie", "sid=1")]);
    gate.entered().await;
    let others = waiting(20, || asking(&app, &[])).await;
    gate.release();
    assert_eq!(soon(leader).await.unwrap().text(), "sid=1 0");
    for other in others {
        let got = soon(other).await;
        assert!(got.text().starts_with("nobody"), "{}", got.text());
    }
    until(|| async { get(&app, "/").await.is_hit() }).await;
}

#[tokio::test]
async fn requests_with_cookies_do_not_wait_for_one_another() {
    const WAITING: usize = 10;
    let cache = Cache::memory();
    for fields in [&[("cookie", "sid=1")], &[("authorization", "Bearer 1")]] {
        let gate = Gate::closed();
        let all_inside = Arc::new(Barrier::new(WAITING));
        let origin = {
            let (gate, all_inside) = (gate.clone(), all_inside.clone());
            Origin::waiting(move |_, before| {
                let (gate, all_inside) = (gate.clone(), all_inside.clone());
                async move {
                    match before {
                        0 => gate.pass().await,
                        _ => {
                            all_inside.wait().await;
                        }
                    }
                    reply(MINUTE, before.to_string())
                }
            })
        };
        let app = origin.behind(&patient(&cache));
        let leader = start(&app, fields);
        gate.entered().await;
        // Those that are there already, and those that come later.
        let waiting = waiting(WAITING / 2, || asking(&app, fields)).await;
        gate.release();
        soon(leader).await.unwrap();
        let later = (0..WAITING / 2).map(|_| Box::pin(asking(&app, fields)) as Pending<Got>);
        for got in soon(join_all(waiting.into_iter().chain(later))).await {
            assert!(!got.is_hit());
        }
        assert_eq!(origin.calls(), WAITING + 1);
    }
}

#[tokio::test]
async fn what_becomes_shareable_is_stored_again() {
    let cache = Cache::memory();
    let origin = Origin::new(|_, before| match before {
        0 => reply(NOT_SHARED, "0"),
        _ => reply(MINUTE, before.to_string()),
    });
    let app = origin.behind(&layer(&cache));
    get(&app, "/").await;
    until(|| async { get(&app, "/").await.is_hit() }).await;
}

#[tokio::test]
async fn the_first_byte_does_not_wait_for_those_who_follow() {
    let cache = Cache::memory();
    let gate = Gate::open();
    let origin = Origin::gated(&gate, MINUTE);
    let app = origin.behind(&patient(&cache));
    let head = open(&app, request(&Method::GET, "/", &[])).await;
    assert_eq!(head.status(), 200);
    assert_eq!(whole(head).await.unwrap().text(), "0");
}

on_both_stores! {
    async fn requests_beyond_what_the_service_may_have_are_refused_for_a_while(bench) {
        let cache = bench.builder().loads(1).loads_waiting(0).build().await.unwrap();
        let gate = Gate::closed();
        let origin = Origin::gated(&gate, MINUTE);
        let app = origin.behind(&patient(&cache));
        let first = start(&app, &[]);
        gate.entered().await;
        let refused = soon(get(&app, "/other")).await;
        assert_eq!(refused.status, 503);
        assert_eq!(refused.headers["retry-after"], "1");
        let said = refused.headers["cache-status"].to_str().unwrap();
        assert!(said.contains("overloaded"), "{said}");
        assert_eq!(origin.calls(), 1, "the service was not asked");
        gate.release();
        assert_eq!(soon(first).await.unwrap().status, 200);
        until(async || cache.stats().loads_running == 0).await;
        assert_eq!(soon(get(&app, "/other")).await.status, 200);
    }
}
