//! What a miss, a set and an invalidation cost one caller, in time and in round trips.

use std::convert::Infallible;
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use shelflife::{Cache, Invalidation};

use crate::Outcome;
use crate::measure::{Turn, compete};
use crate::report::{Report, Row, Target, Unit};
use crate::server::{Server, embedded};
use crate::subject::{User, key, tag};

const TIME: &str = "steps of one caller, µs";
const TRIPS: &str = "steps of one caller, round trips";
const ROUNDS: usize = 7;
/// How many times a turn does its step.
const TIMES: usize = 400;

#[derive(Clone, Copy)]
enum Step {
    Miss,
    Set,
    InvalidateTag,
    Delete,
}

const STEPS: [(&str, Step, Option<Target>); 4] = [
    (
        "a miss: get_or_load, the load costs nothing",
        Step::Miss,
        Some(Target::AtMost(2.0)),
    ),
    ("set", Step::Set, None),
    ("invalidate a tag", Step::InvalidateTag, None),
    ("delete", Step::Delete, None),
];

impl Step {
    async fn take(self, cache: &Cache, id: usize) -> Outcome<()> {
        let key = key(id);
        match self {
            Self::Miss => {
                let load = move || async move { Ok::<_, Infallible>(User::small(id)) };
                let loaded = cache
                    .entry(&key)
                    .tag(tag(id % 100))
                    .lookup_or_load(load)
                    .await;
                let status = loaded.map_err(|e| e.to_string())?.status;
                if !status.stored() {
                    return Err(format!("a miss of {key} that stored nothing: {status}").into());
                }
            }
            Self::Set => {
                cache
                    .entry(&key)
                    .tag(tag(id % 100))
                    .set(User::small(id))
                    .await?;
            }
            Self::InvalidateTag => {
                cache
                    .invalidate(Invalidation::new().tag(tag(id % 100)))
                    .await?;
            }
            Self::Delete => {
                cache.delete(&key).await?;
            }
        }
        Ok(())
    }
}

pub(crate) fn run(server: &Server, report: &mut Report) -> Outcome<()> {
    report.note(
        TIME,
        "entries of about 200 B with 100 tags among them; on Redis beside a bare GET of nothing",
    );
    report.note(
        TRIPS,
        "reads that the server has done for its clients (INFO stats, total_reads_processed)",
    );
    let (redis, embedded, mut bare) = server.runtime.block_on(async {
        let redis = server.cache("steps").build().await?;
        Outcome::Ok((redis, embedded().build().await?, server.bare().await?))
    })?;
    let mut next = 0;
    let mut counts = Vec::new();
    for (name, step, target) in STEPS {
        let count = server
            .runtime
            .block_on(trips(step, &redis, &mut bare, &mut next))?;
        let row = Row::new(TRIPS, format!("{name}, on Redis"), count, Unit::RoundTrips);
        counts.push(row.maybe(target));
    }
    for (name, cache) in [("on Redis", &redis), ("embedded", &embedded)] {
        for (what, step, _) in STEPS {
            let mut turns = [
                get_nothing(server, bare.clone()),
                turn(server, cache, step, &mut next),
            ];
            let times = compete(ROUNDS, &mut turns)?;
            let [bare, own] = [&times[0], &times[1]];
            let row = Row::new(
                TIME,
                format!("{what}, {name}"),
                own.median() / 1000.0,
                Unit::Microseconds,
            );
            report.row(if name == "embedded" {
                row
            } else {
                row.beside(bare.median() / 1000.0, own.over(bare))
            });
        }
    }
    counts.into_iter().for_each(|row| report.row(row));
    Ok(())
}

/// A turn: the step on keys that no turn has had before.
fn turn<'a>(server: &'a Server, cache: &'a Cache, step: Step, next: &'a mut usize) -> Turn<'a> {
    Box::new(move || {
        let first = *next;
        *next += TIMES;
        // As a task, where requests are handled.
        let cache = cache.clone();
        let task = async move {
            let began = Instant::now();
            for id in first..first + TIMES {
                step.take(&cache, id).await?;
            }
            Outcome::Ok(began.elapsed().as_nanos() as f64 / TIMES as f64)
        };
        server.runtime.block_on(server.runtime.spawn(task))?
    })
}

fn get_nothing(server: &Server, bare: MultiplexedConnection) -> Turn<'_> {
    Box::new(move || {
        let mut bare = bare.clone();
        let task = async move {
            let began = Instant::now();
            for _ in 0..TIMES {
                let _: Option<Vec<u8>> = redis::cmd("GET")
                    .arg("nothing")
                    .query_async(&mut bare)
                    .await?;
            }
            Outcome::Ok(began.elapsed().as_nanos() as f64 / TIMES as f64)
        };
        server.runtime.block_on(server.runtime.spawn(task))?
    })
}

/// Round trips of one step, on average.
async fn trips(
    step: Step,
    cache: &Cache,
    bare: &mut MultiplexedConnection,
    next: &mut usize,
) -> Outcome<f64> {
    // Tags' records and scripts are there after the first hundred.
    for id in *next..*next + 100 {
        step.take(cache, id).await?;
    }
    *next += 100;
    let before = reads(bare).await?;
    for id in *next..*next + TIMES {
        step.take(cache, id).await?;
    }
    *next += TIMES;
    // One of the reads is that of the question itself.
    Ok((reads(bare).await? - before - 1) as f64 / TIMES as f64)
}

async fn reads(bare: &mut MultiplexedConnection) -> Outcome<u64> {
    let info: String = redis::cmd("INFO").arg("stats").query_async(bare).await?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("total_reads_processed:"));
    Ok(line
        .ok_or("this server does not count its reads")?
        .trim()
        .parse()?)
}
