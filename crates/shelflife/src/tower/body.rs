//! The body of a response that went through the layer.
//!
//! ```text
//! whole     what is stored, or a part of it
//! poured    what the origin sends just now, while it is also collected (see `tee.rs`)
//! rest      what came after the size limit: the origin's own body from there on
//! through   the origin's own body, untouched
//! ```

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::UnboundedReceiver;

use super::tee::Piece;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

pin_project_lite::pin_project! {
    /// The body of a response that went through [`CacheLayer`](super::CacheLayer).
    ///
    /// Streams: what the handler sends is handed on as it comes, whether it is stored or not. A body that breaks
    /// off ends with an error here too, never with a clean end.
    pub struct CacheBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project_lite::pin_project! {
    #[project = Project]
    enum Kind<B> {
        Whole { data: Bytes, trailers: Option<Box<HeaderMap>> },
        Poured { pieces: UnboundedReceiver<Piece<B>>, left: SizeHint },
        Rest { rest: Pin<Box<B>>, left: SizeHint },
        Through { #[pin] inner: B },
        Ended,
    }
}

impl<B> CacheBody<B> {
    pub(crate) fn empty() -> Self {
        Self { kind: Kind::Ended }
    }

    pub(crate) fn whole(data: Bytes, trailers: Option<Box<HeaderMap>>) -> Self {
        let kind = match (data.is_empty(), &trailers) {
            (true, None) => Kind::Ended,
            _ => Kind::Whole { data, trailers },
        };
        Self { kind }
    }

    pub(crate) fn poured(pieces: UnboundedReceiver<Piece<B>>, hint: SizeHint) -> Self {
        let kind = Kind::Poured { pieces, left: hint };
        Self { kind }
    }

    pub(crate) fn through(inner: B) -> Self {
        Self {
            kind: Kind::Through { inner },
        }
    }
}

/// Where the content of a response comes from.
#[cfg(feature = "binding")]
pub enum Origin<B> {
    /// From what is stored; all of it.
    Stored(Bytes),
    /// From the service, for this client alone.
    Service,
    /// From the service, while it is being stored: for as long as this is held.
    Storing(CacheBody<B>),
}

#[cfg(feature = "binding")]
impl<B> CacheBody<B> {
    /// For who has what the service sends at hand. Trailers of what is stored are left out.
    pub fn origin(self) -> Origin<B> {
        match self.kind {
            Kind::Whole { data, .. } => Origin::Stored(data),
            Kind::Ended => Origin::Stored(Bytes::new()),
            Kind::Through { .. } => Origin::Service,
            kind @ (Kind::Poured { .. } | Kind::Rest { .. }) => Origin::Storing(Self { kind }),
        }
    }

    /// Whether it has turned out to be too large to be stored: what follows is the service's own.
    pub fn is_passed_on(&self) -> bool {
        matches!(self.kind, Kind::Rest { .. })
    }
}

impl<B> Body for CacheBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let mut this = self.as_mut().project();
            match this.kind.as_mut().project() {
                Project::Whole { data, trailers } => {
                    if !data.is_empty() {
                        let data = std::mem::take(data);
                        if trailers.is_none() {
                            this.kind.set(Kind::Ended);
                        }
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    let trailers = trailers.take();
                    this.kind.set(Kind::Ended);
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(*trailers))));
                }
                Project::Poured { pieces, left } => match ready!(pieces.poll_recv(cx)) {
                    Some(Piece::Data(data)) => {
                        *left = less(left, data.len());
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Some(Piece::Trailers(trailers)) => {
                        return Poll::Ready(Some(Ok(Frame::trailers(*trailers))));
                    }
                    Some(Piece::Rest(rest)) => {
                        let left = *left;
                        this.kind.set(Kind::Rest { rest, left });
                    }
                    Some(Piece::End) => {
                        this.kind.set(Kind::Ended);
                        return Poll::Ready(None);
                    }
                    ended => {
                        let error = match ended {
                            Some(Piece::Broken(error)) => error,
                            // Who poured went away before the end: so the end is not clean.
                            _ => "the response broke off".into(),
                        };
                        this.kind.set(Kind::Ended);
                        return Poll::Ready(Some(Err(BodyError(error))));
                    }
                },
                Project::Rest { rest, left } => {
                    let frame = ready!(rest.as_mut().poll_frame(cx)).map(plain);
                    if let Some(Ok(frame)) = &frame
                        && let Some(data) = frame.data_ref()
                    {
                        *left = less(left, data.len());
                    }
                    return Poll::Ready(frame);
                }
                Project::Through { inner } => {
                    return Poll::Ready(ready!(inner.poll_frame(cx)).map(plain));
                }
                Project::Ended => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole { .. } | Kind::Poured { .. } => false,
            Kind::Rest { rest, .. } => rest.is_end_stream(),
            Kind::Through { inner } => inner.is_end_stream(),
            Kind::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole { data, .. } => SizeHint::with_exact(data.len() as u64),
            Kind::Poured { left, .. } | Kind::Rest { left, .. } => *left,
            Kind::Through { inner } => inner.size_hint(),
            Kind::Ended => SizeHint::with_exact(0),
        }
    }
}

impl<B> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Whole { .. } => "CacheBody::Whole",
            Kind::Poured { .. } => "CacheBody::Poured",
            Kind::Rest { .. } => "CacheBody::Rest",
            Kind::Through { .. } => "CacheBody::Through",
            Kind::Ended => "CacheBody::Ended",
        })
    }
}

fn plain<D: Buf, E: Into<BoxError>>(frame: Result<Frame<D>, E>) -> Result<Frame<Bytes>, BodyError> {
    frame
        .map(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
        .map_err(BodyError::of)
}

fn less(hint: &SizeHint, by: usize) -> SizeHint {
    let by = by as u64;
    let mut less = SizeHint::new();
    less.set_lower(hint.lower().saturating_sub(by));
    if let Some(upper) = hint.upper() {
        less.set_upper(upper.saturating_sub(by));
    }
    less
}

/// Why a body broke off: the error of the body that it came from is its source.
#[derive(Debug)]
pub struct BodyError(BoxError);

impl BodyError {
    pub(crate) fn of(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response's content broke off")
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}
