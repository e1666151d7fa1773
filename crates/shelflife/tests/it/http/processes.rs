//! Several processes, a store that goes away, and entries that are not ours.

use std::time::Duration;

use axum::http::Method;
use shelflife::tower::CacheLayer;
use shelflife::{Cache, Invalidation};

use super::origin::{App, Origin, filled, get, get_with, layer, reply, request, send};
use crate::gate::{Gate, soon, until};
use crate::on_both_stores;
use crate::stores::Bench;

const MINUTE: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("cache-tag", "t")];
const EVER: Duration = Duration::from_secs(3600);

fn patient(cache: &Cache) -> CacheLayer {
    CacheLayer::builder(cache)
        .collapse_wait(EVER)
        .build()
        .unwrap()
}

fn start(app: &App) -> tokio::task::JoinHandle<super::origin::Got> {
    let app = app.clone();
    tokio::spawn(async move { get(&app, "/").await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_waits_for_what_another_process_fetches() {
    let bench = Bench::redis();
    let (one, other) = (bench.cache().await, bench.cache().await);
    let gate = Gate::closed();
    let origin = Origin::gated(&gate, MINUTE);
    let (one, other) = (
        origin.behind(&patient(&one)),
        origin.behind(&patient(&other)),
    );
    let leader = start(&one);
    gate.entered().await;
    let follower = start(&other);
    // It holds no flight of its own until it has seen the lease of the first.
    gate.release();
    assert_eq!(soon(leader).await.unwrap().text(), "0");
    assert_eq!(soon(follower).await.unwrap().text(), "0");
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_does_not_wait_for_another_process_for_ever() {
    let bench = Bench::redis();
    let (one, other) = (bench.cache().await, bench.cache().await);
    let gate = Gate::closed();
    let origin = {
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
    let short = CacheLayer::builder(&other)
        .collapse_wait(Duration::from_millis(50))
        .build()
        .unwrap();
    let (one, other) = (origin.behind(&patient(&one)), origin.behind(&short));
    let leader = start(&one);
    gate.entered().await;
    assert_eq!(
        soon(start(&other)).await.unwrap().text(),
        "1",
        "while the first still waits"
    );
    gate.release();
    assert_eq!(soon(leader).await.unwrap().text(), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_could_not_share_is_asked_for_here() {
    let bench = Bench::redis();
    let (one, other) = (bench.cache().await, bench.cache().await);
    let gate = Gate::closed();
    let origin = Origin::gated(&gate, &[("cache-control", "no-store")]);
    let (one, other) = (
        origin.behind(&patient(&one)),
        origin.behind(&patient(&other)),
    );
    let leader = start(&one);
    gate.entered().await;
    let follower = start(&other);
    gate.release();
    let (leader, follower) = (soon(leader).await.unwrap(), soon(follower).await.unwrap());
    assert_ne!(leader.text(), follower.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_goes_away_fails_no_request() {
    let mut bench = Bench::redis();
    let cache = bench.cache().await;
    let origin = Origin::numbered(MINUTE);
    let app = origin.behind(&layer(&cache));
    get(&app, "/").await;
    filled(&cache, 1).await;
    bench.server().kill();
    for method in ["GET", "HEAD", "POST", "PUT", "GET", "OPTIONS"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let got = send(&app, request(&method, "/", &[])).await;
        assert_eq!(got.status, 200, "{method}: {}", got.said());
    }
    // What an unsafe request wanted gone stays gone for this process, confirmed or not.
    let got = get(&app, "/").await;
    assert!(!got.is_hit(), "{}", got.said());
    bench.server().restart();
    until(|| async { get(&app, "/").await.is_hit() }).await;
}

on_both_stores! {
    async fn a_cache_that_was_closed_lets_requests_through(bench) {
        let cache = bench.cache().await;
        let origin = Origin::numbered(MINUTE);
        let app = origin.behind(&layer(&cache));
        get(&app, "/").await;
        cache.close().await;
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::GET] {
            assert_eq!(
                send(&app, request(&method, "/", &[])).await.status,
                200,
                "{method}"
            );
        }
    }

    async fn what_stands_under_a_key_and_is_no_response_is_a_miss(bench) {
        let cache = bench.cache().await;
        cache
            .set("http:api.test/", "not a response".to_owned())
            .await
            .unwrap();
        let origin = Origin::numbered(MINUTE);
        let app = origin.behind(&layer(&cache));
        assert_eq!(get(&app, "/").await.text(), "0");
        until(|| async { get(&app, "/").await.is_hit() }).await;
        assert_eq!(cache.get::<String>("http:api.test/").await, None);
        assert_eq!(get(&app, "/").await.text(), "0");
    }

    async fn variants_beyond_the_depth_that_is_followed_are_passed_on(bench) {
        // Each variant selects by one field more: a chain as long as there are fields.
        let cache = bench.long_windowed().await;
        let origin = Origin::new(|parts, _| {
            let depth = parts
                .headers
                .keys()
                .filter(|name| name.as_str().starts_with("x-"))
                .count();
            let vary: Vec<_> = (0..=depth).map(|at| format!("x-{at}")).collect();
            reply(
                &[("cache-control", "max-age=60"), ("vary", &vary.join(","))],
                depth.to_string(),
            )
        });
        let app = origin.behind(&layer(&cache));
        let names: Vec<_> = (0..8).map(|at| format!("x-{at}")).collect();
        for _ in 0..3 {
            for depth in 0..names.len() {
                let fields: Vec<_> = names[..depth].iter().map(|name| (&**name, "1")).collect();
                let got = get_with(&app, "/", &fields).await;
                assert_eq!(got.text(), depth.to_string(), "{}", got.said());
            }
        }
    }

    async fn an_entry_is_never_larger_than_the_cache_allows(bench) {
        let cache = bench
            .builder()
            .setting("max_entry", "100KiB")
            .build()
            .await
            .unwrap();
        let layer = CacheLayer::builder(&cache)
            .max_body(1 << 30)
            .build()
            .unwrap();
        let origin = Origin::new(|_, _| reply(MINUTE, vec![7; 150_000]));
        let app = origin.behind(&layer);
        for _ in 0..2 {
            let got = get(&app, "/").await;
            assert!(!got.is_hit() && got.body.len() == 150_000, "{}", got.said());
            assert!(
                !got.said().contains("stored"),
                "it was never going to be: {}",
                got.said()
            );
        }
        cache.invalidate(Invalidation::new().all()).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_stored_has_fields_with_names() {
    let cache = Cache::memory();
    let origin = Origin::new(|_, _| reply(MINUTE, "body"));
    let app = origin.behind(&layer(&cache));
    get(&app, "/").await;
    filled(&cache, 1).await;
    let it = cache.inspect("http:api.test/").await.unwrap();
    let value = it.value.unwrap();
    assert_eq!(value["head"]["status"], 200, "{value}");
    let fields = value["head"]["headers"].as_array().unwrap();
    let names: Vec<_> = fields
        .iter()
        .map(|field| field[0].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"cache-control") && names.contains(&"date"),
        "{names:?}"
    );
    assert_eq!(value["body"], serde_json::json!(b"body"));
}

/// How many reads and scripts the server was asked for since the last time, beside what follows the log.
fn asked(server: &shelflife_testkit::RedisServer) -> u32 {
    let stats = server.cli(&["INFO", "commandstats"]);
    server.cli(&["CONFIG", "RESETSTAT"]);
    let calls = |line: &str| {
        let (command, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let counts = ["get", "mget", "set"].contains(&command);
        rest.split(',')
            .next()?
            .parse::<u32>()
            .ok()
            .filter(|_| counts)
    };
    stats.lines().filter_map(calls).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_reads_the_store_once() {
    const WAITING: usize = 200;
    let mut bench = Bench::redis();
    let cache = bench.long_windowed().await;
    let gate = Gate::closed();
    let app = Origin::gated(&gate, MINUTE).behind(&patient(&cache));
    let leader = start(&app);
    gate.entered().await;
    asked(bench.server());
    let all: Vec<_> = (0..WAITING).map(|_| start(&app)).collect();
    gate.release();
    for got in all {
        assert_eq!(soon(got).await.unwrap().text(), "0");
    }
    soon(leader).await.unwrap();
    let asked = asked(bench.server());
    // Seven of the leader's: its read and its lease, and five inside of the script that fills; none of those who wait.
    assert!(asked <= 8, "{asked} times for {WAITING} requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_shared_costs_the_store_nothing_for_a_while() {
    let mut bench = Bench::redis();
    let cache = bench.long_windowed().await;
    let origin = Origin::numbered(&[("cache-control", "no-store")]);
    let app = origin.behind(&layer(&cache));
    get(&app, "/").await;
    until(|| async { cache.stats().flights == 0 }).await;
    asked(bench.server());
    for _ in 0..50 {
        get(&app, "/").await;
    }
    let asked = asked(bench.server());
    assert!(asked <= 5, "{asked} times for 50 requests");
    assert_eq!(origin.calls(), 51);
}
