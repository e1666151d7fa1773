//! The way to the origin: HTTP/1.1 over connections that are kept (RFC 9112), as a `tower` service.
//!
//! ```text
//!   request ─► prepare (target, Host, Via, Forwarded) ─► pool | connect ─► hyper ─► origin
//!   response ◄─ check and clean (framing, hop-by-hop, Date, Via) ◄───────────────────┘
//! ```
//!
//! **A request is never sent twice.** It goes to another connection only if hyper hands it back as one of
//! which not a byte was written. An origin that closes a connection while a request is on its way may have
//! carried it out: that is an error, whatever the method.
//!
//! Must not: know the cache. A failure is an [`UpstreamError`], so that the cache can tell it from an answer.

mod address;
mod body;
mod connect;
mod error;
mod exchange;
mod outgoing;
mod pool;
mod prepare;
mod response;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use tokio::sync::Semaphore;
use tower_service::Service;

use crate::body::RequestBody;
use crate::figures::Figures;
use crate::forward::Trail;

pub(crate) use address::Address;
pub(crate) use body::UpstreamBody;
pub(crate) use connect::{Connector, Dial};
#[cfg(test)]
pub(crate) use error::Kind;
pub(crate) use error::UpstreamError;

/// What the upstream may take.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Resolving, connecting and TLS together; and waiting for a free place before.
    pub(crate) connect: Duration,
    /// From the last byte of the request to the head of the response.
    pub(crate) first_byte: Duration,
    /// Between two pieces of a response's body.
    pub(crate) between_bytes: Duration,
    /// How long a connection may be unused and yet be used again.
    pub(crate) idle: Duration,
    /// How long a 100 is waited for before the body is sent without.
    pub(crate) go_on: Duration,
    /// Requests at once.
    pub(crate) requests: usize,
}

/// What Host says to the origin.
#[derive(Clone, Debug)]
pub(crate) enum Host {
    /// What the client said.
    Preserve,
    Fixed(HeaderValue),
}

/// The service. Clones share their connections.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    address: Address,
    connector: Connector,
    host: Host,
    trail: Trail,
    limits: Limits,
    figures: Arc<Figures>,
    pool: pool::Pool,
    /// A permit for each request that is being answered.
    places: Arc<Semaphore>,
}

impl Upstream {
    pub(crate) fn new(
        address: Address,
        connector: Connector,
        host: Host,
        trail: Trail,
        limits: Limits,
        figures: Arc<Figures>,
    ) -> Self {
        let places = limits.requests.min(Semaphore::MAX_PERMITS);
        figures.upstream.limit(places);
        let shared = Shared {
            pool: pool::Pool::new(limits.idle, places),
            places: Arc::new(Semaphore::new(places)),
            address,
            connector,
            host,
            trail,
            limits,
            figures,
        };
        Upstream {
            shared: Arc::new(shared),
        }
    }
}

impl Service<Request<RequestBody>> for Upstream {
    type Response = Response<UpstreamBody>;
    type Error = UpstreamError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, UpstreamError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        Box::pin(exchange::exchange(self.shared.clone(), request))
    }
}
