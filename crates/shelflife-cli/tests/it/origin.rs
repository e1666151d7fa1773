//! An HTTP server that answers as a test says, and counts.
//!
//! Must not: know what it serves.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What it is asked, and how often that path was asked before.
pub(crate) struct Asked<'a> {
    pub(crate) path: &'a str,
    pub(crate) host: &'a str,
    pub(crate) authorization: &'a str,
    pub(crate) cache_control: &'a str,
    pub(crate) before: u64,
}

type Answer = dyn Fn(Asked<'_>) -> String + Send + Sync;

/// Serves until the test's process ends.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<HashMap<String, u64>>>,
}

impl Origin {
    /// `answer` gives whole responses, head and content.
    pub(crate) fn start(answer: impl Fn(Asked<'_>) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(HashMap::new()));
        let (answer, counts): (Arc<Answer>, _) = (Arc::new(answer), asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, counts) = (answer.clone(), counts.clone());
                thread::spawn(move || serve(stream, &answer, &counts));
            }
        });
        Origin { address, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> u64 {
        self.asked.lock().unwrap().get(path).copied().unwrap_or(0)
    }
}

fn serve(stream: TcpStream, answer: &Arc<Answer>, counts: &Mutex<HashMap<String, u64>>) {
    stream.set_nodelay(true).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream).lines();
    loop {
        let Some(Ok(first)) = lines.next() else {
            return;
        };
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut host, mut authorization) = (String::new(), String::new());
        let mut cache_control = String::new();
        for line in lines.by_ref() {
            let Ok(line) = line else { return };
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("host") => {
                    host = value.trim().to_owned();
                }
                Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                    authorization = value.trim().to_owned();
                }
                Some((name, value)) if name.eq_ignore_ascii_case("cache-control") => {
                    cache_control = value.trim().to_owned();
                }
                _ if line.is_empty() => break,
                _ => {}
            }
        }
        let before = {
            let mut counts = counts.lock().unwrap();
            let count = counts.entry(path.clone()).or_default();
            *count += 1;
            *count - 1
        };
        let asked = Asked {
            path: &path,
            host: &host,
            authorization: &authorization,
            cache_control: &cache_control,
            before,
        };
        if writer.write_all(answer(asked).as_bytes()).is_err() {
            return;
        }
    }
}

/// A whole response.
pub(crate) fn response(status: &str, fields: &str, content: &str) -> String {
    let length = content.len();
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{content}")
}
