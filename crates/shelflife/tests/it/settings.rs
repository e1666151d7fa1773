//! Settings: in code and by URL; what is wrong with them is said by name, value and what would do. The
//! environment is tested with processes of its own, in `shelflife-hunt`.

use std::time::Duration;

use shelflife::{Builder, Cache, Error, ErrorKind, Policy};
use shelflife_testkit::RedisServer;

use crate::gate::{Gate, until};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn refusal(builder: Builder) -> Error {
    let error = builder.build().await.expect_err("it should be refused");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error
}

fn assert_says(error: &Error, parts: &[&str]) {
    for part in parts {
        assert!(
            error.to_string().contains(part),
            "{error} should contain {part:?}"
        );
    }
}

const WRONG: [(&str, &str, &str); 13] = [
    ("ttl", "0s", "longer than zero"),
    ("ttl", "soon", "duration"),
    ("timeout", "-1", "duration"),
    ("window", "0", "longer than zero"),
    ("window", "61m", "at most \"1h\""),
    ("connections", "0", "1 to 64"),
    ("memory", "lots", "64MiB"),
    ("codec", "pickle", "messagepack, json or raw"),
    ("compression", "gzip", "lz4"),
    ("jitter", "2", "0.0 to 1.0"),
    ("lease", "1ms", "50ms"),
    ("stale_on_error", "maybe", "true or false"),
    ("namespace", "a/b", "characters"),
];

#[tokio::test]
async fn a_bad_setting_in_code_names_key_value_and_what_is_valid() {
    for (name, value, valid) in WRONG {
        let error = refusal(Cache::builder().setting(name, value)).await;
        assert_says(&error, &[name, value, valid]);
    }
    let error = refusal(Cache::builder().setting("tll", "5m")).await;
    assert_says(&error, &["tll", "5m", "ttl", "namespace"]);
    let error = refusal(Cache::builder().namespace("a{b}")).await;
    assert_says(&error, &["namespace", "a{b}"]);
}

#[tokio::test]
async fn a_bad_setting_in_a_url_names_key_value_and_what_is_valid() {
    for scheme in ["redis://localhost", "memory://"] {
        for (name, value, valid) in WRONG {
            let url = format!("{scheme}?{name}={value}");
            let error = refusal(Cache::builder().url(url)).await;
            assert_says(&error, &[name, value, valid, "URL"]);
        }
        let error = refusal(Cache::builder().url(format!("{scheme}?tll=5m"))).await;
        assert_says(&error, &["tll", "5m", "ttl"]);
    }
}

#[tokio::test]
async fn a_bad_url_says_what_is_valid_and_keeps_its_password() {
    for url in [
        "ftp://localhost",
        "localhost:6379",
        "",
        "redis://user:secret@localhost/first",
        "redis://:secret@localhost:port",
        "redis://user:secret@localhost?colour=red",
    ] {
        let error = refusal(Cache::builder().url(url)).await;
        assert_says(&error, &["expected"]);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[tokio::test]
async fn the_first_of_several_bad_settings_is_told() {
    let error = refusal(Cache::builder().setting("ttl", "x").setting("memory", "y")).await;
    assert_says(&error, &["ttl"]);
}

#[tokio::test]
async fn settings_of_a_url_are_applied() {
    let server = RedisServer::start();
    let url = format!(
        "{}/?ttl=5s&namespace=by-url&jitter=0&timeout=2s",
        server.url()
    );
    let cache = Cache::builder().url(url).build().await.unwrap();
    assert_eq!(cache.namespace(), "by-url");
    cache.set("k", 1_u32).await.unwrap();
    let left = cache.ttl("k").await.unwrap();
    assert!(left <= Duration::from_secs(5), "{left:?}");
    assert_eq!(server.cli(&["EXISTS", "sl1:by-url:e:k"]), "1");
    let embedded = Cache::builder()
        .url("memory://?ttl=7s&jitter=0")
        .build()
        .await
        .unwrap();
    embedded.set("k", 1_u32).await.unwrap();
    assert!(embedded.ttl("k").await.unwrap() <= Duration::from_secs(7));
    assert!(embedded.redis().is_none());
}

#[tokio::test]
async fn what_code_says_wins_over_the_url() {
    let server = RedisServer::start();
    for url in [server.url(), "memory://".to_owned()] {
        let url = format!("{url}?ttl=5s&stale=5s&namespace=by-url&jitter=0");
        let before = Cache::builder().namespace("in-code").ttl(DAY).url(&url);
        let behind = Cache::builder().url(&url).namespace("in-code").ttl(DAY);
        let whole = Policy::default().ttl(DAY);
        let whole = Cache::builder()
            .setting("namespace", "in-code")
            .policy(whole)
            .url(&url);
        for builder in [before, behind, whole] {
            let cache = builder.build().await.unwrap();
            assert_eq!(cache.namespace(), "in-code");
            cache.set("k", 1_u32).await.unwrap();
            assert!(cache.ttl("k").await.unwrap() > DAY / 2);
        }
    }
    assert_eq!(server.cli(&["EXISTS", "sl1:in-code:e:k"]), "1");
    assert_eq!(server.cli(&["KEYS", "sl1:*by-url*"]), "");
}

#[tokio::test]
async fn namespaces_on_one_server_do_not_meet() {
    let server = RedisServer::start();
    let space = |name: &str| Cache::builder().url(server.url()).namespace(name).build();
    let (one, two) = (space("one").await.unwrap(), space("one.two").await.unwrap());
    one.set("k", 1_u32).await.unwrap();
    two.set("k", 2_u32).await.unwrap();
    one.invalidate(shelflife::Invalidation::new().all().pattern("*k*"))
        .await
        .unwrap();
    assert_eq!(one.get::<u32>("k").await, None);
    assert_eq!(two.entry("k").strict().get::<u32>().await, Some(2));
}

#[tokio::test]
async fn a_database_number_a_password_and_every_scheme_are_honoured() {
    let server = RedisServer::start_with(&["--requirepass", "p@ss/w:rd"]);
    let bare = server.url();
    let valkey = bare.replacen("redis://", "valkey://", 1);
    for (at, url) in [format!("{bare}/3"), format!("{valkey}/4")]
        .into_iter()
        .enumerate()
    {
        let cache = Cache::builder()
            .url(url)
            .namespace("test")
            .build()
            .await
            .unwrap();
        cache.set("k", at).await.unwrap();
        assert_eq!(cache.get::<usize>("k").await, Some(at));
    }
    assert_eq!(
        server.cli(&["EXISTS", "sl1:test:e:k"]),
        "0",
        "nothing in database 0"
    );
    let info = server.cli(&["INFO", "keyspace"]);
    assert!(info.contains("db3:") && info.contains("db4:"), "{info}");
}

#[tokio::test]
async fn a_unix_socket_is_connected_to() {
    let server = RedisServer::start_with(&["--unixsocket", "redis.sock", "--requirepass", "p@ss"]);
    let url = server.unix_url().unwrap();
    let cache = Cache::builder()
        .url(format!("{url}&db=2&ttl=5s"))
        .build()
        .await
        .unwrap();
    cache.set("k", 1_u32).await.unwrap();
    assert_eq!(cache.entry("k").strict().get::<u32>().await, Some(1));
    assert!(cache.ttl("k").await.unwrap() <= Duration::from_secs(5));
    assert!(server.cli(&["INFO", "keyspace"]).contains("db2:"));
    assert!(server.cli(&["CLIENT", "LIST"]).contains("redis.sock"));
}

#[tokio::test]
async fn several_connections_are_used() {
    let server = RedisServer::start();
    let connections = || server.cli(&["CLIENT", "LIST"]).lines().count();
    // The server may not have seen yet that those who asked whether it is up have gone.
    until(|| async { connections() == 1 }).await;
    let cache = Cache::builder()
        .url(server.url())
        .connections(4)
        .build()
        .await
        .unwrap();
    // The tail has two of its own; one asks.
    until(|| async { connections() == 1 + 4 + 2 }).await;
    let gate = Gate::open();
    for i in 0..20_u32 {
        cache
            .get_or_load(format!("k:{i}"), gate.loader(i))
            .await
            .unwrap();
    }
    assert_eq!(gate.loads(), 20);
    cache.close().await;
}

#[tokio::test]
async fn the_raw_connection_is_handed_out() {
    let server = RedisServer::start();
    let cache = Cache::builder().url(server.url()).build().await.unwrap();
    let mut raw = cache.redis().unwrap();
    let pong: String = redis::cmd("PING").query_async(&mut raw).await.unwrap();
    assert_eq!(pong, "PONG");
}
