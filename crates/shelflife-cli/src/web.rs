//! Asking over HTTP: connections are kept, content is read to its end, no redirect is followed.
//!
//! Must not: print, or retry. A request is sent once.

use std::future::Future;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::failure::Failure;

/// Clones share their connections.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    patience: Duration,
}

/// What content that is kept may have at most: sitemaps have 50 MB.
const MOST: usize = 64 << 20;

/// What is read of an answer that says why there is none.
const REFUSAL: usize = 64 << 10;

/// An answer, with its content.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content: Bytes,
}

/// An answer whose content was read, and not kept.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) bytes: u64,
}

/// Content that has no end, as it comes.
#[derive(Debug)]
pub(crate) struct Stream {
    body: Incoming,
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
        }
    }

    /// The same connections, with another time for an answer.
    pub(crate) fn patient(&self, patience: Duration) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// # Errors
    ///
    /// A sentence that says why there is no whole answer.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        self.in_time(async {
            let response = self.http.request(request).await.map_err(|e| told(&e))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MOST).collect().await;
            let body = body.map_err(|error| format!("the content broke off: {error}"))?;
            Ok(Answer {
                status: head.status,
                content: body.to_bytes(),
            })
        })
        .await
    }

    /// Asks for what nobody wants to see: content is read to its end, counted and dropped as it comes.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    pub(crate) async fn count(&self, request: Request<Full<Bytes>>) -> Result<Counted, String> {
        self.in_time(async {
            let response = self.http.request(request).await.map_err(|e| told(&e))?;
            let (head, mut body) = response.into_parts();
            Ok(Counted {
                status: head.status,
                fields: head.headers,
                bytes: drained(&mut body).await?,
            })
        })
        .await
    }

    /// Asks for content that has no end. Its head has to come in time.
    ///
    /// # Errors
    ///
    /// A sentence that says why there is none.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Result<Stream, String> {
        self.in_time(async {
            let response = self.http.request(request).await.map_err(|e| told(&e))?;
            let (head, body) = response.into_parts();
            if head.status.is_success() {
                return Ok(Stream { body });
            }
            let why = Limited::new(body, REFUSAL).collect().await;
            let why = why.map(|body| body.to_bytes()).unwrap_or_default();
            Err(refusal(head.status, &why))
        })
        .await
    }

    async fn in_time<T>(
        &self,
        asking: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        let answered = tokio::time::timeout(self.patience, asking).await;
        answered.unwrap_or_else(|_| Err(format!("no whole answer within {:?}", self.patience)))
    }
}

impl Stream {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    ///
    /// A sentence, when it has broken off, or nothing has come for so long.
    pub(crate) async fn next(&mut self, silence: Duration) -> Result<Option<Bytes>, String> {
        loop {
            let frame = tokio::time::timeout(silence, self.body.frame()).await;
            match frame {
                Err(_) => return Err(format!("nothing has come for {silence:?}")),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(format!("it broke off: {error}")),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// Reads content to its end and drops it as it comes: how many bytes there were.
///
/// # Errors
///
/// A sentence, when it breaks off.
pub(crate) async fn drained(body: &mut Incoming) -> Result<u64, String> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("the content broke off: {error}"))?;
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(bytes)
}

/// Why there is no answer, as its status and its problem details say it (RFC 9457).
pub(crate) fn refusal(status: StatusCode, content: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(content).ok();
    let detail = problem.as_ref().and_then(|it| it["detail"].as_str());
    match detail {
        Some(detail) => format!("{status}: {detail}"),
        None => status.to_string(),
    }
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
pub(crate) fn get(uri: &Uri, fields: &HeaderMap) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = uri.clone();
    *request.headers_mut() = fields.clone();
    request
}

/// RFC 3986 §2.3: all but the unreserved characters may have a meaning in a URL.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_stream_that_says_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n";
            stream.write_all(answer).await.unwrap();
            // And no word more, with the connection open.
            stream
        });
        let uri = format!("http://{place}/").parse().unwrap();
        let web = Web::new(Duration::from_secs(60));
        let mut stream = web.open(get(&uri, &HeaderMap::new())).await.unwrap();
        let first = stream.next(Duration::from_secs(60)).await.unwrap().unwrap();
        assert_eq!(first, "hi");
        let _open = serving.await.unwrap();
        let silent = stream.next(Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(silent, "nothing has come for 50ms");
    }

    #[test]
    fn a_refusal_is_told_as_it_is_given() {
        let told = |content: &[u8]| refusal(StatusCode::TOO_MANY_REQUESTS, content);
        assert_eq!(
            told(b"{\"detail\": \"ask later\"}"),
            "429 Too Many Requests: ask later"
        );
        assert_eq!(told(b"<html>"), "429 Too Many Requests");
    }

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
