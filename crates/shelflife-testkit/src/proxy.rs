//! A wire with faults: a TCP proxy between a client and its server.
//!
//! ```text
//! client ──▶ admit ──▶ pump: read ▶ delay ▶ wait while frozen ▶ write ──▶ server
//!                  ◀── pump                                           ◀──
//! ```
//!
//! Every fault holds from the moment that the call that asked for it has returned.
//!
//! Must not understand what it carries.

mod pump;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

use self::pump::Faults;
use crate::port;

/// A proxy on a free port of 127.0.0.1. It lives on the runtime it was started on, and ends with
/// all its connections on drop. A server that is not there looks like one that accepts and closes
/// at once; for a refusal there is [`Proxy::refuse`].
///
/// ```no_run
/// # async fn outage() {
/// use shelflife_testkit::{Proxy, RedisServer};
///
/// let server = RedisServer::start();
/// let proxy = Proxy::start(server.address()).await;
/// // … a client connects to `proxy.url()`, and then the network goes:
/// proxy.refuse(true).await;
/// proxy.cut();
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    wire: Arc<Wire>,
    /// Accepts connections; none while connections are refused. Held across the awaits of
    /// `refuse`, so that two calls cannot both open the port.
    door: tokio::sync::Mutex<Option<Door>>,
}

impl Proxy {
    /// Starts a proxy to `upstream`, which need not be there yet.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = port::listen();
        let address = listener
            .local_addr()
            .unwrap_or_else(|error| panic!("a bound socket has no address: {error}"));
        let wire = Arc::new(Wire {
            upstream: watch::Sender::new(upstream),
            delay: watch::Sender::new(Duration::ZERO),
            frozen: watch::Sender::new(false),
            connections: Mutex::default(),
        });
        let door = Door::open(listener, Arc::clone(&wire))
            .unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
        Self {
            address,
            wire,
            door: tokio::sync::Mutex::new(Some(door)),
        }
    }

    /// `redis://127.0.0.1:port`
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections that clients have now, also those they have only just opened. New
    /// ones are welcome.
    pub fn cut(&self) {
        if let Ok(door) = self.door.try_lock()
            && let Some(door) = &*door
        {
            self.wire.turn_away(&door.listener);
        }
        self.wire.cut();
    }

    /// Whether new connections are refused (`ECONNREFUSED`). Those that exist are left alone.
    ///
    /// # Panics
    ///
    /// When the port, opened again, has been taken by somebody else.
    pub async fn refuse(&self, refuse: bool) {
        let mut door = self.door.lock().await;
        match (refuse, door.take()) {
            (true, Some(open)) => open.close().await,
            (false, None) => {
                let opened = port::listen_on(self.address.port())
                    .and_then(|listener| Door::open(listener, Arc::clone(&self.wire)))
                    .unwrap_or_else(|error| panic!("cannot reopen {}: {error}", self.address));
                *door = Some(opened);
            }
            (_, unchanged) => *door = unchanged,
        }
    }

    /// Holds every chunk of bytes, in both directions, back for so long. Chunks of one direction
    /// wait one after the other. Zero, at first, is no delay.
    pub fn delay(&self, delay: Duration) {
        self.wire.delay.send_replace(delay);
    }

    /// Whether connections and bytes are accepted and held, and nothing is passed on. Thawed, the
    /// wire delivers what it holds.
    pub fn freeze(&self, freeze: bool) {
        self.wire.frozen.send_replace(freeze);
    }

    /// Where connections lead that are opened from now on: another server has taken over. Those that
    /// exist are left alone.
    pub fn retarget(&self, upstream: SocketAddr) {
        self.wire.upstream.send_replace(upstream);
    }

    /// How many connections have been accepted since the start.
    pub fn accepted(&self) -> u64 {
        self.wire.connections().accepted
    }

    /// How many connections there are now.
    pub fn open(&self) -> usize {
        self.wire.connections().current.len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(door) = self.door.get_mut().take() {
            door.task.abort();
        }
        self.wire.cut();
    }
}

/// The listening socket and the task that accepts from it.
#[derive(Debug)]
struct Door {
    /// A second handle on the task's socket, to empty it without waiting for the task.
    listener: std::net::TcpListener,
    task: JoinHandle<()>,
}

impl Door {
    fn open(listener: std::net::TcpListener, wire: Arc<Wire>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let accepting = TcpListener::from_std(listener.try_clone()?)?;
        let task = tokio::spawn(async move {
            loop {
                poll_fn(|context| wire.poll_admit(&accepting, context)).await;
            }
        });
        Ok(Self { listener, task })
    }

    /// Closes the socket; connections are refused when this returns.
    async fn close(self) {
        self.task.abort();
        // The task's handle keeps the socket open for as long as it lives.
        let _ = self.task.await;
    }
}

/// What the accepting task, the connections and the proxy's owner share.
#[derive(Debug)]
struct Wire {
    /// Where connections lead that are opened from now on.
    upstream: watch::Sender<SocketAddr>,
    delay: watch::Sender<Duration>,
    frozen: watch::Sender<bool>,
    /// Guards the books. A connection is taken from the listener and entered under one lock, so
    /// that `cut` finds it either there or here.
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    accepted: u64,
    current: HashMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    /// A second handle on the client's socket, to shut it down without waiting for the task.
    client: std::net::TcpStream,
    task: AbortHandle,
}

impl Wire {
    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the next connection that waits at the listener.
    fn poll_admit(self: &Arc<Self>, listener: &TcpListener, context: &mut Context<'_>) -> Poll<()> {
        let mut connections = self.connections();
        // An error is one connection's, which came and went; others may wait behind it.
        if let Ok((client, _)) = ready!(listener.poll_accept(context)) {
            let id = connections.accepted;
            connections.accepted += 1;
            // A client that has already gone is counted, and that is all.
            if let Ok(connection) = self.connect(id, client) {
                connections.current.insert(id, connection);
            }
        }
        Poll::Ready(())
    }

    /// Closes every connection that waits at the listener.
    fn turn_away(&self, listener: &std::net::TcpListener) {
        let mut connections = self.connections();
        while listener.accept().is_ok() {
            connections.accepted += 1;
        }
    }

    fn connect(self: &Arc<Self>, id: u64, client: TcpStream) -> io::Result<Connection> {
        client.set_nodelay(true)?;
        let handle = client.as_fd().try_clone_to_owned()?;
        let wire = Arc::clone(self);
        let task = tokio::spawn(async move {
            // How a connection ended is for its two ends to tell.
            let _ = wire.carry(client).await;
            if let Some(ended) = wire.connections().current.remove(&id) {
                // Closing the task's handle alone would leave the client connected to this one.
                drop(ended.client);
            }
        });
        Ok(Connection {
            client: handle.into(),
            task: task.abort_handle(),
        })
    }

    async fn carry(&self, client: TcpStream) -> io::Result<()> {
        let mut faults = Faults {
            delay: self.delay.subscribe(),
            frozen: self.frozen.subscribe(),
        };
        faults.thawed().await;
        let upstream = *self.upstream.borrow();
        let server = TcpStream::connect(upstream).await?;
        server.set_nodelay(true)?;
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let mut back = faults.clone();
        tokio::try_join!(
            pump::pump(&mut from_client, &mut to_server, &mut faults),
            pump::pump(&mut from_server, &mut to_client, &mut back),
        )?;
        Ok(())
    }

    fn cut(&self) {
        for (_, connection) in self.connections().current.drain() {
            // At once, on this thread: the task may not run for a while.
            let _ = connection.client.shutdown(Shutdown::Both);
            connection.task.abort();
        }
    }
}
