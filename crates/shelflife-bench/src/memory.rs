//! Bytes of an entry: in the process beside what is accounted for, in Redis beside the JSON alone.
//!
//! A cache is filled well beyond its limit; what this thread has allocated for it then, all in all, is
//! divided by the entries it holds. Everything runs on this thread, so nothing escapes the count.

use redis::aio::MultiplexedConnection;
use shelflife::{Builder, Cache};
use tokio::runtime::Runtime;

use crate::Outcome;
use crate::measure::kept;
use crate::report::{Report, Row, Target, Unit};
use crate::server::{HOUR, Server, embedded};
use crate::subject::{User, key, tag};

const PROCESS: &str = "memory in the process, bytes per entry";
const REDIS: &str = "memory in Redis, bytes per entry";
const LIMIT: u64 = 4 << 20;
const HONEST: Target = Target::Between(0.8, 1.2);

/// Makes the user of an id.
type Make = fn(usize) -> User;

const SIZES: [(&str, Make); 2] = [("200 B", User::small), ("1.8 KB", User::large)];

pub(crate) fn run(server: &Server, report: &mut Report) -> Outcome<()> {
    report.note(PROCESS, "all that a cache at its limit of 4 MiB has allocated, by entry, beside what it counts against the limit");
    report.note(
        REDIS,
        "MEMORY USAGE of the record beside that of the value's JSON under a key of the same length",
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for (size, user) in SIZES {
        for tagged in [false, true] {
            let redis = server.cache("memory");
            in_process(&runtime, redis, "on Redis", size, user, tagged, report)?;
            in_process(&runtime, embedded(), "embedded", size, user, tagged, report)?;
        }
    }
    for (size, user) in SIZES {
        runtime.block_on(in_redis(server, size, user, report))?;
    }
    Ok(())
}

fn in_process(
    runtime: &Runtime,
    builder: Builder,
    name: &str,
    size: &str,
    user: Make,
    tagged: bool,
    report: &mut Report,
) -> Outcome<()> {
    let filled = || runtime.block_on(fill(builder.memory_limit(LIMIT), user, tagged));
    let (allocated, cache) = kept(filled);
    let cache = cache.ok_or("nothing was made")??;
    let overview = runtime.block_on(cache.overview())?;
    let stats = cache.stats();
    let embedded = overview.store == "embedded";
    let (entries, accounted) = if embedded {
        (
            overview.entries,
            stats.l1_bytes + overview.used_memory.unwrap_or(0),
        )
    } else {
        (stats.l1_entries, stats.l1_bytes)
    };
    let by_entry = |bytes: f64| bytes / entries as f64;
    let tags = if tagged { ", a tag of its own" } else { "" };
    let row = Row::new(
        PROCESS,
        format!("{size}, {name}{tags}"),
        by_entry(allocated as f64),
        Unit::Bytes,
    );
    report.row(
        row.beside(
            by_entry(accounted as f64),
            allocated as f64 / accounted as f64,
        )
        .target(HONEST),
    );
    Ok(())
}

/// A cache that has had more entries than it has room for: their JSON alone would fill it.
async fn fill(builder: Builder, user: Make, tagged: bool) -> Outcome<Cache> {
    let cache = builder.build().await?;
    let fit = LIMIT as usize / serde_json::to_vec(&user(0))?.len();
    for id in 0..fit {
        let key = key(id);
        let mut entry = cache.entry(&key);
        if tagged {
            entry = entry.tag(tag(id));
        }
        entry.set(user(id)).await?;
        entry
            .get::<User>()
            .await
            .ok_or("a value that was set is not there")?;
    }
    cache.sweep();
    Ok(cache)
}

async fn in_redis(server: &Server, size: &str, user: Make, report: &mut Report) -> Outcome<()> {
    const SAMPLES: usize = 200;
    let cache = server.cache("size").build().await?;
    let mut bare = server.bare().await?;
    let (mut ours, mut json, mut tags) = (0, 0, 0);
    for id in 0..SAMPLES {
        let naive = format!("sl1:size:j:{}", key(id));
        let text = serde_json::to_vec(&user(id))?;
        let set = redis::cmd("SET")
            .arg(&naive)
            .arg(text)
            .arg("PX")
            .arg(HOUR.as_millis() as u64)
            .exec_async(&mut bare)
            .await;
        set?;
        cache.entry(key(id)).tag(tag(id)).set(user(id)).await?;
        ours += usage(&mut bare, &format!("sl1:size:e:{}", key(id))).await?;
        json += usage(&mut bare, &naive).await?;
        tags += usage(&mut bare, &format!("sl1:{{size}}:t:{}", tag(id))).await?;
    }
    let each = |bytes: u64| bytes as f64 / SAMPLES as f64;
    let with_json = |name: &str, bytes| {
        Row::new(REDIS, format!("{size}, {name}"), each(bytes), Unit::Bytes)
            .beside(each(json), bytes as f64 / json as f64)
    };
    report.row(with_json("the record", ours));
    report.row(with_json(
        "the record and the record of a tag of its own",
        ours + tags,
    ));
    Ok(())
}

async fn usage(bare: &mut MultiplexedConnection, key: &str) -> Outcome<u64> {
    let bytes: Option<u64> = redis::cmd("MEMORY")
        .arg("USAGE")
        .arg(key)
        .query_async(bare)
        .await?;
    bytes.ok_or_else(|| format!("there is no {key}").into())
}
