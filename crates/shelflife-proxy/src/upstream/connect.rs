//! Opening a connection: name, socket, TLS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::error::{Kind, UpstreamError};
use super::outgoing::OutgoingBody;

/// A connection of hyper's.
pub(super) type Sender = SendRequest<OutgoingBody>;

/// How to connect.
#[derive(Clone)]
pub(crate) struct Connector {
    http: http1::Builder,
    tls: Option<Dial>,
}

/// TLS towards the upstream.
#[derive(Clone)]
pub(crate) struct Dial {
    pub(crate) config: Arc<ClientConfig>,
    /// Whom its certificate has to name.
    pub(crate) name: ServerName<'static>,
}

/// What hyper reads and writes.
trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

impl Connector {
    pub(crate) fn new(tls: Option<Dial>, head_size: usize, fields: usize) -> Self {
        let mut http = http1::Builder::new();
        http.max_headers(fields)
            .max_header_size(head_size)
            // At least what hyper asks for; it also bounds what is read ahead of a slow client.
            .max_buf_size(head_size.max(64 << 10))
            // RFC 9112 §5.1: white space before the colon is to be removed from a response.
            .allow_spaces_after_header_name_in_responses(true)
            // RFC 9112 §5.2: folded lines of a response are to be refused or unfolded.
            .allow_obsolete_multiline_headers_in_responses(true);
        Connector { http, tls }
    }

    /// Opens a connection, in so much time.
    pub(super) async fn connect(
        &self,
        address: &Address,
        limit: Duration,
    ) -> Result<Sender, UpstreamError> {
        timeout(limit, self.open(address))
            .await
            .unwrap_or_else(|_| Err(UpstreamError::new(Kind::ConnectTimeout)))
    }

    async fn open(&self, address: &Address) -> Result<Sender, UpstreamError> {
        let stream = dial(address).await?;
        let unreachable = |error: io::Error| UpstreamError::because(Kind::Unreachable, error);
        // A small request should not wait for the answer to the one before.
        stream.set_nodelay(true).map_err(unreachable)?;
        let io: Box<dyn Io> = match &self.tls {
            None => Box::new(stream),
            Some(dial) => {
                let connector = TlsConnector::from(dial.config.clone());
                let stream = connector.connect(dial.name.clone(), stream).await;
                Box::new(stream.map_err(unreachable)?)
            }
        };
        let (sender, connection) = self
            .http
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| UpstreamError::because(Kind::Unreachable, error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "connection to the upstream ended");
            }
        });
        Ok(sender)
    }
}

/// The first of the name's addresses that answers.
async fn dial(address: &Address) -> Result<TcpStream, UpstreamError> {
    let resolved = lookup_host((address.host.as_str(), address.port)).await;
    let resolved = resolved.map_err(|error| UpstreamError::because(Kind::Unresolved, error))?;
    let mut failure = UpstreamError::new(Kind::Unresolved);
    for socket in resolved {
        match TcpStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = UpstreamError::because(Kind::Unreachable, error),
        }
    }
    Err(failure)
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}
