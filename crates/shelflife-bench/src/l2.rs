//! A hit in Redis, at several numbers of callers, beside a bare `GET` of the same bytes.
//!
//! L1 is so small that it has forgotten an entry before it is asked for again: nearly every read goes to Redis, and
//! pays for its insertion into L1, and for what that replaces, too. Callers are tasks; a turn ends when the last of
//! them has done its share.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use shelflife::Cache;
use tokio::runtime::Runtime;

use crate::Outcome;
use crate::measure::{Turn, compete};
use crate::report::{Report, Row, Target, Unit};
use crate::server::Server;
use crate::subject::{USERS, User, key, shuffled, tag};

const SECTION: &str = "L2 hit, µs per hit; the ratio is of throughputs";
const LEAST: Target = Target::AtLeast(0.7);
/// Bytes of L1: about a hundred entries.
const L1: u64 = 64 << 10;
const ROUNDS: usize = 11;
/// Callers, and how many reads a turn has.
const ONE: [(usize, usize); 1] = [(1, 2_000)];
const MANY: [(usize, usize); 2] = [(64, 10_000), (256, 10_000)];

/// What each caller reads by.
#[derive(Clone)]
enum Reader {
    Bare(MultiplexedConnection),
    Get(Cache),
    GetTagged(Cache),
    GetOrLoad(Cache),
}

impl Reader {
    async fn read(&mut self, id: usize) -> Outcome<()> {
        let key = key(id);
        let found = match self {
            Self::Bare(connection) => {
                let name = format!("sl1:l2:e:{key}");
                let bytes: Option<Vec<u8>> =
                    redis::cmd("GET").arg(name).query_async(connection).await?;
                return bytes.map(drop).ok_or_else(|| "nothing there".into());
            }
            Self::Get(cache) => cache.get::<User>(&key).await,
            Self::GetTagged(cache) => cache.entry(&key).tag(tag(id)).get::<User>().await,
            Self::GetOrLoad(cache) => {
                let cold = || async { unreachable!("a hit does not load") };
                let loaded = cache
                    .entry(&key)
                    .tag(tag(id))
                    .get_or_load::<User, Infallible, _, _>(cold)
                    .await;
                Some(loaded.map_err(|e| e.to_string())?)
            }
        };
        let user = found.ok_or("a miss")?;
        if user.id == id as u64 {
            Ok(())
        } else {
            Err("another's value".into())
        }
    }
}

pub(crate) fn run(server: &Server, report: &mut Report) -> Outcome<()> {
    report.note(
        SECTION,
        "10,000 keys of about 200 B in random order; L1 has room for 1 % of them;",
    );
    report.note(
        SECTION,
        "beside redis-rs GET of the same record bytes, undecoded, on one MultiplexedConnection;",
    );
    report.note(
        SECTION,
        "2 workers; one caller on a current-thread runtime: with more, it is the wake-ups that are measured",
    );
    let one = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    race(server, &one, &ONE, report)?;
    race(server, &server.runtime, &MANY, report)
}

fn race(
    server: &Server,
    runtime: &Runtime,
    callers: &[(usize, usize)],
    report: &mut Report,
) -> Outcome<()> {
    let (cache, bare) = runtime.block_on(async {
        let cache = server.cache("l2").memory_limit(L1).build().await?;
        for id in 0..USERS {
            let (key, user) = (key(id), User::small(id));
            cache.entry(key).tag(tag(id)).set(user).await?;
        }
        Outcome::Ok((cache, server.bare().await?))
    })?;
    let readers = [
        ("", Reader::Bare(bare)),
        ("entry, tag, get", Reader::GetTagged(cache.clone())),
        ("entry, tag, get_or_load", Reader::GetOrLoad(cache.clone())),
        (
            "get (its own tag unknown to the reader)",
            Reader::Get(cache.clone()),
        ),
    ];
    let order: Arc<[usize]> = shuffled(7).into();
    for &(callers, reads) in callers {
        let mut turns: Vec<Turn<'_>> = readers
            .iter()
            .map(|(_, reader)| turn(runtime, reader, &order, callers, reads))
            .collect();
        let before = cache.stats();
        let times = compete(ROUNDS, &mut turns)?;
        let after = cache.stats();
        let expected = 3 * (ROUNDS as u64 + 1) * reads as u64;
        let hits = after.l2_hits - before.l2_hits;
        if hits > expected || hits < expected / 100 * 97 || after.loads > 0 {
            return Err(format!("not only L2 was measured: {after:?}").into());
        }
        for ((name, reader), own) in readers.iter().zip(&times).skip(1) {
            let micros = |ns: f64| ns / 1000.0;
            let row = Row::new(
                SECTION,
                format!("{callers:>3} callers  {name}"),
                micros(own.median()),
                Unit::Microseconds,
            )
            .beside(micros(times[0].median()), times[0].over(own));
            let judged = !matches!(reader, Reader::Get(_));
            report.row(row.maybe(judged.then_some(LEAST)));
        }
    }
    Ok(())
}

fn turn<'a>(
    runtime: &'a Runtime,
    reader: &'a Reader,
    order: &'a Arc<[usize]>,
    callers: usize,
    reads: usize,
) -> Turn<'a> {
    Box::new(move || {
        runtime.block_on(async {
            let began = Instant::now();
            let caller = |at: usize| {
                let (mut reader, order) = (reader.clone(), order.clone());
                tokio::spawn(async move {
                    // Each reads what no other reads: callers of one key would share a flight.
                    for i in (at..reads).step_by(callers) {
                        reader.read(order[i % order.len()]).await?;
                    }
                    Outcome::Ok(())
                })
            };
            let tasks: Vec<_> = (0..callers).map(caller).collect();
            for task in tasks {
                task.await??;
            }
            Ok(began.elapsed().as_nanos() as f64 / reads as f64)
        })
    })
}
