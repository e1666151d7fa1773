//! A hit in the process: its time beside quick_cache's and moka's, and its allocations.
//!
//! Futures are polled once, by hand: no executor is measured.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::Instant;

use futures_util::FutureExt as _;
use shelflife::{Cache, Tag, Value, cached};

use crate::Outcome;
use crate::measure::{Turn, allocations, compete};
use crate::report::{Report, Row, Target, Unit};
use crate::server::{Server, embedded};
use crate::subject::{USERS, User, key, shuffled, tag};

const SPEED: &str = "L1 hit, ns per hit";
const COST: &str = "L1 hit, allocations beside the value's own";
const ROUNDS: usize = 15;
/// How often a turn goes through all users.
const PASSES: usize = 8;
const MOST: Target = Target::AtMost(2.0);

/// What a caller has in its hands.
struct Named {
    key: String,
    tag: Tag,
    id: u64,
}

fn all_named(seed: u64) -> Vec<Named> {
    let named = |id| Named {
        key: key(id),
        tag: tag(id),
        id: id as u64,
    };
    shuffled(seed).into_iter().map(named).collect()
}

/// A way to get values out of a cache that holds them all.
struct Contender<'a> {
    name: String,
    target: Option<Target>,
    pass: Pass<'a>,
}

/// Gets everybody's; whether all were there. The loop is inside: the call through the box is no part
/// of a hit's time.
type Pass<'a> = Box<dyn Fn(&[Named]) -> bool + Sync + 'a>;

impl<'a> Contender<'a> {
    /// `number` is what the next read waits for: see the note of the section.
    fn new<T: 'a>(
        name: impl Into<String>,
        target: Option<Target>,
        number: fn(&T) -> u64,
        get: impl Fn(&Named) -> Option<T> + Sync + 'a,
    ) -> Self {
        let pass = move |all: &[Named]| {
            let nothing = black_box(0);
            let mut at = 0;
            while let Some(named) = all.get(at) {
                let Some(value) = get(named) else {
                    return false;
                };
                at += 1 + (number(&value) & nothing) as usize;
            }
            true
        };
        Self {
            name: name.into(),
            target,
            pass: Box::new(pass),
        }
    }
}

pub(crate) fn run(server: &Server, report: &mut Report) -> Outcome<()> {
    report.note(
        SPEED,
        "10,000 keys in random order, 3 tags each; every read waits for the value of the one before; x2: two threads;",
    );
    report.note(
        SPEED,
        "beside quick_cache::sync::Cache<Arc<str>, Arc<T>>::get and a clone of the value, which is what shelflife gives",
    );
    let numbers = Caches::warm(server, "numbers", |id| id as u64, |n| *n)?;
    let mut contenders = numbers.contenders();
    contenders.push(Contender::new(
        "#[cached] fn, on Redis",
        None,
        |n| *n,
        |n| function(&numbers.redis, n.id).now_or_never()?.ok(),
    ));
    numbers.race("u64", &contenders, report)?;
    let users = Caches::warm(server, "users", User::small, |user| user.id)?;
    users.race("User", &users.contenders(), report)
}

/// The same values in all caches.
struct Caches<T> {
    quick: quick_cache::sync::Cache<Arc<str>, Arc<T>>,
    moka: moka::sync::Cache<Arc<str>, Arc<T>>,
    redis: Cache,
    embedded: Cache,
    number: fn(&T) -> u64,
}

impl<T: Value + Clone> Caches<T> {
    fn warm(
        server: &Server,
        namespace: &str,
        value: impl Fn(usize) -> T,
        number: fn(&T) -> u64,
    ) -> Outcome<Self> {
        let (quick, moka) = (
            quick_cache::sync::Cache::new(2 * USERS),
            moka::sync::Cache::new(2 * USERS as u64),
        );
        for id in 0..USERS {
            let key: Arc<str> = key(id).into();
            quick.insert(key.clone(), Arc::new(value(id)));
            moka.insert(key, Arc::new(value(id)));
        }
        moka.run_pending_tasks();
        let fill = async |cache: &Cache| -> Outcome<()> {
            for id in 0..USERS {
                let key = key(id);
                let entry = cache.entry(&key).tag(tag(id));
                entry.set(value(id)).await?;
                entry
                    .get::<T>()
                    .await
                    .ok_or("a value that was set is not there")?;
            }
            Ok(())
        };
        let (redis, embedded) = server.runtime.block_on(async {
            let redis = server.cache(namespace).build().await?;
            let embedded = embedded().build().await?;
            fill(&redis).await?;
            fill(&embedded).await?;
            Outcome::Ok((redis, embedded))
        })?;
        Ok(Self {
            quick,
            moka,
            redis,
            embedded,
            number,
        })
    }

    fn contenders(&self) -> Vec<Contender<'_>> {
        let mut all = vec![
            Contender::new("quick_cache", None, self.number, |n| {
                self.quick.get(n.key.as_str()).map(|v| T::clone(&v))
            }),
            Contender::new("moka", None, self.number, |n| {
                self.moka.get(n.key.as_str()).map(|v| T::clone(&v))
            }),
        ];
        for (name, cache) in [("on Redis", &self.redis), ("embedded", &self.embedded)] {
            all.extend([
                Contender::new(format!("get, {name}"), Some(MOST), self.number, |n| {
                    cache.get::<T>(&n.key).now_or_never().flatten()
                }),
                Contender::new(
                    format!("get_or_load, {name}"),
                    Some(MOST),
                    self.number,
                    |n| cache.get_or_load(&n.key, cold::<T>).now_or_never()?.ok(),
                ),
                Contender::new(
                    format!("entry, tag, get, {name}"),
                    Some(MOST),
                    self.number,
                    |n| {
                        cache
                            .entry(&n.key)
                            .tag(&n.tag)
                            .get::<T>()
                            .now_or_never()
                            .flatten()
                    },
                ),
            ]);
        }
        all
    }

    fn race(&self, what: &str, contenders: &[Contender<'_>], report: &mut Report) -> Outcome<()> {
        for threads in [1, 2] {
            // The first is the one that the others are beside.
            let mut turns: Vec<Turn<'_>> = contenders.iter().map(|c| turn(c, threads)).collect();
            let times = compete(ROUNDS, &mut turns)?;
            for (contender, own) in contenders.iter().zip(&times).skip(1) {
                let name = format!("{what} x{threads}  {}", contender.name);
                let row = Row::new(SPEED, name, own.median(), Unit::Nanoseconds)
                    .beside(times[0].median(), own.over(&times[0]));
                report.row(row.maybe(contender.target));
            }
        }
        self.no_read_went_further()?;
        let named = all_named(1);
        let count = |c: &Contender<'_>| allocations(1, || assert!((c.pass)(&named))) / USERS as f64;
        let own = contenders.first().map_or(0.0, count);
        for contender in &contenders[1..] {
            let name = format!("{what}  {}", contender.name);
            let row = Row::new(COST, name, count(contender) - own, Unit::Allocations);
            report.row(row.maybe(contender.target.map(|_| Target::AtMost(0.0))));
        }
        Ok(())
    }

    /// A hit that had to ask Redis would have been pending; a stale one would have been counted.
    fn no_read_went_further(&self) -> Outcome<()> {
        for cache in [&self.redis, &self.embedded] {
            let stats = cache.stats();
            let filling = USERS as u64;
            if stats.loads > 0 || stats.stale > 0 || stats.l2_hits > filling {
                return Err(format!("not only L1 was measured: {stats:?}").into());
            }
        }
        Ok(())
    }
}

/// What no hit calls.
async fn cold<T>() -> Result<T, Infallible> {
    unreachable!("a hit does not load")
}

#[cached(ttl = "1h", key = "users:{id}", tags = ["user:{id}"], cache = cache)]
async fn function(cache: &Cache, id: u64) -> Result<u64, shelflife::Error> {
    unreachable!("a hit does not load: {id}")
}

/// A turn: several passes by each thread, each in an order of its own, after one that brings back what
/// the others' turns have driven out of the processor's caches; gives the time of one hit.
fn turn<'a>(contender: &'a Contender<'_>, threads: u64) -> Turn<'a> {
    let orders: Vec<Vec<Named>> = (0..threads).map(all_named).collect();
    Box::new(move || {
        let start = Barrier::new(orders.len());
        let thread = |order: &[Named]| {
            let warm = (contender.pass)(order);
            start.wait();
            let began = Instant::now();
            let complete = warm && (0..PASSES).all(|_| (contender.pass)(order));
            (complete, began.elapsed())
        };
        let ended: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = orders.iter().map(|o| scope.spawn(|| thread(o))).collect();
            running.into_iter().map(|t| t.join()).collect()
        });
        let mut slowest = 0.0_f64;
        for end in ended {
            let (complete, took) = end.map_err(|_| "a thread panicked")?;
            if !complete {
                return Err(format!("{}: not everything was a hit", contender.name).into());
            }
            slowest = slowest.max(took.as_nanos() as f64);
        }
        Ok(slowest / (PASSES * USERS) as f64)
    })
}
