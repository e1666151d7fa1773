//! The future of a response.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderValue, Response};

use super::answer::through;
use super::body::CacheBody;

/// Work that had to be boxed: the service is called, or somebody is waited for.
pub(crate) type Driving<B, E> =
    Pin<Box<dyn Future<Output = Result<Response<CacheBody<B>>, E>> + Send>>;

pin_project_lite::pin_project! {
    /// The future of a response through [`CacheService`](super::CacheService).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it takes its request along, unless others wait for the answer or it is being stored.
    pub struct ResponseFuture<F, B, E> {
        #[pin]
        kind: Kind<F, B, E>,
    }
}

pin_project_lite::pin_project! {
    #[project = Project]
    enum Kind<F, B, E> {
        Ready { response: Option<Response<CacheBody<B>>> },
        Through { #[pin] inner: F, said: Option<HeaderValue> },
        Driven { driving: Driving<B, E> },
    }
}

impl<F, B, E> ResponseFuture<F, B, E> {
    pub(crate) fn ready(response: Response<CacheBody<B>>) -> Self {
        let response = Some(response);
        Self {
            kind: Kind::Ready { response },
        }
    }

    pub(crate) fn through(inner: F, said: Option<HeaderValue>) -> Self {
        Self {
            kind: Kind::Through { inner, said },
        }
    }

    pub(crate) fn driven(driving: Driving<B, E>) -> Self {
        Self {
            kind: Kind::Driven { driving },
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<CacheBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            Project::Ready { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                // Polled again after its end, which no executor does.
                None => Poll::Pending,
            },
            Project::Through { inner, said } => {
                let response = ready!(inner.poll(cx));
                Poll::Ready(response.map(|response| through(response, said.take())))
            }
            Project::Driven { driving } => driving.as_mut().poll(cx),
        }
    }
}

impl<F, B, E> fmt::Debug for ResponseFuture<F, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Ready { .. } => "ResponseFuture::Ready",
            Kind::Through { .. } => "ResponseFuture::Through",
            Kind::Driven { .. } => "ResponseFuture::Driven",
        })
    }
}
