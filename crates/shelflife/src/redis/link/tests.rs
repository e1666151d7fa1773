//! Takeovers, as a node meets them: by sentinels that say what they are told to, of real servers.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use redis::{FromRedisValue as _, IntoConnectionInfo as _};
use shelflife_testkit::RedisServer;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A sentinel that knows of one primary what it was told, and lets nobody listen: who is to hear of another one has to ask.
struct Sentinel {
    address: SocketAddr,
    says: Arc<Mutex<(u16, u64)>>,
}

impl Sentinel {
    async fn naming(primary: &RedisServer, epoch: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let says = Arc::new(Mutex::new((primary.port(), epoch)));
        let told = says.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, told.clone()));
            }
        });
        Self { address, says }
    }

    fn names(&self, primary: &RedisServer, epoch: u64) {
        *self.says.lock().unwrap() = (primary.port(), epoch);
    }

    fn place(&self) -> Place {
        let info = |address: &str| format!("redis://{address}").into_connection_info().unwrap();
        let group = Group {
            name: "shop".to_owned(),
            nodes: vec![info(&self.address.to_string())],
        };
        let sentinels = Sentinels::of(group, Duration::from_secs(5));
        Place::told(sentinels, info("nowhere"))
    }
}

async fn answer(stream: TcpStream, told: Arc<Mutex<(u16, u64)>>) {
    let mut stream = BufReader::new(stream);
    while let Some(words) = command(&mut stream).await {
        let (port, epoch) = *told.lock().unwrap();
        let reply = match words.get(1).map(String::as_str) {
            Some("GET-MASTER-ADDR-BY-NAME") => array(&["127.0.0.1", &port.to_string()]),
            Some("MASTER") => array(&["name", "shop", "config-epoch", &epoch.to_string()]),
            _ if words[0].eq_ignore_ascii_case("SUBSCRIBE") => "-ERR not here\r\n".to_owned(),
            _ => "+OK\r\n".to_owned(),
        };
        if stream.get_mut().write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn array(words: &[&str]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("${}\r\n{word}\r\n", word.len()))
        .collect();
    format!("*{}\r\n{}", words.len(), words.concat())
}

async fn command(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let count = number(stream, '*').await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; number(stream, '$').await? + 2];
        stream.read_exact(&mut word).await.ok()?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8(word).ok()?);
    }
    Some(words)
}

async fn number(stream: &mut BufReader<TcpStream>, mark: char) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.strip_prefix(mark)?.trim_end().parse().ok()
}

/// A server that tells, when asked, which it is.
fn server(name: &str) -> RedisServer {
    let server = RedisServer::start();
    server.cli(&["SET", "who", name]);
    server
}

async fn who(node: &Node) -> Result<String, StoreError> {
    let got = node
        .ask(&redis::cmd("GET").arg("who").take(), false)
        .await?;
    Ok(String::from_redis_value(got).unwrap())
}

fn patience(connections: usize) -> Patience {
    Patience {
        answer: Duration::from_secs(5),
        connect: Duration::from_secs(5),
        connections,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_to_the_primary_before_is_down_as_soon_as_anybody_finds_another() {
    let (old, new) = (server("old"), server("new"));
    let sentinel = Sentinel::naming(&old, 1).await;
    let changes = Arc::default();
    let node = Node::open(sentinel.place(), patience(1), &changes)
        .await
        .unwrap();
    assert_eq!(who(&node).await.unwrap(), "old");
    sentinel.names(&new, 2);
    node.dedicated().await.unwrap();
    // The old one is well, and would answer.
    assert_ne!(who(&node).await.ok().as_deref(), Some("old"));
    assert_eq!(changes.load(Ordering::SeqCst), 1);
    assert!(node.comes_up().await);
    assert_eq!(who(&node).await.unwrap(), "new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_that_names_an_earlier_primary_is_not_believed() {
    let (old, new) = (server("old"), server("new"));
    let sentinel = Sentinel::naming(&new, 2).await;
    let changes = Arc::default();
    let node = Node::open(sentinel.place(), patience(1), &changes)
        .await
        .unwrap();
    sentinel.names(&old, 1);
    assert!(node.dedicated().await.is_err());
    assert_eq!(who(&node).await.unwrap(), "new");
    assert_eq!(changes.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_lane_learns_of_a_replica_goes_for_all_that_lead_there() {
    let (server, primary) = (server("it"), server("other"));
    let info = server.url().into_connection_info().unwrap();
    let place = Place::fixed(info, false).unwrap();
    let node = Node::open(place, patience(3), &Arc::default())
        .await
        .unwrap();
    server.cli(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    let set = redis::cmd("SET").arg("k").arg("v").take();
    assert!(node.ask(&set, false).await.is_err());
    assert!(!node.is_up(), "the other lanes would go on to answer reads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_another_id_counts_as_another_primary_and_keeps_its_lanes() {
    let server = RedisServer::start_with(&["--enable-debug-command", "local"]);
    server.cli(&["SET", "who", "it"]);
    let info = server.url().into_connection_info().unwrap();
    let place = Place::fixed(info, false).unwrap();
    let changes = Arc::default();
    let node = Node::open(place, patience(1), &changes).await.unwrap();
    // As it does by itself when it has had no replica for an hour.
    server.cli(&["DEBUG", "CHANGE-REPL-ID"]);
    node.dedicated().await.unwrap();
    assert_eq!(who(&node).await.unwrap(), "it");
    assert_eq!(changes.load(Ordering::SeqCst), 1);
}
