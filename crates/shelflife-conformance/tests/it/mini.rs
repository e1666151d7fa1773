//! A small cache that keeps the rules it is asked about here, and can be told to break any one of them.
//!
//! It is written for the suite to be tried on: one connection upstream per request, whole bodies in memory.

mod rules;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::wire::{Bad, Message, Wire};
pub(crate) use rules::Flaw;

/// An answer, the request that brought it, and since when it is here.
#[derive(Clone)]
struct Entry {
    request: Message,
    answer: Message,
    since: Instant,
}

type Store = Arc<Mutex<HashMap<String, Vec<Entry>>>>;

#[derive(Clone)]
struct Cache {
    origin: SocketAddr,
    flaw: Flaw,
    store: Store,
}

/// The running cache; it ends when it is dropped.
pub(crate) struct Mini {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Mini {
    pub(crate) async fn start(origin: SocketAddr, flaw: Flaw) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let cache = Cache {
            origin,
            flaw,
            store: Store::default(),
        };
        let task = tokio::spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let cache = cache.clone();
                clients.spawn(async move { cache.serve(stream).await });
            }
        });
        Mini { address, task }
    }
}

impl Drop for Mini {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cache {
    async fn serve(&self, stream: TcpStream) {
        let mut client = Wire::new(stream);
        while let Ok(mut request) = client.head().await {
            let Ok(body) = client.body(&request, false).await else {
                return;
            };
            request.body = body;
            let answer = self.answer(&mut client, &request).await;
            let answer = answer.unwrap_or_else(|Bad| Message {
                start: "HTTP/1.1 502 Bad Gateway".to_owned(),
                ..Message::default()
            });
            let answer = finished(self.flaw, answer, &request);
            if client.write(&answer.bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, client: &mut Wire, request: &Message) -> Result<Message, Bad> {
        let key = self.flaw.key(request.word(1));
        let safe = matches!(request.word(0), "GET" | "HEAD");
        let stored = if safe { self.find(&key, request) } else { None };
        if let Some(entry) = &stored
            && rules::is_fresh(self.flaw, entry)
        {
            return Ok(rules::from_store(self.flaw, entry, request));
        }
        let sent = rules::forwarded(self.flaw, request, stored.as_ref());
        let answer = self.ask(client, &sent).await?;
        if let Some(entry) = stored
            && answer.status() == 304
            && sent.fields != request.fields
        {
            let entry = rules::updated(self.flaw, &entry, &answer);
            self.keep(&key, entry.clone());
            return Ok(rules::from_store(self.flaw, &entry, request));
        }
        if !safe && answer.status() < 400 && self.flaw != Flaw::NeverInvalidates {
            self.store.lock().unwrap().remove(&key);
        }
        let answer = rules::passed_on(self.flaw, answer);
        if rules::may_store(self.flaw, request, &answer) {
            self.keep(
                &key,
                Entry {
                    request: request.clone(),
                    answer: answer.clone(),
                    since: Instant::now(),
                },
            );
        }
        Ok(answer)
    }

    fn find(&self, key: &str, request: &Message) -> Option<Entry> {
        let store = self.store.lock().unwrap();
        let entries = store.get(key)?;
        let found = entries
            .iter()
            .find(|e| rules::selects(self.flaw, e, request));
        found.cloned()
    }

    fn keep(&self, key: &str, entry: Entry) {
        let mut store = self.store.lock().unwrap();
        let entries = store.entry(key.to_owned()).or_default();
        entries.retain(|old| !rules::selects(self.flaw, old, &entry.request));
        entries.push(entry);
    }

    async fn ask(&self, client: &mut Wire, request: &Message) -> Result<Message, Bad> {
        let first = self.exchange(client, request).await;
        match first {
            Err(Bad) if self.flaw == Flaw::Repeats => self.exchange(client, request).await,
            first => first,
        }
    }

    async fn exchange(&self, client: &mut Wire, request: &Message) -> Result<Message, Bad> {
        let stream = TcpStream::connect(self.origin).await.map_err(|_| Bad)?;
        let mut origin = Wire::new(stream);
        origin.write(&request.bytes()).await?;
        loop {
            let mut head = origin.head().await?;
            if head.status() < 200 {
                if self.flaw != Flaw::DropsInterim {
                    client.write(&head.bytes()).await?;
                }
                continue;
            }
            if request.word(0) != "HEAD" && !matches!(head.status(), 204 | 304) {
                head.body = match origin.body(&head, true).await {
                    Err(Bad) if self.flaw == Flaw::TakesPartForWhole => origin.rest().await,
                    body => body?,
                };
            }
            return Ok(head);
        }
    }
}

/// As it goes to the client: with the length that it has.
fn finished(flaw: Flaw, mut answer: Message, request: &Message) -> Message {
    let bodiless = matches!(answer.status(), 204 | 304);
    if bodiless || request.word(0) == "HEAD" {
        answer.body.clear();
        if flaw == Flaw::SendsTooMuch {
            answer.body.extend(b"nobody asked for this");
        }
    }
    if request.word(0) != "HEAD" {
        answer.remove("Content-Length");
        if !bodiless {
            let length = answer.body.len().to_string();
            answer.set("Content-Length", &length);
        }
    }
    answer
}
