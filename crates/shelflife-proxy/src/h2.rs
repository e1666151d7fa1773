//! HTTP/2 towards clients (RFC 9113), by hyper.
//!
//! Interim responses are not forwarded here: hyper's server has no way to send them.

mod streams;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{COOKIE, HOST, HeaderValue};
use http::{HeaderMap, Request, Response, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use self::streams::{Streams, Watched};
use crate::access::Record;
use crate::answer;
use crate::body::{BodyError, RequestBody, ResponseBody};
use crate::client::Client;
use crate::deadline::Deadline;
use crate::front::Answer;
use crate::wire::Wire;

/// What a client may ask of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Without a stream.
    pub(crate) idle: Duration,
    /// Between two pieces of a body; a client that answers no ping for so long is gone.
    pub(crate) body: Duration,
    /// Without taking a byte of a response.
    pub(crate) write: Duration,
    pub(crate) streams: u32,
    pub(crate) head_size: u32,
}

/// Serves a connection to its end.
pub(crate) async fn serve<A: Answer>(wire: Wire, client: Arc<Client>, limits: &Limits, answer: A) {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.head_size)
        .keep_alive_interval(limits.idle.min(Duration::from_secs(20)))
        .keep_alive_timeout(limits.body)
        .auto_date_header(false);
    let streams = Streams::new();
    let (service_client, service_streams) = (client.clone(), streams.clone());
    let wait = limits.body;
    let service = service_fn(move |request| {
        let stream = service_streams.open();
        let (answer, client) = (answer.clone(), service_client.clone());
        async move {
            let response = exchange(request, client, answer, wait).await;
            Ok::<_, Infallible>(response.map(|body| Watched { body, stream }))
        }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(wire), service));
    let mut idle = Deadline::after(limits.idle);
    let mut stalled = Deadline::after(limits.write);
    let mut told = false;
    let served = poll_fn(|context| {
        client.listen(context.waker());
        if let Poll::Ready(served) = connection.as_mut().poll(context) {
            return Poll::Ready(served);
        }
        while stalled.poll(context).is_ready() {
            if streams.has_stalled(limits.write) {
                tracing::debug!(client = %client.peer, "the client takes nothing");
                return Poll::Ready(Ok(()));
            }
            stalled.set(limits.write / 2);
        }
        if !streams.is_empty() {
            idle.set(limits.idle);
        }
        let is_idle = idle.poll(context).is_ready();
        if is_idle && told {
            // It had as long again to go after GOAWAY, and nothing is being answered.
            return Poll::Ready(Ok(()));
        }
        if (client.is_closing() || is_idle) && !told {
            told = true;
            connection.as_mut().graceful_shutdown();
            idle.set(limits.idle);
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
    if let Err(error) = served {
        tracing::debug!(client = %client.peer, %error, "HTTP/2 connection ended");
    }
}

async fn exchange<A: Answer>(
    request: Request<Incoming>,
    client: Arc<Client>,
    mut answer: A,
    wait: Duration,
) -> Response<ResponseBody> {
    let (parts, body) = request.into_parts();
    let body = match body.is_end_stream() {
        true => RequestBody::empty(client.clone()),
        false => RequestBody::h2(IncomingBody::new(body, wait), client.clone()),
    };
    let mut request = Request::from_parts(parts, body);
    let record = Record::begin(&request, &client);
    let response = match as_if_h1(&mut request) {
        Ok(()) => answer.answer(request).await,
        Err(detail) => {
            answer::problem(http::StatusCode::BAD_REQUEST, detail).map(ResponseBody::full)
        }
    };
    record.end(
        Some(&response),
        response.body().size_hint().exact().unwrap_or(0),
    );
    response
}

/// Puts the request into the form that it has in HTTP/1.1, so that one URL has one key.
fn as_if_h1(request: &mut Request<RequestBody>) -> Result<(), &'static str> {
    // RFC 9113 §8.3.1: the authority takes the place of Host.
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::from_str(authority.as_str());
        let host = host.map_err(|_| "the authority is malformed")?;
        request.headers_mut().insert(HOST, host);
        let target = request.uri().path_and_query().map(|path| path.as_str());
        // The parser makes a URI without a path one with a slash, as RFC 9110 §4.2.3 has it.
        let target = target.unwrap_or("/").parse::<Uri>();
        *request.uri_mut() = target.map_err(|_| "the path is malformed")?;
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if crate::forward::is_host(host.as_bytes()) => {}
        _ => return Err("the authority is missing or malformed"),
    }
    join_cookies(request.headers_mut());
    *request.version_mut() = Version::HTTP_2;
    Ok(())
}

/// RFC 9113 §8.2.3: cookies may come in crumbs, and leave HTTP/2 as one field.
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if crumbs.len() < 2 {
        return;
    }
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, whole);
    }
}

/// The body of one HTTP/2 request, with a limit on how long it may say nothing.
#[derive(Debug)]
pub(crate) struct IncomingBody {
    body: Incoming,
    wait: Duration,
    deadline: Option<Deadline>,
}

impl IncomingBody {
    fn new(body: Incoming, wait: Duration) -> Self {
        IncomingBody {
            body,
            wait,
            deadline: None,
        }
    }
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.deadline = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(|_| BodyError::ClientGone)));
        }
        let wait = self.wait;
        let deadline = self.deadline.get_or_insert_with(|| Deadline::after(wait));
        ready!(deadline.poll(context));
        Poll::Ready(Some(Err(BodyError::ClientTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
