//! Bodies on their way through: a request's, from either version of HTTP, and a response's.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame, SizeHint};

use crate::admin::PageBody;
use crate::client::{Client, InterimSender};
use crate::h1;
use crate::h2;
use crate::upstream::UpstreamBody;
use shelflife::tower::{CacheBody, RequestContent};

/// Why a request's body did not come to its end.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client closed its connection, or its stream.
    #[error("the client went away")]
    ClientGone,
    /// Nothing came for too long.
    #[error("the client sent nothing for too long")]
    ClientTimeout,
    /// It is not what its framing says.
    #[error("{}", .0.detail())]
    Malformed(h1::Refusal),
}

impl BodyError {
    /// The one that is at the bottom of another error.
    fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut error = Some(error);
        while let Some(at) = error {
            if let Some(found) = at.downcast_ref::<BodyError>() {
                return found.clone();
            }
            error = at.source();
        }
        BodyError::ClientGone
    }
}

/// A request's body, and who sends it.
///
/// The sender rides here rather than in the request's extensions: an extension costs allocations that
/// a hit would pay for, too. A request that the cache makes by itself has no sender: [`Default`].
#[derive(Debug, Default)]
pub(crate) struct RequestBody {
    kind: Kind,
    /// Who asks.
    pub(crate) client: Option<Arc<Client>>,
    /// Where interim responses go, if they can be sent.
    pub(crate) interim: Option<InterimSender>,
    /// Whether the client waits for a 100 before it sends its body.
    pub(crate) expects: bool,
    /// Whether trailers will not be thrown away.
    pub(crate) takes_trailers: bool,
    /// The protocols that the client would rather speak.
    pub(crate) upgrade: Option<HeaderValue>,
}

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Empty,
    H1(h1::IncomingBody),
    H2(h2::IncomingBody),
    /// Read by the cache for its key, and put together again.
    Read(Box<RequestContent<RequestBody>>),
}

impl RequestBody {
    pub(crate) fn empty(client: Arc<Client>) -> Self {
        RequestBody {
            client: Some(client),
            ..RequestBody::default()
        }
    }

    pub(crate) fn h1(body: h1::IncomingBody, client: Arc<Client>) -> Self {
        RequestBody {
            kind: Kind::H1(body),
            ..RequestBody::empty(client)
        }
    }

    /// What the cache has read of a body, as one again; nobody's any more.
    pub(crate) fn read(content: RequestContent<RequestBody>) -> Self {
        RequestBody {
            kind: Kind::Read(Box::new(content)),
            ..RequestBody::default()
        }
    }

    pub(crate) fn h2(body: h2::IncomingBody, client: Arc<Client>) -> Self {
        RequestBody {
            kind: Kind::H2(body),
            ..RequestBody::empty(client)
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match &mut self.kind {
            Kind::Empty => None,
            Kind::H1(body) => ready!(Pin::new(body).poll_frame(context)),
            Kind::H2(body) => ready!(Pin::new(body).poll_frame(context)),
            Kind::Read(body) => {
                let frame = ready!(Pin::new(&mut **body).poll_frame(context));
                frame.map(|frame| frame.map_err(|error| BodyError::of(&error)))
            }
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::H1(body) => body.is_end_stream(),
            Kind::H2(body) => body.is_end_stream(),
            Kind::Read(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::H1(body) => body.size_hint(),
            Kind::H2(body) => body.size_hint(),
            Kind::Read(body) => body.size_hint(),
        }
    }
}

/// Why a response's body did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResponseError {
    /// The connection to the upstream broke off, or what came is not what the framing says.
    #[error("the response broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing came for too long.
    #[error("the upstream sent nothing for too long")]
    Stalled,
}

impl ResponseError {
    pub(crate) fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        ResponseError::Broken(error.into())
    }

    pub(crate) fn stalled() -> Self {
        ResponseError::Stalled
    }
}

/// A response's body, towards the client.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// At hand.
    Full(Bytes),
    /// From the cache, or through it.
    Cached(CacheBody<UpstreamBody>),
    /// From the upstream, past the cache.
    Upstream(UpstreamBody),
    /// Of the operators' page.
    Page(Box<PageBody>),
}

impl ResponseBody {
    pub(crate) fn full(bytes: Bytes) -> Self {
        ResponseBody::Full(bytes)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseError>>> {
        match &mut *self {
            ResponseBody::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            ResponseBody::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            ResponseBody::Cached(body) => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(ResponseError::broken)))
            }
            ResponseBody::Upstream(body) => Pin::new(body).poll_frame(context),
            ResponseBody::Page(body) => Pin::new(&mut **body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Full(bytes) => bytes.is_empty(),
            ResponseBody::Cached(body) => body.is_end_stream(),
            ResponseBody::Upstream(body) => body.is_end_stream(),
            ResponseBody::Page(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            ResponseBody::Cached(body) => body.size_hint(),
            ResponseBody::Upstream(body) => body.size_hint(),
            ResponseBody::Page(body) => body.size_hint(),
        }
    }
}
