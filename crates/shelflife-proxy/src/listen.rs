//! Accepting connections: as many as are allowed, until it is time to end.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::figures::Figures;
use crate::front::{Answer, Front};

/// How long nothing is accepted after the system had no room for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections that are open, to be told when it is time to end.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    /// Held for an insertion, a removal, or to tell all of them.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    closing: bool,
    /// By number.
    clients: HashMap<u64, Arc<Client>>,
    next: u64,
}

/// A client among the open ones, until it is dropped.
struct Member<'a> {
    clients: &'a Clients,
    number: u64,
}

impl Clients {
    fn enter(&self, client: &Arc<Client>) -> Member<'_> {
        let mut open = self.lock();
        if open.closing {
            client.close();
        }
        open.next += 1;
        let number = open.next;
        open.clients.insert(number, client.clone());
        Member {
            clients: self,
            number,
        }
    }

    /// Asks all to end, and those that come.
    pub(crate) fn close(&self) {
        let mut open = self.lock();
        open.closing = true;
        open.clients.values().for_each(|client| client.close());
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.clients.lock().clients.remove(&self.number);
    }
}

/// A listener in its loop.
pub(crate) struct Accepting {
    pub(crate) listener: TcpListener,
    pub(crate) clients: Arc<Clients>,
    pub(crate) places: Arc<Semaphore>,
    /// Where its connections are counted, if they are.
    pub(crate) figures: Option<Arc<Figures>>,
    /// Set when nothing more is to be accepted.
    pub(crate) ending: CancellationToken,
}

impl Accepting {
    /// Accepts until it is told to end; then the connections that are still open.
    pub(crate) async fn run<A: Answer>(self, front: impl Fn() -> (Front, A)) -> JoinSet<()> {
        let mut open = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = self.ending.cancelled() => return open,
                Some(_) = open.join_next() => continue,
                accepted = self.accept() => accepted,
            };
            let Some((stream, peer, place)) = accepted else {
                continue;
            };
            let (front, answer) = front();
            let clients = self.clients.clone();
            let figures = self.figures.clone();
            open.spawn(async move {
                let _counted = figures.as_ref().map(|figures| figures.connections.enter());
                let client = Client::new(peer, front.tls.is_some());
                let _member = clients.enter(&client);
                front.serve(stream, client, answer).await;
                drop(place);
            });
        }
    }

    /// The next connection, when there is a place for it.
    async fn accept(&self) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let place = self.places.clone().acquire_owned().await.ok()?;
        match self.listener.accept().await {
            Ok((stream, peer)) => {
                // A small response should not wait for the client's word on the one before. A connection that
                // has gone already says so here, too.
                stream.set_nodelay(true).ok()?;
                Some((stream, peer, place))
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
                None
            }
        }
    }
}
