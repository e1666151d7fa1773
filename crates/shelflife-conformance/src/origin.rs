//! The origin: it answers each request as the table says, and remembers what it saw.
//!
//! Every case has a path of its own, `/case/<token>`. The client numbers its requests (`Case-Step`); a cache that
//! passes the field on, as it must, tells the origin which step it is answering. Each answer says how many
//! requests for the case have come so far (`Case-Count`): a lower number than the client's own is an answer out of
//! a store.

mod answer;
mod script;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::wire::{Head, Wire, bad};
use script::{Scripts, Turn};
pub(crate) use script::{Seen, UNCONDITIONAL};

/// Connections at a time; a cache that opens more waits.
const CONNECTIONS: usize = 1024;
/// As common servers do, the origin closes a connection on which nothing was asked for so long.
const IDLE: Duration = Duration::from_secs(5);
/// For a whole request, once it has begun.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server on 127.0.0.1 that plays the origin's part; it ends when it is dropped.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    scripts: Scripts,
    accepting: JoinHandle<()>,
}

impl Origin {
    /// Listens on that port of 127.0.0.1, or on a free one if it is 0.
    ///
    /// # Errors
    ///
    /// The port is taken, or may not be used.
    pub async fn listen(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let scripts = Scripts::default();
        Ok(Origin {
            address: listener.local_addr()?,
            accepting: tokio::spawn(accept(listener, scripts.clone())),
            scripts,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn scripts(&self) -> &Scripts {
        &self.scripts
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, scripts: Scripts) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut serving = JoinSet::new();
    loop {
        while serving.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        // An error is the peer's, or passes: the next connection may be well.
        if let Ok((stream, _)) = listener.accept().await {
            let scripts = scripts.clone();
            serving.spawn(async move {
                // What goes wrong on one connection, the client will see.
                let _ = serve(stream, &scripts).await;
                drop(place);
            });
        }
    }
}

async fn serve(stream: TcpStream, scripts: &Scripts) -> io::Result<()> {
    let mut wire = Wire::new(stream);
    loop {
        let Ok(head) = timeout(IDLE, wire.head()).await else {
            return Ok(());
        };
        let Some(head) = head? else { return Ok(()) };
        let body = timeout(PATIENCE, request_body(&mut wire, &head)).await??;
        let mut request = head.start.split(' ');
        let (method, target) = (
            request.next().unwrap_or_default(),
            request.next().unwrap_or_default(),
        );
        let last = is_last(&head);
        let turn = Turn {
            method,
            target,
            fields: &head.fields,
            body: &body,
        };
        let goes_on = answer::give(&mut wire, scripts, &turn, last).await?;
        if last || !goes_on {
            return Ok(());
        }
    }
}

async fn request_body(wire: &mut Wire, head: &Head) -> io::Result<String> {
    if head.fields.has("Transfer-Encoding") {
        return wire.chunks().await;
    }
    match head.fields.joined("Content-Length") {
        None => Ok(String::new()),
        Some(length) => {
            let length = length.parse().map_err(|_| bad("not a length"))?;
            wire.exactly(length).await
        }
    }
}

fn is_last(head: &Head) -> bool {
    let options = head.fields.joined("Connection").unwrap_or_default();
    head.start.ends_with("HTTP/1.0")
        || options
            .split(',')
            .any(|option| option.trim().eq_ignore_ascii_case("close"))
}
