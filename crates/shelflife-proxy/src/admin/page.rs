//! The page that shows what the cache does, among the answers to operators.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body as AxumBody;
use bytes::Bytes;
use http::header::DATE;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use shelflife::Cache;
use shelflife_admin::{Access, AccessError};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tower_service::Service;

use crate::answer;
use crate::body::{RequestBody, ResponseBody, ResponseError};

const PATH: &str = "/_shelflife";

/// Whether a path is the page's.
pub(super) fn is_below(path: &str) -> bool {
    let rest = path.strip_prefix(PATH);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The page, mounted where the operators' other paths are. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Page(Router);

impl Page {
    pub(crate) fn new(cache: &Cache, listen: SocketAddr, token: &str) -> Result<Self, AccessError> {
        let access = Access::listener(listen).with_token(token);
        let page = shelflife_admin::router(cache, access)?;
        Ok(Page(Router::new().nest_service(PATH, page)))
    }

    pub(super) async fn respond(
        mut self,
        request: Request<RequestBody>,
        ending: CancellationToken,
    ) -> Response<ResponseBody> {
        // A router is always ready, and never fails.
        let Ok(mut response) = self.0.call(request.map(AxumBody::new)).await;
        response
            .headers_mut()
            .entry(DATE)
            .or_insert_with(answer::date);
        response.map(|body| {
            let body = PageBody {
                body,
                ending: Box::pin(ending.cancelled_owned()),
            };
            ResponseBody::Page(Box::new(body))
        })
    }
}

/// A body of the page. One whose end is open, the log's, ends when the proxy does.
#[derive(Debug)]
pub(crate) struct PageBody {
    body: AxumBody,
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Body for PageBody {
    type Data = Bytes;
    type Error = ResponseError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseError>>> {
        let open = self.body.size_hint().exact().is_none();
        if open && self.ending.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        let frame = Pin::new(&mut self.body).poll_frame(context);
        frame.map(|frame| frame.map(|frame| frame.map_err(ResponseError::broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
