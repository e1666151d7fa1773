//! Why there is no answer from the upstream.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use crate::body::BodyError;

/// A request that was not answered. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamError {
    kind: Kind,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What went wrong, and with it what the client is told.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Its name has no address.
    Unresolved,
    /// Nobody listens there, or TLS failed.
    Unreachable,
    /// Connecting took too long.
    ConnectTimeout,
    /// All places are taken.
    Busy,
    /// The connection ended before the response came.
    Closed,
    /// No response in time.
    FirstByteTimeout,
    /// What came is no response.
    Malformed(&'static str),
    /// The request's own body failed: not the upstream's fault.
    Request(BodyError),
    /// The request can't be sent on.
    Unsendable,
}

impl UpstreamError {
    /// All that [`proxy_status`](Self::proxy_status) may be.
    pub(crate) const TYPES: [&'static str; 8] = [
        "dns_error",
        "destination_unavailable",
        "connection_timeout",
        "connection_limit_reached",
        "connection_terminated",
        "http_response_timeout",
        "http_protocol_error",
        "http_request_error",
    ];

    pub(crate) fn new(kind: Kind) -> Self {
        UpstreamError { kind, source: None }
    }

    pub(crate) fn because(
        kind: Kind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        UpstreamError {
            kind,
            source: Some(Arc::from(source.into())),
        }
    }

    /// What the client is answered, when nothing stored can be.
    pub(crate) fn status(&self) -> StatusCode {
        match &self.kind {
            Kind::Unresolved
            | Kind::Unreachable
            | Kind::Closed
            | Kind::Malformed(_)
            | Kind::Unsendable => StatusCode::BAD_GATEWAY,
            Kind::ConnectTimeout | Kind::FirstByteTimeout => StatusCode::GATEWAY_TIMEOUT,
            Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Request(BodyError::ClientTimeout) => StatusCode::REQUEST_TIMEOUT,
            Kind::Request(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// RFC 9209 §2.3: the type of the error, for Proxy-Status.
    pub(crate) fn proxy_status(&self) -> &'static str {
        match &self.kind {
            Kind::Unresolved => "dns_error",
            Kind::Unreachable => "destination_unavailable",
            Kind::ConnectTimeout => "connection_timeout",
            Kind::Busy => "connection_limit_reached",
            Kind::Closed => "connection_terminated",
            Kind::FirstByteTimeout => "http_response_timeout",
            Kind::Malformed(_) => "http_protocol_error",
            Kind::Request(_) | Kind::Unsendable => "http_request_error",
        }
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Unresolved => f.write_str("the upstream's name cannot be resolved"),
            Kind::Unreachable => f.write_str("the upstream cannot be reached"),
            Kind::ConnectTimeout => f.write_str("connecting to the upstream took too long"),
            Kind::Busy => f.write_str("the upstream has as many requests as it may have"),
            Kind::Closed => f.write_str("the upstream closed the connection without answering"),
            Kind::FirstByteTimeout => f.write_str("the upstream did not answer in time"),
            Kind::Malformed(what) => write!(f, "the upstream's response is malformed: {what}"),
            Kind::Request(error) => write!(f, "the request's body failed: {error}"),
            Kind::Unsendable => f.write_str("the request cannot be sent on"),
        }
    }
}

impl std::error::Error for UpstreamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
