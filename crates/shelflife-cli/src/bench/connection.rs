//! One connection, kept open: a request at a time, opened anew when it has gone.

use std::time::Duration;

use axum::http::header::{CACHE_CONTROL, HOST};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use tower_service::Service;

use crate::cache_status::Served;
use crate::web;

/// An answer, as far as a bench asks.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) served: Served,
    pub(super) bytes: u64,
}

/// Where to, and with which fields.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) uri: Uri,
    /// Whether a cache is asked not to answer from what it stores.
    pub(super) without: bool,
    fields: HeaderMap,
    patience: Duration,
}

impl Target {
    pub(super) fn new(uri: Uri, mut fields: HeaderMap, patience: Duration) -> Self {
        let host = uri
            .authority()
            .and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        if let (false, Some(host)) = (fields.contains_key(HOST), host) {
            fields.insert(HOST, host);
        }
        Self {
            uri,
            without: false,
            fields,
            patience,
        }
    }

    /// The same, past what a cache stores (RFC 9111 §5.2.1.4).
    pub(super) fn without(mut self) -> Self {
        self.without = true;
        let field = HeaderValue::from_static("no-cache");
        self.fields.insert(CACHE_CONTROL, field);
        self
    }

    /// As it goes over a connection to the host itself: path and query (RFC 9112 §3.2.1).
    fn request(&self) -> Request<Full<Bytes>> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = web::get(&path.parse().unwrap_or_default(), &self.fields);
        *request.version_mut() = axum::http::Version::HTTP_11;
        request
    }
}

/// A connection, or the wish for one.
pub(super) struct Connection {
    target: Target,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    pub(super) fn to(target: &Target) -> Self {
        Self {
            target: target.clone(),
            open: None,
        }
    }

    /// Asks once. A connection that was closed meanwhile is opened anew: that is part of what it takes.
    pub(super) async fn ask(&mut self) -> Result<Answer, String> {
        let asked = tokio::time::timeout(self.target.patience, self.exchange()).await;
        match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                self.open = None;
                Err(error)
            }
            Err(_) => {
                self.open = None;
                Err(format!("no whole answer within {:?}", self.target.patience))
            }
        }
    }

    /// Opens it, so that the first request does not have to.
    pub(super) async fn open(&mut self) -> Result<(), String> {
        let ready = match &mut self.open {
            Some(open) => open.ready().await.is_ok(),
            None => false,
        };
        if !ready {
            self.open = Some(connect(&self.target.uri).await?);
        }
        Ok(())
    }

    async fn exchange(&mut self) -> Result<Answer, String> {
        self.open().await?;
        let Some(open) = &mut self.open else {
            return Err("no connection".to_owned());
        };
        let response = open.send_request(self.target.request()).await;
        let response = response.map_err(|error| web::told(&error))?;
        let (head, mut body) = response.into_parts();
        Ok(Answer {
            status: head.status,
            served: Served::of(&head.headers).0,
            bytes: web::drained(&mut body).await?,
        })
    }
}

async fn connect(uri: &Uri) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = web::connector().call(uri.clone()).await;
    let stream = stream.map_err(|error| format!("cannot connect: {}", web::told(&*error)))?;
    let (open, connection) = handshake(stream).await.map_err(|error| web::told(&error))?;
    tokio::spawn(async move {
        // Its end shows at the next request.
        let _ = connection.await;
    });
    Ok(open)
}
