//! A body that is read once and goes two ways: to the client as it comes, and into the store when it is whole.
//!
//! ```text
//! origin ─► pour ─┬─► pieces ─► CacheBody ─► client       each piece at once
//!                 └─► collected ─► the engine             only if it ended well and is not over the limit
//! ```
//!
//! The load reads as fast as the origin sends, up to the size limit: that bounds what a slow client can make the
//! process hold. Over the limit the origin's body itself is handed on, and the client's pace is the origin's again.
//! A client that goes away does not end the fill; but it goes on without anybody only for a while.

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::sync::mpsc::UnboundedSender;

use super::body::BoxError;
use super::why::Why;

/// What comes to the client, in this order.
pub(crate) enum Piece<B> {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
    /// The content is over the limit: the body itself, from here on.
    Rest(Pin<Box<B>>),
    /// It broke off.
    Broken(BoxError),
    /// A clean end. Nothing after the last piece means that it wasn't.
    End,
}

/// A body that was read to its clean end.
pub(crate) struct Collected {
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<Box<HeaderMap>>,
}

/// How much is collected, and for how long without anybody who wants it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) most: u64,
    pub(crate) linger: Duration,
    /// What `Content-Length` said.
    pub(crate) announced: Option<u64>,
}

/// Reads a body to its end, to the client and for the store.
///
/// # Errors
///
/// Why it is not to be stored. The client gets what there is all the same.
pub(crate) async fn pour<B>(
    body: B,
    pieces: &UnboundedSender<Piece<B>>,
    limits: Limits,
) -> Result<Collected, Why>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let mut body = Box::pin(body);
    // A copy: a piece may be a slice of a buffer many times its size, which it would keep from being freed.
    let mut collected = Vec::with_capacity(room(&*body, limits));
    let (mut len, mut trailers) = (0_u64, None);
    let mut unwanted = pin!(unwanted(pieces.closed(), limits.linger));
    loop {
        let frame = while_wanted(unwanted.as_mut(), next(body.as_mut())).await;
        let frame = match frame {
            None => return Err(Why::GivenUp),
            Some(None) => break,
            Some(Some(Err(error))) => {
                let _ = pieces.send(Piece::Broken(error.into()));
                return Err(Why::Broken);
            }
            Some(Some(Ok(frame))) => frame,
        };
        match frame.into_data() {
            Ok(mut data) => {
                let data = data.copy_to_bytes(data.remaining());
                len = len.saturating_add(data.len() as u64);
                let _ = pieces.send(Piece::Data(data.clone()));
                if len > limits.most {
                    let _ = pieces.send(Piece::Rest(body));
                    return Err(Why::TooLarge);
                }
                collected.extend_from_slice(&data);
            }
            Err(frame) => trailers = frame.into_trailers().ok().map(Box::new).or(trailers),
        }
    }
    // RFC 9112 §8: what is shorter than it said is incomplete; what is longer is not what it said either.
    if limits.announced.is_some_and(|announced| announced != len) {
        let text = "the content was not as long as its Content-Length";
        let _ = pieces.send(Piece::Broken(text.into()));
        return Err(Why::Broken);
    }
    if let Some(trailers) = &trailers {
        let _ = pieces.send(Piece::Trailers(trailers.clone()));
    }
    let _ = pieces.send(Piece::End);
    Ok(Collected {
        body: collected.into_boxed_slice().into(),
        trailers,
    })
}

/// Ends when nobody has wanted what is fetched for as long as it may linger.
pub(crate) async fn unwanted(gone: impl Future<Output = ()>, linger: Duration) {
    gone.await;
    tokio::time::sleep(linger).await;
}

/// The output of a future, if it comes while it is wanted.
pub(crate) async fn while_wanted<T>(
    unwanted: Pin<&mut impl Future<Output = ()>>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        output = work => Some(output),
        () = unwanted => None,
    }
}

async fn next<B: Body>(mut body: Pin<&mut B>) -> Option<Result<Frame<B::Data>, B::Error>> {
    std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await
}

/// How much to make room for: what is said to come, if it is to be collected.
fn room<B: Body>(body: &B, limits: Limits) -> usize {
    let said = limits.announced.unwrap_or(body.size_hint().lower());
    usize::try_from(said.min(limits.most)).unwrap_or_default()
}
