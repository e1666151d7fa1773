//! Keys in Redis deleted, flushed, replaced or garbled. Whatever is there: misses, no error, no panic,
//! no wrong value; and then the namespace works again.

use std::time::Duration;

use shelflife::{Cache, Codec, Compression, Invalidation, Policy};
use shelflife_testkit::{Connection, RedisServer, Reply};

use crate::gate::{Gate, soon};

const KEY: &str = "users:42";
const TAG: &str = "user:42";
const ENTRY: &str = "sl1:test:e:users:42";
const CLOCK: &str = "sl1:{test}:clock";
const LOG: &str = "sl1:{test}:log";
const TAGS: [&str; 3] = [
    "sl1:{test}:t:*",
    "sl1:{test}:t:users:*",
    "sl1:{test}:t:user:42",
];

/// A cache that has nothing in L1.
async fn cold(server: &RedisServer) -> Cache {
    Cache::builder()
        .url(server.url())
        .namespace("test")
        .timeout(Duration::from_secs(10))
        .jitter(0.0)
        .build()
        .await
        .unwrap()
}

fn controls() -> impl Iterator<Item = &'static str> {
    [CLOCK, LOG].into_iter().chain(TAGS)
}

/// The namespace works: a load fills, others hit it, an invalidation takes it away.
async fn assert_works(caches: &[&Cache], what: &str) {
    for &cache in caches {
        let entry = cache.entry(KEY).tag(TAG).strict();
        entry.set("set".to_owned()).await.unwrap();
        if entry.get::<String>().await.is_none() {
            // For all that anybody knows, what was lost told of an invalidation that came after the call.
            entry.set("set".to_owned()).await.unwrap();
        }
        let found = entry.get::<String>().await;
        assert_eq!(found.as_deref(), Some("set"), "{what}");
        for hidden in [
            Invalidation::new().tag(TAG),
            Invalidation::new().key(KEY),
            Invalidation::new().all(),
        ] {
            let loaded = cache
                .entry(KEY)
                .tag(TAG)
                .lookup_or_load(Gate::open().loader("new".to_owned()))
                .await
                .unwrap();
            assert!(["new", "set"].contains(&loaded.value.as_str()));
            for other in caches {
                let found = other.entry(KEY).strict().get::<String>().await;
                assert_eq!(found, Some(loaded.value.clone()), "{what}");
            }
            cache.invalidate(hidden).await.unwrap();
            for other in caches {
                assert_eq!(
                    other.entry(KEY).strict().get::<String>().await,
                    None,
                    "{what}"
                );
            }
        }
        let refilled = cache
            .entry(KEY)
            .tag(TAG)
            .lookup_or_load(Gate::open().loader("new".to_owned()))
            .await
            .unwrap();
        assert!(refilled.status.stored(), "{what}: {}", refilled.status);
        assert_eq!(
            cache.get::<String>(KEY).await.as_deref(),
            Some("new"),
            "{what}"
        );
    }
}

/// What may be read after something was done to the bookkeeping: the value that is good, or nothing.
async fn assert_not_wrong(cache: &Cache, what: &str) {
    let entry = cache.entry(KEY).strict();
    for found in [
        entry.get::<String>().await,
        cache.get_many([KEY]).await.remove(0),
    ] {
        assert!(
            found.is_none() || found.as_deref() == Some("good"),
            "{found:?} after {what}"
        );
    }
    cache.inspect(KEY).await.unwrap();
    assert!(
        cache.stats().store_errors == 0,
        "{what}: {:?}",
        cache.stats()
    );
}

/// Does `harm`, before and after an invalidation, and sees that nothing wrong comes of it.
async fn suffers(server: &RedisServer, what: &str, harm: impl Fn()) {
    let cache = cold(server).await;
    let entry = cache.entry(KEY).tag(TAG);
    entry.set("good".to_owned()).await.unwrap();
    harm();
    let other = cold(server).await;
    assert_not_wrong(&other, what).await;
    assert_not_wrong(&cache, what).await;
    assert_works(&[&cache, &other], what).await;

    // What was invalidated before stays so, though the bookkeeping of that is lost.
    for how in [Invalidation::new().tag(TAG), Invalidation::new().all()] {
        entry.set("invalidated".to_owned()).await.unwrap();
        cache.invalidate(how).await.unwrap();
        harm();
        for reader in [&cold(server).await, &cache] {
            assert_not_wrong(reader, what).await;
        }
    }

    // In mid-load: the fill may be refused, but a value from before an invalidation may not come back.
    let gate = Gate::closed();
    let (reader, loader) = (cache.clone(), gate.loader("old".to_owned()));
    let load = tokio::spawn(async move {
        reader
            .entry(KEY)
            .tag(TAG)
            .get_or_load(loader)
            .await
            .unwrap()
    });
    gate.entered().await;
    cache
        .invalidate(Invalidation::new().tag(TAG))
        .await
        .unwrap();
    harm();
    gate.release();
    assert_eq!(soon(load).await.unwrap(), "old");
    for reader in [&cold(server).await, &cache] {
        assert_not_wrong(reader, what).await;
    }
    assert_works(&[&cache, &other], what).await;
}

/// What is no clock and no record of a tag, in place of one.
async fn suffers_garbage(server: &RedisServer, name: &str) {
    let garbage = [
        "",
        " ",
        "x",
        "1",
        "ff 1 x",
        "0 0 0",
        "00000000000000ff",
        "00000000000000ff 1",
        "00000000000000ff 1 ",
        "00000000000000ff -1 0",
        "00000000000000ff 1 -1",
        "00000000000000FF 1 0",
        "00000000000000ff 1 0 0",
        "00000000000000ff 9007199254740993 0",
        "00000000000000ff 18446744073709551615 0",
        "00000000000000ff 99999999999999999999 abc",
        "00000000000000ff 1e9 0",
        "\u{0}\u{1}\u{2}",
        "nan nan nan",
        "zzzzzzzzzzzzzzzz 1 0",
        "00000000000000ff 1 00000000000000ff 1 0",
    ];
    for text in garbage {
        let harm = || drop(server.cli(&["SET", name, text]));
        suffers(server, &format!("{name} = {text:?}"), harm).await;
    }
}

macro_rules! damage {
    ($(async fn $name:ident($server:ident) $body:block)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let $server = RedisServer::start();
            $body
        }
    )*};
}

damage! {
    async fn a_deleted_control_key_costs_misses(server) {
        for name in controls() {
            suffers(&server, &format!("DEL {name}"), || drop(server.cli(&["DEL", name]))).await;
        }
    }

    async fn all_control_keys_deleted_cost_misses(server) {
        let harm = || controls().for_each(|name| drop(server.cli(&["DEL", name])));
        suffers(&server, "DEL of all control keys", harm).await;
    }

    async fn a_flush_costs_misses(server) {
        suffers(&server, "FLUSHALL", || drop(server.cli(&["FLUSHALL"]))).await;
    }

    async fn a_deleted_entry_is_a_miss(server) {
        suffers(&server, "DEL of the entry", || drop(server.cli(&["DEL", ENTRY]))).await;
    }

    async fn keys_of_a_wrong_type_cost_misses(server) {
        for name in controls().chain([ENTRY]) {
            for make in [&["RPUSH", name, "x"][..], &["HSET", name, "f", "v"], &["SADD", name, "x"], &["SET", name, "x"]] {
                suffers(&server, &make.join(" "), || replace(&server, name, make)).await;
            }
        }
    }

    async fn a_foreign_stream_in_place_of_the_log_costs_nothing(server) {
        suffers(&server, "a foreign log", || {
            replace(&server, LOG, &["XADD", LOG, "*", "field", "value"]);
        }).await;
    }

    async fn garbage_in_the_clock_costs_misses(server) {
        suffers_garbage(&server, CLOCK).await;
    }

    async fn garbage_in_the_record_of_all_costs_misses(server) {
        suffers_garbage(&server, TAGS[0]).await;
    }

    async fn garbage_in_the_record_of_a_prefix_costs_misses(server) {
        suffers_garbage(&server, TAGS[1]).await;
    }

    async fn garbage_in_the_record_of_a_tag_costs_misses(server) {
        suffers_garbage(&server, TAGS[2]).await;
    }

    async fn garbage_of_the_right_incarnation_costs_misses(server) {
        let rest = [" 9007199254740993 0", " 18446744073709551615 0", " 99999999999999999999 0", "", " ", " x y"];
        for name in [CLOCK].into_iter().chain(TAGS) {
            for text in rest {
                suffers(&server, &format!("{name} = inc{text:?}"), || {
                    let clock = server.cli(&["GET", CLOCK]);
                    let inc = clock.split(' ').next().unwrap();
                    server.cli(&["SET", name, &format!("{inc}{text}")]);
                }).await;
            }
        }
    }

    async fn the_record_of_another_key_is_a_miss(server) {
        let cache = cold(&server).await;
        cache.set("users:1", "other".to_owned()).await.unwrap();
        suffers(&server, "COPY of another entry", || drop(server.cli(&["COPY", "sl1:test:e:users:1", ENTRY, "REPLACE"]))).await;
    }

    async fn a_record_of_another_version_is_a_miss(server) {
        suffers(&server, "another wire version", || drop(server.cli(&["SETRANGE", ENTRY, "3", "\u{2}"]))).await;
    }
}

/// Writes damaged bytes in place of the entry and asks every kind of read; what it may give is `good`,
/// where only the parts that change in place were hit, or nothing.
async fn read_damaged(cache: &Cache, redis: &mut Connection, bytes: &[u8], what: &str) {
    let set = redis.command(&[b"SET", ENTRY.as_bytes(), bytes]).unwrap();
    assert_eq!(set, Reply::Simple("OK".into()));
    let entry = cache.entry(KEY);
    let found = entry.lookup::<Vec<u64>>().await;
    assert!(
        found.value.is_none() || found.value == Some(good()),
        "{what}: {:?}",
        found.value
    );
    let many = cache.get_many::<Vec<u64>, _>([KEY]).await.remove(0);
    assert!(many.is_none() || many == Some(good()), "{what}: {many:?}");
}

fn good() -> Vec<u64> {
    (0..30).map(|i| i * 1_000_003).collect()
}

/// The bytes of a good record.
async fn record(server: &RedisServer, compression: Compression) -> Vec<u8> {
    let cache = cold(server).await;
    let policy = Policy::new()
        .ttl(Duration::from_secs(3600))
        .codec(Codec::MessagePack)
        .compression(compression, 1);
    cache
        .entry(KEY)
        .tag(TAG)
        .policy(policy)
        .set(good())
        .await
        .unwrap();
    match server.command(&[b"GET", ENTRY.as_bytes()]) {
        Reply::Bulk(bytes) => bytes,
        other => panic!("no record: {other}"),
    }
}

/// A cache whose L1 never answers, so that every read sees the damage.
async fn without_l1(server: &RedisServer) -> Cache {
    let builder = Cache::builder()
        .url(server.url())
        .namespace("test")
        .timeout(Duration::from_secs(5));
    builder
        .window(Duration::from_nanos(1))
        .build()
        .await
        .unwrap()
}

damage! {
    async fn records_cut_short_anywhere_are_misses(server) {
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let bytes = record(&server, compression).await;
            let (cache, mut redis) = (without_l1(&server).await, server.connect().unwrap());
            for len in 0..bytes.len() {
                read_damaged(&cache, &mut redis, &bytes[..len], &format!("{len} bytes")).await;
                let found = cache.entry(KEY).lookup::<Vec<u64>>().await;
                assert_eq!(found.value, None, "{len} bytes of {compression:?}");
            }
            assert_eq!(cache.stats().store_errors, 0);
        }
        assert_works(&[&cold(&server).await], "truncation").await;
    }

    async fn records_with_flipped_bits_are_misses_or_what_they_were(server) {
        let mut random = fastrand::Rng::with_seed(42);
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let bytes = record(&server, compression).await;
            let (cache, mut redis) = (without_l1(&server).await, server.connect().unwrap());
            for case in 0..1000 {
                let mut damaged = bytes.clone();
                let flips = 1 + random.usize(..4) * random.usize(..4);
                for _ in 0..flips {
                    damaged[random.usize(..bytes.len())] ^= 1 << random.u8(..8);
                }
                if random.u8(..10) == 0 {
                    damaged.truncate(random.usize(..bytes.len()));
                }
                if random.u8(..10) == 0 {
                    damaged.extend((0..random.usize(..200)).map(|_| random.u8(..)));
                }
                read_damaged(&cache, &mut redis, &damaged, &format!("case {case}, {damaged:?}")).await;
            }
            assert_eq!(cache.stats().store_errors, 0);
        }
        assert_works(&[&cold(&server).await], "flipped bits").await;
    }

    async fn loads_go_on_over_damaged_records_and_mend_them(server) {
        let mut random = fastrand::Rng::with_seed(7);
        let bytes = record(&server, Compression::None).await;
        let mut redis = server.connect().unwrap();
        let cache = without_l1(&server).await;
        for case in 0..1500 {
            let mut damaged = bytes.clone();
            match case % 3 {
                0 => damaged.truncate(random.usize(..bytes.len())),
                // Into the token, the deadline, the mark, the epoch: what scripts change in place.
                1 => damaged[8 + random.usize(..64)] ^= 1 << random.u8(..8),
                _ => damaged[random.usize(..bytes.len())] ^= 1 << random.u8(..8),
            }
            redis.command(&[b"SET", ENTRY.as_bytes(), &damaged, b"PX", b"60000"]).unwrap();
            let policy = Policy::new().hard_timeout(Duration::from_secs(20)).lease(Duration::from_millis(50));
            let entry = cache.entry(KEY).tag(TAG).policy(policy);
            let loaded = soon(entry.lookup_or_load(Gate::open().loader(good()))).await.unwrap();
            assert_eq!(loaded.value, good(), "case {case}");
            if case % 10 == 0 {
                let write = entry.begin_write().await.unwrap();
                redis.command(&[b"SET", ENTRY.as_bytes(), &damaged]).unwrap();
                write.finish(good()).await.unwrap();
                cache.invalidate(Invalidation::new().key(KEY).soft()).await.unwrap();
            }
        }
        assert_eq!(cache.stats().store_errors, 0);
        assert_works(&[&cold(&server).await], "mending").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_string_is_no_lease_and_a_flush_costs_no_wait() {
    let server = shelflife_testkit::RedisServer::start();
    let cache = shelflife::Cache::builder()
        .url(server.url())
        .namespace("test")
        .build()
        .await
        .unwrap();
    server.cli(&["SET", "sl1:test:e:k", &"\u{1}".repeat(300)]);
    let began = std::time::Instant::now();
    let load = || async { Ok::<_, std::convert::Infallible>(1_u32) };
    assert_eq!(cache.get_or_load("k", load).await.unwrap(), 1);
    server.cli(&["FLUSHALL"]);
    assert_eq!(cache.entry("l").get_or_load(load).await.unwrap(), 1);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_type_is_a_miss_with_that_reason() {
    let server = shelflife_testkit::RedisServer::start();
    let cache = shelflife::Cache::builder()
        .url(server.url())
        .namespace("test")
        .build()
        .await
        .unwrap();
    server.cli(&["LPUSH", "sl1:test:e:k", "x"]);
    let load = || async { Ok::<_, std::convert::Infallible>(1_u32) };
    let loaded = cache.entry("k").lookup_or_load(load).await.unwrap();
    assert_eq!(loaded.status.reason(), shelflife::Reason::WrongType);
    assert!(loaded.status.stored());
}

/// Deletes a key and makes it anew at one moment: a beat between the two would bring it back.
fn replace(server: &shelflife_testkit::RedisServer, key: &str, make: &[&str]) {
    let script = "redis.call('DEL', KEYS[1]) redis.call(unpack(ARGV)) return 'OK'";
    let words: Vec<&str> = ["EVAL", script, "1", key]
        .into_iter()
        .chain(make.iter().copied())
        .collect();
    server.cli(&words);
}
