//! One request to the upstream, from a place in the queue to the head of the response.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until, timeout};

use super::body::{Lease, Place, UpstreamBody};
use super::connect::Sender;
use super::error::{Kind, UpstreamError};
use super::outgoing::{OutgoingBody, Progress};
use super::prepare::{Prepared, prepare};
use super::{Shared, response};
use crate::body::RequestBody;
use crate::tunnel::Upgraded;

/// So many connections that turn out to be closed are tried before a new one is opened.
const STALE: usize = 4;

pub(super) async fn exchange(
    shared: Arc<Shared>,
    request: Request<RequestBody>,
) -> Result<Response<UpstreamBody>, UpstreamError> {
    let figures = shared.figures.clone();
    let answer = ask(shared, request).await;
    if let Err(error) = &answer {
        figures.upstream.failed(error);
    }
    answer
}

async fn ask(
    shared: Arc<Shared>,
    request: Request<RequestBody>,
) -> Result<Response<UpstreamBody>, UpstreamError> {
    let place = take_place(&shared).await?;
    let began = Instant::now();
    let prepared = prepare(&shared, request)?;
    let Prepared {
        request,
        progress,
        upgrades,
    } = prepared;
    let (answer, sender) = send(&shared, request, &progress).await?;
    shared.figures.upstream.answered(began.elapsed());
    receive(shared, answer, sender, place, upgrades)
}

async fn take_place(shared: &Shared) -> Result<Place, UpstreamError> {
    let figures = &shared.figures.upstream;
    let permit = {
        let _waiting = figures.waiting.enter();
        let permit = shared.places.clone().acquire_owned();
        timeout(shared.limits.connect, permit).await
    };
    match permit {
        Ok(Ok(permit)) => Ok(Place::new(permit, shared.figures.clone())),
        _ => Err(UpstreamError::new(Kind::Busy)),
    }
}

/// Sends the request: once. It goes to another connection only when hyper hands it back unsent.
async fn send(
    shared: &Shared,
    mut request: Request<OutgoingBody>,
    progress: &Progress,
) -> Result<(Response<Incoming>, Sender), UpstreamError> {
    for _ in 0..STALE {
        let Some(mut sender) = shared.pool.take() else {
            break;
        };
        match attempt(shared, &mut sender, request, progress).await {
            Ok(response) => return Ok((response, sender)),
            Err(Failed::Unsent(unsent, _)) => request = *unsent,
            Err(Failed::Sent(error)) => return Err(error),
        }
    }
    let mut sender = shared
        .connector
        .connect(&shared.address, shared.limits.connect)
        .await?;
    match attempt(shared, &mut sender, request, progress).await {
        Ok(response) => Ok((response, sender)),
        Err(Failed::Unsent(_, error) | Failed::Sent(error)) => Err(error),
    }
}

enum Failed {
    /// Not a byte of it was written: the origin cannot have seen it.
    Unsent(Box<Request<OutgoingBody>>, UpstreamError),
    /// The origin may have seen it.
    Sent(UpstreamError),
}

async fn attempt(
    shared: &Shared,
    sender: &mut Sender,
    request: Request<OutgoingBody>,
    progress: &Progress,
) -> Result<Response<Incoming>, Failed> {
    let answering = sender.try_send_request(request);
    let answered = patiently(answering, progress, shared.limits.first_byte).await;
    let Some(answered) = answered else {
        return Err(Failed::Sent(UpstreamError::new(Kind::FirstByteTimeout)));
    };
    answered.map_err(|mut failure| {
        let unsent = failure.take_message();
        let error = failure.into_error();
        let kind = match progress.failure() {
            Some(failure) => Kind::Request(failure),
            None if error.is_parse() => Kind::Malformed("it is not HTTP/1.1"),
            None => Kind::Closed,
        };
        let error = UpstreamError::because(kind, error);
        match unsent {
            Some(unsent) => Failed::Unsent(Box::new(unsent), error),
            None => Failed::Sent(error),
        }
    })
}

/// Waits until so much time has passed since the origin was last given something to do.
async fn patiently<F: Future>(work: F, progress: &Progress, wait: Duration) -> Option<F::Output> {
    let mut work = pin!(work);
    let mut timer = pin!(sleep_until(Instant::now() + wait));
    poll_fn(|context| {
        if let Poll::Ready(output) = work.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        while timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            // While the client is being waited for, its own limit counts.
            let until = progress.last().unwrap_or(now) + wait;
            if until <= now {
                return Poll::Ready(None);
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    })
    .await
}

fn receive(
    shared: Arc<Shared>,
    mut answer: Response<Incoming>,
    sender: Sender,
    place: Place,
    upgrades: bool,
) -> Result<Response<UpstreamBody>, UpstreamError> {
    let malformed = |what| UpstreamError::new(Kind::Malformed(what));
    let upgraded = if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        if !upgrades {
            return Err(malformed("it switches protocols unasked"));
        }
        Some((
            hyper::upgrade::on(&mut answer),
            answer.headers().get(http::header::UPGRADE).cloned(),
        ))
    } else {
        None
    };
    let (status, version) = (answer.status(), answer.version());
    let headers = answer.headers_mut();
    let told =
        response::clean(status, version, headers, &shared.trail.name.via).map_err(malformed)?;
    let wait = shared.limits.between_bytes;
    let lease = Lease {
        shared,
        sender,
        told: told.idle,
        _place: place,
    };
    let mut answer = answer.map(|body| UpstreamBody::new(body, lease, wait));
    if let Some((upgraded, protocol)) = upgraded {
        let headers = answer.headers_mut();
        // RFC 9110 §7.8: which protocol it is, for this hop anew.
        headers.insert(
            http::header::CONNECTION,
            http::HeaderValue::from_static("upgrade"),
        );
        if let Some(protocol) = protocol {
            headers.insert(http::header::UPGRADE, protocol);
        }
        answer.extensions_mut().insert(Upgraded(upgraded));
    }
    Ok(answer)
}
