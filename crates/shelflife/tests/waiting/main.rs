//! What callers that wait cost in memory: 100,000 of them by `make waiting`, fewer in `make test`. A test binary of its own, because so
//! many tasks leave nothing to tests beside them; each case is a process of its own, because others' memory does not count.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "tests, which print what they measured"
)]

use std::convert::Infallible;
use std::process::Command;
use std::time::Duration;

use shelflife::{Builder, Cache};
use shelflife_testkit::RedisServer;

#[path = "../it/gate.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with another test binary")]
mod gate;

use gate::Gate;

/// How many there are, if nothing else is said by `SHELFLIFE_TEST_CALLERS`.
const CALLERS: usize = 5_000;
/// As long as 100,000 take on a small machine, and longer.
const PATIENCE: Duration = Duration::from_secs(240);
/// What one may take, its task included, of those who wait for one key, and of those who wait for a load each: what was measured in an
/// unoptimized build (2 KB, 6 KB), and room. Futures of such a build are several times as large as others.
const ONE_KEY: usize = 8 * 1024;
const A_KEY_EACH: usize = 16 * 1024;
const LONG: Duration = Duration::from_secs(600);

fn callers() -> usize {
    let said = std::env::var("SHELFLIFE_TEST_CALLERS").ok();
    said.map_or(CALLERS, |said| said.parse().expect("a number of callers"))
}

/// The output of a future that must not hang.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it should have ended long ago")
}

/// Waits until something holds, without taking the time of those who make it so.
async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    soon(async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Runs a case of this file in a process of its own, and shows what it measured.
fn alone(case: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let ran = command
        .args(["--exact", case, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let measured = said.lines().find(|line| line.contains("bytes each"));
    println!("{}", measured.expect("it measured something"));
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim()
        .trim_end_matches(" kB")
        .parse::<usize>()
        .unwrap()
        * 1024
}

fn builder() -> Builder {
    // So many tasks starve timers: nothing may end meanwhile.
    let policy = shelflife::Policy::new()
        .lease(Duration::from_secs(300))
        .hard_timeout(LONG);
    Cache::builder()
        .policy(policy)
        .window(LONG)
        .loads(64)
        .loads_waiting(callers())
}

/// Has so many callers wait, half of whom then go away.
async fn measure(
    what: &str,
    cache: Cache,
    key: impl Fn(usize) -> String,
    most: usize,
    wait: impl AsyncFn(&Cache) -> bool,
) {
    let gate = Gate::closed();
    let before = resident();
    let count = self::callers();
    let mut callers = Vec::with_capacity(count);
    for n in 0..count {
        let (cache, key, gate) = (cache.clone(), key(n), gate.clone());
        callers.push(tokio::spawn(async move {
            let load = || async move {
                gate.pass().await;
                Ok::<_, Infallible>(7_u32)
            };
            cache.get_or_load(key, load).await
        }));
    }
    until(async || wait(&cache).await).await;
    // Whoever was spawned has been polled once all before have: the last ones, too.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let each = resident().saturating_sub(before) / count;
    println!("{what}: {count} callers wait, {each} bytes each");
    assert!(each < most, "{what}: {each} bytes each");
    for (n, caller) in callers.iter().enumerate() {
        if n % 2 == 1 {
            caller.abort();
        }
    }
    gate.release();
    for (n, caller) in callers.into_iter().enumerate() {
        match soon(caller).await {
            Ok(value) => assert_eq!(value.unwrap(), 7),
            Err(gone) => assert!(gone.is_cancelled() && n % 2 == 1),
        }
    }
    until(async || {
        let stats = cache.stats();
        (stats.flights, stats.loads_running, stats.loads_waiting) == (0, 0, 0)
    })
    .await;
}

async fn all_for_one(cache: Cache, what: &str) {
    measure(
        what,
        cache,
        |_| "users:42".to_owned(),
        ONE_KEY,
        async |cache| cache.stats().loads_running > 0,
    )
    .await;
}

async fn one_for_each(cache: Cache, what: &str) {
    let all = async |cache: &Cache| {
        let stats = cache.stats();
        stats.loads_running + stats.loads_waiting == callers() as u64
    };
    measure(what, cache, |n| format!("users:{n}"), A_KEY_EACH, all).await;
}

/// A server that answers. So many that ask at once wait for their answers longer than usual.
async fn there(server: &RedisServer) -> Cache {
    let builder = builder().url(server.url()).timeout(LONG);
    builder.build().await.unwrap()
}

/// A server that is not there.
async fn away() -> Cache {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    builder()
        .url(format!("redis://{nobody}"))
        .build()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures the memory of its process"]
async fn one_key() {
    all_for_one(builder().build().await.unwrap(), "one key").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures the memory of its process"]
async fn a_key_each() {
    one_for_each(builder().build().await.unwrap(), "a key each").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures the memory of its process"]
async fn one_key_in_redis() {
    let server = RedisServer::start();
    all_for_one(there(&server).await, "one key, in Redis").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures the memory of its process"]
async fn a_key_each_in_redis() {
    let server = RedisServer::start();
    one_for_each(there(&server).await, "a key each, in Redis").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures the memory of its process"]
async fn one_key_without_the_store() {
    all_for_one(away().await, "one key, without the store").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures the memory of its process"]
async fn a_key_each_without_the_store() {
    one_for_each(away().await, "a key each, without the store").await;
}

#[test]
fn callers_that_wait_take_no_more_than_is_said() {
    for case in [
        "one_key",
        "a_key_each",
        "one_key_in_redis",
        "a_key_each_in_redis",
        "one_key_without_the_store",
        "a_key_each_without_the_store",
    ] {
        alone(case);
    }
}
