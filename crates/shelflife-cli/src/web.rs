//! Asking over HTTP: connections are kept, content is read to its end, no redirect is followed.
//!
//! Must not: print, or retry. A request is sent once.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::failure::Failure;

/// Clones share their connections.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    http: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    patience: Duration,
    /// What content may have at most.
    most: usize,
}

/// An answer, with its content.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) content: Bytes,
}

/// What connects, with TLS where the URL says so.
pub(crate) fn connector() -> HttpsConnector<HttpConnector> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    hyper_rustls::HttpsConnectorBuilder::new()
        .with_webpki_roots()
        .https_or_http()
        .enable_http1()
        .wrap_connector(http)
}

impl Web {
    /// Each answer has so long to come, its content included.
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            http: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(1024)
                .build(connector()),
            patience,
            most: 256 << 20,
        }
    }

    /// # Errors
    ///
    /// A sentence that says why there is no whole answer.
    pub(crate) async fn ask(&self, request: Request<Empty<Bytes>>) -> Result<Answer, String> {
        let asking = async {
            let response = self.http.request(request).await.map_err(|e| told(&e))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, self.most).collect().await;
            let body = body.map_err(|error| format!("the content broke off: {error}"))?;
            Ok(Answer {
                status: head.status,
                fields: head.headers,
                content: body.to_bytes(),
            })
        };
        let answered = tokio::time::timeout(self.patience, asking).await;
        answered.unwrap_or_else(|_| Err(format!("no whole answer within {:?}", self.patience)))
    }

    /// Reads content that has no end to its end, whatever that is.
    pub(crate) async fn follow(&self, request: Request<Empty<Bytes>>, mut sink: impl Sink) {
        let Ok(response) = self.http.request(request).await else {
            return;
        };
        if !response.status().is_success() {
            return;
        }
        let mut body = response.into_body();
        while let Some(Ok(frame)) = body.frame().await {
            if let Some(data) = frame.data_ref()
                && !sink.take(data)
            {
                return;
            }
        }
    }
}

/// Takes content as it comes; `false` when it has had enough.
pub(crate) trait Sink {
    /// Some of it.
    fn take(&mut self, bytes: &[u8]) -> bool;
}

/// An error with what is behind it, once each.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let behind = error.to_string();
        if !text.contains(&behind) {
            text += &format!(": {behind}");
        }
        source = error.source();
    }
    text
}

/// A GET of a URL with further fields.
pub(crate) fn get(uri: &Uri, fields: &HeaderMap) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = uri.clone();
    *request.headers_mut() = fields.clone();
    request
}

/// A URL as it was given with `what`: http or https, with a host.
pub(crate) fn url(what: &str, text: &str) -> Result<Uri, Failure> {
    let hint = "as in http://127.0.0.1:8080/users/42";
    let uri: Uri = text
        .parse()
        .map_err(|error| Failure::new(format!("{what} {text} is no URL: {error}")).hint(hint))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(_)) => Ok(uri),
        _ => Err(Failure::new(format!("{what} {text} is no http or https URL")).hint(hint)),
    }
}

/// `Name: value` lines as fields.
pub(crate) fn fields(lines: &[String]) -> Result<HeaderMap, Failure> {
    let mut fields = HeaderMap::new();
    for line in lines {
        let wrong = || {
            Failure::new(format!("--header {line:?} is no field"))
                .hint("as in --header 'Accept-Language: de'")
        };
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| wrong())?;
        let value = HeaderValue::try_from(value.trim()).map_err(|_| wrong())?;
        fields.append(name, value);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_http_and_have_a_host() {
        assert!(url("--base", "http://127.0.0.1:8080/x").is_ok());
        for bad in ["/x", "ftp://h/x", "http://", "a b", ""] {
            let told = url("--base", bad).unwrap_err().to_string();
            assert!(
                told.contains("--base") && told.contains("http://127"),
                "{told}"
            );
        }
    }
}
