//! Fields that belong to one connection (RFC 9110 §7.6.1).

use http::HeaderMap;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, DATE, HOST,
    HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VARY,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// What the fields that were taken away had said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop {
    /// `TE: trailers`: trailers will not be thrown away.
    pub(crate) takes_trailers: bool,
    /// The protocols that are wanted instead, if Connection says so, too.
    pub(crate) upgrade: Option<HeaderValue>,
}

/// Removes the fields of this hop, and those that Connection names.
pub(crate) fn strip(headers: &mut HeaderMap) -> Hop {
    // What most requests and responses have none of costs as many look-ups.
    let mut hop = Hop::default();
    if headers.contains_key(TE) {
        // Before Connection is looked at: it has to name TE.
        hop.takes_trailers =
            list(headers, &TE).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
        headers.remove(TE);
    }
    if headers.contains_key(CONNECTION) {
        hop.upgrade = strip_named(headers);
    }
    headers.remove(UPGRADE);
    headers.remove(TRANSFER_ENCODING);
    headers.remove(KEEP_ALIVE);
    headers.remove(PROXY_CONNECTION);
    hop
}

/// Removes what Connection names, and itself; the upgrade that it names.
fn strip_named(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let named: Vec<HeaderName> = list(headers, &CONNECTION)
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect();
    let upgrade = named
        .contains(&UPGRADE)
        .then(|| headers.get(UPGRADE).cloned());
    for name in &named {
        if !is_for_all(name) {
            headers.remove(name);
        }
    }
    headers.remove(CONNECTION);
    // RFC 9113 §3.1: the upgrade to HTTP/2 in clear text is deprecated, and was never for anybody but the next.
    headers.remove(HTTP2_SETTINGS);
    upgrade
        .flatten()
        .filter(|protocol| !protocol.as_bytes().eq_ignore_ascii_case(b"h2c"))
}

/// Fields that Connection must not name, since they are for all recipients (RFC 9110 §7.6.1). A sender that names
/// them would have the next hop see another message: without its user, its length, or its right not to be stored.
fn is_for_all(name: &HeaderName) -> bool {
    [
        HOST,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        CACHE_CONTROL,
        VARY,
        SET_COOKIE,
        COOKIE,
        AUTHORIZATION,
        DATE,
    ]
    .contains(name)
}

/// Removes from a trailer section what may not be in one (RFC 9110 §6.5.1): fields of framing, routing,
/// authentication and of one hop.
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    strip(trailers);
    for name in [
        CONTENT_LENGTH,
        HOST,
        CACHE_CONTROL,
        CONTENT_TYPE,
        AUTHORIZATION,
        COOKIE,
        SET_COOKIE,
        TRAILER,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        VARY,
    ] {
        trailers.remove(name);
    }
    trailers.remove("content-encoding");
    trailers.remove("content-range");
    trailers.remove("age");
    trailers.remove("expires");
}

fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn fields_of_one_hop_go_and_others_stay() {
        // RFC 9110 §7.6.1
        let mut headers = map(&[
            ("connection", "close, X-One, TE"),
            ("connection", "x-two,,"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip, Trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("trailer", "x-sum"),
        ]);
        let hop = strip(&mut headers);
        assert_eq!(headers, map(&[("x-three", "3"), ("trailer", "x-sum")]));
        assert_eq!(
            hop,
            Hop {
                takes_trailers: true,
                upgrade: None
            }
        );
    }

    #[test]
    fn an_upgrade_counts_only_if_connection_names_it() {
        // RFC 9110 §7.8
        for (lines, upgrade) in [
            (
                map(&[("connection", "Upgrade"), ("upgrade", "websocket")]),
                Some("websocket"),
            ),
            (
                map(&[("connection", "keep-alive"), ("upgrade", "websocket")]),
                None,
            ),
            (map(&[("upgrade", "websocket")]), None),
            (
                map(&[
                    ("connection", "upgrade, http2-settings"),
                    ("upgrade", "h2c"),
                    ("http2-settings", "x"),
                ]),
                None,
            ),
        ] {
            let mut headers = lines;
            let upgrade = upgrade.map(HeaderValue::from_static);
            assert_eq!(strip(&mut headers).upgrade, upgrade);
            assert!(headers.is_empty(), "{headers:?}");
        }
    }

    #[test]
    fn connection_cannot_take_away_what_is_for_all() {
        let lines = [
            ("host", "a"),
            ("cache-control", "private"),
            ("cookie", "u=1"),
            ("authorization", "x"),
        ];
        let mut headers = map(&lines);
        headers.insert(
            CONNECTION,
            HeaderValue::from_static("host, cache-control, cookie, authorization"),
        );
        strip(&mut headers);
        assert_eq!(headers, map(&lines));
    }

    #[test]
    fn trailers_cannot_change_what_a_message_is() {
        let mut trailers = map(&[
            ("content-length", "1"),
            ("set-cookie", "a=b"),
            ("x-sum", "1"),
            ("grpc-status", "0"),
        ]);
        strip_trailers(&mut trailers);
        assert_eq!(trailers, map(&[("x-sum", "1"), ("grpc-status", "0")]));
    }
}
