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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_to_where_nobody_answers_are_tried_side_by_side() {
    // It takes connections, and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let place = Place::fixed(url.into_connection_info().unwrap(), false).unwrap();
    let patience = Patience {
        connect: Duration::from_secs(1),
        ..patience(32)
    };
    let changes = Arc::default();
    let opening = Node::open(place, patience, &changes);
    let node = tokio::time::timeout(Duration::from_secs(16), opening).await;
    assert!(!node.expect("half as long as one by one").unwrap().is_up());
}

/// A node of a cluster of two, which answers reads with its name. It has all slots, as long as nobody is told otherwise.
async fn fake(listener: TcpListener, name: &'static str, map: String, has_moved_to: Option<u16>) {
    while let Ok((stream, _)) = listener.accept().await {
        let map = map.clone();
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            while let Some(words) = command(&mut stream).await {
                let text = |text: &str| format!("${}\r\n{text}\r\n", text.len());
                let info = "redis_version:7.0.0\r\nredis_mode:cluster\r\nrole:master\r\n";
                let reply = match (&*words[0].to_uppercase(), has_moved_to) {
                    ("INFO", _) => text(&format!("{info}run_id:{name}\r\nmaster_replid:{name}")),
                    ("CLUSTER", _) => text(&map),
                    ("GET", _) => text(name),
                    ("SETRANGE", Some(port)) => format!("-MOVED 0 127.0.0.1:{port}\r\n"),
                    _ => "+OK\r\n".to_owned(),
                };
                if stream.get_mut().write_all(reply.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_is_asked_for_again_where_the_write_behind_it_is_sent() {
    let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (old, new) = (listen().await, listen().await);
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let (from, to) = (port(&old), port(&new));
    let map = format!(
        "a 127.0.0.1:{from}@0 myself,master - 0 0 1 connected 0-16383\n\
         b 127.0.0.1:{to}@0 master - 0 0 2 connected\n"
    );
    // The old one has just lost the slot, between the read and the write.
    tokio::spawn(fake(old, "old", map.clone(), Some(to)));
    tokio::spawn(fake(new, "new", map, None));
    let template = "redis://anywhere".into_connection_info().unwrap();
    let seeds = vec![("127.0.0.1".to_owned(), from)];
    let changes = Arc::default();
    let cluster = Cluster::open(seeds, template, patience(1), "clock", &changes);
    let cluster = cluster.await.unwrap();
    let mut read = redis::pipe();
    read.cmd("GET").arg("k");
    read.cmd("SETRANGE").arg("k").arg(0).arg("");
    let got = cluster.ask_as_one(At::Name("k"), &read, 2).await;
    let got = got.map_err(StoreError::from).unwrap();
    assert_eq!(got[0], Value::BulkString(b"new".to_vec()));
}
