//! The JSON API (`shelflife-admin`): that of a process, or the same one here, before a store.
//!
//! Must not: know what is asked, or retry.

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::Value;
use shelflife::Cache;
use shelflife_admin::Access;
use tower_service::Service as _;

use crate::failure::Failure;
use crate::web::{self, Web};

/// What the API asks for where something is changed: no page of another site can send it.
const INTENT: HeaderName = HeaderName::from_static("shelflife-admin");
/// What an answer may have.
const MOST: usize = 8 << 20;

/// Clones share what is behind it.
#[derive(Clone)]
pub(super) enum Api {
    Process(Box<Process>),
    /// In this process: for who looks at the store itself, nobody else can reach it.
    Here(Router),
}

/// A process that has a page.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) web: Web,
    /// Where it is mounted.
    pub(super) base: String,
    /// What goes with each request.
    pub(super) fields: HeaderMap,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Problem {
    /// None came.
    None(String),
    /// It is not the API's.
    Odd,
    /// It is none, and says why.
    Refused(StatusCode, String),
}

impl Problem {
    pub(super) fn told(self) -> String {
        match self {
            Self::None(why) | Self::Refused(_, why) => why,
            Self::Odd => "the answer is not that of shelflife's API".to_owned(),
        }
    }
}

impl Api {
    pub(super) fn here(cache: &Cache) -> Result<Self, Failure> {
        // Without a token it is built for loopback alone, which is as far as it can be reached from.
        let router = shelflife_admin::router(cache, Access::listener(([127, 0, 0, 1], 0).into()));
        let router = router.map_err(|error| Failure::new(error.to_string()))?;
        Ok(Self::Here(router))
    }

    /// Asks for something below `api/`.
    pub(super) async fn get(&self, what: &str) -> Result<Value, Problem> {
        self.exchange(Method::GET, what, Bytes::new()).await
    }

    /// Gives a document to something below `api/`.
    pub(super) async fn post(&self, what: &str, document: &Value) -> Result<Value, Problem> {
        let document = Bytes::from(document.to_string());
        self.exchange(Method::POST, what, document).await
    }

    async fn exchange(&self, method: Method, what: &str, content: Bytes) -> Result<Value, Problem> {
        let (status, content) = match self {
            Self::Process(process) => {
                let uri = web::url("--url", &format!("{}/api/{what}", process.base));
                let uri = uri.map_err(|failure| Problem::None(failure.to_string()))?;
                let mut request = web::get(&uri, &process.fields);
                if method == Method::POST {
                    announce(request.headers_mut());
                    *request.body_mut() = Full::new(content);
                }
                *request.method_mut() = method;
                let answer = process.web.ask(request).await.map_err(Problem::None)?;
                (answer.status, answer.content)
            }
            Self::Here(router) => {
                let request = Request::builder()
                    .method(method)
                    .uri(format!("/api/{what}"));
                let request = request.body(Body::from(content));
                let mut request = request.map_err(|error| Problem::None(error.to_string()))?;
                announce(request.headers_mut());
                request
                    .headers_mut()
                    .insert(HOST, HeaderValue::from_static("localhost"));
                let Ok(answer) = router.clone().call(request).await;
                let (head, content) = answer.into_parts();
                let content = axum::body::to_bytes(content, MOST).await;
                let content = content.map_err(|error| Problem::None(error.to_string()))?;
                (head.status, content)
            }
        };
        if !status.is_success() {
            return Err(Problem::Refused(status, web::refusal(status, &content)));
        }
        serde_json::from_slice(&content).map_err(|_| Problem::Odd)
    }
}

fn announce(fields: &mut HeaderMap) {
    fields.insert(INTENT, HeaderValue::from_static("1"));
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
}
