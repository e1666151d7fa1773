//! One client connection, as the rest of the proxy sees it: who it is, and what it can be told from outside.
//!
//! ```text
//!   upstream ── interim heads ──►┐
//!   body     ── "go on" (100) ──►├── Client ── wakes ──► the connection's own task
//!   serve    ── "close" ────────►┘
//! ```
//!
//! Must not: touch the socket. Only the connection's task writes to it.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use atomic_waker::AtomicWaker;
use http::{HeaderMap, StatusCode};

/// Interim heads that may wait for a client; what comes on top is dropped, as any of them may be.
const INTERIM_LIMIT: usize = 16;

/// A client connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// Where it comes from.
    pub(crate) peer: IpAddr,
    /// Whether it came over TLS.
    pub(crate) secure: bool,
    /// Set once: finish what runs, take nothing new.
    closing: AtomicBool,
    /// The task that serves the connection.
    waker: AtomicWaker,
    /// Guards the interim responses of the one HTTP/1 request that is being answered.
    interim: Mutex<Interim>,
}

#[derive(Debug, Default)]
struct Interim {
    /// Counts requests; what is meant for an older one is dropped.
    turn: u64,
    /// Whether the client has been told to send its body.
    asked: bool,
    heads: Vec<InterimHead>,
}

/// The head of a 1xx response.
#[derive(Debug)]
pub(crate) struct InterimHead {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

impl Client {
    pub(crate) fn new(peer: SocketAddr, secure: bool) -> Arc<Self> {
        Arc::new(Client {
            peer: peer.ip().to_canonical(),
            secure,
            closing: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            interim: Mutex::default(),
        })
    }

    /// Has the task woken when something is told. Before looking, never after.
    pub(crate) fn listen(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Asks the connection to end as soon as what runs is finished.
    pub(crate) fn close(&self) {
        // Release: pairs with the Acquire in `is_closing`; the waker's own ordering does the rest.
        self.closing.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Begins a request that may get interim responses.
    pub(crate) fn begin(self: &Arc<Self>) -> InterimSender {
        let mut interim = self.lock();
        interim.turn += 1;
        interim.asked = false;
        interim.heads.clear();
        InterimSender {
            client: Arc::clone(self),
            turn: interim.turn,
        }
    }

    /// Whether the client has been told to send the body of the request that has begun last.
    pub(crate) fn has_asked(&self) -> bool {
        self.lock().asked
    }

    /// What has been told since, in order.
    pub(crate) fn take_interim(&self) -> Vec<InterimHead> {
        std::mem::take(&mut self.lock().heads)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Interim> {
        self.interim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to send interim responses to one request.
#[derive(Clone, Debug)]
pub(crate) struct InterimSender {
    client: Arc<Client>,
    turn: u64,
}

impl InterimSender {
    /// Hands a head over. Dropped when another request has begun, or when too many wait already.
    pub(crate) fn send(&self, head: InterimHead) {
        let mut interim = self.client.lock();
        if interim.turn == self.turn && interim.heads.len() < INTERIM_LIMIT {
            interim.heads.push(head);
            drop(interim);
            self.client.waker.wake();
        }
    }

    /// `100 Continue`: the client may send its body.
    pub(crate) fn go_on(&self) {
        let mut interim = self.client.lock();
        interim.asked |= interim.turn == self.turn;
        drop(interim);
        self.send(InterimHead {
            status: StatusCode::CONTINUE,
            headers: HeaderMap::new(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Arc<Client> {
        Client::new(SocketAddr::from(([127, 0, 0, 1], 1)), false)
    }

    #[test]
    fn interim_heads_of_an_earlier_request_never_reach_a_later_one() {
        let client = client();
        let first = client.begin();
        first.go_on();
        assert_eq!(client.take_interim().len(), 1);
        let second = client.begin();
        first.go_on();
        assert!(client.take_interim().is_empty(), "not this request's");
        second.go_on();
        assert_eq!(client.take_interim().len(), 1);
    }

    #[test]
    fn a_flood_of_interim_heads_is_bounded() {
        let client = client();
        let sender = client.begin();
        for _ in 0..10_000 {
            sender.go_on();
        }
        assert_eq!(client.take_interim().len(), INTERIM_LIMIT);
    }
}
