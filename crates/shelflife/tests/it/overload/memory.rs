//! What 100,000 callers that wait cost in memory. Each case is a process of its own: others' memory does not count.

#![allow(clippy::print_stdout, reason = "what was measured, with --nocapture")]

use std::convert::Infallible;
use std::process::Command;
use std::time::Duration;

use shelflife::{Builder, Cache};

use crate::gate::{Gate, soon, until};

const CALLERS: usize = 100_000;
/// What one may take, its task included: more than twice what was measured.
const BYTES: usize = 16 * 1024;
const LONG: Duration = Duration::from_secs(600);

/// Runs a case of this file in a process of its own, and shows what it measured.
fn alone(case: &str) {
    let name = format!("overload::memory::{case}");
    let mut command = Command::new(std::env::current_exe().unwrap());
    let ran = command
        .args(["--exact", &name, "--ignored", "--nocapture"])
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
        .loads_waiting(CALLERS)
}

/// Has so many callers wait, half of whom then go away.
async fn measure(
    what: &str,
    cache: Cache,
    key: impl Fn(usize) -> String,
    wait: impl AsyncFn(&Cache) -> bool,
) {
    let gate = Gate::closed();
    let before = resident();
    let mut callers = Vec::with_capacity(CALLERS);
    for n in 0..CALLERS {
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
    let each = resident().saturating_sub(before) / CALLERS;
    println!("{what}: {CALLERS} callers wait, {each} bytes each");
    assert!(each < BYTES, "{what}: {each} bytes each");
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
        async |cache| cache.stats().loads_running > 0,
    )
    .await;
}

async fn one_for_each(cache: Cache, what: &str) {
    let all = async |cache: &Cache| {
        let stats = cache.stats();
        stats.loads_running + stats.loads_waiting == CALLERS as u64
    };
    measure(what, cache, |n| format!("users:{n}"), all).await;
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
async fn one_key_without_the_store() {
    all_for_one(away().await, "one key, without the store").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures the memory of its process"]
async fn a_key_each_without_the_store() {
    one_for_each(away().await, "a key each, without the store").await;
}

#[test]
fn a_hundred_thousand_callers_that_wait_take_no_more_than_is_said() {
    for case in [
        "one_key",
        "a_key_each",
        "one_key_without_the_store",
        "a_key_each_without_the_store",
    ] {
        alone(case);
    }
}
