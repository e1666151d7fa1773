//! The cache layer with the policy of a proxy, between plain HTTP on both sides: the driver without our proxy.
//!
//! Interim responses are not a layer's matter, so those cases are left to the proxy.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use shelflife::tower::{CacheLayer, CacheService, HttpPolicy};
use shelflife_conformance::{Origin, suite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower_layer::Layer;
use tower_service::Service;

use crate::plain::{self, headers, written};
use crate::wire::{Bad, Message, Wire};

#[tokio::test(flavor = "multi_thread")]
async fn the_layer_passes_every_required_case_that_can_be_passed() {
    let origin = Origin::listen(0).await.unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let layer = CacheLayer::builder(crate::cache().await).policy(HttpPolicy::proxy());
    let service = layer.build().unwrap().layer(Upstream(origin.address()));
    let serving = tokio::spawn(accept(listener, service));

    let mut groups = suite();
    for group in &mut groups {
        group.cases.retain(|case| !case.id().contains("interim"));
    }
    crate::passes(&origin, &groups, address).await;
    serving.abort();
}

type Cached = CacheService<Upstream>;

async fn accept(listener: TcpListener, service: Cached) {
    let mut clients = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        clients.spawn(serve(stream, service.clone()));
    }
}

async fn serve(stream: TcpStream, mut service: Cached) {
    let mut client = Wire::new(stream);
    while let Ok(head) = client.head().await {
        let Ok(body) = client.body(&head, false).await else {
            return;
        };
        let Some(request) = request(&head, body) else {
            return;
        };
        let method = request.method().clone();
        let (status, headers, body) = match service.call(request).await {
            Err(Bad) => (StatusCode::BAD_GATEWAY, http::HeaderMap::new(), Vec::new()),
            Ok(response) => {
                let (parts, body) = response.into_parts();
                // A body that breaks off breaks the connection off.
                let Ok(body) = body.collect().await else {
                    return;
                };
                (parts.status, parts.headers, body.to_bytes().to_vec())
            }
        };
        let bytes = written(&method, status, &headers, body);
        if client.write(&bytes).await.is_err() {
            return;
        }
    }
}

fn request(head: &Message, body: Vec<u8>) -> Option<Request<Full<Bytes>>> {
    let mut request = Request::new(Full::new(body.into()));
    *request.method_mut() = head.word(0).parse().ok()?;
    *request.uri_mut() = head.word(1).parse().ok()?;
    *request.headers_mut() = headers(head)?;
    Some(request)
}

/// The origin as a service.
#[derive(Clone, Debug)]
struct Upstream(SocketAddr);

impl Service<Request<Full<Bytes>>> for Upstream {
    type Response = Response<Full<Bytes>>;
    type Error = Bad;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Bad>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Bad>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let origin = self.0;
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await;
            let start = format!("{} {} HTTP/1.1", parts.method, parts.uri);
            let body = body.to_bytes();
            let answer = plain::exchange(origin, None, start, parts.headers, &body).await;
            let (status, headers, body) = answer?;
            let mut response = Response::new(Full::new(body.into()));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(response)
        })
    }
}
