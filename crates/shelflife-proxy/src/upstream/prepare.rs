//! A request as the origin gets it. Pure, but for the callbacks that it is given.

use http::header::{CONNECTION, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderValue, Request, StatusCode, Version};
use http_body::Body;

use super::error::{Kind, UpstreamError};
use super::outgoing::{OutgoingBody, Progress};
use super::{Host, Shared};
use crate::body::RequestBody;
use crate::client::InterimHead;
use crate::forward::{self, From};
use std::sync::Arc;

/// What has to be known of a request when its response comes.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) request: Request<OutgoingBody>,
    pub(super) progress: Arc<Progress>,
    /// Whether 101 would be an answer to it.
    pub(super) upgrades: bool,
}

/// Changes the request into the one that is sent.
pub(super) fn prepare(
    shared: &Shared,
    request: Request<RequestBody>,
) -> Result<Prepared, UpstreamError> {
    let (mut parts, mut body) = request.into_parts();
    parts.uri = target(shared, &parts.uri)?;
    let headers = &mut parts.headers;
    let from = body.client.as_ref().map(|client| From {
        peer: client.peer,
        secure: client.secure,
    });
    shared.trail.mark(headers, parts.version, from);
    match &shared.host {
        Host::Fixed(host) => {
            headers.insert(HOST, host.clone());
        }
        Host::Preserve if !headers.contains_key(HOST) => {
            // A client of HTTP/1.0 that names no host means whoever is there.
            let host = HeaderValue::from_str(&shared.address.authority);
            let host = host.map_err(|_| UpstreamError::new(Kind::Unsendable))?;
            headers.insert(HOST, host);
        }
        Host::Preserve => {}
    }
    let upgrade = body.upgrade.take();
    let upgrades = upgrade.is_some();
    if let Some(protocol) = upgrade {
        headers.insert(UPGRADE, protocol);
        headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    if body.takes_trailers {
        // RFC 9110 §10.1.4: TE belongs to this hop, so Connection names it.
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.append(CONNECTION, HeaderValue::from_static("te"));
    }
    let held = body.expects && !body.is_end_stream();
    if !held {
        headers.remove(EXPECT);
    }
    // Without a length, every method's body is chunked; hyper would take that of a GET for none.
    if body.size_hint().exact().is_none() {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    parts.version = Version::HTTP_11;
    let progress = Progress::new(held);
    let interim = body.interim.take();
    let sent = OutgoingBody::new(body, progress.clone(), shared.limits.go_on);
    let mut request = Request::from_parts(parts, sent);
    if held || interim.is_some() {
        let progress = progress.clone();
        hyper::ext::on_informational(&mut request, move |head| {
            if head.status() == StatusCode::CONTINUE {
                // RFC 9110 §10.1.1: the client is told when its body is first asked for.
                progress.go_on();
            } else if let Some(client) = &interim {
                // RFC 9110 §15.2: a proxy forwards interim responses that it did not ask for itself.
                let mut headers = head.headers().clone();
                forward::strip(&mut headers);
                client.send(InterimHead {
                    status: head.status(),
                    headers,
                });
            }
        });
    }
    Ok(Prepared {
        request,
        progress,
        upgrades,
    })
}

/// The target in origin form, byte for byte as it came, behind the upstream's own path.
fn target(shared: &Shared, uri: &Uri) -> Result<Uri, UpstreamError> {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let base = shared.address.base.as_str();
    if base.is_empty() || path == "*" {
        if uri.authority().is_none() {
            return Ok(uri.clone());
        }
        return path
            .parse()
            .map_err(|_| UpstreamError::new(Kind::Unsendable));
    }
    format!("{base}{path}")
        .parse()
        .map_err(|_| UpstreamError::new(Kind::Unsendable))
}
