//! An origin that says what it is told to, byte for byte, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::raw::{self, Message};

/// A listener whose connections are served by a script. Ends with the value.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Message>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// One connection, in the hands of a script.
pub(crate) struct Talk {
    pub(crate) stream: TcpStream,
    pub(crate) buffer: Vec<u8>,
    seen: Arc<Mutex<Vec<Message>>>,
}

impl Talk {
    /// The next request, with its body; none when the connection has ended.
    pub(crate) async fn request(&mut self) -> Option<Message> {
        let message = raw::read_request(&mut self.stream, &mut self.buffer).await?;
        self.seen.lock().unwrap().push(message.clone());
        Some(message)
    }

    /// The next request's head alone.
    pub(crate) async fn head(&mut self) -> Option<Message> {
        let message = raw::read_head(&mut self.stream, &mut self.buffer).await?;
        self.seen.lock().unwrap().push(message.clone());
        Some(message)
    }

    /// Sends bytes; an end of the other side is no failure of the script.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }
}

impl Origin {
    /// Each connection is served by a run of the script.
    pub(crate) async fn start<F, R>(script: F) -> Origin
    where
        F: Fn(Talk) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Message>>>::default();
        let connections = Arc::<AtomicUsize>::default();
        let (all, count) = (seen.clone(), connections.clone());
        let task = tokio::spawn(async move {
            let mut talks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                talks.spawn(script(Talk {
                    stream,
                    buffer: Vec::new(),
                    seen: all.clone(),
                }));
            }
        });
        Origin {
            address,
            seen,
            connections,
            task,
        }
    }

    /// Every request is answered with the same bytes, on connections that are kept.
    pub(crate) async fn saying(bytes: impl Into<Vec<u8>>) -> Origin {
        let bytes: Arc<[u8]> = bytes.into().into();
        Origin::start(move |mut talk| {
            let bytes = bytes.clone();
            async move {
                while talk.request().await.is_some() {
                    if !talk.say(&bytes).await {
                        return;
                    }
                }
            }
        })
        .await
    }

    /// `200` with a length and a body that says `ok`.
    pub(crate) async fn ok() -> Origin {
        Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await
    }

    /// Every request is answered with these bytes and the end of the connection.
    pub(crate) async fn saying_once(bytes: impl Into<Vec<u8>>) -> Origin {
        let bytes: Arc<[u8]> = bytes.into().into();
        Origin::start(move |mut talk| {
            let bytes = bytes.clone();
            async move {
                if talk.request().await.is_some() {
                    talk.say(&bytes).await;
                }
            }
        })
        .await
    }

    /// A request is answered with 1 GiB, as fast as it is taken.
    pub(crate) async fn flooding() -> Origin {
        Origin::start(async |mut talk: Talk| {
            talk.request().await;
            let length = 1_u64 << 30;
            talk.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
            ))
            .await;
            while talk.say(vec![b'x'; 64 << 10]).await {}
        })
        .await
    }

    pub(crate) fn seen(&self) -> Vec<Message> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until it has been asked something.
    pub(crate) async fn until_asked(&self) {
        let asked = async {
            while self.seen.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        let asked = tokio::time::timeout(raw::PATIENCE, asked).await;
        asked.expect("nothing has reached the origin");
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}
