//! The wire carries, delays, freezes, cuts and refuses.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use shelflife_testkit::{Proxy, RedisServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Long enough for anything that is going to happen.
const SOON: Duration = Duration::from_secs(10);

/// Long enough for a byte to come through if nothing held it.
const WHILE: Duration = Duration::from_millis(100);

async fn client(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn send(client: &mut TcpStream, command: &str) {
    let bytes = format!("{command}\r\n");
    client.write_all(bytes.as_bytes()).await.unwrap();
}

async fn expect(client: &mut TcpStream, answer: &str) {
    let mut bytes = vec![0; answer.len() + 2];
    let read = timeout(SOON, client.read_exact(&mut bytes)).await;
    read.expect("no answer").unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), format!("{answer}\r\n"));
}

async fn expect_silence(client: &mut TcpStream) {
    let read = timeout(WHILE, client.read_u8()).await;
    assert!(read.is_err(), "{read:?}");
}

/// The connection is over, by an end or by a reset.
async fn expect_end(client: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = timeout(SOON, client.read_to_end(&mut rest)).await;
    match end.expect("still open") {
        Ok(_) => assert!(rest.is_empty(), "{rest:?}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

/// Waits until no connection is left: the proxy notices an end by itself.
async fn until_idle(proxy: &Proxy) {
    let idle = async {
        while proxy.open() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON, idle).await.expect("connections are left");
}

#[tokio::test]
async fn bytes_go_both_ways_and_connections_are_counted() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    assert_eq!(proxy.url(), format!("redis://{}", proxy.address()));
    assert_eq!((proxy.accepted(), proxy.open()), (0, 0));
    let mut one = client(&proxy).await;
    let mut two = client(&proxy).await;
    send(&mut one, "SET k v").await;
    expect(&mut one, "+OK").await;
    send(&mut two, "GET k").await;
    expect(&mut two, "$1\r\nv").await;
    assert_eq!((proxy.accepted(), proxy.open()), (2, 2));
    drop((one, two));
    until_idle(&proxy).await;
    assert_eq!(proxy.accepted(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_come_through_whole() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let value: Vec<u8> = (0..=255).cycle().take(8 << 20).collect();
    let mut client = client(&proxy).await;
    let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", value.len());
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(&value).await.unwrap();
    client.write_all(b"\r\n").await.unwrap();
    expect(&mut client, "+OK").await;
    send(&mut client, "GET k").await;
    expect(&mut client, &format!("${}", value.len())).await;
    let mut back = vec![0; value.len()];
    client.read_exact(&mut back).await.unwrap();
    assert!(back == value);
}

#[tokio::test]
async fn cut_ends_all_connections_and_welcomes_new_ones() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let mut used = client(&proxy).await;
    send(&mut used, "PING").await;
    expect(&mut used, "+PONG").await;
    // Nothing is awaited after this one has connected: the proxy has had no turn to accept it.
    let mut unused = client(&proxy).await;
    proxy.cut();
    assert_eq!(proxy.open(), 0);
    expect_end(&mut used).await;
    expect_end(&mut unused).await;
    let mut next = client(&proxy).await;
    send(&mut next, "PING").await;
    expect(&mut next, "+PONG").await;
    assert_eq!((proxy.accepted(), proxy.open()), (3, 1));
}

#[tokio::test]
async fn refused_connections_fail_to_connect_while_old_ones_go_on() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let mut old = client(&proxy).await;
    send(&mut old, "PING").await;
    expect(&mut old, "+PONG").await;
    for _ in 0..2 {
        proxy.refuse(true).await;
        let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        send(&mut old, "PING").await;
        expect(&mut old, "+PONG").await;
    }
    for _ in 0..2 {
        proxy.refuse(false).await;
        let mut new = client(&proxy).await;
        send(&mut new, "PING").await;
        expect(&mut new, "+PONG").await;
    }
    assert_eq!(proxy.accepted(), 3);
}

#[tokio::test]
async fn every_chunk_is_delayed_in_both_directions() {
    /// Long beside what a busy machine adds to a trip.
    const DELAY: Duration = Duration::from_millis(300);
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let mut client = client(&proxy).await;
    proxy.delay(DELAY);
    let start = Instant::now();
    send(&mut client, "PING").await;
    expect(&mut client, "+PONG").await;
    assert!(start.elapsed() >= 2 * DELAY, "{:?}", start.elapsed());
    proxy.delay(Duration::ZERO);
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        send(&mut client, "PING").await;
        expect(&mut client, "+PONG").await;
        quickest = quickest.min(start.elapsed());
    }
    assert!(quickest < 2 * DELAY, "{quickest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_wire_holds_requests_and_delivers_them_when_thawed() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let mut old = client(&proxy).await;
    send(&mut old, "PING").await;
    expect(&mut old, "+PONG").await;
    proxy.freeze(true);
    send(&mut old, "INCR n").await;
    let mut new = client(&proxy).await;
    send(&mut new, "INCR n").await;
    expect_silence(&mut old).await;
    expect_silence(&mut new).await;
    assert_eq!(server.cli(&["EXISTS", "n"]), "0");
    proxy.freeze(false);
    let mut answers = [0; 8];
    old.read_exact(&mut answers[..4]).await.unwrap();
    new.read_exact(&mut answers[4..]).await.unwrap();
    assert!([b":1\r\n:2\r\n", b":2\r\n:1\r\n"].contains(&&answers));
}

#[tokio::test(flavor = "multi_thread")]
async fn not_a_byte_passes_once_freeze_has_returned() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let mut client = client(&proxy).await;
    for round in 0..50 {
        let request = "INCR n\r\n".repeat(100);
        client.write_all(request.as_bytes()).await.unwrap();
        proxy.freeze(true);
        // What was passed on is in the server's buffer before this command is.
        let seen = server.cli(&["GET", "n"]);
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(server.cli(&["GET", "n"]), seen, "round {round}");
        proxy.freeze(false);
        let mut answers = 0;
        while answers < 100 {
            answers += usize::from(client.read_u8().await.unwrap() == b'\n');
        }
    }
    assert_eq!(server.cli(&["GET", "n"]), "5000");
}

#[tokio::test]
async fn a_frozen_wire_can_be_cut_and_loses_what_it_held() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let mut client = client(&proxy).await;
    send(&mut client, "PING").await;
    expect(&mut client, "+PONG").await;
    proxy.freeze(true);
    send(&mut client, "SET lost 1").await;
    expect_silence(&mut client).await;
    proxy.cut();
    expect_end(&mut client).await;
    proxy.freeze(false);
    assert_eq!(server.cli(&["EXISTS", "lost"]), "0");
}

#[tokio::test]
async fn a_killed_server_ends_its_connections_and_a_restarted_one_is_found() {
    let mut server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let mut old = client(&proxy).await;
    send(&mut old, "PING").await;
    expect(&mut old, "+PONG").await;
    server.kill();
    expect_end(&mut old).await;
    expect_end(&mut client(&proxy).await).await;
    server.restart();
    let mut new = client(&proxy).await;
    send(&mut new, "PING").await;
    expect(&mut new, "+PONG").await;
}

#[tokio::test]
async fn nothing_is_left_of_a_dropped_proxy() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let address = proxy.address();
    let mut client = client(&proxy).await;
    send(&mut client, "PING").await;
    expect(&mut client, "+PONG").await;
    drop(proxy);
    expect_end(&mut client).await;
    let gone = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, gone).await.expect("the port is still open");
}
