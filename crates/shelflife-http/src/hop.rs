//! Fields that belong to one hop (RFC 9110 §7.6.1).

use http::{HeaderMap, HeaderName, header};

use crate::control::lines;
use crate::directive;

/// Fields of one connection, whether or not `Connection` names them.
const HOP_FIELDS: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// RFC 9111 §3.1: what concerns the proxy that a request went through isn't stored.
pub(crate) const PROXY_FIELDS: &[&str] = &[
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
];

/// Removes the fields that belong to one hop, and those that `Connection` names.
///
/// What a proxy needs of them (`Upgrade`, `TE: trailers`, the framing) it reads before, and writes anew.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = lines(headers, &header::CONNECTION)
            .flat_map(directive::members)
            .filter_map(|name| HeaderName::from_bytes(name).ok())
            .collect();
        for name in named {
            // RFC 9110 §7.6.1: never a field that is for every recipient; naming it would take it from them.
            if !is_end_to_end(&name) {
                headers.remove(name);
            }
        }
    }
    for name in HOP_FIELDS {
        headers.remove(*name);
    }
}

/// Fields whose removal would change what the rest of a message means: where it goes, what may be kept of it, how
/// it is framed and coded.
fn is_end_to_end(name: &HeaderName) -> bool {
    [
        header::HOST,
        header::CACHE_CONTROL,
        header::VARY,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
    ]
    .contains(name)
}
