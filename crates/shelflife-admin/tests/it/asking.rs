//! Asking a router as a program would, and caches to ask it about.

use axum::Router;
use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use shelflife::Cache;
use shelflife_admin::{Access, router};
use shelflife_testkit::RedisServer;
use tower::ServiceExt;

pub(crate) const TOKEN: &str = "0123456789-token";

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// As it is mounted in an application, for who is at this machine.
pub(crate) fn local(cache: &Cache) -> Router {
    let access = Access::listener("127.0.0.1:8081".parse().unwrap());
    Router::new().nest_service("/_shelflife", router(cache, access).unwrap())
}

/// The same, for who has the token.
pub(crate) fn guarded(cache: &Cache) -> Router {
    Router::new().nest_service("/_shelflife", router(cache, Access::token(TOKEN)).unwrap())
}

/// A request for what is at a path of the page, as the page itself would send it.
pub(crate) fn request(method: &str, path: &str) -> Builder {
    Request::builder()
        .method(method)
        .uri(format!("/_shelflife/{path}"))
        .header("host", "localhost:8081")
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status,
        headers: head.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

pub(crate) async fn get(app: &Router, path: &str) -> Answer {
    send(app, request("GET", path).body(Body::empty()).unwrap()).await
}

pub(crate) async fn post(app: &Router, path: &str, document: Value) -> Answer {
    let request = request("POST", path).header("shelflife-admin", "1");
    send(app, request.body(document.to_string().into()).unwrap()).await
}

/// Text as it stands in a query.
pub(crate) fn in_query(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A cache on a server of its own.
pub(crate) async fn shared(server: &RedisServer) -> Cache {
    Cache::builder().url(server.url()).build().await.unwrap()
}

/// Runs a test on the embedded store, and on a real server.
macro_rules! on_both_stores {
    ($($(#[$doc:meta])* async fn $name:ident($cache:ident: &Cache) $body:block)*) => {
        $(
            mod $name {
                use super::*;

                async fn run($cache: &Cache) $body

                #[tokio::test(flavor = "multi_thread")]
                async fn embedded() {
                    run(&Cache::memory()).await;
                }

                #[tokio::test(flavor = "multi_thread")]
                async fn redis() {
                    let server = shelflife_testkit::RedisServer::start();
                    let cache = crate::asking::shared(&server).await;
                    run(&cache).await;
                    cache.close().await;
                }
            }
        )*
    };
}
pub(crate) use on_both_stores;
