//! The rules of `shelflife-http` under the plainest driver there can be: no engine, no layer, no proxy.
//!
//! What fails here is the fault of a rule; what fails only through the proxy is the fault of what carries the
//! rules out.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Method, StatusCode, Uri};
use shelflife_conformance::{Origin, suite};
use shelflife_http::{
    self as rules, HeadUpdate, Policy, QueryRule, Received, Reuse, Stored, Validated,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::plain::{self, headers, written};
use crate::wire::{Bad, Message, Wire};

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_alone_pass_every_required_case_that_can_be_passed() {
    let origin = Origin::listen(0).await.unwrap();
    let ruled = Ruled::start(origin.address()).await;
    crate::passes(&origin, &suite(), ruled.address).await;
}

struct Head {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Head {
    fn of(message: &Message) -> Option<Self> {
        Some(Head {
            method: message.word(0).parse().ok()?,
            uri: message.word(1).parse().ok()?,
            headers: headers(message)?,
        })
    }

    fn facts(&self) -> rules::Request<'_> {
        rules::Request {
            method: &self.method,
            uri: &self.uri,
            headers: &self.headers,
        }
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn plain(status: StatusCode) -> Self {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: Vec::new(),
        }
    }
}

#[derive(Clone)]
struct Entry {
    head: Stored,
    body: Vec<u8>,
}

#[derive(Clone)]
struct Driver {
    origin: SocketAddr,
    policy: Arc<Policy>,
    store: Arc<Mutex<HashMap<String, Vec<Entry>>>>,
}

struct Ruled {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Ruled {
    async fn start(origin: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let driver = Driver {
            origin,
            policy: Arc::new(Policy::proxy()),
            store: Arc::default(),
        };
        let task = tokio::spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let driver = driver.clone();
                clients.spawn(async move { driver.serve(stream).await });
            }
        });
        Ruled { address, task }
    }
}

impl Drop for Ruled {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Driver {
    async fn serve(&self, stream: TcpStream) {
        let mut client = Wire::new(stream);
        while let Ok(mut message) = client.head().await {
            let Ok(body) = client.body(&message, false).await else {
                return;
            };
            message.body = body;
            let Some(head) = Head::of(&message) else {
                return;
            };
            let answer = self.answer(Some(&mut client), &head, &message.body).await;
            let answer = answer.unwrap_or_else(|Bad| Answer::plain(StatusCode::BAD_GATEWAY));
            if client
                .write(&written(
                    &head.method,
                    answer.status,
                    &answer.headers,
                    answer.body,
                ))
                .await
                .is_err()
            {
                return;
            }
        }
    }

    async fn answer(
        &self,
        mut client: Option<&mut Wire>,
        head: &Head,
        body: &[u8],
    ) -> Result<Answer, Bad> {
        let facts = head.facts();
        if rules::may_look_up(facts, &self.policy).is_err() {
            let answer = self.ask(client.as_deref_mut(), head, body).await?;
            let outdated = rules::invalidates(facts, answer.status, &answer.headers);
            let mut store = self.store.lock().unwrap();
            for url in outdated.urls {
                store.remove(&url);
            }
            return Ok(answer);
        }
        let key = rules::url_key(facts, &QueryRule::default());
        let Some(entry) = self.find(&key, head) else {
            if rules::only_if_cached(facts, &self.policy) {
                return Ok(Answer::plain(StatusCode::GATEWAY_TIMEOUT));
            }
            return self.fill(client, &key, head).await;
        };
        match rules::reuse(facts, &entry.head, &self.policy, false, now()) {
            Reuse::Fresh => Ok(served(head, &entry)),
            Reuse::Stale { refresh, .. } => {
                if refresh {
                    self.refresh(key, head, entry.clone());
                }
                Ok(served(head, &entry))
            }
            Reuse::Validate { if_error, .. } => {
                let answer = self.validate(client, &key, head, &entry).await;
                match answer {
                    Ok(answer) if !(if_error && fails(answer.status)) => Ok(answer),
                    _ if if_error => Ok(served(head, &entry)),
                    other => other,
                }
            }
            Reuse::Bypass { if_error, .. } => match self.ask(client, head, body).await {
                Err(Bad) if if_error => Ok(served(head, &entry)),
                answer => answer,
            },
            Reuse::Unsatisfiable(_) => Ok(Answer::plain(StatusCode::GATEWAY_TIMEOUT)),
        }
    }

    /// Behind the answer that was given already.
    fn refresh(&self, key: String, head: &Head, entry: Entry) {
        let driver = self.clone();
        let head = Head {
            method: head.method.clone(),
            uri: head.uri.clone(),
            headers: head.headers.clone(),
        };
        tokio::spawn(async move { driver.validate(None, &key, &head, &entry).await.map(drop) });
    }

    async fn fill(&self, client: Option<&mut Wire>, key: &str, head: &Head) -> Result<Answer, Bad> {
        if rules::may_collapse(head.facts(), &self.policy).is_err() {
            return self.ask(client, head, &[]).await;
        }
        let mut sent = head.headers.clone();
        rules::fill_request(&mut sent);
        let at = now();
        let answer = self.ask_with(client, head, sent, &[]).await?;
        Ok(self.filled(key, head, answer, at))
    }

    fn filled(&self, key: &str, head: &Head, answer: Answer, sent: u64) -> Answer {
        let (status, headers) = (answer.status, &answer.headers);
        match rules::store(head.facts(), status, headers, &self.policy, sent, now()) {
            Err(_) => answer,
            Ok(stored) => {
                let entry = Entry {
                    head: stored,
                    body: answer.body.clone(),
                };
                self.keep(key, head, entry.clone());
                match rules::answer(head.facts(), &entry.head, entry.body.len() as u64, now()) {
                    rules::Answer::Full => answer,
                    _ => served(head, &entry),
                }
            }
        }
    }

    async fn validate(
        &self,
        client: Option<&mut Wire>,
        key: &str,
        head: &Head,
        entry: &Entry,
    ) -> Result<Answer, Bad> {
        let mut sent = head.headers.clone();
        rules::validation_request(&mut sent, &entry.head);
        let at = now();
        let answer = self.ask_with(client, head, sent, &[]).await?;
        let (status, headers) = (answer.status, &answer.headers);
        match rules::validated(&entry.head, status, headers) {
            Validated::NotModified => {
                let facts = head.facts();
                let (stored, policy) = (&entry.head, &self.policy);
                let fresh = rules::freshen(stored, facts, headers, policy, at, now());
                let entry = Entry {
                    head: fresh.map_err(|_| Bad)?,
                    body: entry.body.clone(),
                };
                self.keep(key, head, entry.clone());
                Ok(served(head, &entry))
            }
            Validated::Replaced if head.method == Method::HEAD => {
                let received = Received {
                    status,
                    headers,
                    sent: at,
                    now: now(),
                };
                let (stored, length) = (&entry.head, entry.body.len() as u64);
                match rules::head_update(head.facts(), stored, length, received, &self.policy) {
                    HeadUpdate::Updated(stored) => {
                        let body = entry.body.clone();
                        self.keep(
                            key,
                            head,
                            Entry {
                                head: *stored,
                                body,
                            },
                        );
                    }
                    HeadUpdate::Outdated(_) => {
                        self.store.lock().unwrap().remove(key);
                    }
                    HeadUpdate::Nothing => {}
                }
                Ok(answer)
            }
            Validated::Replaced => Ok(self.filled(key, head, answer, at)),
            Validated::ServerError | Validated::Unusable => Ok(answer),
        }
    }

    fn find(&self, key: &str, head: &Head) -> Option<Entry> {
        let store = self.store.lock().unwrap();
        let entries = store.get(key)?;
        let found = entries.iter().find(|e| e.head.selects(head.facts()));
        found.cloned()
    }

    fn keep(&self, key: &str, head: &Head, entry: Entry) {
        let mut store = self.store.lock().unwrap();
        let entries = store.entry(key.to_owned()).or_default();
        entries.retain(|old| !old.head.selects(head.facts()));
        entries.push(entry);
    }

    async fn ask(
        &self,
        client: Option<&mut Wire>,
        head: &Head,
        body: &[u8],
    ) -> Result<Answer, Bad> {
        let headers = head.headers.clone();
        self.ask_with(client, head, headers, body).await
    }

    async fn ask_with(
        &self,
        client: Option<&mut Wire>,
        head: &Head,
        headers: HeaderMap,
        body: &[u8],
    ) -> Result<Answer, Bad> {
        let start = format!("{} {} HTTP/1.1", head.method, head.uri);
        let (status, headers, body) =
            plain::exchange(self.origin, client, start, headers, body).await?;
        Ok(Answer {
            status,
            headers,
            body,
        })
    }
}

fn fails(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

fn served(head: &Head, entry: &Entry) -> Answer {
    let length = entry.body.len() as u64;
    let what = rules::answer(head.facts(), &entry.head, length, now());
    let body = match what {
        rules::Answer::Full => entry.body.clone(),
        rules::Answer::Range {
            start,
            end_inclusive,
        } => {
            let at = |at: u64| usize::try_from(at).unwrap();
            entry.body[at(start)..=at(end_inclusive)].to_vec()
        }
        rules::Answer::NotModified | rules::Answer::RangeNotSatisfiable => Vec::new(),
    };
    Answer {
        status: what.status(&entry.head),
        headers: rules::answer_headers(&entry.head, &what, length, now()),
        body,
    }
}
