//! A process that uses the cache, for tests that need several.
//!
//! It is driven by lines on standard input and tells what happens by lines on standard output:
//!
//! ```text
//! load KEY CALLERS   many concurrent callers → "started", then "loaded VALUES stored STORED REASON"
//! get KEY            → "got VALUE" or "got nothing"
//! strict KEY         the same, at the level strict
//! where KEY          → "VALUE in l1", "VALUE in l2" or "nowhere"
//! invalidate TAG     → "invalidated"
//! ```
//!
//! The source is in Redis, outside of the cache's namespace: `source:loads` counts loads, and the load
//! number N ends with the value N once the key `source:open:N` exists. Settings come from the environment.
//!
//! Must not: decide anything that a test is about.
#![allow(
    clippy::print_stdout,
    reason = "its lines are what the test reads and answers"
)]

use std::time::Duration;

use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use shelflife::{Cache, Invalidation, Loaded, Tier};
use tokio::io::{AsyncBufReadExt as _, BufReader};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let cache = match Cache::from_env().await {
        Ok(cache) => cache,
        Err(error) => {
            println!("refused {:?} {error}", error.kind());
            return Ok(());
        }
    };
    let source = match cache.redis() {
        Some(source) => source,
        None => {
            println!("ready embedded {}", cache.namespace());
            return Ok(());
        }
    };
    println!("ready redis {}", cache.namespace());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["load", key, callers] => {
                let load = load(
                    cache.clone(),
                    source.clone(),
                    key.to_owned(),
                    callers.parse()?,
                );
                tokio::spawn(load);
            }
            ["get", key] => show(cache.get(key).await),
            ["strict", key] => show(cache.entry(key).strict().get().await),
            ["where", key] => {
                let found = cache.entry(key).lookup::<u64>().await;
                match (found.value, found.status.tier()) {
                    (Some(value), Some(Tier::L1)) => println!("{value} in l1"),
                    (Some(value), _) => println!("{value} in l2"),
                    (None, _) => println!("nowhere"),
                }
            }
            ["invalidate", tag] => {
                cache.invalidate(Invalidation::new().tag(tag)).await?;
                println!("invalidated");
            }
            _ => return Err(format!("not a command: {line}").into()),
        }
    }
    Ok(())
}

fn show(value: Option<u64>) {
    match value {
        Some(value) => println!("got {value}"),
        None => println!("got nothing"),
    }
}

/// Reads one key by many callers at once, and tells what they got.
async fn load(cache: Cache, source: MultiplexedConnection, key: String, callers: usize) {
    let reads: Vec<_> = (0..callers)
        .map(|_| {
            let (cache, source, key) = (cache.clone(), source.clone(), key.clone());
            tokio::spawn(async move {
                let entry = cache.entry(&key).tag("tag");
                entry.lookup_or_load(move || from_source(source)).await
            })
        })
        .collect();
    println!("started");
    let (mut values, mut stored, mut reason) = (Vec::new(), false, String::new());
    for read in reads {
        match read.await {
            Ok(Ok(Loaded { value, status, .. })) => {
                values.push(value);
                stored |= status.stored();
                reason = status.reason().to_string();
            }
            Ok(Err(error)) => println!("failed {error}"),
            Err(error) => println!("failed {error}"),
        }
    }
    values.sort_unstable();
    values.dedup();
    println!("loaded {values:?} stored {stored} {reason}");
}

/// The source: slow until the test lets it be quick.
async fn from_source(mut source: MultiplexedConnection) -> Result<u64, redis::RedisError> {
    let number: u64 = source.incr("source:loads", 1).await?;
    while !source.exists(format!("source:open:{number}")).await? {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(number)
}
