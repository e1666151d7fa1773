//! One request and its response.
//!
//! While the response is awaited, and while its body comes slowly, the client is watched: when it goes, the
//! work for it is dropped. Interim responses go out as they come, until the response's own head.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::Body;

use super::body::IncomingBody;
use super::connection::{After, Connection};
use super::encode::{self, Plan};
use super::head::{Framing, Head};
use super::input::Input;
use crate::access::Record;
use crate::body::{RequestBody, ResponseBody, ResponseError};
use crate::client::InterimSender;
use crate::front::Answer;
use crate::tunnel::Upgraded;

/// A frame of a response's body. Why it broke off is known to whoever made it.
type Frame = Result<http_body::Frame<Bytes>, ResponseError>;

/// How a response's body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Whole,
    /// The client has gone, or takes nothing any more.
    Gone,
    /// The body broke off, or is not as long as was said.
    Broken,
}

/// What of a request is needed for its response.
struct Asked {
    method: Method,
    version: Version,
    keep_alive: bool,
    /// It may wait to be asked for its body.
    expects: bool,
}

impl<A: Answer> Connection<A> {
    pub(super) async fn exchange(&mut self, head: Head) -> After {
        let asked = Asked {
            method: head.method.clone(),
            version: head.version,
            keep_alive: head.keep_alive,
            expects: head.expects && head.framing != Framing::None,
        };
        let Some(request) = self.request(head) else {
            return After::Abort;
        };
        let record = Record::begin(&request, &self.client);
        let Some(mut response) = self.await_response(request, asked.version).await else {
            record.end(None, 0);
            return After::Abort;
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            record.end(Some(&response), 0);
            return self.switch(response).await;
        }
        let exact = response.body().size_hint().exact();
        let (status, headers) = (response.status(), response.headers());
        let plan = encode::plan(&asked.method, asked.version, status, headers, exact);
        let keep_alive = self.encode(&asked, &response, plan);
        let mut length = 0;
        let sent = self.send_body(response.body_mut(), plan, &mut length).await;
        record.end(Some(&response), length);
        // Whatever is left of it is dropped before the next request is looked for: its upstream is free then.
        drop(response);
        match sent {
            Sent::Gone => After::Abort,
            Sent::Broken => self.break_off(plan),
            Sent::Whole => self.settle(keep_alive).await,
        }
    }

    /// The request as the service gets it; its body borrows the read half.
    fn request(&mut self, head: Head) -> Option<Request<RequestBody>> {
        let interim = self.client.begin();
        let mut body = match head.framing {
            Framing::None | Framing::Length(0) => RequestBody::empty(self.client.clone()),
            framing => {
                let Input::Here(reader) = std::mem::replace(&mut self.input, Input::Gone) else {
                    return None;
                };
                let unasked: Option<InterimSender> = head.expects.then(|| interim.clone());
                let (body, back) = IncomingBody::new(reader, framing, unasked, self.limits.body);
                self.input = Input::Lent(back);
                let mut body = RequestBody::h1(body, self.client.clone());
                body.expects = head.expects;
                body
            }
        };
        // RFC 9110 §15.2: no 1xx for HTTP/1.0.
        body.interim = (head.version == Version::HTTP_11).then_some(interim);
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = head.target;
        *request.version_mut() = head.version;
        *request.headers_mut() = head.headers;
        Some(request)
    }

    /// None when the client went away before.
    async fn await_response(
        &mut self,
        request: Request<RequestBody>,
        version: Version,
    ) -> Option<Response<ResponseBody>> {
        let mut answering = pin!(self.answer.answer(request));
        let (client, input, output) = (&self.client, &mut self.input, &mut self.output);
        let deadline = &mut self.deadline;
        poll_fn(|context| {
            client.listen(context.waker());
            let answered = answering.as_mut().poll(context);
            // Also what was told in the same moment as the response: an origin may write both at once.
            if version == Version::HTTP_11 {
                for head in client.take_interim() {
                    encode::interim(&mut output.gathered, head.status, &head.headers);
                }
            }
            if let Poll::Ready(response) = answered {
                return Poll::Ready(Some(response));
            }
            // What was pipelined before has been answered: that need not wait for this answer.
            if let Poll::Ready(Err(_)) = output.poll_flush(context, deadline) {
                return Poll::Ready(None);
            }
            ready!(input.poll_gone(context));
            Poll::Ready(None)
        })
        .await
    }

    /// Encodes the head; whether the connection is to be kept.
    fn encode(&mut self, asked: &Asked, response: &Response<ResponseBody>, plan: Plan) -> bool {
        self.input.look();
        // RFC 9110 §10.1.1: a client that was not asked may send its body now, or leave it out. Then nothing that
        // follows can be read.
        let unasked =
            asked.expects && !matches!(self.input, Input::Here(_)) && !self.client.has_asked();
        let undecided = unasked || self.input.is_undecided();
        let keep_alive =
            asked.keep_alive && plan != Plan::UntilClose && !self.client.is_closing() && !undecided;
        let connection = match (keep_alive, asked.version) {
            (false, _) => encode::Connection::Close,
            (true, Version::HTTP_10) => encode::Connection::KeepAlive,
            (true, _) => encode::Connection::Unsaid,
        };
        let out = &mut self.output.gathered;
        encode::head(out, response.status(), response.headers(), plan, connection);
        keep_alive
    }

    /// A response of the proxy's own, whole, after which the connection ends.
    pub(super) fn encode_own(&mut self, response: &Response<Bytes>) {
        let plan = Plan::Length(response.body().len() as u64);
        let out = &mut self.output.gathered;
        encode::head(
            out,
            response.status(),
            response.headers(),
            plan,
            encode::Connection::Close,
        );
        out.extend_from_slice(response.body());
    }

    async fn send_body(&mut self, body: &mut ResponseBody, plan: Plan, length: &mut u64) -> Sent {
        if plan == Plan::None {
            return Sent::Whole;
        }
        loop {
            let left = match plan {
                Plan::Length(whole) => whole.saturating_sub(*length),
                _ => u64::MAX,
            };
            if left == 0 {
                return Sent::Whole;
            }
            let frame = match self.next_frame(body).await {
                Ok(frame) => frame,
                Err(sent) => return sent,
            };
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    tracing::debug!(client = %self.client.peer, %error, "response broken off");
                    return Sent::Broken;
                }
                None => return self.end_body(plan, left, &HeaderMap::new()),
            };
            match frame.into_data() {
                Ok(data) => {
                    *length += data.len() as u64;
                    if data.len() as u64 > left {
                        return Sent::Broken;
                    }
                    match plan {
                        Plan::Chunked => self.output.chunk(data),
                        _ => self.output.data(data),
                    }
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    return self.end_body(plan, left, &trailers);
                }
            }
        }
    }

    /// The next frame, once there is room for it. What is gathered is sent before waiting.
    async fn next_frame(&mut self, body: &mut ResponseBody) -> Result<Option<Frame>, Sent> {
        let (input, output, deadline) = (&mut self.input, &mut self.output, &mut self.deadline);
        poll_fn(|context| {
            if !output.has_room() {
                ready!(output.poll_flush(context, deadline)).map_err(|_| Sent::Gone)?;
            }
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(context) {
                return Poll::Ready(Ok(frame));
            }
            ready!(output.poll_flush(context, deadline)).map_err(|_| Sent::Gone)?;
            ready!(input.poll_gone(context));
            Poll::Ready(Err(Sent::Gone))
        })
        .await
    }

    fn end_body(&mut self, plan: Plan, left: u64, trailers: &HeaderMap) -> Sent {
        match plan {
            Plan::Length(_) if left > 0 => return Sent::Broken,
            Plan::Chunked => encode::last_chunk(&mut self.output.gathered, trailers),
            Plan::Length(_) | Plan::None | Plan::UntilClose => {}
        }
        Sent::Whole
    }

    /// RFC 9112 §8: the client has to see that the body is incomplete.
    fn break_off(&mut self, plan: Plan) -> After {
        if plan == Plan::UntilClose {
            return After::Abort;
        }
        // What came is the client's; the missing rest, or last chunk, tells the truth.
        After::Close(self.input.take_reader())
    }

    async fn settle(&mut self, keep_alive: bool) -> After {
        if !keep_alive {
            return After::Close(self.input.take_reader());
        }
        if matches!(self.input, Input::Here(_)) {
            return After::Next;
        }
        // The client may send the rest of its request only when it has seen the response.
        if self.flush().await.is_ok() && self.input.settle(self.limits.body).await {
            return After::Next;
        }
        After::Close(self.input.take_reader())
    }

    async fn switch(&mut self, mut response: Response<ResponseBody>) -> After {
        let upgraded = response.extensions_mut().remove::<Upgraded>();
        self.input.look();
        let (Some(upgraded), Some(reader)) = (upgraded, self.input.take_reader()) else {
            return After::Abort;
        };
        let out = &mut self.output.gathered;
        encode::interim(out, response.status(), response.headers());
        match self.flush().await {
            Ok(()) => After::Tunnel(upgraded, reader),
            Err(_) => After::Abort,
        }
    }
}
