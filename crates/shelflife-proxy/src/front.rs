//! A connection is accepted: TLS if it is to be, then the version of HTTP, then its server.
//!
//! Every step has a time limit, the first byte included: a library that looks for HTTP/2's preface would wait
//! for it for ever.

use std::future::{Future, poll_fn};
use std::sync::Arc;

use http::{Request, Response};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::body::{RequestBody, ResponseBody};
use crate::client::Client;
use crate::wire::{self, Reader, Wire};
use crate::{h1, h2};

/// What a connection's requests are answered by. A clone a connection, or a stream.
pub(crate) trait Answer: Clone + Send + 'static {
    /// Answers a request. Dropping the future drops the work for it.
    fn answer(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send + use<Self>;
}

/// How connections of a listener are served.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) h1: Arc<h1::Limits>,
    pub(crate) h2: h2::Limits,
}

impl Front {
    /// The same without TLS.
    pub(crate) fn in_clear(&self) -> Self {
        Front {
            tls: None,
            ..self.clone()
        }
    }
}

/// RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum Version {
    One,
    Two,
}

impl Front {
    /// Serves a connection to its end.
    pub(crate) async fn serve<A: Answer>(&self, stream: TcpStream, client: Arc<Client>, answer: A) {
        let opened = timeout(self.h1.head, self.open(stream)).await;
        let Ok(Some((wire, version))) = opened else {
            tracing::debug!(client = %client.peer, "connection not used");
            return;
        };
        match version {
            Version::One => h1::serve(wire, client, self.h1.clone(), answer).await,
            Version::Two => h2::serve(wire, client, &self.h2, answer).await,
        }
    }

    async fn open(&self, stream: TcpStream) -> Option<(Wire, Version)> {
        let Some(tls) = &self.tls else {
            let (mut reader, writer) = wire::plain(stream);
            let version = sniff(&mut reader).await?;
            return Some((Wire { reader, writer }, version));
        };
        let stream = TlsAcceptor::from(tls.clone()).accept(stream).await.ok()?;
        let version = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Version::Two,
            _ => Version::One,
        };
        let (reader, writer) = wire::tls(stream);
        Some((Wire { reader, writer }, version))
    }
}

/// Reads until the bytes are HTTP/2's preface or something else.
async fn sniff(reader: &mut Reader) -> Option<Version> {
    loop {
        let seen = reader.buffer.len().min(PREFACE.len());
        if reader.buffer[..seen] != PREFACE[..seen] {
            return Some(Version::One);
        }
        if seen == PREFACE.len() {
            return Some(Version::Two);
        }
        match poll_fn(|context| reader.poll_fill(context)).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}
