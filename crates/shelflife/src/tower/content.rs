//! The content of a request as a part of the key: read up to a limit, digested, and put together again.
//!
//! Must not: be asked unless a rule does ([`Rule::by_body`](super::Rule::by_body)).

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};

use super::body::{BodyError, BoxError};

/// The content of a request, some of it read already: a body that gives the same as the one that it was made of.
pub struct RequestContent<Q> {
    read: Bytes,
    then: Then<Q>,
}

enum Then<Q> {
    Rest(Pin<Box<Q>>),
    Trailers(HeaderMap),
    Broken(BoxError),
    End,
}

impl<Q> RequestContent<Q> {
    /// None at all.
    pub(crate) fn empty() -> Self {
        Self {
            read: Bytes::new(),
            then: Then::End,
        }
    }
}

impl<Q> RequestContent<Q>
where
    Q: Body,
    Q::Error: Into<BoxError>,
{
    /// Reads a body to its end, but for what is over `most` bytes.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it takes the body along.
    pub(crate) async fn read(body: Q, most: u64) -> Self {
        let mut body = Box::pin(body);
        let mut read = BytesMut::new();
        loop {
            let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
            let then = match frame {
                None => Then::End,
                Some(Err(error)) => Then::Broken(error.into()),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(mut data) => {
                        while data.has_remaining() {
                            let chunk = data.chunk();
                            read.extend_from_slice(chunk);
                            let len = chunk.len();
                            data.advance(len);
                        }
                        if (read.len() as u64) <= most {
                            continue;
                        }
                        Then::Rest(body)
                    }
                    Err(frame) => match frame.into_trailers() {
                        Ok(trailers) => Then::Trailers(trailers),
                        Err(_) => continue,
                    },
                },
            };
            let read = read.freeze();
            return Self { read, then };
        }
    }

    /// What stands for it in the key, with what says how it is to be understood; `None` if it is not whole.
    pub(crate) fn digest(&self, parts: &Parts) -> Option<String> {
        if !matches!(self.then, Then::End) {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
            let mut lines = 0_u64;
            for line in parts.headers.get_all(&name) {
                add(line.as_bytes());
                lines += 1;
            }
            add(&lines.to_le_bytes());
        }
        add(&self.read);
        Some(format!("{}-{}", parts.method, hasher.finalize().to_hex()))
    }
}

impl<Q> Body for RequestContent<Q>
where
    Q: Body,
    Q::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.read.is_empty() {
            let read = std::mem::take(&mut self.read);
            return Poll::Ready(Some(Ok(Frame::data(read))));
        }
        if let Then::Rest(rest) = &mut self.then {
            let frame = ready!(rest.as_mut().poll_frame(cx));
            return Poll::Ready(frame.map(|frame| {
                frame
                    .map(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
                    .map_err(BodyError::of)
            }));
        }
        Poll::Ready(match std::mem::replace(&mut self.then, Then::End) {
            Then::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Then::Broken(error) => Some(Err(BodyError::of(error))),
            Then::Rest(_) | Then::End => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty()
            && match &self.then {
                Then::Rest(rest) => rest.is_end_stream(),
                Then::Trailers(_) | Then::Broken(_) => false,
                Then::End => true,
            }
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.len() as u64;
        match &self.then {
            Then::Rest(rest) => {
                let rest = rest.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(read.saturating_add(rest.lower()));
                if let Some(upper) = rest.upper() {
                    hint.set_upper(read.saturating_add(upper));
                }
                hint
            }
            Then::Broken(_) => SizeHint::new(),
            Then::Trailers(_) | Then::End => SizeHint::with_exact(read),
        }
    }
}

impl<Q> fmt::Debug for RequestContent<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestContent")
            .field("read", &self.read.len())
            .finish_non_exhaustive()
    }
}

/// How bodies of requests are made from what was read of them, by their type. A service says which type it takes, and
/// nothing but that type's owner knows how to make one.
#[derive(Clone)]
pub(crate) struct Rebuilders(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl Default for Rebuilders {
    fn default() -> Self {
        #[allow(unused_mut, reason = "without axum nobody's are known")]
        let mut known = Self(HashMap::new());
        #[cfg(feature = "axum")]
        known.add::<::axum::body::Body>(::axum::body::Body::new);
        known
    }
}

impl Rebuilders {
    pub(crate) fn add<Q: 'static>(&mut self, make: fn(RequestContent<Q>) -> Q) {
        self.0.insert(TypeId::of::<Q>(), Arc::new(make));
    }

    pub(crate) fn get<Q: 'static>(&self) -> Option<fn(RequestContent<Q>) -> Q> {
        self.0.get(&TypeId::of::<Q>())?.downcast_ref().copied()
    }
}

impl fmt::Debug for Rebuilders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rebuilders({})", self.0.len())
    }
}
