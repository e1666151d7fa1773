//! TLS: own authorities, certificates that servers ask for, on one server, with sentinels and in a cluster.

use shelflife::{Cache, Error, ErrorKind};
use shelflife_testkit::{Access, Certificates, Cluster, Credentials, Group, RedisServer};

use crate::gate::soon;
use crate::stores::{PATIENT, calm};

async fn opened(url: String) -> Result<Cache, Error> {
    let builder = Cache::builder().url(url).namespace("shop");
    soon(builder.setting("connect_timeout", "1s").build()).await
}

async fn works(url: String) {
    let open = async || {
        let builder = Cache::builder().url(&url).namespace("shop");
        let builder = builder.connect_timeout(PATIENT).timeout(PATIENT);
        builder.build().await.unwrap()
    };
    let (one, other) = (open().await, open().await);
    for n in 0..10_u32 {
        one.set(format!("k{n}"), n).await.unwrap();
        assert_eq!(other.get::<u32>(format!("k{n}")).await, Some(n));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_a_certificate_of_ones_own_is_believed_and_believes_us() {
    let server = RedisServer::start_tls(&Certificates::new(), &[]);
    works(server.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_certificate_or_another_authority_gets_nothing() {
    let own = Certificates::new();
    let server = RedisServer::start_tls(&own, &[]);
    let address = server.address();
    let (ca, stranger) = (own.ca().display().to_string(), Certificates::new());
    for query in [
        // The server's authority is not one of the public ones; it wants our certificate; and it should be its own authority's.
        String::new(),
        format!("?tls_ca={ca}"),
        format!("?{}", stranger.query()),
    ] {
        let cache = opened(format!("rediss://{address}/{query}")).await;
        match cache {
            Ok(cache) => {
                assert!(soon(cache.set("k", 1_u32)).await.is_err(), "{query}");
                assert_eq!(cache.get::<u32>("k").await, None, "{query}");
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Config, "{query}: {error}"),
        }
    }
    assert_eq!(server.cli(&["DBSIZE"]), "0");
}

/// The right authority, and our certificate is welcome: only the name is another one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_the_certificate_of_another_name_gets_nothing() {
    let elsewhere = Certificates::for_names(&["elsewhere.test"]);
    let server = RedisServer::start_tls(&elsewhere, &[]);
    match opened(server.url()).await {
        Ok(cache) => assert!(soon(cache.set("k", 1_u32)).await.is_err()),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Config, "{error}"),
    }
    assert_eq!(server.cli(&["DBSIZE"]), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_meant_is_said() {
    let own = Certificates::new();
    let (ca, cert, key) = (own.ca(), own.cert(), own.key());
    let (ca, cert, key) = (ca.display(), cert.display(), key.display());
    for (url, says) in [
        (format!("redis://127.0.0.1:1?tls_ca={ca}"), "rediss://"),
        (
            "rediss://127.0.0.1:1?tls_ca=/no/such.pem".to_owned(),
            "/no/such.pem",
        ),
        (format!("rediss://127.0.0.1:1?tls_cert={cert}"), "tls_key"),
        (
            format!("rediss://127.0.0.1:1?tls_ca={key}"),
            "no certificate",
        ),
        (
            format!("rediss://127.0.0.1:1?tls_cert={cert}&tls_key={cert}"),
            "no private key",
        ),
    ] {
        let error = opened(url.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        assert!(error.to_string().contains(says), "{url}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_and_their_servers_have_users_of_their_own() {
    let group = Group::start_with(
        1,
        1,
        Access {
            user: Some(Credentials::user("app", "se/cr@et")),
            sentinel_user: Some(Credentials::user("watch", "other")),
            tls: Some(Certificates::new()),
            ..Access::default()
        },
    );
    works(group.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_speaks_tls_to_us_on_every_node() {
    let access = Access {
        user: Some(Credentials::user("app", "se/cr@et")),
        tls: Some(Certificates::new()),
        ..Access::default()
    };
    let cluster = calm(Cluster::start_with(3, access));
    works(cluster.url()).await;
}
