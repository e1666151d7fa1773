//! What an unsafe request that succeeded makes invalid (RFC 9111 §4.4, RFC 9875 §3).

use http::{HeaderMap, Method, StatusCode, header};

use crate::control::lines;
use crate::key::host_of;
use crate::reference::same_origin_key;
use crate::{QueryRule, Request, tags, url_key};

/// What an unsafe request that succeeded makes invalid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invalidates {
    /// Keys, as [`url_key`] with exact bytes writes them; [`QueryRule::apply`] brings them under a rule.
    pub urls: Vec<String>,
    /// Groups, as in [`Stored::groups`](crate::Stored).
    pub groups: Vec<String>,
}

impl Invalidates {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.urls.is_empty() && self.groups.is_empty()
    }
}

/// What this request and its response make invalid: the target, and what `Location` and `Content-Location` name if
/// it is of the same host. Nothing, if the method is safe or the response an error.
pub fn invalidates(request: Request<'_>, status: StatusCode, headers: &HeaderMap) -> Invalidates {
    // RFC 9111 §4.4: a non-error response is 2xx or 3xx; methods of unknown safety count as unsafe.
    if is_safe(request.method) || !(status.is_success() || status.is_redirection()) {
        return Invalidates::default();
    }
    let Ok(host) = host_of(request) else {
        return Invalidates::default();
    };
    let target = request
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let mut urls = vec![url_key(request, &QueryRule::default())];
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        for reference in lines(headers, &name) {
            let key = same_origin_key(reference, &host, target);
            urls.extend(key.filter(|key| !urls.contains(key)));
        }
    }
    // RFC 9875 §3: of an unsafe request only. What is no list of strings is ignored.
    let groups = tags::listed(headers, "cache-group-invalidation", &host);
    Invalidates { urls, groups }
}

/// RFC 9110 §9.2.1, and what the registry of methods lists as safe.
fn is_safe(method: &Method) -> bool {
    method.is_safe() || matches!(method.as_str(), "QUERY" | "PROPFIND" | "REPORT" | "SEARCH")
}
