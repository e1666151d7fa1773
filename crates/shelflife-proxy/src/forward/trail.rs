//! Who asked, and by which way (RFC 9110 §7.6.3, RFC 7239).

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::{FORWARDED, HOST, HeaderName, HeaderValue, VIA};
use http::{HeaderMap, Version};

use super::trust::Network;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Fields by which a client could have the origin see another request than the one that is cached: taken
/// away from whoever is not trusted, because the key of an answer knows nothing of them.
const CLAIMS: [&str; 12] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-forwarded-scheme",
    "x-forwarded-ssl",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
];

/// How requests are marked on their way to the upstream.
#[derive(Clone, Debug)]
pub(crate) struct Trail {
    pub(crate) name: Name,
    pub(crate) trust: Vec<Network>,
    pub(crate) forwarded: bool,
    pub(crate) x_forwarded: bool,
}

/// What the proxy is called.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    /// In Via.
    pub(crate) via: Arc<str>,
    /// Which of those of that name it is: a comment in the Via of requests, by which it knows its own.
    pub(crate) instance: Arc<str>,
}

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From {
    pub(crate) peer: IpAddr,
    pub(crate) secure: bool,
}

impl Trail {
    /// Marks a request. Without a client, one that the cache makes by itself, only Via is added.
    pub(crate) fn mark(&self, headers: &mut HeaderMap, version: Version, from: Option<From>) {
        // A request's Proxy field becomes HTTP_PROXY in a CGI environment; no field of that name exists.
        headers.remove("proxy");
        let trusted = from.is_some_and(|from| self.trusts(from.peer));
        if !trusted {
            for claim in CLAIMS {
                headers.remove(claim);
            }
        }
        if let Some(from) = from {
            let host = headers.get(HOST).cloned();
            if self.x_forwarded {
                append(headers, &X_FORWARDED_FOR, &from.peer.to_string());
                if let (Some(host), false) = (&host, headers.contains_key(X_FORWARDED_HOST)) {
                    headers.insert(X_FORWARDED_HOST, host.clone());
                }
                if !headers.contains_key(X_FORWARDED_PROTO) {
                    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto(from)));
                }
            }
            if self.forwarded {
                append(headers, &FORWARDED, &element(from, host.as_ref()));
            }
        }
        let name = format!("{} ({})", self.name.via, self.name.instance);
        add_via(headers, version, &name);
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        self.trust.iter().any(|network| network.contains(peer))
    }
}

/// RFC 9110 §7.6.3: adds the version that the message was received in, and who received it.
pub(crate) fn add_via(headers: &mut HeaderMap, version: Version, name: &str) {
    let version = match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    append(headers, &VIA, &format!("{version} {name}"));
}

/// Whether a request has been here before: through this very process, or through as many of this name as
/// nobody would put one behind the other.
pub(crate) fn goes_in_circles(headers: &HeaderMap, name: &Name) -> bool {
    /// More than one is a shield before another.
    const HOPS: usize = 8;
    let members = headers
        .get_all(VIA)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut through = 0;
    for member in members {
        let mut words = member.trim_ascii().split(|byte| *byte == b' ');
        let by = words.nth(1).unwrap_or_default();
        through += usize::from(by.eq_ignore_ascii_case(name.via.as_bytes()));
        let comment = words.next().and_then(|word| word.strip_prefix(b"("));
        if comment.and_then(|word| word.strip_suffix(b")")) == Some(name.instance.as_bytes()) {
            return true;
        }
    }
    through >= HOPS
}

fn proto(from: From) -> &'static str {
    if from.secure { "https" } else { "http" }
}

/// RFC 7239 §4: one element, with the parameters that the origin can use.
fn element(from: From, host: Option<&HeaderValue>) -> String {
    let mut element = String::with_capacity(64);
    // RFC 7239 §6: an IPv6 address stands in brackets, and so in quotes. Writing to a String cannot fail.
    let _ = match from.peer {
        IpAddr::V4(peer) => write!(element, "for={peer}"),
        IpAddr::V6(peer) => write!(element, "for=\"[{peer}]\""),
    };
    if let Some(host) = host.and_then(|host| host.to_str().ok()) {
        // A colon is no token. What would need an escape was refused with the Host field.
        let _ = match host.contains([':', '[', '%', '~']) {
            true => write!(element, ";host=\"{host}\""),
            false => write!(element, ";host={host}"),
        };
    }
    let _ = write!(element, ";proto={}", proto(from));
    element
}

/// Adds a member to a list: to the last line, if there is one.
fn append(headers: &mut HeaderMap, name: &HeaderName, member: &str) {
    let lines: Vec<&[u8]> = headers
        .get_all(name)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let mut whole = lines.join(&b", "[..]);
    if !whole.is_empty() {
        whole.extend_from_slice(b", ");
    }
    whole.extend_from_slice(member.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&whole) {
        headers.insert(name.clone(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Name {
        Name {
            via: "shelf".into(),
            instance: "i7".into(),
        }
    }

    fn trail(trust: &[&str]) -> Trail {
        Trail {
            name: name(),
            trust: trust
                .iter()
                .map(|network| network.parse().unwrap())
                .collect(),
            forwarded: true,
            x_forwarded: true,
        }
    }

    fn from(peer: &str, secure: bool) -> Option<From> {
        Some(From {
            peer: peer.parse().unwrap(),
            secure,
        })
    }

    fn claims() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for claim in CLAIMS {
            headers.insert(claim, HeaderValue::from_static("for=evil"));
        }
        headers.insert(HOST, HeaderValue::from_static("api.example:8080"));
        headers.insert(VIA, HeaderValue::from_static("1.0 other"));
        headers
    }

    #[test]
    fn what_a_client_claims_is_replaced() {
        let mut headers = claims();
        trail(&[]).mark(&mut headers, Version::HTTP_11, from("203.0.113.9", false));
        assert_eq!(headers["x-forwarded-for"], "203.0.113.9");
        assert_eq!(headers["x-forwarded-host"], "api.example:8080");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(
            headers[FORWARDED],
            "for=203.0.113.9;host=\"api.example:8080\";proto=http"
        );
        assert_eq!(headers[VIA], "1.0 other, 1.1 shelf (i7)");
        for claim in &CLAIMS[4..] {
            assert!(!headers.contains_key(*claim), "{claim}");
        }
    }

    #[test]
    fn what_a_trusted_proxy_says_is_kept_and_added_to() {
        let mut headers = claims();
        trail(&["203.0.113.0/24"]).mark(&mut headers, Version::HTTP_2, from("203.0.113.9", true));
        assert_eq!(headers["x-forwarded-for"], "for=evil, 203.0.113.9");
        assert_eq!(headers["x-forwarded-proto"], "for=evil");
        assert_eq!(headers["x-original-url"], "for=evil");
        assert_eq!(
            headers[FORWARDED],
            "for=evil, for=203.0.113.9;host=\"api.example:8080\";proto=https"
        );
        assert_eq!(headers[VIA], "1.0 other, 2 shelf (i7)");
    }

    #[test]
    fn addresses_of_ipv6_are_quoted() {
        // RFC 7239 §6
        let mut headers = HeaderMap::new();
        trail(&[]).mark(&mut headers, Version::HTTP_11, from("2001:db8::1", true));
        assert_eq!(headers[FORWARDED], "for=\"[2001:db8::1]\";proto=https");
        assert_eq!(headers["x-forwarded-for"], "2001:db8::1");
    }

    #[test]
    fn a_refresh_of_the_cache_names_no_client() {
        let mut headers = claims();
        headers.insert("proxy", HeaderValue::from_static("http://evil"));
        trail(&[]).mark(&mut headers, Version::HTTP_11, None);
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["host", "via"]);
    }

    #[test]
    fn a_loop_shows_in_via() {
        let circles = |lines: &[&'static str]| {
            let line = |line: &&'static str| (VIA, HeaderValue::from_static(line));
            goes_in_circles(&lines.iter().map(line).collect(), &name())
        };
        assert!(circles(&["1.0 other, 1.1 shelf (i7)", "2 more"]));
        assert!(!circles(&[
            "1.1 shelf (i8), 1.0 i7, 1.1 (i7), 1.1 i7 shelf"
        ]));
        assert!(circles(&[
            "1.1 shelf, 1.1 SHELF (i8), 1.1 shelf, 1.1 shelf, 1.1 shelf",
            "1.1 shelf, 2 shelf, 2 shelf"
        ]));
        assert!(!circles(&[
            "1.1 shelf, 1.1 shelf, 1.1 shelf, 1.1 shelf, 1.1 shelf, 1.1 shelf, 2 shelf"
        ]));
    }
}
