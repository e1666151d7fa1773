//! Servers that refuse: credentials, rights, replicas, memory, versions.

use shelflife::{Cache, ErrorKind, Invalidation};
use shelflife_testkit::RedisServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::faults::{assert_recovers, builder, timed, unavailable};
use crate::gate::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_credentials_are_an_error_that_hides_them() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    builder(server.url())
        .build()
        .await
        .unwrap()
        .set("k", 1_u32)
        .await
        .unwrap();
    for userinfo in [":wrong@", "", "nobody:wrong@"] {
        let url = format!("redis://{userinfo}{}", server.address());
        let error = builder(url).build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{userinfo}: {error}");
        assert!(!error.to_string().contains("wrong@"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_that_may_not_write_is_told_so() {
    let server = RedisServer::start();
    server.cli(&[
        "ACL",
        "SETUSER",
        "reader",
        "on",
        ">secret",
        "~*",
        "+@read",
        "+@connection",
        "+info",
    ]);
    let url = format!("redis://reader:secret@{}", server.address());
    let error = builder(url).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_that_may_not_ask_for_info_is_told_so() {
    let server = RedisServer::start();
    let rights = ["on", ">secret", "~*", "&*", "+@all", "-info"];
    server.cli(&[&["ACL", "SETUSER", "blind"][..], &rights[..]].concat());
    let url = format!("redis://blind:secret@{}", server.address());
    let error = builder(url).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("info"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_not_taken_for_a_primary() {
    let (primary, replica) = (RedisServer::start(), RedisServer::start());
    replica.cli(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    let cache = builder(replica.url()).build().await.unwrap();
    unavailable(cache.set("k", 1_u32).await);
    assert_eq!(timed(&cache, "k", 1).await.0, 1);
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    assert_recovers(&cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_becomes_a_replica_is_left_alone_until_it_is_one_again() {
    let (server, primary) = (RedisServer::start(), RedisServer::start());
    let cache = builder(server.url()).build().await.unwrap();
    cache.set("k", 1_u32).await.unwrap();
    server.cli(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    unavailable(cache.invalidate(Invalidation::new().key("k")).await);
    assert_eq!(
        cache.get::<u32>("k").await,
        None,
        "not confirmed, but this process lets go of it"
    );
    assert_eq!(timed(&cache, "k", 2).await.0, 2);
    server.cli(&["REPLICAOF", "NO", "ONE"]);
    assert_recovers(&cache).await;
}

/// Makes a replica of a server, which keeps what it holds: of a primary that is not there.
fn demote(server: &RedisServer) {
    server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
}

/// What reads of the primary find that need nothing but reads: strict ones, and all of a process whose
/// window is closed.
async fn found_by_looking(cache: &Cache) -> [Option<u32>; 5] {
    let entry = || cache.entry("k");
    [
        entry().strict().get().await,
        entry().get().await,
        entry().lookup().await.value,
        entry().strict().lookup().await.value,
        cache.get_many(["k", "absent"]).await[0],
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_that_asks_the_primary_believes_one_that_has_become_a_replica() {
    let server = RedisServer::start();
    // Each read finds out for itself: the lane that it takes down is another cache's.
    for read in 0..5 {
        let cache = builder(server.url()).without_tail().build().await.unwrap();
        // It may be taken for older than what another has just invalidated.
        until(async || {
            cache.set("k", 1_u32).await.is_ok() && found_by_looking(&cache).await == [Some(1); 5]
        })
        .await;
        demote(&server);
        assert_eq!(server.cli(&["EXISTS", "sl1:test:e:k"]), "1", "it is there");
        let found = match read {
            0 => cache.entry("k").strict().get::<u32>().await,
            1 => cache.get("k").await,
            2 => cache.entry("k").lookup().await.value,
            3 => cache.entry("k").strict().lookup().await.value,
            _ => cache.get_many(["k"]).await[0],
        };
        assert_eq!(found, None, "read {read}");
        assert_eq!(found_by_looking(&cache).await, [None; 5], "after {read}");
        server.cli(&["REPLICAOF", "NO", "ONE"]);
        assert_recovers(&cache).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tail_finds_out_for_everybody_that_the_primary_is_a_replica() {
    let server = RedisServer::start();
    let cache = builder(server.url()).build().await.unwrap();
    cache.set("k", 1_u32).await.unwrap();
    cache.ping().await.unwrap();
    demote(&server);
    // Nothing that a replica would refuse is asked by anybody else.
    until(async || cache.ping().await.is_err()).await;
    server.cli(&["REPLICAOF", "NO", "ONE"]);
    assert_recovers(&cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_has_lost_its_replicas_is_not_believed() {
    let server = RedisServer::start();
    let cache = builder(server.url()).without_tail().build().await.unwrap();
    cache.set("k", 1_u32).await.unwrap();
    // Behind a partition another one may have taken over: that is what this setting is for.
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert_eq!(found_by_looking(&cache).await, [None; 5]);
    assert_eq!(timed(&cache, "k", 2).await.0, 2);
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    assert_recovers(&cache).await;
}

/// Has the server's disk fail: it can't put its file where a directory is.
fn fail_to_save(server: &RedisServer) {
    let answer = server.cli(&["CONFIG", "GET", "dir"]);
    let dir = answer.lines().last().unwrap();
    std::fs::create_dir(std::path::Path::new(dir).join("dump.rdb")).unwrap();
    server.cli(&["CONFIG", "SET", "save", "3600 1"]);
    server.cli(&["BGSAVE"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_is_it_when_it_says_first_that_it_is_ill() {
    for ill in ["OOM", "MISCONF"] {
        let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
        let cache = builder(server.url()).without_tail().build().await.unwrap();
        until(async || {
            cache.set("k", 1_u32).await.is_ok() && found_by_looking(&cache).await == [Some(1); 5]
        })
        .await;
        match ill {
            "OOM" => drop(server.cli(&["CONFIG", "SET", "maxmemory", "1"])),
            _ => fail_to_save(&server),
        }
        until(async || {
            server
                .command(&[b"SET", b"other", b"1"])
                .to_string()
                .contains(ill)
        })
        .await;
        assert_eq!(found_by_looking(&cache).await, [Some(1); 5], "{ill} alone");
        server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        assert_eq!(found_by_looking(&cache).await, [None; 5], "{ill}");
        assert_eq!(timed(&cache, "k", 2).await.0, 2, "{ill}");
        demote(&server);
        assert_eq!(
            found_by_looking(&cache).await,
            [None; 5],
            "{ill}, a replica"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_still_invalidates() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    let cache = builder(server.url()).build().await.unwrap();
    cache.entry("k").tag("t").set(1_u32).await.unwrap();
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    cache
        .invalidate(Invalidation::new().tag("t"))
        .await
        .unwrap();
    assert_eq!(cache.entry("k").strict().get::<u32>().await, None);
    assert_eq!(timed(&cache, "k", 2).await.0, 2);
    cache
        .invalidate(Invalidation::new().key("k"))
        .await
        .unwrap();
    cache
        .invalidate(Invalidation::new().pattern("a*b"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_too_old_is_an_error_that_names_both_versions() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while let Ok(read @ 1..) = client.read(&mut bytes).await {
                    let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                    for command in text.split('*').skip(1) {
                        let info = "# Server\r\nredis_version:6.2.14\r\n";
                        // Two sections at once came with 7.0.
                        let asked = command.split("\r\n").skip(2).step_by(2);
                        let sections = asked.skip(1).count();
                        let reply = match command.contains("$4\r\nINFO") {
                            true if sections > 1 => "-ERR syntax error\r\n".to_owned(),
                            true => format!("${}\r\n{info}\r\n", info.len()),
                            false => "+OK\r\n".to_owned(),
                        };
                        if client.write_all(reply.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    let error = builder(format!("redis://{address}"))
        .build()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let message = error.to_string();
    assert!(
        message.contains("6.2.14") && message.contains("7.0"),
        "{message}"
    );
    serving.abort();
}
